"""Page records to rows: what the tools' front-ends send, and the annotation records they name.

A page of the ImageNet tool holds a record for each of its pictures, one of the COCO tool a single
record. Pages are few, so the strict reader reads them all. Pointers in `extra` are those of the
page; what its annotation record says stands under the field that names it, without its `ID`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

from abpipe.events.coco_strict import LISTS as COCO_LISTS
from abpipe.events.coco_strict import CocoReading, Record
from abpipe.events.json_strict import (
    Fields,
    Object,
    Reading,
    bad_type,
    boolean,
    integer,
    number,
    objects,
    text,
)
from abpipe.image_ids import image_id
from abpipe.raw.block import Blocks, JsonBlock
from abpipe.raw.pages import ANNOTATION
from abpipe.rows import BadRecord, Batch, Rows

#: By tool: the field of a page that names its annotation record, and the one with its content.
LINKS = {"imagenet": "imageNetAnnotationID", "coco": "cocoAnnotationID"}
CONTENTS = {"imagenet": "annotations", "coco": "annotation"}


def _page(value: Any, where: str, name: str) -> int:
    return integer(integer(value, where, name) - 1, where, name)


def _moment(value: Any, where: str, name: str) -> int:
    """Milliseconds since 1970, from a number of them or an ISO 8601 time with its zone."""
    if type(value) is not str:
        return integer(value, where, name)
    try:
        then = datetime.fromisoformat(value)
    except ValueError:
        then = None
    if then is None or then.tzinfo is None:
        raise BadRecord("bad-time", f"{where}/{name}: no ISO 8601 time with its zone")
    return round(then.timestamp() * 1000)


_BEGIN: Fields = {"pageno": ("page", _page), "startedAt": ("started_ms", _moment)}
_END: Fields = {"endedAt": ("ended_ms", _moment)}
_SIZES: Fields = {
    "imageHeight": ("display_height", number),
    "imageWidth": ("display_width", number),
    "originalImageHeight": ("natural_height", integer),
    "originalImageWidth": ("natural_width", integer),
}
_BOARD: Fields = {**_SIZES, "timeSpend": ("time_spent_ms", integer)}
_SLOT: Fields = {
    **_SIZES,
    "estimateTime": ("estimate_ms", integer),
    "hoveredCount": ("hover_count", integer),
    "selected": ("selected", boolean),
    "selectedCount": ("select_count", integer),
}
_POSITION: Fields = {"x": ("page_x", number), "y": ("page_y", number)}
_VISIT: Fields = {"time": ("t_ms", integer)}
_PLACE: Fields = {**_VISIT, "x": ("x", number), "y": ("y", number)}
_PLACES = {"mouseTracking": "move", "selectedRecord": "click"}

#: Of an annotation record; whatever else it holds goes to `extra`.
_ANNOTATION: Fields = {
    "assignmentID": ("assignment_id", text),
    "cocoHitID": ("tool_hit_id", text),
    "hitID": ("hit_id", text),
    "imageNetHitID": ("tool_hit_id", text),
    "workerID": ("annotator_id", text),
}
#: What annotation records always hold, and no column does.
_ABOUT = {"annotatorID", "isDone", "startedAt", "version"}
#: A key that ends in `id`, with its text; and what stands before that if it is an id to be hidden.
_ID = re.compile(rb'_?[Ii][Dd]"[ \t\r\n]*:[ \t\r\n]*("[^"\\]*(?:\\.[^"\\]*)*")')
_WHOSE = (b'"', b"worker", b"assignment", b"annotator", b"annotation", b"hit")


@dataclass
class Survey:
    """What must be known of a whole source before one of its pages is read.

    `annotations` are the annotation records by id, `ids` all ids of records and people.
    """

    annotations: dict[str, Object] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)

    def look_through(self, blocks: Blocks) -> None:
        """Take note of what is in the blocks of a source."""
        for block in blocks:
            for piece, offset in _pieces(block) if isinstance(block, JsonBlock) else ():
                for match in _ID.finditer(piece):
                    before = piece[max(0, match.start() - 10) : match.start()]
                    if not before.lower().endswith(_WHOSE):
                        continue
                    said = objects(b'{"id":%b}' % match[1], 0, None, Rows())
                    self.ids |= {one["id"] for one, _ in said if one["id"]}
                if ANNOTATION.search(piece):
                    for record, _ in objects(piece, offset, None, Rows()):
                        if _is_annotation(record) and isinstance(record.get("id"), str):
                            self.annotations.setdefault(record["id"], record)


def parse(block: JsonBlock, tool: str, annotations: dict[str, Object]) -> Batch:
    """The rows of one tool's pages in a block; what is the other tool's has none."""
    rows = Rows()
    pictures: dict[str, dict[str, Any]] = {}
    for piece, offset in _pieces(block):
        for found, reject in objects(piece, offset, block.member, rows):
            try:
                if _is_annotation(found):
                    _check(found, annotations)
                    continue
                for record in _records(found, tool, annotations, rows.counts):
                    if isinstance(record, BadRecord):
                        reject(record)
                    else:
                        _add(record, block.member, rows, pictures)
            except BadRecord as err:
                reject(err)
    rows.tables["images"] = list(pictures.values())
    return rows.batch()


def _pieces(block: JsonBlock) -> Iterator[tuple[bytes, int]]:
    """The records of a block, each with its place in its file."""
    data = bytes(block.buffer.view[block.start : block.end])
    bounds = [0, *(start for start in block.shape.starts(data) if start), len(data)]
    for begin, end in pairwise(bounds):
        yield data[begin:end], block.offset + begin


def _is_annotation(found: Object) -> bool:
    about_people = {"workerID", "annotatorID", "assignmentID"} & found.keys()
    return bool(about_people) and not {"page", *CONTENTS.values()} & found.keys()


def _check(record: Object, annotations: dict[str, Object]) -> None:
    """Raise BadRecord for an annotation record of no use, or with the id of another."""
    known = annotations.get(text(record.get("id"), "", "id"))
    Reading().scalars(record, _ANNOTATION, "")
    if known != record:
        raise BadRecord("duplicate-id", "/id: an annotation record before it has the same")


def _add(
    record: Record, member: str | None, rows: Rows, pictures: dict[str, dict[str, Any]]
) -> None:
    annotation_id = len(rows.tables["annotations"])
    class_id, row = record.annotation.pop("class_id", None), record.annotation
    rows.add("annotations", annotation_id=annotation_id, member=member, **row)
    for event in record.events:
        rows.add("events", annotation_id=annotation_id, image_id=row["image_id"], **event)
    # many pages may show a picture: it has one row, and no member of its own
    picture = {"image_id": row["image_id"], "class_id": class_id, "n_annotations": 0}
    pictures.setdefault(row["image_id"], picture)["n_annotations"] += 1
    rows.counts["records.total"] += 1


def _records(
    found: Object, tool: str, annotations: dict[str, Object], counts: Counter[str]
) -> Iterator[Record | BadRecord]:
    """The records of a page, or what is wrong with one; none if it is the other tool's."""
    where = "/page" if "page" in found else ""
    page = found["page"] if where else found
    if not isinstance(page, dict):
        raise bad_type(where, "an object", page)
    tools = [name for name, content in CONTENTS.items() if content in page]
    if len(tools) != 1:
        if "actionHistories" in page:
            what = "it is a record of COCO-AB, which is read from its file alone: name that"
        else:
            what = "it is neither a page nor an annotation record"
        raise BadRecord("not-a-page", what)
    if tools != [tool]:
        return
    around = _Reading()
    columns = {"tool": tool, **around.page(found, where, tool)}
    told = page.get(LINKS[tool], found.get(LINKS[tool]))
    if isinstance(told, str) and told in annotations:
        columns |= around.annotation(annotations[told], f"/{LINKS[tool].removesuffix('ID')}")
    at, content = f"{where}/{CONTENTS[tool]}", page[CONTENTS[tool]]
    if tool == "imagenet" and (not isinstance(content, list) or not content):
        raise bad_type(at, "a list of pictures", content)
    counts.update(around.counts)
    for slot, shown in enumerate(content) if tool == "imagenet" else [(None, content)]:
        reading = _Reading(around.extra.copy())
        try:
            if slot is None:
                record = reading.board(shown, at)
            else:
                record = reading.slot(shown, f"{at}/{slot}")
            record.annotation |= columns | {"slot": slot, "extra": reading.json()}
            yield record
            counts.update(reading.counts)
        except BadRecord as err:
            yield err


