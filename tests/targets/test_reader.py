from __future__ import annotations

import pickle  # noqa: TID251 - workers of a DataLoader get one
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import abpipe
from abpipe.errors import BrokenTargets, NoTargets, UnknownNames, WrongTargets
from abpipe.targets.reader import Targets

Export = Callable[..., Targets]


@pytest.fixture
def mine(export: Export, tmp_path: Path) -> Path:
    """An export of the ImageNet sample, to damage."""
    return Path(shutil.copytree(export().folder, tmp_path / "mine"))


def test_a_sample_and_a_batch_are_rows_of_the_arrays(export: Export) -> None:
    targets = export()
    assert len(targets) == 120
    sample, batch = targets[5], targets.__getitems__([5, 0, -1])
    per_picture = {"click_xy", "click_valid", "class_index", "box_xyxy", "size_wh", "weight"}
    assert {*sample} == {*batch} == per_picture
    for name in per_picture:
        assert np.array_equal(sample[name], targets[name][5], equal_nan=True)
        assert np.array_equal(batch[name], targets[name][[5, 0, -1]], equal_nan=True)
        assert np.array_equal(targets[[5, 0, -1]][name], batch[name], equal_nan=True)
    with pytest.raises(IndexError):
        targets[120]
    with pytest.raises(IndexError):
        targets.__getitems__([120])


def test_nothing_is_valid_in_a_row_that_is_none(export: Export) -> None:
    targets = export()
    taken = targets.take(np.array([5, -1]))
    for name, array in taken.items():
        assert np.array_equal(array[0], targets[name][5], equal_nan=True)
    assert np.isnan(taken["click_xy"][1]).all() and np.isnan(taken["weight"][1])
    assert (taken["class_index"][1], taken["click_valid"][1]) == (-1, False)
    assert not np.isnan(targets["weight"][-1])  # the arrays are as they were


def test_a_batch_holds_what_is_asked_for_and_is_a_copy(export: Export) -> None:
    targets = abpipe.open_targets(export().folder, ["click_xy", "image_ids"])
    batch = targets.__getitems__(np.array([3, 4]))
    assert list(batch) == ["click_xy", "image_ids"]
    batch["click_xy"][:] = 0
    with pytest.raises(ValueError, match="read-only"):
        targets["click_xy"][0] = 0


def test_ragged_rows(export: Export) -> None:
    targets = export()
    offsets, last = targets["trace_offsets"], len(targets) - 1
    expected = targets["trace_xyt"][offsets[last] : offsets[last + 1]]
    assert np.array_equal(targets.ragged("trace_xyt", -1), expected)
    assert np.array_equal(targets.ragged("trace_xyt", last), expected)
    with pytest.raises(IndexError):
        targets.ragged("trace_xyt", 120)


def test_a_pickle_is_the_path(export: Export) -> None:
    targets = abpipe.open_targets(export().folder, ["click_xy"])
    frozen = pickle.dumps(targets)
    assert len(frozen) < 1000
    thawed = pickle.loads(frozen)
    assert list(thawed[0]) == ["click_xy"]
    assert np.array_equal(thawed["click_xy"], targets["click_xy"], equal_nan=True)


def test_names_are_found_in_their_usual_forms(export: Export) -> None:
    targets = export()
    name = targets["image_ids"][7].decode()
    wnid = name.partition("_")[0]
    forms = [
        *(name, name.encode(), f"{name}.JPEG", f"{wnid}/{name}.JPEG", f"train\\{name}.jpg"),
        *(f"{name}_{wnid}.JPEG", f"/data/train/{wnid}/{name}.xml"),
    ]
    assert targets.rows(forms).tolist() == [7] * len(forms)
    assert targets.rows([]).tolist() == []
    coco = export(dataset="coco-ab")
    number = int(coco["image_ids"][3])
    forms = [
        number,
        str(number),
        f"COCO_train2014_{number:012d}.jpg",
        f"train2017/{number:012d}.jpg",
    ]
    assert coco.rows(forms).tolist() == [3] * 4


def test_unknown_names_are_counted_and_shown(export: Export) -> None:
    targets = export()
    known = targets["image_ids"][0].decode()
    with pytest.raises(UnknownNames) as error:
        targets.rows(["a.jpg", known, "b.jpg", "c", "d"])
    assert str(error.value) == (
        "4 of 5 names are not among the targets, as a.jpg, b.jpg, c. Export all pictures, "
        "or ask for -1 there: `rows(names, missing=-1)`"
    )
    assert targets.rows(["a.jpg", known], missing=-1).tolist() == [-1, 0]


