"""Boxes drawn around what a map holds to be the object, and how well they fit. Needs SciPy."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from abpipe.derived.maps import Maps
from abpipe.derived.ragged import Floats, Ints

STEPS = 100  # thresholds, from 0 on

_PLANES = np.zeros((3, 3, 3), bool)
_PLANES[1] = ndimage.generate_binary_structure(2, 1)


def max_box_acc(maps: Maps, boxes: Floats, offsets: Ints, iou: float = 0.5) -> tuple[float, float]:
    """MaxBoxAcc of Choe et al. (CVPR 2020), and the threshold that gave it.

    For each threshold, 0, 0.01, ... 0.99, the share of maps [n, rows, columns] where the box around
    the largest connected part of {map >= threshold}, of a map scaled to 0..1, overlaps one of the
    object's boxes by at least an IoU; and of all thresholds the best. `boxes` [k, 4] are xmin,
    ymin, xmax, ymax as fractions, those of map i from offsets[i] to offsets[i + 1]. Pixels that
    touch by an edge are connected; the first of parts of equal size counts.
    """
    hits = [
        _overlaps(_boxes_of(one), boxes[begin:end]) >= iou
        for one, begin, end in zip(maps, offsets[:-1], offsets[1:], strict=True)
    ]
    shares = np.mean(hits, 0)
    best = int(shares.argmax())
    return float(shares[best]), best / STEPS


def _boxes_of(one: Maps) -> Floats:
    """Of each threshold, the box around the largest part of a map: [STEPS, 4], as fractions."""
    low, high = one.min(), one.max()
    scaled = (one - low) / (high - low) if high > low else np.ones_like(one)
    # all thresholds at once, as planes that do not touch
    parts, _ = ndimage.label(scaled >= np.arange(STEPS)[:, None, None] / STEPS, _PLANES)
    sizes = np.bincount(parts.ravel())[1:].tolist()
    made, largest = np.empty((STEPS, 4)), [0] * STEPS
    for (step, down, along), size in zip(ndimage.find_objects(parts), sizes, strict=True):
        if size > largest[step.start]:
            largest[step.start] = size
            made[step] = along.start, down.start, along.stop, down.stop
    rows, columns = one.shape
    return made / (columns, rows, columns, rows)


def _overlaps(one: Floats, others: Floats) -> Floats:
    """The largest IoU of each box [m, 4] with any of others [k, 4]: [m]."""
    low = np.maximum(one[:, None, :2], others[None, :, :2])
    high = np.minimum(one[:, None, 2:], others[None, :, 2:])
    both = np.prod(np.clip(high - low, 0, None), -1)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], -1) for boxes in (one, others)]
    found: Floats = (both / (areas[0][:, None] + areas[1][None] - both)).max(1)
    return found
