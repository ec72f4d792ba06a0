"""Albumentations' own transforms of a picture and its targets, against the same view of them."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abpipe.targets.geometry import View

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it asks for its newest version, else
A = pytest.importorskip("albumentations", reason="albumentations is not installed")

from abpipe.targets.albumentations import arguments, boxes_of, params, points_of  # noqa: E402

fraction = st.floats(0, 1, width=32) | st.just(float("nan"))


def same(found: Any, expected: Any) -> None:
    """Equal places; a point may be valid or not if it lies on an edge."""
    (made, valid), (places, is_valid) = found, expected
    both = valid & is_valid
    assert np.allclose(made[both], places[both], atol=1e-5)
    for one, other in ((made, is_valid), (places, valid)):
        at_edge = one[~other & ~np.isnan(one).any(-1)]
        assert (np.abs(at_edge - np.round(at_edge)).min(-1) < 1e-5).all()


def transformed(transforms: list[Any], xy: Any, xyxy: Any, width: int, height: int) -> Any:
    picture = np.zeros((height, width, 3), np.uint8)
    pipeline = A.Compose(transforms, **params(), seed=1)
    return pipeline(image=picture, **arguments(xy, xyxy, width, height))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(fraction, fraction), min_size=1, max_size=5),
    st.tuples(st.integers(20, 90), st.integers(20, 90)),
    st.booleans(),
    st.booleans(),
    st.integers(0, 1 << 30),
)
def test_a_random_crop_and_flips_do_what_the_view_does(
    places: Any, size: tuple[int, int], hflip: bool, vflip: bool, seed: int
) -> None:
    xy = np.array(places, np.float32)
    xyxy = np.concatenate([xy * np.float32(0.5), xy * np.float32(0.5) + np.float32(0.4)], 1)
    crop = A.RandomResizedCrop((33, 48), scale=(0.1, 1))
    flips = [A.HorizontalFlip(p=float(hflip)), A.VerticalFlip(p=float(vflip))]
    pipeline = A.Compose([crop, *flips], **params(), seed=seed, save_applied_params=True)
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    made = pipeline(image=picture, **arguments(xy, xyxy, *size))

    left, top, right, bottom = made["applied_transforms"][0][1]["crop_coords"]
    view = View.of(*size).crop(left, top, right - left, bottom - top).resize(48, 33)
    # a resize multiplies places that are counted from the middle of the first pixel
    off = (1 - 48 / (right - left)) / 2, (1 - 33 / (bottom - top)) / 2
    moved = view.affine(((1, 0, off[0]), (0, 1, off[1])), 48, 33)

    def flipped(one: View) -> View:
        one = one.hflip() if hflip else one
        return one.vflip() if vflip else one

    same(points_of(made, len(xy)), flipped(moved).points(xy))
    same(boxes_of(made, len(xyxy)), flipped(view).boxes(xyxy))


@pytest.mark.parametrize(
    ("transform", "view"),
    [
        (A.HorizontalFlip(p=1), View.of(50, 40).hflip()),
        (A.VerticalFlip(p=1), View.of(50, 40).vflip()),
        (A.CenterCrop(20, 30, p=1), View.of(50, 40).center_crop(30, 20)),
        (A.Rotate((90, 90), p=1), View.of(50, 40).affine(((0, 1, 5), (-1, 0, 45)), 50, 40)),
    ],
    ids=["hflip", "vflip", "center crop", "rotate"],
)
def test_what_does_not_resize_agrees_exactly(transform: Any, view: View) -> None:
    rng = np.random.default_rng(3)
    xy = rng.random((20, 2))
    xyxy = np.concatenate([xy / 2, xy / 2 + 0.4], 1)
    made = transformed([transform], xy, xyxy, 50, 40)
    same(points_of(made, 20), view.points(xy))
    same(boxes_of(made, 20), view.boxes(xyxy))


def test_what_leaves_the_picture_or_is_missing_is_nan_in_its_own_row() -> None:
    xy = np.array([[0.1, 0.1, 7], [np.nan, np.nan, 8], [0.5, 0.5, 9]], np.float32)
    xyxy = np.array([[0, 0, 0.1, 0.1], [np.nan] * 4, [0.25, 0.25, 0.75, 1]], np.float32)
    made = transformed([A.CenterCrop(20, 20, p=1)], xy, xyxy, 40, 40)
    places, valid = points_of(made, 3)
    assert (places[2].tolist(), valid.tolist()) == ([0.5, 0.5], [False, False, True])
    assert np.isnan(places[:2]).all()
    found, has_box = boxes_of(made, 3)
    assert (found[2].tolist(), has_box.tolist()) == ([0, 0, 1, 1], [False, False, True])
    assert np.isnan(found[:2]).all()


def test_no_points_and_no_boxes_come_back_as_none() -> None:
    made = transformed([A.HorizontalFlip(p=1)], np.zeros((0, 3)), np.full((1, 4), np.nan), 40, 40)
    assert points_of(made, 0)[0].shape == (0, 2)
    assert boxes_of(made, 1)[1].tolist() == [False]
