"""Random records, damaged ones among them, and what the slow reference says of them."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any, NamedTuple

from .slow_traces import Event, Point, Visit, visits

IMAGENET = dict(zip(("enter", "leave", "move", "click"), (2, 2, 8, 1), strict=True))
COCO = dict(zip(("move", "add", "drag", "remove", "browse"), (10, 1, 1, 1, 1), strict=True))
LISTS = {"enter": "hover", "leave": "hover", "drag": "add", "remove": "add"}

#: Between events: at once, as a mouse moves, around each threshold, long, and back.
WAITS = (0, 0, 16, 33, 33, 33, 50, 99, 100, 101, 180, 250, 251, 700, 5, 5, 5, -40)
SIZES = ((500, 375), (375, 500), (300, 200), (1200, 400))


class Record(NamedTuple):
    """A record on a picture of some size."""

    tool: str
    events: list[Event]
    selected: bool | None
    size: tuple[int, int]

    @property
    def board(self) -> tuple[float, float]:
        """What the picture measures on the screen."""
        width, height = self.size
        if self.tool == "coco":
            return min(450 / height * width, 880), 450
        scale = min(324 / width, 340 / height, 1)
        return width * scale, height * scale

    @property
    def visits(self) -> list[Visit]:
        return visits(self.events, self.selected, self.board)

    def tables(self, number: int) -> dict[str, list[dict[str, Any]]]:
        """The rows of the raw tables that hold this record alone."""
        image = {"image_id": f"{number:05d}", "width": self.size[0], "height": self.size[1]}
        row = {"annotation_id": number, "image_id": image["image_id"]}
        events = [
            row | {"kind": e.kind, "seq": e.seq, "t_ms": e.t, "x": e.x, "y": e.y}
            for e in self.events
        ]
        record = row | {"tool": self.tool, "selected": self.selected}
        return {"images": [image], "annotations": [record], "events": events}


def record(random: Random, tool: str) -> Record:
    """A record of up to 30 events on whole displayed pixels, shuffled."""
    kinds = IMAGENET if tool == "imagenet" else COCO
    t, x, y = random.choice([0, 10**12]), random.randrange(324), random.randrange(200)
    places, hover, events = Counter[str](), "leave", []
    for _ in range(random.choice([0, 1, 2, 3, 5, 8, 15, 30])):
        t += random.choice(WAITS)
        (kind,) = random.choices([*kinds], [*kinds.values()])
        if kind in ("enter", "leave"):
            if random.random() < 0.85:  # a few come without the other
                kind = "leave" if hover == "enter" else "enter"
            hover = kind
        if random.random() < 0.6:
            x += random.choice([0, 0, 1, 1, 2, -1, -2, 10, -10, 40, -60])
            y += random.choice([0, 0, 1, 2, -1, 10, -10])
        has_place = kind not in ("enter", "leave", "browse") and random.random() < 0.98
        place = (x / 324, y / 200) if has_place else (None, None)
        at = LISTS.get(kind, kind)
        events.append(Event(kind, places[at], t if random.random() < 0.98 else None, *place))
        places[at] += 1
    random.shuffle(events)
    return Record(tool, events, random.choice([True, False, None]), random.choice(SIZES))


def records(tool: str, n: int) -> list[Record]:
    """The same `n` records each time."""
    random = Random(tool)
    return [record(random, tool) for _ in range(n)]


def tables(made: list[Record]) -> dict[str, list[dict[str, Any]]]:
    """The rows of the raw tables that hold records, numbered from 0."""
    each = [one.tables(number) for number, one in enumerate(made)]
    return {name: [row for one in each for row in one[name]] for name in each[0]}


def path_of(random: Random, size: tuple[int, int]) -> list[Point]:
    """The moves of a visit: none, one, many; now and then on a line, or at one place."""
    t, x, y = random.choice([0, 10**12]), random.randrange(324), random.randrange(243)
    straight, times = random.random() < 0.15, [t]
    places = []
    for _ in range(random.choice([0, 1, 2, 2, 3, 5, 8, 15, 30])):
        places.append((x / 324 * size[0], y / 243 * size[1]))
        times.append(times[-1] + random.choice(WAITS[:-1]))
        if random.random() < 0.75:
            x += random.choice([0, 1, 1, 2, -1, -2, 3, 10, -10, 40, -60])
            y += 0 if straight else random.choice([0, 0, 1, 2, -1, 10, -10])
    return [
        Point(begin, *place, end - begin)
        for begin, end, place in zip(times[:-1], times[1:], places, strict=True)
    ]
