"""Thousands of random records, degenerate ones included: the SQL agrees with plain Python."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import isclose
from typing import Any

import pytest

from .reference import clicks, clicks_published, icons, image_targets, size_of

Ask = Callable[..., list[tuple[Any, ...]]]
Dict = dict[str, Any]

PICTURES = 1500

COLUMNS = {
    size_of: "stored_width, stored_height, orientation, origin, frame FROM image_sizes",
    clicks: "annotation_id, label, x, y, x_px, y_px, t_ms, n_clicks, inside FROM clicks",
    clicks_published: "annotation_id, label, x, y, x_px, y_px, t_ms, n_clicks"
    " FROM clicks_published",
    icons: "annotation_id, label, n_adds, n_drags, n_removes, first_ms, last_ms, is_final, x, y"
    " FROM icons",
    image_targets: "image_id, label, x, y, spread, n_annotators, agreement FROM image_targets",
}


def picture(chance: random.Random, number: int, tool: str) -> Dict:
    """A picture whose sizes, records and events are of every kind, the absurd included."""
    width, height = chance.choice([(500, 375), (375, 500), (400, 400), (100, 99), (33, 7)])
    sources = ["a", "b"][: chance.choice([1, 1, 2])]
    image_id = f"n1_{number}" if tool == "imagenet" else str(number)
    images = [
        {"image_id": image_id, "source": source, "class_id": chance.choice(["n1", "n1", None])}
        | chance.choice(
            [
                {"width": width, "height": height},
                {"width": None, "height": None},
                {"width": 0, "height": 0},
            ]
        )
        for source in sources
    ]
    if tool == "coco":
        images = [image | {"class_id": None} for image in images]
    return {
        "image_id": image_id,
        "origin": "xml" if tool == "imagenet" else "instances",
        "images": images,
        "pictures": [
            {
                "image_id": image_id,
                "path": f"{n}.jpg",
                "source": "pictures",
                "stored_width": chance.choice([width, width, 2 * width, 0]),
                "stored_height": chance.choice([height, 2 * height]),
                "exif_orientation": chance.choice([None, *range(1, 9)]),
            }
            for n in range(chance.choice([0, 0, 1, 2]))
        ],
        "objects": [
            {"image_id": image_id, "source": "a", "object_no": n, "class_id": label}
            for n, label in enumerate(chance.choice([[], ["cat", "dog", "dog"]]))
            if tool == "coco"
        ],
        "records": [
            record(chance, number * 8 + n, image_id, tool, (width, height), chance.choice(sources))
            for n in range(chance.choice([0, 1, 1, 2, 3]))
        ],
    }  # fmt: skip


def record(
    chance: random.Random, number: int, image_id: str, tool: str, size: tuple[int, int], source: str
) -> Dict:
    natural = chance.choice([size, size, size[::-1], (0, 0), (None, None), (640, 480), (90, 500)])
    return {
        "annotation_id": number,
        "image_id": image_id,
        "tool": tool,
        "source": source,
        "annotator_id": chance.choice("abc"),
        "selected": None if tool == "coco" else chance.choice([True, True, False, None]),
        "natural_width": natural[0],
        "natural_height": natural[1],
        "events": events(chance, tool, number, image_id),
    }


def events(chance: random.Random, tool: str, number: int, image_id: str) -> list[Dict]:
    kinds = ["click", "move"] if tool == "imagenet" else ["add", "drag", "remove"]
    found = []
    for seq in range(chance.randrange(7)):
        kind = chance.choice(kinds)
        places = dict.fromkeys(("x", "y", "x_from", "y_from"))
        if kind != "remove" and chance.random() < 0.9:
            places |= {"x": fraction(chance), "y": fraction(chance)}
        if kind in ("drag", "remove") and chance.random() < 0.7:
            places |= {"x_from": fraction(chance), "y_from": fraction(chance)}
        labels = ["cat", "dog", "stop sign", None] if tool == "coco" else [None]
        found.append(
            {
                "annotation_id": number,
                "image_id": image_id,
                "kind": kind,
                "seq": seq,
                "t_ms": chance.randrange(4),
                "label": chance.choice(labels),
            }
            | places
        )
    chance.shuffle(found)
    return found


def fraction(chance: random.Random) -> float:
    return chance.choice([0.0, 1.0, -0.0044, 1.0044, *(chance.random() for _ in range(8))])


def alike(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, (float, int)):
        return isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return bool(one == other)


@pytest.mark.parametrize("tool", ["imagenet", "coco"])
def test_the_tables_agree_with_plain_python(ask: Ask, tool: str) -> None:
    chance = random.Random(4)
    pictures = [picture(chance, number, tool) for number in range(PICTURES)]
    records = [record for one in pictures for record in one["records"]]
    given = {
        "images": [image for one in pictures for image in one["images"]],
        "pictures": [file for one in pictures for file in one["pictures"]],
        "objects": [thing for one in pictures for thing in one["objects"]],
        "annotations": records,
        "events": [event for record in records for event in record["events"]],
    }
    assert len(records) > PICTURES
    for reference, columns in COLUMNS.items():
        found = ask(f"SELECT {columns} ORDER BY image_id, 1, 2", **given)
        expected = [
            row
            for one in sorted(pictures, key=lambda p: p["image_id"])
            for row in rows(reference, one)
        ]
        assert len(found) == len(expected) > 0 or (reference is icons and tool == "imagenet")
        for mine, theirs in zip(found, expected, strict=True):
            assert all(map(alike, mine, theirs)), f"{columns}: {mine}, expected {theirs}"


def rows(reference: Callable[[Dict], Any], one: Dict) -> list[tuple[Any, ...]]:
    found = reference(one)
    return sorted(found, key=lambda row: row[:2]) if isinstance(found, list) else [found]
