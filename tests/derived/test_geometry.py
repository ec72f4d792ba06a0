from __future__ import annotations

import pyarrow as pa
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from abpipe.derived.geometry import core_box, trace_hull

WIDTH, HEIGHT = 500, 300
Places = list[tuple[float, float]]

#: Whole displayed pixels, some of them off the picture.
places = st.lists(st.tuples(st.integers(-10, 510), st.integers(-10, 310)), max_size=15)
traces = st.lists(places, max_size=8)


def columns(made: list[Places], scale: float = 1) -> list[pa.Array]:
    return [
        *(
            pa.array([[scale * p[i] for p in one] for one in made], pa.list_(pa.float64()))
            for i in (0, 1)
        ),
        *(pa.array([scale * side] * len(made), pa.float64()) for side in (WIDTH, HEIGHT)),
    ]


def hulls(made: list[Places], scale: float = 1) -> list[shapely.Geometry | None]:
    found = trace_hull(*columns(made, scale)).to_pylist()
    return [one and shapely.from_wkb(one["wkb"]) for one in found]


@settings(max_examples=60, deadline=None)
@given(traces)
def test_a_hull_covers_all_places_in_the_picture_and_nothing_outside(made: list[Places]) -> None:
    picture = shapely.box(0, 0, WIDTH, HEIGHT)
    for one, hull in zip(made, hulls(made), strict=True):
        inside = [p for p in one if 0 <= p[0] <= WIDTH and 0 <= p[1] <= HEIGHT]
        wanted = shapely.MultiPoint(one).convex_hull.intersection(picture)
        if hull is None:
            assert wanted.is_empty
        else:
            assert hull.equals_exact(wanted.normalize(), 1e-6, normalize=True) or hull.equals(
                wanted
            )
            assert all(hull.distance(shapely.Point(p)) < 1e-6 for p in inside)


@settings(max_examples=60, deadline=None)
@given(traces)
def test_the_fields_of_a_hull_are_its_own(made: list[Places]) -> None:
    for one in trace_hull(*columns(made)).to_pylist():
        if one is None:
            continue
        hull = shapely.from_wkb(one["wkb"])
        assert one["area"] == hull.area
        assert (one["cx"], one["cy"]) == hull.centroid.coords[0]
        assert {*zip(one["x"], one["y"], strict=True)} == {
            *map(tuple, shapely.get_coordinates(hull))
        }
        assert len(one["x"]) == len({*zip(one["x"], one["y"], strict=True)})
        xmin, ymin, xmax, ymax = hull.bounds
        assert one["xmin"] <= xmin and one["ymin"] <= ymin
        assert one["xmax"] >= xmax and one["ymax"] >= ymax
        assert (
            0 <= one["xmin"] <= one["xmax"] <= WIDTH and 0 <= one["ymin"] <= one["ymax"] <= HEIGHT
        )


@settings(max_examples=40, deadline=None)
@given(traces)
def test_scaled_and_mirrored_places_give_scaled_and_mirrored_hulls(made: list[Places]) -> None:
    mirrored = [[(WIDTH - x, y) for x, y in one] for one in made]
    for hull, large, turned in zip(hulls(made), hulls(made, 2), hulls(mirrored), strict=True):
        if hull is None:
            assert large is turned is None
        else:
            assert shapely.transform(hull, lambda xy: 2 * xy).equals_exact(
                large, 1e-6, normalize=True
            )
            back = shapely.transform(turned, lambda xy: [WIDTH, 0] + xy * [-1, 1])
            assert hull.equals_exact(back, 1e-6, normalize=True)


def test_a_core_leaves_out_the_way_in() -> None:
    x, y, width, height = columns([[(0, 0), (100, 0), (200, 100), (210, 120)], [(5, 5)], []])
    dwell = pa.array([[40, 40, 10, 70], [0], []], pa.list_(pa.int64()))
    reach = 0.2 * (WIDTH**2 + HEIGHT**2) ** 0.5
    assert core_box(x, y, dwell, width, height).to_pylist() == [
        {"xmin": 200 - reach, "ymin": 0, "xmax": 210 + reach, "ymax": 120 + reach},
        None,
        None,
    ]
