"""How well a classifier does, where backgrounds mislead it, and whether it looks at the object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from abpipe.derived.scores import box_cover, scores

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]

#: The grid that maps are brought to, and the thresholds of their boxes.
GRID, STEPS = 64, 100


def accuracy(predicted: Array, label: Array) -> float:
    """The share of pictures whose predicted class [n] is the label [n]; NaN without any.

    Labels of -1 do not count. For several labels a picture, [n, classes] of 0 and 1, the predicted
    class must be one of them, and pictures without any do not count.
    """
    if label.ndim == 2:
        right, counts = label[np.arange(len(label)), predicted] > 0, label.any(1)
    else:
        right, counts = predicted == label, label >= 0
    return float(right[counts].mean()) if counts.any() else float("nan")


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

    `max_box_acc` is MaxBoxAcc of Choe et al. (CVPR 2020) at IoU `iou`: for each threshold, the
    share of pictures where the box around the largest connected part of {map >= threshold}, of a
    map scaled to 0..1, overlaps one of the object's boxes by at least that IoU; and of all
    thresholds the best, which is `threshold`. `pointing` is the share whose largest value lies in a
    box, `energy` the share of the map's positive part within boxes: see `abpipe.derived.scores`.
    """

    pictures: int
    pointing: float
    energy: float
    max_box_acc: float
    threshold: float
    iou: float


def localization(
    maps: Floats, boxes: Floats, offsets: Ints | None = None, *, iou: float = 0.5
) -> Localization:
    """Judge maps [n, rows, columns] (class activations, attention) by boxes of the object.

    `boxes` [k, 4] are xmin, ymin, xmax, ymax as fractions; those of picture i are from offsets[i]
    to offsets[i + 1], without offsets picture i has box i, and none where that is NaN. Maps are
    resized to 64 x 64 (bilinear) first; thresholds are 0, 0.01, ... 0.99. Pixels that touch by an
    edge are connected; the first of parts of equal size counts. Raises ValueError for NaN.
    """
    if offsets is None:
        has_box = ~np.isnan(boxes).any(1)
        boxes, offsets = boxes[has_box], np.concatenate([[0], np.cumsum(has_box)])
    kept = np.diff(offsets) > 0
    boxes = boxes[np.repeat(kept, np.diff(offsets))]
    counts = np.diff(offsets)[kept]
    offsets, large = np.concatenate([[0], np.cumsum(counts)]), _resized(maps[kept])
    n = len(large)
    if np.isnan(large).any():
        raise ValueError("a map holds NaN: its network has diverged")
    if not n:
        nan = float("nan")
        return Localization(0, nan, nan, nan, nan, iou)
    positive = np.maximum(large, 0)
    total = positive.sum((1, 2), keepdims=True)
    shares = np.where(total > 0, positive / np.where(total > 0, total, 1), 1 / GRID**2)
    found = scores(
        shares.astype(np.float32),
        box_cover(boxes.astype(float), offsets.astype(np.int64), (GRID, GRID)),
    )
    peak = large.reshape(n, -1).argmax(1)
    xy = np.stack([peak % GRID + 0.5, peak // GRID + 0.5], 1) / GRID
    owner = np.repeat(np.arange(n), counts)
    within = np.all((xy[owner] >= boxes[:, :2]) & (xy[owner] <= boxes[:, 2:]), 1)
    pointing = np.bincount(owner, within, n) > 0
    hits = np.stack(
        [
            _overlaps(_boxes_of(one), boxes[a:b]) >= iou
            for one, a, b in zip(large, offsets[:-1], offsets[1:], strict=True)
        ]
    ).mean(0)
    best = int(hits.argmax())
    return Localization(
        n,
        float(pointing.mean()),
        float(np.nanmean(found.energy)),
        float(hits[best]),
        best / STEPS,
        iou,
    )


def _resized(maps: Floats) -> npt.NDArray[np.float32]:
    size = (GRID, GRID)
    made = [
        Image.fromarray(one.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
        for one in maps
    ]
    return np.array([np.asarray(one) for one in made], np.float32).reshape(-1, *size)


def _boxes_of(one: npt.NDArray[np.float32]) -> Floats:
    """Of each threshold, the box around the largest part of a map: [STEPS, 4], as fractions."""
    low, high = one.min(), one.max()
    scaled = (one - low) / (high - low) if high > low else np.ones_like(one)
    made = np.empty((STEPS, 4))
    for i in range(STEPS):
        parts, _ = ndimage.label(scaled >= i / STEPS)
        largest = np.bincount(parts.ravel())[1:].argmax()
        down, along = ndimage.find_objects(parts)[largest]
        made[i] = along.start, down.start, along.stop, down.stop
    return made / GRID


def _overlaps(one: Floats, others: Floats) -> Floats:
    """The largest IoU of each box [m, 4] with any of others [k, 4]: [m]."""
    low = np.maximum(one[:, None, :2], others[None, :, :2])
    high = np.minimum(one[:, None, 2:], others[None, :, 2:])
    both = np.prod(np.clip(high - low, 0, None), -1)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], -1) for boxes in (one, others)]
    found: Floats = (both / (areas[0][:, None] + areas[1][None] - both)).max(1)
    return found
