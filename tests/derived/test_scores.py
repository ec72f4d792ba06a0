from __future__ import annotations

from math import log, nan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abpipe.derived.maps import Maps
from abpipe.derived.scores import Scores, box_cover, scores


def told(found: Scores) -> dict[str, list[float]]:
    return {name: column.tolist() for name, column in vars(found).items()}


def one(p: list[list[float]], c: list[list[float]]) -> dict[str, float]:
    found = scores(np.array([p], np.float32), np.array([c], np.float32))
    return {name: column[0] for name, column in told(found).items()}


def test_a_small_case_by_hand() -> None:
    found = one([[0.1, 0.4], [0.2, 0.3]], [[0, 1], [0, 0.5]])
    deviation = sqrt((0.01 + 0.16 + 0.04 + 0.09) / 4 - 0.0625)
    assert found == pytest.approx(
        {
            "peak_x": 0.75,
            "peak_y": 0.25,
            "energy": 0.4 + 0.15,
            "nss": ((0.4 - 0.25) + 0.5 * (0.3 - 0.25)) / deviation / 1.5,
            # of 1.5 inside, 1 beats all 2.5 outside, 0.5 beats 2 and ties with its own 0.5
            "auc": (1 * 2.5 + 0.5 * (2 + 0.25)) / (1.5 * 2.5),
            "cc": ((0.4 * 1 + 0.3 * 0.5) / 4 - 0.25 * 0.375)
            / deviation
            / sqrt(1.25 / 4 - 0.375**2),
            "kl": 2 / 3 * log(2 / 3 / 0.4) + 1 / 3 * log(1 / 3 / 0.3),
            "sim": 0.4 + 0.3,
        },
        rel=1e-5,
    )


def test_the_perfect_map_is_the_object() -> None:
    found = one([[0, 0.5], [0, 0.5]], [[0, 1], [0, 1]])
    assert found == pytest.approx(
        {
            "peak_x": 0.75,
            "peak_y": 0.25,
            "energy": 1,
            "nss": 1,
            "auc": 1,
            "cc": 1,
            "kl": 0,
            "sim": 1,
        },
        abs=1e-6,
    )


def test_an_even_map_tells_nothing() -> None:
    found = one([[0.25, 0.25], [0.25, 0.25]], [[0, 1], [0, 0]])
    expected = {
        "peak_x": 0.25,
        "peak_y": 0.25,
        "energy": 0.25,
        "auc": 0.5,
        "kl": log(4),
        "sim": 0.25,
    }
    expected |= {"nss": nan, "cc": nan}
    assert found == pytest.approx(expected, nan_ok=True)


def test_what_is_not_defined_is_nan() -> None:
    nowhere = one([[0.1, 0.9]], [[0, 0]])
    assert [name for name, score in nowhere.items() if score == score] == ["peak_x", "peak_y"]
    everywhere = one([[0.1, 0.9]], [[1, 1]])
    assert [name for name, score in everywhere.items() if score != score] == ["auc", "cc"]
    assert np.isnan([*one([[nan, nan]], [[0, 1]]).values()]).all()
    nothing = np.empty((0, 2, 2), np.float32)
    assert told(scores(nothing, nothing))["auc"] == []


cells = st.lists(st.sampled_from([0.0, 0.0, 0.25, 1.0, 3.0]), min_size=12, max_size=12)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=4))
def test_auc_is_how_often_inside_beats_outside(
    cases: list[tuple[list[float], list[float]]],
) -> None:
    p, c = (np.array(side, np.float32) for side in zip(*cases, strict=True))
    c /= 3
    found = scores(p.reshape(-1, 3, 4), c.reshape(-1, 3, 4)).auc
    for one_p, one_c, auc in zip(p, c.astype(float), found, strict=True):
        beats = (one_p[:, None] > one_p) + 0.5 * (one_p[:, None] == one_p)
        pairs = np.outer(one_c, 1 - one_c)
        expected = (pairs * beats).sum() / pairs.sum() if pairs.sum() else nan
        assert auc == pytest.approx(expected, abs=1e-5, nan_ok=True)


@settings(max_examples=50, deadline=None)
@given(cells.filter(any), cells)
def test_scores_keep_their_bounds_and_do_not_depend_on_the_side(
    values: list[float], cover: list[float]
) -> None:
    p = np.array(values, np.float32).reshape(1, 3, 4) / np.float32(sum(values))
    c = np.minimum(np.array(cover, np.float32).reshape(1, 3, 4), 1)
    found, mirrored = told(scores(p, c)), told(scores(p[:, :, ::-1], c[:, :, ::-1]))
    for name, low, high in (
        ("energy", 0, 1),
        ("auc", 0, 1),
        ("cc", -1, 1),
        ("sim", 0, 1),
        ("kl", 0, 99),
    ):
        (score,) = found[name]
        assert score != score or low - 1e-5 <= score <= high + 1e-5, name
        assert mirrored[name] == pytest.approx(found[name], abs=1e-5, nan_ok=True), name


def cover(*boxes: list[tuple[float, float, float, float]]) -> Maps:
    flat = np.array([box for some in boxes for box in some], float).reshape(-1, 4)
    return box_cover(flat, np.cumsum([0, *map(len, boxes)]), (2, 4))


def test_boxes_cover_cells_by_area() -> None:
    half, two, none, beyond = cover(
        [(0.125, 0, 0.5, 0.75)],
        [(0, 0, 0.25, 0.5), (0.125, 0, 0.5, 0.5)],
        [],
        [(-1, 0.5, 0.25, 2)],
    )
    assert half.tolist() == [[0.5, 1, 0, 0], [0.25, 0.5, 0, 0]]
    assert two.tolist() == [[1, 1, 0, 0], [0, 0, 0, 0]]
    assert none.sum() == 0
    assert beyond.tolist() == [[0, 0, 0, 0], [1, 0, 0, 0]]
