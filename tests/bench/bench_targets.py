"""Targets: the export of a store, and how fast they are read.

With `--store`, that of a store; else of synthetic pictures. Times of reading are medians of five.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import cost
import numpy as np

import abpipe
from abpipe.synth import synth
from abpipe.targets.reader import Targets

BATCH = 256
NAMES = 1_000_000


def timed(work: Callable[[], Any]) -> float:
    """Seconds, at the median."""
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return median(seconds)


def epoch(targets: Targets, order: Any) -> None:
    """Read batches of pictures in some order."""
    for begin in range(0, len(order), BATCH):
        targets.__getitems__(order[begin : begin + BATCH])


def main() -> None:
    """Export, open, look up, read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, help="a store that is there already")
    parser.add_argument("--dataset", default="imagenet-ab")
    parser.add_argument("--pictures", type=int, default=100_000, help="of a synthetic store")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="abpipe-bench-") as folder:
        place = Path(folder)
        store = options.store or place / "store"
        if not options.store:
            abpipe.ingest(synth(place / "raw", count=options.pictures).archive, store=store)
            abpipe.derive("image_targets", store=store)
        spent = cost.abpipe(
            "export", place / "out", "-q", "-s", store, "--dataset", options.dataset
        )
        targets = abpipe.open_targets(place / "out")
        rng, n = np.random.default_rng(0), len(targets)
        size = sum(path.stat().st_size for path in (place / "out").iterdir()) / 1e6
        sys.stdout.write(
            f"export    {spent.seconds:.1f} s, {n:,} pictures, {size:.0f} MB;"
            f" {spent.peak_mb:.0f} MB\n"
        )
        opened = timed(lambda: abpipe.open_targets(place / "out"))
        sys.stdout.write(f"open      {opened * 1e3:.1f} ms\n")
        ids = targets["image_ids"][rng.integers(0, n, NAMES)].astype(str).tolist()
        files = [f"train/{name.partition('_')[0]}/{name}.JPEG" for name in ids]
        for what, names in (("ids", ids), ("files", files)):
            first = timed(lambda names=names: abpipe.open_targets(place / "out").rows(names))  # type: ignore[misc]
            sys.stdout.write(f"lookup    {first:.2f} s for {NAMES:,} {what}, the table included\n")
        order = rng.permutation(n)
        for names in (None, ["click_xy", "click_valid", "class_index"]):
            one = abpipe.open_targets(place / "out", names)
            rate = n / timed(lambda one=one: epoch(one, order))  # type: ignore[misc]
            what = f"{len(one[0])} arrays"
            sys.stdout.write(
                f"batches   {rate / 1e6:.1f} M samples/s of {what}, {BATCH} at random\n"
            )


if __name__ == "__main__":
    main()
