"""What a block of a source becomes: rows of the raw tables, and counts of what was met.

Readers and parsers both make them, so this stands below `raw/` and `events/`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from abpipe.contents import TABLES
from abpipe.contracts import contracts

RAW_LIMIT = 1 << 20  # a reject keeps its first MiB
INT64 = range(-(1 << 63), 1 << 63)

#: Filled in when rows join a store: a block does not know its source, nor what came before it.
STAMPED = ("source", "reject_no")


class BadRecord(Exception):
    """A record, or a member, that cannot be read; it becomes a row in `rejects`."""

    def __init__(self, code: str, message: str, offset: int = 0) -> None:
        self.code, self.message, self.offset = code, message, offset
        super().__init__(message)


@dataclass
class Batch:
    """The rows of one block of a source, as Arrow tables, with annotation ids from 0.

    `counts` holds the ledger: `members.ok`, `members.junk`, `members.rejected`, `records.total`,
    `records.rejected`, `records.forgotten`, `junk.<reason>`, `rejects.<code>` and `extra.<field>`.
    """

    tables: dict[str, pa.Table]
    counts: Counter[str]

    @property
    def n_annotations(self) -> int:
        """How many annotation ids the batch uses."""
        return self.tables["annotations"].num_rows if "annotations" in self.tables else 0


@dataclass
class Extra:
    """What a row's columns cannot say, by JSON pointer (RFC 6901) within the record."""

    fields: dict[str, Any] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    null: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)

    def copy(self) -> Extra:
        """Another one that says the same, to be added to."""
        return Extra(dict(self.fields), [*self.absent], [*self.null], [*self.empty])

    def json(self) -> str | None:
        """The JSON text for the column `extra`; None if there is nothing to say."""
        said = {name: value for name, value in vars(self).items() if value}
        return dumps(said) if said else None


def dumps(value: Any) -> str:
    """JSON text with sorted keys, so that equal content gives equal text."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


class Lost:
    """Bytes of a reject: their first MiB, their length and their hash, in bounded memory."""

    def __init__(self, data: bytes | memoryview = b"") -> None:
        self.head, self.length, self.digest = b"", 0, hashlib.sha256()
        self.add(data)

    def add(self, data: bytes | memoryview) -> None:
        """Append what follows."""
        self.head += bytes(data[: RAW_LIMIT - len(self.head)])
        self.length += len(data)
        self.digest.update(data)


@dataclass
class Rows:
    """Collects rows one by one, for the parsers that read one record at a time."""

    tables: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {t: [] for t in TABLES})
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, table: str, **row: Any) -> None:
        """Append one row; columns not named are NULL."""
        self.tables[table].append(row)

    def reject(
        self,
        level: str,
        code: str,
        message: str,
        member: str | None,
        offset: int,
        raw: bytes | Lost,
    ) -> None:
        """Append a row to `rejects` and count it."""
        lost = raw if isinstance(raw, Lost) else Lost(raw)
        self.add(
            "rejects",
            member=member,
            offset=offset,
            level=level,
            code=code,
            message=message,
            raw=lost.head,
            raw_bytes=lost.length,
            raw_sha256=lost.digest.hexdigest(),
        )
        self.counts[f"rejects.{code}"] += 1
        if level != "field":
            self.counts[f"{level}s.rejected"] += 1

    def reject_record(
        self, code: str, message: str, member: str | None, offset: int, raw: bytes | Lost
    ) -> None:
        """Reject a record that was not counted yet."""
        self.counts["records.total"] += 1
        self.reject("record", code, message, member, offset, raw)

    def batch(self) -> Batch:
        """The rows so far as Arrow tables."""
        return Batch({name: table(name, rows) for name, rows in self.tables.items()}, self.counts)


def without(rows: pa.Table, annotation_ids: npt.NDArray[np.int64]) -> pa.Table:
    """Rows of annotations or events without those of some records."""
    return rows.filter(pa.array(~np.isin(rows["annotation_id"].to_numpy(), annotation_ids)))


def with_fewer(images: pa.Table, gone: pa.ChunkedArray) -> pa.Table:
    """Rows of images that count records less: one less for each time that `gone` names them."""
    n = Counter(gone.to_pylist())
    left = images["n_annotations"].to_numpy() - np.array(
        [n[name] for name in images["image_id"].to_pylist()], np.int64
    )
    at = images.column_names.index("n_annotations")
    return images.set_column(at, images.schema.field(at), pa.array(left))


@cache
def schema(name: str) -> pa.Schema:
    """The schema of a table as readers fill it: without the columns that a store stamps."""
    full = contracts()[name].schema
    return pa.schema([f for f in full if f.name not in STAMPED])


def table(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    """Rows as an Arrow table of the declared types; columns that a row does not name are NULL."""
    return pa.Table.from_pylist(rows, schema(name))
