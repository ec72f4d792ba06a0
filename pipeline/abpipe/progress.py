"""Talk while work goes on, to standard error: bars on a terminal, a line now and then elsewhere.

rich is imported only where there is a bar to draw.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from abpipe.events.ingest import Progress

EVERY_S = 10


def say(message: str) -> None:
    """Write a line of talk."""
    sys.stderr.write(f"{message}\n")


@contextmanager
def counted(what: str, total: int, quiet: bool) -> Iterator[Callable[[int], None] | None]:
    """A bar that counts to a total, on a terminal only; it is told of each few more."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn

    with _bars(BarColumn(), MofNCompleteColumn()) as bars:
        task = bars.add_task(what, total=total)
        yield lambda made: bars.advance(task, made)


@contextmanager
def weighed(quiet: bool) -> Iterator[Progress | None]:
    """A bar for each source with rate and time left; elsewhere a line now and then."""
    if quiet:
        yield None
        return
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.progress import BarColumn, DownloadColumn, TransferSpeedColumn

    with _bars(BarColumn(), DownloadColumn(), TransferSpeedColumn()) as bars:
        yield _each(bars)


@contextmanager
def stepped(quiet: bool) -> Iterator[Progress | None]:
    """A bar for each table with its steps and time left; elsewhere a line for each."""
    if quiet:
        yield None
        return
    if not sys.stderr.isatty():
        yield lambda name, total, done: say(f"{name}: done") if done == total else None
        return
    from rich.progress import BarColumn, MofNCompleteColumn

    with _bars(BarColumn(), MofNCompleteColumn()) as bars:
        yield _each(bars)


def _each(bars: Any) -> Progress:
    """A bar for each name that is told of."""
    tasks: dict[str, Any] = {}

    def advance(name: str, total: int, done: int) -> None:
        if name not in tasks:
            tasks[name] = bars.add_task(name, total=total)
        bars.update(tasks[name], total=total, completed=done)

    return advance


def _bars(*columns: Any) -> Any:
    from rich.console import Console
    from rich.progress import Progress, TextColumn, TimeRemainingColumn

    name = TextColumn("{task.description}", markup=False)
    return Progress(name, *columns, TimeRemainingColumn(), console=Console(stderr=True))


class _Lines:
    """Progress where there is no terminal."""

    def __init__(self) -> None:
        self._begin = self._last = time.monotonic()

    def __call__(self, source: str, size: int, done: int) -> None:
        now = time.monotonic()
        if now - self._last >= EVERY_S:
            self._last = now
            rate = done / (now - self._begin) / 1e6
            say(f"{source}: {done / max(size, 1):.0%} of {size / 1e6:,.0f} MB, {rate:.0f} MB/s")
