"""Ingest beside what a user would do otherwise: whole processes, start-up included, in one run.

Each way runs several times, in turn; the fastest counts. Ratios carry over to other machines,
seconds do not. Peak memory is the proportional set size of all processes together.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cost import cost
from rich.console import Console
from rich.table import Table

from abpipe.synth import synth

HERE = Path(__file__).parent


@dataclass
class Way:
    """One way to read an archive, and how it did."""

    name: str
    command: Sequence[object]
    seconds: float = float("inf")
    peak_mb: float = 0.0


def measure(way: Way, out: Path) -> None:
    """Run a way once, in a clean folder, and take its time."""
    shutil.rmtree(out, ignore_errors=True)
    begin = time.perf_counter()
    subprocess.run([str(part) for part in way.command], check=True, stdout=subprocess.DEVNULL)
    way.seconds = min(way.seconds, time.perf_counter() - begin)


def weigh(way: Way, out: Path) -> None:
    """Run a way once more, and watch its memory: that takes time, so not in a run that is timed."""
    shutil.rmtree(out, ignore_errors=True)
    way.peak_mb = max(way.peak_mb, cost(way.command).peak_mb)


def compare(title: str, ways: list[Way], out: Path, repeat: int) -> None:
    """Run the ways in turn and show them beside the first."""
    for _ in range(repeat):
        for way in ways:
            measure(way, out)
    for way in ways:
        weigh(way, out)
    table = Table(title=title, box=None)
    for column in ("way", "s", f"times {ways[0].name}", "peak MB"):
        table.add_column(column, justify="left" if column == "way" else "right")
    for way in ways:
        ratio = way.seconds / ways[0].seconds
        table.add_row(way.name, f"{way.seconds:.2f}", f"{ratio:.2f}", f"{way.peak_mb:.0f}")
    Console(width=100).print(table)


def main() -> None:
    """Make the archives, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000, help="XML files")
    parser.add_argument("--records", type=int, default=82_765, help="JSON records")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="abpipe-bench-") as folder:
        place, python = Path(folder), Path(sys.executable)
        out = place / "out"
        abpipe = [python, "-m", "abpipe", "ingest", "-q", "-s", out]
        if options.files:
            archive = synth(place / "imagenet", count=options.files).archive
            ways = [
                Way("floor", [python, HERE / "floor.py", archive]),
                Way("abpipe", [*abpipe, archive]),
                Way("abpipe, 1 process", [*abpipe, "-j", "1", archive]),
                Way("plain", [python, HERE / "plain.py", archive, out]),
            ]
            compare(f"ImageNet-AB, {options.files:,} files", ways, out, options.repeat)
        if options.records:
            array = synth(place / "coco", kind="coco", count=options.records).archive
            ways = [
                Way("DuckDB read_json", [python, HERE / "duckdb_json.py", array, out]),
                Way("abpipe", [*abpipe, array]),
                Way("abpipe, 1 process", [*abpipe, "-j", "1", array]),
            ]
            size = array.stat().st_size / 1e6
            compare(
                f"COCO-AB, {options.records:,} records, {size:.0f} MB", ways, out, options.repeat
            )


if __name__ == "__main__":
    main()
