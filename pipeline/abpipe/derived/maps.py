"""Dwell maps: where on a picture the mouse spent its time, blurred.

As SALICON makes its maps of a crowd's fixations (Jiang et al., CVPR 2015: a Gaussian of 19 px on
640 x 480, which is 0.024 of the diagonal); but a move weighs as long as the mouse stayed there.
"""

from __future__ import annotations

from itertools import pairwise
from math import erf, sqrt

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from abpipe.derived import ragged
from abpipe.derived.ragged import Floats, Ints

#: Standard deviation of the blur, as a fraction of the picture's diagonal.
SIGMA = 0.024
#: Rows and columns of a map, unless told.
GRID = (32, 32)

Maps = npt.NDArray[np.float32]

_MOVES = 4096  # that are blurred at a time, in the cache
_REACH, _STEPS = 6, 512
#: The normal distribution's share below z, for z from -_REACH to _REACH in steps of 1 / _STEPS.
_SHARE = np.array(
    [(1 + erf((i / _STEPS - _REACH) / sqrt(2))) / 2 for i in range(2 * _REACH * _STEPS + 1)],
    np.float32,
)
_RISE = np.diff(_SHARE, append=np.float32(1))


def dwell_maps(
    x: Floats,
    y: Floats,
    dwell: Floats,
    offsets: Ints,
    width: Floats,
    height: Floats,
    grid: tuple[int, int] = GRID,
    sigma: float = SIGMA,
) -> Maps:
    """The maps of n traces: float32 [n, rows, columns], each of which sums to 1.

    `x`, `y` and `dwell` (any unit) hold the m moves of all traces, end to end: trace i has those
    from offsets[i] to offsets[i + 1], with int64 [n + 1] offsets. `width` and `height` [n] are the
    pictures', in the unit of x and y, as pixels; `grid` is (rows, columns), `sigma` a fraction of
    the diagonal. A cell holds the share of the blurred time that falls within it, so a coarse
    map is a fine one summed up. What is blurred over the picture's edge is lost, and the rest
    scaled. NaN throughout where no time was spent on the picture, or its size is not known.
    """
    counts = np.diff(offsets)
    owner = ragged.owners(counts)
    diagonal = sigma * np.hypot(width, height)
    seen = (dwell > 0) & np.isfinite(x) & np.isfinite(y) & (diagonal > 0)[owner]
    owner = owner[seen]
    cuts = np.searchsorted(owner, np.arange(len(counts) + 1))
    x, y, dwell = (x[seen] / width[owner]), (y[seen] / height[owner]), dwell[seen]
    blur_x, blur_y = (diagonal / width)[owner], (diagonal / height)[owner]
    maps = np.empty((len(counts), *grid), np.float32)
    blocks = np.searchsorted(cuts, range(0, len(x), _MOVES))
    for begin, end in pairwise(np.unique([0, *blocks, len(counts)]).tolist()):
        few = slice(cuts[begin], cuts[end])
        down = _shares(y[few], blur_y[few], grid[0])
        along = _shares(x[few], blur_x[few], grid[1]) * dwell[few, None].astype(np.float32)
        for i, (a, b) in enumerate(pairwise((cuts[begin : end + 1] - cuts[begin]).tolist()), begin):
            np.matmul(down[a:b].T, along[a:b], out=maps[i])
    total = maps.sum((1, 2), np.float64).astype(np.float32)
    with np.errstate(invalid="ignore"):
        maps /= total[:, None, None]
    return maps


def _shares(place: Floats, blur: Floats, n: int) -> Maps:
    """How much of each blurred place falls into each of `n` cells: float32 [m, n]."""
    edges = np.linspace(0, 1, n + 1, dtype=np.float32)
    steps = _STEPS / blur
    reach = edges * steps[:, None].astype(np.float32)
    reach += (_REACH * _STEPS - place * steps)[:, None].astype(np.float32)
    np.clip(reach, 0, len(_SHARE) - 1, out=reach)
    step = reach.astype(np.int32)
    reach -= step
    reach *= _RISE[step]
    reach += _SHARE[step]
    shares: Maps = reach[:, 1:] - reach[:, :-1]
    return shares


def dwell_map(
    x: pa.Array,
    y: pa.Array,
    dwell: pa.Array,
    width: pa.Array,
    height: pa.Array,
    rows: pa.Array,
    columns: pa.Array,
) -> pa.Array:
    """For SQL: dwell_map(x[], y[], dwell[], width, height, rows, columns), a FLOAT[] by rows.

    Arguments as in dwell_maps, of one trace; NULL where its map would be NaN.
    """
    moves, counts, sizes = traces(x, y, dwell, width, height)
    owner = ragged.owners(counts)
    grids = np.stack([ragged.numbers(rows), ragged.numbers(columns)], 1)
    made: list[npt.NDArray[np.float32] | None] = [None] * len(counts)
    for grid in np.unique(grids[np.isfinite(grids).all(1)].astype(int), axis=0).tolist():
        chosen = np.flatnonzero((grids == grid).all(1))
        kept = np.isin(owner, chosen)
        maps = dwell_maps(
            moves[0][kept],
            moves[1][kept],
            moves[2][kept],
            ragged.offsets(counts[chosen]),
            sizes[0][chosen],
            sizes[1][chosen],
            (grid[0], grid[1]),
        )
        for i, one in zip(chosen.tolist(), maps, strict=True):
            made[i] = None if np.isnan(one[0, 0]) else one.ravel()
    return pa.array(made, pa.list_(pa.float32()))


def traces(
    x: pa.Array,
    y: pa.Array,
    dwell: pa.Array,
    width: pa.Array,
    height: pa.Array,
) -> tuple[tuple[Floats, Floats, Floats], Ints, tuple[Floats, Floats]]:
    """Columns of SQL as arrays: the moves end to end, how many each trace has, the sizes."""
    moves = tuple(ragged.values(column).astype(np.float64) for column in (x, y, dwell))
    sizes = tuple(ragged.numbers(column).astype(np.float64) for column in (width, height))
    return (moves[0], moves[1], moves[2]), ragged.lengths(x), (sizes[0], sizes[1])
