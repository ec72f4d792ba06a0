"""Pictures that fit the records: one coloured shape a class, where the object's box is."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw

from abpipe.synth.shapes import Shape, outline

#: Neighbouring classes get hues far apart.
GOLDEN_RATIO = 0.6180339887498949
QUALITY = 70


def color(class_index: int) -> tuple[int, int, int]:
    """The colour of a class's objects: a saturated hue."""
    r, g, b = colorsys.hsv_to_rgb(class_index * GOLDEN_RATIO % 1, 0.9, 0.85)
    return round(r * 255), round(g * 255), round(b * 255)


#: How a picture is turned to be stored, by the EXIF orientation that turns it back.
STORED = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}
STORED |= {8: Image.Transpose.ROTATE_270}
_ORIENTATION = 0x0112


def paint(
    random: Random, path: Path, size: tuple[int, int], shapes: Sequence[Shape], exif: int = 1
) -> None:
    """Write a JPEG: greyish gradient, the shapes from last to first, so the first is on top.

    Places are those of the picture as it is seen; with an EXIF orientation it is stored turned.
    """
    picture = _background(random, size)
    draw = ImageDraw.Draw(picture)
    for shape in reversed(shapes):
        _draw(draw, shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    if exif == 1:
        picture.save(path, "JPEG", quality=QUALITY)
        return
    tags = Image.Exif()
    tags[_ORIENTATION] = exif
    picture.transpose(STORED[exif]).save(path, "JPEG", quality=QUALITY, exif=tags)


def _background(random: Random, size: tuple[int, int]) -> Image.Image:
    corners = Image.new("RGB", (2, 2))
    grey = random.randint(90, 200)
    for x in range(2):
        for y in range(2):
            tint = [grey + random.randint(-28, 28) for _ in range(3)]
            corners.putpixel((x, y), (tint[0], tint[1], tint[2]))
    return corners.resize(size, Image.Resampling.BICUBIC)


def _draw(draw: ImageDraw.ImageDraw, shape: Shape) -> None:
    """An ellipse or a polygon of three to six corners, as large as its box."""
    if shape.corners == 2:
        draw.ellipse(shape.box, fill=color(shape.class_index))
    else:
        draw.polygon(outline(shape), fill=color(shape.class_index))
