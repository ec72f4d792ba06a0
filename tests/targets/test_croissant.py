from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import mlcroissant
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import abpipe
from abpipe.targets.croissant import FORMS, _field

DATA = Path(__file__).parents[2] / "data"


def plain(value: Any) -> Any:
    """A value without bytes and NaN, which is not equal to itself."""
    if isinstance(value, list | np.ndarray):
        return [plain(one) for one in value]
    if isinstance(value, bytes):
        return value.decode()
    if hasattr(value, "size"):  # a picture
        return value.size if hasattr(value, "getpixel") else plain(value.item())
    return None if value != value else value


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # in libraries of its own
@pytest.mark.parametrize("form", FORMS)
def test_its_own_library_finds_nothing_wrong(form: str, samples: Path, tmp_path: Path) -> None:
    split, out = {"train": 0.5, "val": 0.5}, tmp_path / "out"
    images = None if form == "parquet" else DATA / "coco/images"
    for _ in range(2):  # what is there is replaced
        abpipe.export(out, form=form, store=samples, dataset="coco-ab", split=split, images=images)
    read = mlcroissant.Dataset(jsonld=out / "croissant.json")
    assert not read.metadata.ctx.issues.errors
    assert "ICCV 2023" in read.metadata.cite_as
    assert read.metadata.license == ["https://spdx.org/licenses/Apache-2.0.html"]
    files = {entry.id: entry for entry in read.metadata.distribution}
    for path in out.glob("*-0*"):
        assert files[path.name].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    if form == "webdataset":
        assert read.metadata.record_sets == []
        return
    rows = [
        row for path in sorted(out.glob("*.parquet")) for row in pq.read_table(path).to_pylist()
    ]
    found = list(read.records("rows"))
    assert len(found) == len(rows) >= 60
    for one, row in zip(found, rows, strict=True):
        assert one.keys() == {f"rows/{name}" for name in row}
        for name, value in row.items():
            if name != "image":
                assert plain(one[f"rows/{name}"]) == plain(value)
        if form == "hf":
            assert [*one["rows/image"].size] == row["size_wh"]


def test_a_dataset_of_one_s_own_has_no_citation(ingest: Any, store: Path, tmp_path: Path) -> None:
    ingest(DATA / "coco/coco_ab.json", dataset="mine")
    abpipe.export(tmp_path / "out", form="parquet", store=store)
    told = orjson.loads((tmp_path / "out/croissant.json").read_bytes())
    assert (told["name"], told["description"]) == ("mine", "mine: training targets")
    assert not {"citeAs", "license", "url"} & told.keys()


def test_lists_of_lists_are_arrays() -> None:
    column = pa.field("xy", pa.list_(pa.list_(pa.float32(), 3)))
    found = _field(column, "Places")
    assert (found["dataType"], found["isArray"], found["arrayShape"]) == ("sc:Float", True, "-1,3")
    assert "isArray" not in _field(pa.field("n", pa.int8()), "A number")
