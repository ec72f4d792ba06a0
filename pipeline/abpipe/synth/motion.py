"""How a hand moves a mouse, and what a browser makes of it: all strokes of a chunk at once."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Motion:
    """The parameters of a motion model; other models are other values (see HANDS)."""

    frames: tuple[float, ...] = (0.11, 0.77, 0.09, 0.03)
    """Shares of samples that come 1, 2, 3, ... screen frames after the one before."""
    frame_ms: float = 1000 / 60
    clock_ms: float = 1.0
    """Standard deviation of a sample's time around its frame."""
    moving_ms: float = 670.0
    """Median of the time in motion; what a stroke lasts beyond it, the hand rests."""
    moving_spread: float = 0.5
    curve: float = 0.11
    """Standard deviation of the bow, as a share of the distance."""
    overshoot: float = 0.05
    """Mean of the distance gone too far, where the hand overshoots, as a share of the distance."""
    overshoots: float = 0.4
    """Share of strokes that overshoot and come back."""
    tremor_px: float = 0.7
    eagerness: float = 0.8
    """Below 1 the fastest moment comes before the middle, as in aimed movements."""
    bows: int = 1
    """Half waves of the bow: one is an arc, two are an S."""
    decay: float = 0.0
    """0 is a minimum-jerk movement; else the distance left falls by exp(-decay) on the way."""
    rests: tuple[float, float] = (0.45, 1.0)
    """Between which shares of the time in motion the hand rests."""
    samples: int = 64
    """The most samples of a stroke."""


#: At most one move in 1000/60 ms, and in practice every second frame.
IMAGENET = Motion()
#: Not throttled: one move a frame.
COCO = Motion(frames=(0.96, 0.03, 0.01), clock_ms=1.6, moving_ms=400.0)

#: Motion models by name. What is tuned on one of them is reported on the others.
HANDS: dict[str, dict[str, Any]] = {
    "aimed": {},
    "hasty": {
        "moving_ms": 300.0,
        "moving_spread": 0.35,
        "curve": 0.05,
        "overshoot": 0.15,
        "overshoots": 0.7,
        "tremor_px": 1.3,
        "eagerness": 0.6,
        "rests": (0.8, 1.0),
    },
    "winding": {"bows": 2, "curve": 0.25, "decay": 4.0, "overshoots": 0.1, "rests": (0.2, 0.9)},
    "drifting": {
        "moving_ms": 1400.0,
        "moving_spread": 0.8,
        "curve": 0.18,
        "overshoots": 0.0,
        "tremor_px": 0.4,
        "eagerness": 1.0,
        "rests": (0.05, 0.95),
    },
    "darting": {
        "moving_ms": 250.0,
        "moving_spread": 0.6,
        "curve": 0.08,
        "overshoot": 0.1,
        "overshoots": 0.5,
        "tremor_px": 1.0,
        "eagerness": 0.5,
        "rests": (0.5, 1.0),
    },
}
_LINE = {"curve": 0.0, "tremor_px": 0.0, "overshoots": 0.0}
#: How programs move, whatever the model of hands: along a straight line, or in one jump.
PROGRAMS: dict[str, dict[str, Any]] = {
    "straight": _LINE,
    "teleport": _LINE
    | {"frames": (1.0,), "moving_ms": 20.0, "moving_spread": 0.0, "rests": (1.0, 1.0)},
}


class Stroke(NamedTuple):
    """One movement over a picture of `width` x `height` displayed pixels."""

    record: int
    begin_ms: int
    duration_ms: int
    x0: float
    y0: float
    x1: float
    y1: float
    width: int
    height: int
    margin: int
    """Pixels beyond the edges that still belong to the picture."""


@dataclass(frozen=True)
class Moves:
    """Mouse moves in whole displayed pixels, ordered by record and time."""

    record: Ints
    t_ms: Ints
    x: Ints
    y: Ints

    def where(self, keep: npt.NDArray[np.bool_]) -> Moves:
        """The moves that `keep` marks."""
        return Moves(self.record[keep], self.t_ms[keep], self.x[keep], self.y[keep])

    def offsets(self, n_records: int) -> list[int]:
        """Where the moves of each record begin, and after the last where they end."""
        found: list[int] = np.searchsorted(self.record, np.arange(n_records + 1)).tolist()
        return found


