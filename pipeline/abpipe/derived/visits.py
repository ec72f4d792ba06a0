"""Records cut into visits: the stretches in which the mouse was observed.

A browser logs a move only when the mouse moves, so silence is rest where a move would have been
logged, and tells nothing elsewhere. Between two events that follow each other the mouse is observed

- if both lie between an enter and its leave; or
- if at most GAP_MS passed; or
- if they are within REST_PX displayed pixels, with no icon action or browsing between.

After a click that selected, nothing is observed until the next move, which shows that the picture
has been un-selected.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from abpipe.derived import ragged
from abpipe.derived.measures import path_length, rests
from abpipe.derived.ragged import Bools, Floats, Ints
from abpipe.derived.series import GAP_MS

#: In the real pages, neighbours more than GAP_MS apart are as near as this, or the mouse was away.
REST_PX = 2.0

#: What comes first at equal times; AGAIN is an enter right after a leave.
ENTER, MOVE, CLICK, ACTION, LEAVE, AGAIN = range(6)
_RANK = np.full(256, ACTION, np.int8)
_RANK[[*b"emcl"]] = ENTER, MOVE, CLICK, LEAVE

_ENDINGS = ("click", "leave", "submit", "gap")
_NEVER = np.iinfo(np.int64).max


def cut_visits(
    kind: pa.Array,
    seq: pa.Array,
    t_ms: pa.Array,
    x: pa.Array,
    y: pa.Array,
    selected: pa.Array,
    board_x: pa.Array,
    board_y: pa.Array,
    width: pa.Array,
    height: pa.Array,
    orientation: pa.Array,
) -> pa.Array:
    """The visits of each record: a list of structs, whose fields are columns of `visits`.

    `kind`, `seq`, `t_ms`, `x`, `y` are the events of a record, as equally long lists in any order:
    the first letter of the kind as ASCII code, place in its own list, ms, fractions of the picture.
    All have times, moves have places. `board_x` and `board_y` are what the picture measured on the
    screen along the same axes, in CSS px. `width`, `height` and `orientation` are those of the
    stored picture; where they are not known, nor are the visits' places.
    """
    events = _timeline(kind, seq, t_ms, x, y)
    seen = _observed(events, ragged.numbers(board_x), ragged.numbers(board_y))
    starts = (events.rank == ENTER) | ((events.rank == MOVE) & ~seen & (events.before != ENTER))
    starts |= (events.rank == CLICK) & (events.before == LEAVE)
    first = np.flatnonzero(starts)
    if not len(first):
        return ragged.lists(pa.array([], VISIT), np.zeros(len(kind), np.int64))
    visit = np.maximum(np.cumsum(starts) - 1, 0)  # that an event belongs to
    record, begin = events.record[first], events.t[first]
    belongs = events.record == record[visit]  # but for leaves before the first visit
    wakes = (events.rank == MOVE) & ~seen & ~starts  # first seen here, after the enter
    start = np.maximum.reduceat(np.where(starts | wakes, events.t, begin[visit]), first)
    end = np.maximum.reduceat(np.where(seen & belongs, events.t, start[visit]), first)

    n_clicks = np.bincount(visit[(events.rank == CLICK) & belongs], minlength=len(first))
    left = np.logical_or.reduceat((events.rank == LEAVE) & belongs, first)
    is_last = np.append(record[1:] != record[:-1], True)
    enter, leave = events.enter[first], events.leave[first]
    ended = np.select([n_clicks > 0, left, is_last & (leave == _NEVER)], [0, 1, 2], 3)
    until = np.minimum(leave, np.where(is_last, _NEVER, np.append(begin[1:], _NEVER)))
    unobserved = start - begin + np.where(until == _NEVER, 0, until - end)

    moves = np.flatnonzero(events.rank == MOVE)
    n_moves = np.bincount(visit[moves], minlength=len(first))
    t, of_move = events.t[moves], events.record[moves]
    dwell = np.diff(t, append=0)
    last = np.cumsum(n_moves)[n_moves > 0] - 1
    dwell[last] = end[n_moves > 0] - t[last]
    moved = np.full(len(kind), _NEVER)  # when the first move of each record was logged
    np.minimum.at(moved, of_move, t)
    counted = (enter != _NEVER) & (leave != _NEVER) & (moved[record] != _NEVER)
    estimate = np.where(counted, np.maximum(end - np.maximum(start, moved[record]), 0), 0)
    chosen = (n_clicks > 0) & selected.fill_null(False).to_numpy(zero_copy_only=False)[record]
    x, y, dwells = (
        ragged.lists(ragged.column(flat), n_moves)
        for flat in (events.x[moves], events.y[moves], dwell)
    )
    sides = ragged.numbers(width), ragged.numbers(height)
    known = sides[0] > 0
    stored = _stored(events.x[moves], events.y[moves], ragged.numbers(orientation)[of_move])
    places = [
        ragged.lists(
            ragged.column((one * side[of_move])[known[of_move]]),
            np.where(known[record], n_moves, 0),
            ~known[record],
        )
        for one, side in zip(stored, sides, strict=True)
    ]
    columns = [
        ragged.column(np.arange(len(first)) - np.searchsorted(record, record)),
        ragged.column(enter, enter == _NEVER),
        ragged.column(leave, leave == _NEVER),
        ragged.column(start),
        ragged.column(end),
        ragged.column(unobserved),
        ragged.column(n_clicks),
        pa.array(_ENDINGS).take(pa.array(ended)),
        ragged.column(estimate),
        ragged.column(_deciding(record, chosen, n_moves > 0, end - start)),
        path_length(*places),
        *rests(x, y, dwells).flatten(),
        ragged.lists(ragged.column(t), n_moves),
        *places,
        dwells,
    ]
    return ragged.lists(
        pa.StructArray.from_arrays(columns, fields=[*VISIT]),
        np.bincount(record, minlength=len(kind)),
    )


#: One visit; times in ms as recorded.
VISIT = pa.struct(
    [
        ("visit", pa.int64()),
        ("enter_ms", pa.int64()),
        ("leave_ms", pa.int64()),
        ("start_ms", pa.int64()),
        ("end_ms", pa.int64()),
        ("unobserved_ms", pa.int64()),
        ("n_clicks", pa.int64()),
        ("ended", pa.string()),
        ("estimate_ms", pa.int64()),
        ("deciding", pa.bool_()),
        ("path", pa.float64()),
        ("idle_time", pa.int64()),
        ("hovers", pa.int64()),
        ("hover_time", pa.int64()),
        ("t_ms", pa.list_(pa.int64())),
        ("x_px", pa.list_(pa.float64())),
        ("y_px", pa.list_(pa.float64())),
        ("dwell_ms", pa.list_(pa.int64())),
    ]
)


@dataclass(frozen=True)
class _Events:
    """Moves, clicks, enters and leaves, by record and time."""

    record: Ints
    rank: Ints
    t: Ints
    x: Floats
    y: Floats
    acted: Bools
    """Whether an icon action or browsing lies between an event and the one before."""
    before: Ints
    """The rank of the event before; LEAVE for a record's first."""
    selected: Bools
    """Whether the picture may have been selected until an event: clicked, and no move since."""
    enter: Ints
    """When the mouse entered that is in the picture now, or leaves; _NEVER if that is unknown."""
    leave: Ints
    """When it left after that; _NEVER if that is unknown."""


