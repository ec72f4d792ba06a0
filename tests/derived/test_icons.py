from __future__ import annotations

from collections.abc import Callable
from typing import Any

Ask = Callable[..., list[tuple[Any, ...]]]

RECORD = {"tool": "coco", "image_id": "9", "natural_width": 640, "natural_height": 480}


def icons(ask: Ask, columns: str, *actions: dict[str, Any]) -> list[tuple[Any, ...]]:
    events = [
        {"image_id": "9", "label": "cat", "seq": n, "t_ms": 10 * n} | action
        for n, action in enumerate(actions)
    ]
    images = [{"image_id": "9", "class_id": None}]
    query = f"SELECT {columns} FROM icons ORDER BY label"
    return ask(query, images=images, annotations=[RECORD], events=events)


ADD = {"kind": "add", "x": 0.1, "y": 0.2}
DRAG = {"kind": "drag", "x": 0.3, "y": 0.4, "x_from": 0.1, "y_from": 0.2}
REMOVE = {"kind": "remove", "x_from": 0.3, "y_from": 0.4}


def test_all_columns_of_an_icon(ask: Ask) -> None:
    assert icons(ask, "*", ADD, DRAG) == [
        (1, "9", "cat", 17, 1, 1, 0, 0, 10, True, 0.3, 0.4, "assumed", "d")
    ]


def test_what_was_taken_back_stays_with_its_counts_and_last_place(ask: Ask) -> None:
    columns = "n_adds, n_drags, n_removes, first_ms, last_ms, is_final, x, y"
    assert icons(ask, columns, ADD, DRAG, REMOVE, ADD, REMOVE | {"x_from": 0.1}) == [
        (2, 1, 2, 0, 40, False, 0.1, 0.4)
    ]


def test_a_removal_without_a_place_leaves_the_place_before(ask: Ask) -> None:
    assert icons(ask, "x, y, is_final", ADD, {"kind": "remove"}) == [(0.1, 0.2, False)]


def test_a_place_is_never_put_together_from_two(ask: Ask) -> None:
    half = {"kind": "drag", "x": 0.9, "y": None, "x_from": 0.5, "y_from": 0.6}
    assert icons(ask, "x, y", ADD, half) == [(0.5, 0.6)]
    assert icons(ask, "x, y", {"kind": "add"}) == [(None, None)]


def test_each_label_is_an_icon_and_one_without_a_name_is_none(ask: Ask) -> None:
    found = icons(ask, "label", ADD, ADD | {"label": "dog"}, ADD | {"label": None})
    assert found == [("cat",), ("dog",)]
