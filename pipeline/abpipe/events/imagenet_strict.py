"""ImageNet-AB, one file at a time: the strict parser that defines what every file means.

`imagenet.parse` reads the files that look as published much faster, and must agree with this one.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

from abpipe.raw.xml_tree import Element, append, tree
from abpipe.rows import INT64, BadRecord, Extra, Rows

DATABASE = "ILSVRC_2012"  # the only value seen: any other is kept in `extra`

_INTEGER = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_RECORD = re.compile(rb"<metadata>.*?(?:</metadata>|(?=<metadata>)|(?=</annotation>)|\Z)", re.S)


def integer(text: str) -> int:
    """The 64-bit integer that a text spells. Raises BadRecord if it is none."""
    if not _INTEGER.fullmatch(text):
        raise BadRecord("bad-number", f"{text[:40]!r} is no integer")
    if len(text) > 20 or (value := int(text)) not in INT64:
        raise BadRecord("int-overflow", f"{text[:40]} does not fit 64 bits")
    return value


def number(text: str) -> float:
    """The finite double that a text spells. Raises BadRecord if it is none."""
    if not _NUMBER.fullmatch(text):
        raise BadRecord("bad-number", f"{text[:40]!r} is no number")
    if not math.isfinite(value := float(text)):
        raise BadRecord("bad-number", f"{text[:40]} does not fit a double")
    return value


def truth(text: str) -> bool:
    """True or False as Python spells them. `bool("False")` was a user's bug."""
    if text not in ("True", "False"):
        raise BadRecord("bad-boolean", f"{text[:40]!r} is neither True nor False")
    return text == "True"


#: Path of an element in its record -> column and how its text is read.
Fields: TypeAlias = dict[str, tuple[str, Callable[[str], Any]]]

IMAGE: Fields = {
    "folder": ("class_id", str),
    "filename": ("image_id", str),
    "source/database": ("database", str),
    "size/width": ("width", integer),
    "size/height": ("height", integer),
    "size/depth": ("depth", integer),
    "segmented": ("segmented", integer),
}
OBJECT: Fields = {
    "name": ("class_id", str),
    "pose": ("pose", str),
    "truncated": ("truncated", integer),
    "difficult": ("difficult", integer),
    "bndbox/xmin": ("xmin", number),
    "bndbox/ymin": ("ymin", number),
    "bndbox/xmax": ("xmax", number),
    "bndbox/ymax": ("ymax", number),
}
METADATA: Fields = {
    "assignment_id": ("assignment_id", str),
    "estimateTime": ("estimate_ms", integer),
    "hit_id": ("hit_id", str),
    "hit_submit_time": ("submitted_s", integer),
    "hoveredCount": ("hover_count", integer),
    "imageHeight": ("display_height", number),
    "imageID": ("imageID", str),
    "imagePosition/x": ("page_x", number),
    "imagePosition/y": ("page_y", number),
    "imageWidth": ("display_width", number),
    "image_idx": ("slot", integer),
    "imagenet_hit_id": ("tool_hit_id", str),
    "originalImageHeight": ("natural_height", integer),
    "originalImageWidth": ("natural_width", integer),
    "page_idx": ("page", integer),
    "selected": ("selected", truth),
    "selectedCount": ("select_count", integer),
    "worker_id": ("annotator_id", str),
}
MOVE: Fields = {"time": ("t_ms", integer), "x": ("x", number), "y": ("y", number)}
HOVER: Fields = {"action": ("kind", str), "time": ("t_ms", integer)}

#: The lists of a record, in the order of its events: element -> fields of an item, kind.
LISTS: dict[str, tuple[Fields, str | None]] = {
    "hoveredRecord": (HOVER, None),
    "mouseTracking": (MOVE, "move"),
    "selectedRecord": (MOVE, "click"),
}


#: Told of a field that cannot be read where that costs no more than the field.
OnBad: TypeAlias = Callable[[BadRecord, Element], None]


