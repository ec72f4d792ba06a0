"""Geometry against real pictures: draw a dot, warp the picture with Pillow, find the dot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from abpipe.targets.geometry import View, Views, on_edges

Picture: TypeAlias = Image.Image
Array: TypeAlias = npt.NDArray[Any]

SIGMA = 3.0  # of the dot, in pixels


def dot(width: int, height: int, x: float, y: float) -> Picture:
    """A picture that is brightest at (x, y), in pixels' places."""
    across, down = np.arange(width) + 0.5 - x, np.arange(height) + 0.5 - y
    light = np.exp(-(across[None, :] ** 2 + down[:, None] ** 2) / (2 * SIGMA**2))
    return Image.fromarray((255 * light).astype(np.uint8))


def found(picture: Picture) -> tuple[float, float]:
    """The middle of the light, as fractions."""
    light = np.asarray(picture, float)
    down, across = np.indices(light.shape) + 0.5
    width, height = picture.size
    return (
        float((across * light).sum() / light.sum() / width),
        float((down * light).sum() / light.sum() / height),
    )


def boxed(picture: Picture, width: int, height: int) -> Picture:
    """Letterboxed by hand: resized to fit, and pasted in the middle."""
    scale = min(width / picture.width, height / picture.height)
    shown = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    made = Image.new("L", (width, height))
    made.paste(shown, ((width - shown.width) // 2, (height - shown.height) // 2))
    return made


def warped(picture: Picture, matrix: Any, width: int, height: int) -> Picture:
    """Pillow wants to know where each new pixel comes from: the inverse."""
    back = np.linalg.inv(np.vstack([matrix, (0, 0, 1)]))[:2]
    data = tuple(back.ravel().tolist())
    return picture.transform(
        (width, height), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR
    )


SHEAR = ((0.9, 0.2, 7.0), (-0.1, 1.1, 12.0))

#: An operation's name: what a view does, and what Pillow does.
OPERATIONS: dict[str, tuple[Callable[[View], View], Callable[[Picture], Picture]]] = {
    "crop": (lambda v: v.crop(12, 7, 95, 80), lambda p: p.crop((12, 7, 107, 87))),
    "crop beyond": (lambda v: v.crop(-9, -5, 140, 150), lambda p: p.crop((-9, -5, 131, 145))),
    "resize": (lambda v: v.resize(150, 64), lambda p: p.resize((150, 64))),
    "hflip": (lambda v: v.hflip(), ImageOps.mirror),
    "vflip": (lambda v: v.vflip(), ImageOps.flip),
    "rot90": (lambda v: v.rot90(), lambda p: p.transpose(Image.Transpose.ROTATE_90)),
    "rot180": (lambda v: v.rot90(2), lambda p: p.transpose(Image.Transpose.ROTATE_180)),
    "rot270": (lambda v: v.rot90(-1), lambda p: p.transpose(Image.Transpose.ROTATE_270)),
    "letterbox": (lambda v: v.letterbox(101, 128), lambda p: boxed(p, 101, 128)),
    "affine": (lambda v: v.affine(SHEAR, 130, 120), lambda p: warped(p, SHEAR, 130, 120)),
}

inner = st.floats(0.3, 0.7)  # in the middle, so that all of the dot stays in the picture
fraction = st.floats(0, 1)


def points(places: Any) -> Any:
    return shapely.multipoints(np.array(places, float).reshape(-1, 2))


@pytest.mark.parametrize("name", OPERATIONS)
@settings(max_examples=15, deadline=None)
@given(x=inner, y=inner)
def test_points_go_where_the_picture_goes(name: str, x: float, y: float) -> None:
    view, warp = OPERATIONS[name]
    made, picture = view(View.of(120, 100)), warp(dot(120, 100, x * 120, y * 100))
    assert made.size == picture.size
    (point,), valid = made.points(np.array([[x, y]]))
    assert valid.all()
    assert np.abs(point - found(picture)).max() < 0.2 / min(picture.size)


@settings(max_examples=40, deadline=None)
@given(x=inner, y=inner, names=st.lists(st.sampled_from(sorted(OPERATIONS)), max_size=4))
def test_so_they_do_through_any_composition(x: float, y: float, names: list[str]) -> None:
    view, picture = View.of(120, 100), dot(120, 100, x * 120, y * 100)
    for name in names:
        around, (point,) = view.size, view.points(np.array([[x, y]]))[0]
        view, picture = OPERATIONS[name][0](view), OPERATIONS[name][1](picture)
        after = view.points(np.array([[x, y]]))[0]
        near = 4 * SIGMA / np.array([*around, *view.size])  # the dot must stay whole
        if not ((near < [*point, *after[0]]) & ([*point, *after[0]] < 1 - near)).all():
            return
    (point,), _ = view.points(np.array([[x, y]]))
    assert np.abs(point - found(picture)).max() < 0.5 / min(picture.size)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_is_followed_as_pillow_follows_it(orientation: int) -> None:
    picture = dot(120, 100, 30, 20)
    exif = picture.getexif()
    exif[0x0112] = orientation
    picture.info["exif"] = exif.tobytes()
    shown, view = ImageOps.exif_transpose(picture), View.of(120, 100).exif(orientation)
    (point,), _ = view.points(np.array([[0.25, 0.2]]))
    assert (view.size, point.tolist()) == (shown.size, pytest.approx(found(shown), abs=2e-3))


@pytest.mark.parametrize("picture", [(100, 80), (101, 81), (30, 20)])
@pytest.mark.parametrize("size", [(51, 40), (50, 33)])
def test_the_middle_is_torchvisions(picture: tuple[int, int], size: tuple[int, int]) -> None:
    view = View.of(*picture).center_crop(*size)
    for whole, part, begin in zip(picture, size, np.array(view.matrix)[:, 2], strict=True):
        # its source: round((whole - part) / 2.0), or (part - whole) // 2 of padding before
        expected = -round((whole - part) / 2.0) if whole >= part else (part - whole) // 2
        assert begin == expected


def test_what_leaves_the_picture_is_not_valid_and_edges_belong_to_it() -> None:
    view = View.of(10, 10).crop(5, 0, 5, 10)
    xy = np.array([[0.5, 0], [1, 1], [0.49, 0.5], [np.nan, 0.5]], np.float32)
    points, valid = view.points(xy)
    assert valid.tolist() == [True, True, False, False]
    assert points.dtype == np.float32
    assert points[:2].tolist() == [[0, 0], [1, 1]]
    assert np.isnan(points[2:]).all()
    assert not view.points(xy, np.zeros(4, bool))[1].any()


@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(0, 1999), st.data())
def test_the_edges_of_a_crop_are_in_it(width: int, new: int, left: int, data: Any) -> None:
    left %= width
    part = data.draw(st.integers(1, width - left))
    view = View.of(width, width).crop(left, left, part, part).resize(new, new).hflip()
    ends = np.array([[left / width] * 2, [(left + part) / width] * 2])
    points, valid = view.points(ends)
    assert valid.all()
    assert np.abs(points - [[1, 0], [0, 1]]).max() < 1e-9


def test_a_trace_keeps_its_times_and_its_length() -> None:
    trace = np.array([[0.2, 0.5, 17], [0.8, 0.5, 33]], np.float32)
    made, valid = View.of(10, 10).crop(0, 0, 5, 10).points(trace)
    assert valid.tolist() == [True, False]
    assert made[:, 2].tolist() == [17, 33]
    assert made[0, :2].tolist() == pytest.approx([0.4, 0.5])


def test_boxes_are_clipped_and_gone_when_nothing_is_left() -> None:
    view = View.of(10, 10).crop(5, 0, 5, 10)
    boxes, valid = view.boxes(np.array([[0.4, 0.1, 0.75, 0.2], [0, 0, 0.5, 1], [np.nan] * 4]))
    assert valid.tolist() == [True, False, False]
    assert boxes[0].tolist() == pytest.approx([0, 0.1, 0.5, 0.2])
    assert np.isnan(boxes[1:]).all()
    assert not view.boxes(np.array([[0.4, 0.1, 0.75, 0.2]]), np.array([False]))[1].any()


@given(st.tuples(fraction, fraction, fraction, fraction), st.integers(0, 3), st.booleans())
def test_a_box_turns_with_its_corners(
    sides: tuple[float, float, float, float], turns: int, mirror: bool
) -> None:
    x, y = sorted(sides[:2]), sorted(sides[2:])
    view = View.of(30, 20).rot90(turns)
    view = view.hflip() if mirror else view
    boxes, valid = view.boxes(np.array([[x[0], y[0], x[1], y[1]]]))
    corners, _ = view.points(np.array([[x[0], y[0]], [x[1], y[1]]]))
    if valid[0]:
        expected = [*corners.min(0), *corners.max(0)]
        assert boxes[0].tolist() == pytest.approx(expected, abs=1e-9)
    else:
        assert min(x[1] - x[0], y[1] - y[0]) < 1e-8


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.tuples(fraction, fraction), max_size=7), min_size=1, max_size=4),
    st.sampled_from(sorted(OPERATIONS)),
)
def test_hulls_are_clipped_as_shapely_clips_them(clouds: list[Any], name: str) -> None:
    view = OPERATIONS[name][0](View.of(120, 100))
    hulls = [shapely.convex_hull(points(cloud)) for cloud in clouds]
    corners = [
        shapely.get_coordinates(h)[: -1 if h.geom_type == "Polygon" else None] for h in hulls
    ]
    offsets = np.cumsum([0, *map(len, corners)])
    made, cuts = view.hulls(np.concatenate(corners).reshape(-1, 2), offsets)
    for i, hull in enumerate(hulls):
        mapped = shapely.transform(hull, view._map)
        expected = shapely.intersection(mapped, shapely.box(0, 0, 1, 1))
        left = made[cuts[i] : cuts[i + 1]]
        assert len(left) > 0 or expected.area < 1e-8
        if len(left):
            around = shapely.convex_hull(points(left))
            assert around.area == pytest.approx(expected.area, abs=1e-6)
            assert ((left >= 0) & (left <= 1 + 1e-9)).all() or expected.area < 1e-6


