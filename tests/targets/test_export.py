from __future__ import annotations

import errno
import importlib
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

import abpipe
from abpipe.cli import Form
from abpipe.errors import (
    BadGrid,
    BadQuery,
    BadSplit,
    CannotExport,
    HoldsNoPictures,
    InTheWay,
    NeedsDataset,
    NeedsExtra,
    NeedsInstances,
    NoPictures,
    NotFound,
    NothingChosen,
    PartInTheWay,
    UnknownForm,
    UnreadablePicture,
)
from abpipe.targets import npy
from abpipe.targets.export import FORMS, LIBRARIES, WITH_PICTURES
from abpipe.targets.reader import Targets
from abpipe.targets.split import parse, parts

Export = Callable[..., Targets]
Ingest = Callable[..., Any]
Run = Callable[..., tuple[int, str, str]]

DATA = Path(__file__).parents[2] / "data"


def test_it_says_what_it_has_written(samples: Path, tmp_path: Path) -> None:
    done = abpipe.export(tmp_path / "out", store=samples, dataset="coco-ab")
    size = sum(path.stat().st_size for path in (tmp_path / "out").iterdir())
    assert (done.folder, done.form) == (str(tmp_path / "out"), "memmap")
    assert (done.dataset, done.rows, done.bytes) == ("coco-ab", 60, size)
    assert done.arrays["click_xy"] == (60, 80, 2)


def test_targets_json_tells_where_they_come_from(export: Export) -> None:
    where = "stored_width > 10"
    about = export(dataset="coco-ab", where=where, split={"train": 1.0}).about
    assert (about["format"], about["form"], about["rows"]) == (1, "memmap", 60)
    assert about["options"] == {
        "form": "memmap",
        "dataset": "coco-ab",
        "reading": "final",
        "where": where,
        "split": {"train": 1.0},
        "heatmap": None,
        "anonymous": False,
        "images": False,
    }
    assert about["dataset"]["licence"].startswith("Apache-2.0")
    assert "ICCV 2023" in about["dataset"]["citation"]
    assert [one["name"] for one in about["sources"]] == ["coco_ab.json", "instances_train2014.json"]
    assert all(len(one["sha256"]) == 64 for one in about["sources"])
    assert (len(about["classes"]), about["classes"][0]["name"]) == (80, "person")
    assert where in about["sql"]["chosen"]
    assert about["arrays"]["trace_xyt"]["offsets"] == "trace_offsets"
    for entry in about["arrays"].values():
        assert entry["doc"]
        assert len(entry["sha256"]) == 64


def test_what_the_export_needs_is_derived_first(
    ingest: Ingest, store: Path, tmp_path: Path
) -> None:
    ingest(DATA / "imagenet/imagenet_ab.tar.gz")
    abpipe.export(tmp_path / "out", store=store, reading="published")
    again = abpipe.derive("image_targets", "clicks_published", store=store)
    assert not any(table.is_new for table in again)