class _Reading(CocoReading):
    """One record being read; before, its page, whose `extra` is part of that of its records."""

    def page(self, found: Object, where: str, tool: str) -> dict[str, Any]:
        """Columns that a page says of all its records."""
        page = found["page"] if where else found
        columns = self.scalars(page, _BEGIN, where) | self.scalars(page, _END, where)
        if where:
            columns |= self.outer_end(found, page, columns)
        known = {*_BEGIN, *_END, CONTENTS[tool]}
        for holder, at in [(page, where), (found, "")][: 2 if where else 1]:
            for name in ("id", "isDone", LINKS[tool], *_BEGIN, *_END):
                if name in holder and (name not in known or isinstance(holder[name], str)):
                    self.extra.fields[f"{at}/{name}"] = holder[name]
            self.unknown(holder, {"page", "id", "isDone", LINKS[tool], *known}, at, "")
        return columns

    def outer_end(self, found: Object, page: Object, inner: dict[str, Any]) -> dict[str, Any]:
        """When the page ended, by the body around it; usually both say the same."""
        outer = self.scalars(found, _END, "")
        for name, holder in (("/endedAt", found), ("/page/endedAt", page)):
            if (outer or "ended_ms" in inner) and "endedAt" not in holder:
                self.extra.absent.append(name)
        if not outer or "ended_ms" not in inner:
            return outer
        if outer["ended_ms"] != inner["ended_ms"]:
            self.extra.fields["/endedAt"] = found["endedAt"]
        return {}

    def annotation(self, record: Object, where: str) -> dict[str, Any]:
        """Columns of an annotation record. One without a worker is its annotator's."""
        try:
            columns = self.scalars(record, _ANNOTATION, where)
        except BadRecord:  # it is a reject of its own
            return {}
        for name, (column, _) in _ANNOTATION.items():
            if record.get(name) == "":
                columns[column] = None
                self.extra.empty.append(f"{where}/{name}")
        for name in _ABOUT & record.keys():
            self.extra.fields[f"{where}/{name}"] = record[name]
        self.unknown(record, {"id", *_ANNOTATION, *_ABOUT}, where, "")
        annotator = record.get("annotatorID")
        if columns.get("annotator_id") is None and isinstance(annotator, str):
            columns["annotator_id"] = annotator or None
        return columns

    def board(self, shown: Any, where: str) -> Record:
        """The picture of a page of the COCO tool."""
        if not isinstance(shown, dict):
            raise bad_type(where, "an object", shown)
        url = self.name(shown, "imageURL", where)
        self.extra.fields[f"{where}/imageURL"] = url
        columns = self.scalars(shown, _BOARD, where)
        self.unknown(shown, {"imageURL", *_BOARD, *COCO_LISTS}, where, "")
        picture = _picture(unquote(re.split("[?#]", url)[0]))
        return Record({"image_id": picture, **columns}, [*self.events(shown, where)])

    def slot(self, shown: Any, where: str) -> Record:
        """One picture of a page of the ImageNet tool."""
        if not isinstance(shown, dict):
            raise bad_type(where, "an object", shown)
        name = self.name(shown, "imageID", where)
        folder, picture = name.rpartition("/")[0].rpartition("/")[2], _picture(name)
        if name != f"{folder}/{picture}" or not picture.startswith(f"{folder}_"):
            self.extra.fields[f"{where}/imageID"] = name
        columns = {"image_id": picture, "class_id": folder or None}
        columns |= self.scalars(shown, _SLOT, where) | self.position(shown, where)
        known = {"imageID", "imagePosition", "hoveredRecord", *_PLACES, *_SLOT}
        self.unknown(shown, known, where, "")
        return Record(columns, [*self.visits(shown, where), *self.places(shown, where)])

    def name(self, shown: Object, name: str, where: str) -> str:
        """What names the picture."""
        if not shown.get(name):
            raise BadRecord("missing-id", f"{where}/{name}: nothing names the picture")
        return text(shown[name], where, name)

    def position(self, shown: Object, where: str) -> dict[str, Any]:
        """Where the picture lay on the page."""
        position, at = shown.get("imagePosition"), f"{where}/imagePosition"
        if position is None:
            return self.scalars(shown, {"imagePosition": ("", number)}, where)
        if not isinstance(position, dict):
            raise bad_type(at, "a point", position)
        if not position:
            self.extra.empty.append(at)
        self.unknown(position, _POSITION, at, "imagePosition.")
        return self.scalars(position, _POSITION, at)

    def visits(self, shown: Object, where: str) -> Iterator[dict[str, Any]]:
        """When the mouse came and went; an item of an unknown kind is kept in `extra`."""
        for seq, at, item in self.items(shown, "hoveredRecord", where):
            if item.get("action") not in ("enter", "leave"):
                self.keep(at, "hoveredRecord", item)
                continue
            self.unknown(item, {"action", *_VISIT}, at, "hoveredRecord.")
            yield {"kind": item["action"], "seq": seq, **self.scalars(item, _VISIT, at)}

    def places(self, shown: Object, where: str) -> Iterator[dict[str, Any]]:
        """Where the mouse moved, and where it clicked."""
        for name, kind in _PLACES.items():
            for seq, at, item in self.items(shown, name, where):
                self.unknown(item, _PLACE, at, f"{name}.")
                yield {"kind": kind, "seq": seq, **self.scalars(item, _PLACE, at)}


@lru_cache(1 << 16)
def _picture(name: str) -> str:
    return image_id(name)
