from __future__ import annotations

from math import erf, sqrt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abpipe.derived.maps import SIGMA, Maps, dwell_map, dwell_maps

unit = st.floats(0, 1, allow_subnormal=False)
Move = tuple[float, float, float]
traces = st.lists(
    st.lists(st.tuples(unit, unit, st.floats(1, 500)), min_size=1, max_size=12), max_size=5
)


def maps(
    moves: list[list[Move]],
    grid: tuple[int, int] = (8, 8),
    size: tuple[float, float] = (500, 375),
) -> Maps:
    flat = np.array([move for trace in moves for move in trace], np.float64).reshape(-1, 3)
    x, y, dwell = flat.T * np.array([[size[0]], [size[1]], [1]])
    offsets = np.cumsum([0, *map(len, moves)])
    width, height = (np.full(len(moves), side, np.float64) for side in size)
    return dwell_maps(x, y, dwell, offsets, width, height, grid)


def test_a_cell_holds_the_share_of_the_blurred_time_that_falls_into_it() -> None:
    def share(low: float, high: float, place: float, blur: float) -> float:
        return (erf((high - place) / blur / sqrt(2)) - erf((low - place) / blur / sqrt(2))) / 2

    (found,) = maps([[(0.3, 0.6, 100), (0.8, 0.1, 300)]], grid=(4, 5))
    expected = np.zeros((4, 5))
    diagonal = SIGMA * np.hypot(500, 375)
    for x, y, dwell in ((0.3, 0.6, 100), (0.8, 0.1, 300)):
        for row in range(4):
            for column in range(5):
                along = share(column / 5, (column + 1) / 5, x, diagonal / 500)
                down = share(row / 4, (row + 1) / 4, y, diagonal / 375)
                expected[row, column] += dwell * along * down
    assert found == pytest.approx(expected / expected.sum(), abs=2e-6)


@settings(max_examples=40, deadline=None)
@given(traces)
def test_every_map_sums_to_one(moves: list[list[Move]]) -> None:
    assert maps(moves).sum((1, 2)) == pytest.approx(np.ones(len(moves)), abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(traces)
def test_a_coarse_map_is_a_fine_one_summed_up(moves: list[list[Move]]) -> None:
    fine = maps(moves, (16, 24)).reshape(len(moves), 8, 2, 8, 3).sum((2, 4))
    assert maps(moves) == pytest.approx(fine, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(traces)
def test_mirrored_traces_give_mirrored_maps(moves: list[list[Move]]) -> None:
    mirrored = maps([[(1 - x, y, dwell) for x, y, dwell in trace] for trace in moves])
    assert mirrored[:, :, ::-1] == pytest.approx(maps(moves), abs=1e-5)
    turned = maps([[(y, x, dwell) for x, y, dwell in trace] for trace in moves], size=(375, 500))
    assert turned.transpose(0, 2, 1) == pytest.approx(maps(moves), abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(traces, st.floats(0.01, 100))
def test_neither_the_unit_of_time_nor_that_of_length_matters(
    moves: list[list[Move]], factor: float
) -> None:
    scaled = [[(x, y, dwell * factor) for x, y, dwell in trace] for trace in moves]
    assert maps(scaled, size=(500 * factor, 375 * factor)) == pytest.approx(maps(moves), abs=1e-5)


def test_a_trace_that_spent_no_time_on_the_picture_has_no_map() -> None:
    nowhere = [(float("nan"), 0.5, 100.0)]
    found = maps([[], [(0.5, 0.5, 0)], nowhere, [(9, 9, 100)], [(0.5, 0.5, 1)]])
    assert np.isnan(found).all((1, 2)).tolist() == [True, True, True, True, False]


def test_many_traces_at_once_are_what_each_is_alone() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 60, 400)
    moves = [[(x, y, t) for x, y, t in rng.random((n, 3)).tolist()] for n in counts]
    alone = np.concatenate([maps([trace]) for trace in moves])
    assert maps(moves) == pytest.approx(alone, nan_ok=True)


def test_sql_has_the_same_maps_by_rows_on_any_grid() -> None:
    def column(*values: Any) -> pa.Array:
        return pa.array(values)

    found = dwell_map(
        column([100.0, 450.0], None, [250.0], [250.0]),
        column([75.0, 37.5], None, [187.5], [187.5]),
        column([10.0, 20.0], None, [1.0], [1.0]),
        column(500, 500, 500, None),
        column(375, 375, 375, 375),
        column(4, 4, 1, 4),
        column(3, 3, 2, 3),
    ).to_pylist()
    (first,) = maps([[(0.2, 0.2, 10), (0.9, 0.1, 20)]], (4, 3))
    assert [found[0], found[1], found[3]] == [first.ravel().tolist(), None, None]
    assert found[2] == pytest.approx([0.5, 0.5], abs=1e-6)
