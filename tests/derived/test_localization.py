from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from tests.derived import evaluation

import abpipe

Dict = dict[str, Any]
Given = Callable[..., list[tuple[Any, ...]]]

SIZE = {"stored_width": 200, "stored_height": 100, "orientation": 1}
PLACED = "SELECT what, n_objects, inside, iou, distance, object_px FROM localization ORDER BY what"


def tables(**told: list[Dict]) -> dict[str, list[Dict]]:
    """Tables about one record of one picture of 200 x 100, of class n1."""
    base = {"annotation_id": 1, "image_id": "n1_1", "annotator_id": "a", "label": "n1"}
    given: dict[str, list[Dict]] = {
        "annotations": [{}],
        "images": [{}],
        "image_sizes": [SIZE | {"image_id": "n1_1"}],
        "visits": [],
        "boxes": [],
    }
    given |= told
    return {
        name: [base | {"kind": "core"} | row for row in rows]
        if name in ("clicks", "boxes", "visits")
        else rows
        for name, rows in given.items()
    }


def box(xmin: float, ymin: float, xmax: float, ymax: float, **more: Any) -> Dict:
    return {"xmin": xmin, "ymin": ymin, "xmax": xmax, "ymax": ymax, "class_id": "n1"} | more


def test_a_click_and_a_box_against_the_objects_of_their_class(given: Given) -> None:
    told = tables(
        clicks=[{"x_px": 50.0, "y_px": 60.0}],
        boxes=[box(20, 20, 60, 60)],
        objects=[
            box(50, 20, 110, 100),
            box(0, 0, 30, 40, object_no=1),
            box(0, 0, 200, 100, object_no=2, class_id="n2"),
        ],
    )
    assert given("localization", PLACED, **told) == [
        ("click", 2, True, None, 0.3, 4800.0),  # on the edge of the first; 30 from its middle
        ("core", 2, False, 200 / (1600 + 1200 - 200), pytest.approx(0.2**0.5), 4800.0),
    ]


def test_without_ground_truth_there_is_a_row_and_no_score(given: Given) -> None:
    told = tables(
        clicks=[{"x_px": 50.0, "y_px": 60.0}],
        boxes=[box(20, 20, 60, 60)],
        visits=[{"visit": 0, "n_moves": 1, "x_px": [9.0], "y_px": [9.0], "dwell_ms": [5]}],
    )
    nothing = (0, None, None, None, None)
    assert given("localization", PLACED, **told) == [
        (what, *nothing) for what in ("click", "core", "map")
    ]


def test_crowds_hold_clicks_and_are_no_box_to_match(given: Given) -> None:
    told = tables(
        clicks=[{"x_px": 50.0, "y_px": 60.0}],
        boxes=[box(20, 20, 60, 60)],
        objects=[box(20, 20, 60, 60, iscrowd=1)],
    )
    assert given("localization", PLACED, **told) == [
        ("click", 1, True, None, None, None),
        ("core", 1, True, None, None, None),
    ]


def test_boxes_follow_the_size_in_which_the_picture_is_stored(given: Given) -> None:
    told = tables(
        images=[{"width": 400, "height": 400}],
        clicks=[{"x_px": 50.0, "y_px": 60.0}],
        objects=[box(80, 200, 120, 280)],
    )
    assert given("localization", PLACED, **told) == [("click", 1, True, None, 0.0, 400.0)]


def test_a_click_in_the_box_may_miss_the_mask(given: Given) -> None:
    triangle = orjson.dumps([[0, 0, 100, 0, 0, 100]]).decode()
    told = tables(
        clicks=[{"x_px": 10.0, "y_px": 10.0}, {"annotation_id": 2, "x_px": 90.0, "y_px": 90.0}],
        annotations=[{}, {"annotation_id": 2}],
        objects=[box(0, 0, 100, 100, mask=triangle)],
    )
    query = "SELECT inside, inside_mask FROM localization ORDER BY annotation_id"
    assert given("localization", query, **told) == [(True, True), (True, False)]


def test_a_map_is_judged_by_all_visits_of_the_record(given: Given) -> None:
    moves = [(30.0, 20.0, 100.0), (40.0, 30.0, 50.0), (150.0, 70.0, 120.0)]
    boxes = [(10.0, 0.0, 60.0, 60.0), (120.0, 10.0, 190.0, 60.0)]
    visits = [
        {"visit": n, "n_moves": len(x), "x_px": x, "y_px": y, "dwell_ms": [int(t) for t in dwell]}
        for n, (x, y, dwell) in enumerate(
            [tuple(zip(*moves[:2], strict=True)), tuple(zip(*moves[2:], strict=True))]
        )
    ]
    told = tables(
        visits=visits,
        objects=[box(*edges, object_no=n) for n, edges in enumerate(boxes)],
    )
    query = "SELECT what, inside, energy, nss > 0, auc > 0.5, cc > 0, kl > 0 FROM localization"
    energy = pytest.approx(evaluation.energy_of(moves, boxes, (200, 100)), rel=1e-4)
    # the longest stay at one place is outside
    assert given("localization", query, **told) == [("map", False, energy, *[True] * 4)]


