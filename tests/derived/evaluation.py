"""Annotators and localization again, slowly: plain Python, straight from what each column says."""

from __future__ import annotations

from collections import Counter, defaultdict
from math import erf, floor, hypot, log, sqrt
from statistics import fmean, median
from typing import Any, TypeAlias

Dict: TypeAlias = dict[str, Any]
Figure: TypeAlias = tuple[float | None, int]
Box: TypeAlias = tuple[float, float, float, float]

LIMITS = {
    "copy_clicks": 0.3,
    "edges": 0.2,
    "far_from_others": 0.3,
    "hurried": 0.4,
    "jumps": 0.3,
    "no_trace": 0.3,
    "off_object": 0.4,
    "straight": 0.3,
}


def share(of: list[bool]) -> Figure:
    return (sum(of) / len(of) if of else None), len(of)


def objects_of(tables: dict[str, list[Dict]], image_id: str, label: str) -> list[Dict]:
    return [o for o in tables["objects"] if (o["image_id"], o["class_id"]) == (image_id, label)]


def hits(o: Dict, x: float, y: float) -> bool:
    return bool(o["xmin"] <= x <= o["xmax"] and o["ymin"] <= y <= o["ymax"])


def times_of(tables: dict[str, list[Dict]]) -> dict[int, float]:
    """The logarithm of the ms until each record's first answer, where that is known."""
    found = {}
    for a in tables["annotations"]:
        if a["tool"] == "coco":
            icons = [i for i in tables["icons"] if i["annotation_id"] == a["annotation_id"]]
            ms = min((i["first_ms"] for i in icons), default=None)
        else:
            ms = a["estimate_ms"] if a["selected"] else None
        if ms is not None and ms > 0:
            found[a["annotation_id"]] = log(ms)
    return found


def spread_of(values: list[float]) -> tuple[float, float]:
    """The median, and the standard deviation that the median distance from it stands for."""
    middle = median(values)
    return middle, 1.4826 * median(abs(value - middle) for value in values)


def scores_of_time(tables: dict[str, list[Dict]]) -> dict[int, float]:
    """The robust z-score of each record that has a time: among people, if there are enough."""
    answers = Counter(click["annotation_id"] for click in tables["clicks"])
    classes = {image["image_id"]: image["class_id"] for image in tables["images"]}
    times = times_of(tables)
    kinds = {
        a["annotation_id"]: answers[a["annotation_id"]]
        if a["tool"] == "coco"
        else classes[a["image_id"]]
        for a in tables["annotations"]
        if a["annotation_id"] in times
    }
    who = {a["annotation_id"]: a["annotator_id"] for a in tables["annotations"]}
    alike = defaultdict(list)
    for record, kind in kinds.items():
        alike[kind].append(record)
    later = {}
    for record, kind in kinds.items():
        people = {who[other] for other in alike[kind]} - {None}
        compared = alike[kind] if len(people) >= 10 else [*times]
        later[record] = times[record] - median(times[other] for other in compared)
    of_person = defaultdict(list)
    for record, value in later.items():
        of_person[who[record]].append(value)
    paces = [median(own) for one, own in of_person.items() if one is not None and len(own) >= 10]
    compared = paces if len(paces) >= 10 else [*later.values()]
    middle, scale = spread_of(compared) if compared else (0, 0)
    return {record: (value - middle) / scale for record, value in later.items()} if scale else {}


