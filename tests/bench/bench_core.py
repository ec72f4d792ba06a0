"""Which box of a trace is nearest to its object: definitions of `core`, on synthetic archives.

Sizes and places of the generator's objects decide much of this. One model of motion and one seed
are for choosing, the others for reporting.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

import abpipe
from abpipe.derived.geometry import CORE_DWELL, CORE_REACH
from abpipe.synth import synth
from abpipe.synth.motion import HANDS

Floats: TypeAlias = npt.NDArray[np.float64]
Marks: TypeAlias = Callable[[Floats, Floats, Floats], npt.NDArray[np.bool_]]

CHOOSING = ("aimed", 1)

RECORDS = """
    SELECT
        x_px, y_px, dwell_ms, stored_width, stored_height,
        list([xmin, ymin, xmax, ymax]) AS objects
    FROM visits
    JOIN annotations USING (annotation_id)
    JOIN image_sizes ON image_sizes.image_id = visits.image_id
    JOIN objects ON objects.image_id = visits.image_id
    WHERE deciding AND selected AND dwell > 0
    GROUP BY ALL
"""


def everything(x: Floats, y: Floats, dwell: Floats) -> npt.NDArray[np.bool_]:
    """All places: the plain trace box."""
    return np.ones(len(x), bool)


def central(share: float) -> Marks:
    """The places between the outer quantiles of the dwell, on each axis."""

    def marks(x: Floats, y: Floats, dwell: Floats) -> npt.NDArray[np.bool_]:
        found = np.ones(len(x), bool)
        for axis in (x, y):
            order = np.argsort(axis, kind="stable")
            gone = np.cumsum(dwell[order]) / dwell.sum()
            low, high = axis[order][np.searchsorted(gone, [(1 - share) / 2, (1 + share) / 2])]
            found &= (low <= axis) & (axis <= high)
        return found

    return marks


def window(share: float) -> Marks:
    """The places of the stretch with so much dwell whose box is smallest."""

    def marks(x: Floats, y: Floats, dwell: Floats) -> npt.NDArray[np.bool_]:
        gone = np.append(0, np.cumsum(dwell))
        ends = np.searchsorted(gone, gone[:-1] + share * gone[-1] - 1e-9)
        stretches = [(begin, end) for begin, end in enumerate(ends) if begin < end <= len(x)]
        begin, end = min(stretches, key=lambda s: np.ptp(x[slice(*s)]) * np.ptp(y[slice(*s)]))
        found = np.zeros(len(x), bool)
        found[begin:end] = True
        return found

    return marks


def last(share: float) -> Marks:
    """The places of the last dwell."""

    def marks(x: Floats, y: Floats, dwell: Floats) -> npt.NDArray[np.bool_]:
        found: npt.NDArray[np.bool_] = np.cumsum(dwell[::-1])[::-1] <= share * dwell.sum()
        found[-1] = True
        return found

    return marks


def slow(ms: int) -> Marks:
    """The places that the mouse stayed at."""
    return lambda x, y, dwell: (dwell > ms) | (dwell == dwell.max())


DEFINITIONS: dict[str, Marks] = {
    "trace": everything,
    "central 0.8": central(0.8),
    "central 0.5": central(0.5),
    "window 0.8": window(0.8),
    "window 0.5": window(0.5),
    "last 0.8": last(0.8),
    "last 0.5": last(0.5),
    "last 0.3": last(0.3),
    "rests": slow(100),
}
REACHES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25)


def score(records: list[Any], marks: Marks, reaches: Sequence[float]) -> Floats:
    """The IoU of each record's box with the nearest object of its picture, for each reach."""
    found = []
    for xs, ys, dwells, width, height, objects in records:
        x, y, sides = np.array(xs), np.array(ys), np.array([width, height, width, height])
        kept = marks(x, y, np.array(dwells, float))
        box = np.array([x[kept].min(), y[kept].min(), x[kept].max(), y[kept].max()])
        wide = np.outer(reaches, np.hypot(width, height) * np.array([-1, -1, 1, 1]))
        boxes = np.clip(box + wide, 0, sides)
        found.append(np.max([_iou(boxes, np.array(one)) for one in objects], axis=0))
    return np.array(found)


def _iou(boxes: Floats, other: Floats) -> Floats:
    sides = np.minimum(boxes[:, 2:], other[2:]) - np.maximum(boxes[:, :2], other[:2])
    common = np.clip(sides, 0, None).prod(axis=1)
    both = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (other[2:] - other[:2]).prod()
    found: Floats = common / (both - common)
    return found


def records(place: Path, motion: str, seed: int, count: int) -> list[Any]:
    """The deciding visits of selected pictures in a new archive, with their objects."""
    archive = synth(place / "archive", count=count, seed=seed, motion=motion).archive
    abpipe.ingest(archive, store=place / "store")
    with abpipe.connect(place / "store") as connection:
        found: list[Any] = connection.execute(RECORDS).fetchall()
        return found


def main() -> None:
    """Choose on one archive, report on others, and show both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--count", type=int, default=3000)
    options = parser.parse_args()
    console = Console(width=100)
    choosing = Table("places", *(f"+ {r:g}" for r in REACHES), box=None)
    choosing.title = f"synthetic, {CHOOSING}: mean IoU by reach, in diagonals of the picture"
    report = Table("motion", "seed", "trace", "trace, widened", "core", ">= 0.5", box=None)
    report.title = "synthetic: mean IoU, and share of core boxes with IoU >= 0.5"
    for motion, seed in [CHOOSING, *((m, s) for m in HANDS for s in (2, 3))]:
        with tempfile.TemporaryDirectory(prefix="abpipe-bench-") as folder:
            made = records(Path(folder), motion, seed, options.count)
        if (motion, seed) == CHOOSING:
            for name, marks in DEFINITIONS.items():
                means = score(made, marks, REACHES).mean(axis=0)
                choosing.add_row(name, *(f"{mean:.3f}" for mean in means))
            console.print(choosing)
            continue
        plain, wide = score(made, everything, (0, CORE_REACH)).T
        core = score(made, last(CORE_DWELL), (CORE_REACH,))
        means = [f"{one.mean():.3f}" for one in (plain, wide, core, core >= 0.5)]
        report.add_row(motion, str(seed), *means)
    console.print(report)


if __name__ == "__main__":
    main()
