from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import shapely

from .records import Record, records, tables
from .slow_traces import estimate, path, rests, shape
from .test_visits import IMAGE, timed

Ask = Callable[..., list[tuple[Any, ...]]]

SHAPE = (
    "initiation_time", "vel_max", "vel_max_time", "vel_mean", "acc_max", "acc_max_time", "MAD",
    "MAD_time", "AD", "AUC", "xpos_flips", "ypos_flips", "sample_entropy", "straightness",
    "jump_share",
)  # fmt: skip
BOX = "box_xmin, box_ymin, box_xmax, box_ymax"
ROOT = Path(__file__).resolve().parents[2]
PAGES = Path(os.environ.get("ABPIPE_REAL") or ROOT.parent / "shared" / "real") / "tool_pages"


def traces(ask: Ask, select: str, *events: tuple[Any, ...], **record: Any) -> tuple[Any, ...]:
    (row,) = ask(
        f"SELECT {select} FROM traces",
        images=[IMAGE],
        annotations=[record],
        events=timed(*events),
    )
    return row


def test_a_record_without_moves_has_a_row(ask: Ask) -> None:
    select = f"n_moves, n_visits, dwell, total_dist, hull, hull_x, {BOX}, core_xmin, MAD"
    assert traces(ask, select) == (0, 0, *[None] * 10)
    assert traces(ask, f"{select}, observed_ms", ("enter", 0), ("leave", 9)) == (
        *(0, 1, *[None] * 10),
        9,
    )


@pytest.mark.parametrize(
    ("places", "hull", "area"),
    [
        ([(0.1, 0.2)], "POINT (20 20)", 0),
        ([(0.1, 0.2), (0.1, 0.2)], "POINT (20 20)", 0),
        ([(0.1, 0.2), (0.2, 0.4), (0.3, 0.6)], "LINESTRING (20 20, 60 60)", 0),
        ([(0, 0), (0.5, 0), (0.5, 1), (0, 1), (0.2, 0.2)], None, 10000),
        ([(-1, 0.5), (1, -0.5)], None, 0),
    ],
    ids=["point", "twice", "line", "square", "sticking out"],
)
def test_a_hull_of_any_moves(
    ask: Ask, places: list[tuple[float, float]], hull: str | None, area: float
) -> None:
    moves = [("move", 10 * n, *place) for n, place in enumerate(places)]
    wkb, x, y, found, fraction = traces(
        ask, "hull, hull_x, hull_y, hull_area_px, hull_fraction", *moves
    )
    shapes = shapely.from_wkb(wkb)
    assert hull is None or shapely.to_wkt(shapes, trim=True) == hull
    assert (found, fraction) == (pytest.approx(area), pytest.approx(area / 20000))
    assert {*zip(x, y, strict=True)} == {*map(tuple, shapely.get_coordinates(shapes))}


def test_the_core_is_where_the_last_half_of_the_dwell_was(ask: Ask) -> None:
    events = [("enter", 0), ("move", 0, 0, 0.5), ("move", 50, 0.4, 0.5), ("move", 90, 0.5, 0.5)]
    core = "core_xmin, core_ymin, core_xmax, core_ymax"
    found = traces(ask, core, *events, ("click", 300, 0.5, 0.5), selected=True)
    reach = 0.2 * math.hypot(200, 100)
    assert found == (100 - reach, 50 - reach, 100 + reach, 50 + reach)
    assert traces(ask, core, ("move", 0, 0.5, 0.5)) == (None, None, None, None)


def test_shapes_are_of_the_visit_with_the_final_click_and_lengths_of_all(ask: Ask) -> None:
    long = ("enter", 0), ("move", 0, 0, 0), ("move", 4000, 1, 0), ("leave", 4000)
    short = ("enter", 5000), ("move", 5000, 0, 0), ("move", 5020, 0, 1), ("click", 5020, 0, 1)
    select = "total_dist, duration, vel_max, straightness"
    assert traces(ask, select, *long, *short, selected=True) == (300, 4020, 5, 1)
    assert traces(ask, select, *long, *short, selected=False) == (300, 4020, 0.05, 1)


