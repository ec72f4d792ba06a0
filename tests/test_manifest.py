from __future__ import annotations

import lzma
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

import abpipe
from abpipe.errors import BrokenStore
from abpipe.manifest import Manifest

#: A store that the first release wrote (format 1): `abpipe synth` of 6 ImageNet and 3 COCO pictures
#: of seed 1, ingested, `abpipe derive clicks visits`; without the catalogs, which are made anew.
FIRST = Path(__file__).parent / "stores" / "format-1.tar.xz"
COUNTS = {"annotations": 9, "clicks": 8, "events": 203, "images": 9}
EVENTS = "SELECT md5(string_agg(e::VARCHAR, '' ORDER BY annotation_id, kind, seq)) FROM events AS e"

Rows = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def first(tmp_path: Path) -> Path:
    with lzma.open(FIRST) as file, tarfile.open(fileobj=file) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "format-1"


def test_a_store_of_the_first_release_is_read_as_it_was(first: Path, rows: Rows) -> None:
    for table, n in COUNTS.items():
        assert rows(f"SELECT count(*) FROM {table}", first) == [(n,)]
    assert rows(EVENTS, first) == [("f3ca25eb91c9c5334464712bbafe5389",)]
    assert [f for f in abpipe.check(store=first) if f.level == "error"] == []


def test_a_store_of_the_first_release_is_derived_exported_and_added_to(
    first: Path, tmp_path: Path, rows: Rows
) -> None:
    done = abpipe.derive(store=first, jobs=1)
    assert sum(one.rows for one in done if one.table == "clicks") == COUNTS["clicks"]
    abpipe.export(tmp_path / "out", store=first, dataset="coco-ab")
    assert len(abpipe.open_targets(tmp_path / "out")) == 3
    sample = Path(__file__).parents[1] / "data/imagenet/imagenet_ab.tar.gz"
    source = Path(shutil.copy(sample, tmp_path / "more.tar.gz"))
    abpipe.ingest(source, store=first, jobs=1)
    abpipe.forget(first, source="more.tar.gz")
    assert rows(EVENTS, first) == [("f3ca25eb91c9c5334464712bbafe5389",)]


Edit = Callable[[dict[str, Any]], object]


def renamed(manifest: dict[str, Any]) -> None:
    manifest["datasets"]["../../x"] = manifest["datasets"].pop("coco-ab")


LEDGER = "the ledger of 'imagenet_ab.tar.gz' has other sums: ['total', 'ok', 'junk']"
EDITS: dict[str, tuple[Edit, str]] = {
    "path": (
        lambda m: m["files"][0].update(path="../x.parquet"),
        "it names '../x.parquet', which is no file of a store",
    ),
    "table": (
        lambda m: m["files"][0].update(table="x", path="x/dataset=coco-ab/1.parquet"),
        "it names 'x/dataset=coco-ab/1.parquet', which is no file of a store",
    ),
    "dataset": (renamed, "'../../x' is no name of a dataset"),
    "type": (lambda m: m["files"][0].update(rows="6"), "rows is '6'"),
    "list": (lambda m: m.update(forgotten={"coco-ab": {"k": [1]}}), "forgotten is {"
             "'coco-ab': {'k': [1]}}"),
    "source": (
        lambda m: m["sources"][0].update(dataset="gone"),
        "'imagenet_ab.tar.gz' is no source of a dataset",
    ),
    "ledger": (lambda m: m["sources"][0]["ledger"]["members"].pop("rejected"), LEDGER),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "why"), EDITS.values(), ids=EDITS)
def test_a_manifest_that_was_edited_is_a_clear_error(edit: Edit, why: str, first: Path) -> None:
    path = first / "manifest.json"
    manifest = orjson.loads(path.read_bytes())
    edit(manifest)
    path.write_bytes(orjson.dumps(manifest))
    with pytest.raises(BrokenStore) as caught:
        abpipe.check(store=first)
    assert str(caught.value) == (
        f"{first}: manifest.json was edited: {why}. "
        f"See what else is wrong: `abpipe check -s {first}`"
    )


def test_a_manifest_is_read_as_it_was_written(first: Path) -> None:
    content = (first / "manifest.json").read_bytes()
    told = orjson.loads(content)
    for source in told["sources"]:
        source["rows"] = None  # which the first release did not tell
    assert orjson.loads(Manifest.parse(content, first).json()) == told
