"""The derived tables again, slowly: plain Python, straight from what each column promises.

A record is a dict of its columns with its `events`; a picture one with its `records`, what sources
say of it (`images`), its `pictures` and `objects`.
"""

from __future__ import annotations

from collections import Counter
from math import hypot
from typing import Any, TypeAlias

import numpy as np

Dict: TypeAlias = dict[str, Any]
Point: TypeAlias = tuple[float | None, float | None]

#: How each EXIF orientation shows a stored picture, as (x, y, 1) -> (x, y, 1) in fractions.
SHOWN = {
    1: [[1, 0, 0], [0, 1, 0]],
    2: [[-1, 0, 1], [0, 1, 0]],
    3: [[-1, 0, 1], [0, -1, 1]],
    4: [[1, 0, 0], [0, -1, 1]],
    5: [[0, 1, 0], [1, 0, 0]],
    6: [[0, -1, 1], [1, 0, 0]],
    7: [[0, -1, 1], [-1, 0, 1]],
    8: [[0, 1, 0], [-1, 0, 1]],
}


def stored(point: Point, orientation: int | None) -> Point:
    """Where a point of the picture as shown lies in the stored one."""
    x, y = point
    if x is None or y is None:
        return None, None
    turn = np.array([*SHOWN[orientation or 1], [0, 0, 1]], float)
    found = np.linalg.solve(turn, [x, y, 1])
    return float(found[0]), float(found[1])


def is_positive(*numbers: int | None) -> bool:
    return all(n is not None and n > 0 for n in numbers)