def figures_of(tables: dict[str, list[Dict]], annotator: str) -> dict[str, Figure]:
    """The rates of an annotator, and of how many each is."""
    mine = [a for a in tables["annotations"] if a["annotator_id"] == annotator]
    clicks = [c for c in tables["clicks"] if c["annotator_id"] == annotator]
    answered = {c["annotation_id"] for c in clicks}
    sizes = {s["image_id"]: (s["stored_width"], s["stored_height"]) for s in tables["image_sizes"]}
    traces = {t["annotation_id"]: t for t in tables["traces"]}
    z = scores_of_time(tables)

    far, missed = [], []
    for c in clicks:
        others = [
            (o["x_px"], o["y_px"])
            for o in tables["clicks"]
            if (o["image_id"], o["label"]) == (c["image_id"], c["label"]) and o is not c
        ]
        if others:
            x, y = (fmean(side) for side in zip(*others, strict=True))
            far.append(hypot(x - c["x_px"], y - c["y_px"]) / hypot(*sizes[c["image_id"]]) > 0.25)
        boxes = objects_of(tables, c["image_id"], c["label"])
        if boxes:
            missed.append(not any(hits(o, c["x_px"], c["y_px"]) for o in boxes))
    cells = Counter(
        (right, down, floor(c["x"] / 0.04 + right), floor(c["y"] / 0.04 + down))
        for c in clicks
        for right in (0, 0.5)
        for down in (0, 0.5)
    )
    spots = max(cells.values(), default=0)
    long, moving = [], []
    for a in mine:
        trace, diagonal = traces[a["annotation_id"]], hypot(*sizes[a["image_id"]])
        is_long = trace["n_moves"] >= 5 and trace["total_dist"] >= 0.15 * diagonal
        if a["annotation_id"] in answered and is_long:
            long.append(abs(trace["MAD"]) <= 0.005 * diagonal)
        if trace["jump_share"] is not None:
            moving.append(trace["jump_share"] > 0.5)
    edges = share([min(c["x"], 1 - c["x"], c["y"], 1 - c["y"]) < 0.1 for c in clicks])
    return {
        "hurried": share([z[a["annotation_id"]] < -3 for a in mine if a["annotation_id"] in z]),
        "copy_clicks": (min(spots / len(answered), 1) if answered else None, len(answered)),
        "no_trace": share([traces[record]["n_moves"] == 0 for record in answered]),
        "straight": share(long),
        "jumps": share(moving),
        "far_from_others": share(far),
        "off_object": share(missed),
        "edges": edges,
    }


def flags_of(figures: dict[str, Figure], is_coco: bool) -> list[str]:
    """The flags: where Wilson's lower bound at three standard deviations is above the limit."""
    found = []
    for flag, limit in LIMITS.items():
        rate, n = figures[flag]
        if rate is None or (flag == "edges" and is_coco):
            continue
        centre, reach = rate + 9 / (2 * n), 3 * sqrt(rate * (1 - rate) / n + 9 / (4 * n * n))
        if (centre - reach) / (1 + 9 / n) > limit:
            found.append(flag)
    return found


def overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return common / (sum(areas) - common)


def localized(objects: list[Dict], x: float, y: float, box: Box | None) -> tuple[Any, ...]:
    """n_objects, inside, iou, distance of an answer that stands for a place."""
    if not objects:
        return 0, None, None, None
    own = [o for o in objects if not o["iscrowd"]]
    edges = [(o["xmin"], o["ymin"], o["xmax"], o["ymax"]) for o in own]
    away = [hypot(x - (a + c) / 2, y - (b + d) / 2) / hypot(c - a, d - b) for a, b, c, d in edges]
    iou = max((overlap(box, edge) for edge in edges), default=None) if box else None
    return len(objects), any(hits(o, x, y) for o in objects), iou, min(away, default=None)


def energy_of(
    moves: list[tuple[float, float, float]], boxes: list[Box], size: tuple[int, int]
) -> float:
    """The share of a dwell map of 32 x 32 cells in one of the boxes that do not overlap."""
    sigma = 0.024 * hypot(*size)

    def within(low: float, high: float, place: float) -> float:
        return (erf((high - place) / sigma / sqrt(2)) - erf((low - place) / sigma / sqrt(2))) / 2

    total = inside = 0.0
    for row in range(32):
        for column in range(32):
            corners = (column, row, column + 1, row + 1)
            cell = [edge / 32 * size[i % 2] for i, edge in enumerate(corners)]
            value = sum(
                t * within(cell[0], cell[2], x) * within(cell[1], cell[3], y) for x, y, t in moves
            )
            area = (cell[2] - cell[0]) * (cell[3] - cell[1])
            covered = max(
                max(min(b[2], cell[2]) - max(b[0], cell[0]), 0)
                * max(min(b[3], cell[3]) - max(b[1], cell[1]), 0)
                / area
                for b in boxes
            )
            total, inside = total + value, inside + value * covered
    return inside / total
