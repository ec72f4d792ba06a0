"""The outlines of what is drawn: one shape a class, as large as the object's box."""

from __future__ import annotations

import math
from typing import NamedTuple

ROUND = 24  # corners that an ellipse is told by, where a polygon is asked for


class Shape(NamedTuple):
    """An object of some class and its box in pixels."""

    class_index: int
    box: tuple[float, float, float, float]

    @property
    def corners(self) -> int:
        """Three to six; 2 is an ellipse."""
        return self.class_index % 5 + 2


def outline(shape: Shape) -> list[tuple[float, float]]:
    """The corners of a shape, stretched to its box."""
    x0, y0, x1, y1 = shape.box
    n = shape.corners if shape.corners > 2 else ROUND
    turns = [2 * math.pi * k / n for k in range(n)]
    across, down = _unit([math.sin(t) for t in turns]), _unit([-math.cos(t) for t in turns])
    return [(x0 + u * (x1 - x0), y0 + v * (y1 - y0)) for u, v in zip(across, down, strict=True)]


def _unit(values: list[float]) -> list[float]:
    """The values, stretched to 0..1."""
    low, high = min(values), max(values)
    return [(value - low) / (high - low) for value in values]