def test_every_name_has_its_row_and_no_other(export: Export) -> None:
    targets = export()
    names = [name.decode() for name in targets["image_ids"].tolist()]
    assert targets.rows(names).tolist() == [*range(len(names))]
    others = (
        [f"{name}1" for name in names] + [name[:-1] for name in names] + ["", "é" * 9, "x" * 99]
    )
    expected = [names.index(name) if name in names else -1 for name in others]
    assert targets.rows(others, missing=-1).tolist() == expected


def test_a_folder_without_targets(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(NoTargets) as error:
            abpipe.open_targets(folder)
        assert str(error.value) == (
            f"{folder}: there is no targets.json. Make targets: `abpipe export {folder}`"
        )


def test_targets_of_another_version(mine: Path) -> None:
    about = (mine / "targets.json").read_text()
    (mine / "targets.json").write_text(about.replace('"format": 1', '"format": 2'))
    with pytest.raises(WrongTargets) as error:
        abpipe.open_targets(mine)
    assert str(error.value) == (
        f"{mine}: the targets have format 2, this abpipe reads 1. Export them again, "
        "or use the abpipe that wrote them (`written_by` in targets.json)"
    )


def test_damaged_files_are_named(mine: Path) -> None:
    def broken() -> str:
        with pytest.raises(BrokenTargets) as error:
            abpipe.open_targets(mine)
        return str(error.value)

    path = mine / "weight.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert broken() == (
        f"{mine}: weight.npy should have {len(whole)} bytes. "
        "Copy the folder anew, or export it again"
    )
    path.write_bytes(whole.replace(b"<f4", b"<i4"))
    assert "weight.npy holds <i4 [120], not what targets.json says" in broken()
    path.write_bytes(b"X" * len(whole))
    assert "weight.npy is no array: " in broken()
    path.unlink()
    assert "weight.npy is missing" in broken()
    for text in ("{", "[]", "{}", '{"format": 1, "form": "memmap"}'):
        (mine / "targets.json").write_text(text)
        assert "targets.json cannot be read" in broken()


def test_checksums_tell_what_sizes_do_not(mine: Path) -> None:
    targets = abpipe.open_targets(mine)
    targets.verify()
    path = mine / "click_xy.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(BrokenTargets) as error:
        targets.verify()
    assert (error.value.file, error.value.why) == ("click_xy.npy", "has changed since its export")


def test_numpy_is_all_it_needs(export: Export) -> None:
    code = f"""
import sys
for name in ("pyarrow", "duckdb", "polars", "shapely", "orjson", "typer", "rich", "torch"):
    sys.modules[name] = None
import abpipe
targets = abpipe.open_targets({str(export().folder)!r})
from abpipe.targets import geometry, published
name = targets["image_ids"][7].decode()
assert targets.rows([name + ".JPEG"])[0] == 7
assert len(targets[[1, 2, 3]]["click_xy"]) == 3
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_an_array_without_values_opens(tmp_path: Path, ingest: Any, pack: Any, xml: Any) -> None:
    store = tmp_path / "store"
    ingest(pack("a.tar", [("1.xml", xml(workers=[]))]))
    abpipe.export(tmp_path / "out", store=store)
    targets = abpipe.open_targets(tmp_path / "out")
    assert targets["trace_xyt"].shape == (0, 3)
    assert targets["trace_offsets"].tolist() == [0, 0]
    targets.verify()


def test_targets_that_name_a_file_elsewhere_or_say_too_little_are_refused(mine: Path) -> None:
    about = mine / "targets.json"
    text = about.read_bytes()
    for old, new, why in (
        (b'"weight.npy"', b'"../mine/weight.npy"', "misses what it should say of its arrays"),
        (b'"sha256"', b'"sha512"', "cannot be read"),
    ):
        about.write_bytes(text.replace(old, new))
        with pytest.raises(BrokenTargets) as error:
            abpipe.open_targets(mine)
        assert str(error.value).startswith(f"{mine}: targets.json {why}. ")


def test_a_header_that_numpy_stumbles_over_is_no_array(mine: Path) -> None:
    file = mine / "class_index.npy"
    file.write_bytes(file.read_bytes().replace(b"{'descr':", b"{'descr'\xbb"))
    with pytest.raises(BrokenTargets, match=r"class_index\.npy is no array: "):
        abpipe.open_targets(mine)


def test_a_nan_in_targets_json_is_no_endless_loop(mine: Path) -> None:
    about = mine / "targets.json"
    about.write_bytes(about.read_bytes().replace(b'"rows": 120', b'"rows": NaN'))
    assert len(abpipe.open_targets(mine)) == 120
