"""Targets as the arguments of an albumentations pipeline, and what it made of them as targets.

    pipeline = A.Compose([...], **params())
    made = pipeline(image=picture, **arguments(xy, xyxy, width, height))
    (xy, valid), (xyxy, has_box) = points_of(made, len(xy)), boxes_of(made, len(xyxy))

Albumentations counts a keypoint's place from the middle of the top left pixel (it flips to
width - 1 - x), so x_px = x * width - 0.5; a box's from that pixel's corner: x_px = x * width. Only
its resizing by r multiplies both alike, which leaves keypoints (1 - r) / 2 new pixels off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from abpipe.errors import NeedsExtra
from abpipe.targets.geometry import Bools, Floats, View, on_edges

try:
    import albumentations
except ModuleNotFoundError as err:
    raise NeedsExtra(__name__, "albumentations", "albumentations") from err


def params() -> dict[str, Any]:
    """What a Compose has to know: keep points that leave the picture, and rows beside all."""
    return {
        "keypoint_params": albumentations.KeypointParams(
            "xy", label_fields=["point_rows"], remove_invisible=False
        ),
        "bbox_params": albumentations.BboxParams("pascal_voc", label_fields=["box_rows"]),
    }


def arguments(xy: Floats, xyxy: Floats, width: int, height: int) -> dict[str, Any]:
    """Points (or a trace) [n, 2 or more] and boxes [m, 4], in fractions, as a call's arguments.

    Rows with NaN are left out: albumentations refuses boxes of it.
    """
    point_rows = np.flatnonzero(np.isfinite(xy[:, :2]).all(1))
    box_rows = np.flatnonzero(np.isfinite(xyxy).all(1))
    return {
        "keypoints": xy[point_rows, :2] * (width, height) - 0.5,
        "point_rows": point_rows,
        "bboxes": xyxy[box_rows] * (width, height, width, height),
        "box_rows": box_rows,
    }


def points_of(made: Mapping[str, Any], n: int) -> tuple[Floats, Bools]:
    """The n points as fractions [n, 2] of the new picture, and validity, as `View.points`."""
    height, width = made["image"].shape[:2]
    places = _rows(made["keypoints"], made["point_rows"], n, 2)
    return View.of(1, 1).points(on_edges((places + 0.5) / (width, height)))


def boxes_of(made: Mapping[str, Any], n: int) -> tuple[Floats, Bools]:
    """The n boxes as fractions [n, 4] of the new picture, and validity, as `View.boxes`."""
    height, width = made["image"].shape[:2]
    places = _rows(made["bboxes"], made["box_rows"], n, 4)
    return View.of(1, 1).boxes(on_edges(places / (width, height, width, height)))


def _rows(found: Any, rows: Any, n: int, columns: int) -> Floats:
    """What is there in its rows; NaN in the others."""
    made = np.full((n, columns), np.nan)
    made[np.asarray(rows, int)] = np.reshape(found, (-1, columns))
    return made