def test_only_what_is_an_export_is_replaced(samples: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()  # an empty folder is free
    for dataset, rows in (("imagenet-ab", 120), ("coco-ab", 60)):
        abpipe.export(out, store=samples, dataset=dataset)
        assert len(abpipe.open_targets(out)) == rows
    (out / "mine.pt").write_text("weights")
    with pytest.raises(InTheWay) as extra:
        abpipe.export(out, store=samples, dataset="imagenet-ab")
    assert extra.value.path == out / "mine.pt"
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("")
    for path in (other, other / "thesis.tex"):
        with pytest.raises(InTheWay):
            abpipe.export(path, store=samples, dataset="imagenet-ab")
    assert [path.name for path in other.iterdir()] == ["thesis.tex"]


def test_an_error_leaves_an_earlier_export_and_nothing_else(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    abpipe.export(out, store=samples, dataset="coco-ab")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(npy.NpyWriter, "append", full)
    with pytest.raises(CannotExport) as error:
        abpipe.export(out, store=samples, dataset="imagenet-ab")
    assert str(error.value) == (
        f"{out} cannot be written: No space left on device. What was there before is as it was. "
        "Free space or allow writing, or choose another folder"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    abpipe.open_targets(out).verify()


def test_a_store_of_several_datasets_wants_a_name(samples: Path, tmp_path: Path) -> None:
    with pytest.raises(NeedsDataset) as several:
        abpipe.export(tmp_path / "out", store=samples)
    assert str(several.value) == (
        "the store holds coco-ab, imagenet-ab. Name one: `--dataset NAME`"
    )
    with pytest.raises(NotFound) as unknown:
        abpipe.export(tmp_path / "out", store=samples, dataset="mine")
    assert (unknown.value.what, unknown.value.name) == ("dataset", "mine")


def test_what_cannot_be_asked_for(samples: Path, tmp_path: Path) -> None:
    def failing(error: type[Exception], **options: Any) -> str:
        given: dict[str, Any] = {"store": samples, "dataset": "imagenet-ab"} | options
        with pytest.raises(error) as found:
            abpipe.export(tmp_path / "out", **given)
        assert not list(tmp_path.iterdir())
        return str(found.value)

    assert failing(BadGrid, heatmap=5000) == (
        "a dwell map has 1 to 512 rows and columns, and not 5,000: pictures have hardly more "
        "pixels. 14 or 32 will do for training: `--heatmap 32`"
    )
    assert failing(UnknownForm, form="mat") == (
        "'mat' is no form of export. Choose one of: memmap, csv, jsonl, parquet, webdataset, "
        "hf, coco, tfrecord"
    )
    assert failing(NothingChosen, where="page > 1000") == (
        "imagenet-ab: no picture meets the condition page > 1000. Nothing was written"
    )
    assert "nothing_of_the_kind" in failing(BadQuery, where="nothing_of_the_kind > 0")
    assert "Could not convert" in failing(BadQuery, where="image_id::INT > 0")
    assert failing(BadSplit, split={"train": 0.5}) == (
        "'train=0.5' is no split: expected names with shares that add up to 1, "
        "as in train=0.9,val=0.1"
    )


def test_a_library_that_is_not_there_is_told_of(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for form, library in LIBRARIES.items():
        monkeypatch.setitem(sys.modules, library, None)  # as if it were not installed
        with pytest.raises(NeedsExtra) as error:
            abpipe.export(tmp_path / "out", form=form, store=samples, dataset="coco-ab")
        assert str(error.value) == (
            f"{form} needs the library {library}, which is not installed. "
            f"Install it: `pip install 'abpipe[{form}]'`"
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("library", ["albumentations", "torchvision"])
def test_a_module_whose_library_is_not_there_tells_of_it(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"abpipe.targets.{library}"
    monkeypatch.setitem(sys.modules, library, None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(NeedsExtra) as error:
        importlib.import_module(module)
    assert str(error.value) == (
        f"{module} needs the library {library}, which is not installed. "
        f"Install it: `pip install 'abpipe[{library}]'`"
    )


def test_every_library_has_an_extra() -> None:
    project = tomllib.loads((DATA.parent / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    for form, library in LIBRARIES.items():
        assert any(line.startswith(library) for line in extras[form])
        assert set(extras[form]) <= set(extras["all"]) & set(extras["test-light"])


def test_pictures_that_cannot_be_put_in(samples: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    given: dict[str, Any] = {"store": samples, "dataset": "coco-ab"}
    with pytest.raises(HoldsNoPictures) as form:
        abpipe.export(out, images=DATA / "coco/images", **given)
    assert str(form.value) == (
        "memmap holds no pictures. Leave out `--images`, or choose one of: "
        f"{', '.join(WITH_PICTURES)}"
    )
    with pytest.raises(NoPictures) as folder:
        abpipe.export(out, form="webdataset", images=DATA / "imagenet/images", **given)
    assert str(folder.value) == (
        f"{DATA / 'imagenet/images'} holds none of the 60 pictures. Files are found by their "
        "names, as in n01440764_105.JPEG: check the folder"
    )
    assert not list(tmp_path.iterdir())


def test_a_picture_that_cannot_be_read_is_named(samples: Path, tmp_path: Path) -> None:
    picture = tmp_path / "images" / "5054.jpg"
    picture.parent.mkdir()
    picture.symlink_to("5054.jpg")  # to itself
    given: dict[str, Any] = {"store": samples, "dataset": "coco-ab", "form": "webdataset"}
    with pytest.raises(UnreadablePicture) as caught:
        abpipe.export(tmp_path / "out", images=picture.parent, **given)
    assert (caught.value.picture, caught.value.why) == (
        picture,
        "Too many levels of symbolic links",
    )
    assert str(caught.value) == (
        f"{picture} cannot be read: Too many levels of symbolic links. What was exported before is "
        "as it was. Mend the file or remove it: a picture may be missing"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_a_part_of_a_split_may_not_be_called_all_for_hugging_face(
    samples: Path, tmp_path: Path
) -> None:
    given: dict[str, Any] = {"store": samples, "dataset": "coco-ab", "split": {"all": 1.0}}
    with pytest.raises(PartInTheWay) as caught:
        abpipe.export(tmp_path / "out", form="hf", **given)
    assert (caught.value.form, caught.value.part) == ("hf", "all")
    assert str(caught.value) == (
        "hf takes the part 'all' of a split for all parts. Give it another name"
    )
    abpipe.export(tmp_path / "out", form="csv", **given)


def test_the_published_coco_targets_need_coco_s_own_annotations(
    ingest: Ingest, store: Path, tmp_path: Path
) -> None:
    ingest(DATA / "coco/coco_ab.json")
    with pytest.raises(NeedsInstances) as error:
        abpipe.export(tmp_path / "out", store=store, reading="published")
    assert str(error.value) == (
        "the published loader looks at the classes in each picture's own COCO annotations, "
        "which 60 of 60 pictures of coco-ab lack. Ingest them first: "
        "`abpipe ingest instances_train2014.json --dataset coco-ab`, or leave pictures out: "
        '--where "image_id IN (SELECT image_id FROM images WHERE width > 0)"'
    )


def test_the_command_offers_all_forms() -> None:
    assert [form.value for form in Form] == [*FORMS]


def test_a_split_is_a_partition_that_ids_alone_decide(export: Export) -> None:
    targets = export(split={"train": 0.6, "val": 0.2, "test": 0.2})
    found = [targets.part(name) for name in ("train", "val", "test")]
    assert sorted(np.concatenate(found)) == [*range(len(targets))]
    assert all(len(part) > 10 for part in found)
    few = export(where="class_id = 'n02086910'", split={"train": 0.6, "val": 0.2, "test": 0.2})
    names = few["image_ids"].tolist()
    assert few["split"].tolist() == targets["split"][targets.rows(names)].tolist()


def test_a_split_stays_what_it_was() -> None:
    ids = [b"n01440764_105", b"n01440764_106", b"9", b"25", b"296169"]
    assert parts(ids, {"a": 0.25, "b": 0.25, "c": 0.5}).tolist() == [1, 2, 2, 1, 1]
    many = [str(i).encode() for i in range(20000)]
    shares = np.bincount(parts(many, {"a": 0.7, "b": 0.2, "c": 0.1})) / len(many)
    assert shares.tolist() == pytest.approx([0.7, 0.2, 0.1], abs=0.01)
    ahead = parts(many, {"train": 0.8, "val": 0.2}) == 0
    assert (parts(many, {"train": 0.9, "val": 0.1})[ahead] == 0).all()  # it grows, and moves none


@pytest.mark.parametrize(
    "told",
    ["", "train", "train=0.9", "train=x", "a=0.5,a=0.5", "a/b=1", "a=1.5,b=-0.5", "=1", "a=1,b=0"],
)
def test_what_is_no_split(told: str) -> None:
    with pytest.raises(BadSplit):
        parse(told)


def test_a_split_on_the_command_line() -> None:
    assert parse("train=0.9, val=0.1") == {"train": 0.9, "val": 0.1}


def test_the_command(run: Run, ingest: Ingest, tmp_path: Path) -> None:
    ingest(DATA / "coco/coco_ab.json")
    code, out, err = run("export", tmp_path / "out", "--split", "train=0.9,val=0.1")
    assert code == 0
    assert "click_xy" in out
    assert "60 x 80 x 2" in out
    assert err.splitlines()[-1].startswith(f"{tmp_path / 'out'}: 60 pictures of coco-ab, ")
    code, out, err = run("export", tmp_path / "out", "--json", "--where", "stored_width > 0")
    assert (code, err) == (0, "")
    assert orjson.loads(out)["arrays"]["label"] == [60, 80]
    code, out, err = run("export", tmp_path / "out", "--split", "train=2")
    assert (code, out) == (1, "")
    assert err.startswith("error: 'train=2' is no split")