def test_hulls_without_corners_stay_and_points_and_lines_are_cut() -> None:
    view = View.of(10, 10).crop(0, 0, 5, 10)
    xy = np.array([[0.9, 0.5], [0.2, 0.5], [0.25, 0.5], [1.0, 0.5]])
    made, offsets = view.hulls(xy, np.array([0, 0, 1, 2, 4]))
    assert offsets.tolist() == [0, 0, 0, 1, 4]
    assert made[0].tolist() == pytest.approx([0.4, 0.5])
    assert made[1:].max(0).tolist() == [1, 0.5]


@pytest.mark.parametrize("name", ["hflip", "vflip", "rot90", "crop", "letterbox", "affine"])
def test_maps_follow_the_picture(name: str) -> None:
    stored = np.asarray(dot(60, 60, 20, 25).resize((40, 40)), np.float32)
    view = (
        OPERATIONS[name][0](View.of(60, 60))
        if name != "crop"
        else View.of(60, 60).crop(8, 9, 40, 40)
    )
    (made,) = view.maps(stored[None])
    (expected,), _ = view.points(np.array([[20 / 60, 25 / 60]]))
    assert made.dtype == np.float32
    assert np.abs(np.array(found(Image.fromarray(made))) - expected).max() < 0.01


def test_padding_of_a_map_is_empty_and_an_unknown_map_stays_unknown() -> None:
    view = View.of(10, 10).crop(-10, 0, 20, 10)
    full = np.ones((4, 4), np.float16)
    made = view.maps(np.stack([full, np.full_like(full, np.nan)]))
    assert made[0].tolist() == [[0, 0, 1, 1]] * 4
    assert np.isnan(made[1]).all()


