from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from abpipe.derived.series import fixed_interval, length_normalized, time_normalized

from .records import SIZES, path_of
from .slow_traces import Point, path
from .slow_traces import length_normalized as slow_length
from .slow_traces import time_normalized as slow_time

Ask = Callable[..., list[tuple[Any, ...]]]

TIMES, PLACES = pa.list_(pa.int64()), pa.list_(pa.float64())


def random_paths(n: int) -> list[list[Point]]:
    random = Random(7)
    return [path_of(random, random.choice(SIZES)) for _ in range(n)]


def columns(paths: list[list[Point]]) -> dict[str, pa.Array]:
    kinds = {"t": TIMES, "x": PLACES, "y": PLACES, "dwell": TIMES}
    return {
        name: pa.array([[getattr(p, name) for p in points] for points in paths], kind)
        for name, kind in kinds.items()
    }


def pairs(found: dict[str, list[float]]) -> list[tuple[float, float]]:
    return [*zip(found["x"], found["y"], strict=True)]


def test_time_normalized_paths_are_those_of_the_slow_reference() -> None:
    paths = random_paths(1000)
    of = columns(paths)
    for points, found in zip(
        paths, time_normalized(of["t"], of["x"], of["y"]).to_pylist(), strict=True
    ):
        if len(points) < 2 or points[-1].t == points[0].t:
            assert found is None
        else:
            for place, wanted in zip(pairs(found), slow_time(points), strict=True):
                assert place == pytest.approx(wanted, abs=1e-6)


def test_length_normalized_paths_are_those_of_the_slow_reference() -> None:
    paths = random_paths(1000)
    of = columns(paths)
    for points, found in zip(paths, length_normalized(of["x"], of["y"]).to_pylist(), strict=True):
        if not path(points):
            assert found is None
        else:
            for place, wanted in zip(pairs(found), slow_length(points), strict=True):
                assert place == pytest.approx(wanted, abs=1e-6)


def test_rests_are_held_and_steps_are_linear() -> None:
    t, x, y = pa.array([[0, 40, 400]]), pa.array([[0.0, 4.0, 9.0]]), pa.array([[1.0, 1.0, 1.0]])
    assert time_normalized(t, x, y, 11).to_pylist() == [
        {"x": [0.0] + 9 * [4.0] + [9.0], "y": 11 * [1.0]}
    ]
    assert length_normalized(x, y, 4).to_pylist() == [{"x": [0, 3, 6, 9], "y": [1, 1, 1, 1]}]


def test_a_fixed_interval_says_where_the_mouse_was_observed() -> None:
    t = pa.array([[0, 50, 250, 1000], [5], []], TIMES)
    x = pa.array([[0, 5, 7, 9], [1], []], PLACES)
    dwell = pa.array([[50, 200, 100, 0], [0], []], TIMES)
    found = fixed_interval(t, x, x, dwell, 25, 6).to_pylist()
    assert found[0] == {"x": [0, 2.5, 5, 5, 5, 5], "y": [0, 2.5, 5, 5, 5, 5], "valid": 6 * [True]}
    assert found[1:] == [
        {"x": [1] + 5 * [None], "y": [1] + 5 * [None], "valid": [True] + 5 * [False]},
        None,
    ]
    found = fixed_interval(t, x, x, dwell, 250, 6).to_pylist()
    assert found[0]["x"] == [0, 7, None, None, 9, None]


def test_series_are_functions_of_sql(ask: Ask) -> None:
    events = [{"kind": "move", "seq": n, "t_ms": 20 * n, "x": n / 10, "y": 0.5} for n in range(3)]
    query = """
        SELECT
            time_normalized(t_ms, x_px, y_px, 5).x,
            length_normalized(x_px, y_px, 3).x,
            fixed_interval(t_ms, x_px, y_px, dwell_ms, 30, 3)
        FROM visits"""
    images = [{"width": 100, "height": 100}]
    assert ask(query, images=images, annotations=[{}], events=events) == [
        (
            [0, 5, 10, 15, 20],
            [0, 10, 20],
            {"x": [0, 15, None], "y": [50, 50, None], "valid": [True, True, False]},
        )
    ]
