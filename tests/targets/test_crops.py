from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from abpipe.targets.crops import CenterCrop, RandomCrop
from abpipe.targets.geometry import View

side = st.integers(1, 700)


@given(side, side, st.integers(0, 1 << 30))
def test_a_random_crop_lies_in_the_picture_and_has_the_size_asked_for(
    width: int, height: int, seed: int
) -> None:
    picture, view = RandomCrop(16)(Image.new("RGB", (width, height)), np.random.default_rng(seed))
    assert picture.size == view.size == (16, 16)
    corners = np.array([[0, 0], [1, 1]])
    places, _ = view.inverse().points(corners)
    assert not np.isnan(places).any()  # all of the crop is within the picture
    w, h = abs(places[1] - places[0]) * (width, height)
    assert np.allclose([w, h], np.round([w, h]), atol=1e-6)


@pytest.mark.parametrize("see", [RandomCrop(48, (0.5, 1)), CenterCrop(48, 0.9), CenterCrop(48, 1)])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("form", ["PNG", "JPEG"])  # a JPEG is read at half its size
def test_the_view_says_where_a_dot_is_in_the_cut_picture(see: Any, seed: int, form: str) -> None:
    width, height, x, y = 401, 303, 190.0, 160.0
    across, down = np.arange(width) + 0.5 - x, np.arange(height) + 0.5 - y
    light = 255 * np.exp(-(across[None] ** 2 + down[:, None] ** 2) / 300)
    Image.fromarray(light.astype(np.uint8)).save(file := io.BytesIO(), form, quality=95)
    picture, view = see(Image.open(file), np.random.default_rng(seed))
    told, valid = view.points(np.array([x / width, y / height]))
    seen = np.asarray(picture.convert("L"), float)
    seen[seen < 40] = 0
    middle = [(seen.sum(axis) * (np.arange(48) + 0.5)).sum() / seen.sum() for axis in (0, 1)]
    assert picture.mode == "RGB" and valid
    assert np.allclose(told * 48, middle, atol=0.25)


def test_the_cut_is_what_pillow_makes_of_the_whole_picture() -> None:
    noise = np.random.default_rng(0).random((75, 75, 3))
    smooth = Image.fromarray((255 * noise).astype(np.uint8)).resize((751, 751))
    smooth.save(file := io.BytesIO(), "JPEG", quality=95)
    made, _ = CenterCrop(200, 1)(Image.open(file), np.random.default_rng(0))
    expected = Image.open(file).convert("RGB").resize((200, 200), Image.Resampling.BILINEAR)
    apart = np.abs(np.asarray(made, float) - np.asarray(expected, float))
    assert apart.mean() < 2 and apart.max() < 20


def test_the_view_is_the_one_of_geometry() -> None:
    rng = np.random.default_rng(3)
    _, view = RandomCrop(64, flip=1)(Image.new("RGB", (300, 200)), rng)
    box = RandomCrop(64)._box(300, 200, np.random.default_rng(3))
    left, top, width, height = (int(edge) for edge in box)
    expected = View.of(300, 200).crop(left, top, width, height).resize(64, 64).hflip()
    assert (view.stored, view.size) == (expected.stored, expected.size)
    assert np.allclose(view.matrix, expected.matrix)


def test_crops_are_as_large_and_as_tall_as_asked_for() -> None:
    crop, rng = RandomCrop(8, scale=(0.2, 0.4), ratio=(1, 2)), np.random.default_rng(0)
    boxes = np.array([crop._box(500, 400, rng) for _ in range(200)])
    share, ratio = boxes[:, 2] * boxes[:, 3] / 200_000, boxes[:, 2] / boxes[:, 3]
    assert 0.19 < share.min() < 0.25 and 0.35 < share.max() < 0.41
    assert 0.98 < ratio.min() < 1.1 and 1.8 < ratio.max() < 2.05


def test_where_no_draw_fits_the_middle_is_taken() -> None:
    _, view = RandomCrop(8, scale=(1, 1), flip=0)(
        Image.new("RGB", (1000, 10)), np.random.default_rng(0)
    )
    expected = View.of(1000, 10).crop(493, 0, 13, 10).resize(8, 8)
    assert np.allclose(view.matrix, expected.matrix)
