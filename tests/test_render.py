from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pty = pytest.importorskip("pty", reason="there are no terminals here")

Run = Callable[..., tuple[int, str, str]]
COLOUR = re.compile(r"\x1b\[(?:3[0-7]|38;5;\d+|9[0-7])m")


@pytest.fixture
def bad(ingest: Callable[..., Any], pack: Callable[..., Path], xml: Callable[..., bytes]) -> None:
    """A store with a warning and rejects."""
    members = [(f"n01440764_{n}.xml", xml(name=f"n01440764_{n}")) for n in range(12)]
    ingest(pack("some_long_name_of_an_archive.tar", [*members, ("bad.xml", b"<annotation>")]))


@pytest.mark.usefixtures("bad")
@pytest.mark.parametrize("width", [80, 100, 160])
def test_tables_fit_the_width_and_numbers_stay_whole(
    run: Run, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for command in ("info", "check"):
        lines = run(command)[1].splitlines()
        assert max(map(len, lines)) <= width
    words = [line.split() for line in run("info")[1].splitlines()]
    sums = ["13", "12", "0", "1"], ["12", "12", "0", "0", "0"]
    ends = (sums[0] + sums[1],) if width == 160 else sums
    for end in ends:
        assert any(line[-len(end) :] == end for line in words)


def terminal(*arguments: str, **environment: str) -> str:
    """What a command shows on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    line = [sys.executable, "-m", "abpipe", *arguments]
    env = os.environ | {"TERM": "xterm-256color", "COLUMNS": "80"} | environment
    with subprocess.Popen(line, stdin=theirs, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # it has ended
            while some := os.read(ours, 1 << 16):
                shown += some
    os.close(ours)
    assert process.returncode == 0
    return shown.decode()


@pytest.mark.usefixtures("bad")
def test_colours_are_for_terminals_and_who_wants_them(run: Run, store: Path) -> None:
    assert "\x1b" not in run("check")[1]
    assert COLOUR.search(terminal("check", "-s", str(store)))
    assert not COLOUR.search(terminal("check", "-s", str(store), NO_COLOR="1"))


def test_long_work_shows_rate_and_time_left(tmp_path: Path) -> None:
    shown = COLOUR.sub("", terminal("synth", str(tmp_path / "made"), "-n", "300", COLUMNS="100"))
    assert re.search(r"300/300\S* +\S*\d/s\S* +\S*\d:\d\d:\d\d", shown)
