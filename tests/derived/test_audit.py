from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import gcd
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abpipe.derived.audit import LARGEST, denominators, pixel_grid, steps_back

Ask = Callable[..., list[tuple[Any, ...]]]

SIZES = "SELECT grid_width, grid_height, shown_width, shown_height FROM audit"
SHOWN = {"natural_width": 500, "natural_height": 375, "display_width": 243, "display_height": 243}
BOARD = {"tool": "coco", "natural_width": 2400, "natural_height": 450, "display_height": 450}


def moves(*places: tuple[float, float]) -> list[dict[str, Any]]:
    return [
        {"kind": "move", "seq": n, "t_ms": n, "x": x, "y": y} for n, (x, y) in enumerate(places)
    ]


def test_the_shown_width_is_recovered_where_the_stored_one_repeats_the_height(ask: Ask) -> None:
    told = moves((1 / 324, 153 / 243), (143 / 324, 146 / 243), (157 / 324, 141 / 243))
    assert ask(SIZES, annotations=[SHOWN], events=told) == [(324, 243, 324, 243)]


def test_a_grid_that_divides_the_size_tells_it_with_the_shape_of_the_picture(ask: Ask) -> None:
    told = moves((0.25, 0.5), (0.75, 1.0))
    assert ask(SIZES, annotations=[SHOWN], events=told) == [(4, 2, 324, 244)]


def test_sizes_that_the_fractions_contradict_are_unknown(ask: Ask) -> None:
    told = moves((1 / 7, 0.5), (1 / 320, 100 / 240))
    assert ask(SIZES, annotations=[SHOWN], events=told) == [(2240, 12, None, None)]


def test_rounded_fractions_or_none_tell_nothing(ask: Ask) -> None:
    assert ask(SIZES, annotations=[SHOWN], events=moves((0.12345678, 0.1234567))) == [(None,) * 4]
    assert ask(SIZES, annotations=[SHOWN]) == [(None,) * 4]


def test_a_picture_that_had_not_loaded_is_no_division_by_zero(ask: Ask) -> None:
    record = dict.fromkeys(SHOWN, 0)
    query = "SELECT expected_width, shown_width, shrank, n_clicks FROM audit"
    assert ask(query, annotations=[record]) == [(None, None, False, 0)]


@pytest.mark.parametrize(("n", "shrank"), [(10, False), (11, True)])
def test_a_wide_board_shrinks_when_it_holds_eleven_icons(ask: Ask, n: int, shrank: bool) -> None:
    icons = [{"kind": "add", "seq": i, "label": f"icon {i}", "x": 0.5, "y": 0.5} for i in range(n)]
    icons.append({"kind": "remove", "seq": n, "label": "icon 0"})
    icons.append({"kind": "add", "seq": n + 1, "label": "icon 0", "x": 0.5, "y": 0.5})
    query = "SELECT most_icons, shrank FROM audit"
    assert ask(query, annotations=[BOARD], events=icons) == [(n, shrank)]
    narrow = BOARD | {"natural_width": 640, "natural_height": 480}
    assert ask(query, annotations=[narrow], events=icons) == [(n, False)]


def test_steps_back_are_counted_within_each_list(ask: Ask) -> None:
    told = [
        {"kind": "enter", "seq": 0, "t_ms": 50},
        {"kind": "leave", "seq": 1, "t_ms": 40},
        {"kind": "move", "seq": 1, "t_ms": 10, "x": 0.5, "y": 0.5},
        {"kind": "move", "seq": 0, "t_ms": 10, "x": 0.5, "y": 0.5},
        {"kind": "move", "seq": 2, "t_ms": None, "x": 0.5, "y": 0.5},
        {"kind": "move", "seq": 3, "t_ms": 9, "x": -0.5, "y": 1.5},
        {"kind": "click", "seq": 0, "t_ms": 5, "x": 0.5, "y": 0.5},
    ]
    query = "SELECT steps_back, n_hovers, n_clicks, first_ms, last_ms, lowest, highest FROM audit"
    assert ask(query, annotations=[{}], events=told) == [(2, 1, 1, 5, 50, -0.5, 1.5)]
    assert ask(query, annotations=[{}]) == [(None, 0, 0, None, None, None, None)]


@given(st.integers(1, LARGEST), st.lists(st.integers(-50, 4000), min_size=1, max_size=8))
def test_the_grid_is_the_smallest_in_which_all_places_are_whole(size: int, at: list[int]) -> None:
    smallest = size // gcd(size, *at)
    assert pixel_grid(pa.array([[k / size for k in at], []])).to_pylist() == [smallest, None]


@given(st.lists(st.floats(), max_size=5))
def test_a_denominator_gives_its_fraction_to_the_last_bit(fractions: list[float]) -> None:
    values = np.array(fractions, float)
    found = denominators(values)
    for value, n in zip(values.tolist(), found.tolist(), strict=True):
        assert not n or round(value * n) / n == value


@given(st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=4), st.randoms())
def test_steps_back_do_not_depend_on_the_order_of_rows(lists: list[list[int]], random: Any) -> None:
    expected = [sum(b < a for a, b in pairwise(times)) for times in lists]
    kinds: list[list[int]] = []
    seqs: list[list[int]] = []
    mixed: list[list[int]] = []
    for times in lists:
        rows = [(ord("m"), seq, t) for seq, t in enumerate(times)]
        random.shuffle(rows)
        for column, place in ((kinds, 0), (seqs, 1), (mixed, 2)):
            column.append([row[place] for row in rows])
    columns = (
        pa.array(kinds, pa.list_(pa.uint8())),
        pa.array(seqs, pa.list_(pa.int32())),
        pa.array(mixed, pa.list_(pa.int64())),
    )
    found = steps_back(*columns).to_pylist()
    assert [n or 0 for n in found] == expected
