"""How well a classifier does, where backgrounds mislead it, and whether it looks at the object."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from abpipe.derived.map_boxes import max_box_acc
from abpipe.derived.scores import box_cover

Array = npt.NDArray[Any]

GRID = 64  # that maps are brought to


def accuracy(predicted: Array, label: Array) -> float:
    """The share of pictures whose predicted class [n] is the label [n]; NaN without any.

    Labels of -1 do not count. For several labels a picture, [n, classes] of 0 and 1, the predicted
    class must be one of them, and pictures without any do not count.
    """
    if label.ndim == 2:
        right, counts = label[np.arange(len(label)), predicted] > 0, label.any(1)
    else:
        right, counts = predicted == label, label >= 0
    return float(right[counts].mean()) if counts.any() else nan


def shift_accuracy(predicted: Array, label: Array, shift: Array) -> dict[str, float]:
    """The accuracy on each background shift; `shift` [n] names that of each picture.

    As in the Backgrounds Challenge (Xiao et al., ICLR 2021), with shifts such as "original",
    "mixed_same" (another picture's background, of the same class) and "mixed_rand" (of any class).
    """
    return {
        str(name): accuracy(predicted[shift == name], label[shift == name])
        for name in np.unique(shift)
    }


def background_gap(of: dict[str, float]) -> float:
    """The Backgrounds Challenge's BG-Gap: mixed_same - mixed_rand, what backgrounds gave away."""
    return of["mixed_same"] - of["mixed_rand"]


@dataclass(frozen=True)
class Localization:
    """How maps localize objects, means over pictures that have some; NaN without any.

    `pointing` is the share whose largest value lies in a box, `energy` the share of the map's
    positive part within boxes (`abpipe.derived.scores`), `max_box_acc` MaxBoxAcc at IoU `iou`, and
    `threshold` the one that gave it (`abpipe.derived.map_boxes`).
    """

    pictures: int
    pointing: float
    energy: float
    max_box_acc: float
    threshold: float
    iou: float


def localization(
    maps: Array, boxes: Array, offsets: Array | None = None, *, iou: float = 0.5
) -> Localization:
    """Judge maps [n, rows, columns] (class activations, attention) by boxes of the object.

    `boxes` [k, 4] are xmin, ymin, xmax, ymax as fractions; those of picture i are from offsets[i]
    to offsets[i + 1], without offsets picture i has box i, and none where that is NaN. Maps are
    resized to 64 x 64 (bilinear) first. Raises ValueError for NaN.
    """
    if offsets is None:
        has_box = ~np.isnan(boxes).any(1)
        boxes, counts = boxes[has_box], has_box.astype(int)
    else:
        counts = np.diff(offsets)
    offsets = np.concatenate([[0], np.cumsum(counts[counts > 0])])
    n, large = len(offsets) - 1, _resized(maps[counts > 0])
    if np.isnan(large).any():
        raise ValueError("a map holds NaN: its network has diverged")
    if not n:
        return Localization(0, nan, nan, nan, nan, iou)
    positive = np.maximum(large, 0)
    positive[~positive.any((1, 2))] = 1
    inside = (positive * box_cover(boxes.astype(float), offsets, (GRID, GRID))).sum((1, 2))
    peak, owner = large.reshape(n, -1).argmax(1), np.repeat(np.arange(n), np.diff(offsets))
    xy = (np.stack([peak % GRID, peak // GRID], 1) + 0.5) / GRID
    within = np.all((xy[owner] >= boxes[:, :2]) & (xy[owner] <= boxes[:, 2:]), 1)
    return Localization(
        n,
        float((np.bincount(owner, within, n) > 0).mean()),
        float((inside / positive.sum((1, 2))).mean()),
        *max_box_acc(large, boxes, offsets, iou),
        iou,
    )


def _resized(maps: Array) -> Array:
    given, size = torch.from_numpy(maps.astype(np.float32))[:, None], (GRID, GRID)
    made = functional.interpolate(given, size, mode="bilinear", antialias=True)
    return np.asarray(made[:, 0].numpy())
