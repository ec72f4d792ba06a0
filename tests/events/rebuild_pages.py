"""Page records from the rows they became: the proof that nothing is lost."""

from __future__ import annotations

import json  # noqa: TID251 - the tools write it
from operator import itemgetter
from typing import Any

from abpipe.events.pages import CONTENTS, LINKS

Object = dict[str, Any]

SIZES = {
    "imageHeight": "display_height",
    "imageWidth": "display_width",
    "originalImageHeight": "natural_height",
    "originalImageWidth": "natural_width",
}
SLOT = SIZES | {
    "estimateTime": "estimate_ms",
    "hoveredCount": "hover_count",
    "selected": "selected",
    "selectedCount": "select_count",
}
BOARD = SIZES | {"timeSpend": "time_spent_ms"}
PEOPLE = {"workerID": "annotator_id", "assignmentID": "assignment_id", "hitID": "hit_id"}
NAMES = {"add": "add", "drag": "move", "remove": "remove"}


def rebuild(annotations: list[Object], events: list[Object]) -> tuple[list[Object], list[Object]]:
    """The pages that rows came from, ids as they were, and the annotation records they name."""
    by_record: dict[int, list[Object]] = {}
    for event in sorted(events, key=itemgetter("annotation_id", "kind", "seq")):
        by_record.setdefault(event["annotation_id"], []).append(event)
    shown: list[list[Object]] = []
    for row in annotations:
        shown += [[]] if not row["slot"] else []
        shown[-1].append(row)
    pages: list[Object] = []
    people: dict[str, Object] = {}
    for rows in shown:
        page, about = one_page(rows, by_record)
        pages.append(page)
        people |= {about["id"]: about} if about else {}
    return pages, list(people.values())


def one_page(rows: list[Object], events: dict[int, list[Object]]) -> tuple[Object, Object]:
    first = rows[0]
    said = json.loads(first["extra"])
    where = "/page" if any(pointer.startswith("/page/") for pointer in pointers(said)) else ""
    record: Object = {"page": {}} if where else {}
    page = record["page"] if where else record
    page |= given({"startedAt": first["started_ms"]})
    if first["page"] is not None:
        page["pageno"] = first["page"] + 1
    for holder, at in ((page, where), (record, "")):
        if f"{at}/endedAt" not in said.get("absent", []):
            holder |= given({"endedAt": first["ended_ms"]})
    content = CONTENTS[first["tool"]]
    if first["tool"] == "coco":
        page[content] = board(first, events.get(first["annotation_id"], []), said, where)
    else:
        page[content] = {str(i): slot(row, events, where) for i, row in enumerate(rows)}
    link = LINKS[first["tool"]]
    told: Object = {}
    named = f"/{link.removesuffix('ID')}"
    for row in rows:
        extra = json.loads(row["extra"])
        for pointer, value in extra.get("fields", {}).items():
            inside = pointer.startswith(f"{named}/")
            put(
                told if inside else record,
                pointer.removeprefix(named) if inside else pointer,
                value,
            )
        for pointer in extra.get("null", []):
            put(record, pointer, None)
    if told:
        told |= given({name: first[column] for name, column in PEOPLE.items()})
        told |= {p.removeprefix(f"{named}/"): "" for p in said.get("empty", []) if named in p}
        told["id"] = page.get(link, record.get(link))
    return listed(record), told


def pointers(said: Object) -> list[str]:
    return [pointer for group in said.values() for pointer in group]


def given(fields: Object) -> Object:
    return {name: value for name, value in fields.items() if value is not None}


def slot(row: Object, events: dict[int, list[Object]], where: str) -> Object:
    said, at = json.loads(row["extra"]), f"{where}/annotations/{row['slot']}"
    made = given({name: row[column] for name, column in SLOT.items()})
    folder = row["image_id"].rpartition("_")[0]
    made["imageID"] = f"{folder}/{row['image_id']}"
    if position := given({"x": row["page_x"], "y": row["page_y"]}):
        made["imagePosition"] = position
    elif f"{at}/imagePosition" in said.get("empty", []):
        made["imagePosition"] = {}
    for name, kinds in {
        "hoveredRecord": ("enter", "leave"),
        "mouseTracking": ("move",),
        "selectedRecord": ("click",),
    }.items():
        if f"{at}/{name}" in said.get("absent", []):
            continue
        made[name] = {"": None} | {
            str(event["seq"]): ({"action": event["kind"]} if name == "hoveredRecord" else {})
            | given({"time": event["t_ms"], "x": event["x"], "y": event["y"]})
            for event in events.get(row["annotation_id"], [])
            if event["kind"] in kinds
        }
    return made


def board(row: Object, events: list[Object], said: Object, where: str) -> Object:
    at = f"{where}/annotation"
    made = given({name: row[column] for name, column in BOARD.items()})
    for name in ("actionHistories", "categoryHistories", "mouseTracking"):
        if f"{at}/{name}" not in said.get("absent", []):
            made[name] = {"": None}
    absent, empty = {*said.get("absent", [])}, {*said.get("empty", [])}
    for event in events:
        if event["kind"] == "move":
            name, item = "mouseTracking", {"x": event["x"], "y": event["y"]}
        elif event["kind"] == "browse":
            name, item = (
                "categoryHistories",
                {
                    "categoryIndex": event["category_index"],
                    "categoryName": event["label"],
                    "usingKeyboard": event["keyboard"],
                },
            )
        else:
            name, item = (
                "actionHistories",
                {
                    "actionType": NAMES[event["kind"]],
                    "iconType": event["label"],
                    "pointFrom": point(event["x_from"], event["y_from"]),
                    "pointTo": point(event["x"], event["y"]),
                },
            )
        item["timeAt"] = event["t_ms"]
        here = f"{at}/{name}/{event['seq']}"
        made[name][str(event["seq"])] = {
            field: {} if f"{here}/{field}" in empty else value
            for field, value in item.items()
            if f"{here}/{field}" not in absent
        }
    return made


def point(x: float | None, y: float | None) -> Object | None:
    return None if x is None and y is None else given({"x": x, "y": y})


def put(record: Object, pointer: str, value: Any) -> None:
    *path, last = (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
    for part in path:
        if record.get(part) is None:  # a point without x and y, say, that has other fields
            record[part] = {}
        record = record[part]
    record[last] = value


def listed(value: Any) -> Any:
    """Lists in the place of objects whose keys are numbers."""
    if not isinstance(value, dict):
        return value
    made = {name: listed(inner) for name, inner in value.items()}
    if "" in made and made[""] is None:
        del made[""]
        return [made[name] for name in sorted(made, key=int)]
    if made and all(name.isdigit() for name in made):
        return [made[name] for name in sorted(made, key=int)]
    return made