class Reader:
    """Reads one element's known fields into columns; whatever else stands there goes to `extra`."""

    def __init__(self, counts: Counter[str], on_bad: OnBad | None = None) -> None:
        self.extra = Extra()
        self.counts, self.on_bad = counts, on_bad

    def read(
        self, element: Element, fields: Fields, lists: tuple[str, ...] = (), at: str = ""
    ) -> tuple[dict[str, Any], dict[str, list[Element]]]:
        """Columns of the fields, and the elements of each list, in their order."""
        columns: dict[str, Any] = {}
        items: dict[str, list[Element]] = {name: [] for name in lists}
        self._container(element, at)
        for child in element.children:
            if child.tag in items:
                items[child.tag].append(child)
            elif child.tag in fields:
                self._leaf(child, fields[child.tag], columns, f"{at}/{child.tag}")
            elif inner := _below(fields, child.tag):
                self._group(child, inner, columns, f"{at}/{child.tag}")
            else:
                self.keep(child, f"{at}/{child.tag}")
        return columns, items

    def keep(self, element: Element, pointer: str) -> None:
        """Keep an element that has no column."""
        append(self.extra.fields, pointer, element.value())
        self.counts[f"extra.{element.tag}"] += 1

    def _attributes(self, element: Element, at: str) -> None:
        for name, value in element.attributes.items():
            self.extra.fields[f"{at}/@{name}"] = value
            self.counts[f"extra.@{name}"] += 1

    def _container(self, element: Element, at: str) -> None:
        self._attributes(element, at)
        if element.text.strip():
            self.extra.fields[f"{at}/#text"] = element.text.strip()
            self.counts["extra.#text"] += 1

    def _group(self, element: Element, fields: Fields, columns: dict[str, Any], at: str) -> None:
        if columns.keys() & {column for column, _ in fields.values()} or at in self.extra.empty:
            self._bad(element, at, BadRecord("duplicate-field", "stands there twice"))
        elif element.is_empty:
            self.extra.empty.append(at)
        else:
            columns.update(self.read(element, fields, at=at)[0])

    def _leaf(
        self,
        element: Element,
        field: tuple[str, Callable[[str], Any]],
        columns: dict[str, Any],
        at: str,
    ) -> None:
        column, convert = field
        try:
            if column in columns:
                raise BadRecord("duplicate-field", "stands there twice")
            columns[column] = None
            if element.children:
                raise BadRecord("bad-structure", "holds elements instead of a value")
            if text := element.text if convert is str else element.text.strip():
                columns[column] = convert(text)
            else:
                self.extra.empty.append(at)
            self._attributes(element, at)
        except BadRecord as err:
            self._bad(element, at, err)

    def _bad(self, element: Element, at: str, err: BadRecord) -> None:
        """Give up the record; or only the field, where `on_bad` takes note and `extra` keeps it."""
        message = f"<{element.tag}>: {err.message}"
        if self.on_bad is None:
            raise BadRecord(err.code, message, element.start)
        append(self.extra.fields, at, element.value())
        self.on_bad(BadRecord(err.code, message, element.start), element)


def _below(fields: Fields, tag: str) -> Fields:
    return {p[len(tag) + 1 :]: field for p, field in fields.items() if p.startswith(f"{tag}/")}


def parse_file(data: bytes, member: str, rows: Rows) -> None:
    """Add one XML file's rows; what is wrong in it becomes rejects.

    A file that is not well-formed still gives the records that are, each read by itself.
    """
    try:
        _add_file(data, member, rows)
    except BadRecord as err:
        rows.reject("member", err.code, err.message, member, err.offset, data)
    else:
        rows.counts["members.ok"] += 1


def _add_file(data: bytes, member: str, rows: Rows) -> None:
    try:
        root = tree(data)
    except BadRecord as err:
        spans = [match.span() for match in _RECORD.finditer(data)]
        head = _head(data, spans) if err.code == "bad-xml" and spans else None
        if head is None:
            raise
        n_rejects = len(rows.tables["rejects"])
        _add_image(head, data, spans, member, rows)
        if n_rejects == len(rows.tables["rejects"]):  # all records are good, and still it is broken
            rows.reject("field", err.code, err.message, member, err.offset, data[err.offset :])
    else:
        _add_image(root, data, None, member, rows)


def _head(data: bytes, spans: list[tuple[int, int]]) -> Element | None:
    """The tree of a broken file with its records blanked out, so that offsets stay true.

    None if what is left is broken, too.
    """
    head = bytearray(data)
    for start, end in spans:
        head[start:end] = b" " * (end - start)
    closed = b"" if b"</annotation>" in head else b"</annotation>"
    try:
        return tree(bytes(head) + closed)
    except BadRecord:
        return None


