"""What a new source shares with the store or with itself: duplicates, conflicts, repeats.

All of it is found by DuckDB, which spills to disk what does not fit its memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from abpipe import remote
from abpipe.manifest import File
from abpipe.store import SPILL, Part, TableWriter, Transaction, read_groups

MEMORY = "96MB"

#: Whether any two records may share a natural key: quick, and nearly always the end of it.
_SHARED_KEYS = """
SELECT count(*) > count(DISTINCT key) FROM (
    SELECT hash(image_id, annotator_id, coalesce(assignment_id, tool_hit_id), page, slot) AS key
    FROM (FROM new_annotations UNION ALL BY NAME FROM annotations)
)
"""


#: The same for whole rows.
_SHARED_ROWS = """
SELECT count(*) > count(DISTINCT content) FROM (
    SELECT hash(COLUMNS(* EXCLUDE place)) AS content FROM new_rows
    UNION ALL SELECT hash(COLUMNS(*)) FROM known_rows
)
"""
_OTHER_SIZES = """
SELECT place FROM new_images QUALIFY row_number() OVER (PARTITION BY image_id ORDER BY place) > 1
"""
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class Merged:
    """The files that hold what is new, and what was found."""

    files: dict[str, File]
    duplicates: int
    conflicts: int


def merge(transaction: Transaction, new: Mapping[str, Part], source_no: int) -> Merged:
    """Drop the records of a new source that the dataset has already, and join repeated pictures.

    Raises Storage or BrokenStore if the queries that find them fail.
    """
    try:
        return _merge(transaction, new, source_no)
    except duckdb.Error as err:
        raise transaction.store.failed(str(err)) from err


def _merge(transaction: Transaction, new: Mapping[str, Part], source_no: int) -> Merged:
    with ThreadPoolExecutor() as pool:  # the last rows are encoded and synced side by side
        files = dict(zip(new, pool.map(lambda part: part.finish(), new.values()), strict=True))
    pa.default_memory_pool().release_unused()  # DuckDB has a pool of its own
    if "annotations" not in new:
        return _merge_rows(transaction, new, source_no, files)
    dataset = new["annotations"].dataset
    with _connect(transaction, new, source_no) as con:
        duplicates, conflicts = _duplicates(con)
        if len(duplicates):
            for table in ("annotations", "events"):
                writer = _without(transaction, new[table], duplicates)
                files[table] = writer.finish()
                _view(con, f"new_{table}", [str(writer.temporary)])
        if len(duplicates) or _has_repeats(con):
            con.execute(
                "CREATE TEMP TABLE new_counts AS "
                "SELECT image_id, count(*) AS n FROM new_annotations GROUP BY image_id"
            )
            for table in ("images", "objects"):
                writer = transaction.writer(table, dataset, source_no)
                for batch in con.sql(_sql(table)).to_arrow_reader(1 << 16):
                    writer.write(pa.Table.from_batches([batch]))
                files[table] = writer.finish()
                _view(con, f"kept_{table}", [str(writer.temporary)])
    return Merged(files, len(duplicates), conflicts)


def _merge_rows(
    transaction: Transaction, new: Mapping[str, Part], source_no: int, files: dict[str, File]
) -> Merged:
    """Drop single rows that are there already; of a picture with two sizes, the first one stays."""
    duplicates = conflicts = 0
    with _connect(transaction, new, source_no) as con:
        for table in new.keys() & {"images", "objects"}:
            said = f"COLUMNS(* EXCLUDE (source, member{', object_no' * (table == 'objects')}))"
            con.execute(f"CREATE OR REPLACE VIEW new_rows AS SELECT {said} FROM new_{table}")
            con.execute(
                "CREATE OR REPLACE VIEW known_rows AS "
                f"SELECT * EXCLUDE dataset FROM (SELECT {said} FROM {table})"
            )
            ((shared,),) = con.execute(_SHARED_ROWS).fetchall()
            repeated = con.sql(_sql("repeats")).fetchnumpy()["place"] if shared else _NONE
            others = con.sql(_OTHER_SIZES).fetchnumpy()["place"] if table == "images" else _NONE
            gone = np.union1d(repeated, others)
            if len(gone):
                files[table] = _without_places(transaction, new[table], gone).finish()
            duplicates += len(gone)
            conflicts += len(np.setdiff1d(others, repeated))
    return Merged(files, duplicates, conflicts)


def _connect(
    transaction: Transaction, new: Mapping[str, Part], source_no: int
) -> duckdb.DuckDBPyConnection:
    """Views of the new rows (`new_<table>`) and of those that the dataset has (`<table>`)."""
    spill = str(transaction.store.folder / SPILL)
    con = duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": spill})
    remote.register(con, transaction.store.place)
    for table, writer in new.items():
        _view(con, f"new_{table}", [str(writer.temporary)])
        have = [
            str(transaction.store.path(file))
            for file in transaction.manifest.files_of(table, writer.dataset)
            if file.source_no not in (None, source_no)
        ]
        if have:
            _view(con, table, have)
        else:
            con.execute(
                f"CREATE VIEW {table} AS "
                f"SELECT * EXCLUDE place, '' AS dataset FROM new_{table} LIMIT 0"
            )
    return con


def _view(con: duckdb.DuckDBPyConnection, name: str, paths: list[str]) -> None:
    """A view of Parquet files; of a new one with the place of each row, too."""
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    place = "EXCLUDE file_row_number, file_row_number AS place" if name.startswith("new_") else ""
    options = f", hive_partitioning = {not place}, file_row_number = {bool(place)}"
    con.execute(
        f"CREATE OR REPLACE VIEW {name} AS SELECT * {place} FROM read_parquet([{listed}]{options})"
    )


def _sql(name: str) -> str:
    return resources.files("abpipe").joinpath("events", f"{name}.sql").read_text("utf-8")


def _duplicates(con: duckdb.DuckDBPyConnection) -> tuple[npt.NDArray[np.int64], int]:
    """The ids of the new records that are there already, and how many others share their key."""
    ((shared,),) = con.execute(_SHARED_KEYS).fetchall()
    if not shared:
        return np.empty(0, np.int64), 0
    found = con.sql(_sql("duplicates")).to_arrow_table()
    is_duplicate = found["is_duplicate"].to_numpy()
    ids = found["annotation_id"].to_numpy()[is_duplicate]
    return np.sort(ids), int((found["is_conflict"].to_numpy() & ~is_duplicate).sum())


def _has_repeats(con: duckdb.DuckDBPyConnection) -> bool:
    ((repeated,),) = con.execute(
        "SELECT count(*) > count(DISTINCT image_id)"
        " OR bool_or(image_id IN (SELECT image_id FROM images)) FROM new_images"
    ).fetchall()
    return bool(repeated)


def _without_places(
    transaction: Transaction, old: Part, places: npt.NDArray[np.int64]
) -> TableWriter:
    """The file of a writer again, without the rows at some places."""
    writer, begin = transaction.writer(old.table, old.dataset, old.source_no), 0
    for group in read_groups(old.temporary):
        keep = ~np.isin(np.arange(begin, begin + group.num_rows), places)
        writer.write(group.filter(pa.array(keep)))
        begin += group.num_rows
    return writer


def _without(transaction: Transaction, old: Part, ids: npt.NDArray[np.int64]) -> TableWriter:
    """The file of a writer again, without the rows of some records."""
    writer = transaction.writer(old.table, old.dataset, old.source_no)
    for group in read_groups(old.temporary):
        keep = ~np.isin(group["annotation_id"].to_numpy(), ids)
        writer.write(group.filter(pa.array(keep)))
    return writer
