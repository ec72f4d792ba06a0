from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import numpy as np
import pytest
from PIL import Image

from abpipe.synth import Synthetic, synth
from abpipe.synth.coco import icons
from abpipe.synth.pictures import color, paint
from abpipe.synth.shapes import Shape

Told: TypeAlias = Callable[[Synthetic, str], list[dict[str, Any]]]


def test_an_objects_color_is_at_its_middle(tmp_path: Path) -> None:
    for class_index in range(12):
        path = tmp_path / f"{class_index}.jpg"
        paint(Random(0), path, (120, 90), [Shape(class_index, (30, 20, 90, 70))])
        with Image.open(path) as picture:
            assert picture.size == (120, 90)
            middle = np.array(picture.convert("RGB"), int)[45, 60]
        assert np.abs(middle - color(class_index)).max() < 40


@pytest.mark.parametrize("class_index", range(5))
def test_a_shape_fills_its_box(class_index: int, tmp_path: Path) -> None:
    path = tmp_path / "shape.jpg"
    paint(Random(1), path, (200, 150), [Shape(class_index, (30, 20, 150, 110))])
    with Image.open(path) as picture:
        off = np.abs(np.array(picture.convert("RGB"), int) - color(class_index)).max(axis=2)
    down, across = np.nonzero(off < 40)
    assert (across.min(), down.min()) == pytest.approx((30, 20), abs=4)
    assert (across.max(), down.max()) == pytest.approx((150, 110), abs=4)


def test_backgrounds_are_greyer_than_any_object() -> None:
    for class_index in range(1000):
        assert max(color(class_index)) - min(color(class_index)) > 150


def test_imagenet_clicks_are_on_objects(tmp_path: Path, told: Told) -> None:
    made = synth(tmp_path, count=150, seed=3, pictures=True)
    assert made.pictures is not None
    sizes = {row["image_id"]: (row["width"], row["height"]) for row in told(made, "images")}
    labels = sorted({row["class_id"] for row in told(made, "images")})
    boxes = {row["image_id"]: row for row in reversed(told(made, "objects"))}
    hits = []
    for click in told(made, "clicks"):
        name = click["image_id"]
        with Image.open(made.pictures / click["label"] / f"{name}.JPEG") as picture:
            assert picture.size == sizes[name]
            pixels = np.array(picture.convert("RGB"), int)
        box = boxes[name]
        middle = pixels[int(box["ymin"] + box["ymax"]) // 2, int(box["xmin"] + box["xmax"]) // 2]
        x = min(int(click["x"] * picture.width), picture.width - 1)
        y = min(int(click["y"] * picture.height), picture.height - 1)
        hits.append(np.abs(pixels[y, x] - middle).max() < 60)
    assert len(labels) > 1
    assert np.mean(hits) > 0.8


def test_coco_icons_are_on_their_things(tmp_path: Path, told: Told) -> None:
    made = synth(tmp_path, kind="coco", count=60, seed=3, pictures=True)
    assert made.pictures is not None
    assert len(list(made.pictures.glob("COCO_train2014_????????????.jpg"))) == 60
    hits = []
    for click in told(made, "clicks"):
        path = made.pictures / f"COCO_train2014_{int(click['image_id']):012d}.jpg"
        with Image.open(path) as picture:
            pixels = np.array(picture.convert("RGB"), int)
        x = min(max(int(click["x"] * picture.width), 0), picture.width - 1)
        y = min(max(int(click["y"] * picture.height), 0), picture.height - 1)
        expected = color(icons().index(click["label"]))
        hits.append(np.abs(pixels[y, x] - expected).max() < 60)
    assert np.mean(hits) > 0.6


def test_pictures_are_the_same_for_any_number_of_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("abpipe.synth.run.CHUNK", 10)
    folders = [synth(tmp_path / str(n), count=24, pictures=True, jobs=n).pictures for n in (1, 2)]
    first, second = (
        {path.name: path.read_bytes() for path in folder.rglob("*.JPEG")}
        for folder in folders
        if folder
    )
    assert first == second and len(first) == 24
