"""Records of COCO-AB rebuilt from the tables alone: nothing may be lost on the way."""

from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa

from abpipe.events.coco_strict import POINTS, SCALARS

ACTIONS = {"add": "add", "drag": "move", "remove": "remove"}
LISTS = {
    "actionHistories": ("add", "drag", "remove"),
    "categoryHistories": ("browse",),
    "mouseTracking": ("move",),
}
COLUMNS = {
    "actionHistories": {"iconType": "label", "timeAt": "t_ms"},
    "categoryHistories": {
        "categoryIndex": "category_index",
        "categoryName": "label",
        "timeAt": "t_ms",
        "usingKeyboard": "keyboard",
    },
    "mouseTracking": {"x": "x", "y": "y", "timeAt": "t_ms"},
}
NOTHING: dict[str, Any] = {"fields": {}, "absent": [], "null": [], "empty": []}


def rebuild(tables: dict[str, pa.Table]) -> list[dict[str, Any]]:
    """The records of a batch, in order."""
    events: dict[int, list[dict[str, Any]]] = {}
    for event in tables["events"].to_pylist():
        events.setdefault(event["annotation_id"], []).append(event)
    return [
        _record(row, events.get(row["annotation_id"], []))
        for row in tables["annotations"].to_pylist()
    ]


def _record(row: dict[str, Any], events: list[dict[str, Any]]) -> dict[str, Any]:
    extra = NOTHING | orjson.loads(row["extra"] or "{}")
    record: dict[str, Any] = {"image_id": int(row["image_id"])}
    for name, (column, _) in SCALARS.items():
        if row[column] is not None or f"/{name}" in extra["null"]:
            record[name] = row[column]
    for name, kinds in LISTS.items():
        if f"/{name}" in extra["null"]:
            record[name] = None
        elif f"/{name}" not in extra["absent"]:
            record[name] = _items(name, [e for e in events if e["kind"] in kinds], extra)
    # parents first: an unknown item comes before what is unknown in another
    for pointer, value in extra["fields"].items():
        parents, last = pointer.split("/")[1:-1], pointer.split("/")[-1]
        target: Any = record
        for parent in parents:
            target = target[int(parent)] if isinstance(target, list) else target[_plain(parent)]
        if isinstance(target, dict):
            target[_plain(last)] = value
    return record


def _plain(name: str) -> str:
    return name.replace("~1", "/").replace("~0", "~")


def _items(name: str, events: list[dict[str, Any]], extra: dict[str, Any]) -> list[Any]:
    items = {event["seq"]: _item(name, event, extra) for event in events}
    for pointer, value in extra["fields"].items():
        where, _, seq = pointer.rpartition("/")
        if where == f"/{name}":
            items[int(seq)] = value
    assert sorted(items) == list(range(len(items)))
    return [items[seq] for seq in range(len(items))]


def _item(name: str, event: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    where = f"/{name}/{event['seq']}"
    item = {
        key: event[column]
        for key, column in COLUMNS[name].items()
        if f"{where}/{key}" not in extra["absent"]
    }
    if name == "actionHistories":
        item["actionType"] = ACTIONS[event["kind"]]
        for key, (x, y) in POINTS.items():
            if f"{where}/{key}" not in extra["absent"]:
                item[key] = _point(f"{where}/{key}", event[x], event[y], extra)
    return item


def _point(where: str, x: Any, y: Any, extra: dict[str, Any]) -> dict[str, Any] | None:
    if where in extra["empty"]:
        return {}
    said = [*extra["absent"], *extra["null"], *extra["fields"]]
    if x is None and y is None and not any(pointer.startswith(f"{where}/") for pointer in said):
        return None
    return {
        axis: value
        for axis, value in {"x": x, "y": y}.items()
        if f"{where}/{axis}" not in extra["absent"]
    }