def _timeline(kind: pa.Array, seq: pa.Array, t_ms: pa.Array, x: pa.Array, y: pa.Array) -> _Events:
    record = ragged.owners(ragged.lengths(kind))
    rank, place, t = _RANK[ragged.values(kind)], ragged.values(seq), ragged.values(t_ms)
    rank[_right_after_leave(record, rank, place, t)] = AGAIN
    order = np.lexsort((rank.astype(np.int64) << 32 | place, t, record))
    rank = rank[order]
    n_actions = np.cumsum(rank == ACTION)
    kept = np.flatnonzero(rank != ACTION)
    order, rank = order[kept], np.where(rank == AGAIN, ENTER, rank)[kept]
    record, t = record[order], t[order]
    is_first = np.diff(record, prepend=-1) > 0
    before = np.where(is_first, LEAVE, np.roll(rank, 1))
    acted = np.diff(n_actions[kept], prepend=0) > 0
    enter, leave = _hovers(record, rank, t)
    toggle = np.where((rank == MOVE) | (rank == CLICK), np.arange(len(rank)), -1)
    toggle = np.maximum.accumulate(np.append(-1, toggle)[:-1])
    selected = (toggle >= 0) & (rank[toggle] == CLICK) & (record[toggle] == record)
    places = ragged.values(x)[order], ragged.values(y)[order]
    return _Events(record, rank, t, *places, acted, before, selected, enter, leave)


