"""The truth beside an archive: what every reader should find in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from abpipe.synth.people import Ids


class Image(NamedTuple):
    """A picture of the archive."""

    image_id: str
    class_id: str | None
    width: int
    height: int
    n_annotations: int


class Annotation(NamedTuple):
    """A record: one annotator who was shown one picture. `style` says what was acted."""

    image_id: str
    annotator_id: str
    assignment_id: str | None
    tool_hit_id: str
    page: int
    slot: int | None
    selected: bool | None
    style: str
    n_moves: int
    n_visits: int | None
    n_actions: int
    """Clicks that selected, or entries of COCO-AB's actionHistories."""
    estimate_ms: int | None
    time_spent_ms: int | None


class Annotator(NamedTuple):
    """A person who has records; `manner` is honest, or one of the ways to cheat."""

    annotator_id: str
    manner: str


class Click(NamedTuple):
    """The answer: a record's final click, or the final place of one of its icons.

    `x`, `y` are fractions of the displayed picture, as recorded.
    """

    image_id: str
    annotator_id: str
    label: str
    x: float | None
    y: float | None
    t_ms: int


class Object(NamedTuple):
    """A thing on a picture, in pixels of the original; `published` if the archive says so."""

    image_id: str
    label: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    published: bool


class Planted(NamedTuple):
    """A defect: what is wrong with a picture's record, and what a right reader does.

    `level` is what such a reader rejects; `intact` says whether the other tables still tell what
    it finds of the picture.
    """

    member: str | None
    image_id: str
    code: str
    level: str
    message: str
    intact: bool


_TYPES = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}


def _schema(row: type) -> pa.Schema:
    return pa.schema(
        [(name, _TYPES[type_.removesuffix(" | None")]) for name, type_ in _hints(row).items()]
    )


def _hints(row: type) -> dict[str, str]:
    return {
        name: hint if isinstance(hint, str) else hint.__forward_arg__
        for name, hint in row.__annotations__.items()
    }


@dataclass
class Truth:
    """The truth about one chunk, as rows."""

    annotators: list[Annotator] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    annotations: list[Annotation] = field(default_factory=list)
    clicks: list[Click] = field(default_factory=list)
    objects: list[Object] = field(default_factory=list)
    defects: list[Planted] = field(default_factory=list)

    def tables(self) -> dict[str, pa.Table]:
        """The rows as Arrow tables."""
        return {name: _table(getattr(self, name), schema) for name, schema in TABLES.items()}


#: The schemas of the truth's files.
TABLES = {
    "annotators": _schema(Annotator),
    "images": _schema(Image),
    "annotations": _schema(Annotation),
    "clicks": _schema(Click),
    "objects": _schema(Object),
    "defects": _schema(Planted),
}


def annotators(ids: Ids, manner: Ids) -> list[Annotator]:
    """One row a person, given the person and the manner of every record."""
    found, first = np.unique(ids, return_index=True)
    people = zip(found.astype(str).tolist(), manner[first].astype(str).tolist(), strict=True)
    return [Annotator(*person) for person in people]


def _table(rows: list[Any], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    arrays = [pa.array(c, field.type) for c, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


class TruthWriter:
    """Writes `<table>.parquet` files, a chunk at a time."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.rows = dict.fromkeys(TABLES, 0)
        self._waiting: dict[str, list[pa.Table]] = {name: [] for name in TABLES}
        self._writers = {
            name: pq.ParquetWriter(folder / f"{name}.parquet", schema, compression="zstd")
            for name, schema in TABLES.items()
        }

    def write(self, chunk: Mapping[str, pa.Table]) -> None:
        """Append the rows of one chunk; row groups hold some 100,000 rows."""
        for name, table in chunk.items():
            self.rows[name] += table.num_rows
            self._waiting[name].append(table)
            if sum(t.num_rows for t in self._waiting[name]) > 100_000:
                self._flush(name)

    def close(self) -> None:
        """Finish the files."""
        for name, writer in self._writers.items():
            self._flush(name)
            writer.close()

    def _flush(self, name: str) -> None:
        if self._waiting[name]:
            self._writers[name].write_table(pa.concat_tables(self._waiting[name]).combine_chunks())
            self._waiting[name] = []