def test_signs_are_mousetraps_with_y_down(ask: Ask) -> None:
    def deviation(*places: tuple[float, float]) -> Any:
        moves = [("move", 20 * n, *place) for n, place in enumerate(places)]
        return traces(ask, "MAD, AUC", *moves)

    above, below = (0.5, 0.2), (0.5, 0.8)
    for places, sign in [
        ([(0.2, 0.6), above, (0.8, 0.4)], 1),  # leads up
        ([(0.8, 0.6), above, (0.2, 0.4)], 1),
        ([(0.2, 0.6), below, (0.8, 0.4)], -1),
        ([(0.2, 0.4), above, (0.8, 0.6)], -1),  # leads down
    ]:
        found, area = deviation(*places)
        assert math.copysign(1, found) == math.copysign(1, area) == sign
    assert deviation((0.2, 0.2), (0.4, 0.9), (0.2, 0.2)) == (None, None)


@pytest.mark.parametrize(
    ("clicks", "selected", "exact"),
    [(0, False, True), (1, True, True), (1, False, False), (2, True, False), (0, None, None)],
)
def test_an_unselect_makes_the_estimate_a_lower_bound(
    ask: Ask, clicks: int, selected: bool | None, exact: bool | None
) -> None:
    events = [("enter", 0), ("move", 10, 0.5, 0.5)] + [
        ("click", 100 * n, 0.5, 0.5) for n in range(1, clicks + 1)
    ]
    found = traces(
        ask, "estimate_recomputed_ms, estimate_exact", *events, ("leave", 500), selected=selected
    )
    assert found == (90 if clicks else 490, exact)


def test_an_open_visit_does_not_count_for_the_estimate(ask: Ask) -> None:
    events = ("enter", 0), ("move", 0, 0.5, 0.5), ("leave", 100), ("enter", 200)
    assert traces(ask, "estimate_recomputed_ms", *events, ("move", 300, 0.5, 0.5)) == (100,)
    assert traces(ask, "estimate_recomputed_ms, estimate_exact", tool="coco") == (None, None)


@pytest.mark.parametrize("tool", ["imagenet", "coco"])
def test_traces_of_random_records_are_those_of_the_slow_reference(ask: Ask, tool: str) -> None:
    made = records(tool, 500)
    names = ("n_moves", "n_visits", "total_dist", "idle_time", *SHAPE, "estimate_recomputed_ms")
    select = f"SELECT {', '.join(names)} FROM traces ORDER BY annotation_id"
    for number, (record, row) in enumerate(zip(made, ask(select, **tables(made)), strict=True)):
        found, wanted = dict(zip(names, row, strict=True)), expected(record)
        for name in names:
            assert alike(found[name], wanted[name]), (number, name, found[name], wanted[name])


def alike(one: float | None, other: float | None) -> bool:
    """Whether two measures agree but for rounding."""
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-7, abs_tol=1e-6)


def expected(record: Record) -> dict[str, Any]:
    all_points = [visit.points(*record.size) for visit in record.visits]
    lengths = [length for points in all_points if (length := path(points)) is not None]
    deciding = [p for v, p in zip(record.visits, all_points, strict=True) if v.deciding]
    return {
        "n_moves": sum(map(len, all_points)),
        "n_visits": len(all_points),
        "total_dist": sum(lengths) if lengths else None,
        "idle_time": sum(map(sum, map(rests, all_points))) if any(all_points) else None,
        "estimate_recomputed_ms": estimate(record.visits) if record.tool == "imagenet" else None,
        **shape(deciding[0] if deciding else [], *record.size),
    }


@pytest.mark.usefixtures("real_records")
def test_the_estimate_is_that_of_the_real_tool_within_its_timers(
    ingest: Callable[..., Any], rows: Ask
) -> None:
    ingest(PAGES / "imagenet_stored.jsonl")
    off = rows(
        "SELECT estimate_recomputed_ms - estimate_ms, estimate_exact"
        " FROM traces JOIN annotations USING (annotation_id)"
    )
    exact = [by for by, is_exact in off if is_exact]
    assert (len(exact), min(exact), max(exact)) == (124, -8, 6)
    assert all(by <= 0 for by, is_exact in off if not is_exact)
