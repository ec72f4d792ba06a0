"""COCO-AB, a chunk at a time: what each annotator drags where, as the tool records it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import NamedTuple

import numpy as np

from abpipe.contracts import classes
from abpipe.synth.coco_picture import Thing, size, things
from abpipe.synth.coco_plan import Plan
from abpipe.synth.motion import COCO, Hands, Moves, Stroke
from abpipe.synth.people import HONEST, spot

#: The palette's groups in order, each with its icons as a range of COCO's 80 categories.
GROUPS = {
    "PersonAccessory": (0, *range(24, 29)),
    "Animal": tuple(range(14, 24)),
    "Vehicle": tuple(range(1, 9)),
    "OutdoorObj": tuple(range(9, 14)),
    "Sports": tuple(range(29, 39)),
    "Kitchenware": tuple(range(39, 46)),
    "Food": tuple(range(46, 56)),
    "Furniture": tuple(range(56, 62)),
    "Appliance": tuple(range(68, 73)),
    "Electronics": tuple(range(62, 68)),
    "IndoorObjects": tuple(range(73, 80)),
}
UNLOADED = 0.001

BOARD_HEIGHT, BOARD_WIDTH = 450, 880
#: A board of the largest width is narrower once so many icons bring a scroll bar.
CROWDED, NARROWED = 11, 865
BORDER = 2
#: Half the side of an icon, over which the picture sees no mouse.
ICON = 21


class Action(NamedTuple):
    """One entry of actionHistories, in displayed pixels."""

    kind: str
    icon: str
    source: tuple[int, int] | None
    target: tuple[int, int] | None
    t: int


class Browse(NamedTuple):
    """One entry of categoryHistories."""

    group: int
    t: int
    keyboard: bool


@dataclass
class Stay:
    """An icon's time at one place."""

    record: int
    x: int
    y: int
    begin: int
    end: int = 1 << 62


