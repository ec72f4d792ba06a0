from __future__ import annotations

import math
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from abpipe.derived.measures import path_length, rests, shape

from .records import SIZES, path_of
from .slow_traces import Point
from .slow_traces import path as slow_path
from .slow_traces import rests as slow_rests

WIDTH, HEIGHT = SIZES[0]
LENGTHS = {"vel_max", "vel_mean", "acc_max", "MAD", "AD"}


def paths(n: int) -> list[list[Point]]:
    random = Random(11)
    return [path_of(random, SIZES[0]) for _ in range(n)]


def columns(made: list[list[Point]]) -> dict[str, pa.Array]:
    kinds = {"t": pa.int64(), "x": pa.float64(), "y": pa.float64(), "dwell": pa.int64()}
    return {
        name: pa.array([[getattr(p, name) for p in one] for one in made], pa.list_(kind))
        for name, kind in kinds.items()
    }


def shapes(made: list[list[Point]], scale: float = 1) -> list[dict[str, Any]]:
    of = columns(made)
    sides = [pa.array([side * scale] * len(made), pa.float64()) for side in (WIDTH, HEIGHT)]
    found: list[dict[str, Any]] = shape(of["t"], of["x"], of["y"], *sides).to_pylist()
    return found


def test_lengths_and_rests_are_those_of_the_slow_reference() -> None:
    made = paths(2000)
    of = columns(made)
    lengths = path_length(of["x"], of["y"]).to_pylist()
    rested = rests(of["x"], of["y"], of["dwell"]).to_pylist()
    for points, length, found in zip(made, lengths, rested, strict=True):
        assert length == (pytest.approx(slow_path(points)) if len(points) > 1 else None)
        wanted = slow_rests(points)
        hovers = [ms for ms in wanted if ms > 250]
        told = {"idle_time": sum(wanted), "hovers": len(hovers), "hover_time": sum(hovers)}
        assert found == (told if points else None)


def test_a_larger_picture_has_larger_lengths_and_nothing_else() -> None:
    made = paths(300)
    large = [[p._replace(x=2 * p.x, y=2 * p.y) for p in points] for points in made]
    for one, other in zip(shapes(made), shapes(large, 2), strict=True):
        for name, value in one.items():
            scale = 4 if name == "AUC" else 2 if name in LENGTHS else 1
            assert other[name] == (None if value is None else pytest.approx(scale * value)), name


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_mirrored_trace_has_the_same_measures(axis: str) -> None:
    def mirrored(p: Point) -> Point:
        return p._replace(x=WIDTH - p.x) if axis == "x" else p._replace(y=HEIGHT - p.y)

    # signs refer to the direction: without one, along either axis, there is none to keep
    made = [p for p in paths(600) if len(p) > 1 and p[0].x != p[-1].x and p[0].y != p[-1].y]
    assert len(made) > 200
    other_way = shapes([[mirrored(p) for p in points] for points in made])
    for one, other in zip(shapes(made), other_way, strict=True):
        for name in {*one} - {"MAD_time", "sample_entropy", "acc_max_time", "vel_max_time"}:
            assert close(one[name], other[name]), name


def close(one: float | None, other: float | None) -> bool:
    """Whether two measures agree, but for which of two equal deviations comes first."""
    if one is None or other is None:
        return one is other
    return math.isclose(abs(one), abs(other), rel_tol=1e-6, abs_tol=1e-6)
