"""The pictures of ImageNet-AB: sizes, objects, and how the tool displays them."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from abpipe.contracts import classes

BOX_WIDTH, BOX_HEIGHT = 324, 340

#: Original sizes and their weights; other pictures have sizes of their own.
SIZES = {(500, 375): 38, (500, 333): 14, (375, 500): 8, (333, 500): 5, (500, 334): 4, (500, 500): 4}
SIZES |= {(640, 480): 3, (500, 332): 2, (400, 300): 2, (500, 400): 2, (800, 600): 1, (200, 150): 1}
OTHER_SIZES = 16
#: ILSVRC published boxes for 544,546 of its 1,281,167 training pictures.
BOXES = 0.425


class Box(NamedTuple):
    """An object's bounding box in pixels of the original picture."""

    xmin: int
    ymin: int
    xmax: int
    ymax: int


@dataclass(frozen=True)
class Picture:
    """A picture and what is on it."""

    image_id: str
    wnid: str
    class_index: int
    width: int
    height: int
    depth: int
    objects: tuple[Box, ...]
    published: bool

    @property
    def displayed(self) -> tuple[int, int]:
        """Width and height in CSS pixels: fitted into a box, never enlarged."""
        scale = min(1.0, BOX_WIDTH / self.width, BOX_HEIGHT / self.height)
        return round(self.width * scale), round(self.height * scale)


def draw(random: Random, class_index: int, number: int) -> Picture:
    """A picture of some class: its size and its objects."""
    size = random.choices([*SIZES, None], [*SIZES.values(), OTHER_SIZES])[0]
    width, height = size or (random.randint(60, 900), random.randint(60, 900))
    main = _box(random, width, height, random.triangular(0.25, 0.95, 0.6))
    others = random.choices((0, 1, 2), (88, 9, 3))[0]
    wnid = str(classes("imagenet")[class_index]["class_id"])
    return Picture(
        f"{wnid}_{number}",
        wnid,
        class_index,
        width,
        height,
        1 if random.random() < 0.015 else 3,
        (main, *(_box(random, width, height, 0.2) for _ in range(others))),
        random.random() < BOXES,
    )


def _box(random: Random, width: int, height: int, extent: float) -> Box:
    w = max(8, round(width * min(0.98, extent * random.uniform(0.75, 1.25))))
    h = max(8, round(height * min(0.98, extent * random.uniform(0.75, 1.25))))
    x = round((width - w) * random.betavariate(2.5, 2.5))
    y = round((height - h) * random.betavariate(2.5, 2.5))
    return Box(x, y, x + w, y + h)