@dataclass
class Board:
    """One annotator's page: the picture, the icons on it, and what the tool logs."""

    random: Random
    record: int
    width: int
    height: int
    strokes: list[Stroke]
    stays: list[Stay]
    slowness: float
    manner: str = HONEST
    spot: tuple[float, float] = (0.5, 0.5)
    """Where somebody who drops all icons at one spot does so, as fractions."""
    t: int = 0
    actions: list[Action] = field(default_factory=list)
    browses: list[Browse] = field(default_factory=list)
    placed: dict[str, Stay] = field(default_factory=dict)

    def wait(self, median: float, spread: float = 0.5) -> None:
        """Let time pass that is not spent over the picture."""
        drawn = self.random.lognormvariate(0, spread) * median * self.slowness
        self.t += max(30, int(drawn))

    def browse(self, group: int, keyboard: bool) -> None:
        """Open a group of the palette."""
        self.browses.append(Browse(group, self.t, keyboard))

    def add(self, icon: str, place: tuple[int, int]) -> None:
        """Drop an icon from the palette."""
        self.wait(1300)
        self._put("add", icon, None, place)
        self._go_away(place)

    def drag(self, icon: str, place: tuple[int, int]) -> None:
        """Fetch a placed icon and drop it elsewhere: nothing is seen of the way."""
        old = self._reach(icon)
        self.wait(700)
        self._put("move", icon, old, place)
        self._go_away(place)

    def remove(self, icon: str, dragging: bool) -> None:
        """Click an icon away, or drag it off the picture or onto another icon."""
        old = self._reach(icon)
        if dragging:
            self.wait(600)
        self.placed.pop(icon).end = self.t
        self.actions.append(Action("remove", icon, old, None, self.t))
        if not dragging:
            self._go_away(old)

    def nudge(self, icon: str) -> None:
        """Drop an icon twice in one moment: two actions of equal time and place."""
        stay = self.placed[icon]
        self.actions.append(Action("move", icon, (stay.x, stay.y), (stay.x, stay.y), stay.begin))

    def glance(self) -> None:
        """Move over the picture without an icon."""
        via = self.random.uniform(0, self.width), self.random.uniform(0, self.height)
        self._stroke(self._side(), via, self.random.lognormvariate(6.1, 0.5))
        self._go_away(via, pause=0)

    def free(self, x: float, y: float) -> tuple[int, int] | None:
        """A place for an icon near the wanted one, clear of the others; None if all is full."""
        for tries in range(12):
            place = self._within(self.random.gauss(x, 9 * tries), self.random.gauss(y, 9 * tries))
            if all(
                max(abs(place[0] - stay.x), abs(place[1] - stay.y)) > 2 * ICON
                for stay in self.placed.values()
            ):
                return place
        return None

    def aim(self, thing: Thing, size: tuple[int, int], precision: float) -> tuple[float, float]:
        """Where the annotator sees the middle of an object, or claims to."""
        if self.manner == "copy":
            return self.spot[0] * self.width, self.spot[1] * self.height
        if self.manner == "random":
            return self.random.uniform(0, self.width), self.random.uniform(0, self.height)
        narrowed = self.width == BOARD_WIDTH and len(self.placed) >= CROWDED
        seen = NARROWED if narrowed else self.width
        x = (thing.xmin + thing.xmax) / 2 + self.random.gauss(0, precision) * thing.extent[0]
        y = (thing.ymin + thing.ymax) / 2 + self.random.gauss(0, precision) * thing.extent[1]
        return x / size[0] * seen, y / size[1] * self.height

    def _within(self, x: float, y: float) -> tuple[int, int]:
        return (
            min(max(round(x), -BORDER), self.width + BORDER),
            min(max(round(y), -BORDER), self.height + BORDER),
        )

    def _put(
        self, kind: str, icon: str, old: tuple[int, int] | None, place: tuple[int, int]
    ) -> None:
        if icon in self.placed:
            self.placed[icon].end = self.t
        self.placed[icon] = Stay(self.record, *place, self.t)
        self.stays.append(self.placed[icon])
        self.actions.append(Action(kind, icon, old, place, self.t))

    def _reach(self, icon: str) -> tuple[int, int]:
        """Move from outside to a placed icon."""
        stay = self.placed[icon]
        self.wait(500)
        self._stroke(self._side(), (stay.x, stay.y), self.random.lognormvariate(6.2, 0.3))
        return stay.x, stay.y

    def _go_away(self, place: tuple[float, float], pause: int = 200) -> None:
        """Leave the picture, mostly for the palette below it."""
        self.t += pause and self.random.randint(pause // 2, pause * 3 // 2)
        self._stroke(place, self._side(30), self.random.lognormvariate(5.75, 0.35))

    def _side(self, outside: float = 0) -> tuple[float, float]:
        along = self.random.betavariate(2, 2)
        match self.random.choices((0, 1, 2, 3), (60, 20, 12, 8))[0]:
            case 0:
                return along * self.width, self.height + outside
            case 1:
                return self.width + outside, along * self.height
            case 2:
                return -outside, along * self.height
            case _:
                return along * self.width, -outside

    def _stroke(self, start: tuple[float, float], end: tuple[float, float], ms: float) -> None:
        size = (self.width, self.height, BORDER)
        self.strokes.append(Stroke(self.record, self.t, int(ms), *start, *end, *size))
        self.t += int(ms)


@dataclass(frozen=True)
class Record:
    """One element of the array."""

    image_id: int
    width: int
    height: int
    loaded: bool
    things: tuple[Thing, ...]
    board: Board
    time_spent: int
    moves: tuple[list[int], list[int], list[int]]


def icons() -> list[str]:
    """The 80 icon types: COCO's category names."""
    return [str(row["name"]) for row in classes("coco")]


def records(rng: np.random.Generator, plan: Plan, motion: str) -> list[Record]:
    """Act out a chunk."""
    random = Random(int(rng.integers(1 << 62)))
    hands = Hands()
    stays: list[Stay] = []
    names = icons()
    acted: list[tuple[Board, tuple[int, int], tuple[Thing, ...]]] = []
    for i in range(len(plan.image_id)):
        original = size(random)
        seen = things(random, original)
        manner = plan.manner[i].decode()
        board = Board(
            random,
            i,
            *_displayed(random, original),
            # a program that needs no mouse has its moves thrown away
            [] if manner == "traceless" else hands.of(manner),
            stays,
            float(plan.slowness[i]),
            manner,
            spot(bytes(plan.worker_id[i])),
        )
        _annotate(board, seen, original, float(plan.precision[i]), names)
        acted.append((board, original, seen))
    logged = _uncovered(hands.moves(rng, COCO, motion), stays, len(acted))
    cuts = logged.offsets(len(acted))
    t, x, y = logged.t_ms.tolist(), logged.x.tolist(), logged.y.tolist()
    return [
        Record(
            image_id,
            *original,
            random.random() >= UNLOADED,
            seen,
            board,
            max(4420, board.t + random.randint(400, 2500)),
            (t[a:b], x[a:b], y[a:b]),
        )
        for image_id, (board, original, seen), (a, b) in zip(
            plan.image_id.tolist(), acted, pairwise(cuts), strict=True
        )
    ]


def _annotate(
    board: Board,
    things: tuple[Thing, ...],
    size: tuple[int, int],
    precision: float,
    names: list[str],
) -> None:
    """Go through the groups in order, and put an icon on each kind of thing that is seen."""
    random = board.random
    board.wait(4500, 0.6)
    if random.random() < 0.002:
        board.t += random.randint(10**5, 8 * 10**6)
    keyboard = random.random() < 0.4
    for index, group in enumerate(GROUPS.values()):
        if index:
            board.wait(130 if keyboard else 330, 0.7)
            board.browse(index, keyboard if random.random() < 0.95 else not keyboard)
        if random.random() < 0.03 and index > 1:
            board.wait(600)
            board.browse(index - 1, keyboard)
            board.wait(600)
            board.browse(index, keyboard)
        if random.random() < 0.062:
            board.glance()
        for thing in things:
            if thing.category in group:
                _place(board, thing, names[thing.category], size, precision)
    if random.random() < 0.2:
        board.glance()


def _place(board: Board, thing: Thing, icon: str, size: tuple[int, int], precision: float) -> None:
    """Put one icon on the picture, and sometimes put it right."""
    random = board.random
    place = board.free(*board.aim(thing, size, precision))
    if place is None or icon in board.placed or random.random() < 0.03:
        return
    slip = random.random()
    if slip < 0.06:
        board.add(icon, board.free(place[0] + 60, place[1] - 40) or place)
        board.drag(icon, place)
    elif slip < 0.09:
        board.add(icon, place)
        board.remove(icon, dragging=slip < 0.07)
        if slip < 0.08:
            board.add(icon, place)
    else:
        board.add(icon, place)
        if slip < 0.093:
            board.nudge(icon)


def _displayed(random: Random, size: tuple[int, int]) -> tuple[int, int]:
    """450 pixels high (451 where the browser rounds), and as wide as fits, else stretched."""
    height = BOARD_HEIGHT if random.random() < 0.93 else BOARD_HEIGHT + 1
    return min(BOARD_WIDTH, round(BOARD_HEIGHT * size[0] / size[1])), height


def _uncovered(logged: Moves, stays: list[Stay], n: int) -> Moves:
    """The moves that are not over a placed icon: the icon catches those."""
    cuts = logged.offsets(n)
    seen = np.ones(len(logged.t_ms), bool)
    for stay in stays:
        cut = slice(cuts[stay.record], cuts[stay.record + 1])
        t, x, y = logged.t_ms[cut], logged.x[cut], logged.y[cut]
        over = (np.abs(x - stay.x) <= ICON) & (np.abs(y - stay.y) <= ICON)
        seen[cut] &= ~(over & (t >= stay.begin) & (t < stay.end))
    return logged.where(seen)
