from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from abpipe.errors import BadPicture, MissingSource, NoPicture, NoPictures, OtherShape
from abpipe.view.pictures import find, read

RED, BLUE = (200, 0, 0), (0, 0, 200)


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    """A picture, red on the left and blue on the right, which EXIF says to turn."""
    made = Image.new("RGB", (80, 40), RED)
    made.paste(BLUE, (40, 0, 80, 40))
    exif = Image.Exif()
    exif[0x0112] = 6
    made.save(tmp_path / "n1_1.png", exif=exif)
    return tmp_path / "n1_1.png"


@pytest.mark.parametrize(
    "name, place",
    [
        ("n01440764_105", "n01440764_105.JPEG"),
        ("n01440764_105", "n01440764/n01440764_105.JPEG"),
        ("n01440764_105", "train/part/n01440764_105_n01440764.png"),
        ("9", "COCO_train2014_000000000009.jpg"),
        ("9", "000000000009.jpg"),
        ("9", "val/x/9.webp"),
    ],
)
def test_a_file_is_found_by_its_name_wherever_it_is(name: str, place: str, tmp_path: Path) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    (path.parent / f"._{path.name}").touch()
    assert find(tmp_path, [name, "other"]) == {name: path}


def test_folders_without_the_pictures_are_told(tmp_path: Path) -> None:
    with pytest.raises(NoPicture) as one:
        find(tmp_path, ["n1_1"])
    assert str(one.value) == (
        f"{tmp_path} holds no picture of n1_1. Files are found by their names, as in "
        "n01440764_105.JPEG: check the folder, or leave out `--images` for a plain frame"
    )
    with pytest.raises(NoPictures):
        find(tmp_path, ["n1_1", "n1_2"])
    with pytest.raises(MissingSource):
        find(tmp_path / "nowhere", ["n1_1"])


def test_a_picture_is_as_it_is_stored_whatever_exif_says(halves: Path) -> None:
    found = read(halves, "d", 80, 40, 100)
    assert (found.size, found.getpixel((5, 20)), found.getpixel((75, 20))) == ((80, 40), RED, BLUE)
    assert read(halves, "d", 800, 400, 100).size == (80, 40)  # a smaller copy is fine
    assert read(halves, "d", 80, 40, 20).size == (20, 10)


def test_a_picture_of_another_shape_is_refused(halves: Path) -> None:
    with pytest.raises(OtherShape) as error:
        read(halves, "mine", 40, 80, 100)
    assert str(error.value) == (
        f"{halves} is 80 x 40 px and the store says 40 x 80: places would be wrong. "
        "Have the store look at the files: `abpipe ingest FOLDER --dataset mine`"
    )
    assert (error.value.found, error.value.expected) == ((80, 40), (40, 80))


def test_a_file_that_is_no_picture_is_told(tmp_path: Path) -> None:
    path = tmp_path / "n1_1.jpg"
    path.write_bytes(b"no picture")
    with pytest.raises(BadPicture) as error:
        read(path, "d", 80, 40, 100)
    assert str(error.value) == (
        f"{path} cannot be read as a picture: cannot identify image file '{path}'. "
        "Put a good copy there, or leave out `--images` for a plain frame"
    )
