"""Traces resampled to series of a chosen length, for SQL and Python.

Between two samples places are linear in time, and held across rests: a mouse that logged nothing
for more than GAP_MS stood still, then moved on. Never cubic, which leaves the picture.

`t_ms`, `x`, `y` are the samples of one visit: equally long lists, ordered by time, in any unit of
length; all three are NULL where one is. What is NULL comes back as NULL.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from abpipe.derived import ragged
from abpipe.derived.ragged import Bools, Floats, Ints

#: A moving mouse logs a move every 17 to 36 ms: one that logs none for longer rests, or is away.
GAP_MS = 100


def time_normalized(t_ms: pa.Array, x: pa.Array, y: pa.Array, n: pa.Array | int = 101) -> pa.Array:
    """Places at `n` equal steps of time, first and last sample included: {x, y}, `n` items each.

    NULL where there are fewer than two samples, or no time between them. mousetrap's
    `mt_time_normalize`, with `constant_interpolation` = GAP_MS.
    """
    steps = by_time(t_ms, n)
    return _series({"x": steps.of(x), "y": steps.of(y)}, steps)


def length_normalized(x: pa.Array, y: pa.Array, n: pa.Array | int = 20) -> pa.Array:
    """`n` places equally far apart along the path, both ends included: {x, y}, `n` items each.

    NULL where the path has no length. mousetrap's `mt_spatialize`.
    """
    steps = _by_length(x, y, n)
    return _series({"x": steps.of(x), "y": steps.of(y)}, steps)


def fixed_interval(
    t_ms: pa.Array,
    x: pa.Array,
    y: pa.Array,
    dwell_ms: pa.Array,
    interval_ms: pa.Array | int = 100,
    n: pa.Array | int = 30,
) -> pa.Array:
    """Places every `interval_ms` from the first sample on: {x, y, valid}, `n` items each.

    The samples may be those of several visits, end to end, with the time until which each is known
    to be the mouse's place. `valid` says whether the mouse was observed; x and y are NULL where it
    was not. NULL for a trace without samples.
    """
    counts, t, dwell = ragged.lengths(t_ms), ragged.values(t_ms), ragged.values(dwell_ms)
    rows, owner = counts > 0, ragged.owners(counts)
    pace, n_steps = _per_row(interval_ms, len(x)), _per_row(n, len(x))
    gone = t - ragged.first(t, counts)[owner]
    due = np.minimum(gone / pace[owner], n_steps[owner])
    at, _ = _steps(due, rows, counts, n_steps)
    since = ragged.places(n_steps[rows]) * np.repeat(pace[rows], n_steps[rows]) - gone[at]
    wait = np.diff(t, append=0)[at]
    moving = (dwell[at] == wait) & (wait > 0) & (wait <= GAP_MS)
    steps = Steps(rows, n_steps, at, np.where(moving, since / np.maximum(wait, 1), 0))
    valid = since <= dwell[at]
    found = {name: np.where(valid, steps.of(one), np.nan) for name, one in (("x", x), ("y", y))}
    return _series(found | {"valid": valid}, steps)


class Steps(NamedTuple):
    """The steps of series, end to end: how far each is on the way from a sample to the next."""

    rows: Bools
    """The lists that have a series."""
    n: Ints
    """How many steps each list's has, or would have."""
    at: Ints
    share: Floats

    def of(self, column: pa.Array | Floats) -> Floats:
        """A column of lists, or its items end to end, at each step."""
        flat = column if isinstance(column, np.ndarray) else ragged.values(column)
        stride = np.diff(flat, append=0)
        way = self.share * stride[self.at]
        if not np.isfinite(stride).all():
            way[self.share == 0] = 0  # what comes after may be NaN
        found: Floats = flat[self.at] + way
        return found


def by_time(t_ms: pa.Array, n: pa.Array | int) -> Steps:
    """The steps of `time_normalized`."""
    counts, t = ragged.lengths(t_ms), ragged.values(t_ms)
    first, n_steps, owner = ragged.first(t, counts), _per_row(n, len(t_ms)), ragged.owners(counts)
    span = ragged.last(t, counts) - first
    rows = span > 0
    due = (t - first[owner]) * (n_steps - 1)[owner] / np.maximum(span, 1)[owner]
    rests = np.diff(t, append=0) > GAP_MS
    return Steps(rows, n_steps, *_steps(due, rows, counts, n_steps, rests))


def _by_length(x: pa.Array, y: pa.Array, n: pa.Array | int) -> Steps:
    counts, xs, ys = ragged.lengths(x), ragged.values(x), ragged.values(y)
    owner, n_steps = ragged.owners(counts), _per_row(n, len(x))
    strides = np.hypot(np.diff(xs, prepend=0), np.diff(ys, prepend=0))
    strides[ragged.ends(counts)[0][counts > 0]] = 0
    gone = np.cumsum(strides)
    first = ragged.first(gone, counts)
    whole = ragged.last(gone, counts) - first
    rows = whole > 0
    share = (gone - first[owner]) / np.where(rows, whole, 1)[owner]
    return Steps(rows, n_steps, *_steps(share * (n_steps - 1)[owner], rows, counts, n_steps))


def _steps(
    due: Floats, rows: Bools, counts: Ints, n: Ints, rests: Bools | None = None
) -> tuple[Ints, Floats]:
    """For each step of some lists: the sample at or before it, and the share of the way on.

    `due` is where each sample lies, in steps: 0 for the first of a list, then never less. After
    samples that are `rests` the place is held.
    """
    begin, away = np.ceil(due).astype(np.int64), np.diff(due, append=0)
    if rests is not None:
        away[rests] = np.inf
    last = ragged.ends(counts)[1][rows]
    following = np.append(begin[1:], 0)
    following[last], away[last] = n[rows], np.inf
    at = np.repeat(np.arange(len(due)), np.where(np.repeat(rows, counts), following - begin, 0))
    share: Floats = (ragged.places(n[rows]) - due[at]) / away[at]
    return at, share


def _series(flat: dict[str, npt.NDArray[Any]], steps: Steps) -> pa.Array:
    counts = np.where(steps.rows, steps.n, 0)
    fields = {name: ragged.lists(ragged.column(one), counts) for name, one in flat.items()}
    return ragged.struct(fields, ~steps.rows)


def _per_row(number: pa.Array | int, rows: int) -> Ints:
    return np.full(rows, number) if isinstance(number, int) else ragged.numbers(number)
