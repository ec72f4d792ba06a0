from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from abpipe.targets import samples as of
from abpipe.targets.samples import Sample, fields, write_shards
from abpipe.targets.selection import Options, selected


class Names:
    """A form that keeps the names of samples only."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def write(self, sample: Sample) -> None:
        self._file.write(f"{sample.image_id}\n")

    def close(self) -> None:
        self._file.close()


def test_files_are_cut_at_a_number_of_samples_and_parts_are_apart(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of, "SHARD", 30)
    options = Options("names", "imagenet-ab", split={"val": 0.2, "train": 0.8})
    with selected(samples, options, tmp_path / "spill") as selection:
        files = write_shards(selection, tmp_path, ".txt", Names)
    assert [*files] == ["train-00000", "train-00001", "train-00002", "train-00003", "val-00000"]
    written = {name: (tmp_path / entry["file"]).read_text() for name, entry in files.items()}
    assert all(text.count("\n") == files[name]["shape"][0] for name, text in written.items())
    assert [files[f"train-0000{i}"]["shape"] for i in range(3)] == [(30,)] * 3
    names = "".join(written.values()).split()
    assert len({*names}) == len(names) == 120
    assert names[:90] == sorted(names[:90])


def test_progress_is_told_of_now_and_then(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of, "STEP", 50)
    told: list[Any] = []
    with selected(samples, Options("names", "imagenet-ab"), tmp_path / "spill") as selection:
        for sample in of.samples(selection, lambda *what: told.append(what)):
            assert (sample.part, sample.file, sample.picture()) == ("train", None, None)
    assert told == [("targets", 120, 50), ("targets", 120, 100), ("targets", 120, 120)]


def test_fields_are_told_with_their_lengths(samples: Path, tmp_path: Path) -> None:
    options = Options("names", "coco-ab", split={"all": 1.0})
    with selected(samples, options, tmp_path / "spill") as selection:
        found, (first, *_) = fields(selection), [*of.samples(selection)]
    assert [*found] == [*first.targets]
    assert found["trace_xyt"]["shape"] == (None, 3)
    assert found["click_xy"]["shape"] == first.targets["click_xy"].shape == (80, 2)
    assert not {"image_ids", "split", "trace_offsets"} & found.keys()
