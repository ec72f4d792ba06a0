from __future__ import annotations

import json  # noqa: TID251 - as the tools write it
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import jsonschema
import pytest
from PIL import Image

import abpipe
from abpipe.synth import Synthetic, run, synth
from abpipe.synth.defects_pages import PAGES

Told: TypeAlias = Callable[[Synthetic, str], list[dict[str, Any]]]

ROOT = Path(__file__).parents[2]
_ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    made = tmp_path_factory.mktemp("pages")
    return synth(made, kind="pages", count=300, seed=3, pictures=True)


@pytest.fixture(scope="module")
def store(pages: Synthetic, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    results = abpipe.ingest(pages.archive, store=folder, keep_ids=True, jobs=1)
    assert [result.source.ledger.rejects for result in results] == [{}, {}]
    return folder


def lines(made: Synthetic) -> list[dict[str, Any]]:
    files = sorted(made.archive.iterdir())
    return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]


def test_every_record_fits_the_schema(pages: Synthetic) -> None:
    declared = json.loads((ROOT / "schemas" / "raw" / "tool_pages.schema.json").read_bytes())
    validator = jsonschema.Draft202012Validator(declared)
    for record in lines(pages):
        validator.validate(record)


def test_pages_hold_48_pictures_and_people_are_named_beside_them(pages: Synthetic) -> None:
    kinds = Counter(
        frozenset(record) & {"page", "annotations", "annotation"} for record in lines(pages)
    )
    assert len(kinds) == 4  # and annotation records
    of_imagenet = [r.get("page", r) for r in lines(pages) if "annotations" in r.get("page", r)]
    assert [len(page["annotations"]) for page in of_imagenet] == [48] * 4
    assert (
        len({picture["imageID"] for page in of_imagenet for picture in page["annotations"]}) == 150
    )


def test_the_store_tells_what_the_truth_tells(pages: Synthetic, store: Path, told: Told) -> None:
    true = told(pages, "annotations")
    names = ("image_id", "page", "slot", "selected", "n_moves", "estimate_ms", "time_spent_ms")
    query = """
        SELECT image_id, page, slot, selected, count(seq), estimate_ms, time_spent_ms
        FROM annotations LEFT JOIN (FROM events WHERE kind = 'move') USING (annotation_id, image_id)
        GROUP BY ALL"""
    with abpipe.connect(store) as connection:
        found = connection.execute(query).fetchall()
        people = connection.execute("SELECT page, slot, image_id, annotator_id FROM annotations")
        named = {tuple(row[:3]): row[3] for row in people.fetchall()}
    assert Counter(found) == Counter(tuple(row[name] for name in names) for row in true)
    of_truth = {(r["page"], r["slot"], r["image_id"]): r["annotator_id"] for r in true}
    assert {key: who for key, who in named.items() if who} == {
        key: who for key, who in of_truth.items() if named[key]
    }
    assert 0.05 < [*named.values()].count(None) / len(named) < 0.4


def test_pictures_are_stored_turned_and_the_truth_tells_their_stored_size(
    pages: Synthetic, told: Told
) -> None:
    assert pages.pictures
    true = {row["image_id"]: (row["width"], row["height"]) for row in told(pages, "images")}
    turned = Counter[int]()
    for path in pages.pictures.rglob("*.*"):
        with Image.open(path) as picture:
            name = path.stem if path.suffix == ".JPEG" else str(int(path.stem[-12:]))
            assert picture.size == true[name]
            turned[picture.getexif().get(_ORIENTATION, 1)] += 1
    assert turned.total() == 300
    assert {*turned} == {1, 3, 6, 8}


def test_final_clicks_are_those_of_the_truth(pages: Synthetic, store: Path, told: Told) -> None:
    true = Counter(
        clicks((r["image_id"], r["label"], r["x"], r["y"]) for r in told(pages, "clicks"))
    )
    with abpipe.connect(store) as connection:
        found = connection.execute("SELECT image_id, label, x, y FROM clicks").fetchall()
    assert Counter(clicks(found)) == true
    assert true.total() > 200


def clicks(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    for picture, label, x, y in rows:
        yield picture, label, x and round(x, 12), y and round(y, 12)


def test_each_defect_costs_what_it_says(tmp_path: Path, told: Told) -> None:
    made = synth(tmp_path / "bad", kind="pages", count=300, seed=3, defects=True)
    planted = told(made, "defects")
    assert {row["code"] for row in planted} == set(PAGES)
    results = abpipe.ingest(made.archive, store=tmp_path / "store", jobs=1)
    rejected = sum(result.source.ledger.records["rejected"] for result in results)
    for result in results:
        records = result.source.ledger.records
        assert records["total"] == sum(n for name, n in records.items() if name != "total")
    # a record that is neither tool's is rejected by both
    neither = Counter(row["code"] for row in planted)
    twice = sum(neither[code] for code in ("cut", "duplicate-key", "not-a-number", "not-a-page"))
    assert rejected == sum(row["level"] == "record" for row in planted) + twice


@pytest.mark.parametrize("count", [1, 2, 97])
def test_small_collections(count: int, tmp_path: Path) -> None:
    made = synth(tmp_path, kind="pages", count=count, defects=True)
    assert made.images == count


def test_bytes_do_not_depend_on_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "CHUNK", 100)
    made = [synth(tmp_path / str(n), kind="pages", count=320, seed=5, jobs=n) for n in (1, 2)]
    assert lines(made[0]) == lines(made[1])
