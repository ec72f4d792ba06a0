from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import abpipe
from abpipe import progress

Ingest = Callable[..., Any]
Pack = Callable[..., Path]
Xml = Callable[..., bytes]


class Told:
    """Keeps what progress was told of."""

    def __init__(self) -> None:
        self.last: dict[str, tuple[int, int]] = {}

    def __call__(self, name: str, total: int, done: int) -> None:
        assert self.last.get(name, (total, 0))[1] <= done <= total
        self.last[name] = total, done


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which stands still unless a test changes it."""
    now = [0.0]
    monkeypatch.setattr("abpipe.progress.time.monotonic", lambda: now[0])
    return now


def test_elsewhere_a_line_now_and_then_tells_rate_and_time_left(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.weighed(False) as read, progress.counted("synth", 8000, False) as made:
        assert read and made
        for clock[0] in range(1, 13):
            read("a.tar", 100_000_000, int(clock[0]) * 5_000_000)
            made(100)
    assert capsys.readouterr().err == (
        "a.tar: 50% of 100 MB, 5.0 MB/s, 10 s left\nsynth: 12% of 8,000, 100/s, 70 s left\n"
    )


def test_quiet_is_quiet() -> None:
    for context in (progress.weighed(True), progress.stepped(True), progress.watched(True)):
        with context as told:
            assert told is None


def test_check_and_forget_tell_how_far_they_are(
    ingest: Ingest, pack: Pack, xml: Xml, store: Path
) -> None:
    source = pack("a.tar", [(f"{n}.xml", xml(name=f"n01440764_{n}")) for n in range(3)])
    ingest(source)
    told = Told()
    abpipe.check(store=store, progress=told)
    assert [*told.last] == ["files", "tables", "records"]
    assert all(total == done > 0 for total, done in told.last.values())
    told = Told()
    abpipe.check(source, jobs=1, progress=told)
    assert told.last == {"a.tar": (source.stat().st_size, source.stat().st_size)}
    told = Told()
    abpipe.forget(store, annotator="47DBDD543E", progress=told)
    assert told.last["annotations"] == (3, 3)
    assert told.last["events"][0] == told.last["events"][1] == 27


def test_training_tells_its_news(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def tell() -> str:
        with progress.trained(False) as told:
            assert told
            told("luab", 4, 1, "")
            told("luab", 4, 2, "epoch 1, loss 2.000")
            told("luab", 4, 4, "")
        return capsys.readouterr().err

    assert tell() == "luab: epoch 1, loss 2.000\n"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    on_a_terminal = tell()
    assert "luab" in on_a_terminal and "4/4" in on_a_terminal
    assert "epoch 1, loss 2.000" in on_a_terminal
    with progress.trained(True) as quiet:
        assert quiet is None
