"""ImageNet-AB, a chunk at a time: what each annotator does, as the tool records it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import NamedTuple

import numpy as np

from abpipe.synth.imagenet_picture import Picture, draw
from abpipe.synth.imagenet_plan import Plan, Slots
from abpipe.synth.motion import IMAGENET, Hands, Moves, Stroke
from abpipe.synth.people import HONEST, spot

#: What annotators do with a picture, and how often.
STYLES = {
    "select": 0.843,
    "reselect": 0.022,
    "unselect": 0.012,
    "pass": 0.062,
    "linger": 0.020,
    "still": 0.004,
    "traceless": 0.006,
    "unseen": 0.0307,
    "unloaded": 0.0003,
}

#: Where an honest annotator looks at the picture, a cheat cheats.
DECISIONS = ("select", "reselect", "unselect", "linger", "traceless")


class Span(NamedTuple):
    """A time hovered and not selected, which counts as estimateTime if its visit ended."""

    visit: int
    begin: int
    end: int


@dataclass
class Mouse:
    """One annotator's mouse over one picture; what the tool logs of it."""

    random: Random
    record: int
    width: int
    height: int
    t: int
    strokes: list[Stroke]
    hovered: list[tuple[str, int]] = field(default_factory=list)
    clicks: list[tuple[int, int, int]] = field(default_factory=list)
    """Time and displayed pixels of each click that selected."""
    spans: list[Span] = field(default_factory=list)
    selected: bool = False
    visits: int = 0
    x: float = 0
    y: float = 0

    def enter(self) -> None:
        """Come in over any side, a little deep: a moving mouse is not seen on the edge itself."""
        self.x, self.y = self.side(-min(abs(self.random.gauss(0, 11)), self.width / 4))
        self.hovered.append(("enter", self.t))
        self.visits += 1

    def side(self, outside: float) -> tuple[float, float]:
        """A place near the middle of a random side, so many pixels outside of it."""
        along = min(max(self.random.gauss(0.5, 0.2), 0.02), 0.98)
        x, y = along * self.width, along * self.height
        match self.random.randrange(4):
            case 0:
                return -outside, y
            case 1:
                return self.width + outside, y
            case 2:
                return x, -outside
            case _:
                return x, self.height + outside

    def go(self, x: float, y: float, ms: int) -> None:
        """Move for `ms`; a selected picture logs nothing."""
        if not self.selected:
            margin = 1 if self.random.random() < 0.01 else 0
            ends = (self.x, self.y, x, y, self.width, self.height, margin)
            self.strokes.append(Stroke(self.record, self.t, ms, *ends))
        self.x, self.y = x, y
        self.stay(ms)

    def stay(self, ms: int) -> None:
        """Let time pass over the picture."""
        if not self.selected:
            self.spans.append(Span(self.visits, self.t, self.t + ms))
        self.t += ms

    def click(self) -> None:
        """Toggle the picture, at the whole pixel under the mouse."""
        self.selected = not self.selected
        if self.selected:
            x = min(max(round(self.x), 0), self.width)
            y = min(max(round(self.y), 0), self.height)
            self.clicks.append((self.t, x, y))

    def leave(self, ms: int) -> None:
        """Go out over any side."""
        self.go(*self.side(9), ms)
        self.hovered.append(("leave", self.t))
        self.t += self.random.randint(60, 450)

    def submit(self) -> None:
        """End the page by keyboard, so that the last visit stays open."""
        if self.hovered and self.hovered[-1][0] == "leave":
            self.hovered.pop()

    def estimate(self, first_move: int) -> int:
        """The tool's estimateTime: hovered and not selected, from the first move on."""
        closed = sum(action == "leave" for action, _ in self.hovered)
        return sum(
            max(0, span.end - max(span.begin, first_move))
            for span in self.spans
            if span.visit <= closed
        )


@dataclass(frozen=True)
class Record:
    """One `<metadata>`: what was done with a picture, and what that measures."""

    picture: Picture
    style: str
    mouse: Mouse
    moves: tuple[list[int], list[int], list[int]]
    """Times and displayed pixels."""
    estimate_ms: int


def records(
    rng: np.random.Generator, plan: Plan, motion: str
) -> tuple[list[Picture], list[Record]]:
    """Act out a chunk: its pictures, and its records ordered by picture."""
    random = Random(int(rng.integers(1 << 62)))
    pictures = [
        draw(random, index, number)
        for index, number in zip(plan.class_index.tolist(), plan.number.tolist(), strict=True)
    ]
    styles = random.choices(list(STYLES), list(STYLES.values()), k=len(plan.slots.picture))
    shown = [pictures[i] for i in plan.slots.picture.tolist()]
    hands = Hands()
    mice = [_act(random, i, shown[i], style, plan.slots, hands) for i, style in enumerate(styles)]
    logged = hands.moves(rng, IMAGENET, motion)
    return pictures, [
        Record(shown[i], styles[i], mice[i], trace, _estimate(random, mice[i], trace[0]))
        for i, trace in enumerate(_traces(logged, len(mice)))
    ]


