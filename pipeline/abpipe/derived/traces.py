"""The measures of whole records, out of their visits: what `traces.sql` asks for."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from abpipe.derived import ragged
from abpipe.derived.geometry import core_box, trace_hull
from abpipe.derived.measures import shape

#: Fields of a hull by their names in `traces`.
_HULL = {
    "wkb": "hull",
    "x": "hull_x",
    "y": "hull_y",
    "area": "hull_area_px",
    "cx": "centroid_x",
    "cy": "centroid_y",
    "xmin": "box_xmin",
    "ymin": "box_ymin",
    "xmax": "box_xmax",
    "ymax": "box_ymax",
}


def measure_trace(
    deciding: pa.Array,
    t_ms: pa.Array,
    x: pa.Array,
    y: pa.Array,
    dwell_ms: pa.Array,
    width: pa.Array,
    height: pa.Array,
) -> pa.Array:
    """The measures of each record: a struct whose fields are columns of `traces`.

    `deciding`, `t_ms`, `x`, `y`, `dwell_ms` hold an item for each visit, as in `visits`, all but
    the first a list itself; x and y are pixels, as `width` and `height` of the stored picture.
    """
    there = _deciding(deciding, x)
    t, at_x, at_y, dwell = (column.flatten().take(there) for column in (t_ms, x, y, dwell_ms))
    shapes = shape(t, at_x, at_y, width, height)
    hulls = trace_hull(_joined(x), _joined(y), width, height)
    cores = core_box(at_x, at_y, dwell, width, height)
    columns = _fields(shapes)
    columns |= {_HULL[name]: column for name, column in _fields(hulls).items()}
    columns |= {f"core_{name}": column for name, column in _fields(cores).items()}
    return ragged.struct(columns)


def _deciding(deciding: pa.Array, x: pa.Array) -> pa.Array:
    """Which of all visits is each record's deciding one; NULL without one that has places."""
    has_places = x.flatten().is_valid().to_numpy(zero_copy_only=False)
    visits = np.flatnonzero(ragged.values(deciding).astype(bool) & has_places)
    there = np.full(len(deciding), -1)
    there[ragged.owners(ragged.lengths(deciding))[visits]] = visits
    return pa.array(there, mask=there < 0)


def _joined(column: pa.Array) -> pa.Array:
    """The items of all lists of each record, end to end."""
    inner, owner = column.flatten(), ragged.owners(ragged.lengths(column))
    counts = np.bincount(owner, ragged.lengths(inner), len(column)).astype(np.int64)
    return ragged.lists(inner.flatten(), counts)


def _fields(struct: pa.StructArray) -> dict[str, pa.Array]:
    return dict(zip(struct.type.names, struct.flatten(), strict=True))
