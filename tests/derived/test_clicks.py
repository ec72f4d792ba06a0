from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Ask = Callable[..., list[tuple[Any, ...]]]

IMAGE = {"width": 200, "height": 100}
RECORD = {"selected": True, "natural_width": 200, "natural_height": 100}
COCO = {"tool": "coco", "image_id": "9", "natural_width": 640, "natural_height": 480}

FINAL = "SELECT label, x, y, t_ms, n_clicks FROM clicks ORDER BY ALL"
PUBLISHED = "SELECT label, x, y, t_ms, n_clicks FROM clicks_published ORDER BY ALL"


def clicks(*points: tuple[float | None, float | None]) -> list[dict[str, Any]]:
    """A click at each point, a millisecond apart."""
    return [
        {"kind": "click", "seq": n, "t_ms": n, "x": x, "y": y} for n, (x, y) in enumerate(points)
    ]


def actions(*told: tuple[Any, ...]) -> list[dict[str, Any]]:
    """An icon's actions, as (kind, label, x, y), a millisecond apart."""
    return [
        {"image_id": "9", "kind": kind, "label": label, "seq": n, "t_ms": n}
        | dict(zip(("x", "y"), place, strict=True) if place else ())
        for n, (kind, label, *place) in enumerate(told)
    ]


def imagenet(ask: Ask, query: str, events: list[dict[str, Any]], **record: Any) -> Any:
    return ask(query, images=[IMAGE], annotations=[RECORD | record], events=events)


def coco(ask: Ask, query: str, events: list[dict[str, Any]], **record: Any) -> Any:
    images = [{"image_id": "9", "class_id": None}]
    return ask(query, images=images, annotations=[COCO | record], events=events)


def test_all_columns_of_a_click(ask: Ask) -> None:
    assert imagenet(ask, "FROM clicks", clicks((0.25, 0.5))) == [
        (1, "n1_1", "a", "n1", None, 0.25, 0.5, 50.0, 50.0, 0, 1, True, "ok", "d")
    ]


def test_the_last_click_is_the_answer_and_the_published_loader_takes_the_first(ask: Ask) -> None:
    events = clicks((0.1, 0.1), (0.2, 0.2), (0.3, 0.3))
    assert imagenet(ask, FINAL, events) == [("n1", 0.3, 0.3, 2, 3)]
    assert imagenet(ask, PUBLISHED, events) == [("n1", 0.1, 0.1, 0, 3)]


def test_the_order_of_the_list_counts_where_times_are_equal_or_go_back(ask: Ask) -> None:
    events = [event | {"t_ms": 5} for event in clicks((0.1, 0.1), (0.2, 0.2))]
    assert imagenet(ask, FINAL, events[::-1]) == [("n1", 0.2, 0.2, 5, 2)]
    events[1]["t_ms"] = 4
    assert imagenet(ask, FINAL, events) == [("n1", 0.2, 0.2, 4, 2)]


@pytest.mark.parametrize("selected", [False, None])
@pytest.mark.parametrize("query", [FINAL, PUBLISHED])
def test_a_record_that_did_not_end_selected_has_no_click(
    ask: Ask, query: str, selected: bool | None
) -> None:
    assert imagenet(ask, query, clicks((0.1, 0.1)), selected=selected) == []


@pytest.mark.parametrize("query", [FINAL, PUBLISHED])
def test_a_selected_record_without_a_click_has_none(ask: Ask, query: str) -> None:
    moves = [{"kind": "move", "x": 0.5, "y": 0.5}]
    assert imagenet(ask, query, moves) == []


def test_a_click_without_a_place_is_an_answer_without_a_place(ask: Ask) -> None:
    query = "SELECT x, y, x_px, y_px, inside FROM clicks"
    assert imagenet(ask, query, clicks((0.1, 0.1), (None, None))) == [(None,) * 5]


@pytest.mark.parametrize("x, inside", [(0, True), (1, True), (-0.0164, False), (1.0001, False)])
def test_the_edges_are_inside(ask: Ask, x: float, inside: bool) -> None:
    assert imagenet(ask, "SELECT inside FROM clicks", clicks((x, 0.5))) == [(inside,)]
    assert imagenet(ask, "SELECT inside FROM clicks", clicks((0.5, x))) == [(inside,)]


def test_a_picture_of_no_known_class_has_an_empty_label(ask: Ask) -> None:
    found = ask(FINAL, images=[{"class_id": None}], annotations=[RECORD], events=clicks((0.1, 0.1)))
    assert found == [("", 0.1, 0.1, 0, 1)]


