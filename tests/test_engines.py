"""Other engines read a store as it is, and agree with DuckDB: counts, floats, lists, NULLs."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

import abpipe

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
SAMPLES = ("data/imagenet/imagenet_ab.tar.gz", "data/coco/coco_ab.json")

#: Of each dataset: rows of traces, their length, their corners, and how many have no curvature.
Answer: TypeAlias = list[tuple[str, int, float, int, int]]

SQL = """
SELECT
    dataset, count(*), sum(total_dist), sum({length}(hull_x)),
    count(*) - count(sample_entropy)
FROM traces GROUP BY dataset ORDER BY dataset
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of both samples, derived."""
    folder = tmp_path_factory.mktemp("place")
    store = folder / "abstore"
    abpipe.ingest(*(ROOT / sample for sample in SAMPLES), store=store, jobs=1)
    abpipe.derive("traces", store=store, jobs=1)
    return folder


def with_polars(traces: Path) -> Answer:
    found = (
        pl.scan_parquet(traces, hive_schema={"dataset": pl.String})
        .group_by("dataset")
        .agg(
            pl.len(),
            pl.col("total_dist").sum(),
            pl.col("hull_x").list.len().sum().alias("corners"),
            pl.col("sample_entropy").null_count().alias("missing"),
        )
        .sort("dataset")
    )
    return found.collect().rows()


def with_pandas(traces: Path) -> Answer:
    found = pd.read_parquet(traces)
    groups = found.groupby(found["dataset"].astype(str))
    return [
        (
            name,
            len(group),
            float(group["total_dist"].sum()),
            int(group["hull_x"].str.len().sum()),
            int(group["sample_entropy"].isna().sum()),
        )
        for name, group in groups
    ]


def with_pyarrow(traces: Path) -> Answer:
    partitioning = ds.HivePartitioning.discover(infer_dictionary=True)
    whole = ds.dataset(traces, partitioning=partitioning)
    answer = []
    for name in ("coco-ab", "imagenet-ab"):
        found = whole.to_table(filter=ds.field("dataset") == name)
        answer.append(
            (
                name,
                found.num_rows,
                pc.sum(found["total_dist"]).as_py(),
                pc.sum(pc.list_value_length(found["hull_x"])).as_py(),
                found["sample_entropy"].null_count,
            )
        )
    return answer


def with_datafusion(traces: Path) -> Answer:
    from datafusion import SessionContext

    context = SessionContext()
    partitions = [("dataset", pa.string())]
    context.register_parquet("traces", str(traces), table_partition_cols=partitions)
    found = context.sql(SQL.format(length="array_length")).to_pylist()
    return [tuple(row.values()) for row in found]


@pytest.mark.parametrize("engine", [with_polars, with_pandas, with_pyarrow, with_datafusion])
def test_an_engine_agrees_with_duckdb(engine: Callable[[Path], Answer], place: Path) -> None:
    with abpipe.connect(place / "abstore") as connection:
        expected = connection.execute(SQL.format(length="len")).fetchall()
    assert len(expected) == 2
    found = engine(place / "abstore" / "traces")
    for ours, theirs in zip(expected, found, strict=True):
        assert theirs == (*ours[:2], pytest.approx(ours[2], rel=1e-12), *ours[3:])


@pytest.mark.beyond
@pytest.mark.parametrize("catalog", ["pyiceberg", "deltalake"])
def test_a_lakehouse_takes_the_files_as_they_are(catalog: str, place: Path) -> None:
    if find_spec(catalog) is None:
        pytest.skip(f"{catalog} is not installed: `make test-all` does it")
    (code,) = re.findall(rf"^```python {catalog}\n(.*?)^```", README, re.M | re.S)
    ran: Any = subprocess.run(
        [sys.executable, "-c", code], cwd=place, capture_output=True, text=True, check=True
    )
    with abpipe.connect(place / "abstore") as connection:
        query = "SELECT count(*) FROM events WHERE dataset = 'imagenet-ab'"
        ((events,),) = connection.execute(query).fetchall()
    assert ran.stdout == f"{events}\n"
