from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import orjson
import pytest

from abpipe.synth import Synthetic
from abpipe.synth.coco import GROUPS, ICON, icons

Row: TypeAlias = dict[str, Any]
Told: TypeAlias = Callable[[Synthetic, str], list[Row]]

KEYS = {"image_id", "hit_id", "page_id", "worker_id", "originalImageHeight", "originalImageWidth"}
KEYS |= {"imageHeight", "imageWidth", "timeSpent"}
KEYS |= {"actionHistories", "categoryHistories", "mouseTracking"}


@pytest.fixture(scope="module")
def records(coco: Synthetic) -> list[Row]:
    found: list[Row] = orjson.loads(coco.archive.read_bytes())
    return found


def board(record: Row) -> tuple[int, int]:
    """Displayed width and height, by the tool's rule."""
    height = record["imageHeight"]
    return min(
        880, round(450 * record["originalImageWidth"] / record["originalImageHeight"])
    ), height


def loaded(records: list[Row]) -> list[Row]:
    return [record for record in records if record["imageHeight"]]


def replayed(record: Row) -> dict[str, tuple[float, float, int]]:
    """Where each icon lies at the end."""
    places: dict[str, tuple[float, float, int]] = {}
    for action in record["actionHistories"]:
        if action["actionType"] == "remove":
            del places[action["iconType"]]
        else:
            to = action["pointTo"]
            places[action["iconType"]] = (to["x"], to["y"], action["timeAt"])
    return places


def test_it_is_one_line_as_json_dump_writes_it(coco: Synthetic) -> None:
    text = coco.archive.read_bytes()
    assert text.startswith(b'[{"') and text.endswith(b"}]") and b"\n" not in text
    assert b'", "' in text and b'": ' in text and b'":"' not in text


def test_rows_have_the_published_keys_in_any_order(records: list[Row]) -> None:
    assert all(set(record) == KEYS for record in records)
    assert len({tuple(record) for record in records}) > 1000


def test_ranges_are_the_published_ones(records: list[Row]) -> None:
    for record in records:
        assert 0 <= record["page_id"] <= 19
        assert record["imageHeight"] == record["imageWidth"]
        assert record["imageHeight"] in (0, 450, 451)
        assert 0 <= record["originalImageWidth"] <= 640
        assert 4420 <= record["timeSpent"] <= 8_260_000
        assert len(record["hit_id"]) == 32 and len(record["worker_id"]) == 10


def test_pages_of_a_task_are_taken_once(records: list[Row]) -> None:
    keys = [(record["hit_id"], record["page_id"]) for record in records]
    assert len(keys) == len(set(keys))
    assert len({record["image_id"] for record in records}) == len(records)


def test_truth_is_what_a_replay_finds(coco: Synthetic, records: list[Row], told: Told) -> None:
    found = [
        (str(record["image_id"]), icon, *place)
        for record in loaded(records)
        for icon, place in replayed(record).items()
    ]
    keys = ("image_id", "label", "x", "y", "t_ms")
    rows = [tuple(r[key] for key in keys) for r in told(coco, "clicks") if r["x"] is not None]
    assert sorted(found) == sorted(rows)


def test_true_annotations_are_the_rows(coco: Synthetic, records: list[Row], told: Told) -> None:
    keys = ["image_id", "worker_id", "hit_id", "page_id", "timeSpent"]
    found = {
        (*(str(r[key]) for key in keys), len(r["mouseTracking"]), len(r["actionHistories"]))
        for r in records
    }
    told_keys = ["image_id", "annotator_id", "tool_hit_id", "page", "time_spent_ms"]
    assert found == {
        (*(str(row[key]) for key in told_keys), row["n_moves"], row["n_actions"])
        for row in told(coco, "annotations")
    }