def test_a_map_without_dwell_has_no_score(given: Given) -> None:
    told = tables(
        visits=[{"visit": 0, "n_moves": 1, "x_px": [30.0], "y_px": [20.0], "dwell_ms": [0]}],
        objects=[box(0, 0, 60, 60)],
    )
    query = "SELECT what, n_objects, inside, energy, sim FROM localization"
    assert given("localization", query, **told) == [("map", 1, None, None, None)]


@pytest.mark.parametrize("seed", range(5))
def test_random_answers_are_what_plain_python_finds(given: Given, seed: int) -> None:
    random = Random(seed)

    def edges() -> tuple[float, float, float, float]:
        x, y = random.randrange(0, 150), random.randrange(0, 70)
        return (x, y, x + random.randrange(1, 50), y + random.randrange(1, 30))

    records = range(300)
    images = {n: f"i{random.randrange(60)}" for n in records}
    rows: list[Dict] = [{"annotation_id": n, "image_id": images[n]} for n in records]
    objects = [
        box(*edges(), image_id=f"i{n % 45}", object_no=n, iscrowd=int(random.random() < 0.1))
        | {"class_id": random.choice(["n1", "n1", "n2"])}
        for n in range(90)
    ]
    clicks = [
        row | {"x_px": random.uniform(-5, 205), "y_px": random.uniform(-5, 105)} for row in rows
    ]
    boxes = [row | box(*edges()) for row in rows]
    told = tables(
        annotations=rows,
        images=[{"image_id": image} for image in sorted({*images.values()})],
        image_sizes=[SIZE | {"image_id": image} for image in sorted({*images.values()})],
        clicks=clicks,
        boxes=boxes,
        objects=[row for row in objects if row["image_id"] in images.values()],
    )
    query = """SELECT what, annotation_id, n_objects, inside, iou, distance FROM localization
        ORDER BY what, annotation_id"""
    found = given("localization", query, **told)
    assert len(found) == 600
    for what, n, *answer in found:
        own = evaluation.objects_of(told, images[n], "n1")
        one = boxes[n]
        edge = (one["xmin"], one["ymin"], one["xmax"], one["ymax"])
        middle = ((edge[0] + edge[2]) / 2, (edge[1] + edge[3]) / 2)
        x, y = (clicks[n]["x_px"], clicks[n]["y_px"]) if what == "click" else middle
        expected = evaluation.localized(own, x, y, None if what == "click" else edge)
        assert answer == [
            pytest.approx(value) if isinstance(value, float) else value for value in expected
        ]


def test_scores_are_summed_up_overall_and_by_class_annotator_and_size(given: Given) -> None:
    base = {"image_id": "i", "what": "core"}
    judged = base | {"n_objects": 1, "inside": True, "iou": 0.5, "object_px": 1000.0}
    rows = [
        judged | {"annotation_id": 1, "annotator_id": "a", "label": "n1"},
        judged
        | {"annotation_id": 2, "annotator_id": "b", "label": "n1", "iou": 0.25, "object_px": 5e4},
        base | {"annotation_id": 3, "annotator_id": "b", "label": "n2", "n_objects": 0},
    ]
    query = """SELECT "of", name, n, n_judged, corloc, mean_iou FROM localization_scores
        ORDER BY ALL"""
    assert given("localization_scores", query, localization=rows) == [
        ("all", "", 3, 2, 0.5, 0.375),
        ("annotator", "a", 1, 1, 1.0, 0.5),
        ("annotator", "b", 2, 1, 0.0, 0.25),
        ("class", "n1", 2, 2, 0.5, 0.375),
        ("class", "n2", 1, 0, None, None),
        ("size", "", 1, 0, None, None),
        ("size", "large", 1, 1, 0.0, 0.25),
        ("size", "small", 1, 1, 1.0, 0.5),
    ]


def test_the_samples_localize(both: Path) -> None:
    with abpipe.connect(both) as connection:
        found = connection.execute(
            """SELECT what, coverage, inside_rate FROM localization_scores
            WHERE "of" = 'all' AND dataset = 'imagenet-ab' ORDER BY what"""
        ).fetchall()
    assert [what for what, *_ in found] == ["click", "core", "hull", "map", "trace"]
    assert all(0.3 < coverage < 0.6 and rate > 0.5 for _, coverage, rate in found)
