from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from abpipe.errors import BadCount, InTheWay, UnknownKind
from abpipe.synth import Synthetic, run, synth


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("kind", ["imagenet", "coco"])
def test_bytes_do_not_depend_on_jobs(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "CHUNK", 100)
    made = [
        synth(tmp_path / str(jobs), kind=kind, count=320, seed=5, defects=True, jobs=jobs)
        for jobs in (1, 2)
    ]
    assert digests(tmp_path / "1") == digests(tmp_path / "2")
    assert made[0].files == made[1].files


def test_another_seed_gives_other_bytes(tmp_path: Path) -> None:
    first, second = (synth(tmp_path / str(seed), count=20, seed=seed) for seed in (1, 2))
    assert first.archive.read_bytes() != second.archive.read_bytes()


def test_defects_leave_the_other_files_as_they_were(tmp_path: Path) -> None:
    good = synth(tmp_path / "good", kind="coco", count=100, seed=1)
    bad = synth(tmp_path / "bad", kind="coco", count=100, seed=1, defects=True)
    same = set(good.archive.read_bytes().split(b'"worker_id": "')) & set(
        bad.archive.read_bytes().split(b'"worker_id": "')
    )
    assert len(same) > 60


def test_progress_counts_pictures(out: Path) -> None:
    steps: list[int] = []
    made = synth(out, count=700, jobs=1, progress=steps.append)
    assert steps == [500, 200]
    assert (made.images, made.files) == (700, 700)


def test_a_second_run_replaces_the_first(out: Path) -> None:
    synth(out, count=20, seed=1, pictures=True)
    made = synth(out, count=10, seed=2, pictures=True)
    assert made.pictures is not None
    assert len(list(made.pictures.rglob("*.JPEG"))) == 10
    assert {path.name for path in out.iterdir()} == {"images", "imagenet_ab.tar.gz", "truth"}


def test_an_interrupted_run_leaves_the_folder_as_it_was(out: Path) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    synth(out, count=20)
    before = digests(out)
    with pytest.raises(KeyboardInterrupt):
        synth(out, count=30, progress=stop)
    assert digests(out) == before


def test_an_unknown_kind_is_named(out: Path) -> None:
    with pytest.raises(UnknownKind) as caught:
        synth(out, kind="flickr")
    assert caught.value.kind == "flickr"
    assert (
        str(caught.value) == "'flickr' is no kind of archive. Choose one of: imagenet, coco, pages"
    )
    assert not out.exists()


@pytest.mark.parametrize(("kind", "count"), [("imagenet", 0), ("coco", 82_766)])
def test_counts_have_limits(kind: str, count: int, out: Path) -> None:
    with pytest.raises(BadCount) as caught:
        synth(out, kind=kind, count=count)
    assert caught.value.count == count


def test_what_others_made_is_never_lost(out: Path) -> None:
    synth(out, count=1)
    with pytest.raises(InTheWay) as caught:
        synth(out, kind="coco", count=1)
    assert caught.value.path == out / "imagenet_ab.tar.gz"


def test_pictures_of_others_are_never_lost(out: Path) -> None:
    (out / "images").mkdir(parents=True)
    with pytest.raises(InTheWay):
        synth(out, count=1)
    assert (out / "images").is_dir()


@pytest.mark.parametrize("kind", ["imagenet", "coco"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_smallest_archives(kind: str, count: int, out: Path) -> None:
    made: Synthetic = synth(out, kind=kind, count=count, defects=True)
    assert made.images == count
