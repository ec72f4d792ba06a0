from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from tfrecord import tfrecord_loader

import abpipe
from abpipe.targets.reader import Targets

Export = Callable[..., Targets]

DATA = Path(__file__).parents[2] / "data"

# its reader leaves files open
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

EXPORT = "import abpipe, sys; abpipe.export(sys.argv[1], form='tfrecord', store=sys.argv[2], "
EXPORT += "dataset='coco-ab', anonymous=True)"


def read(file: Path) -> list[dict[str, Any]]:
    return list(tfrecord_loader(str(file), None, None))


@pytest.mark.parametrize("dataset", ["imagenet-ab", "coco-ab"])
def test_records_hold_what_the_arrays_hold(
    dataset: str, samples: Path, export: Export, tmp_path: Path
) -> None:
    targets, images = export(dataset=dataset), DATA / dataset.removesuffix("-ab") / "images"
    files = {path.stem.split("_0")[-1].lstrip("0"): path for path in images.rglob("*.*")}
    out = tmp_path / "out"
    abpipe.export(out, form="tfrecord", store=samples, dataset=dataset, images=images)
    about = orjson.loads((out / "targets.json").read_bytes())
    assert "ICCV 2023" in about["dataset"]["citation"]
    found = read(out / "train-00000.tfrecord")
    assert [one["image_id"] for one in found] == targets["image_ids"].tolist()
    for row, one in enumerate(found):
        assert one.keys() == {"image_id", "image", *about["fields"]}
        assert one["image"] == files[one["image_id"].decode()].read_bytes()
        for name, field in about["fields"].items():
            has_offsets = None in field["shape"]
            expected = targets.ragged(name, row) if has_offsets else targets[name][row]
            shape = [-1 if length is None else length for length in field["shape"]]
            given = one[name].astype(field["dtype"]).reshape(shape)
            assert np.array_equal(given, expected, equal_nan=True)


def test_the_same_store_gives_the_same_bytes_in_any_process(samples: Path, tmp_path: Path) -> None:
    sums = set()
    for out in ("one", "two"):
        subprocess.run([sys.executable, "-c", EXPORT, tmp_path / out, samples], check=True)
        sums.add(hashlib.sha256((tmp_path / out / "train-00000.tfrecord").read_bytes()).digest())
    assert len(sums) == 1
    records = read(tmp_path / "one/train-00000.tfrecord")
    times = np.concatenate([one["trace_xyt"].reshape(-1, 3)[:, 2] for one in records])
    assert len(times) > 1000
    assert not (times % 100).any()