def _right_after_leave(record: Ints, rank: Ints, place: Ints, t: Ints) -> Ints:
    """The enters that come right after a leave, at the same time."""
    hovers = np.flatnonzero((rank == ENTER) | (rank == LEAVE))
    hovers = hovers[np.lexsort((place[hovers], record[hovers]))]
    one, next_one = hovers[:-1], hovers[1:]
    at_once = (record[one] == record[next_one]) & (t[one] == t[next_one])
    at_once &= (rank[one] == LEAVE) & (rank[next_one] == ENTER)
    found: Ints = next_one[at_once]
    return found


def _hovers(record: Ints, rank: Ints, t: Ints) -> tuple[Ints, Ints]:
    """For each event, when the mouse entered and left around it; _NEVER where that is unknown."""
    n = len(record)
    hovers = np.flatnonzero((rank == ENTER) | (rank == LEAVE))
    # an enter begins its own hover, a leave ends the one before
    earlier = np.searchsorted(hovers, np.arange(n) - (rank == LEAVE), side="right") - 1
    found = []
    for near, wanted in ((earlier, ENTER), (earlier + 1, LEAVE)):
        is_one = (near >= 0) & (near < len(hovers))
        at = np.append(hovers, 0)[np.where(is_one, near, -1)]
        is_one &= (rank[at] == wanted) & (record[at] == record)
        found.append(np.where(is_one, t[at], _NEVER))
    return found[0], found[1]


def _observed(events: _Events, board_x: Floats, board_y: Floats) -> Bools:
    """Whether the mouse was observed between the event before and this one."""
    dx = np.diff(events.x, prepend=0) * board_x[events.record]
    dy = np.diff(events.y, prepend=0) * board_y[events.record]
    with np.errstate(invalid="ignore"):
        is_rest = (np.hypot(dx, dy) <= REST_PX) & ~events.acted
    seen: Bools = np.diff(events.t, prepend=0) <= GAP_MS
    seen |= is_rest
    seen |= (events.enter != _NEVER) & (events.leave != _NEVER)
    seen &= ~events.selected & (events.rank != ENTER) & (events.before != LEAVE)
    return seen


def _stored(x: Floats, y: Floats, orientation: Floats) -> tuple[Floats, Floats]:
    """Places of the displayed picture in the stored one: as `stored_x` and `stored_y` in SQL."""
    if not (orientation > 1).any():  # the usual
        return x, y
    turned = orientation >= 5
    x, y = np.where(turned, y, x), np.where(turned, x, y)
    x = np.where(np.isin(orientation, (2, 3, 7, 8)), 1 - x, x)
    y = np.where(np.isin(orientation, (3, 4, 6, 7)), 1 - y, y)
    return x, y


def _deciding(record: Ints, chosen: Bools, moved: Bools, observed: Ints) -> Bools:
    """The visit of each record with the final click, else the longest that has a move."""
    number = np.arange(len(record))
    longest = np.where(chosen, 0, observed)
    order = np.lexsort(
        (np.where(chosen, number, -number), longest, moved & ~chosen, chosen, record)
    )
    found = np.zeros(len(record), bool)
    found[order[np.append(record[1:] != record[:-1], True)]] = True
    return found
