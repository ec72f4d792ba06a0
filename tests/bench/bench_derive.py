"""Derive at growing sizes: time and peak memory of each table, beside pandas and a shapely loop.

Each table is made in a process of its own, start-up included, after what it reads; then those at
the core, all, and all with 1 GiB for DuckDB, whose content must be the same. The loop runs on a
part of the records, and its time is extrapolated to all of them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from cost import Cost, abpipe
from rich.console import Console
from rich.table import Table

from abpipe.catalog import connect
from abpipe.contracts import derived_tables
from abpipe.store import Store
from abpipe.synth import synth

HERE = Path(__file__).parent
CORE = ("image_sizes", "clicks", "icons", "visits", "traces", "boxes", "image_targets")
AT_ONCE, ALL, LITTLE = "core at once", "all at once", "all at once, 1 GiB"
WAYS = {AT_ONCE: CORE, ALL: (), LITTLE: ("--memory", "1024")}


def make(store: Path, archive: Path) -> None:
    """Ingest an archive into a new store."""
    line = [sys.executable, "-m", "abpipe", "ingest", "-q", "-s", str(store), str(archive)]
    subprocess.run(line, check=True)


def plain(store: Path, part: int) -> tuple[float, float]:
    """The loop's seconds for a record, by the clock and of the processor."""
    line = [sys.executable, str(HERE / "plain_derive.py"), str(store), str(part)]
    records, *seconds = subprocess.run(line, check=True, capture_output=True).stdout.split()
    clock, cpu = (float(s) / int(records) for s in seconds)
    return clock, cpu


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
            cost = {name: abpipe("derive", name, "-s", store, "-q") for name in derived_tables()}
            for name, arguments in WAYS.items():
                other = place / f"{name}{number}"
                make(other, archive)
                cost[name] = abpipe("derive", *arguments, "-s", other, "-q")
            costs.append(cost)
            alike(place / f"{ALL}{number}", place / f"{LITTLE}{number}")
        records = [records_of(place / f"store{n}") for n in range(len(archives))]
        show(costs, records)
        if options.part:
            compare(costs[-1][AT_ONCE], records[-1], plain(store, options.part), options.part)


def alike(one: Path, other: Path) -> None:
    """End the benchmark if two stores do not hold the same rows, whatever their order."""
    for name in derived_tables():
        query = f"SELECT count(*), sum(hash({name})::HUGEINT) FROM {name}"
        with connect(one) as here, connect(other) as there:
            if here.execute(query).fetchall() != there.execute(query).fetchall():
                raise SystemExit(f"{name}: other content with 1 GiB for DuckDB")


def records_of(store: Path) -> int:
    """How many records a store has."""
    return sum(file.rows for file in Store(store).manifest().files_of("annotations"))


def show(costs: list[dict[str, Cost]], records: list[int]) -> None:
    """Seconds and peak memory by table and number of records."""
    table = Table(title="abpipe derive: seconds (of the processors; peak MB)", box=None)
    table.add_column("table")
    for n in records:
        table.add_column(f"{n:,} records", justify="right")
    for name in costs[0]:
        row = [cost[name] for cost in costs]
        table.add_row(
            name, *(f"{c.seconds:.1f} ({c.cpu_seconds:.1f}; {c.peak_mb:.0f})" for c in row)
        )
    Console(width=100).print(table)


def compare(core: Cost, records: int, loop: tuple[float, float], part: int) -> None:
    """The core tables beside the loop, which does less, extrapolated."""
    table = Table(title=f"Core tables, {records:,} records", box=None)
    for column in ("way", "s", "s of the processors"):
        table.add_column(column, justify="left" if column == "way" else "right")
    ours = core.seconds, core.cpu_seconds
    theirs = loop[0] * records, loop[1] * records
    table.add_row("abpipe", *(f"{s:.1f}" for s in ours))
    table.add_row(f"pandas and a shapely loop (from {part:,})", *(f"{s:.0f}" for s in theirs))
    table.add_row("times", *(f"{b / a:.1f}" for a, b in zip(ours, theirs, strict=True)))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
