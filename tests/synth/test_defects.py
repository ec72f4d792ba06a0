from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, TypeAlias
from xml.etree import ElementTree

import orjson
import pytest

from abpipe.synth import Synthetic, synth
from abpipe.synth.defects import Registry
from abpipe.synth.defects_coco import COCO
from abpipe.synth.defects_imagenet import IMAGENET
from abpipe.synth.tar import Member, pack

Told: TypeAlias = Callable[[Synthetic, str], list[dict[str, Any]]]

REGISTRIES = {"imagenet": set(IMAGENET), "coco": set(COCO)}
NOT_FILES = {"symlink", "hard-link", "directory"}


@pytest.mark.parametrize("kind", ["imagenet", "coco"])
def test_every_kind_is_planted_and_told(kind: str, tmp_path: Path, told: Told) -> None:
    made = synth(tmp_path, kind=kind, count=200, seed=2, defects=True)
    rows = told(made, "defects")
    assert {row["code"] for row in rows} == REGISTRIES[kind]
    assert len({row["image_id"] for row in rows}) == len(rows) == made.defects
    assert {row["level"] for row in rows} <= {"member", "record", "field", "none"}


def test_many_pictures_have_few_defects(tmp_path: Path) -> None:
    made = synth(tmp_path, count=8000, seed=2, defects=True, jobs=1)
    assert made.defects == 160


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    return synth(tmp_path_factory.mktemp("spoilt"), count=300, seed=4, defects=True)


def test_named_members_are_in_the_archive(spoilt: Synthetic, told: Told) -> None:
    with tarfile.open(spoilt.archive) as tar:
        names = [member.name.rstrip("/") for member in tar]
    assert len(names) == spoilt.files
    assert {row["member"].rstrip("/") for row in told(spoilt, "defects")} <= set(names)


def test_files_that_are_no_xml_are_the_ones_told(spoilt: Synthetic, told: Told) -> None:
    broken = {
        row["member"]
        for row in told(spoilt, "defects")
        if row["level"] == "member" or row["code"] in {"apple-double", "ds-store", "readme"}
    }
    with tarfile.open(spoilt.archive) as tar:
        for member in tar:
            if member.isfile() and (file := tar.extractfile(member)):
                try:
                    root = ElementTree.fromstring(file.read().decode())
                except (ElementTree.ParseError, UnicodeDecodeError, ValueError):
                    root = None
                if member.name not in broken and root is None:
                    (row,) = [r for r in told(spoilt, "defects") if r["member"] == member.name]
                    assert row["level"] == "record" or row["code"] == "utf-16"


def test_intact_pictures_are_still_what_the_truth_tells(spoilt: Synthetic, told: Told) -> None:
    changed = {row["image_id"] for row in told(spoilt, "defects") if not row["intact"]}
    true = {
        (row["image_id"], row["annotator_id"], row["x"], row["y"], row["t_ms"])
        for row in told(spoilt, "clicks")
        if row["image_id"] not in changed
    }
    found = set()
    with tarfile.open(spoilt.archive) as tar:
        files = [f.read() for m in tar if m.isfile() and (f := tar.extractfile(m))]
    for file in files:
        try:
            root = ElementTree.fromstring(file)
        except ElementTree.ParseError:
            continue
        name = root.findtext("filename")
        for record in root.iterfind("metadata") if name and name not in changed else ():
            clicks = record.findall("selectedRecord")
            key = (name, record.findtext("worker_id"))
            if record.findtext("selected") == "True" and clicks:
                x, y, t = (float(clicks[-1].findtext(tag, "")) for tag in ("x", "y", "time"))
                found.add((*key, x, y, int(t)))
    assert found == true


@pytest.mark.parametrize("code", sorted(COCO))
def test_a_coco_defect_spoils_what_it_says(code: str, coco: Synthetic) -> None:
    defect = COCO[code]
    good = _coco_record(coco)
    bad = defect.plant(Random(1), good)
    assert bad != good
    if defect.level == "none" and code != "comma-twice":
        orjson.loads(b"[" + bad + b"]")


@pytest.mark.parametrize("code", sorted(IMAGENET))
def test_an_imagenet_defect_changes_the_archive(code: str, real: bytes) -> None:
    good = Member("train_xml/n01440764/n01440764_105.xml", real)
    bad = IMAGENET[code].plant(Random(1), good)
    assert b"".join(map(pack, bad)) != pack(good)


def test_two_defects_cannot_share_a_code() -> None:
    registry: Registry[bytes, bytes] = Registry()
    registry.add("odd", "none", "read on")(lambda random, good: good)
    with pytest.raises(ValueError, match="odd"):
        registry.add("odd", "none", "read on")


def _coco_record(coco: Synthetic) -> bytes:
    """A whole record with moves and a final icon, as the generator wrote it."""
    whole = orjson.loads(coco.archive.read_bytes())
    rich = next(r for r in whole if r["actionHistories"] and len(r["mouseTracking"]) > 9)
    return orjson.dumps(rich).replace(b'":', b'": ').replace(b",", b", ")
