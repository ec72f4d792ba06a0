from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from abpipe.derived.masks import contains, inside_mask, mask_cover, runs

SQUARE = [[1, 1, 5, 1, 5, 5, 1, 5]]
#: Encoded by pycocotools: 7 rows, 5 columns.
DRAWN = ["00101", "00001", "00101", "01011", "01000", "00110", "01000"]
CODE = ":2100O1020M0032"


def points(mask: Any, *places: tuple[float, float]) -> list[bool]:
    x, y = np.array(places, float).T
    found: list[bool] = contains(mask, x, y).tolist()
    return found


def test_polygons_hold_points_and_are_joined() -> None:
    assert points(SQUARE, (2, 2), (4.9, 4.9), (0.9, 2), (5.1, 2)) == [True, True, False, False]
    two = [*SQUARE, [4, 4, 8, 4, 8, 8]]
    assert points(two, (4.6, 4.5), (7, 6), (6, 7)) == [True, True, False]


def test_compressed_runs_are_what_cocos_tools_wrote() -> None:
    inside = [[x == "1" for x in row] for row in DRAWN]
    for counts in (CODE, runs(CODE).tolist()):
        mask = {"size": [7, 5], "counts": counts}
        drawn = [points(mask, *((x + 0.5, y + 0.5) for x in range(5))) for y in range(7)]
        assert drawn == inside
    assert points({"size": [7, 5], "counts": CODE}, (-0.1, 3), (1, 7), (5, 0.5)) == [False] * 3


def test_large_and_negative_numbers_in_runs() -> None:
    # 200 columns of 120 with a frame and a hole, by pycocotools
    code = "n[2l1l1000hN^N:b1F^N:b1n0000bj5"
    assert runs(code)[:8].tolist() == [2430, 60, 60, 60, 60, 60, 20, 10]
    assert (runs(code) > 0).all()


place = st.tuples(*[st.integers(0, 160).map(lambda n: n / 8)] * 2)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(place, min_size=3, max_size=8),
    st.lists(place, min_size=1, max_size=8),
)
def test_convex_polygons_hold_what_shapely_says(corners: list[Any], places: list[Any]) -> None:
    hull = shapely.MultiPoint(corners).convex_hull
    clear = [p for p in places if shapely.distance(hull.boundary, shapely.Point(p)) > 1e-6]
    if hull.geom_type == "Polygon" and clear:
        ring = np.array(hull.exterior.coords).ravel().tolist()
        expected = [shapely.contains_xy(hull, *p) for p in clear]
        assert points([ring], *clear) == expected


def test_a_mask_covers_cells_by_area() -> None:
    box = [[2, 0, 6, 0, 6, 3, 2, 3]]
    cover = mask_cover(box, 8, 4, (2, 4))
    assert cover.tolist() == [[0, 1, 1, 0], [0, 0.5, 0.5, 0]]


@pytest.mark.parametrize("mask", [SQUARE, {"size": [9, 9], "counts": [10, 5, 66]}])
def test_sql_asks_for_one_point_a_row(mask: Any) -> None:
    text = orjson.dumps(mask).decode()
    found = inside_mask(
        pa.array([text, text, None, text]),
        pa.array([1.5, 8.0, 1.5, None]),
        pa.array([3.0, 8.0, 3.0, 3.0]),
    )
    assert found.to_pylist() == [True, False, None, None]
