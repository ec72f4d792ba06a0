"""Other engines read a store as it is, and agree with DuckDB: counts, floats, lists, NULLs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
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
from abpipe.contracts import contracts
from abpipe.store import Store

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


@pytest.fixture(scope="module")
def expected(place: Path) -> Answer:
    """What DuckDB answers."""
    with abpipe.connect(place / "abstore") as connection:
        found: Answer = connection.execute(SQL.format(length="len")).fetchall()
        return found


def assert_alike(found: Any, expected: Answer) -> None:
    assert len(expected) == 2
    for ours, theirs in zip(expected, found, strict=True):
        assert theirs == (*ours[:2], pytest.approx(ours[2], rel=1e-12), *ours[3:])


@pytest.mark.parametrize("engine", [with_polars, with_pandas, with_pyarrow, with_datafusion])
def test_an_engine_agrees_with_duckdb(
    engine: Callable[[Path], Answer], place: Path, expected: Answer
) -> None:
    assert_alike(engine(place / "abstore" / "traces"), expected)


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


#: What Spark calls the types of the contracts.
SPARK_TYPES = {
    "binary": "binary",
    "bool": "boolean",
    "float64": "double",
    "int32": "int",
    "int64": "bigint",
    "list": "array",
    "string": "string",
}

#: Pictures of each class, and the moves of those who selected them, through two joins.
JOINED = """
SELECT i.dataset, i.class_id, count(DISTINCT i.image_id) AS images, sum(t.n_moves) AS moves
FROM images AS i
JOIN annotations AS a ON a.image_id = i.image_id AND a.dataset = i.dataset
JOIN traces AS t ON t.annotation_id = a.annotation_id AND t.dataset = a.dataset
WHERE a.dataset = 'coco-ab' OR a.selected
GROUP BY i.dataset, i.class_id
"""


@pytest.fixture(scope="module")
def spark(place: Path) -> Iterator[Any]:
    """Spark in one process on loopback, with a view of each table that the store has files of."""
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        pytest.skip("Spark needs Java, and there is none: install a JRE of version 17 or later")
    if find_spec("pyspark") is None:
        pytest.skip("pyspark is not installed: `make test-all` does it")
    from pyspark.sql import SparkSession

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        session = (
            SparkSession.builder.master("local[1]")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.shuffle.partitions", "1")
            .config("spark.sql.warehouse.dir", str(place / "warehouse"))
            .getOrCreate()
        )
    for table in tables(place):
        session.read.parquet(str(place / "abstore" / table)).createOrReplaceTempView(table)
    yield session
    session.stop()


def tables(place: Path) -> list[str]:
    return sorted({file.table for file in Store(place / "abstore").manifest().files})


@pytest.mark.beyond
class TestSpark:
    """Spark, on the folders of the tables as they are."""

    def test_tables_have_the_columns_and_types_of_their_contracts(
        self, spark: Any, place: Path
    ) -> None:
        for table in tables(place):
            declared = {
                column.name: re.sub(r"\w+", lambda word: SPARK_TYPES[word[0]], column.type)
                for column in contracts()[table].columns
            }
            assert dict(spark.table(table).dtypes) == declared | {"dataset": "string"}

    def test_tables_have_the_rows_of_each_dataset(self, spark: Any, place: Path) -> None:
        counts = (f"SELECT '{t}', dataset, count(*) FROM {t} GROUP BY 2" for t in tables(place))
        query = " UNION ALL ".join(counts)
        with abpipe.connect(place / "abstore") as connection:
            expected = connection.execute(query).fetchall()
        assert sorted(map(tuple, spark.sql(query).collect())) == sorted(expected)

    def test_sums_and_lists_are_those_of_duckdb(self, spark: Any, expected: Answer) -> None:
        assert_alike(spark.sql(SQL.format(length="size")).collect(), expected)

    def test_joins_are_those_of_duckdb(self, spark: Any, place: Path) -> None:
        with abpipe.connect(place / "abstore") as connection:
            expected = connection.execute(JOINED).fetchall()
        assert len(expected) > 2
        assert sorted(map(str, map(tuple, spark.sql(JOINED).collect()))) == sorted(
            map(str, expected)
        )
