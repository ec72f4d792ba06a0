"""Visits, measures and series, one record at a time in plain Python: what the tables must say.

Written from the definitions, with loops and without NumPy, so that it can be read as one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean, stdev
from typing import Any, NamedTuple

RANK = {
    "enter": 0,
    "move": 1,
    "click": 2,
    "add": 4,
    "drag": 5,
    "remove": 6,
    "browse": 7,
    "leave": 8,
}
GAP_MS, REST_PX, HOVER_MS, FLIP = 100, 2, 250, 0.01


class Event(NamedTuple):
    """One event; the place is a fraction of the picture."""

    kind: str
    seq: int
    t: int | None
    x: float | None = None
    y: float | None = None


class Point(NamedTuple):
    """A move in pixels, and how long the mouse was known to stay there."""

    t: int
    x: float
    y: float
    dwell: int = 0


@dataclass
class Visit:
    """A stretch in which the mouse was observed."""

    enter: int | None
    leave: int | None
    begin: int
    start: int
    end: int
    moves: list[Event] = field(default_factory=list)
    clicks: int = 0
    left: bool = False
    unobserved: int = 0
    ended: str = ""
    deciding: bool = False

    @property
    def observed(self) -> int:
        return self.end - self.start

    def points(self, width: int, height: int) -> list[Point]:
        times = [e.t or 0 for e in self.moves] + [self.end]
        return [
            Point(e.t or 0, (e.x or 0) * width, (e.y or 0) * height, later - (e.t or 0))
            for e, later in zip(self.moves, times[1:], strict=True)
        ]


def in_order(events: Sequence[Event]) -> list[Event]:
    """Events that can be placed, by time; a leave comes before the enter that follows at once."""
    usable = [e for e in events if e.t is not None and (e.kind != "move" or None not in (e.x, e.y))]
    leaves = {(e.t, e.seq) for e in usable if e.kind == "leave"}

    def rank(e: Event) -> int:
        again = e.kind == "enter" and (e.t, e.seq - 1) in leaves
        return 9 if again else RANK[e.kind]

    return sorted(usable, key=lambda e: (e.t, rank(e), e.seq))


def visits(
    events: Sequence[Event], selected: bool | None, board: tuple[float, float]
) -> list[Visit]:
    """The visits of a record; `board` is the displayed size, in which two pixels are a rest."""
    order = in_order(events)
    found: list[Visit] = []
    before: Event | None = None
    acted = selected_now = False
    for i, event in enumerate(order):
        if event.kind in ("add", "drag", "remove", "browse"):
            acted = True
            continue
        hovers = [e for e in order[: i + 1] if e.kind in ("enter", "leave")][-1:]
        enter = hovers[0].t if hovers and hovers[0].kind == "enter" else None
        later = [e for e in order[i + 1 :] if e.kind in ("enter", "leave")][:1]
        leave = later[0].t if later and later[0].kind == "leave" else None
        seen = before is not None and _observed(before, event, _vouched(order, event), acted, board)
        seen = seen and not selected_now
        is_new = event.kind == "enter"
        is_new |= event.kind == "move" and not seen and (before is None or before.kind != "enter")
        is_new |= event.kind == "click" and (before is None or before.kind == "leave")
        t = event.t or 0
        if is_new:
            found.append(Visit(enter, leave, t, t, t))
        if found:
            visit = found[-1]
            if seen and not is_new:
                visit.end = t
            elif event.kind == "move" and not is_new:  # first seen here, after the enter
                visit.unobserved = t - visit.start
                visit.start = visit.end = t
            visit.left |= event.kind == "leave"
            if event.kind == "move":
                visit.moves.append(event)
            visit.clicks += event.kind == "click"
        if event.kind in ("click", "move"):
            selected_now = event.kind == "click"
        before, acted = event, False
    for i, visit in enumerate(found):
        following = [later.begin for later in found[i + 1 : i + 2]]
        bounds = following + ([visit.leave] if visit.leave is not None else [])
        visit.unobserved += min(bounds) - visit.end if bounds else 0
        visit.ended = _ended(visit, not following)
    _decide(found, selected)
    return found


def _vouched(order: list[Event], event: Event) -> bool:
    """Whether an event lies between an enter and its leave, the leave included."""
    at = order.index(event)
    hovers = [(i, e.kind) for i, e in enumerate(order) if e.kind in ("enter", "leave")]
    return any(
        a <= at <= b and (before, after) == ("enter", "leave")
        for (a, before), (b, after) in pairwise(hovers)
    )


def _observed(a: Event, b: Event, vouched: bool, acted: bool, board: tuple[float, float]) -> bool:
    """Whether the mouse was observed between two events that follow each other."""
    if a.kind == "leave" or b.kind == "enter":
        return False
    if vouched or (b.t or 0) - (a.t or 0) <= GAP_MS:
        return True
    if acted or None in (a.x, a.y, b.x, b.y) or b.kind == "leave":
        return False
    dx, dy = ((b.x or 0) - (a.x or 0)) * board[0], ((b.y or 0) - (a.y or 0)) * board[1]
    return math.hypot(dx, dy) <= REST_PX


def _ended(visit: Visit, is_last: bool) -> str:
    if visit.clicks:
        return "click"
    if visit.left:
        return "leave"
    return "submit" if is_last and visit.leave is None else "gap"


def _decide(found: list[Visit], selected: bool | None) -> None:
    """Mark the visit with the final click, else the longest that has a move."""
    clicked = [visit for visit in found if visit.clicks]
    if selected and clicked:
        clicked[-1].deciding = True
    elif found:
        max(found, key=lambda v: (bool(v.moves), v.observed)).deciding = True


def estimate(found: list[Visit]) -> int:
    """estimateTime: hovered and not selected, from the first move on, of visits that were left."""
    times = [e.t or 0 for visit in found for e in visit.moves]
    return sum(
        max(0, visit.end - max(visit.start, min(times)))
        for visit in found
        if times and visit.enter is not None and visit.leave is not None
    )


def apart(a: Point, b: Point) -> float:
    return math.sqrt((b.x - a.x) ** 2 + (b.y - a.y) ** 2)


def path(points: Sequence[Point]) -> float | None:
    steps = [apart(a, b) for a, b in pairwise(points)]
    return math.fsum(steps) if steps else None


def rests(points: Sequence[Point]) -> list[int]:
    """How long the mouse rested, once for every place that it stayed at."""
    found: list[int] = []
    for i, point in enumerate(points):
        stays = i + 1 < len(points) and points[i + 1][1:3] == point[1:3]
        stayed = i > 0 and points[i - 1][1:3] == point[1:3]
        if not stayed:
            found.append(0)
        if stays or point.dwell > GAP_MS:
            found[-1] += point.dwell
    return [rest for rest in found if rest]


def initiation(points: Sequence[Point]) -> int | None:
    """From the first sample until the mouse departs from there; None if it never does."""
    for a, b in pairwise(points):
        if b[1:3] != points[0][1:3]:
            return (b.t if b.t - a.t > GAP_MS else a.t) - points[0].t
    return None


def speeds(points: Sequence[Point]) -> list[tuple[float, float]]:
    """(midpoint in time, px/ms) of every step that took time."""
    return [
        ((a.t + b.t) / 2 - points[0].t, apart(a, b) / (b.t - a.t))
        for a, b in pairwise(points)
        if b.t > a.t
    ]


def jumps(points: Sequence[Point], diagonal: float) -> list[float]:
    """Lengths of the steps that would be more than 10 diagonals in a second."""
    steps = ((apart(a, b), b.t - a.t) for a, b in pairwise(points))
    return [length for length, ms in steps if length > 10 * diagonal * ms / 1000]


def accelerations(points: Sequence[Point]) -> list[tuple[float, float]]:
    """(time of the sample between, px/ms²) of every two steps that took time and follow."""
    found = []
    for a, b, c in zip(points, points[1:], points[2:], strict=False):
        if a.t < b.t < c.t:
            change = apart(b, c) / (c.t - b.t) - apart(a, b) / (b.t - a.t)
            found.append((float(b.t - points[0].t), change / ((c.t - a.t) / 2)))
    return found


def deviations(
    places: Sequence[tuple[float, float]], ends: Sequence[Point]
) -> list[tuple[float, float]]:
    """(along, above) the line from first to last point; above as seen, negated going down."""
    x0, y0 = ends[0][1:3]
    dx, dy = ends[-1].x - x0, y0 - ends[-1].y
    length = math.hypot(dx, dy)
    sign = (-1 if dx < 0 else 1) * (-1 if dy < 0 else 1)
    return [
        (
            (dx * (x - x0) + dy * (y0 - y)) / length,
            sign * (dx * (y0 - y) - dy * (x - x0)) / length,
        )
        for x, y in places
    ]


def flips(values: Sequence[float], least: float) -> int:
    """Changes of direction, where runs of at most `least` do not count."""
    runs: list[tuple[float, float]] = []
    for a, b in pairwise(values):
        if runs and (b > a) == (runs[-1][1] > runs[-1][0]):
            runs[-1] = runs[-1][0], b
        elif a != b:
            runs.append((a, b))
    counted = [end > begin for begin, end in runs if abs(end - begin) > least]
    return sum(a != b for a, b in pairwise(counted))


def time_normalized(points: Sequence[Point], n: int = 101) -> list[tuple[float, float]]:
    """`n` places at equal steps of time, linear in between, held across rests."""
    span = points[-1].t - points[0].t
    return [at_time(points, span * k / (n - 1)) for k in range(n)]


def at_time(points: Sequence[Point], since: float) -> tuple[float, float]:
    """The place so many ms after the first sample."""
    i = max(i for i, point in enumerate(points) if point.t - points[0].t <= since)
    a = points[i]
    if i + 1 == len(points) or points[i + 1].t - a.t > GAP_MS:
        return a.x, a.y
    b = points[i + 1]
    share = (since - (a.t - points[0].t)) / (b.t - a.t)
    return a.x + share * (b.x - a.x), a.y + share * (b.y - a.y)


def length_normalized(points: Sequence[Point], n: int = 20) -> list[tuple[float, float]]:
    """`n` places equally far apart along the path."""
    gone = [0.0]
    for a, b in pairwise(points):
        gone.append(gone[-1] + apart(a, b))
    return [_at_length(points, gone, gone[-1] * k / (n - 1)) for k in range(n)]


def _at_length(points: Sequence[Point], gone: list[float], at: float) -> tuple[float, float]:
    for (a, b), (begin, end) in zip(pairwise(points), pairwise(gone), strict=True):
        if begin <= at <= end and end > begin:
            share = (at - begin) / (end - begin)
            return a.x + share * (b.x - a.x), a.y + share * (b.y - a.y)
    return points[-1].x, points[-1].y


def sample_entropy(values: Sequence[float], m: int = 3, share: float = 0.2) -> float | None:
    """Minus the log of how often alike runs of m stay alike for one more; None if none is."""
    near = share * stdev(values)
    if near == 0:
        return None
    n = len(values) - m
    short = long = 0
    for i, j in _pairs(n):
        if all(abs(values[i + k] - values[j + k]) <= near for k in range(m)):
            short += 1
            long += abs(values[i + m] - values[j + m]) <= near
    return -math.log(long / short) if long else None


def _pairs(n: int) -> Iterator[tuple[int, int]]:
    return ((i, j) for i in range(n) for j in range(i + 1, n))


def shape(points: Sequence[Point], width: float, height: float) -> dict[str, Any]:
    """The measures of a deciding visit; None where one is not defined."""
    found: dict[str, Any] = dict.fromkeys(
        (
            "initiation_time", "vel_max", "vel_max_time", "vel_mean", "acc_max", "acc_max_time",
            "MAD", "MAD_time", "AD", "AUC", "xpos_flips", "ypos_flips", "sample_entropy",
            "straightness", "jump_share",
        )
    )  # fmt: skip
    if len(points) < 2:
        return found
    found["initiation_time"] = initiation(points)
    found["xpos_flips"] = flips([p.x for p in points], FLIP * width)
    found["ypos_flips"] = flips([p.y for p in points], FLIP * height)
    if moving := speeds(points):
        fastest = max(speed for _, speed in moving)
        found["vel_max"] = fastest
        found["vel_max_time"] = next(t for t, speed in moving if speed == fastest)
        found["vel_mean"] = (path(points) or 0) / (points[-1].t - points[0].t)
        places = time_normalized(points)
        found["sample_entropy"] = sample_entropy([x for x, _ in places])
    if changes := accelerations(points):
        found["acc_max"] = max(change for _, change in changes)
        found["acc_max_time"] = next(t for t, change in changes if change == found["acc_max"])
    chord = apart(points[0], points[-1])
    if length := path(points):
        found["straightness"] = chord / length
        found["jump_share"] = math.fsum(jumps(points, math.hypot(width, height))) / length
    if chord:
        line = deviations([p[1:3] for p in points], points)
        furthest = max(abs(above) for _, above in line)
        at = next(i for i, (_, above) in enumerate(line) if abs(above) == furthest)
        found["MAD"], found["MAD_time"] = line[at][1], points[at].t - points[0].t
        found["AUC"] = math.fsum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(line))
        if moving:
            found["AD"] = fmean(above for _, above in deviations(places, points))
    return found
