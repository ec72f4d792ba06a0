"""Ingest at growing sizes up to the full one: time, time a file, peak memory and size on disk."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bench_ingest import HERE, Way, measure, weigh
from rich.console import Console
from rich.table import Table

from abpipe.synth import synth


def main() -> None:
    """Make archives of each size, ingest them, and show how the cost grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_274_843])
    options = parser.parse_args()
    table = Table(title="ImageNet-AB by number of files", box=None)
    for column in (
        "files",
        "archive MB",
        "floor s",
        "ingest s",
        "µs a file",
        "peak MB",
        "store MB",
    ):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory(prefix="abpipe-bench-") as folder:
        place, python = Path(folder), Path(sys.executable)
        for size in options.sizes:
            archive = synth(place / str(size), count=size).archive
            floor = Way("floor", [python, HERE / "floor.py", archive])
            ingest = [python, "-m", "abpipe", "ingest", "-q", "-s", place / "store", archive]
            way = Way("abpipe", ingest)
            for one in (floor, way):
                measure(one, place / "store")
            weigh(way, place / "store")
            stored = sum(f.stat().st_size for f in (place / "store").rglob("*.parquet"))
            table.add_row(
                f"{size:,}",
                f"{archive.stat().st_size / 1e6:.0f}",
                f"{floor.seconds:.2f}",
                f"{way.seconds:.2f}",
                f"{way.seconds / size * 1e6:.1f}",
                f"{way.peak_mb:.0f}",
                f"{stored / 1e6:.0f}",
            )
            archive.unlink()
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
