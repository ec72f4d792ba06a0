"""Targets as tv_tensors, which `torchvision.transforms.v2` transforms with their picture.

Needs torchvision 0.28. Places are continuous: x_px = x * width, from the top left corner of the top
left pixel. Rows stay rows, so that a trace's times stay beside them; what is missing stays NaN. A
single point or box becomes a row.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from abpipe.errors import NeedsExtra
from abpipe.targets.geometry import Bools, Floats, View, on_edges

try:
    import torch
    from torchvision import tv_tensors
    from torchvision.transforms.v2 import functional
except ModuleNotFoundError as err:
    raise NeedsExtra(__name__, "torchvision", "torchvision") from err


class Points(tv_tensors.KeyPoints):  # type: ignore[misc]
    """KeyPoints that stay where they are in the picture when it is flipped.

    torchvision mirrors its own KeyPoints at the middles of the outer pixels (width - 1 - x), its
    boxes and pictures at their edges (width - x), and scales all from the edges: a pixel off.
    """


def points(xy: Floats, width: int, height: int) -> Points:
    """Points (or a trace) [..., 2 or more], in fractions, as KeyPoints [..., 2] in pixels."""
    pixels = xy[..., :2] * np.array([width, height], np.float32)
    return Points(torch.from_numpy(pixels), canvas_size=(height, width))


def boxes(xyxy: Floats, width: int, height: int) -> Any:
    """Boxes [n, 4] (xmin, ymin, xmax, ymax), in fractions, as BoundingBoxes in pixels."""
    pixels = xyxy * np.array([width, height, width, height], np.float32)
    return tv_tensors.BoundingBoxes(
        torch.from_numpy(pixels), format="XYXY", canvas_size=(height, width)
    )


def points_of(made: Any, valid: Bools | None = None) -> tuple[Floats, Bools]:
    """KeyPoints as fractions [..., 2] of their new picture, and which are valid [...].

    Validity is that of `View.points`. Say what was valid before: an ElasticTransform makes numbers
    of NaN, and ClampKeyPoints moves what is outside to an edge.
    """
    height, width = made.canvas_size
    size = np.array([width, height], np.float32)
    return View.of(1, 1).points(on_edges(made.numpy(force=True) / size), valid)


def boxes_of(made: Any, valid: Bools | None = None) -> tuple[Floats, Bools]:
    """BoundingBoxes of any upright format as fractions [n, 4], and which are valid [n].

    As `View.boxes`. Leave SanitizeBoundingBoxes out: it drops rows, and validity says the same.
    """
    height, width = made.canvas_size
    pixels = functional.convert_bounding_box_format(made, new_format="XYXY").numpy(force=True)
    size = np.array([width, height, width, height], np.float32)
    return View.of(1, 1).boxes(on_edges(pixels / size), valid)


@functional.register_kernel(functional.horizontal_flip, Points)  # type: ignore[untyped-decorator]
def _hflip(made: Points, **_: Any) -> Any:
    return _mirrored(made, 0)


@functional.register_kernel(functional.vertical_flip, Points)  # type: ignore[untyped-decorator]
def _vflip(made: Points, **_: Any) -> Any:
    return _mirrored(made, 1)


def _mirrored(made: Points, axis: int) -> Any:
    pixels = made.as_subclass(torch.Tensor).clone()
    pixels[..., axis] = made.canvas_size[1 - axis] - pixels[..., axis]
    return tv_tensors.wrap(pixels, like=made)
