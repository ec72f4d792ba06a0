from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow.parquet as pq
import pytest

from abpipe.synth import Synthetic, synth

Row: TypeAlias = dict[str, Any]
Told: TypeAlias = Callable[[Synthetic, str], list[Row]]


@pytest.fixture(scope="session")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    return synth(tmp_path_factory.mktemp("imagenet"), count=3000, seed=7, jobs=1)


@pytest.fixture(scope="session")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    return synth(tmp_path_factory.mktemp("coco"), kind="coco", count=1500, seed=7, jobs=1)


@pytest.fixture(scope="session")
def told() -> Told:
    """Reads a table of the truth."""

    def read(made: Synthetic, table: str) -> list[Row]:
        rows: list[Row] = pq.read_table(made.truth / f"{table}.parquet").to_pylist()
        return rows

    return read


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"