@dataclass
class Hands:
    """The strokes of a chunk's people and of its programs, each ordered by record and time."""

    people: list[Stroke] = field(default_factory=list)
    programs: dict[str, list[Stroke]] = field(
        default_factory=lambda: {manner: [] for manner in PROGRAMS}
    )

    def of(self, manner: str) -> list[Stroke]:
        """Where the strokes of somebody who works in that manner go."""
        return self.programs.get(manner, self.people)

    def moves(self, rng: np.random.Generator, browser: Motion, motion: str) -> Moves:
        """What the browser logs of all of them, ordered by record and time."""
        parts = [moves(rng, replace(browser, **HANDS[motion]), self.people)]
        for manner, strokes in self.programs.items():
            parts.append(moves(rng, replace(browser, **PROGRAMS[manner]), strokes))
        record, t, x, y = (
            np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Moves)
        )
        order = np.argsort(record, kind="stable")
        return Moves(record[order], t[order], x[order], y[order])


def moves(rng: np.random.Generator, motion: Motion, strokes: list[Stroke]) -> Moves:
    """What a browser logs of the strokes, which are ordered by record and time."""
    if not strokes:
        return Moves(*(np.zeros(0, np.int64) for _ in range(4)))
    table = np.array(strokes, np.float64).T
    record, begin, duration, x0, y0, x1, y1, width, height, margin = (row[:, None] for row in table)
    elapsed, progress, sampled = _samples(rng, motion, duration)
    x, y = _path(rng, motion, progress, (x0, y0), (x1, y1))
    sampled &= (x >= -margin) & (x <= width + margin) & (y >= -margin) & (y <= height + margin)
    row, _ = np.nonzero(sampled)
    found = Moves(
        record[row, 0].astype(np.int64),
        (begin[row, 0] + elapsed[sampled]).astype(np.int64),
        x[sampled].astype(np.int64),
        y[sampled].astype(np.int64),
    )
    # a browser logs a move only on another pixel, and one stroke may follow another at once
    t, x, y = np.diff(found.t_ms), np.diff(found.x), np.diff(found.y)
    unseen = (t < int(motion.frame_ms)) | ((x == 0) & (y == 0))
    unseen &= np.diff(found.record) == 0
    return found.where(~np.concatenate([np.zeros(min(1, len(row)), bool), unseen]))


def _samples(
    rng: np.random.Generator, motion: Motion, duration: Floats
) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Per stroke and sample: whole ms since the beginning, progress in 0..1, whether it is one."""
    n, k = len(duration), motion.samples
    spread = rng.lognormal(np.log(motion.moving_ms), motion.moving_spread, (n, 1))
    moving = np.maximum(np.minimum(spread, duration), 1.0)
    frames = 1 + np.searchsorted(np.cumsum(motion.frames)[:-1], rng.random((n, k - 1)))
    wait = frames * motion.frame_ms + rng.normal(0.0, motion.clock_ms, (n, k - 1))
    # the throttle's guarantee, also after rounding to whole milliseconds
    wait = np.maximum(wait, motion.frame_ms + 0.34)
    moved = np.concatenate([np.zeros((n, 1)), np.cumsum(wait, axis=1)], axis=1)
    rest = (duration - moving) * rng.random((n, 1)) ** 0.5
    rested = moved > moving * rng.uniform(*motion.rests, (n, 1))
    elapsed = np.floor(moved + rest * rested)
    sampled = (moved <= moving) & (elapsed <= duration)
    return elapsed, np.minimum(moved / moving, 1.0), sampled


def _path(
    rng: np.random.Generator,
    motion: Motion,
    progress: Floats,
    start: tuple[Floats, Floats],
    end: tuple[Floats, Floats],
) -> tuple[Floats, Floats]:
    """Whole pixels along a bowed path that may overshoot and come back."""
    n = len(progress)
    u = progress**motion.eagerness
    if motion.decay:
        along = np.expm1(-motion.decay * u) / np.expm1(-motion.decay)
    else:
        along = u**3 * (10 - 15 * u + 6 * u**2)
    too_far = rng.exponential(motion.overshoot, (n, 1)) * (rng.random((n, 1)) < motion.overshoots)
    along = along + too_far * np.sin(np.pi * np.clip((u - 0.55) / 0.45, 0, 1))
    turns = np.sin(np.pi * motion.bows * np.clip(along, 0, 1))
    bow = rng.normal(0.0, motion.curve, (n, 1)) * turns
    dx, dy = end[0] - start[0], end[1] - start[1]
    shake = rng.normal(0.0, motion.tremor_px, (2, *u.shape)) * (u > 0) * (u < 1)
    x = start[0] + along * dx - bow * dy + shake[0]
    y = start[1] + along * dy + bow * dx + shake[1]
    return np.rint(x), np.rint(y)
