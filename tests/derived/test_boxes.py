from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .test_visits import IMAGE, timed

Ask = Callable[..., list[tuple[Any, ...]]]

MOVES = timed(("move", 0, -0.1, 0.5), ("move", 20, 0.5, 0.5), ("move", 40, 0.5, 0.9))


def test_all_columns_of_the_boxes_of_a_trace(ask: Ask) -> None:
    rows = ask("FROM boxes ORDER BY kind DESC", images=[IMAGE], annotations=[{}], events=MOVES)
    told = (1, "n1_1", "a", "n1")
    reach = 0.2 * (200**2 + 100**2) ** 0.5
    assert rows == [
        (*told, "trace", 0, 50, 100, 90, "assumed", "d"),
        (*told, "hull", 0, 50, 100, 90, "assumed", "d"),
        (*told, "core", 100 - reach, 50 - reach, 100 + reach, 100, "assumed", "d"),
    ]


def test_a_coco_trace_belongs_to_no_class_and_no_trace_gives_no_box(ask: Ask) -> None:
    query = "SELECT DISTINCT label FROM boxes"
    coco = {"images": [IMAGE | {"class_id": None}], "annotations": [{"tool": "coco"}]}
    assert ask(query, events=MOVES, **coco) == [("",)]
    assert ask(query, **coco) == []
