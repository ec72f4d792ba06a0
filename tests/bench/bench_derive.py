"""Derive at growing sizes: time and peak memory of each table, beside pandas and a shapely loop.

Each table is made in a process of its own, start-up included, after what it reads. The loop runs on
a part of the records, and its time is extrapolated to all of them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from abpipe.contracts import derived_tables
from abpipe.store import Store
from abpipe.synth import synth

HERE = Path(__file__).parent
CORE = ("image_sizes", "clicks", "icons", "visits", "traces", "boxes", "image_targets")


@dataclass(frozen=True)
class Cost:
    """What a process took."""

    seconds: float
    peak_mb: float


def derive(store: Path, *arguments: object) -> Cost:
    """Run `abpipe derive` once."""
    line = [sys.executable, "-m", "abpipe", "derive", "-q", "-s", store, *arguments]
    begin = time.perf_counter()
    process = subprocess.Popen([str(part) for part in line])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(process.returncode)
    return Cost(time.perf_counter() - begin, usage.ru_maxrss / 1e3)


def make(store: Path, archive: Path) -> None:
    """Ingest an archive into a new store."""
    line = [sys.executable, "-m", "abpipe", "ingest", "-q", "-s", str(store), str(archive)]
    subprocess.run(line, check=True)


def plain(store: Path, part: int) -> float:
    """The loop's seconds for a million records."""
    line = [sys.executable, str(HERE / "plain_derive.py"), str(store), str(part)]
    records, seconds = subprocess.run(line, check=True, capture_output=True).stdout.split()
    return float(seconds) / int(records) * 1e6


def main() -> None:
    """Make a store of each size, derive it, and show how the cost grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--archive", type=Path, help="an archive to use as the largest size")
    parser.add_argument("--part", type=int, default=4000, help="records for the loop (0: none)")
    options = parser.parse_args()
    costs: list[dict[str, Cost]] = []
    with tempfile.TemporaryDirectory(prefix="abpipe-bench-") as folder:
        place = Path(folder)
        archives = [synth(place / str(size), count=size).archive for size in options.sizes]
        archives += [options.archive] if options.archive else []
        for number, archive in enumerate(archives):
            store = place / f"store{number}"
            make(store, archive)
            cost = {name: derive(store, name) for name in derived_tables()}
            other = place / f"again{number}"
            make(other, archive)
            costs.append(cost | {"all at once": derive(other)})
        records = [records_of(place / f"store{n}") for n in range(len(archives))]
        show(costs, records)
        if options.part:
            compare(costs[-1], records[-1], plain(store, options.part), options.part)


def records_of(store: Path) -> int:
    """How many records a store has."""
    return sum(file.rows for file in Store(store).manifest().files_of("annotations"))


def show(costs: list[dict[str, Cost]], records: list[int]) -> None:
    """Seconds and peak memory by table and number of records."""
    table = Table(title="abpipe derive: seconds (peak MB)", box=None)
    table.add_column("table")
    for n in records:
        table.add_column(f"{n:,} records", justify="right")
    for name in costs[0]:
        cells = (f"{cost[name].seconds:.1f} ({cost[name].peak_mb:.0f})" for cost in costs)
        table.add_row(name, *cells)
    Console(width=100).print(table)


def compare(cost: dict[str, Cost], records: int, loop: float, part: int) -> None:
    """The core tables beside the loop."""
    ours = sum(cost[name].seconds for name in CORE if name in cost)
    theirs = loop * records / 1e6
    Console(width=100).print(
        f"core tables, {records:,} records: {ours:.1f} s; pandas and a shapely loop: {theirs:.0f} s"
        f" (extrapolated from {part:,} records): {theirs / ours:.0f} times slower"
    )


if __name__ == "__main__":
    main()