def _add_image(
    root: Element, data: bytes, spans: list[tuple[int, int]] | None, member: str, rows: Rows
) -> None:
    if root.tag != "annotation":
        raise BadRecord("not-annotation", f"the file holds <{root.tag}>, not <annotation>")

    def on_bad(err: BadRecord, element: Element) -> None:
        raw = data[element.start : element.end]
        rejected.append((err, raw))

    rejected: list[tuple[BadRecord, bytes]] = []
    counts: Counter[str] = Counter()
    reader = Reader(counts, on_bad)
    image, lists = reader.read(root, IMAGE, ("object", "metadata"))
    if not image.get("image_id"):
        raise BadRecord("missing-id", "the file has no <filename>")
    _expect(image.pop("database", None), DATABASE, "/source/database", "/source", reader.extra)
    image_id, class_id = image["image_id"], image.get("class_id")
    objects = [_object(element, counts, on_bad) for element in lists["object"]]

    for number_, row in enumerate(objects):
        rows.add("objects", image_id=image_id, object_no=number_, **row, member=member)
    expected = f"{class_id}/{image_id}"
    if spans is None:
        spans = [(element.start, element.end) for element in lists["metadata"]]
        records: list[Element | None] = list(lists["metadata"])
    else:
        records = [None] * len(spans)
    n_annotations = 0
    for (start, end), record in zip(spans, records, strict=True):
        rows.counts["records.total"] += 1
        try:
            element = record or tree(data[start:end], start)
            _add_record(element, image_id, expected, member, rows)
            n_annotations += 1
        except BadRecord as err:
            rows.reject("record", err.code, err.message, member, start, data[start:end])
    extra = reader.extra.json()
    rows.add("images", **image, n_annotations=n_annotations, member=member, extra=extra)
    for bad, raw in rejected:
        rows.reject("field", bad.code, bad.message, member, bad.offset, raw)
    rows.counts.update(counts)


def _expect(found: str | None, expected: str, pointer: str, group: str, extra: Extra) -> None:
    """Say in `extra` where a field is not what it always is: such fields have no column."""
    if found == expected or {pointer, group} & {*extra.empty}:
        return
    if found is None:
        extra.absent.append(pointer)
    else:
        extra.fields[pointer] = found


def _object(element: Element, counts: Counter[str], on_bad: OnBad) -> dict[str, Any]:
    reader = Reader(counts, on_bad)
    row, _ = reader.read(element, OBJECT)
    return row | {"extra": reader.extra.json()}


def _add_record(element: Element, image_id: str, expected: str, member: str, rows: Rows) -> None:
    counts: Counter[str] = Counter()
    reader = Reader(counts)
    row, lists = reader.read(element, METADATA, tuple(LISTS))
    _expect(row.pop("imageID", None), expected, "/imageID", "", reader.extra)
    events = [event for name, items in lists.items() for event in _events(name, items, reader)]
    annotation_id = len(rows.tables["annotations"])
    rows.add(
        "annotations",
        annotation_id=annotation_id,
        image_id=image_id,
        tool="imagenet",
        **row,
        member=member,
        extra=reader.extra.json(),
    )
    for event in events:
        rows.add("events", annotation_id=annotation_id, image_id=image_id, **event)
    rows.counts.update(counts)


def _events(name: str, items: list[Element], reader: Reader) -> list[dict[str, Any]]:
    """The events of one list; an item whose kind is unknown is kept in `extra`."""
    if len(items) == 1 and items[0].is_empty:
        reader.extra.empty.append(f"/{name}")
        return []
    fields, kind = LISTS[name]
    events = []
    for seq, item in enumerate(items):
        pointer = f"/{name}/{seq}"
        actions = [child.text for child in item.children if child.tag == "action"]
        if kind is None and (len(actions) != 1 or actions[0] not in ("enter", "leave")):
            reader.extra.fields[pointer] = item.value()
            reader.counts[f"extra.{name}"] += 1
            continue
        event, _ = reader.read(item, fields, at=pointer)
        events.append({"kind": kind, "seq": seq} | event)
    return events
