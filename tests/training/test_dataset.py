from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="torch is an extra")

import webdataset as wds
from torch.utils.data import DataLoader, default_collate

import abpipe
from abpipe.errors import NamelessPictures, UnmatchedPictures
from abpipe.targets.geometry import View
from abpipe.targets.reader import Targets
from abpipe.training import ByproductDataset, RandomCrop, WithByproducts, collate

from .conftest import PICTURES

Export = Callable[..., Targets]

SEE = RandomCrop(16, (0.3, 1))


def equal(one: Any, other: Any) -> bool:
    """Whether two batches or samples are equal, NaN and all."""
    (picture, target), (picture_2, target_2) = one, other
    return (
        torch.equal(picture, picture_2)
        and target.keys() == target_2.keys()
        and all(np.array_equal(target[k], target_2[k], equal_nan=True) for k in target)
    )


def blank(names: list[str]) -> list[Image.Image]:
    """As many pictures, each of another width."""
    return [Image.new("RGB", (100 + i, 80)) for i in range(len(names))]


def test_targets_are_found_by_name_whatever_the_order(targets: Targets, left: Any) -> None:
    names = [name.decode() for name in targets["image_ids"][[50, 3, 77]]]
    data = ByproductDataset(blank(names), targets, ids=[f"x/{n}.JPEG" for n in names], see=left)
    assert len(data) == 3
    for i, row in enumerate((50, 3, 77)):
        picture, target = data[i]
        assert picture.shape == (3, 32, 32) and picture.dtype == torch.uint8
        view = View.of(100 + i, 80).crop(0, 0, (100 + i) // 2, 80)
        xy, valid = view.points(targets["click_xy"][row], targets["click_valid"][row])
        box, has_box = view.boxes(targets["box_xyxy"][row])
        assert np.array_equal(target["click_xy"], xy, equal_nan=True)
        assert np.allclose(target["box_xyxy"], box, equal_nan=True)
        assert (target["click_valid"], target["box_valid"]) == (valid, has_box)
        shown = view.maps(targets["heatmap"][row])
        assert np.array_equal(target["heatmap"], shown, equal_nan=True)
        assert target["heatmap_valid"] == (np.nan_to_num(shown).max() > 0)
        assert target["class_index"] == targets["class_index"][row]
    assert equal(data[-1], data[2])
    with pytest.raises(IndexError):
        data[3]


def test_pictures_of_a_folder_are_joined(targets: Targets) -> None:
    data = ByproductDataset(PICTURES["imagenet-ab"], targets, see=SEE)
    assert len(data) == len(targets) == 120
    files = sorted(PICTURES["imagenet-ab"].rglob("*.JPEG"))
    assert data.rows.tolist() == targets.rows([file.name for file in files]).tolist()


def test_coco_has_a_point_of_each_class(export: Export, left: Any) -> None:
    targets = export(dataset="coco-ab")
    data = ByproductDataset(PICTURES["coco-ab"], targets, see=left)
    _, target = collate(data.__getitems__(range(8)))
    assert target["click_xy"].shape == (8, 80, 2) and target["label"].shape == (8, 80)
    both = targets["click_valid"][data.rows[:8]]
    assert 0 < target["click_valid"].sum() < both.sum()  # some lay on the right
    for i, row in enumerate(data.rows[:8]):
        width, height = targets["size_wh"][row].tolist()
        view = View.of(width, height).crop(0, 0, width // 2, height)
        xy, _ = view.points(targets["click_xy"][row], targets["click_valid"][row])
        assert np.allclose(target["click_xy"][i], xy, equal_nan=True)


def test_a_batch_is_its_samples_and_collate_is_pytorchs_own(targets: Targets) -> None:
    data = ByproductDataset(PICTURES["imagenet-ab"], targets, see=SEE, seed=1)
    at = [5, 80, 0]
    batch = collate(data.__getitems__(at))
    assert equal(batch, default_collate(data.__getitems__(at)))
    assert equal(batch, collate([data[i] for i in at]))


@pytest.mark.parametrize("start, workers", [("fork", 2), ("spawn", 1)])
def test_workers_change_nothing(targets: Targets, pictures: Path, start: str, workers: int) -> None:
    data = ByproductDataset(pictures, targets, see=SEE, seed=1)
    given: dict[str, Any] = {"batch_size": 50, "collate_fn": collate}
    loader = DataLoader(
        data, num_workers=workers, multiprocessing_context=start, persistent_workers=True, **given
    )
    seen = []
    for epoch in (0, 1):
        data.set_epoch(epoch)  # workers that persist hear of it
        alone, by_workers = list(DataLoader(data, **given)), list(loader)
        assert [len(batch) for batch, _ in by_workers] == [50, 50, 20]
        assert all(map(equal, alone, by_workers))
        seen.append(alone)
    assert not equal(seen[0][0], seen[1][0])


def test_without_a_seed_cuts_are_pytorchs_chance(targets: Targets) -> None:
    data = ByproductDataset(PICTURES["imagenet-ab"], targets, see=SEE)
    torch.manual_seed(5)
    first, second = data[7], data[7]
    assert not equal(first, second)
    torch.manual_seed(5)
    assert equal(first, data[7])


def test_unmatched_pictures_are_an_error_that_says_how_many(targets: Targets) -> None:
    names = [targets["image_ids"][4].decode(), "n09999999_1", "n09999999_2"]
    with pytest.raises(UnmatchedPictures) as told:
        ByproductDataset(blank(names), targets, ids=names)
    error = told.value
    known = tuple(name.decode() for name in targets["image_ids"][:3])
    assert (error.folder, error.lost, error.total) == (targets.folder, 2, 3)
    assert (error.examples, error.known) == (("n09999999_1", "n09999999_2"), known)
    assert str(error) == (
        f"2 of 3 pictures have no targets in {targets.folder}, as n09999999_1, n09999999_2; it has "
        f"those of {', '.join(known)} and so on. Leave such pictures out, "
        'unmatched="drop", or train on them without targets, unmatched="keep"; if it should have '
        "them, export it again"
    )


def test_unmatched_pictures_can_be_dropped_or_kept_but_not_all_of_them(targets: Targets) -> None:
    names = ["n09999999_1", targets["image_ids"][4].decode()]
    given: dict[str, Any] = {"images": blank(names), "targets": targets, "ids": names, "see": SEE}
    dropped = ByproductDataset(**given, unmatched="drop")
    assert dropped.rows.tolist() == [4]
    assert dropped[0][1]["class_index"] == targets["class_index"][4]
    kept = ByproductDataset(**given, unmatched="keep")
    _, target = kept[0]
    assert np.isnan(target["click_xy"]).all() and np.isnan(target["weight"])
    assert target["class_index"] == -1
    assert not (target["click_valid"] or target["box_valid"] or target["heatmap_valid"])
    assert kept[1][1]["class_index"] == targets["class_index"][4]
    for unmatched in ("drop", "keep"):
        with pytest.raises(UnmatchedPictures):
            ByproductDataset(blank(names)[:1], targets, ids=names[:1], unmatched=unmatched)
    strange = ["n09999999_1", "n09999999_2"]
    with pytest.raises(UnmatchedPictures) as told:
        ByproductDataset(blank(strange), targets, ids=strange, unmatched="drop")
    advice = "so on. Are they another set's? Name the pictures that were exported"
    assert str(told.value).endswith(advice)


def test_parts_classes_and_own_classes(targets: Targets) -> None:
    pictures, wanted = PICTURES["imagenet-ab"], np.unique(targets["class_index"])[[2, 0]]
    parts = [
        ByproductDataset(pictures, targets, part=part, classes=wanted, see=SEE)
        for part in ("train", "val")
    ]
    for part, name in zip(parts, ("train", "val"), strict=True):
        assert sorted(part.rows) == targets.part(name).tolist()
    _, target = collate(parts[1].__getitems__(range(len(parts[1]))))
    index = targets["class_index"][parts[1].rows]
    assert np.array_equal(
        target["class_index"], np.select([index == one for one in wanted], [0, 1], -1)
    )
    assert "own_class" not in target
    names = [name.decode() for name in targets["image_ids"][:2]]
    labelled = list(zip(blank(names), (4, 9), strict=True))
    own = ByproductDataset(labelled, targets, ids=names, see=SEE)
    assert [own[i][1]["own_class"] for i in (0, 1)] == [4, 9]


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # webdataset leaves its file to Python
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_webdatasets_samples_get_their_targets(
    samples: Path, targets: Targets, tmp_path: Path, left: Any
) -> None:
    images = PICTURES["imagenet-ab"]
    where = "class_id = 'n02086910'"
    abpipe.export(
        tmp_path / "shards",
        form="webdataset",
        store=samples,
        dataset="imagenet-ab",
        images=images,
        where=where,
    )
    shards = str(tmp_path / "shards/train-00000.tar")

    def stream(given: Targets, **options: Any) -> list[Any]:
        join = WithByproducts(given, see=left, **options)
        return list(wds.WebDataset(shards, shardshuffle=False).decode("pil").map(join))

    data = ByproductDataset(images, targets, see=left)
    rows = targets.rows([file.name for file in sorted((images / "n02086910").iterdir())])
    found = stream(targets)
    assert len(found) == len(rows) > 10
    for sample, row in zip(found, rows, strict=True):
        assert equal(sample, data[data.rows.tolist().index(row)])

    few = tmp_path / "few"
    abpipe.export(few, store=samples, dataset="imagenet-ab", where=f"{where} AND estimate_ms > 700")
    part = abpipe.open_targets(few)
    assert len(stream(part, unmatched="drop")) == len(part) < len(found)
    assert len(stream(part, unmatched="keep")) == len(found)
    key = next(name.decode() for name in targets["image_ids"] if name not in part["image_ids"])
    with pytest.raises(UnmatchedPictures):
        WithByproducts(part)({"__key__": key, "jpg": Image.new("RGB", (9, 9))})
    with pytest.raises(NamelessPictures):
        WithByproducts(targets)({"__key__": "n02086910_104", "txt": ""})
