from __future__ import annotations

import gzip
import re
import tarfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias
from xml.etree import ElementTree

import numpy as np
import pytest
from lxml import etree

from abpipe.contracts import classes
from abpipe.synth import Synthetic

ROOT = Path(__file__).parents[2]

WORDS = ("worker_id", "selected", "assignment_id")
NUMBERS = ("page_idx", "image_idx", "estimateTime")

Row: TypeAlias = dict[str, Any]
Told: TypeAlias = Callable[[Synthetic, str], list[Row]]
Files: TypeAlias = dict[str, bytes]


@pytest.fixture(scope="module")
def files(imagenet: Synthetic) -> Files:
    with tarfile.open(imagenet.archive) as tar:
        return {m.name: f.read() for m in tar if (f := tar.extractfile(m))}


@pytest.fixture(scope="module")
def records(files: Files) -> list[Row]:
    """Every `<metadata>` as ElementTree reads it."""
    return [_record(file, element) for file in files.values() for element in _metadata(file)]


def _metadata(file: bytes) -> list[ElementTree.Element]:
    return ElementTree.fromstring(file).findall("metadata")


def _record(file: bytes, element: ElementTree.Element) -> Row:
    head = ElementTree.fromstring(file)
    width, height = (int(head.findtext(f"size/{side}", "")) for side in ("width", "height"))
    scale = min(1, 324 / width, 340 / height)
    return {
        "image_id": head.findtext("filename"),
        "display": (round(width * scale), round(height * scale)),
        "shown": int(element.findtext("imageWidth", "")),
        **{tag: element.findtext(tag) for tag in ("worker_id", "selected", "assignment_id")},
        **{
            tag: int(element.findtext(tag, "")) for tag in ("estimateTime", "page_idx", "image_idx")
        },
        "moves": [
            (int(m.findtext("time", "")), float(m.findtext("x", "")), float(m.findtext("y", "")))
            for m in element.findall("mouseTracking")
            if len(m)
        ],
        "clicks": [
            (int(c.findtext("time", "")), float(c.findtext("x", "")), float(c.findtext("y", "")))
            for c in element.findall("selectedRecord")
            if len(c)
        ],
        "hovers": [
            (h.findtext("action"), int(h.findtext("time", "")))
            for h in element.findall("hoveredRecord")
            if len(h)
        ],
    }


def test_files_are_valid_as_the_real_one_is(files: Files, real: bytes) -> None:
    schema = etree.XMLSchema(etree.parse(ROOT / "schemas" / "raw" / "imagenet_ab.xsd"))
    schema.assertValid(etree.fromstring(real))
    for file in files.values():
        schema.assertValid(etree.fromstring(file))


def test_the_lines_are_those_of_the_real_file(files: Files, real: bytes) -> None:
    """With values blanked, every line of a file is one of the real file, or an empty list."""

    def shapes(file: str) -> set[str]:
        return {re.sub(r">[^<]+<", ">_<", line) for line in file.splitlines(keepends=True)}

    published = shapes(real.decode())
    empty = {f"    <{tag}/>\n" for tag in ("hoveredRecord", "mouseTracking", "selectedRecord")}
    for file in files.values():
        assert shapes(file.decode()) <= published | empty


def test_members_are_called_by_class_and_not_sorted(files: Files) -> None:
    wnids = {row["class_id"] for row in classes("imagenet")}
    names = list(files)
    assert names != sorted(names)
    for name, file in files.items():
        match = re.fullmatch(r"train_xml/(n\d{8})/(\1_\d+)\.xml", name)
        assert match and match[1] in wnids
        assert f"<filename>{match[2]}</filename>".encode() in file


def test_the_archive_is_one_gzip_member_that_any_reader_checks(imagenet: Synthetic) -> None:
    packed = imagenet.archive.read_bytes()
    plain = gzip.decompress(packed)  # checks the CRC
    assert len(plain) % 10_240 == 0 and plain.endswith(bytes(1024))
    assert (
        sum(map(len, re.findall(rb"<annotation>.*?</annotation>", plain, re.S))) / len(packed) > 7
    )
    assert packed[:3] == b"\x1f\x8b\x08"


def test_truth_is_what_elementtree_finds(
    imagenet: Synthetic, records: list[Row], told: Told
) -> None:
    found = [
        {
            "image_id": r["image_id"],
            "annotator_id": r["worker_id"],
            "assignment_id": r["assignment_id"],
            "page": r["page_idx"],
            "slot": r["image_idx"],
            "selected": r["selected"] == "True",
            "n_moves": len(r["moves"]),
            "n_actions": len(r["clicks"]),
            "estimate_ms": r["estimateTime"],
        }
        for r in records
    ]
    rows = [{key: row[key] for key in found[0]} for row in told(imagenet, "annotations")]
    assert found == rows


def test_true_clicks_are_the_last_ones_of_selected_records(
    imagenet: Synthetic, records: list[Row], told: Told
) -> None:
    found = sorted(
        (r["image_id"], r["worker_id"], *r["clicks"][-1])
        for r in records
        if r["selected"] == "True"
    )
    keys = ("image_id", "annotator_id", "t_ms", "x", "y")
    assert found == sorted(tuple(row[k] for k in keys) for row in told(imagenet, "clicks"))


