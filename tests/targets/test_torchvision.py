"""torchvision's own transforms of a picture and its targets, against the same view of them."""

from __future__ import annotations

import pickle  # noqa: TID251 - it is how workers hand over their samples
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from abpipe.targets.geometry import View

from .. import torchvision_shim  # noqa: TID252

tv_tensors, v2 = torchvision_shim.load("torchvision.tv_tensors", "torchvision.transforms.v2")

import torch  # noqa: E402

from abpipe.targets.torchvision import boxes, boxes_of, points, points_of  # noqa: E402

pytestmark = pytest.mark.beyond

fraction = st.floats(0, 1, width=32) | st.just(float("nan"))
XY = np.array([[0.5, 0.5], [np.nan, np.nan], [1, 0]], np.float32)
XYXY = np.array([[0.25, 0.5, 0.75, 1], [np.nan] * 4], np.float32)


def sample(xy: Any, xyxy: Any, width: int, height: int) -> dict[str, Any]:
    picture = tv_tensors.Image(torch.zeros(3, height, width, dtype=torch.uint8))
    return {
        "picture": picture,
        "xy": points(xy, width, height),
        "xyxy": boxes(xyxy, width, height),
    }


def same(found: Any, expected: Any) -> None:
    """Equal places; a point may be valid or not if it lies on an edge."""
    (made, valid), (places, is_valid) = found, expected
    both = valid & is_valid
    assert np.allclose(made[both], places[both], atol=1e-5)
    for one, other in ((made, is_valid), (places, valid)):
        at_edge = one[~other & ~np.isnan(one).any(-1)]
        assert (np.abs(at_edge - np.round(at_edge)).min(-1) < 1e-5).all()


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
    crop = v2.RandomResizedCrop((33, 48), scale=(0.1, 1))
    given = sample(xy, xyxy, *size)
    torch.manual_seed(seed)
    part = crop.make_params([given["picture"]])
    torch.manual_seed(seed)
    made = v2.Compose(
        [crop, v2.RandomHorizontalFlip(float(hflip)), v2.RandomVerticalFlip(float(vflip))]
    )(given)

    view = View.of(*size).crop(part["left"], part["top"], part["width"], part["height"])
    view = view.resize(48, 33)
    view = view.hflip() if hflip else view
    view = view.vflip() if vflip else view
    assert made["picture"].shape == (3, 33, 48)
    same(points_of(made["xy"]), view.points(xy))
    same(boxes_of(made["xyxy"]), view.boxes(xyxy))


def test_a_turn_does_what_the_view_does() -> None:
    made = v2.RandomRotation((90, 90), expand=True)(sample(XY, XYXY, 50, 40))
    view = View.of(50, 40).rot90()
    same(points_of(made["xy"]), view.points(XY))
    same(boxes_of(made["xyxy"]), view.boxes(XYXY))


def test_a_dot_is_found_where_its_flipped_and_enlarged_point_says() -> None:
    picture = torch.zeros(1, 10, 20)
    picture[0, 5, 4] = 1  # the middle of this pixel is (4.5, 5.5)
    xy = np.array([[4.5 / 20, 5.5 / 10]], np.float32)
    made = v2.Compose([v2.RandomHorizontalFlip(1), v2.Resize((40, 80), antialias=True)])(
        {"picture": tv_tensors.Image(picture), "xy": points(xy, 20, 10)}
    )
    light = made["picture"].numpy()[0]
    down, across = np.indices(light.shape) + 0.5
    (place,), _ = points_of(made["xy"])
    middle = [(across * light).sum() / light.sum() / 80, (down * light).sum() / light.sum() / 40]
    assert np.allclose(place, middle, atol=1e-5)


def test_keypoints_of_torchvision_itself_are_a_pixel_off_when_flipped() -> None:
    plain = tv_tensors.KeyPoints([[5.0, 5.0]], canvas_size=(10, 20))
    ours = points(np.array([[0.25, 0.5]], np.float32), 20, 10)
    flip = v2.RandomHorizontalFlip(1)
    assert (flip(plain).tolist(), flip(ours).tolist()) == ([[14, 5]], [[15, 5]])


def test_what_leaves_the_picture_or_was_not_valid_is_nan() -> None:
    made = v2.CenterCrop((20, 20))(sample(XY, XYXY, 50, 40))
    xy, valid = points_of(made["xy"])
    assert (xy[0].tolist(), valid.tolist()) == ([0.5, 0.5], [True, False, False])
    assert np.isnan(xy[1:]).all()
    xyxy, has_box = boxes_of(made["xyxy"])
    assert (xyxy[0].tolist(), has_box.tolist()) == ([0, 0.5, 1, 1], [True, False])
    assert points_of(made["xy"], np.array([False, True, True]))[1].tolist() == [False] * 3
    assert boxes_of(made["xyxy"], np.array([False, True]))[1].tolist() == [False] * 2


def test_an_elastic_transform_does_not_make_valid_what_was_not() -> None:
    made = v2.ElasticTransform()(sample(XY, XYXY, 50, 40))
    assert not np.isnan(made["xy"].numpy()).any()  # else there is no need to say what was valid
    assert points_of(made["xy"], ~np.isnan(XY[:, 0]))[1].tolist()[1] is False


def test_times_stay_beside_a_trace_and_tensors_come_back_from_workers() -> None:
    trace = np.array([[0.25, 0.5, 100], [0.5, 0.5, 200]], np.float32)
    made = pickle.loads(pickle.dumps(points(trace, 50, 40)))
    assert (type(made), made.canvas_size) == (type(points(trace, 50, 40)), (40, 50))
    assert points_of(made)[0].tolist() == trace[:, :2].tolist()


def test_boxes_come_back_from_another_format() -> None:
    made = v2.ConvertBoundingBoxFormat("CXCYWH")(boxes(XYXY, 50, 40))
    assert np.array_equal(boxes_of(made)[0], XYXY, equal_nan=True)


def test_the_recipe_of_the_readme_runs() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    (code,) = re.findall(r"^```python torchvision\n(.*?)^```", readme, re.M | re.S)
    target = {"click_xy": np.array([0.5, 0.5], np.float32), "click_valid": np.array(True)}
    names = {"picture": Image.new("RGB", (50, 40)), "target": target, "width": 50, "height": 40}
    exec(code, names)
    assert (names["xy"].shape, names["valid"].shape) == ((1, 2), (1,))  # type: ignore[attr-defined]
