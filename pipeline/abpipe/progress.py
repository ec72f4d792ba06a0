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
    """A bar that counts to a total, with rate and time left; it is told of each few more."""
    with watched(quiet) as progress:
        done = 0

        def more(made: int) -> None:
            nonlocal done
            done += made
            if progress:
                progress(what, total, done)

        yield more if progress else None


@contextmanager
def weighed(quiet: bool) -> Iterator[Progress | None]:
    """A bar for each source with rate and time left; elsewhere a line now and then."""
    if quiet:
        yield None
        return
    if not sys.stderr.isatty():
        yield _Lines(" MB", 1e6)
        return
    from rich.progress import BarColumn, DownloadColumn, TransferSpeedColumn

    with _bars(BarColumn(), DownloadColumn(), TransferSpeedColumn()) as bars:
        yield _each(bars)


@contextmanager
def stepped(quiet: bool) -> Iterator[Progress | None]:
    """A bar for each table with its steps and time left; elsewhere a line for each."""
    with watched(quiet) as progress:
        if isinstance(progress, _Lines):
            yield lambda name, total, done: say(f"{name}: done") if done == total else None
        else:
            yield progress


@contextmanager
def watched(quiet: bool) -> Iterator[Progress | None]:
    """A bar for each name with rate and time left; elsewhere a line now and then."""
    if quiet:
        yield None
        return
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task
    from rich.text import Text

    class Rate(ProgressColumn):
        """Steps a second; rich has one for bytes only."""

        def render(self, task: Task) -> Text:
            rate = task.finished_speed or task.speed
            if not rate and task.elapsed:  # one step so far
                rate = task.completed / task.elapsed
            return Text(f"{_rounded(rate)}/s" if rate else "")

    with _bars(BarColumn(), MofNCompleteColumn(), Rate()) as bars:
        yield _each(bars)


def _rounded(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


@contextmanager
def trained(quiet: bool) -> Iterator[Callable[[str, int, int, str], None] | None]:
    """A bar for each method with its steps and what is new; elsewhere a line for each news."""
    if quiet:
        yield None
        return
    if not sys.stderr.isatty():
        yield lambda name, total, done, news: say(f"{name}: {news}") if news else None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

    with _bars(BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[news]}")) as bars:
        tasks: dict[str, Any] = {}

        def advance(name: str, total: int, done: int, news: str) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total, news="")
            told = {"news": news} if news else {}
            bars.update(tasks[name], completed=done, **told)

        yield advance


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
    """Progress where there is no terminal; a unit, with a space before it, is of so many steps."""

    def __init__(self, unit: str = "", size: float = 1) -> None:
        self._unit, self._size = unit, size
        self._begin = self._last = time.monotonic()

    def __call__(self, name: str, total: int, done: int) -> None:
        now = time.monotonic()
        if now - self._last >= EVERY_S:
            self._last = now
            rate = done / (now - self._begin)
            told = f"{name}: {done / max(total, 1):.0%} of {total / self._size:,.0f}{self._unit}"
            told += f", {_rounded(rate / self._size)}{self._unit}/s"
            say(f"{told}, {(total - done) / rate:,.0f} s left" if rate else told)
