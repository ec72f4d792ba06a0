"""The whole chain at growing sizes up to the full one: what each step costs, in one table a size.

Each step is a process of its own, start-up included. `floor` inflates the archive and walks over
its headers, and nothing else: what no reader can do without.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from cost import Cost, abpipe, cost
from rich.console import Console
from rich.table import Table

from abpipe.targets.reader import open_targets

HERE = Path(__file__).parent
FULL = 1_274_843
#: What the chain is: from the archive to what can be trained on.
CHAIN = ("ingest", "derive", "export")


def main() -> None:
    """Go through the chain with archives of each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, FULL])
    parser.add_argument("--folder", type=Path, help="where to work, and leave what was made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="abpipe-bench-") as temporary:
        for size in options.sizes:
            place = (options.folder or Path(temporary)) / str(size)
            show(size, steps(place, size))
            if not options.folder:
                shutil.rmtree(place)


def steps(place: Path, size: int) -> dict[str, tuple[Cost, int]]:
    """The cost of each step, and the bytes of what it made."""
    archive, store = place / "synth" / "imagenet_ab.tar.gz", place / "store"
    targets, report = place / "targets", place / "report.html"
    made: dict[str, tuple[Cost, int]] = {}

    def step(name: str, spent: Cost, made_in: Path | None = None) -> None:
        before = made["ingest"][1] if name == "derive" else 0  # in the same store
        made[name] = spent, weight(made_in) - before if made_in else 0

    if not archive.exists():
        step("synth", abpipe("synth", archive.parent, "-n", size, "-q"), archive)
    step("floor", cost([sys.executable, HERE / "floor.py", archive]))
    step("ingest", abpipe("ingest", archive, "-s", store, "-q"), store)
    step("derive", abpipe("derive", "-s", store, "-q"), store)
    step("export", abpipe("export", targets, "-s", store, "-q"), targets)
    step("report", abpipe("report", "-s", store, "-o", report, "-q"), report)
    begin = time.perf_counter()
    opened = open_targets(targets)
    opened.__getitems__(np.random.default_rng(0).integers(0, len(opened), 256))
    step("open, and read 256", Cost(time.perf_counter() - begin, 0, 0))
    return made


def weight(path: Path) -> int:
    """Bytes of a file, or of all in a folder."""
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return sum(one.stat().st_size for one in files)


def show(size: int, made: dict[str, tuple[Cost, int]]) -> None:
    """One table: a line for each step."""
    table = Table(title=f"{size:,} files", box=None)
    table.add_column("step")
    for column in ("s", "s of the processors", "µs a file", "peak MB", "MB made"):
        table.add_column(column, justify="right")
    for name, (spent, bytes_) in made.items():
        each = f"{spent.seconds / size * 1e6:.1f}"
        made_mb = f"{bytes_ / 1e6:.0f}" if bytes_ else ""
        figures = f"{spent.seconds:.2f}", f"{spent.cpu_seconds:.1f}", each, f"{spent.peak_mb:.0f}"
        table.add_row(name, *figures, made_mb)
    console, chain = Console(width=100), sum(made[name][0].seconds for name in CHAIN)
    console.print(table)
    times = made["ingest"][0].seconds / made["floor"][0].seconds
    console.print(f"ingest {times:.1f} times the floor; {', '.join(CHAIN)}: {chain:.0f} s\n")


if __name__ == "__main__":
    main()
