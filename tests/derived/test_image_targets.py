from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Ask = Callable[..., list[tuple[Any, ...]]]

IMAGE = {"width": 30, "height": 40}  # its diagonal is 50


def records(*points: tuple[float, float] | None) -> dict[str, list[dict[str, Any]]]:
    """An annotator for each point, who clicked there or (None) did not select the picture."""
    seen = {"natural_width": 30, "natural_height": 40}
    annotations = [
        seen | {"annotation_id": n, "annotator_id": f"a{n}", "selected": point is not None}
        for n, point in enumerate(points)
    ]
    events = [
        {"annotation_id": n, "kind": "click", "x": point[0], "y": point[1]}
        for n, point in enumerate(points)
        if point
    ]
    return {"images": [IMAGE], "annotations": annotations, "events": events}


def targets(ask: Ask, columns: str, *points: tuple[float, float] | None) -> Any:
    return ask(f"SELECT {columns} FROM image_targets ORDER BY label", **records(*points))


def test_the_target_is_the_mean_click(ask: Ask) -> None:
    columns = "label, x, y, n_annotators, agreement, weight, flags"
    assert targets(ask, columns, (0.25, 0.5), (0.75, 0.5)) == [("n1", 0.5, 0.5, 2, 1.0, 1.0, [])]


def test_the_spread_is_the_distance_from_the_mean_over_the_diagonal(ask: Ask) -> None:
    (found,) = targets(ask, "spread", (0.4, 0.5), (0.6, 0.5))  # 3 pixels to either side
    assert found == (pytest.approx(3 / 50),)
    assert targets(ask, "spread", (0.4, 0.5)) == [(None,)]


def test_agreement_counts_those_who_did_not_select_it(ask: Ask) -> None:
    columns = "n_annotators, agreement, flags"
    assert targets(ask, columns, (0.5, 0.5), None) == [(1, 0.5, ["disputed"])]
    assert targets(ask, columns, (0.5, 0.5), (0.5, 0.5), None) == [(2, 2 / 3, [])]


def test_a_label_that_nobody_clicked_has_no_place(ask: Ask) -> None:
    columns = "label, x, y, spread, n_annotators, agreement, weight, flags"
    assert targets(ask, columns, None) == [
        ("n1", None, None, None, 0, 0.0, None, ["unplaced", "disputed"])
    ]
    assert targets(ask, columns) == [("n1", None, None, None, 0, None, None, ["unplaced", "frame"])]


def test_what_to_mind_is_flagged(ask: Ask) -> None:
    assert targets(ask, "flags", (0.0, 0.0), (1.0, 1.0)) == [(["spread"],)]
    assert targets(ask, "flags", (1.5, 0.5)) == [(["outside"],)]


def test_an_annotator_with_two_records_counts_once(ask: Ask) -> None:
    given = records((0.5, 0.5), (0.7, 0.5), None)
    for record in given["annotations"][:2]:
        record["annotator_id"] = "same"
    query = "SELECT n_annotators, agreement, x FROM image_targets"
    assert ask(query, **given) == [(1, 0.5, 0.6)]


def test_ground_truth_classes_of_coco_stand_beside_those_that_were_placed(ask: Ask) -> None:
    found = ask(
        "SELECT label, x FROM image_targets ORDER BY label",
        images=[{"image_id": "9", "class_id": None}],
        annotations=[{"image_id": "9", "tool": "coco", "annotator_id": "a"}],
        events=[{"image_id": "9", "kind": "add", "label": "cat", "x": 0.5, "y": 0.5}],
        objects=[
            {"image_id": "9", "object_no": n, "class_id": name}
            for n, name in enumerate(["cat", "dog", "dog"])
        ],
    )
    assert found == [("cat", 0.5), ("dog", None)]


def test_boxes_of_other_classes_make_no_label_in_imagenet(ask: Ask) -> None:
    given = records((0.5, 0.5)) | {"objects": [{"class_id": "n2"}]}
    assert ask("SELECT label FROM image_targets", **given) == [("n1",)]


def test_the_box_is_the_mean_of_the_core_boxes(ask: Ask) -> None:
    given = records((0.5, 0.5), (0.5, 0.5), None)
    for n, place in enumerate([0.2, 0.4, 0.9]):
        given["events"] += [
            {"annotation_id": n, "kind": "move", "seq": seq, "t_ms": 10 * seq, "x": x, "y": x}
            for seq, x in enumerate((place, place + 0.1))
        ]
    columns = "xmin, ymin, xmax, ymax FROM boxes WHERE kind = 'core' AND annotation_id < 2"
    one, other = ask(f"SELECT {columns} ORDER BY annotation_id", **given)
    mean = [(a + b) / 2 for a, b in zip(one, other, strict=True)]
    assert one != other
    query = "SELECT box_xmin, box_ymin, box_xmax, box_ymax FROM image_targets"
    assert ask(query, **given) == [tuple(map(pytest.approx, mean))]


def test_the_weight_is_the_mean_of_those_who_clicked(ask: Ask) -> None:
    given = records((0.5, 0.5), (0.5, 0.5), None)
    bad = [
        # an annotator who clicks one spot whatever the picture: as suspicious as can be
        {"annotation_id": 100 + n, "image_id": f"n1_{n}", "annotator_id": "a0", "selected": True}
        for n in range(2, 102)
    ]
    given["annotations"] += bad
    given["images"] += [IMAGE | {"image_id": record["image_id"]} for record in bad]
    given["events"] += [record | {"kind": "click", "x": 0.5, "y": 0.5} for record in bad]
    ((weight,),) = ask("SELECT weight FROM annotators WHERE annotator_id = 'a0'", **given)
    assert weight < 1
    found = ask("SELECT weight FROM image_targets WHERE n_annotators = 2", **given)
    assert found == [(pytest.approx((weight + 1) / 2),)]
