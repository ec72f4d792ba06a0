from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

import abpipe
from abpipe.targets import coco
from abpipe.targets.reader import Targets
from abpipe.targets.samples import Sample

Export = Callable[..., Targets]

DATA = Path(__file__).parents[2] / "data"


def read(samples: Path, out: Path, dataset: str, **options: Any) -> COCO:
    """The whole dataset, as COCO's own library reads it."""
    abpipe.export(out, form="coco", store=samples, dataset=dataset, **options)
    return COCO(str(out / "keypoints_train.json"))


def test_clicks_are_keypoints_of_their_categories(
    samples: Path, export: Export, tmp_path: Path
) -> None:
    targets, found = export(dataset="coco-ab"), read(samples, tmp_path / "out", "coco-ab")
    numbers = found.getCatIds()
    names = [category["name"] for category in found.loadCats(numbers)]
    assert names == [row["class_id"] for row in targets.about["classes"]]
    assert sorted(map(str, found.getImgIds())) == targets["image_ids"].astype(str).tolist()
    for row, name in enumerate(targets["image_ids"].astype(int).tolist()):
        size = targets["size_wh"][row]
        annotations = {a["category_id"]: a for a in found.loadAnns(found.getAnnIds(imgIds=name))}
        clicked = np.flatnonzero(targets["click_valid"][row]).tolist()
        assert sorted(annotations) == [numbers[k] for k in clicked]
        for k in clicked:
            xy = targets["click_xy"][row, k]
            one = annotations[numbers[k]]
            assert np.array(one["click_xy"], np.float32).tolist() == xy.tolist()
            assert one["keypoints"] == [*np.floor(xy.astype(float) * size).tolist(), 2]
            assert one["bbox"] == [*(xy.astype(float) * size).tolist(), 0, 0]
        (image,) = found.loadImgs(name)
        assert (image["width"], image["height"]) == tuple(size.tolist())
        labels = np.flatnonzero(targets["label"][row] | targets["click_valid"][row])
        assert image["category_ids"] == [numbers[k] for k in labels.tolist()]
        assert image["file_name"] == f"COCO_train2014_{name:012d}.jpg"


def test_a_picture_s_box_is_of_its_class(samples: Path, export: Export, tmp_path: Path) -> None:
    targets, found = export(), read(samples, tmp_path / "out", "imagenet-ab")
    assert found.dataset["info"]["citation"].endswith("ICCV 2023")
    assert found.dataset["licenses"][0]["name"].startswith("Apache-2.0")
    assert not any("license" in image for image in found.dataset["images"])
    is_boxed = ~np.isnan(targets["box_xyxy"]).any(1)
    assert len(found.getAnnIds(areaRng=[0, 1e9])) == is_boxed.sum() > 50
    for row, name in enumerate(targets["image_ids"].astype(str).tolist()):
        (image,) = found.loadImgs(row + 1)
        assert image["file_name"] == f"{name.split('_')[0]}/{name}.JPEG"
        assert (DATA / "imagenet/images" / image["file_name"]).is_file()
        (category,) = found.loadCats(image["category_ids"])
        assert category["id"] == targets["class_index"][row] + 1
        for one in found.loadAnns(found.getAnnIds(imgIds=row + 1)):
            assert one["num_keypoints"] == targets["click_valid"][row]
            if is_boxed[row]:
                x, y, width, height = one["bbox"]
                corners = np.array([x, y, x + width, y + height])
                box = corners / np.tile(targets["size_wh"][row], 2)
                assert box == pytest.approx(targets["box_xyxy"][row])


def of(click: tuple[float, float], box: tuple[float, ...], size: tuple[int, int]) -> Any:
    """The annotations of an ImageNet picture of class 3."""
    targets: dict[str, Any] = {"class_index": 3, "weight": np.nan}
    targets |= {"click_xy": np.array(click), "box_xyxy": np.array(box), "size_wh": np.array(size)}
    return [
        (k, one["keypoints"], one["num_keypoints"], one["bbox"], one["area"])
        for k, one in coco.annotated(Sample("a", "train", targets))
    ]


def test_what_is_missing_is_no_number() -> None:
    none, no_box = (np.nan, np.nan), (np.nan,) * 4
    box = (0.5, 0.25, 1.0, 0.75)
    assert of((1.0, 0.25), box, (10, 8)) == [(3, [9, 2, 2], 1, [5, 2, 5, 4], 20)]
    assert of((0.5, 0.25), no_box, (10, 8)) == [(3, [5, 2, 2], 1, [5, 2, 0, 0], 0)]
    assert of(none, box, (10, 8)) == [(3, [0, 0, 0], 0, [5, 2, 5, 4], 20)]
    assert of(none, no_box, (10, 8)) == []
    assert of((0.5, 0.25), box, (0, 0)) == []  # of unknown size


def test_files_are_named_as_they_lie_and_parts_are_files(samples: Path, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    first = sorted((DATA / "coco/images").iterdir())[0]
    shutil.copy(first, tmp_path / "pictures/5054.PNG")
    out, split = tmp_path / "out", {"train": 0.5, "val": 0.5}
    found = read(samples, out, "coco-ab", split=split, images=tmp_path / "pictures")
    other = COCO(str(out / "keypoints_val.json"))
    assert len(found.getImgIds()) + len(other.getImgIds()) == 60
    assert not {*found.getImgIds()} & {*other.getImgIds()}
    ((image,),) = [part.loadImgs(5054) for part in (found, other) if 5054 in part.getImgIds()]
    assert image["file_name"] == "5054.PNG"
    assert sorted(path.name for path in out.iterdir()) == [
        "keypoints_train.json",
        "keypoints_val.json",
        "targets.json",
    ]


def test_the_same_store_gives_the_same_bytes(samples: Path, tmp_path: Path) -> None:
    for out in ("one", "two"):
        read(samples, tmp_path / out, "coco-ab", anonymous=out == "two")  # it has no times
    one, two = (tmp_path / out / "keypoints_train.json" for out in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
