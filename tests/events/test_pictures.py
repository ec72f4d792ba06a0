from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import abpipe
from abpipe.audit import Finding
from abpipe.errors import NothingReadable, SourceChanged, UnknownSource, WhichDataset

Ingest = Callable[..., Any]
Pack = Callable[..., Path]
Rows = Callable[..., list[tuple[Any, ...]]]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two good pictures, one of them turned, and of what else lies in such folders."""
    place = tmp_path / "train"
    save(place / "n01440764/n01440764_105.JPEG", (500, 375))
    save(place / "n01440764/n01440764_10026_n01440764.JPEG", (500, 375), turn=6)
    (place / "n01440764/._n01440764_105.JPEG").write_bytes(b"\0\5\26\7")
    (place / "Thumbs.db").write_bytes(b"\xd0\xcf")
    return place


def save(path: Path, size: tuple[int, int], turn: int = 0) -> None:
    exif = Image.Exif()
    if turn:
        exif[0x0112] = turn
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size).save(path, "JPEG", exif=exif)


def test_a_folder_of_pictures_fills_the_table_pictures(
    folder: Path, ingest: Ingest, rows: Rows, run: Run
) -> None:
    result = ingest(folder, dataset="imagenet-ab")
    assert rows("SELECT * EXCLUDE source FROM pictures ORDER BY path") == [
        ("n01440764_10026", 500, 375, 6, *place("n01440764_10026_n01440764")),
        ("n01440764_105", 500, 375, None, *place("n01440764_105")),
    ]
    ledger = result.source.ledger
    assert ledger.members == {"total": 4, "ok": 2, "junk": 2, "rejected": 0}
    assert ledger.junk == {"appledouble": 1, "not-a-picture": 1}
    assert ledger.records["rows"] == result.rows["pictures"] == 2
    assert run("check") == (0, "", "everything is as it should be\n")


def place(stem: str) -> tuple[str, str]:
    return f"n01440764/{stem}.JPEG", "imagenet-ab"


def test_a_file_that_is_no_picture_costs_one_reject(
    folder: Path, ingest: Ingest, rows: Rows
) -> None:
    whole = (folder / "n01440764/n01440764_105.JPEG").read_bytes()
    files = {"cut.jpg": whole[:100], "empty.png": b"", "page.gif": b"<html>"}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    ledger = ingest(folder, dataset="imagenet-ab").source.ledger
    assert ledger.members == {"total": 7, "ok": 2, "junk": 2, "rejected": 3}
    found = rows("SELECT member, level, code, message, raw FROM rejects ORDER BY member")
    said = "neither JPEG, PNG, GIF, WebP, BMP nor TIFF, or cut off in its header"
    assert found == [
        ("cut.jpg", "member", "no-header", said, whole[:100]),
        ("empty.png", "member", "empty", "0 bytes", b""),
        ("page.gif", "member", "no-header", said, b"<html>"),
    ]


def test_an_orientation_that_means_nothing_is_null_and_kept_as_a_reject(
    folder: Path, ingest: Ingest, rows: Rows
) -> None:
    save(folder / "odd.jpg", (40, 30), turn=9)
    ledger = ingest(folder, dataset="imagenet-ab").source.ledger
    assert ledger.members["rejected"] == ledger.records["rejected"] == 0
    assert rows("SELECT exif_orientation FROM pictures WHERE image_id = 'odd'") == [(None,)]
    assert rows("SELECT level, code, message FROM rejects") == [
        ("field", "bad-orientation", "EXIF orientation '9'; expected 1 to 8")
    ]


def test_a_picture_that_lies_there_twice_has_two_rows(
    tmp_path: Path, ingest: Ingest, rows: Rows, run: Run
) -> None:
    save(tmp_path / "both/a/9.jpg", (40, 30))
    save(tmp_path / "both/b/9.jpg", (50, 30))
    ingest(tmp_path / "both", dataset="coco-ab")
    found = rows("SELECT image_id, stored_width, path FROM pictures ORDER BY path")
    assert found == [("9", 40, "a/9.jpg"), ("9", 50, "b/9.jpg")]
    assert run("check")[0] == 0


def test_a_folder_without_a_single_picture_of_its_dataset_is_a_warning(
    tmp_path: Path, ingest: Ingest, pack: Pack, real: bytes, store: Path
) -> None:
    save(tmp_path / "others/9.jpg", (40, 30))
    ingest(tmp_path / "others", dataset="imagenet-ab")
    assert abpipe.check(store=store) == []  # its records may come later
    ingest(pack("one.xml", [("one.xml", real)]))
    (found,) = [one for one in abpipe.check(store=store) if one.where == "others"]
    what = "pictures, none of which is among the images of imagenet-ab: are they another set's?"
    assert found == Finding("warning", "others", what, 1)


def test_pictures_join_the_only_dataset_of_a_store(
    folder: Path, ingest: Ingest, pack: Pack, real: bytes
) -> None:
    ingest(pack("one.xml", [("one.xml", real)]), dataset="mine")
    assert ingest(folder).source.dataset == "mine"


def test_which_dataset_pictures_join_must_be_clear(
    folder: Path, ingest: Ingest, pack: Pack, real: bytes, store: Path
) -> None:
    with pytest.raises(WhichDataset) as caught:
        ingest(folder)
    assert str(caught.value) == (
        "train: pictures join a dataset of the store, which holds none: ingest its records first, "
        "or name a published one, imagenet-ab or coco-ab. Say which: `--dataset NAME`"
    )
    assert not store.exists()
    with pytest.raises(WhichDataset):
        ingest(folder, dataset="a-name-that-tells-no-tool")
    for name in ("first", "second"):
        ingest(pack("one.xml", [("one.xml", real)]), dataset=name)
    with pytest.raises(WhichDataset) as caught:
        ingest(folder)
    assert str(caught.value) == (
        "train: pictures join a dataset of the store, which holds first, second. "
        "Say which: `--dataset NAME`"
    )


def test_the_same_folder_changes_nothing_and_a_turned_picture_does(
    folder: Path, ingest: Ingest
) -> None:
    picture = folder / "n01440764/n01440764_10026_n01440764.JPEG"
    save(picture, (500, 375), turn=6)
    ingest(folder, dataset="imagenet-ab")
    assert not ingest(folder).is_new
    size = picture.stat().st_size
    save(picture, (500, 375), turn=8)
    assert picture.stat().st_size == size
    with pytest.raises(SourceChanged):
        ingest(folder)
    assert ingest(folder, replace=True).is_new


def test_a_limit_is_of_pictures(folder: Path, ingest: Ingest) -> None:
    assert ingest(folder, dataset="imagenet-ab", limit=1).rows["pictures"] == 1


def test_rows_do_not_depend_on_the_number_of_processes(
    tmp_path: Path, ingest: Ingest, rows: Rows
) -> None:
    one = tmp_path / "many/0.jpg"
    save(one, (40, 30))
    for i in range(1, 2500):
        os.link(one, one.with_name(f"{i}.jpg"))
    found = []
    for jobs in (1, 2):
        store = tmp_path / f"store{jobs}"
        ingest(one.parent, dataset="coco-ab", jobs=jobs, store=store)
        found.append(rows("SELECT image_id, path FROM pictures", store))
    assert found[0] == found[1]
    assert len(found[0]) == 2500


def test_a_folder_without_pictures_is_refused(tmp_path: Path, ingest: Ingest) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").write_text("a")
    with pytest.raises(UnknownSource) as caught:
        ingest(tmp_path / "notes")
    assert caught.value.found == "the folder holds neither XML files nor page records nor pictures"


def test_a_folder_of_broken_pictures_only_is_an_error(tmp_path: Path, ingest: Ingest) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/a.jpg").write_bytes(b"")
    with pytest.raises(NothingReadable) as caught:
        ingest(tmp_path / "broken", dataset="coco-ab")
    assert (caught.value.rejected, caught.value.example) == (1, "a.jpg, byte 0: 0 bytes")
