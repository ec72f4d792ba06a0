"""Geometry that follows the picture: what is done to it is done to points, traces, boxes and maps.

    view = View.of(500, 375).crop(100, 50, 300, 200).resize(224, 224).hflip()
    xy, valid = view.points(targets["click_xy"])

Fractions in, fractions out: of the stored picture, and of the new one. Places are continuous: the
top left corner of the top left pixel is (0, 0), and the pixel of a place is
min(floor(x * width), width - 1). Needs NumPy only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.floating[Any]]
Bools: TypeAlias = npt.NDArray[np.bool_]
Ints: TypeAlias = npt.NDArray[np.integer[Any]]
Size: TypeAlias = tuple[int, int]  # width, height
Matrix: TypeAlias = tuple[tuple[float, float, float], tuple[float, float, float]]

#: How far off an edge rounding may put a place that lies on it, as a fraction of the picture.
EDGE = 1e-9

#: The same for places that another library computed in float32.
EDGE_FLOAT32 = 1e-6

#: What EXIF orientations do: quarter turns to the left, then perhaps a mirror.
_EXIF = {
    1: (0, ""),
    2: (0, "hflip"),
    3: (2, ""),
    4: (0, "vflip"),
    5: (1, "vflip"),
    6: (3, ""),
    7: (1, "hflip"),
    8: (1, ""),
}


class _Shown(ABC):
    """What follows from where places go: `_map` says that."""

    def points(self, xy: Floats, valid: Bools | None = None) -> tuple[Floats, Bools]:
        """Points [..., 2] in the new picture, and which are valid [...].

        Valid is what was (all, unless told), is no NaN, and lies in the new picture, its edges
        included. What is not valid is NaN. More columns than x and y (a trace's time) stay: so
        traces and other ragged points are taken whole, and their offsets hold.
        """
        places = self._map(xy[..., :2])
        inside: Bools = np.all((places >= -EDGE) & (places <= 1 + EDGE), -1)  # NaN is not
        if valid is not None:
            inside &= valid
        made = np.array(xy)
        made[..., :2] = np.where(inside[..., None], np.clip(places, 0, 1), np.nan)
        return made, inside

    def boxes(self, xyxy: Floats, valid: Bools | None = None) -> tuple[Floats, Bools]:
        """Boxes [..., 4] (xmin, ymin, xmax, ymax) around the same in the new picture, and validity.

        They are clipped; one of which no area is left is not valid, and NaN. Turned by no multiple
        of 90 degrees, a box grows: it is drawn around the turned one.
        """
        corners = self._map(xyxy[..., [[0, 1], [2, 1], [2, 3], [0, 3]]])
        made = np.concatenate([corners.min(-2), corners.max(-2)], -1).clip(0, 1)
        has_area: Bools = np.all(made[..., 2:] - made[..., :2] > EDGE, -1)
        if valid is not None:
            has_area &= valid
        return np.where(has_area[..., None], made, np.nan).astype(xyxy.dtype), has_area

    def targets(self, target: Mapping[str, Any]) -> dict[str, Any]:
        """Targets, a picture's or a batch, under the names that exports give them.

        `click_xy`, `box_xyxy` and `heatmap` follow, and `click_valid`, `box_valid` and
        `heatmap_valid` say where they are shown; what has no place stays.
        """
        made = dict(target)
        if "click_xy" in target:
            xy, valid = target["click_xy"], target.get("click_valid")
            made["click_xy"], made["click_valid"] = self.points(xy, valid)
        if "box_xyxy" in target:
            made["box_xyxy"], made["box_valid"] = self.boxes(target["box_xyxy"])
        if "heatmap" in target:
            made["heatmap"] = self.maps(target["heatmap"])
            made["heatmap_valid"] = np.nan_to_num(made["heatmap"]).max((-2, -1)) > 0
        return made

    @abstractmethod
    def maps(self, maps: Floats) -> Floats:
        """Maps on the same grid of the new picture."""

    @abstractmethod
    def _map(self, xy: Floats) -> npt.NDArray[np.float64]:
        """Fractions of stored pictures as fractions of the new ones."""


@dataclass(frozen=True)
class View(_Shown):
    """How a new picture shows a stored one: `matrix` takes pixels' places (x, y, 1) to new ones.

    `stored` and `size` are (width, height). Every operation gives the view after it; none changes
    a view. Methods that take targets leave them as they are, too, and keep their dtype.
    """

    stored: Size
    size: Size
    matrix: Matrix = ((1, 0, 0), (0, 1, 0))

    @classmethod
    def of(cls, width: int, height: int) -> View:
        """The picture itself, as it is stored."""
        return cls((width, height), (width, height))

    def affine(self, matrix: Matrix, width: int, height: int) -> View:
        """Any affine map of this picture's pixels to those of a new one of that size.

        Pillow's `Image.transform` takes the inverse.
        """
        made = np.array(matrix, float) @ np.vstack([self.matrix, (0, 0, 1)])
        (a, b, c), (d, e, f) = made.tolist()
        return View(self.stored, (width, height), ((a, b, c), (d, e, f)))

    def then(self, other: View) -> View:
        """This view, shown by another: `other.stored` must be this size."""
        if other.stored != self.size:
            raise ValueError(f"a picture of {self.size} is no {other.stored}")
        return self.affine(other.matrix, *other.size)

    def inverse(self) -> View:
        """The way back: from the new picture to the stored one."""
        (a, b, c), (d, e, f) = np.linalg.inv(np.vstack([self.matrix, (0, 0, 1)]))[:2].tolist()
        return View(self.size, self.stored, ((a, b, c), (d, e, f)))

    def crop(self, left: int, top: int, width: int, height: int) -> View:
        """A rectangle of it; what lies beyond the picture is padding."""
        return self.affine(((1, 0, -left), (0, 1, -top)), width, height)

    def center_crop(self, width: int, height: int) -> View:
        """Its middle, by torchvision's rounding: halves to even, and padding's rest after it."""

        def begin(whole: int, part: int) -> int:
            return round((whole - part) / 2) if whole >= part else -((part - whole) // 2)

        left, top = begin(self.size[0], width), begin(self.size[1], height)
        return self.crop(left, top, width, height)

    def resize(self, width: int, height: int) -> View:
        """All of it, at another size."""
        x, y = width / self.size[0], height / self.size[1]
        return self.affine(((x, 0, 0), (0, y, 0)), width, height)

    def letterbox(self, width: int, height: int) -> View:
        """All of it, as large as fits with its aspect, in the middle of padding.

        It is resized to whole pixels, and an odd pixel of padding comes right or below.
        """
        scale = min(width / self.size[0], height / self.size[1])
        shown = self.resize(*(max(1, round(side * scale)) for side in self.size))
        left, top = (width - shown.size[0]) // 2, (height - shown.size[1]) // 2
        return shown.crop(-left, -top, width, height)

    def hflip(self) -> View:
        """Left and right swapped."""
        return self.affine(((-1, 0, self.size[0]), (0, 1, 0)), *self.size)

    def vflip(self) -> View:
        """Top and bottom swapped."""
        return self.affine(((1, 0, 0), (0, -1, self.size[1])), *self.size)

    def rot90(self, turns: int = 1) -> View:
        """Turned to the left by 90 degrees, so many times, as numpy.rot90 does."""
        view = self
        for _ in range(turns % 4):
            width, height = view.size
            view = view.affine(((0, 1, 0), (-1, 0, width)), height, width)
        return view

    def exif(self, orientation: int) -> View:
        """As it is shown by what follows EXIF: `PIL.ImageOps.exif_transpose`, OpenCV, browsers."""
        turns, mirror = _EXIF[orientation]
        view = self.rot90(turns)
        return getattr(view, mirror)() if mirror else view

    def hulls(self, xy: Floats, offsets: Ints) -> tuple[Floats, Ints]:
        """Convex hulls, clipped to the new picture: corners [m, 2] and offsets [n + 1].

        Hull i has the corners from offsets[i] to offsets[i + 1], in order, the first not repeated:
        none, if nothing of it is left. Points and lines (1 or 2 corners) are hulls, too.
        """
        places = self._map(xy)
        for axis, side in ((0, 0), (0, 1), (1, 0), (1, 1)):
            places, offsets = _cut(places, offsets, axis, side)
        return places.astype(xy.dtype), offsets

    def maps(self, maps: Floats) -> Floats:
        """Maps [..., rows, columns] of the stored picture, on the same grid of the new one.

        Cells are values at their middles, and what lies between is interpolated; padding is 0. For
        a largest value of 1, or a sum of 1, scale again. Maps of NaN stay so.
        """
        rows, columns = maps.shape[-2:]
        middles = np.stack(
            np.meshgrid((np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows), -1
        )
        places = self.inverse()._map(middles)
        inside = ((places >= 0) & (places <= 1)).all(-1)
        last = np.array([columns - 1, rows - 1])
        at = np.clip(places * (columns, rows) - 0.5, 0, last)
        low = at.astype(int)
        high = np.minimum(low + 1, last)
        x, y = np.moveaxis(at - low, -1, 0)
        (x0, y0), (x1, y1) = np.moveaxis(low, -1, 0), np.moveaxis(high, -1, 0)
        top = maps[..., y0, x0] * (1 - x) + maps[..., y0, x1] * x
        below = maps[..., y1, x0] * (1 - x) + maps[..., y1, x1] * x
        made: Floats = (top * (1 - y) + below * y) * np.where(inside, 1, 0)
        return made.astype(maps.dtype)

    def _map(self, xy: Floats) -> npt.NDArray[np.float64]:
        """Fractions [..., 2] of the stored picture as fractions of the new one."""
        matrix = np.array(self.matrix, float)
        places = (xy * np.array(self.stored, float)) @ matrix[:, :2].T + matrix[:, 2]
        mapped: npt.NDArray[np.float64] = places / self.size
        return mapped


class Views(_Shown):
    """Views of n pictures at once: picture i of what they are given [n, ...] is shown by view i."""

    def __init__(self, views: Sequence[View]) -> None:
        self.views = views
        # x' = x * across[0] + y * across[1] + across[2], in fractions, and so for y
        flat: list[float] = []
        for view in views:
            for row in (*view.matrix, view.stored, view.size):
                flat += row
        told = np.fromiter(flat, float, len(flat)).reshape(-1, 10)
        width, height = told[:, 6:8].T
        shares = told[:, :6].reshape(-1, 2, 3) / told[:, 8:, None]
        self._maps = shares * np.stack([width, height, np.ones(len(told))], 1)[:, None]

    def maps(self, maps: Floats) -> Floats:
        """Maps [n, rows, columns], as `View.maps`."""
        made = np.empty_like(maps)
        for i, view in enumerate(self.views):
            made[i] = view.maps(maps[i])
        return made

    def _map(self, xy: Floats) -> npt.NDArray[np.float64]:
        each = xy.reshape(len(xy), -1, 2).astype(float)
        mapped = np.empty_like(each)
        for axis in (0, 1):
            x, y, one = self._maps[:, axis, :, None].transpose(1, 0, 2)
            mapped[..., axis] = each[..., 0] * x + each[..., 1] * y + one
        return mapped.reshape(xy.shape)


def on_edges(xy: Floats) -> Floats:
    """Fractions that float32 arithmetic put just off the picture are on its edge."""
    clipped = np.clip(xy, 0, 1)
    made: Floats = np.where(np.abs(xy - clipped) < EDGE_FLOAT32, clipped, xy)
    return made


def _cut(
    xy: npt.NDArray[np.float64], offsets: Ints, axis: int, side: int
) -> tuple[npt.NDArray[np.float64], Ints]:
    """Convex hulls without what lies beyond one edge (Sutherland and Hodgman), all at once."""
    counts = np.diff(offsets)
    following = np.arange(1, len(xy) + 1)
    following[offsets[1:][counts > 0] - 1] = offsets[:-1][counts > 0]
    depth = xy[:, axis] if side == 0 else 1 - xy[:, axis]
    depth = np.where(np.abs(depth) < EDGE, 0, depth)
    inside, after = depth >= 0, depth[following]
    crosses = (depth * after) < 0
    # each edge gives the place where it crosses, then the corner that it leads to
    share = np.divide(depth, depth - after, out=np.zeros_like(depth), where=crosses)
    crossing = xy + share[:, None] * (xy[following] - xy)
    crossing[:, axis] = side
    made = np.stack([crossing, xy[following]], 1)
    kept = np.stack([crosses, inside[following]], 1)
    owner = np.repeat(np.arange(len(counts)), counts)
    left = np.bincount(owner, kept.sum(1), len(counts)).astype(np.int64)
    return made[kept], np.concatenate([[0], np.cumsum(left)])
