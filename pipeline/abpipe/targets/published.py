"""The published loaders' targets, exactly, for comparison with them. Needs NumPy only.

Both notebooks come with a crop and a flip of their own; here these are arguments: `crop` is (top,
left, height, width) in pixels, as torchvision's RandomResizedCrop.get_params gives it, and `flip`
whether it was mirrored after it. All arguments may have leading dimensions, which broadcast. The
places come from `abpipe export --reading published`. For training, prefer the default reading and
`abpipe.targets.geometry`: tests/targets/test_published.py names the flaws that are kept here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def imagenet(
    xy: npt.ArrayLike, size_wh: npt.ArrayLike, crop: npt.ArrayLike, flip: npt.ArrayLike = False
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """The ImageNet notebook's weight [...] (1 or 0) and target [..., 2] (x, y) in the crop.

    `xy` [..., 2] is the mean of the first clicks, float64 (the array `published_xy`), NaN if there
    is none. A point off the crop, or none, has weight 0 and the target (-1, -1).
    """
    x, y = np.moveaxis(np.asarray(xy, np.float64), -1, 0)
    width, height = np.moveaxis(np.asarray(size_wh), -1, 0)
    i, j, h, w = np.moveaxis(np.asarray(crop), -1, 0)
    x0, y0 = j / width, i / height
    x1, y1 = x0 + w / width, y0 + h / height
    x0, x1 = np.where(flip, 1 - x1, x0), np.where(flip, 1 - x0, x1)
    x = np.where(flip, 1 - x, x)
    inside = (x0 <= x) & (x <= x1) & (y0 <= y) & (y <= y1)  # NaN is not
    target = np.stack(np.broadcast_arrays((x - x0) * width / w, (y - y0) * height / h), -1)
    return inside.astype(np.float32), np.where(inside[..., None], target, -1.0)


def coco(
    px: npt.ArrayLike,
    valid: npt.ArrayLike,
    label: npt.ArrayLike,
    size_wh: npt.ArrayLike,
    crop: npt.ArrayLike,
    flip: npt.ArrayLike = False,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The COCO notebook's label [..., 80] and points [..., 160] in the crop: y, x of each class.

    `px` [..., 80, 2] (x, y) and `valid` [..., 80] are the places of the icons (the arrays
    `published_px` and `click_valid`), `label` [..., 80] is whether COCO's own annotations have the
    class. Only such classes are looked at. One whose icon lies in the crop has a point and a label
    of 1; one whose icon lies off it, neither; one without an icon, a label of 1 and no point. What
    has no point is -1.
    """
    x, y = np.moveaxis(np.asarray(px, np.int64), -1, 0)
    width, height = np.asarray(size_wh)[..., 0, None], np.asarray(size_wh)[..., 1, None]
    i, j, h, w = (np.asarray(crop)[..., n, None] for n in range(4))
    flip, valid, label = np.asarray(flip)[..., None], np.asarray(valid), np.asarray(label, bool)
    left, share = j / width, w / width
    left = np.where(flip, 1.0 - left - share, left)
    # cut off towards 0, as int() does
    top, tall = np.trunc(i / height * height), np.trunc(h / height * height)
    left, wide = np.trunc(left * width), np.trunc(share * width)
    x = np.where(flip, width - x, x)
    inside = (top <= y) & (y <= top + tall) & (left <= x) & (x <= left + wide)
    placed = label & valid & inside
    with np.errstate(divide="ignore", invalid="ignore"):  # they divide by a crop cut off to 0
        points = np.stack(np.broadcast_arrays((y - top) / tall, (x - left) / wide), -1)
    points = np.where(placed[..., None], points, -1.0).astype(np.float32)
    labels = (placed | label & ~valid).astype(np.float32)
    return labels, points.reshape(*points.shape[:-2], -1)
