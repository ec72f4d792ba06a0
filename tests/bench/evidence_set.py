"""Synthetic pictures whose backgrounds tell the class in training, and do not in tests.

Objects are those of an archive of `abpipe.synth`, where it says that they are; the class is the
outline, of which synth draws five. Each class has a background of its own, stripes of one direction
over a greyish tint; the object's hue tells nothing. As in the Backgrounds Challenge (Xiao et al.,
ICLR 2021) backgrounds are mixed, and as in SI-Score (Djolonga et al., CVPR 2021) the object alone
is moved, made smaller or turned, on backgrounds of any class.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

from abpipe.contracts import classes
from abpipe.synth.shapes import Shape, outline

Array = npt.NDArray[Any]

CLASSES, SIDE = 5, 48
#: How often a background is the class's own for sure; else it is any of all, by chance.
OWN = {"train": 0.6, "mixed_same": 1.0, "mixed_rand": 0.0}
OWN |= {"location": 0.0, "size": 0.0, "rotation": 0.0}
SPLITS = tuple(OWN)
_FINE = 4  # how much finer outlines are drawn, to be smooth


@dataclass(frozen=True)
class Objects:
    """Of each picture of an archive the first object, which is the one that is clicked."""

    ids: list[str]
    label: Array
    """Which outline [n], from 0 to 4."""
    box: Array
    """Left, top, right, bottom [n, 4], as fractions of the picture."""

    def __getitem__(self, at: Array) -> Objects:
        """Some of them."""
        return Objects([self.ids[i] for i in at], self.label[at], self.box[at])


@dataclass(frozen=True)
class Split:
    """How the pictures of some objects are to be drawn."""

    background: Array
    """Whose class's background [n]."""
    box: Array
    angle: Array
    """By how much the outline is turned [n], in radians."""


def objects(truth: Path) -> Objects:
    """The objects of an archive, as synth tells them."""
    told = pq.read_table(truth / "objects.parquet").to_pydict()
    sizes = pq.read_table(truth / "images.parquet", columns=["image_id", "width", "height"])
    size = {row["image_id"]: (row["width"], row["height"]) for row in sizes.to_pylist()}
    number = {row["class_id"]: i for i, row in enumerate(classes("imagenet"))}
    ids, first = np.unique(told["image_id"], return_index=True)
    edges = np.array([told[edge] for edge in ("xmin", "ymin", "xmax", "ymax")]).T
    return Objects(
        ids.tolist(),
        np.array([number[told["label"][i]] % CLASSES for i in first]),
        edges[first] / np.tile([size[name] for name in ids], 2),
    )


def split(of: Objects, name: str, seed: int) -> Split:
    """How a split shows objects. Splits of one seed differ in nothing but what they shift."""
    rng, n = np.random.default_rng(seed), len(of.ids)
    own, any_class, turn = rng.random(n) < OWN[name], rng.integers(0, CLASSES, n), rng.random(n)
    corner = rng.integers(0, 2, (n, 2))
    low, size = of.box[:, :2], of.box[:, 2:] - of.box[:, :2]
    if name == "location":
        low = corner * (1 - size)
    elif name == "size":
        low, size = low + size / 4, size / 2
    return Split(
        np.where(own, of.label, any_class),
        np.hstack([low, low + size]),
        2 * np.pi * turn * (name == "rotation"),
    )


def pictures(of: Objects, shown: Split, seed: int) -> list[Image.Image]:
    """The pictures of a split, 48 x 48 pixels: hues, stripes and noise follow from the seed."""
    rows = zip(of.label, shown.background, shown.box, shown.angle, strict=True)
    return [_picture(np.random.default_rng((seed, i)), *row) for i, row in enumerate(rows)]


def sheet(of: Objects, at: Array, seed: int) -> Image.Image:
    """The pictures at some places, a row for each split, without margins."""
    made = Image.new("RGB", (SIDE * len(at), SIDE * len(SPLITS)))
    for row, name in enumerate(SPLITS):
        drawn = pictures(of, split(of, name, seed), seed)
        for column, i in enumerate(at):
            made.paste(drawn[i], (SIDE * column, SIDE * row))
    return made


def _picture(
    rng: np.random.Generator, label: int, background: int, box: Array, angle: float
) -> Image.Image:
    hue = 255 * np.array(colorsys.hsv_to_rgb(rng.random(), 0.9, 0.85))
    canvas = _stripes(rng, background)
    cover = np.asarray(_cover(label, box, angle), float)[..., None] / 255
    canvas = canvas + cover * (hue - canvas) + rng.normal(0, 8, canvas.shape)
    return Image.fromarray(canvas.clip(0, 255).astype(np.uint8))


def _stripes(rng: np.random.Generator, background: int) -> Array:
    turn = np.pi * (background + rng.uniform(-0.2, 0.2)) / CLASSES
    down, across = np.mgrid[:SIDE, :SIDE] / SIDE
    along = across * np.cos(turn) + down * np.sin(turn)
    waves = np.sin(2 * np.pi * (along * rng.uniform(4, 6) + rng.random()))
    tinted: Array = rng.uniform(90, 200) + rng.uniform(-28, 28, 3) + 25 * waves[..., None]
    return tinted


def _cover(label: int, box: Array, angle: float) -> Image.Image:
    """How much of each pixel an outline covers."""
    left, top, right, bottom = (box * SIDE * _FINE).tolist()
    corners = np.array(outline(Shape(int(label), (left, top, right, bottom))))
    middle = np.array([left + right, top + bottom]) / 2
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    made = Image.new("L", (SIDE * _FINE, SIDE * _FINE))
    turned = (corners - middle) @ turn + middle
    ImageDraw.Draw(made).polygon([(x, y) for x, y in turned.tolist()], fill=255)
    return made.reduce(_FINE)
