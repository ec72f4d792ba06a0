"""Places for labels beside what they name, so that they hide neither it nor each other."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]

_AROUND = np.array(
    [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)], np.float64
)
_FAR = (1.0, 2.2, 4.0, 6.5, 10.0, 14.0)


def spread(anchors: Floats, sizes: Floats, bounds: tuple[float, float], gap: float) -> Floats:
    """The middles of labels [n, 2], each beside its anchor [n, 2], in any one unit.

    `sizes` [n, 2] are the labels' widths and heights, `bounds` those of the picture, which they are
    kept in; `gap` is how far an anchor's mark reaches. One label after another takes, of some
    places around its anchor, the one where it covers the least; near ones come first.
    """
    placed = np.empty_like(anchors)
    marks = np.column_stack([anchors - gap, anchors + gap])
    taken = np.empty((0, 4))
    for i in range(len(anchors)):
        half = sizes[i] / 2
        steps = np.concatenate([_AROUND * (half + gap * far) for far in _FAR])
        middles = np.clip(anchors[i] + steps, half, np.maximum(np.array(bounds) - half, half))
        boxes = np.column_stack([middles - half, middles + half])
        cost = _covered(boxes, taken) * 3 + _covered(boxes, marks)
        cost += np.hypot(*(middles - anchors[i]).T) * half[1] * 0.05
        placed[i] = middles[best := int(np.argmin(cost))]
        taken = np.vstack([taken, boxes[best]])
    return placed


def _covered(boxes: Floats, others: Floats) -> Floats:
    """How much area of the others each box covers [n]."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    found: Floats = np.prod(np.maximum(high - low, 0), axis=2).sum(axis=1)
    return found