def test_true_objects_are_the_boxes(imagenet: Synthetic, files: Files, told: Told) -> None:
    found = sorted(
        (head.findtext("filename"), *(float(edge.text or "") for edge in box))
        for head in map(ElementTree.fromstring, files.values())
        for box in head.iterfind("object/bndbox")
    )
    rows = [row for row in told(imagenet, "objects") if row["published"]]
    edges = ("xmin", "ymin", "xmax", "ymax")
    assert found == sorted((row["image_id"], *(row[e] for e in edges)) for row in rows)


def test_places_are_whole_displayed_pixels(records: list[Row]) -> None:
    for record in records:
        width, height = record["display"]
        for _, x, y in record["moves"] + record["clicks"]:
            assert x * width == pytest.approx(round(x * width), abs=1e-9)
            assert y * height == pytest.approx(round(y * height), abs=1e-9)
        assert record["shown"] in (height, 0)


def test_edges_are_mostly_integers(files: Files) -> None:
    edges = re.findall(rb"<[xy]>(0|1|0\.0|1\.0)</[xy]>", b"".join(files.values()))
    assert 0.02 < np.mean([b"." in edge for edge in edges]) < 0.4


def test_a_list_that_was_empty_is_mostly_absent(files: Files, records: list[Row]) -> None:
    for tag, name in (("mouseTracking", "moves"), ("selectedRecord", "clicks")):
        empty = sum(file.count(f"    <{tag}/>".encode()) for file in files.values())
        assert 0 < empty < 0.4 * sum(not record[name] for record in records)


def test_nothing_moves_while_selected(records: list[Row], imagenet: Synthetic, told: Told) -> None:
    styles = {
        (row["image_id"], row["annotator_id"]): row["style"]
        for row in told(imagenet, "annotations")
    }
    once = [r for r in records if styles[r["image_id"], r["worker_id"]] == "select"]
    assert len(once) > 2000
    for record in once:
        ((clicked, _, _),) = record["clicks"]
        assert all(t <= clicked for t, _, _ in record["moves"])


def test_moves_are_throttled_and_move(records: list[Row]) -> None:
    for record in records:
        for (t0, *before), (t1, *after) in pairwise(record["moves"]):
            assert t1 - t0 >= 16
            assert before != after


def test_moves_are_within_visits(records: list[Row]) -> None:
    for record in records:
        times = [t for _, t in record["hovers"]] + [1 << 62]
        visits = list(zip(times[::2], times[1::2], strict=False))
        for t, _, _ in record["moves"] + record["clicks"]:
            assert any(enter <= t <= leave for enter, leave in visits)


def test_nobody_is_at_two_pictures_at_once(records: list[Row]) -> None:
    visits: dict[str, list[tuple[int, int]]] = {}
    for record in records:
        if times := [t for _, t in record["hovers"]]:
            visits.setdefault(record["worker_id"], []).append((min(times), max(times)))
    for spans in visits.values():
        assert all(end <= begin for (_, end), (begin, _) in pairwise(sorted(spans)))


def test_slots_of_a_task_are_taken_once(records: list[Row]) -> None:
    keys = [(r["assignment_id"], r["page_idx"], r["image_idx"]) for r in records]
    assert len(keys) == len(set(keys))
    assert {page for _, page, _ in keys} == set(range(10))
    assert max(slot for _, _, slot in keys) == 47


def test_estimate_agrees_with_the_events(
    records: list[Row], imagenet: Synthetic, told: Told
) -> None:
    styles = {
        (row["image_id"], row["annotator_id"]): row["style"]
        for row in told(imagenet, "annotations")
    }
    checked = 0
    for record in records:
        simple = styles[record["image_id"], record["worker_id"]] == "select"
        if not simple or len(record["hovers"]) != 2 or not record["moves"]:
            continue
        checked += 1
        span = record["clicks"][0][0] - max(record["hovers"][0][1], record["moves"][0][0])
        assert -8 <= record["estimateTime"] - span <= 6 or span < 8
    assert checked > 1500


def test_distributions_are_those_of_the_published_archive(
    imagenet: Synthetic, records: list[Row], files: Files
) -> None:
    chosen = [r for r in records if r["selected"] == "True" and r["estimateTime"] > 0]
    estimates = np.array([r["estimateTime"] for r in chosen])
    counts, edges = np.histogram(estimates, np.arange(0, 3000, 100))
    gaps = np.concatenate([np.diff([t for t, *_ in r["moves"]]) for r in records if r["moves"]])
    assert len({r["image_id"] for r in chosen}) / len(files) == pytest.approx(0.864, abs=0.02)
    assert np.mean(estimates) == pytest.approx(752, rel=0.2)
    assert 200 <= edges[counts.argmax()] <= 500
    assert np.mean([len(r["moves"]) for r in records]) == pytest.approx(14, abs=1.5)
    assert 30 <= np.bincount(gaps[gaps < 400]).argmax() <= 35
    assert np.mean([len(file) for file in files.values()]) == pytest.approx(3700, rel=0.06)
    assert imagenet.archive.stat().st_size / len(files) == pytest.approx(435, rel=0.08)
    assert 0 < sum(b"<metadata>" not in file for file in files.values()) < 0.01 * len(files)
    assert np.mean([b"<object>" in file for file in files.values()]) == pytest.approx(
        0.42, abs=0.04
    )
