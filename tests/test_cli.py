from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import pyarrow.parquet as pq
import pytest

from abpipe.targets.selection import LARGEST_GRID

Ingest: TypeAlias = Callable[..., Any]
Pack: TypeAlias = Callable[..., Path]
Xml: TypeAlias = Callable[..., bytes]
Run: TypeAlias = Callable[..., tuple[int, str, str]]

LEAN = (
    "import sys, abpipe; print({'torch', 'polars', 'pyarrow', 'duckdb', 'numpy'} & {*sys.modules})"
)


@pytest.fixture
def one(ingest: Callable[..., Any], pack: Callable[..., Path], real: bytes) -> None:
    """The real record in the test's store."""
    ingest(pack("one.xml", [("one.xml", real)]))


def python(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True
    ).stdout


def test_the_package_and_the_help_import_nothing_heavy() -> None:
    assert python("-c", LEAN) == "set()\n"
    assert python("-c", LEAN.replace("import sys, abpipe", "import sys, abpipe.cli")) == "set()\n"


def test_view_is_there_without_an_import_of_its_own() -> None:
    assert python("-c", "import abpipe; print(abpipe.view.show.__name__)") == "show\n"


def test_help_has_a_short_option_for_every_command() -> None:
    for command in ((), ("derive",), ("sql",)):
        assert python("-m", "abpipe", *command, "-h") == python("-m", "abpipe", *command, "--help")


def test_the_version_is_told() -> None:
    assert python("-m", "abpipe", "--version") == "abpipe 0.1.0\n"


@pytest.mark.usefixtures("one")
def test_sql_answers_as_a_table_csv_json_and_parquet(run: Run, tmp_path: Path) -> None:
    query = "SELECT image_id, class_id FROM images"
    assert "n01440764_105" in run("sql", query)[1]
    assert run("sql", query, "--format", "csv") == (
        0,
        "image_id,class_id\nn01440764_105,n01440764\n",
        "",
    )
    code, out, _ = run("sql", query, "--format", "json")
    assert (code, orjson.loads(out)) == (
        0,
        [{"image_id": "n01440764_105", "class_id": "n01440764"}],
    )
    file = tmp_path / "answer.parquet"
    assert run("sql", query, "--format", "parquet", "-o", file)[0] == 0
    assert pq.read_table(file).to_pylist() == orjson.loads(out)


@pytest.mark.usefixtures("one")
def test_sql_refuses_what_it_cannot_do(run: Run) -> None:
    assert run("sql", "SELECT 1", "--format", "parquet") == (
        1,
        "",
        "error: parquet needs a file to be written to: `-o answer.parquet`\n",
    )
    code, out, err = run("sql", "SELECT nothing FROM nowhere")
    assert (code, out) == (1, "")
    assert err.startswith("error: the query failed: Catalog Error: Table with name nowhere")
    assert err.endswith("See the tables: `abpipe sql 'SHOW TABLES'`\n")


@pytest.mark.usefixtures("one")
def test_sql_reads_standard_input_where_there_is_no_terminal(store: Path) -> None:
    line = [sys.executable, "-m", "abpipe", "sql", "--format", "csv", "-s", str(store)]
    done = subprocess.run(
        line, input="CREATE TEMP TABLE t AS SELECT 1 AS a; FROM t;", capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "a\n1\n", "")


@pytest.mark.usefixtures("one")
def test_info_tells_sources_rows_and_coverage(run: Run) -> None:
    code, out, _ = run("info", "--json")
    told = orjson.loads(out)
    assert code == 0
    assert told["rows"] == {
        "imagenet-ab": {
            "annotations": 1,
            "classes": 1000,
            "events": 9,
            "images": 1,
            "objects": 1,
            "pictures": 0,
            "rejects": 0,
        }
    }
    assert told["coverage"]["imagenet-ab"] == {
        "pictures": 1,
        "annotated": 1,
        "with_objects": 1,
        "records": 1,
        "annotators": 1,
        "selected": 1,
        "with_moves": 1,
    }
    assert told["datasets"]["imagenet-ab"]["licence"].startswith("Apache-2.0")
    assert "one.xml" in run("info")[1]


def test_check_is_content_with_a_sound_store(
    run: Run, ingest: Ingest, pack: Pack, xml: Xml
) -> None:
    shown = xml(("<imageWidth>243<", "<imageWidth>324<"))  # published, it repeats the height
    ingest(pack("one.xml", [("one.xml", shown)]))
    assert run("check") == (0, "", "everything is as it should be\n")


def test_ingest_tells_its_ledger_in_json(run: Run, pack: Callable[..., Path], real: bytes) -> None:
    members = [("a.xml", real), ("._a.xml", b"\0\5\x16\7"), ("b.xml", b"<annotation>")]
    code, out, err = run("ingest", pack("some.tar", members), "--json")
    (told,) = orjson.loads(out)
    assert (code, err) == (0, "")
    assert told["source"]["ledger"] == {
        "members": {"total": 3, "ok": 1, "junk": 1, "rejected": 1},
        "records": {"total": 1, "rows": 1, "duplicates": 0, "rejected": 0, "forgotten": 0},
        "junk": {"appledouble": 1},
        "rejects": {"bad-xml": 1},
        "extra": {},
        "conflicts": 0,
    }


def test_wrong_usage_is_exit_code_two(run: Run) -> None:
    assert run("forget")[0] == 2
    assert run("ingest")[0] == 2
    assert run("export", "out", "--heatmap", LARGEST_GRID + 1)[0] == 2


def test_synth_writes_an_archive_and_says_where(tmp_path: Path) -> None:
    out = python("-m", "abpipe", "synth", str(tmp_path / "made"), "-n", "5")
    assert out == f"{tmp_path / 'made' / 'imagenet_ab.tar.gz'}\n"
