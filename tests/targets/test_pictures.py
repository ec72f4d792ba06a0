from __future__ import annotations

from pathlib import Path

import pytest

from abpipe.targets.pictures import find, paths
from abpipe.targets.selection import Options, selected


@pytest.mark.parametrize(
    "name",
    [
        "n01817953_105.JPEG",
        "n01817953/n01817953_105.jpg",
        "a/b/n01817953_105_n01817953.png",
    ],
)
def test_pictures_are_found_by_their_names(name: str, samples: Path, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    (tmp_path / "n01817953_114.xml").touch()  # no picture
    (tmp_path / "holiday.jpg").touch()
    options = Options("hf", "imagenet-ab", images=tmp_path)
    with selected(samples, options, tmp_path / "spill") as selection:
        assert find(selection, tmp_path) == 119
        assert paths(selection, 0, 120) == {0: tmp_path / name}
        assert paths(selection, 1, 120) == {}


def test_of_several_files_the_first_by_name_counts(samples: Path, tmp_path: Path) -> None:
    for name in ("z/9.jpg", "b/COCO_train2014_000000005054.jpg", "a/5054.png", "c/5054.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    options = Options("hf", "coco-ab", images=tmp_path)
    with selected(samples, options, tmp_path / "spill") as selection:
        assert find(selection, tmp_path) == 59
        assert [*paths(selection, 0, 60).values()] == [tmp_path / "a/5054.png"]


def test_linked_folders_are_looked_into_and_circles_end(samples: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/5054.jpg").touch()
    images = tmp_path / "images"
    images.mkdir()
    (images / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/round").symlink_to(images)
    options = Options("hf", "coco-ab", images=images)
    with selected(samples, options, tmp_path / "spill") as selection:
        assert find(selection, images) == 59
