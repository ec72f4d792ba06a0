"""The strict reader of COCO-AB records: slow, and the one that says what is wrong with a record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from abpipe.events.json_strict import (
    Object,
    Reading,
    bad_type,
    boolean,
    integer,
    number,
    objects,
    text,
)
from abpipe.rows import BadRecord, Rows

KINDS = {"add": "add", "move": "drag", "remove": "remove"}


@dataclass
class Record:
    """The rows of one record, still without an annotation id."""

    annotation: dict[str, Any]
    events: list[dict[str, Any]]


def parse(piece: bytes, offset: int, member: str | None, rows: Rows) -> list[Record]:
    """The good records of some bytes, in order; what is not one becomes a reject in `rows`."""
    records = []
    for found, reject in objects(piece, offset, member, rows):
        reading = CocoReading()
        try:
            records.append(reading.record(found))
        except BadRecord as err:
            reject(err)
        else:
            rows.counts["records.total"] += 1
            rows.counts.update(reading.counts)
    return records


#: Field of the record -> column of annotations and how its values are checked.
SCALARS = {
    "hit_id": ("tool_hit_id", text),
    "page_id": ("page", integer),
    "worker_id": ("annotator_id", text),
    "originalImageHeight": ("natural_height", integer),
    "originalImageWidth": ("natural_width", integer),
    "imageHeight": ("display_height", number),
    "imageWidth": ("display_width", number),
    "timeSpent": ("time_spent_ms", integer),
}
_ACTION = {"iconType": ("label", text), "timeAt": ("t_ms", integer)}
POINTS = {"pointFrom": ("x_from", "y_from"), "pointTo": ("x", "y")}
_CATEGORY = {
    "categoryIndex": ("category_index", integer),
    "categoryName": ("label", text),
    "timeAt": ("t_ms", integer),
    "usingKeyboard": ("keyboard", boolean),
}
_MOVE = {"x": ("x", number), "y": ("y", number), "timeAt": ("t_ms", integer)}
LISTS = ("actionHistories", "categoryHistories", "mouseTracking")
FIELDS = ("image_id", *SCALARS, *LISTS)


class CocoReading(Reading):
    """One record of the COCO tool being read."""

    def record(self, found: Object) -> Record:
        """The rows of a record of COCO-AB. Raises BadRecord if it is none."""
        if found.get("image_id") is None:
            raise BadRecord("missing-id", "the record has no image_id")
        image_id = str(integer(found["image_id"], "", "image_id"))
        annotation = {"image_id": image_id, "tool": "coco", **self.scalars(found, SCALARS, "")}
        self.unknown(found, FIELDS, "", "")
        events = [{**event, "image_id": image_id} for event in self.events(found, "")]
        return Record(annotation | {"extra": self.json()}, events)

    def events(self, found: Object, where: str) -> Iterator[dict[str, Any]]:
        """The events of a record whose pointer is `where`."""
        for name, read in zip(LISTS, (self.action, self.category, self.move), strict=True):
            for seq, pointer, item in self.items(found, name, where):
                event = read(item, pointer)
                if event is not None:
                    yield event | {"seq": seq}

    def action(self, item: Object, where: str) -> dict[str, Any] | None:
        """An icon's event; None if it is of an unknown kind, which `extra` keeps."""
        action = item.get("actionType")
        if action is not None:
            action = text(action, where, "actionType")
        if action not in KINDS:
            self.keep(where, "actionHistories", item)
            return None
        event = {"kind": KINDS[action], **self.columns(item, _ACTION, where)}
        for name, (x, y) in POINTS.items():
            if self.present(item, name, where) and item[name] is not None:
                event[x], event[y] = self.point(item[name], f"{where}/{name}", name)
        self.unknown(item, ("actionType", *_ACTION, *POINTS), where, "actionHistories.")
        return event

    def point(self, point: Any, where: str, name: str) -> tuple[float | None, float | None]:
        """A place; both of its coordinates are None if it is empty."""
        if not isinstance(point, dict):
            raise bad_type(where, "a point", point)
        if not point:
            self.extra.empty.append(where)
            return None, None
        # a NULL coordinate means that the whole point was null, so here both cases are listed
        for axis in ("x", "y"):
            if self.present(point, axis, where) and point[axis] is None:
                self.extra.null.append(f"{where}/{axis}")
        self.unknown(point, ("x", "y"), where, f"actionHistories.{name}.")
        x, y = (
            None if point.get(axis) is None else number(point[axis], where, axis)
            for axis in ("x", "y")
        )
        return x, y

    def category(self, item: Object, where: str) -> dict[str, Any]:
        """A step of browsing through the groups of icons."""
        self.unknown(item, _CATEGORY, where, "categoryHistories.")
        return {"kind": "browse", **self.columns(item, _CATEGORY, where)}

    def move(self, item: Object, where: str) -> dict[str, Any]:
        """A move of the mouse."""
        self.unknown(item, _MOVE, where, "mouseTracking.")
        return {"kind": "move", **self.columns(item, _MOVE, where)}
