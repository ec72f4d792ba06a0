from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from abpipe.errors import EmptyFolder, NamelessPictures, TransformedPictures
from abpipe.targets.images import images_of

RED = (254, 0, 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures, one of them stored turned, as EXIF says; and a file that is none."""
    (tmp_path / "n2").mkdir()
    tags = Image.Exif()
    tags[0x0112] = 6
    Image.new("RGB", (4, 2), RED).save(tmp_path / "n2/n02086910_2.JPEG", exif=tags)
    Image.new("L", (3, 3)).save(tmp_path / "n01440764_1.png")
    (tmp_path / "notes.txt").write_text("none")
    return tmp_path


class Listed:
    """A dataset as torchvision's are: pictures with classes."""

    transform = transforms = target_transform = None

    def __init__(self, names: list[Any], **attributes: Any) -> None:
        self._names = names
        self.__dict__ |= attributes

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, i: int) -> Any:
        return Image.new("RGB", (i + 1, 1)), self.label(i)

    def label(self, i: int) -> Any:
        return 7


def image_folder(paths: list[str]) -> Listed:
    """What a torchvision.datasets.ImageFolder shows of itself."""
    return Listed(paths, samples=[(path, 7) for path in paths])


class Subset(Listed):
    """What a torch.utils.data.Subset shows of itself."""

    def __init__(self, dataset: Any, indices: list[int]) -> None:
        super().__init__(indices, dataset=dataset, indices=indices)

    def __getitem__(self, i: int) -> Any:
        return self.__dict__["dataset"][self._names[i]]


class Coco(Listed):
    """What a torchvision.datasets.CocoDetection shows of itself."""

    def __init__(self, ids: list[int]) -> None:
        super().__init__(ids, ids=ids, coco=SimpleNamespace())

    def label(self, i: int) -> Any:
        return [{"category_id": 1}]


def test_a_folder_is_read_in_order_as_its_files_are_stored(folder: Path) -> None:
    names, read = images_of(folder)
    assert list(names) == ["n01440764_1.png", "n2/n02086910_2.JPEG"]
    (turned, own), (grey, _) = read(1), read(0)
    assert (turned.size, turned.mode, own) == ((4, 2), "RGB", None)  # not turned
    assert (grey.size, grey.mode) == ((3, 3), "L")


def test_an_image_folder_is_known_by_its_paths() -> None:
    names, read = images_of(image_folder(["a/n1_1.JPEG", "b/n1_2.JPEG"]))
    assert list(names) == ["a/n1_1.JPEG", "b/n1_2.JPEG"]
    picture, own = read(1)
    assert (picture.size, own) == ((2, 1), 7)


def test_a_coco_detection_is_known_by_its_ids() -> None:
    names, read = images_of(Coco([9, 25]))
    assert list(names) == [9, 25]
    assert read(0)[1] is None


def test_a_subset_is_known_by_what_it_is_of() -> None:
    whole = image_folder(["n1_1.JPEG", "n1_2.JPEG", "n1_3.JPEG"])
    names, read = images_of(Subset(Subset(whole, [2, 0]), [0]))
    assert list(names) == ["n1_3.JPEG"]
    assert read(0)[0].size == (3, 1)


def test_names_can_be_told() -> None:
    names, read = images_of([Image.new("RGB", (5, 5))], ids=["n01440764_105"])
    assert list(names) == ["n01440764_105"]
    assert read(0)[0].size == (5, 5)


@pytest.mark.parametrize("column, told", [("file_name", None), ("key", "key")])
def test_a_hugging_face_dataset_is_known_by_a_column(
    folder: Path, column: str, told: str | None
) -> None:
    file = folder / "n2/n02086910_2.JPEG"
    rows = {column: ["n02086910_2"], "image": [str(file)], "label": [3]}
    table = datasets.Dataset.from_dict(rows).cast_column("image", datasets.Image())
    names, read = images_of(table.with_format("numpy"), ids=told)
    assert list(names) == ["n02086910_2"]
    picture, own = read(0)
    assert (picture.size, own) == ((4, 2), 3)  # not turned, as the library would
    assert np.asarray(picture)[0, 0, 0] > 250


def test_pictures_within_a_hugging_face_dataset_are_read(folder: Path) -> None:
    content = (folder / "n01440764_1.png").read_bytes()
    rows = {"image_id": ["n01440764_1"], "image": [{"bytes": content, "path": None}]}
    features = datasets.Features({"image_id": datasets.Value("string"), "image": datasets.Image()})
    _, read = images_of(datasets.Dataset.from_dict(rows, features=features))
    assert read(0)[0].size == (3, 3)


def test_datasets_that_name_no_pictures_are_refused() -> None:
    with pytest.raises(NamelessPictures) as nameless:
        images_of([Image.new("RGB", (5, 5))])
    assert str(nameless.value) == (
        "list: nothing tells what its pictures are called. Give their names, a list in the same "
        'order: `ids=[...]`; of a Hugging Face dataset the column, `ids="file_name"`; or map a '
        "stream of WebDataset's over `WithByproducts`"
    )
    assert nameless.value.kind == "list"
    others: tuple[Any, ...] = (
        datasets.Dataset.from_dict({"image_id": ["a"]}),
        iter([]),
        Subset([1], [0]),
    )
    for unnamed in others:
        with pytest.raises(NamelessPictures):
            images_of(unnamed)


@pytest.mark.parametrize("name", ["transform", "transforms"])
def test_datasets_that_transform_by_themselves_are_refused(name: str) -> None:
    images = image_folder(["n1_1.JPEG"])
    setattr(images, name, print)
    with pytest.raises(TransformedPictures) as told:
        images_of(images)
    assert told.value.kind == "Listed"
    assert str(told.value) == (
        "Listed transforms its pictures, and targets could not follow. Make it without "
        "transforms, and give what cuts to `see=`, what follows to `transform=`"
    )
    table = datasets.Dataset.from_dict({"image_id": ["a"]})
    table.set_transform(print)
    with pytest.raises(TransformedPictures):
        images_of(table)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmptyFolder) as told:
        images_of(tmp_path)
    assert told.value.folder == tmp_path
    assert str(told.value) == (
        f"{tmp_path} holds no pictures, nor do the folders in it. Files are known by their "
        "extensions, as in n01440764_105.JPEG: check the folder"
    )
