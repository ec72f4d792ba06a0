"""Check: is a store what its manifest and its schemas promise, and what is in a source?"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from io import RawIOBase
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from abpipe.catalog import connect, strange
from abpipe.contents import ANNOTATIONS, CONTENTS
from abpipe.contracts import Contract, contracts, raw_tables
from abpipe.errors import BrokenSource, MissingSource
from abpipe.events.parse import parser
from abpipe.lineage import without_stale
from abpipe.manifest import IDS_PER_SOURCE, File, Manifest, SourceEntry, rows_of
from abpipe.parallel import Workers
from abpipe.raw.sources import Source, find
from abpipe.remote import opened, size_at, size_of
from abpipe.store import Store, open_store

if TYPE_CHECKING:
    from abpipe.events.ingest import Progress

T = TypeVar("T")

#: Records that may be compared with tables that are not derived yet: more would take minutes.
DERIVED_HERE = 200_000
_DERIVED = ("audit", "traces")


@dataclass(frozen=True)
class Finding:
    """Something worth knowing: an error, a warning, or a note; where, and how often.

    Of a rule about records, also the share of those that it applies to, and the ids of a few.
    """

    level: str
    where: str
    what: str
    count: int = 1
    share: float | None = None
    examples: tuple[int, ...] = ()


def check(
    *sources: str | Path,
    store: Path | str = "abstore",
    dataset: str | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> list[Finding]:
    """Verify a store, or (if any are named) sources without ingesting them.

    A store (or one of its datasets): every file's size, checksum, schema and row count, every key,
    range and reference, the sums of the ledgers, and records that cannot be true. Sources: what
    would be rejected, skipped, or kept as unknown.
    """
    if sources:
        with Workers(jobs) as workers:
            found = [source for pattern in sources for source in find(str(pattern))]
            return [finding for source in found for finding in _source(source, workers, progress)]
    at = open_store(store)
    whole = at.manifest()
    manifest = whole.only(dataset)
    current = without_stale(manifest)
    names = {entry.source_no: entry.name for entry in manifest.sources}
    every = _told("files", current.files, progress)
    findings = [
        finding for file in every for finding in _file(at, file, names.get(file.source_no or 0))
    ]
    findings += _strays(at, whole)
    for file in manifest.files:
        if file not in current.files:
            what = "made of other rows or by another version, and not read; anew: `abpipe derive`"
            findings.append(Finding("note", file.path, what))
    findings += _gaps(manifest)
    findings += [finding for entry in manifest.sources for finding in _ledger(entry, manifest)]
    findings += [Finding("note", name, _OTHER_CATALOG) for name in strange(at, whole)]
    if not any(finding.level == "error" for finding in findings):  # queries need sound files
        with connect(store, dataset) as connection:
            made = {file.table for file in current.files}
            tables = [name for name in contracts() if name in made]
            findings += _contents(connection, tables, progress)
            findings += _records(connection, current, progress)
    return findings


def _told(name: str, items: Sequence[T], progress: Progress | None) -> Iterator[T]:
    """Each of some items; progress is told when one is done with."""
    for done, item in enumerate(items, 1):
        yield item
        if progress:
            progress(name, len(items), done)


def _source(source: Source, workers: Workers, progress: Progress | None) -> Iterator[Finding]:
    counts: Counter[str] = Counter()
    proof, readable = source.content.proof, 0
    blocks = source.blocks
    if progress and source.container != "folder":  # whose size only a walk tells
        on_read = partial(progress, source.name, size_at(source.path))
        blocks = partial(source.blocks, on_read=on_read)
    try:
        for batch in workers.map(parser(source).parse, blocks):
            counts += batch.counts
            readable += batch.tables[proof].num_rows if proof in batch.tables else 0
    except BrokenSource as err:
        yield Finding("error", source.name, f"{err.why} (readable up to byte {err.offset:,})")
    for name, n in sorted(counts.items()):
        group, _, detail = name.partition(".")
        if group == "rejects":
            yield Finding("warning", source.name, f"rejected: {detail}", n)
        elif group in ("junk", "extra"):
            what = {"junk": "skipped as junk", "extra": "field without a column, kept in extra"}
            yield Finding("note", source.name, f"{what[group]}: {detail}", n)
    good = counts["records.total"] - counts["records.rejected"]
    # not all pictures have annotators
    level = "note" if readable or source.content is ANNOTATIONS else "error"
    yield Finding(level, source.name, "records that read well", good)


def _file(store: Store, file: File, source: str | None) -> Iterator[Finding]:
    try:
        stream = opened(store.path(file))
    except (FileNotFoundError, MissingSource):
        yield Finding("error", file.path, "the manifest names this file, and it is missing")
        return
    with stream:
        if (size := size_of(stream)) != file.bytes:
            yield Finding("error", file.path, f"{size:,} bytes, written {file.bytes:,}")
            return
        if hashlib.file_digest(stream, "sha256").hexdigest() != file.sha256:
            yield Finding("error", file.path, "its bytes have changed since it was written")
            return
        yield from _parquet(stream, file, source)


def _parquet(stream: RawIOBase, file: File, source: str | None) -> Iterator[Finding]:
    try:
        parquet = pq.ParquetFile(stream)
    except (pa.ArrowException, OSError) as err:
        yield Finding("error", file.path, f"it cannot be read as Parquet: {err}")
        return
    with parquet:
        if parquet.metadata.num_rows != file.rows:
            what = f"{parquet.metadata.num_rows:,} rows, written {file.rows:,}"
            yield Finding("error", file.path, what)
        if not parquet.schema_arrow.equals(contracts()[file.table].schema):
            yield Finding("error", file.path, "its columns are not those that its schema declares")
        if source is not None and not _told_of(parquet.metadata) <= {source, file.source_no}:
            yield Finding("error", file.path, f"it holds rows of other sources than {source}")


def _told_of(metadata: pq.FileMetaData) -> set[str | int]:
    """The sources whose rows a file holds, as its statistics tell: by name, and by number."""
    found: set[str | int] = set()
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            told = column.statistics
            if column.path_in_schema in ("source", "annotation_id") and told and told.has_min_max:
                ends = (told.min, told.max)
                found |= {end if isinstance(end, str) else end // IDS_PER_SOURCE for end in ends}
    return found


def _strays(store: Store, manifest: Manifest) -> Iterator[Finding]:
    named = {file.path for file in manifest.files}
    for path in sorted(store.found()):
        if path not in named:
            is_home = re.fullmatch("[^/]+/dataset=[^/]+/[^/]+", path)
            then = "the next write removes it" if is_home else "who reads whole folders reads it"
            yield Finding("warning", path, f"no manifest names this file; {then}")


def _gaps(manifest: Manifest) -> Iterator[Finding]:
    """What a manifest lacks that every one has."""
    for dataset, table in product(manifest.datasets, raw_tables()):
        if not manifest.files_of(table, dataset):
            yield Finding("error", dataset, f"the manifest names no file of {table}")
    numbers = {entry.source_no for entry in manifest.sources} | {None}
    for file in manifest.files:
        if file.source_no not in numbers:
            yield Finding("error", file.path, "the manifest names no source that it is of")


def _ledger(entry: SourceEntry, manifest: Manifest) -> Iterator[Finding]:
    ledger = entry.ledger
    for name, sums in (("members", ledger.members), ("records", ledger.records)):
        if sums["total"] != sum(n for kind, n in sums.items() if kind != "total"):
            yield Finding("error", entry.name, f"the ledger's {name} do not add up: {sums}")
    rows = rows_of(manifest.files, entry.source_no)
    for table, n in rows.items():
        if entry.rows is not None and n != (written := entry.rows.get(table, 0)):
            what = f"its files hold {n:,} rows of {table}, and {written:,} were written"
            yield Finding("error", entry.name, what)
    tables = CONTENTS[entry.content].records
    if (stored := sum(rows[table] for table in tables)) != ledger.records["rows"]:
        what = f"{stored:,} {' and '.join(tables)}, {ledger.records['rows']:,} in the ledger"
        yield Finding("error", entry.name, what)
    if entry.partial:
        yield Finding("warning", entry.name, f"only the readable part was kept: {entry.partial}")
    for code, n in ledger.rejects.items():
        yield Finding("warning", entry.name, f"rejected: {code}", n)
    for name, n in ledger.extra.items():
        yield Finding("note", entry.name, f"field without a column, kept in extra: {name}", n)


def _contents(
    connection: duckdb.DuckDBPyConnection, tables: list[str], progress: Progress | None
) -> Iterator[Finding]:
    for name in _told("tables", tables, progress):
        contract = contracts()[name]
        for what, n in _violations(connection, contract):
            yield Finding("error", name, what, n)
    for where, what, query in _REFERENCES:
        ((n,),) = connection.execute(query).fetchall()
        if n:
            yield Finding("error", where, what, n)
    for source, dataset, n in connection.execute(_STRANGERS).fetchall():
        what = f"pictures, none of which is among the images of {dataset}: are they another set's?"
        yield Finding("warning", source, what, n)
    ((n,),) = connection.execute("SELECT count(*) FROM conflicts").fetchall()
    if n:
        what = "records that share a natural key; see the view conflicts"
        yield Finding("warning", "annotations", what, n)


def _records(
    connection: duckdb.DuckDBPyConnection, current: Manifest, progress: Progress | None
) -> Iterator[Finding]:
    """What records say against themselves: each rule is a query in `findings/`."""
    n_records = sum(file.rows for file in current.files_of("annotations"))
    made = {(file.table, file.dataset) for file in current.files}
    if n_records > DERIVED_HERE and not made.issuperset(product(_DERIVED, current.datasets)):
        what = "compare records with their events, in less memory: `abpipe derive audit traces`"
        yield Finding("note", "annotations", what, n_records)
        return
    connection.execute("CREATE TEMP TABLE audit AS FROM audit")  # most rules read it
    yield from compare(connection, progress)


def compare(
    connection: duckdb.DuckDBPyConnection, progress: Progress | None = None
) -> Iterator[Finding]:
    """What records of a store say against themselves, by the tables audit and traces."""
    rules = sorted(files("abpipe").joinpath("findings").iterdir(), key=lambda file: file.name)
    for rule in _told("records", rules, progress):
        query = rule.read_text("utf-8")
        level, _, what = query.partition("\n")[0].removeprefix("-- ").partition(": ")
        found = connection.execute(
            "SELECT dataset, count(*) FILTER (found) AS n, n / count(*),"
            f" min(annotation_id, 3) FILTER (found) FROM ({query}) GROUP BY dataset ORDER BY ALL"
        ).fetchall()
        for dataset, n, share, examples in found:
            if n:
                yield Finding(level, dataset, what, n, share, tuple(examples))


def _violations(
    connection: duckdb.DuckDBPyConnection, contract: Contract
) -> Iterator[tuple[str, int]]:
    """What breaks the promises of a schema, and how many rows do."""
    needed = [c.name for c in contract.columns if not c.null]
    rules = {f"{name} is never NULL": f'"{name}" IS NULL' for name in needed}
    rules |= {f"{c.name}: {c.rule}": f"NOT ({c.rule})" for c in contract.columns if c.rule}
    key = ", ".join(f'"{column}"' for column in ("dataset", *contract.key))
    counts = ", ".join(f"count(*) FILTER (WHERE {rule})" for rule in rules.values()) or "0"
    (broken,) = connection.execute(f"SELECT {counts} FROM {contract.name}").fetchall()
    for promise, n in zip(rules, broken, strict=False):
        if n:
            yield f"breaks its promise: {promise}", n
    ((twice,),) = connection.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM {contract.name} GROUP BY {key} HAVING count(*) > 1)"
    ).fetchall()
    if twice:
        yield f"its key ({key}) is not unique", twice


_OTHER_CATALOG = (
    "missing, edited, or from before the store moved: whoever reads the store next makes it anew"
)
_STRANGERS = """
SELECT source, dataset, count(*)
FROM pictures
LEFT JOIN (SELECT DISTINCT image_id, dataset, true AS known FROM images) USING (image_id, dataset)
WHERE dataset IN (SELECT dataset FROM images)
GROUP BY source, dataset HAVING count(known) = 0 ORDER BY ALL
"""
_REFERENCES = (
    (
        "events",
        "events whose record is not in annotations",
        "SELECT count(*) FROM events"
        " ANTI JOIN annotations USING (annotation_id, image_id, dataset)",
    ),
    (
        "annotations",
        "records whose picture is not in images",
        "SELECT count(*) FROM annotations ANTI JOIN images USING (image_id, source, dataset)",
    ),
    (
        "images",
        "pictures whose n_annotations is not the number of their records",
        "SELECT count(*) FROM images AS i WHERE n_annotations <> ("
        "SELECT count(*) FROM annotations AS a"
        " WHERE (a.image_id, a.source, a.dataset) = (i.image_id, i.source, i.dataset))",
    ),
)
