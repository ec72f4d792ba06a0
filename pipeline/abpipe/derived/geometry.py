"""Hulls of traces, all of a batch at once."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely

from abpipe.derived import ragged
from abpipe.derived.ragged import Floats, Ints

Geometries: TypeAlias = npt.NDArray[np.object_]

_BOUNDS = ("xmin", "ymin", "xmax", "ymax")


def trace_hull(x: pa.Array, y: pa.Array, width: pa.Array, height: pa.Array) -> pa.Array:
    """The convex hull of each list of places, clipped to the picture.

    A struct: `wkb`; `x` and `y` of the corners in order, the first not repeated; `area`; `cx` and
    `cy`, the centroid; `xmin`, `ymin`, `xmax`, `ymax`, the box around all places, clipped as well.
    Places, width and height have one unit. The hull of one place is a point, that of places on a
    line is a line, both without area. NULL without places, or if no part of it is in the picture.
    """
    counts = ragged.lengths(x)
    has = np.flatnonzero(counts > 0)
    sides = [ragged.numbers(side)[has].astype(float) for side in (width, height)]
    hulls = _hulls(ragged.values(x), ragged.values(y), counts[has])
    bounds = np.clip(shapely.bounds(hulls), 0, np.column_stack([*sides, *sides]))
    hulls = _clipped(hulls, *sides)
    kept = ~shapely.is_empty(hulls)
    has, hulls, bounds = has[kept], hulls[kept], bounds[kept]
    missing = np.ones(len(counts), bool)
    missing[has] = False
    row = np.zeros(len(counts), np.int64)
    row[has] = np.arange(len(has))

    corners, owner = shapely.get_coordinates(hulls, return_index=True)
    is_open = np.append(owner[1:] == owner[:-1], False) | (shapely.get_type_id(hulls) != 3)[owner]
    corners, n_corners = corners[is_open], np.bincount(owner[is_open], minlength=len(hulls))
    centroids = shapely.get_coordinates(shapely.centroid(hulls))
    columns = {
        "wkb": pa.array(shapely.to_wkb(hulls), pa.binary()),
        "x": ragged.lists(ragged.column(corners[:, 0]), n_corners),
        "y": ragged.lists(ragged.column(corners[:, 1]), n_corners),
        "area": ragged.column(shapely.area(hulls)),
        "cx": ragged.column(centroids[:, 0]),
        "cy": ragged.column(centroids[:, 1]),
    }
    columns |= zip(_BOUNDS, map(ragged.column, bounds.T), strict=True)
    at = pa.array(row, mask=missing)
    return ragged.struct({name: one.take(at) for name, one in columns.items()}, missing)


def _hulls(x: Floats, y: Floats, counts: Ints) -> Geometries:
    """The convex hulls of lists that have places."""
    # a line needs two points: one that is alone is there twice
    times = np.where(np.repeat(counts, counts) == 1, 2, 1)
    places = np.repeat(np.column_stack([x, y]), times, axis=0)
    cuts = ragged.offsets(np.maximum(counts, 2))
    lines = shapely.from_ragged_array(shapely.GeometryType.LINESTRING, places, (cuts,))
    hulls: Geometries = shapely.convex_hull(lines)
    return hulls


def _clipped(hulls: Geometries, width: Floats, height: Floats) -> Geometries:
    """Hulls without what lies outside of the picture."""
    xmin, ymin, xmax, ymax = shapely.bounds(hulls).T
    out = (xmin < 0) | (ymin < 0) | (xmax > width) | (ymax > height)
    hulls[out] = shapely.intersection(hulls[out], shapely.box(0, 0, width[out], height[out]))
    return hulls


#: The core of a trace: where the mouse was in this last share of its dwell, and this much around
#: it, as a share of the picture's diagonal. Chosen on synthetic data: tests/bench/bench_core.py.
CORE_DWELL, CORE_REACH = 0.5, 0.2


def core_box(
    x: pa.Array, y: pa.Array, dwell_ms: pa.Array, width: pa.Array, height: pa.Array
) -> pa.Array:
    """The core of each visit, clipped to the picture: {xmin, ymin, xmax, ymax}.

    The box around the places that hold the last CORE_DWELL of the dwell, which leaves the way in
    out, and CORE_REACH of the picture's diagonal around them. NULL without dwell.
    """
    counts, dwell = ragged.lengths(x), ragged.values(dwell_ms)
    owner, ends = ragged.owners(counts), np.cumsum(dwell)
    whole = np.bincount(owner, dwell, len(counts))
    kept = (ragged.last(ends, counts)[owner] - ends + dwell) <= CORE_DWELL * whole[owner]
    kept[ragged.ends(counts)[1][counts > 0]] = True
    sides = ragged.numbers(width), ragged.numbers(height)
    reach = CORE_REACH * np.hypot(*sides)
    edges = []
    for places, side in zip((x, y), sides, strict=True):
        flat = ragged.values(places)[kept]
        low = -ragged.largest(-flat, owner[kept], len(counts))[0]
        high = ragged.largest(flat, owner[kept], len(counts))[0]
        edges.append((np.maximum(low - reach, 0), np.minimum(high + reach, side)))
    (xmin, xmax), (ymin, ymax) = edges
    columns = zip(_BOUNDS, map(ragged.column, (xmin, ymin, xmax, ymax)), strict=True)
    with np.errstate(invalid="ignore"):
        return ragged.struct(dict(columns), ~((whole > 0) & (xmin <= xmax) & (ymin <= ymax)))
