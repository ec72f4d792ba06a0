"""COCO's masks: polygons and run-length codes, asked for points.

Nothing is drawn: a mask tells of any point whether it is inside. Formats as in COCO's own tools:
a list of polygons [x1, y1, x2, y2, ...] in pixels, or {"size": [height, width], "counts": ...},
runs down the columns that are outside and inside in turn, as numbers or as a compressed string.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from abpipe.derived import ragged
from abpipe.derived.maps import GRID, Maps
from abpipe.derived.ragged import Floats, Ints

Inside = npt.NDArray[np.bool_]


def contains(mask: Any, x: Floats, y: Floats) -> Inside:
    """Whether points [m], in pixels, are inside a mask: in any of its polygons, or on its runs.

    A polygon holds what an odd number of its edges lies to the left of.
    """
    if isinstance(mask, dict):
        return _on_runs(mask["size"], runs(mask["counts"]), x, y)
    inside = np.zeros(len(x), bool)
    for polygon in mask:
        inside |= _in_polygon(np.asarray(polygon, np.float64).reshape(-1, 2), x, y)
    return inside


def mask_cover(
    mask: Any, width: float, height: float, grid: tuple[int, int] = GRID, samples: int = 4
) -> Maps:
    """How much of each cell of a map a mask covers: float32 [rows, columns].

    `width` and `height` are the picture's, in the mask's pixels. samples x samples points a cell.
    """
    rows, columns = (n * samples for n in grid)
    x, y = (np.arange(columns) + 0.5) / columns * width, (np.arange(rows) + 0.5) / rows * height
    inside = contains(mask, np.tile(x, rows), np.repeat(y, columns))
    cells = inside.reshape(grid[0], samples, grid[1], samples)
    cover: Maps = cells.mean((1, 3), dtype=np.float32)
    return cover


def inside_mask(mask: pa.Array, x: pa.Array, y: pa.Array) -> pa.Array:
    """For SQL: inside_mask(mask, x, y), whether a point in pixels is inside a mask given as JSON.

    NULL where the mask or the point is.
    """
    places = zip(
        mask.to_pylist(), ragged.numbers(x)[:, None], ragged.numbers(y)[:, None], strict=True
    )
    return pa.array(
        [
            None
            if text is None or np.isnan(px[0] + py[0])
            else bool(contains(orjson.loads(text), px, py)[0])
            for text, px, py in places
        ],
        pa.bool_(),
    )


def runs(counts: list[int] | str) -> Ints:
    """The lengths of the runs, outside first; a string holds them 5 bits a letter, from "0" on.

    A letter's 6th bit says that more follow, the 5th of the last one that the number is negative;
    from the fourth number on each is the difference to the one two before.
    """
    if not isinstance(counts, str):
        return np.asarray(counts, np.int64)
    found: list[int] = []
    number = shift = 0
    for letter in counts.encode():
        bits = letter - 48
        number |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                number -= 1 << shift
            found.append(number + found[-2] if len(found) > 2 else number)
            number = shift = 0
    return np.array(found, np.int64)


def _on_runs(size: list[int], lengths: Ints, x: Floats, y: Floats) -> Inside:
    height, width = size
    column, row = np.floor(x), np.floor(y)
    run = np.searchsorted(np.cumsum(lengths), column * height + row, side="right")
    found: Inside = (run % 2 == 1) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return found


def _in_polygon(corners: Floats, x: Floats, y: Floats) -> Inside:
    found = np.zeros(len(x), bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 != y1:
            crosses = (y0 > y) != (y1 > y)
            found ^= crosses & ((y - y0) / (y1 - y0) * (x1 - x0) + x0 < x)
    return found
