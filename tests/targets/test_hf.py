from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

import abpipe
from abpipe.targets.reader import Targets

Export = Callable[..., Targets]

DATA = Path(__file__).parents[2] / "data"

# in a process of its own: what it is told by the environment, it reads when it is imported
LOAD = """
import sys
import numpy as np
from datasets import load_dataset

folder, out, cache = sys.argv[1:]
made = {}
for part, rows in load_dataset(folder, cache_dir=cache).items():
    for name in rows.column_names:
        if name == "image":
            made[f"{part}/{name}"] = np.array([value.size for value in rows[name]])
        elif name not in ("trace_xyt", "trace_record", "hull_xy"):
            made[f"{part}/{name}"] = np.array(rows[name])
    moves = [move for moves in rows["trace_xyt"] for move in moves]
    made[f"{part}/trace_xyt"] = np.array(moves)
    made[f"{part}/classes"] = np.array(getattr(rows.features["class_index"], "names", []))
np.savez(out, **made)
"""


def load(folder: Path, place: Path) -> dict[str, Any]:
    """What the library makes of a folder without a network, as arrays by part and column."""
    environment = {"HF_HOME": str(place / "home"), "HF_HUB_OFFLINE": "1"}
    environment["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", LOAD, folder, place / "loaded.npz", place / "cache"],
        check=True,
        env=os.environ | environment,
        stderr=subprocess.PIPE,
    )
    assert b"dataset card" not in done.stderr  # it is read in full
    with np.load(place / "loaded.npz") as found:
        return dict(found)


@pytest.mark.parametrize("dataset", ["imagenet-ab", "coco-ab"])
def test_it_loads_without_a_network_and_holds_what_the_arrays_hold(
    dataset: str, samples: Path, export: Export, tmp_path: Path
) -> None:
    split, out = {"train": 0.7, "val": 0.3}, tmp_path / "out"
    targets = export(dataset=dataset, split=split)
    kind = dataset.removesuffix("-ab")
    pictures = DATA / kind / "images"
    done = abpipe.export(
        out, form="hf", store=samples, dataset=dataset, split=split, images=pictures
    )
    assert done.missing == 0
    found = load(out, tmp_path)
    for part in split:
        rows = targets.part(part)
        assert found[f"{part}/image_id"].tolist() == targets["image_ids"][rows].astype(str).tolist()
        for name in ("click_xy", "click_valid", "class_index", "box_xyxy", "size_wh", "weight"):
            assert np.array_equal(found[f"{part}/{name}"], targets[name][rows], equal_nan=True)
        moves = np.concatenate([targets.ragged("trace_xyt", row) for row in rows.tolist()])
        assert np.array_equal(found[f"{part}/trace_xyt"], moves, equal_nan=True)
        assert np.array_equal(found[f"{part}/image"], targets["size_wh"][rows])
        names = [row["class_id"] for row in targets.about["classes"]]
        assert found[f"{part}/classes"].tolist() == ([] if kind == "coco" else names)


def test_the_card_tells_licence_citation_columns_and_parts(samples: Path, tmp_path: Path) -> None:
    where = "image_id < '2' AND annotator_id IS NOT NULL"
    abpipe.export(
        tmp_path / "out", form="hf", store=samples, dataset="coco-ab", where=where, anonymous=True
    )
    _, head, text = (tmp_path / "out/README.md").read_text("utf-8").split("---\n", 2)
    card = yaml.safe_load(head)
    assert (card["license"], card["pretty_name"][:7]) == ("apache-2.0", "COCO-AB")
    assert card["configs"] == [
        {
            "config_name": "default",
            "data_files": [{"split": "train", "path": "train-*.parquet"}],
        }
    ]
    about = pq.read_metadata(tmp_path / "out/train-00000.parquet")
    size = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    parts = [{"name": "train", "num_bytes": size, "num_examples": about.num_rows}]
    assert card["dataset_info"]["splits"] == parts
    columns = pq.read_schema(tmp_path / "out/train-00000.parquet").names
    assert [feature["name"] for feature in card["dataset_info"]["features"]] == columns
    assert all(f"\n| {name} | " in text for name in columns)
    assert "\n## Licence\n\nApache-2.0 (the byproducts; the pictures have their own terms)" in text
    assert "Neglected Free Lunch" in text.split("## Citation")[1]
    assert "0 person, 1 bicycle" in text
    assert where not in text
    times = pq.read_table(tmp_path / "out/train-00000.parquet")["trace_xyt"].to_pylist()
    assert not any(move[2] % 100 for moves in times for move in moves)


def test_pictures_have_terms_of_their_own_and_may_be_missing(samples: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    (few / "n01817953_105.jpg").write_bytes(b"a picture")
    done = abpipe.export(
        tmp_path / "out", form="hf", store=samples, dataset="imagenet-ab", images=few
    )
    assert done.missing == 119
    assert "\nlicense: other\n" in (tmp_path / "out/README.md").read_text("utf-8")
    found = pq.read_table(tmp_path / "out/train-00000.parquet").to_pylist()
    pictures = {row["image_id"]: row["image"] for row in found if row["image"]}
    assert pictures == {"n01817953_105": {"bytes": b"a picture", "path": "n01817953_105.jpg"}}


def test_the_same_store_gives_the_same_bytes(samples: Path, tmp_path: Path) -> None:
    def sums(out: Path) -> dict[str, bytes]:
        abpipe.export(out, form="hf", store=samples, dataset="coco-ab")
        return {path.name: hashlib.sha256(path.read_bytes()).digest() for path in out.iterdir()}

    assert sums(tmp_path / "one") == sums(tmp_path / "two")