def fits(shown: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether one size is the other, scaled and rounded."""
    if sum(shown) == sum(size):
        return shown == size
    return abs(shown[0] * size[1] - shown[1] * size[0]) <= (sum(shown) + sum(size)) / 2


def size_of(picture: Dict) -> tuple[Any, ...]:
    """Stored width and height, orientation, origin, frame."""
    shown = [
        (r["natural_width"], r["natural_height"])
        for r in sorted(picture["records"], key=lambda r: r["annotation_id"])
        if is_positive(r["natural_width"], r["natural_height"])
    ]
    files = [p for p in picture["pictures"] if is_positive(p["stored_width"], p["stored_height"])]
    told = [i for i in picture["images"] if is_positive(i["width"], i["height"])]
    exif = None
    if files:
        file = min(files, key=lambda f: (f["source"], f["path"]))
        size, origin = (file["stored_width"], file["stored_height"]), "picture"
        exif = file["exif_orientation"] or 1
    elif told:
        first = min(told, key=lambda i: i["source"])
        size, origin = (first["width"], first["height"]), picture["origin"]
    elif shown:
        size, origin = shown[0], "natural"
    else:
        return None, None, None, None, "unknown"
    votes = Counter((fits(s, size), fits(s, size[::-1])) for s in shown)
    upright, turned, strange = votes[True, False], votes[False, True], votes[False, False]
    orientation = exif or 1
    is_turned_by_exif = orientation in (5, 6, 7, 8)
    if turned > upright and not is_turned_by_exif:
        orientation = 6
    if upright > turned and is_turned_by_exif:
        orientation = 1
    if strange > upright + turned:
        frame = "unknown"
    elif strange or (upright and turned):
        frame = "assumed"
    elif exif:
        frame = "assumed" if (upright if is_turned_by_exif else turned) else "ok"
    else:
        frame = "ok" if upright and origin != "natural" else "assumed"
    return *size, orientation, origin, frame


class Board:
    """The tool's board of icons: what is on it, and what was ever there."""

    def __init__(self) -> None:
        self.lying: dict[str, Dict] = {}
        self.history: dict[str, list[Dict]] = {}

    def act(self, event: Dict) -> None:
        """An add or a drag puts an icon where it says; a remove takes it off."""
        self.history.setdefault(event["label"], []).append(event)
        if event["kind"] == "remove":
            self.lying.pop(event["label"], None)
        else:
            self.lying[event["label"]] = event


def board(record: Dict) -> Board:
    played = Board()
    for event in in_order(record, "add", "drag", "remove"):
        if event["label"] is not None:
            played.act(event)
    return played


def in_order(record: Dict, *kinds: str) -> list[Dict]:
    events = [event for event in record["events"] if event["kind"] in kinds]
    return sorted(events, key=lambda event: event["seq"])


def answers(picture: Dict, record: Dict) -> list[tuple[str, Dict, int]]:
    """Label, event and how often, for each answer of a record."""
    if record["tool"] == "coco":
        played = board(record)
        return [
            (label, event, sum(e["kind"] != "remove" for e in played.history[label]))
            for label, event in played.lying.items()
        ]
    clicks = in_order(record, "click")
    if record["selected"] is not True or not clicks:
        return []
    return [(label_of(picture, record), clicks[-1], len(clicks))]


def published(picture: Dict, record: Dict) -> list[tuple[str, Dict, int]]:
    """The same as the published loaders read it."""
    if record["tool"] == "imagenet":
        clicks = in_order(record, "click")
        taken = [(label_of(picture, record), clicks[0], len(clicks))] if clicks else []
        return taken if record["selected"] is True else []
    last: dict[str, Dict] = {}
    for event in in_order(record, "add"):
        if event["label"] is not None:
            last[event["label"]] = event
    adds = Counter(event["label"] for event in in_order(record, "add"))
    return [(label, event, adds[label]) for label, event in last.items()]


def label_of(picture: Dict, record: Dict) -> str:
    (image,) = (i for i in picture["images"] if i["source"] == record["source"])
    return image["class_id"] or ""


def clicks(picture: Dict) -> list[tuple[Any, ...]]:
    """annotation_id, label, x, y, x_px, y_px, t_ms, n_clicks, inside."""
    width, height, orientation, _, _ = size_of(picture)
    rows = []
    for record in picture["records"]:
        for label, event, n in answers(picture, record):
            x, y = stored((event["x"], event["y"]), orientation)
            rows.append(
                (
                    record["annotation_id"], label, x, y, times(x, width), times(y, height),
                    event["t_ms"], n, is_inside(x, y),
                )
            )  # fmt: skip
    return rows


def clicks_published(picture: Dict) -> list[tuple[Any, ...]]:
    """annotation_id, label, x, y, x_px, y_px, t_ms, n_clicks."""
    width, height, _, _, _ = size_of(picture)
    rows = []
    for record in picture["records"]:
        for label, event, n in published(picture, record):
            x, y = event["x"], event["y"]
            px = times(x, width), times(y, height)
            if record["tool"] == "coco":
                px = cut(x, record["natural_width"]), cut(y, record["natural_height"])
            rows.append((record["annotation_id"], label, x, y, *px, event["t_ms"], n))
    return rows


def is_inside(x: float | None, y: float | None) -> bool | None:
    return None if x is None or y is None else 0 <= x <= 1 and 0 <= y <= 1


def times(fraction: float | None, size: int | None) -> float | None:
    return None if fraction is None or size is None else fraction * size


def cut(fraction: float | None, size: int | None) -> int | None:
    return None if fraction is None or size is None else int(fraction * size)


def icons(picture: Dict) -> list[tuple[Any, ...]]:
    """annotation_id, label, n_adds, n_drags, n_removes, first_ms, last_ms, is_final, x, y."""
    orientation = size_of(picture)[2]
    rows = []
    for record in picture["records"]:
        played = board(record)
        for label, history in played.history.items():
            kinds = Counter(event["kind"] for event in history)
            place: Point = None, None
            for event in history:
                for way in (("x_from", "y_from"), ("x", "y")):
                    if None not in (event[way[0]], event[way[1]]):
                        place = event[way[0]], event[way[1]]
            when = [event["t_ms"] for event in history]
            rows.append(
                (
                    record["annotation_id"], label, kinds["add"], kinds["drag"], kinds["remove"],
                    min(when), max(when), label in played.lying, *stored(place, orientation),
                )
            )  # fmt: skip
    return rows


def image_targets(picture: Dict) -> list[tuple[Any, ...]]:
    """image_id, label, x, y, spread, n_annotators, agreement."""
    width, height, _, _, _ = size_of(picture)
    given: dict[str, list[tuple[Any, ...]]] = {}
    for image in picture["images"]:
        if image["class_id"] is not None:
            given.setdefault(image["class_id"], [])
    for thing in picture["objects"]:
        given.setdefault(thing["class_id"], [])
    who = {record["annotation_id"]: record["annotator_id"] for record in picture["records"]}
    for annotation_id, label, x, y, *_ in clicks(picture):
        given.setdefault(label, []).append((who[annotation_id], x, y))
    shown = set(who.values())
    rows = []
    for label, told in given.items():
        points = [(x, y) for _, x, y in told if x is not None]
        mean = tuple(sum(axis) / len(points) for axis in zip(*points, strict=True)) or (None, None)
        spread = None
        if len(points) > 1 and width:
            squares = [hypot((x - mean[0]) * width, (y - mean[1]) * height) ** 2 for x, y in points]
            spread = (sum(squares) / len(squares)) ** 0.5 / hypot(width, height)
        n = len({annotator for annotator, _, _ in told})
        rows.append(
            (picture["image_id"], label, *mean, spread, n, n / len(shown) if shown else None)
        )
    return rows
