"""The tables and what they promise: read from `schemas/*.toml`, the only place to declare them."""

from __future__ import annotations

import csv
import tomllib
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    import pyarrow as pa


_STAGES = ("events", "derived")
_SQL_TYPES = {
    "binary": "BLOB",
    "bool": "BOOLEAN",
    "float32": "FLOAT",
    "float64": "DOUBLE",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "string": "VARCHAR",
}


@dataclass(frozen=True)
class Column:
    """One column: its type, unit and meaning, and the rule its values keep.

    `encoding` is how it is stored: as values held once and numbered (None; `dictionary` if so in
    memory, too), as differences (`delta`), or as they are (`plain`). Measured: the smaller wins.
    """

    name: str
    type: str
    doc: str
    unit: str | None = None
    null: bool = True
    check: str | None = None
    encoding: str | None = None
    values: tuple[str, ...] = ()

    @property
    def sql_type(self) -> str:
        """The type's name in DuckDB."""
        if self.type.startswith("list<"):
            return replace(self, type=self.type[5:-1]).sql_type + "[]"
        return _SQL_TYPES[self.type]

    @property
    def rule(self) -> str | None:
        """The SQL condition that every value that is not NULL keeps."""
        if self.values:
            return f"{self.name} IN ({', '.join(repr(value) for value in self.values)})"
        return self.check


@dataclass(frozen=True)
class Contract:
    """One table or view.

    `functions` are those of abpipe's own that its query calls. `by` is the column by whose ranges
    the query may run: its rows depend only on rows with equal values there, and on what tables
    without that column say of the same pictures.
    """

    name: str
    stage: str
    doc: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    view: bool = False
    reads: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    by: str | None = None

    @property
    def is_raw(self) -> bool:
        """Whether ingest fills it."""
        return self.stage == "events" and not self.view

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the table's files."""
        import pyarrow as pa

        def arrow(name: str) -> pa.DataType:
            if name.startswith("list<"):
                return pa.list_(arrow(name[5:-1]))
            return pa.type_for_alias(name)

        return pa.schema(
            [pa.field(column.name, arrow(column.type), column.null) for column in self.columns]
        )

    @cached_property
    def memory_schema(self) -> pa.Schema:
        """The schema while rows are written: repeated strings are held once, by number."""
        import pyarrow as pa

        fields = list(self.schema)
        for i, column in enumerate(self.columns):
            if column.encoding == "dictionary":
                fields[i] = fields[i].with_type(pa.dictionary(pa.int32(), fields[i].type))
        return pa.schema(fields)

    def encoded(self, *encodings: str | None) -> list[str]:
        """The columns that are stored in some way: see `Column.encoding`."""
        return [column.name for column in self.columns if column.encoding in encodings]


@dataclass(frozen=True)
class Dataset:
    """What is known of a published dataset; a name of the user's own has only a tool."""

    name: str
    tool: str | None
    title: str | None = None
    archive: str | None = None
    homepage: str | None = None
    licence: str | None = None
    citation: str | None = None


def _folder() -> Traversable:
    """The folder `schemas`: inside the package when installed, at the top of a checkout."""
    packed = files("abpipe") / "schemas"
    return packed if packed.is_dir() else Path(__file__).parents[2] / "schemas"


@cache
def contracts() -> dict[str, Contract]:
    """All tables and views by name, by stage, each after what it reads."""
    names = (entry.name for entry in _folder().iterdir() if entry.name.endswith(".toml"))
    found = {
        name: _contract(name, tomllib.loads((_folder() / f"{name}.toml").read_text("utf-8")))
        for name in sorted(file.removesuffix(".toml") for file in names)
    }

    def depth(contract: Contract) -> int:
        return 1 + max((depth(found[name]) for name in contract.reads), default=0)

    order = sorted(found.values(), key=lambda c: (_STAGES.index(c.stage), depth(c), c.name))
    return {contract.name: contract for contract in order}


def _contract(name: str, toml: dict[str, Any]) -> Contract:
    columns = toml.pop("columns").items()
    return Contract(
        name,
        columns=tuple(Column(c, **_frozen(promise)) for c, promise in columns),
        **_frozen(toml),
    )


def _frozen(toml: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in toml.items()}


@cache
def raw_tables() -> tuple[str, ...]:
    """The names of the tables that ingest fills."""
    return tuple(c.name for c in contracts().values() if c.is_raw)


@cache
def derived_tables() -> tuple[str, ...]:
    """The names of the tables that queries make, each after what it reads."""
    return tuple(c.name for c in contracts().values() if c.stage == "derived" and not c.view)


def dataset(name: str, tool: str | None) -> Dataset:
    """The published dataset of that name, else a bare one with the tool."""
    toml = _folder() / "datasets" / f"{name}.toml"
    if toml.is_file():
        return Dataset(name, **tomllib.loads(toml.read_text("utf-8")))
    return Dataset(name, tool)


@cache
def classes(tool: str) -> tuple[dict[str, Any], ...]:
    """The rows of the table `classes` for one tool, in the fixed order."""
    text = (_folder() / "classes" / f"{tool}.csv").read_text("utf-8")
    return tuple(
        {
            "class_id": row["class_id"],
            "class_index": index,
            "category_id": int(row["category_id"]) if row["category_id"] else None,
            "name": row["name"],
        }
        for index, row in enumerate(csv.DictReader(text.splitlines()))
    )
