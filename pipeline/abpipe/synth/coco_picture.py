"""The pictures of COCO-AB: sizes, and the things on them."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

SIZES = {(640, 480): 52, (640, 427): 14, (480, 640): 13, (640, 426): 5, (427, 640): 4}
SIZES |= {(500, 375): 4, (640, 428): 2, (640, 360): 2, (640, 640): 1, (375, 500): 1}
OTHER_SIZES = 6

PERSON = 0.54  # share of COCO's training pictures with a person


class Thing(NamedTuple):
    """An object on the picture: its category and its box in original pixels."""

    category: int
    xmin: float
    ymin: float
    xmax: float
    ymax: float

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height."""
        return self.xmax - self.xmin, self.ymax - self.ymin


def size(random: Random) -> tuple[int, int]:
    """Width and height of a picture; most of COCO is 640 pixels long."""
    found = random.choices([*SIZES, None], [*SIZES.values(), OTHER_SIZES])[0]
    if found:
        return found
    long, short = 640, random.randint(150, 640)
    return (long, short) if random.random() < 0.7 else (short, long)


def things(random: Random, within: tuple[int, int]) -> tuple[Thing, ...]:
    """Things of different categories; many pictures hold people, few hold more than six kinds."""
    n = min(18, int(random.expovariate(0.52)) + (random.random() < 0.985))
    found = [0] if n and random.random() < PERSON else []
    while len(found) < n:
        category = min(79, int(random.betavariate(0.9, 1.3) * 79) + 1)
        if category not in found:
            found.append(category)
    return tuple(_thing(random, category, within) for category in found)


def _thing(random: Random, category: int, size: tuple[int, int]) -> Thing:
    extent = random.triangular(0.06, 0.6, 0.15)
    w = size[0] * min(0.95, extent * random.uniform(0.7, 1.4))
    h = size[1] * min(0.95, extent * random.uniform(0.7, 1.4))
    x, y = (size[0] - w) * random.random(), (size[1] - h) * random.random()
    return Thing(category, round(x, 2), round(y, 2), round(x + w, 2), round(y + h, 2))
