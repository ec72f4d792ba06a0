"""The README says what is so: its queries and code run, its lists are complete."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

import abpipe
from abpipe.cli import app
from abpipe.contracts import contracts

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
SAMPLES = ("data/imagenet/imagenet_ab.tar.gz", "data/coco/coco_ab.json")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a checkout after `make demo`: the samples, and a store of both."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "data").symlink_to(ROOT / "data")
    abpipe.ingest(*(ROOT / sample for sample in SAMPLES), store=folder / "abstore", jobs=1)
    return folder


@pytest.mark.parametrize("query", blocks("sql"))
def test_each_question_has_an_answer_on_the_samples(query: str, place: Path) -> None:
    with abpipe.connect(place / "abstore") as connection:
        assert connection.execute(query).fetchall()


def test_there_are_ten_questions() -> None:
    assert len(re.findall(r"^\*\*\d+\. ", README, re.M)) == 10


@pytest.mark.parametrize("code", blocks("python"))
def test_each_piece_of_python_runs(code: str, place: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=place, capture_output=True, text=True
    )
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("name, command", get_command(app).commands.items())  # type: ignore[attr-defined]
def test_every_command_has_help_and_is_in_the_readme(name: str, command: object) -> None:
    assert getattr(command, "help", None)
    assert f"abpipe {name}" in README


def test_the_generated_parts_are_up_to_date() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "cogapp", "--check", "README.md"], cwd=ROOT, capture_output=True
    )
    assert checked.returncode == 0, "run `make docs`"


def test_the_targets_that_the_readme_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in set(re.findall(r"`?make ([a-z-]+)", README)):
        assert f"\n{target}:" in makefile


def test_the_pictures_are_there_small_and_described_and_can_be_made_anew() -> None:
    shown = re.findall(r'<img src="([^"]+)" width="\d+" alt="([^"]{30,})">', README)
    assert len(shown) == README.count("<img") > 0
    recipe = (ROOT / "Makefile").read_text("utf-8").split("\npictures:")[1].split("\n\n")[0]
    assert {path for path, _ in shown} == {*re.findall(r"-o (\S+)", recipe)}
    assert sum((ROOT / path).stat().st_size for path, _ in shown) < 300_000


def test_every_number_has_a_unit_and_every_column_a_meaning() -> None:
    for contract in contracts().values():
        for column in contract.columns:
            is_number = re.search(r"int|float", column.type) is not None
            assert column.doc, f"{contract.name}.{column.name}"
            assert column.unit or not is_number, f"{contract.name}.{column.name}"


#: Runs each script with `--help`, in one process: torch takes seconds to import.
HELP = """
import runpy, sys
paths = sys.argv[1:]
for path in paths:
    sys.argv = [path, "--help"]
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as end:
        assert not end.code, path
print("helped with", len(paths))
"""


def test_the_benchmarks_still_import() -> None:
    pytest.importorskip("torch", reason="torch is an extra")
    paths = sorted(map(str, (ROOT / "tests" / "bench").glob("*.py")))
    told = subprocess.run(
        [sys.executable, "-c", HELP, *paths], check=True, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests" / "bench")},
    )  # fmt: skip
    assert told.stdout.endswith(f"helped with {len(paths)}\n")
