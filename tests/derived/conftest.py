from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa
import pytest

import abpipe
from abpipe.contracts import Contract, classes, contracts
from abpipe.derived.registry import register
from abpipe.lineage import macros, needed, sql

ROOT = Path(__file__).parents[2]
SAMPLES = (ROOT / "data/imagenet/imagenet_ab.tar.gz", ROOT / "data/coco/coco_ab.json")

Rows: TypeAlias = list[tuple[Any, ...]]
Ask: TypeAlias = Callable[..., Rows]

#: What a row of a raw table holds unless a test says otherwise.
DEFAULTS: dict[str, dict[str, Any]] = {
    "annotations": {
        "annotation_id": 1,
        "image_id": "n1_1",
        "annotator_id": "a",
        "tool": "imagenet",
    },
    "events": {"annotation_id": 1, "image_id": "n1_1", "seq": 0},
    "images": {"image_id": "n1_1", "class_id": "n1", "n_annotations": 1},
    "objects": {"image_id": "n1_1", "object_no": 0},
    "pictures": {"image_id": "n1_1", "path": "1.jpg"},
}


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of both samples that all tests share: copy it to change it."""
    store = tmp_path_factory.mktemp("samples") / "store"
    abpipe.ingest(*SAMPLES, store=store, jobs=1)
    return store


@pytest.fixture
def both(samples: Path, store: Path) -> Path:
    """A store of both samples."""
    return Path(shutil.copytree(samples, store))


@pytest.fixture(scope="session")
def ask() -> Iterator[Ask]:
    """Answers SQL on raw tables of a few rows, given as dicts, and all that derives from them.

    Columns that a row does not name have the values of DEFAULTS, or are NULL. Classes are those of
    the first record's tool.
    """
    with duckdb.connect() as connection:
        connection.execute(macros())
        register(connection)
        raw = {name: contract for name, contract in contracts().items() if contract.is_raw}
        for name, contract in raw.items():
            connection.register(name, arrow(contract, []))
        for name in contracts():
            if name not in raw:
                connection.execute(f"CREATE OR REPLACE VIEW {name} AS {sql(name)}")

        def answer(query: str, **tables: list[dict[str, Any]]) -> Rows:
            tools = [row.get("tool", "imagenet") for row in tables.get("annotations", ())]
            for name, contract in raw.items():
                connection.register(name, arrow(contract, tables.get(name, [])))
            if "classes" not in tables:
                connection.register("classes", classes_of(tools[0] if tools else "imagenet"))
            found: Rows = connection.execute(query).fetchall()
            return found

        yield answer


@pytest.fixture
def given() -> Iterator[Ask]:
    """Answers SQL on one derived table, out of given rows of the tables that it reads.

    Tables that are not given derive from those that are, or are empty.
    """
    with duckdb.connect() as connection:
        connection.execute(macros())
        register(connection)

        def answer(table: str, query: str, **tables: list[dict[str, Any]]) -> Rows:
            for name in needed([table]):
                contract = contracts()[name]
                if name in tables or contract.is_raw:
                    connection.register(name, arrow(contract, tables.get(name, [])))
                else:
                    connection.execute(f"CREATE OR REPLACE VIEW {name} AS {sql(name)}")
            found: Rows = connection.execute(query).fetchall()
            return found

        yield answer


def arrow(contract: Contract, rows: list[dict[str, Any]]) -> pa.Table:
    given = {"dataset": "d", "source": "s"} | DEFAULTS.get(contract.name, {})
    schema = contract.schema.append(pa.field("dataset", pa.string()))
    return pa.Table.from_pylist([given | row for row in rows], schema)


@cache
def classes_of(tool: str) -> pa.Table:
    return arrow(contracts()["classes"], [*classes(tool)])
