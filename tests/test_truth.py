"""The real page records against what their driver did, measured outside of the tools' code."""

from __future__ import annotations

import json  # noqa: TID251 - the driver wrote it
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import abpipe

ROOT = Path(__file__).resolve().parents[1]
REAL = Path(os.environ.get("ABPIPE_REAL") or ROOT.parent / "shared" / "real") / "tool_pages"
pytestmark = pytest.mark.usefixtures("real_records")
CLICK, ICON = 0.75, 0.6  # CSS pixels
SHRUNK = 13  # there the board had shrunk, and its stored width had not

Object = dict[str, Any]


def pages(tool: str) -> list[Object]:
    truth: Object = json.loads((REAL / f"{tool}_truth.json").read_bytes())
    return list(truth["pages"])


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A store of the stored pages and their annotation records."""
    store = tmp_path_factory.mktemp("truth") / "store"
    names = [f"{tool}_{part}.jsonl" for tool in ("imagenet", "coco") for part in PARTS]
    results = abpipe.ingest(*(REAL / name for name in names), store=store, jobs=1)
    assert [r.source.ledger.records["rejected"] for r in results] == [0, 0]
    abpipe.derive(store=store)
    with abpipe.connect(store) as connection:
        yield connection


PARTS = ("stored", "annotations")


def test_every_record_reads(con: duckdb.DuckDBPyConnection) -> None:
    query = "SELECT tool, count(*), count(annotator_id) FROM annotations GROUP BY ALL ORDER BY ALL"
    assert con.execute(query).fetchall() == [("coco", 16, 11), ("imagenet", 144, 144)]
    assert con.execute("SELECT count(*) FROM rejects").fetchall() == [(0,)]


def test_the_final_state_of_every_picture_is_right(con: duckdb.DuckDBPyConnection) -> None:
    expected = {
        (page["pageno"] - 1, shown["index"]): shown["intended_final_selected"]
        for page in pages("imagenet")
        for shown in page["images"]
    }
    found = con.execute("SELECT page, slot, selected FROM annotations WHERE tool = 'imagenet'")
    assert {(page, slot): selected for page, slot, selected in found.fetchall()} == expected


def test_every_final_click_is_where_it_was(con: duckdb.DuckDBPyConnection) -> None:
    query = """
        SELECT page, slot, clicks.x * natural_width, clicks.y * natural_height, x_px, y_px
        FROM clicks JOIN annotations USING (annotation_id, dataset) WHERE tool = 'imagenet'"""
    found = {(page, slot): place for page, slot, *place in con.execute(query).fetchall()}
    worst = 0.0
    for page in pages("imagenet"):
        for shown in page["images"]:
            key = page["pageno"] - 1, shown["index"]
            true = shown["intended_final_click_natural"]
            assert (key in found) == bool(true)
            if true:
                x, y, x_px, y_px = found[key]
                assert (x, y) == pytest.approx((x_px, y_px))
                size, box = shown["natural"], shown["box"]
                dx = abs(x - true["x"]) * box["offsetWidth"] / size["w"]
                worst = max(worst, dx, abs(y - true["y"]) * box["offsetHeight"] / size["h"])
    print(f"largest error of a click: {worst:.3f} CSS px")  # noqa: T201 (shown with -s)
    assert worst <= CLICK


def stored(place: Object, size: Object, orientation: int | None) -> tuple[float, float]:
    """A place in the picture as browsers turn it, in the picture as it is stored."""
    x, y, w, h = place["x"], place["y"], size["w"], size["h"]
    turned = {3: (w - x, h - y), 6: (y, w - x), 8: (h - y, x)}
    return (x, y) if orientation in (None, 1) else turned[orientation]


def test_with_the_pictures_clicks_lie_in_their_stored_frame(tmp_path: Path) -> None:
    pictures = REAL / "images" / "imagenet"
    sources = [REAL / f"imagenet_{part}.jsonl" for part in PARTS]
    abpipe.ingest(*sources, pictures, store=tmp_path / "store", jobs=1)
    query = """
        SELECT page, slot, x_px, y_px, stored_width, stored_height
        FROM clicks
        JOIN annotations USING (annotation_id, image_id) JOIN image_sizes USING (image_id)
        WHERE clicks.frame = 'ok'"""
    with abpipe.connect(tmp_path / "store") as connection:
        found = {(p, s): told for p, s, *told in connection.execute(query).fetchall()}
    turned = checked = 0
    for page in pages("imagenet"):
        for shown in page["images"]:
            told = found.get((page["pageno"] - 1, shown["index"]))
            true, size, exif = (
                shown[name]
                for name in ("intended_final_click_natural", "natural", "exif_orientation")
            )
            if not told or not (pictures / shown["file"]).exists():
                continue
            x, y = stored(true, size, exif)
            assert told[2:] == [shown["file_size"]["w"], shown["file_size"]["h"]]
            px = max(
                size["w"] / shown["box"]["offsetWidth"], size["h"] / shown["box"]["offsetHeight"]
            )
            assert abs(told[0] - x) <= CLICK * px and abs(told[1] - y) <= CLICK * px
            checked, turned = checked + 1, turned + bool(exif)
    assert checked > 20
    assert turned > 2


def test_every_final_set_of_icons_is_right_and_where_it_was(
    con: duckdb.DuckDBPyConnection,
) -> None:
    query = "SELECT page + 1, label, x_px, y_px FROM clicks JOIN annotations USING (annotation_id)"
    found: dict[int, dict[str, tuple[float, float]]] = {}
    for page, label, x, y in con.execute(f"{query} WHERE tool = 'coco'").fetchall():
        found.setdefault(page, {})[label] = x, y
    worst = 0.0
    for page in pages("coco"):
        icons, size, board = page["final_icons"], page["natural"], page["board_end"]
        placed = found.get(page["pageno"], {})
        assert placed.keys() == icons.keys()
        for label, (x, y) in placed.items() if page["pageno"] != SHRUNK else ():
            true = icons[label]["natural"]
            across, down = board["w"] - 2 * board["border"], board["h"] - 2 * board["border"]
            worst = max(worst, abs(x - true["x"]) * across / size["w"])
            worst = max(worst, abs(y - true["y"]) * down / size["h"])
    print(f"largest error of an icon: {worst:.3f} CSS px")  # noqa: T201 (shown with -s)
    assert worst <= ICON
