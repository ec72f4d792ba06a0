"""Measures of traces by mousetrap's names, all traces of a batch at once.

Lists hold the samples of one visit, ordered by time; places are pixels, y down.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from abpipe.derived import ragged
from abpipe.derived.ragged import Floats, Ints
from abpipe.derived.series import GAP_MS, Steps, by_time

#: Rests longer than this are hovers.
HOVER_MS = 250

#: Runs of at most this share of the picture's side are no change of direction.
FLIP = 0.01

#: So many of the picture's diagonals a second, and more, is no hand's speed.
JUMP = 10

STEPS = 101
#: Of sample entropy: how long runs are, and how near, in standard deviations, is alike.
RUN, NEAR = 3, 0.2
TRACES = 1024


def path_length(x: pa.Array, y: pa.Array) -> pa.Array:
    """The sum of the distances between neighbours; NULL for fewer than two samples."""
    samples = _Samples.of(None, x, y)
    return ragged.column(samples.length, samples.counts < 2)


def rests(x: pa.Array, y: pa.Array, dwell_ms: pa.Array) -> pa.Array:
    """How the mouse rested: {idle_time, hovers, hover_time}; NULL without samples.

    A rest is all the time that the mouse stayed at one place, if it was logged there more than once
    or for longer than GAP_MS.
    """
    samples, dwell = _Samples.of(None, x, y), ragged.values(dwell_ms)
    stays = np.zeros(len(dwell), bool)
    stays[samples.step] = (samples.dx == 0) & (samples.dy == 0)
    spell = np.cumsum(~np.append(False, stays)[:-1]) - 1  # that a sample belongs to
    rest = np.bincount(spell, np.where(stays | (dwell > GAP_MS), dwell, 0)).astype(np.int64)
    owner = samples.owner[np.flatnonzero(np.diff(spell, prepend=-1))]
    long = np.where(rest > HOVER_MS, rest, 0)
    sums = [np.bincount(owner, one, samples.n).astype(np.int64) for one in (rest, long > 0, long)]
    fields = zip(("idle_time", "hovers", "hover_time"), map(ragged.column, sums), strict=True)
    return ragged.struct(dict(fields), samples.counts == 0)


def shape(t_ms: pa.Array, x: pa.Array, y: pa.Array, width: pa.Array, height: pa.Array) -> pa.Array:
    """The measures of one visit: the columns of `traces` from `initiation_time` on.

    `width` and `height` are the picture's, in the unit of x and y. A field is NULL where there are
    fewer than two samples, or where it is not defined: see `traces`.
    """
    samples, steps = _Samples.of(t_ms, x, y), by_time(t_ms, STEPS)
    line = _Line.of(samples)
    whole, few = samples.length, samples.counts < 2
    size = ragged.numbers(width), ragged.numbers(height)
    time = samples.last(samples.t) - samples.first(samples.t)
    with np.errstate(divide="ignore", invalid="ignore"):
        straightness = np.minimum(line.length / whole, 1)
        jump_share = np.minimum(_jumped(samples, JUMP * np.hypot(*size) / 1000) / whole, 1)
        vel_mean = np.where(time > 0, whole / time, np.nan)
    fields = _starts(samples) | _speeds(samples) | {"vel_mean": vel_mean}
    fields |= _deviations(samples, line, steps) | _entropies(samples, steps)
    fields |= {
        "xpos_flips": _flips(samples, samples.x, FLIP * size[0]),
        "ypos_flips": _flips(samples, samples.y, FLIP * size[1]),
        "straightness": straightness,
        "jump_share": jump_share,
    }
    return ragged.struct(
        {
            name: ragged.column(fields[name], few | np.isnan(fields[name])).cast(kind)
            for name, kind in SHAPE.items()
        }
    )


#: The fields of `shape`: names, and types.
SHAPE = {
    "initiation_time": pa.int64(),
    "vel_max": pa.float64(),
    "vel_max_time": pa.float64(),
    "vel_mean": pa.float64(),
    "acc_max": pa.float64(),
    "acc_max_time": pa.float64(),
    "MAD": pa.float64(),
    "MAD_time": pa.int64(),
    "AD": pa.float64(),
    "AUC": pa.float64(),
    "xpos_flips": pa.int64(),
    "ypos_flips": pa.int64(),
    "sample_entropy": pa.float64(),
    "straightness": pa.float64(),
    "jump_share": pa.float64(),
}


class _Samples(NamedTuple):
    """The samples of `n` lists, and the steps from one to the next."""

    n: int
    counts: Ints
    owner: Ints
    t: Ints
    x: Floats
    y: Floats
    step: Ints
    """The samples that another of their list follows."""
    dx: Floats
    dy: Floats
    distance: Floats

    @classmethod
    def of(cls, t_ms: pa.Array | None, x: pa.Array, y: pa.Array) -> _Samples:
        """The samples in three columns of lists."""
        counts, xs, ys = ragged.lengths(x), ragged.values(x), ragged.values(y)
        owner = ragged.owners(counts)
        step = np.flatnonzero(owner[1:] == owner[:-1])
        dx, dy = xs[step + 1] - xs[step], ys[step + 1] - ys[step]
        distance = np.sqrt(dx * dx + dy * dy)
        t = np.zeros(len(xs), np.int64) if t_ms is None else ragged.values(t_ms)
        return cls(len(counts), counts, owner, t, xs, ys, step, dx, dy, distance)

    @property
    def length(self) -> Floats:
        """The sum of each list's steps."""
        found = np.bincount(self.owner[self.step], self.distance, self.n)
        return found.astype(float)  # integers where no list has a step

    def first(self, flat: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The item of each list's first sample; 0 without one."""
        return ragged.first(flat, self.counts)

    def last(self, flat: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The item of each list's last sample; 0 without one."""
        return ragged.last(flat, self.counts)

    def since(self, t: npt.NDArray[Any]) -> Floats:
        """Times of each list since its first sample."""
        found: Floats = t - self.first(self.t)
        return found


def _starts(samples: _Samples) -> dict[str, Floats]:
    """initiation_time: until the mouse departs from its first place, which ends a rest there."""
    away = (samples.x != samples.first(samples.x)[samples.owner]) | (
        samples.y != samples.first(samples.y)[samples.owner]
    )
    there = ragged.first_where(away, samples.owner, samples.n)
    t = np.append(samples.t, 0)
    here = t[np.maximum(there - 1, 0)]
    departed = np.where(t[there] - here > GAP_MS, t[there], here)
    return {"initiation_time": np.where(there < 0, np.nan, samples.since(departed))}


def _speeds(samples: _Samples) -> dict[str, Floats]:
    """The largest speed, in the middle of its step, and the largest gain of it, at its sample."""
    wait = samples.t[samples.step + 1] - samples.t[samples.step]
    timed = np.flatnonzero(wait > 0)
    step, wait = samples.step[timed], wait[timed]
    speed = samples.distance[timed] / wait
    vel_max, at = ragged.largest(speed, samples.owner[step], samples.n)
    middle = np.append((samples.t[step] + samples.t[step + 1]) / 2, np.nan)[at]

    pair = np.flatnonzero(step[1:] == step[:-1] + 1)
    gain = (speed[pair + 1] - speed[pair]) / ((wait[pair] + wait[pair + 1]) / 2)
    between = step[pair + 1]
    acc_max, peak = ragged.largest(gain, samples.owner[between], samples.n)
    return {
        "vel_max": vel_max,
        "vel_max_time": samples.since(middle),
        "acc_max": acc_max,
        "acc_max_time": samples.since(np.append(samples.t[between], np.nan)[peak]),
    }


def _jumped(samples: _Samples, fastest: Floats) -> Floats:
    """How much of each way is made in steps that are faster than a speed in px/ms."""
    wait = samples.t[samples.step + 1] - samples.t[samples.step]
    owner = samples.owner[samples.step]
    fast = samples.distance > fastest[owner] * wait
    return np.bincount(owner, np.where(fast, samples.distance, 0), samples.n).astype(float)


class _Line(NamedTuple):
    """The straight line of each list, from its first to its last sample."""

    x: Floats
    y: Floats
    dx: Floats
    dy: Floats
    length: Floats
    sign: Floats

    @classmethod
    def of(cls, samples: _Samples) -> _Line:
        """The lines; what is relative to one without length is NaN."""
        x, y = samples.first(samples.x), samples.first(samples.y)
        dx, dy = samples.last(samples.x) - x, y - samples.last(samples.y)
        sign = np.where(dx < 0, -1.0, 1.0) * np.where(dy < 0, -1, 1)
        return cls(x, y, dx, dy, np.sqrt(dx * dx + dy * dy), sign)

    def along(self, x: Floats, y: Floats, owner: Ints) -> Floats:
        """How far along the line places are."""
        found = self.dx[owner] * (x - self.x[owner]) + self.dy[owner] * (self.y[owner] - y)
        return _ratio(found, self.length[owner])

    def above(self, x: Floats, y: Floats, owner: Ints) -> Floats:
        """How far above the line, as seen; below, where it leads down: as mousetrap has it."""
        found = self.dx[owner] * (self.y[owner] - y) - self.dy[owner] * (x - self.x[owner])
        return _ratio(self.sign[owner] * found, self.length[owner])


def _ratio(above: Floats, below: Floats) -> Floats:
    """The quotients; NaN where there is none."""
    found = np.full(len(above), np.nan)
    np.divide(above, below, out=found, where=below > 0)
    return found


def _deviations(samples: _Samples, line: _Line, steps: Steps) -> dict[str, Floats]:
    """MAD, AUC, and AD, which is the mean over time-normalised places."""
    above = line.above(samples.x, samples.y, samples.owner)
    along = line.along(samples.x, samples.y, samples.owner)
    _, at = ragged.largest(np.abs(above), samples.owner, samples.n)
    step, after = samples.step, samples.step + 1
    area = (along[after] - along[step]) * (above[step] + above[after]) / 2
    mean = np.full(samples.n, np.nan)
    mean[steps.rows] = steps.of(above).reshape(-1, STEPS).mean(axis=1)
    return {
        "MAD": np.append(above, np.nan)[at],
        "MAD_time": samples.since(np.append(samples.t, np.nan)[at]),
        "AUC": np.bincount(samples.owner[step], area, samples.n),
        "AD": mean,
    }


def _entropies(samples: _Samples, steps: Steps) -> dict[str, Floats]:
    """sample_entropy of time-normalised x, for a few traces at a time: what fits a core's cache."""
    series = steps.of(samples.x).reshape(-1, STEPS)
    found = np.full(samples.n, np.nan)
    found[steps.rows] = np.concatenate(
        [_entropy(series[i : i + TRACES]) for i in range(0, max(len(series), 1), TRACES)]
    )
    return {"sample_entropy": found}


def _entropy(series: Floats) -> Floats:
    """Minus the log of how often runs of a row that are alike stay alike for one place more."""
    columns = np.ascontiguousarray(series.T)
    high = columns + NEAR * series.std(axis=1, ddof=1)
    alike, room = (np.empty(columns.shape, bool) for _ in range(2))
    short, long = (np.zeros(columns.shape, np.uint8) for _ in range(2))  # one for a lag at most
    for lag in range(1, STEPS - RUN):
        here = np.less_equal(columns[lag:], high[:-lag], out=alike[lag:])
        here &= np.less_equal(columns[:-lag], high[lag:], out=room[lag:])
        run = np.logical_and(here[:-RUN], here[1 : 1 - RUN], out=room[lag:-RUN])
        for k in range(2, RUN):
            run &= here[k : k - RUN]
        short[lag:-RUN] += run.view(np.uint8)
        run &= here[RUN:]
        long[lag:-RUN] += run.view(np.uint8)
    varies = series.max(axis=1, initial=-np.inf) > series.min(axis=1, initial=np.inf)
    shorts, longs = (counts.sum(axis=0, dtype=np.int64) for counts in (short, long))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(varies & (longs > 0), np.log(shorts / longs), np.nan)


def _flips(samples: _Samples, flat: Floats, least: Floats) -> Floats:
    """Changes of direction between runs that are longer than `least`."""
    change = flat[samples.step + 1] - flat[samples.step]
    moved = samples.step[change != 0]
    owner, rising = samples.owner[moved], change[change != 0] > 0
    begins = np.flatnonzero(
        np.append(True, (owner[1:] != owner[:-1]) | (rising[1:] != rising[:-1]))
    )
    begins = begins[begins < len(moved)]
    ends = np.append(begins[1:], len(moved))[: len(begins)] - 1
    owner, rising = owner[begins], rising[begins]
    kept = np.abs(flat[moved[ends] + 1] - flat[moved[begins]]) > least[owner]
    owner, rising = owner[kept], rising[kept]
    flipped = (owner[1:] == owner[:-1]) & (rising[1:] != rising[:-1])
    return np.bincount(owner[1:][flipped], minlength=samples.n).astype(float)
