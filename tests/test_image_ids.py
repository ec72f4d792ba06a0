from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abpipe.image_ids import EXTENSIONS, image_id, image_ids

FORMS = {
    "n01440764_105": "n01440764_105",
    "n01440764_105.JPEG": "n01440764_105",
    "n01440764_105.xml": "n01440764_105",
    "n01440764_10026_n01440764.JPEG": "n01440764_10026",
    "train/n01440764/n01440764_105.JPEG": "n01440764_105",
    "C:\\train\\n01440764_105.jpg": "n01440764_105",
    "train/n01440764/n01440764_10026_n01440764": "n01440764_10026",
    "ILSVRC2012_val_00000001.JPEG": "ILSVRC2012_val_00000001",
    "COCO_train2014_000000000009.jpg": "9",
    "val2014/COCO_val2014_000000581929.jpg": "581929",
    "COCO_test2015_000000000000": "0",
    "train2017/000000000009.jpg": "9",
    "000000581929": "581929",
    "9": "9",
    "my.photo.png": "my.photo",
    "my.photo": "my.photo",
    # names of the user's own: too like a form to be changed by chance
    "007.jpg": "007",
    "202411251200.jpg": "202411251200",
    "n0144_105_n0144.jpg": "n0144_105_n0144",
    "COCO_train2014_9.jpg": "COCO_train2014_9",
    "a\nb.jpg": "a\nb",
    "": "",
}


@pytest.mark.parametrize(("name", "expected"), FORMS.items())
def test_names_in_the_forms_people_have(name: str, expected: str) -> None:
    assert image_id(name) == expected


def test_many_names_at_once_keep_their_order_and_their_gaps() -> None:
    names = pa.chunked_array([[*FORMS, None], ["n01440764_105.JPEG"]])
    assert image_ids(names).to_pylist() == [*FORMS.values(), None, "n01440764_105"]


@given(
    st.sampled_from(["n01440764_105", "9", "296169", "my photo", "007"]),
    st.lists(st.text(st.characters(codec="utf-8"), max_size=4), max_size=3),
    st.sampled_from([extension.upper() for extension in EXTENSIONS] + list(EXTENSIONS)),
)
def test_neither_folders_nor_extensions_matter(
    name: str, folders: list[str], extension: str
) -> None:
    assert image_id("/".join([*folders, f"{name}.{extension}"])) == name


@given(st.integers(0, 10**12 - 1))
def test_a_number_of_coco_comes_back_from_its_file_name(number: int) -> None:
    assert image_id(f"COCO_train2014_{number:012d}.jpg") == str(number)
    assert image_id(f"{number:012d}") == str(number)