def test_places_are_whole_displayed_pixels(records: list[Row]) -> None:
    for record in loaded(records):
        width, height = board(record)
        points = [*record["mouseTracking"], *(a.get("pointTo") for a in record["actionHistories"])]
        for point in filter(None, points):
            assert point["x"] * width == pytest.approx(round(point["x"] * width), abs=1e-9)
            assert point["y"] * height == pytest.approx(round(point["y"] * height), abs=1e-9)
            assert -2 <= round(point["x"] * width) <= width + 2
            assert -2 <= round(point["y"] * height) <= height + 2


def test_edges_are_integers(coco: Synthetic, records: list[Row]) -> None:
    values = [m[axis] for r in loaded(records) for m in r["mouseTracking"] for axis in "xy"]
    assert any(type(value) is int for value in values)
    assert not any(type(value) is float and value in (0, 1) for value in values)


def test_the_trace_has_a_hole_while_an_icon_is_dragged(records: list[Row]) -> None:
    drags = 0
    for record in loaded(records):
        width, height = board(record)
        moves = record["mouseTracking"]
        for action in record["actionHistories"]:
            if action["actionType"] != "move" or action["pointFrom"] == action["pointTo"]:
                continue
            drags += 1
            before = [m for m in moves if m["timeAt"] <= action["timeAt"]]
            if before:
                # the last that was seen is the way to the icon, not the way with it
                old = action["pointFrom"]
                away = max(
                    abs(before[-1]["x"] - old["x"]) * width,
                    abs(before[-1]["y"] - old["y"]) * height,
                )
                assert away > ICON
                assert action["timeAt"] - before[-1]["timeAt"] > 30
    assert drags > 50


def test_no_move_is_over_a_placed_icon(records: list[Row]) -> None:
    for record in loaded(records):
        width, height = board(record)
        for icon, (x, y, t) in replayed(record).items():
            for move in record["mouseTracking"]:
                over = abs(move["x"] - x) * width <= ICON and abs(move["y"] - y) * height <= ICON
                assert not (over and move["timeAt"] >= t), icon


def test_times_ascend_and_end_before_the_page(records: list[Row]) -> None:
    for record in records:
        for name in ("mouseTracking", "actionHistories", "categoryHistories"):
            times = [entry["timeAt"] for entry in record[name]]
            assert times == sorted(times)
            assert not times or times[-1] <= record["timeSpent"]


def test_groups_are_opened_up_to_the_last(records: list[Row]) -> None:
    names = list(GROUPS)
    for record in records:
        steps = record["categoryHistories"]
        assert steps[-1]["categoryIndex"] == 10
        assert all(names[step["categoryIndex"]] == step["categoryName"] for step in steps)
        assert all(abs(a["categoryIndex"] - b["categoryIndex"]) == 1 for a, b in pairwise(steps))


def test_groups_hold_the_80_icons() -> None:
    assert [len(group) for group in GROUPS.values()] == [6, 10, 8, 5, 10, 7, 10, 6, 5, 6, 7]
    assert sorted(sum(GROUPS.values(), ())) == list(range(80))
    named = {group: [icons()[i] for i in members] for group, members in GROUPS.items()}
    assert named["PersonAccessory"][:2] == ["person", "backpack"]
    assert named["Appliance"][0] == "microwave" and named["IndoorObjects"][0] == "book"


def test_missing_points_are_null_or_absent(records: list[Row]) -> None:
    adds = [a for r in records for a in r["actionHistories"] if a["actionType"] == "add"]
    removes = [a for r in records for a in r["actionHistories"] if a["actionType"] == "remove"]
    absent = np.mean(["pointFrom" not in add for add in adds])
    assert 0.02 < absent < 0.3
    assert all(add.get("pointFrom") is None for add in adds)
    assert removes and all(remove.get("pointTo") is None for remove in removes)


def test_distributions_are_those_of_the_published_file(coco: Synthetic, records: list[Row]) -> None:
    gaps = np.concatenate([np.diff([m["timeAt"] for m in r["mouseTracking"]]) for r in records])
    assert coco.archive.stat().st_size / len(records) == pytest.approx(4_800, rel=0.1)
    assert np.median(gaps) == 17
    assert gaps[gaps > 250].sum() / gaps.sum() > 0.6
