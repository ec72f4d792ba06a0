from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .records import Record, records, tables
from .slow_traces import path, rests

Ask = Callable[..., list[tuple[Any, ...]]]

IMAGE = {"width": 200, "height": 100}
COLUMNS = "start_ms, end_ms, n_moves, observed_ms, unobserved_ms, ended"


def timed(*events: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Events as (kind, t_ms, x, y), numbered within their lists."""
    seen: dict[str, int] = {}
    rows = []
    for kind, t, *place in events:
        one = "hover" if kind in ("enter", "leave") else kind
        rows.append({"kind": kind, "seq": seen.get(one, 0), "t_ms": t})
        rows[-1] |= dict(zip(("x", "y"), place, strict=True)) if place else {}
        seen[one] = seen.get(one, 0) + 1
    return rows


def visits(ask: Ask, *events: tuple[Any, ...], select: str = COLUMNS, **record: Any) -> Any:
    query = f"SELECT {select} FROM visits ORDER BY annotation_id, visit"
    return ask(query, images=[IMAGE], annotations=[record], events=timed(*events))


def test_all_columns_of_a_visit(ask: Ask) -> None:
    events = [("enter", 0), ("move", 10, 0.5, 0.5), ("move", 30, 0.5, 0.5), ("move", 50, 0.56, 0.5)]
    rows = visits(ask, *events, ("click", 450, 0.56, 0.5), ("leave", 500), select="*")
    assert rows == [
        (
            *(1, 0, "n1_1", 0, 500, 0, 450, "click", True, 3, 1, 450, 50, 440, 440),
            *(pytest.approx(12), 40, 420, 1, 400, [10, 30, 50]),
            *([100, 100, 112.00000000000001], [50, 50, 50], [20, 20, 400], "d"),
        )
    ]


def test_silence_inside_a_visit_is_rest_and_outside_of_one_a_gap(ask: Ask) -> None:
    moves = ("move", 0, 0.1, 0.1), ("move", 5000, 0.9, 0.9)
    assert visits(ask, ("enter", 0), *moves, ("leave", 5050)) == [(0, 5050, 2, 5050, 0, "leave")]
    assert visits(ask, *moves) == [(0, 0, 1, 0, 5000, "gap"), (5000, 5000, 1, 0, 0, "submit")]


def test_a_missing_leave_is_cut_by_the_gap_and_by_the_next_enter(ask: Ask) -> None:
    first = ("enter", 0), ("move", 0, 0.1, 0.1), ("move", 90, 0.3, 0.3)
    assert visits(ask, *first, ("enter", 400), ("move", 400, 0.5, 0.5), ("leave", 800)) == [
        (0, 90, 2, 90, 310, "gap"),
        (400, 800, 1, 400, 0, "leave"),
    ]
    assert visits(ask, *first, ("move", 400, 0.5, 0.5)) == [
        (0, 90, 2, 90, 310, "gap"),
        (400, 400, 1, 0, 0, "submit"),
    ]


def test_a_leave_without_an_enter_ends_a_visit_and_one_alone_is_none(ask: Ask) -> None:
    assert visits(ask, ("move", 0, 0.1, 0.1), ("leave", 50)) == [(0, 50, 1, 50, 0, "leave")]
    assert visits(ask, ("move", 0, 0.1, 0.1), ("leave", 900)) == [(0, 0, 1, 0, 900, "leave")]
    assert visits(ask, ("leave", 50)) == []


def test_a_hover_without_a_move_is_a_visit(ask: Ask) -> None:
    assert visits(
        ask, ("enter", 0), ("leave", 900), select=f"{COLUMNS}, dwell, path, idle_time"
    ) == [(0, 900, 0, 900, 0, "leave", None, None, None)]


def test_nothing_is_observed_from_the_selecting_click_to_the_next_move(ask: Ask) -> None:
    start = ("enter", 0), ("move", 0, 0.1, 0.1), ("click", 200, 0.1, 0.1)
    again = ("move", 900, 0.2, 0.2), ("click", 1000, 0.2, 0.2), ("leave", 1500)
    assert visits(ask, *start, *again, selected=True, select=f"{COLUMNS}, deciding") == [
        (0, 200, 1, 200, 700, "click", False),
        (900, 1000, 1, 100, 500, "click", True),
    ]
    # coming back to a selected picture
    assert visits(ask, *start, ("leave", 300), ("enter", 400), ("leave", 700)) == [
        (0, 200, 1, 200, 100, "click"),
        (400, 400, 0, 0, 300, "leave"),
    ]


def test_a_leave_and_an_enter_at_once_are_two_visits(ask: Ask) -> None:
    events = ("enter", 0), ("move", 0, 0.1, 0.1), ("leave", 100), ("enter", 100)
    assert visits(ask, *events, ("move", 100, 0.2, 0.2), ("leave", 300)) == [
        (0, 100, 2, 100, 0, "leave"),
        (100, 300, 0, 200, 0, "leave"),
    ]


def test_coco_rests_within_two_pixels_unless_something_was_done(ask: Ask) -> None:
    def coco(*events: tuple[Any, ...]) -> Any:
        return visits(ask, *events, tool="coco")

    near = ("move", 0, 0.5, 0.5), ("move", 5000, 0.502, 0.5)  # of a board of 880 x 450
    far = ("move", 0, 0.5, 0.5), ("move", 5000, 0.503, 0.5)
    assert coco(*near) == [(0, 5000, 2, 5000, 0, "submit")]
    cut = [(0, 0, 1, 0, 5000, "gap"), (5000, 5000, 1, 0, 0, "submit")]
    assert coco(*far) == cut
    assert coco(near[0], ("browse", 200), near[1]) == cut
    assert coco(near[0], ("add", 200, 0.5, 0.5), near[1]) == cut
    assert coco(("move", 0, 0.1, 0.1), ("add", 50, 0.5, 0.5), ("move", 100, 0.9, 0.9)) == [
        (0, 100, 2, 100, 0, "submit")
    ]


def test_moves_without_time_or_place_are_left_out_and_others_ordered_by_time(ask: Ask) -> None:
    events = ("move", 50, 0.1, 0.1), ("move", None, 0.2, 0.2), ("move", 60, None, 0.2)
    rows = visits(ask, *events, ("move", 20, 0.3, 0.3), select="t_ms, dwell_ms")
    assert rows == [([20, 50], [30, 0])]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_places_are_those_of_the_stored_picture(ask: Ask, orientation: int) -> None:
    events = timed(("move", 0, 0.25, 0.2), ("click", 10, 0.25, 0.2))
    picture = {"stored_width": 200, "stored_height": 100, "exif_orientation": orientation}
    (row,) = ask(
        "SELECT v.x_px[1], v.y_px[1], c.x_px, c.y_px"
        " FROM visits AS v JOIN clicks AS c USING (annotation_id)",
        images=[IMAGE],
        pictures=[picture],
        annotations=[{"selected": True}],
        events=events,
    )
    assert row[:2] == row[2:]


def test_without_a_size_there_are_times_and_no_places(ask: Ask) -> None:
    rows = ask(
        "SELECT n_moves, t_ms, x_px, path, dwell FROM visits",
        images=[{}],
        annotations=[{}],
        events=timed(("move", 0, 0.1, 0.1), ("move", 50, 0.2, 0.2)),
    )
    assert rows == [(2, [0, 50], None, None, 50)]


@pytest.mark.parametrize("tool", ["imagenet", "coco"])
def test_visits_of_random_records_are_those_of_the_slow_reference(ask: Ask, tool: str) -> None:
    made = records(tool, 1500)
    found = ask(
        "SELECT annotation_id, visit, enter_ms, leave_ms, start_ms, end_ms, ended, deciding,"
        " n_moves, n_clicks, unobserved_ms, dwell, round(path, 6), idle_time, hovers, hover_time,"
        " t_ms, dwell_ms FROM visits ORDER BY annotation_id, visit",
        **tables(made),
    )
    wanted = [row for number, record in enumerate(made) for row in expected(number, record)]
    assert len(wanted) > 2500
    assert found == wanted


def expected(number: int, record: Record) -> Iterator[tuple[Any, ...]]:
    """The rows of a record's visits."""
    for place, visit in enumerate(record.visits):
        points = visit.points(*record.size)
        length, rest = path(points), rests(points)
        hovers = [ms for ms in rest if ms > 250]
        times = sum(p.dwell for p in points), length and round(length, 6)
        yield (
            *(number, place, visit.enter, visit.leave, visit.start, visit.end, visit.ended),
            *(visit.deciding, len(points), visit.clicks, visit.unobserved),
            *((*times, sum(rest), len(hovers), sum(hovers)) if points else [None] * 5),
            *([p.t for p in points], [p.dwell for p in points]),
        )
