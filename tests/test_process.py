from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from abpipe.errors import NoOutput

FULL = Path("/dev/full")
TOLD = "error: standard output cannot be written: {}. Send it somewhere else\n"


def abpipe(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "abpipe", *arguments]
    return subprocess.run(line, stderr=subprocess.PIPE, text=True, **options)


@pytest.fixture
def one(
    ingest: Callable[..., Any], pack: Callable[..., Path], real: bytes, store: Path
) -> dict[str, str]:
    """The environment of commands on a store of the real record."""
    ingest(pack("one.xml", [("one.xml", real)]))
    return os.environ | {"ABPIPE_STORE": str(store)}


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize(
    "line",
    [
        ["--help"],
        ["--version"],
        ["info"],
        ["info", "--json"],
        ["check"],
        ["sql", "FROM images"],
        ["sql", "FROM images", "--format", "csv"],
        ["derive", "--explain", "clicks"],
    ],
    ids=" ".join,
)
def test_a_full_disk_behind_standard_output_is_an_error(
    line: list[str], one: dict[str, str]
) -> None:
    with FULL.open("w") as full:
        done = abpipe(*line, stdout=full, env=one)
    assert (done.returncode, done.stderr) == (1, TOLD.format("No space left on device"))


def test_standard_output_that_is_closed_matters_to_who_writes_only(one: dict[str, str]) -> None:
    for line, code in (("info", 1), ("check -q", 0)):
        command = f"{sys.executable} -m abpipe {line} >&-"
        done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, env=one)
        told = TOLD.format("Bad file descriptor") if code else ""
        assert (done.returncode, done.stderr) == (code, told)


def test_the_error_says_why() -> None:
    assert NoOutput("it is full").why == "it is full"


def test_a_shell_completes_commands(tmp_path: Path) -> None:
    home = os.environ | {"HOME": str(tmp_path), "SHELL": "/bin/bash"}
    home |= {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # there may be make's sh above
    done = abpipe("--install-completion", "bash", stdout=subprocess.PIPE, env=home)
    assert done.returncode == 0
    (script,) = (tmp_path / ".bash_completions").iterdir()
    assert "COMP_WORDS" in script.read_text("utf-8")
    assert str(script) in (tmp_path / ".bashrc").read_text("utf-8")
    asked = {"_ABPIPE_COMPLETE": "complete_bash", "COMP_WORDS": "abpipe re", "COMP_CWORD": "1"}
    line = [sys.executable, "-c", "from abpipe.cli import app; app(prog_name='abpipe')"]
    told = subprocess.run(line, capture_output=True, text=True, env=home | asked)
    assert told.stdout.split() == ["report"]