@given(st.lists(st.sampled_from(sorted(OPERATIONS)), min_size=1, max_size=4))
def test_the_way_back_leads_back(names: list[str]) -> None:
    view = View.of(120, 100)
    for name in names:
        view = OPERATIONS[name][0](view)
    there_and_back = np.array(view.then(view.inverse()).matrix)
    assert np.abs(there_and_back - [[1, 0, 0], [0, 1, 0]]).max() < 1e-9


def test_a_view_of_another_size_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"a picture of \(10, 10\) is no \(20, 10\)"):
        View.of(10, 10).then(View.of(20, 10))


def test_rounding_off_an_edge_is_taken_back_and_no_more() -> None:
    places = np.array([-5e-7, 1 + 5e-7, -1e-5, 0.5, np.nan])
    assert np.array_equal(on_edges(places), [0, 1, -1e-5, 0.5, np.nan], equal_nan=True)


def test_many_views_show_each_its_own() -> None:
    views = [
        View.of(500, 375).crop(100, 50, 300, 200).resize(224, 224).hflip(),
        View.of(40, 90).rot90(),
        View.of(7, 7).affine(SHEAR, 20, 30),
    ]
    rng = np.random.default_rng(0)
    for shape in ((3,), (3, 5)):
        xy, valid = rng.random((*shape, 2), np.float32), rng.random(shape) < 0.8
        corners = np.sort(rng.random((*shape, 2, 2), np.float32), -2).reshape(*shape, 4)
        for made, one in (
            (Views(views).points(xy, valid), lambda i: views[i].points(xy[i], valid[i])),  # noqa: B023
            (Views(views).boxes(corners, valid), lambda i: views[i].boxes(corners[i], valid[i])),  # noqa: B023
        ):
            for whole, parts in zip(made, zip(*map(one, range(3)), strict=True), strict=True):
                assert np.allclose(whole, np.stack(parts), atol=1e-6, equal_nan=True)
                assert whole.dtype == parts[0].dtype
    maps = rng.random((3, 8, 8)).astype(np.float16)
    expected = [view.maps(one) for view, one in zip(views, maps, strict=True)]
    assert np.array_equal(Views(views).maps(maps), np.stack(expected))


def test_targets_follow_under_their_names() -> None:
    view, other = View.of(100, 80).crop(0, 0, 50, 80), View.of(100, 80).crop(50, 0, 50, 80)
    rng = np.random.default_rng(0)
    target = {
        "click_xy": np.array([[0.2, 0.5], [0.2, 0.5]], np.float32),
        "click_valid": np.array([True, True]),
        "box_xyxy": np.array([[0.1, 0.1, 0.4, 0.6], [np.nan] * 4], np.float32),
        "heatmap": rng.random((2, 4, 4)).astype(np.float16),
        "class_index": np.array([3, 4]),
    }
    made = Views([view, other]).targets(target)
    assert made["click_valid"].tolist() == [True, False]
    assert made["box_valid"].tolist() == [True, False]
    assert made["heatmap_valid"].tolist() == [True, True]
    assert made["class_index"] is target["class_index"]
    for name in made:
        of = view.targets({name: array[0] for name, array in target.items()})
        np.testing.assert_allclose(of[name], made[name][0], atol=1e-6)
