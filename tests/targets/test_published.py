"""Parity with the published loaders: FORMAT.md's words, one record at a time, beside the arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abpipe.contracts import classes
from abpipe.targets import published
from abpipe.targets.geometry import View

IDS = [row["category_id"] for row in classes("coco")]


def slow_imagenet(
    records: list[tuple[bool, list[tuple[float, float]]]],
    size: tuple[int, int],
    crop: tuple[int, int, int, int],
    f: bool,
) -> tuple[int, tuple[float, float]]:
    """Weight and target of a picture: records are (selected, clicks)."""
    W, H = size  # noqa: N806 - as the text has it
    i, j, h, w = crop
    points = [clicks[0] for selected, clicks in records if selected]
    if not points:
        return 0, (-1, -1)
    ax = sum(x for x, _ in points) / len(points)
    ay = sum(y for _, y in points) / len(points)
    x0 = j / W
    x1 = x0 + w / W
    y0 = i / H
    y1 = y0 + h / H
    if f:
        x0, x1 = 1 - x1, 1 - x0
        ax = 1 - ax
    if x0 <= ax <= x1 and y0 <= ay <= y1:
        return 1, ((ax - x0) * W / w, (ay - y0) * H / h)
    return 0, (-1, -1)


def slow_coco(
    actions: list[tuple[str, int, float, float]],
    natural: tuple[int, int],
    annotations: list[int],
    size: tuple[int, int],
    crop: tuple[int, int, int, int],
    f: bool,
) -> tuple[Any, Any]:
    """Label and points of a picture: actions are (type, category id, x, y)."""
    W, H = size  # noqa: N806
    i, j, h, w = crop
    places = {}
    for action, category, x, y in actions:
        if action == "add":
            places[category] = int(y * natural[1]), int(x * natural[0])
    share = [i / H, j / W, h / H, w / W]
    if f:
        share[1] = 1 - j / W - w / W
    ly, lx, lh, lw = int(share[0] * H), int(share[1] * W), int(share[2] * H), int(share[3] * W)
    points, label = np.full(160, -1, np.float32), np.zeros(80, np.float32)
    for category in annotations:
        k = sorted(IDS).index(category)
        if category not in places:
            label[k] = 1
            continue
        py, px = places[category]
        if f:
            px = W - px
        if ly <= py <= ly + lh and lx <= px <= lx + lw:
            points[2 * k] = (py - ly) / lh if lh else np.nan
            points[2 * k + 1] = (px - lx) / lw if lw else np.nan
            label[k] = 1
    return label, points


def arrays(
    actions: list[tuple[str, int, float, float]], natural: tuple[int, int], annotations: list[int]
) -> tuple[Any, Any, Any]:
    """What the export has of a picture: pixels, whether they are valid, classes."""
    px, valid, label = np.zeros((80, 2), np.int32), np.zeros(80, bool), np.zeros(80, bool)
    for action, category, x, y in actions:
        if action == "add":
            k = IDS.index(category)
            px[k], valid[k] = (int(x * natural[0]), int(y * natural[1])), True
    label[[IDS.index(category) for category in annotations]] = True
    return px, valid, label


def a_crop(rng: Any, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """A crop of any size; now and then all of the picture, or a single pixel."""
    width, height = size
    w, h = int(rng.integers(1, width + 1)), int(rng.integers(1, height + 1))
    if rng.random() < 0.1:
        w, h = width, height
    return int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1)), h, w


def a_place(rng: Any, size: tuple[int, int], crop: tuple[int, int, int, int]) -> Any:
    """A place anywhere, on the edge of a pixel, or (hard to tell) on the edge of the crop."""
    i, j, h, w = crop
    return [
        rng.uniform(-0.005, 1.005, 2),
        np.round(rng.random(2), 3),
        np.array([rng.choice([j, j + w]) / size[0], rng.choice([i, i + h]) / size[1]]),
        rng.integers(0, np.array(size) + 1) / size,
    ][rng.integers(4)].tolist()


@pytest.mark.parametrize("seed", range(4))
def test_imagenet_targets_are_the_loaders(seed: int) -> None:
    rng = np.random.default_rng(seed)
    xy, sizes, crops, flips, expected = [], [], [], [], []
    for _ in range(2500):
        size = int(rng.integers(1, 700)), int(rng.integers(1, 700))
        crop, flip = a_crop(rng, size), bool(rng.random() < 0.5)
        records = [
            (
                bool(rng.random() < 0.8),
                [a_place(rng, size, crop) for _ in range(rng.integers(1, 4))],
            )
            for _ in range(rng.integers(0, 4))
        ]
        first = [clicks[0] for selected, clicks in records if selected]
        xy.append([sum(axis) / len(first) for axis in zip(*first, strict=True)] or [np.nan] * 2)
        sizes.append(size)
        crops.append(crop)
        flips.append(flip)
        expected.append(slow_imagenet(records, size, crop, flip))
    weight, target = published.imagenet(xy, sizes, crops, flips)
    assert weight.dtype == np.float32
    assert weight.tolist() == [w for w, _ in expected]
    assert target.tolist() == [list(t) for _, t in expected]  # to the last bit
    assert 0.2 < weight.mean() < 0.9


@pytest.mark.parametrize("seed", range(4))
def test_coco_targets_are_the_loaders(seed: int) -> None:
    rng = np.random.default_rng(seed)
    given_, expected = [], []
    for _ in range(1000):
        size = int(rng.integers(1, 641)), int(rng.integers(1, 641))
        natural = size if rng.random() < 0.9 else (0, 0)
        crop, flip = a_crop(rng, size), bool(rng.random() < 0.5)
        actions = [
            (
                str(rng.choice(["add", "add", "move", "remove"])),
                IDS[rng.integers(12)],
                *a_place(rng, size, crop),
            )
            for _ in range(rng.integers(0, 9))
        ]
        annotations = [IDS[k] for k in rng.integers(0, 12, rng.integers(0, 9))]
        given_.append((*arrays(actions, natural, annotations), size, crop, flip))
        expected.append(slow_coco(actions, natural, annotations, size, crop, flip))
    label, points = published.coco(*map(np.array, zip(*given_, strict=True)))
    assert label.dtype == points.dtype == np.float32
    assert np.array_equal(label, [one for one, _ in expected])
    assert np.array_equal(points, [one for _, one in expected], equal_nan=True)
    assert ((points != -1).any(1)).sum() > 100
    one_label, one_points = published.coco(*given_[0])
    assert np.array_equal(one_label, label[0])
    assert np.array_equal(one_points, points[0])


def test_flaw_the_first_click_counts_though_the_last_one_selected() -> None:
    """See test_clicks.py: clicks_published beside clicks. Here: what it does to a target."""
    records = [(True, [(0.1, 0.1), (0.9, 0.9)])]
    weight, _ = slow_imagenet(records, (100, 100), (50, 50, 50, 50), False)
    _, valid = View.of(100, 100).crop(50, 50, 50, 50).points(np.array([[0.9, 0.9]]))
    assert (weight, valid.tolist()) == (0, [True])


def test_flaw_minus_one_stands_for_no_target() -> None:
    """A loss that forgets the weight pulls to (-1, -1); NaN cannot be forgotten."""
    _, target = published.imagenet([0.9, 0.9], [100, 100], [0, 0, 50, 50])
    points, valid = View.of(100, 100).crop(0, 0, 50, 50).points(np.array([0.9, 0.9]))
    assert target.tolist() == [-1, -1]
    assert np.isnan(points).all()
    assert not valid


def test_flaw_whole_pixels_are_cut_off() -> None:
    """Up to a pixel of the picture, which is much of a small crop."""
    px, valid, label = arrays([("add", IDS[0], 0.0399, 0.0399)], (100, 100), [IDS[0]])
    _, points = published.coco(px, valid, label, (100, 100), (0, 0, 8, 8))
    exact, _ = View.of(100, 100).crop(0, 0, 8, 8).points(np.array([0.0399, 0.0399]))
    assert points[:2].tolist() == pytest.approx([3 / 8] * 2)
    assert exact.tolist() == pytest.approx([3.99 / 8] * 2)


def test_flaw_a_place_just_off_the_picture_is_cut_into_it() -> None:
    """-0.9 pixels becomes pixel 0; in the default reading, it is not valid."""
    px, valid, label = arrays([("add", IDS[0], -0.009, 0.5)], (100, 100), [IDS[0]])
    found, _ = published.coco(px, valid, label, (100, 100), (0, 0, 100, 100))
    assert found[0] == 1
    assert not View.of(100, 100).points(np.array([-0.009, 0.5]))[1]


def test_flaw_a_mirrored_pixel_is_off_by_one() -> None:
    """W - px is pixel W for px = 0, which there is none of; a place x becomes 1 - x."""
    px, valid, label = arrays([("add", IDS[0], 0.0, 0.5)], (100, 100), [IDS[0]])
    _, points = published.coco(px, valid, label, (100, 100), (0, 0, 100, 100), True)
    assert points[1] == 1  # the pixel beside the last one
    mirrored, _ = View.of(100, 100).hflip().points(np.array([0.005, 0.5]))  # middle of pixel 0
    assert mirrored[0] == pytest.approx(0.995)  # middle of pixel 99


def test_flaw_a_removed_icon_and_an_unmoved_one_stay() -> None:
    """They read only adds: see test_clicks.py. Here: a removed icon still makes the label."""
    cat = IDS[0]
    actions = [("add", cat, 0.1, 0.1), ("remove", cat, 0.1, 0.1)]
    label, points = slow_coco(actions, (100, 100), [cat], (100, 100), (50, 50, 50, 50), False)
    assert label[0] == 0  # taken for an object that the crop has lost
    assert points[0] == -1


def test_flaw_a_class_whose_icon_is_off_the_crop_is_unlabelled_though_it_may_be_in_it() -> None:
    """One icon stands for all instances of the class; without an icon, the label stays."""
    px, valid, label = arrays([("add", IDS[0], 0.9, 0.9)], (100, 100), [IDS[0], IDS[1]])
    found, _ = published.coco(px, valid, label, (100, 100), (0, 0, 50, 50))
    assert found[:2].tolist() == [0, 1]


def test_flaw_the_crop_is_cut_off_too() -> None:
    """A height of 29 of 100 pixels comes back from its fraction as 28."""
    px, valid, label = arrays([("add", IDS[0], 0.5, 0.29)], (100, 100), [IDS[0]])
    inside = [
        published.coco(px, valid, label, (100, 100), (0, 0, h, 100))[0][0] for h in (28, 29, 30)
    ]
    _, points = published.coco(px, valid, label, (100, 100), (0, 0, 29, 100))
    assert inside == [1, 1, 1]
    assert points[0] == 1  # 28 / 28, and not 28 / 29


@settings(max_examples=50)
@given(st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_where_both_have_a_point_they_agree(x: float, y: float, flip: bool) -> None:
    crop = (20, 30, 60, 50)
    weight, target = published.imagenet([x, y], [100, 100], crop, flip)
    view = View.of(100, 100).crop(30, 20, 50, 60)
    point, valid = (view.hflip() if flip else view).points(np.array([x, y]))
    if weight and valid:
        assert point.tolist() == pytest.approx(target.tolist(), abs=1e-9)
