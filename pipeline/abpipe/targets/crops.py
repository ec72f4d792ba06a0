"""How a picture is cut for a network, with the view that its targets follow.

Whatever is called with a PIL picture and a NumPy generator, and gives a picture and its `View`, can
be used in the place of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, log, sqrt

import numpy as np
from PIL.Image import Image, Resampling, Transpose

from abpipe.targets.geometry import View

_TRIES = 10


@dataclass(frozen=True)
class RandomCrop:
    """A random part of the picture, perhaps mirrored, at size x size pixels.

    `scale` bounds the part's share of the area, `ratio` its width over height, before it is
    resized (Inception's augmentation, with the values that are usual for ImageNet); where ten draws
    do not fit into the picture, the largest part in its middle that has an allowed ratio.
    """

    size: int = 224
    scale: tuple[float, float] = (0.08, 1)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5

    def __call__(self, picture: Image, rng: np.random.Generator) -> tuple[Image, View]:
        """The part, and its view."""
        return _shown(picture, self._box(*picture.size, rng), self.size, rng.random() < self.flip)

    def _box(
        self, width: int, height: int, rng: np.random.Generator
    ) -> tuple[float, float, float, float]:
        low, high = (log(bound) for bound in self.ratio)
        for _ in range(_TRIES):
            share, tall, x, y = rng.random(4).tolist()
            area = width * height * (self.scale[0] + share * (self.scale[1] - self.scale[0]))
            ratio = exp(low + tall * (high - low))
            w, h = round(sqrt(area * ratio)), round(sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                return int(x * (width - w + 1)), int(y * (height - h + 1)), w, h
        w = min(width, max(1, round(height * self.ratio[1])))
        h = min(height, max(1, round(width / self.ratio[0])))
        return (width - w) // 2, (height - h) // 2, w, h


@dataclass(frozen=True)
class CenterCrop:
    """The square in the middle whose side is `share` of the shorter one, at size x size pixels."""

    size: int = 224
    share: float = 224 / 256

    def __call__(self, picture: Image, _rng: np.random.Generator) -> tuple[Image, View]:
        """The square, and its view."""
        (width, height), side = picture.size, self.share * min(picture.size)
        return _shown(picture, ((width - side) / 2, (height - side) / 2, side, side), self.size)


def _shown(
    picture: Image, box: tuple[float, float, float, float], size: int, flip: bool = False
) -> tuple[Image, View]:
    """A part (left, top, width, height) of a picture, resized and perhaps mirrored."""
    left, top, width, height = box
    stored, x, y = picture.size, size / width, size / height
    # a JPEG is read at a half or a quarter of its size where that is still enough
    draft = picture.draft("RGB", (ceil(stored[0] * x), ceil(stored[1] * y)))
    smaller = draft[1][2] / stored[0] if draft else 1
    if picture.mode != "RGB":
        picture = picture.convert("RGB")
    part = [edge * smaller for edge in (left, top, left + width, top + height)]
    made = picture.resize((size, size), Resampling.BILINEAR, (part[0], part[1], part[2], part[3]))
    # View.of(...).crop(...).resize(...).hflip(), in one step: it is done for each picture
    across = (x, 0.0, -left * x)
    if flip:
        made = made.transpose(Transpose.FLIP_LEFT_RIGHT)
        across = (-x, 0.0, size + left * x)
    return made, View(stored, (size, size), (across, (0.0, y, -top * y)))
