from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import webdataset as wds
from PIL import Image

import abpipe
from abpipe.targets.reader import Targets
from abpipe.targets.webdataset import _key

Export = Callable[..., Targets]

DATA = Path(__file__).parents[2] / "data"
PICTURES = DATA / "imagenet/images"

# its reader leaves files open
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


def read(folder: Path, part: str) -> list[dict[str, Any]]:
    shards = sorted(str(path) for path in folder.glob(f"{part}-*.tar"))
    return list(wds.WebDataset(shards, shardshuffle=False).decode("rgb8"))


@pytest.mark.parametrize("dataset", ["imagenet-ab", "coco-ab"])
def test_samples_hold_what_the_arrays_hold(
    dataset: str, samples: Path, export: Export, tmp_path: Path
) -> None:
    split = {"train": 0.7, "val": 0.3}
    targets = export(dataset=dataset, split=split)
    done = abpipe.export(
        tmp_path / "out", form="webdataset", store=samples, dataset=dataset, split=split
    )
    about = orjson.loads((tmp_path / "out/targets.json").read_bytes())
    assert about["dataset"]["licence"].startswith("Apache-2.0")
    for part in split:
        found = read(tmp_path / "out", part)
        rows = targets.rows([sample["json"]["image_id"] for sample in found])
        assert rows.tolist() == targets.part(part).tolist()
        assert done.arrays[f"{part}-00000"] == (len(found),)
        for sample, row in zip(found, rows.tolist(), strict=True):
            for name, field in about["fields"].items():
                has_offsets = None in field["shape"]
                expected = targets.ragged(name, row) if has_offsets else targets[name][row]
                given = sample.get(f"{name}.npy", sample["json"].get(name))
                assert np.array_equal(np.array(given, field["dtype"]), expected, equal_nan=True)


def test_pictures_lie_beside_their_targets_as_they_are(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("abpipe.targets.samples.SHARD", 50)
    given: dict[str, Any] = {"store": samples, "dataset": "imagenet-ab", "form": "webdataset"}
    done = abpipe.export(tmp_path / "out", images=PICTURES, **given)
    assert done.arrays == {f"train-0000{i}": (n,) for i, n in enumerate((50, 50, 20))}
    assert done.missing == 0
    found = read(tmp_path / "out", "train")
    files = {path.stem: path for path in PICTURES.rglob("*.JPEG")}
    assert [sample["__key__"] for sample in found] == sorted(files)
    for sample in found:
        with Image.open(files[sample["__key__"]]) as picture:
            assert np.array_equal(sample["jpg"], np.asarray(picture.convert("RGB")))


def test_pictures_that_are_missing_are_counted(
    ingest: Callable[..., Any], tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    ingest(DATA / "imagenet/imagenet_ab.tar.gz")
    few, files = tmp_path / "few", sorted(PICTURES.rglob("*.JPEG"))[:3]
    few.mkdir()
    for path in files:
        shutil.copy(path, few / path.name.lower().replace("jpeg", "jpg"))
    code, _, err = run("export", tmp_path / "out", "--format", "webdataset", "--images", few)
    assert code == 0
    assert err.splitlines()[-1] == "117 of 120 pictures have no file in the folder of pictures"
    found = read(tmp_path / "out", "train")
    assert len(found) == 120
    assert {sample["__key__"] for sample in found if "jpg" in sample} == {p.stem for p in files}


def test_the_same_store_gives_the_same_bytes(samples: Path, tmp_path: Path) -> None:
    sums = set()
    for out in ("one", "two"):
        abpipe.export(
            tmp_path / out, form="webdataset", store=samples, dataset="coco-ab", anonymous=True
        )
        sums.add(hashlib.sha256((tmp_path / out / "train-00000.tar").read_bytes()).digest())
    assert len(sums) == 1
    times = np.concatenate(
        [sample["trace_xyt.npy"][:, 2] for sample in read(tmp_path / "one", "train")]
    )
    assert len(times) > 1000
    assert not (times % 100).any()


def test_a_key_ends_at_no_dot() -> None:
    assert [_key(name) for name in ("n01_1", "a.b", "a%2Eb")] == ["n01_1", "a%2Eb", "a%252Eb"]