def test_pixels_are_of_the_stored_size_and_unknown_without_one(ask: Ask) -> None:
    query = "SELECT x_px, y_px, frame FROM clicks"
    events = clicks((0.25, 0.5))
    assert imagenet(ask, query, events, natural_width=100, natural_height=50) == [(50, 50, "ok")]
    found = ask(query, images=[{}], annotations=[{"selected": True}], events=events)
    assert found == [(None, None, "unknown")]


def test_the_published_loader_turns_no_picture(ask: Ask) -> None:
    turned = {"natural_width": 100, "natural_height": 200}
    events = clicks((0.25, 0.1))
    query = "SELECT x, y, x_px, y_px FROM "
    assert imagenet(ask, query + "clicks", events, **turned) == [(0.1, 0.75, 20.0, 75.0)]
    assert imagenet(ask, query + "clicks_published", events, **turned) == [(0.25, 0.1, 50.0, 10.0)]


def test_icons_lie_where_they_were_put_last(ask: Ask) -> None:
    events = actions(
        ("add", "cake", 0.1, 0.1), ("drag", "cake", 0.2, 0.3), ("add", "cat", 0.5, 0.5)
    )
    assert coco(ask, FINAL, events) == [("cake", 0.2, 0.3, 1, 2), ("cat", 0.5, 0.5, 2, 1)]
    assert coco(ask, PUBLISHED, events) == [("cake", 0.1, 0.1, 0, 1), ("cat", 0.5, 0.5, 2, 1)]


def test_a_removed_icon_lies_nowhere_but_the_published_loader_keeps_it(ask: Ask) -> None:
    events = actions(("add", "cat", 0.1, 0.1), ("remove", "cat"))
    assert coco(ask, FINAL, events) == []
    assert coco(ask, PUBLISHED, events) == [("cat", 0.1, 0.1, 0, 1)]


@pytest.mark.parametrize(
    "told, expected",
    [
        pytest.param(
            [("add", "cat", 0.1, 0.1), ("remove", "cat"), ("add", "cat", 0.2, 0.2)],
            [("cat", 0.2, 0.2, 2, 2)],
            id="added again",
        ),
        pytest.param(
            [("add", "cat", 0.1, 0.1), ("add", "cat", 0.2, 0.2)],
            [("cat", 0.2, 0.2, 1, 2)],
            id="added while there: it moves",
        ),
        pytest.param(
            [("drag", "cat", 0.2, 0.2)], [("cat", 0.2, 0.2, 0, 1)], id="dragged though never added"
        ),
        pytest.param(
            [("add", "cat", 0.1, 0.1), ("remove", "cat"), ("drag", "cat", 0.3, 0.3)],
            [("cat", 0.3, 0.3, 2, 2)],
            id="dragged after it was removed",
        ),
        pytest.param([("remove", "cat")], [], id="removed though never added"),
        pytest.param(
            [("add", "cat", 0.1, 0.1), ("drag", "cat")],
            [("cat", None, None, 1, 2)],
            id="dragged to no place",
        ),
        pytest.param([("add", None, 0.1, 0.1)], [], id="an icon without a name"),
    ],
)
def test_a_history_is_replayed(
    ask: Ask, told: list[tuple[Any, ...]], expected: list[tuple[Any, ...]]
) -> None:
    assert coco(ask, FINAL, actions(*told)) == expected


def test_a_category_has_its_number_in_coco(ask: Ask) -> None:
    events = actions(("add", "stop sign", 0.1, 0.1), ("add", "unicorn", 0.1, 0.1))
    query = "SELECT label, category_id FROM clicks ORDER BY ALL"
    assert coco(ask, query, events) == [("stop sign", 13), ("unicorn", None)]


def test_the_published_loader_cuts_pixels_off_towards_zero(ask: Ask) -> None:
    events = actions(("add", "cat", 0.3335, -0.0044))
    query = "SELECT x_px, y_px FROM "
    assert coco(ask, query + "clicks", events) == [(0.3335 * 640, -0.0044 * 480)]
    assert coco(ask, query + "clicks_published", events) == [(213, -2)]


def test_each_record_has_its_own_answers(ask: Ask) -> None:
    found = ask(
        "SELECT annotation_id, x FROM clicks ORDER BY ALL",
        images=[IMAGE],
        annotations=[RECORD, RECORD | {"annotation_id": 2}],
        events=clicks((0.1, 0.1)) + [e | {"annotation_id": 2} for e in clicks((0.2, 0.2))],
    )
    assert found == [(1, 0.1), (2, 0.2)]