def _act(random: Random, i: int, picture: Picture, style: str, slots: Slots, hands: Hands) -> Mouse:
    width, height = picture.displayed
    if style == "unloaded":
        width = height = 0
    manner = slots.manner[i].decode()
    mouse = Mouse(random, i, width, height, int(slots.start_ms[i]), hands.of(manner))
    pace = int(slots.pace_ms[i])
    aim = _aim(random, picture, float(slots.precision[i]))
    if manner != HONEST and style in DECISIONS:
        style, aim = _cheat(mouse, manner, aim, bytes(slots.worker_id[i]))
    if style in _ACTS:
        _ACTS[style](mouse, pace, aim)
        if random.random() < 0.003:
            mouse.submit()
    return mouse


def _aim(random: Random, picture: Picture, precision: float) -> tuple[float, float]:
    """A displayed place on the first object, as precisely as the person clicks."""
    box, (width, height) = picture.objects[0], picture.displayed
    x = (box.xmin + box.xmax) / 2 + random.gauss(0, precision) * (box.xmax - box.xmin)
    y = (box.ymin + box.ymax) / 2 + random.gauss(0, precision) * (box.ymax - box.ymin)
    return (
        min(max(x / picture.width, 0), 1) * width,
        min(max(y / picture.height, 0), 1) * height,
    )


def _cheat(
    mouse: Mouse, manner: str, aim: tuple[float, float], person: bytes
) -> tuple[str, tuple[float, float]]:
    """What a cheat does instead: a style, and where."""
    random = mouse.random
    if manner == "copy":
        x, y = spot(person)
        aim = _near(random, (x * mouse.width, y * mouse.height), 2)
    elif manner == "random":
        aim = random.uniform(0, mouse.width), random.uniform(0, mouse.height)
    return "traceless" if manner == "traceless" else "select", aim


def _near(random: Random, place: tuple[float, float], px: float) -> tuple[float, float]:
    return random.gauss(place[0], px), random.gauss(place[1], px)


def _approach(mouse: Mouse, ms: int, aim: tuple[float, float]) -> None:
    """Move to the aim; the hand still drifts a little before it clicks."""
    mouse.go(*_near(mouse.random, aim, 2), ms)
    mouse.x, mouse.y = aim


def _select(mouse: Mouse, pace: int, aim: tuple[float, float]) -> None:
    """Perhaps glance, then come, click and go; a few come back over the selected picture."""
    glances = mouse.random.choices((0, 1, 2), (85, 12, 3))[0]
    for _ in range(glances):
        mouse.enter()
        mouse.leave(pace // (glances + 2))
        pace -= pace // (glances + 2)
    mouse.enter()
    _approach(mouse, pace, aim)
    mouse.click()
    mouse.leave(_linger(mouse.random))
    if mouse.random.random() < 0.08:
        mouse.enter()
        mouse.leave(_linger(mouse.random))


def _reselect(mouse: Mouse, pace: int, aim: tuple[float, float]) -> None:
    """Click beside the object, think better of it, click again."""
    mouse.enter()
    _approach(mouse, pace * 3 // 5, _near(mouse.random, aim, 30))
    mouse.click()
    mouse.stay(mouse.random.randint(250, 1100))
    mouse.click()
    _approach(mouse, pace * 2 // 5, aim)
    mouse.click()
    mouse.leave(_linger(mouse.random))


def _unselect(mouse: Mouse, pace: int, aim: tuple[float, float]) -> None:
    """Click, and take it back."""
    mouse.enter()
    _approach(mouse, pace * 3 // 5, aim)
    mouse.click()
    mouse.stay(mouse.random.randint(250, 1100))
    mouse.click()
    mouse.leave(pace * 2 // 5)


def _pass(mouse: Mouse, pace: int, aim: tuple[float, float]) -> None:
    """Cross the picture on the way to another one."""
    mouse.enter()
    mouse.leave(min(pace, mouse.random.randint(30, 300)))


def _look(mouse: Mouse, pace: int, aim: tuple[float, float]) -> None:
    """Look closely and leave it."""
    mouse.enter()
    mouse.go(*_near(mouse.random, aim, 20), pace * 2 // 3)
    mouse.leave(pace // 3)


def _still(mouse: Mouse, pace: int, aim: tuple[float, float]) -> None:
    """The page scrolls under a mouse that does not move."""
    mouse.enter()
    mouse.stay(min(pace, 900))
    mouse.hovered.append(("leave", mouse.t))


def _traceless(mouse: Mouse, pace: int, aim: tuple[float, float]) -> None:
    """Scroll the picture under the mouse and click without a move."""
    mouse.enter()
    mouse.stay(min(pace, 2000))
    mouse.x, mouse.y = aim
    mouse.click()
    mouse.leave(_linger(mouse.random))


_ACTS = {
    "select": _select,
    "reselect": _reselect,
    "unselect": _unselect,
    "pass": _pass,
    "linger": _look,
    "still": _still,
    "traceless": _traceless,
}


def _linger(random: Random) -> int:
    """Time between the click and the leaving."""
    return min(1500, round(random.lognormvariate(5.6, 0.6)))


def _traces(logged: Moves, n: int) -> list[tuple[list[int], list[int], list[int]]]:
    t, x, y = logged.t_ms.tolist(), logged.x.tolist(), logged.y.tolist()
    cuts = logged.offsets(n)
    return [(t[a:b], x[a:b], y[a:b]) for a, b in pairwise(cuts)]


def _estimate(random: Random, mouse: Mouse, times: list[int]) -> int:
    """estimateTime; the tool's timers are some milliseconds off the events' times."""
    exact = mouse.estimate(times[0]) if times else 0
    return max(2, exact + random.randint(-3, 2)) if exact else 0
