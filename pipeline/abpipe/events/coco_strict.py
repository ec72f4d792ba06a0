"""The strict reader of COCO-AB records: slow, and the one that says what is wrong with a record."""

from __future__ import annotations

import json  # noqa: TID251 - orjson hides duplicate keys and integers above 64 bits
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from abpipe.raw.json_shapes import BLANK
from abpipe.rows import INT64, BadRecord, Extra, Rows

Object: TypeAlias = dict[str, Any]

KINDS = {"add": "add", "move": "drag", "remove": "remove"}
DEEPEST = 100
_KEPT_INTEGERS = range(-(1 << 63), 1 << 64)  # what orjson can write into `extra`
_BETWEEN = re.compile(r"[ \t\r\n,]*")


@dataclass
class Record:
    """The rows of one record, still without an annotation id."""

    annotation: dict[str, Any]
    events: list[dict[str, Any]]


def parse(piece: bytes, offset: int, member: str | None, rows: Rows) -> list[Record]:
    """The good records of some bytes, in order; what is not one becomes a reject in `rows`."""
    # surrogateescape: an invalid byte must not cost the other records of the piece
    text = piece.decode("utf-8", "surrogateescape")
    records = []

    def reject(code: str, message: str, begin: int, end: int) -> None:
        raw = text[begin:end].encode("utf-8", "surrogateescape").rstrip(BLANK + b",")
        place = offset + len(text[:begin].encode("utf-8", "surrogateescape"))
        rows.reject_record(code, message, member, place, raw)

    for begin, end, found in _values(text):
        if isinstance(found, BadRecord):
            reject(found.code, found.message, begin, end)
            continue
        reading = _Reading()
        try:
            records.append(reading.record(found))
        except BadRecord as err:
            reject(err.code, err.message, begin, end)
        else:
            rows.counts["records.total"] += 1
            rows.counts.update(reading.counts)
    return records


def _values(text: str) -> Iterator[tuple[int, int, Object | BadRecord]]:
    """Each object in the text, or what is wrong with it, and where it begins and ends."""
    decoder = _Decoder()
    at = _skip(text, 0)
    while at < len(text):
        try:
            found, end = decoder.decode_object(text, at)
        except BadRecord as err:
            # where a broken record ends is unknown: the rest of the piece goes with it
            yield at, len(text), err
            return
        yield at, end, found
        at = _skip(text, end)


def _skip(text: str, at: int) -> int:
    between = _BETWEEN.match(text, at)
    return between.end() if between else at


class _Decoder:
    """Decodes one object at a time and remembers the first thing that plain JSON forbids.

    It does not raise at once, for then the end of the object would stay unknown.
    """

    def __init__(self) -> None:
        self._problem: BadRecord | None = None
        self._json = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_constant=self._constant,
            parse_int=self._integer,
            parse_float=self._float,
        )

    def decode_object(self, text: str, at: int) -> tuple[Object | BadRecord, int]:
        """The object that begins there, or what is wrong with it, and its end."""
        self._problem = None
        if text[at] != "{":
            raise BadRecord("bad-json", f"expected an object, found {text[at : at + 20]!a}")
        try:
            found, end = self._json.raw_decode(text, at)
        except json.JSONDecodeError as err:
            place = len(text[at : err.pos].encode("utf-8", "surrogateescape"))
            raise BadRecord("bad-json", f"{err.msg} at byte {place} of the record") from None
        except RecursionError:
            raise BadRecord("too-deep", f"nested deeper than {DEEPEST} levels") from None
        return self._problem or found, end

    def _note(self, code: str, message: str) -> None:
        self._problem = self._problem or BadRecord(code, message)

    def _object(self, pairs: list[tuple[str, Any]]) -> Object:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next(key for key, n in Counter(key for key, _ in pairs).items() if n > 1)
            self._note("duplicate-key", f"key {twice!a} occurs more than once in an object")
        return found

    def _constant(self, name: str) -> None:
        self._note("not-a-number", f"{name} is not JSON")

    def _integer(self, digits: str) -> int:
        # 21 characters exceed 64 bits; Python refuses to convert thousands of them
        value = int(digits) if len(digits) < 21 else _KEPT_INTEGERS.stop
        if value not in _KEPT_INTEGERS:
            self._note("int-overflow", f"integer {digits[:40]} does not fit 64 bits")
        return value

    def _float(self, digits: str) -> float:
        value = float(digits)
        if not math.isfinite(value):
            self._note("not-a-number", f"number {digits[:40]} does not fit a double")
        return value


def _text(value: Any, where: str, name: str) -> str:
    if type(value) is not str:
        raise _bad_type(f"{where}/{name}", "a string", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _bad_utf8(f"{where}/{name}") from None
    return value


def _int(value: Any, where: str, name: str) -> int:
    if type(value) is not int:
        raise _bad_type(f"{where}/{name}", "an integer", value)
    if value not in INT64:
        raise BadRecord("int-overflow", f"{where}/{name}: integer {value} does not fit 64 bits")
    return value


def _float(value: Any, where: str, name: str) -> float:
    if type(value) is int:
        if int(float(value)) != value:
            raise BadRecord("inexact", f"{where}/{name}: integer {value} has no exact double")
        return float(value)
    if type(value) is not float:
        raise _bad_type(f"{where}/{name}", "a number", value)
    return value


def _bool(value: Any, where: str, name: str) -> bool:
    if type(value) is not bool:
        raise _bad_type(f"{where}/{name}", "true or false", value)
    return value


def _bad_type(where: str, expected: str, found: Any) -> BadRecord:
    return BadRecord("bad-type", f"{where}: expected {expected}, found {str(found)[:40]!a}")


def _bad_utf8(where: str) -> BadRecord:
    return BadRecord("bad-utf8", f"{where}: text that is not valid UTF-8, or half a surrogate pair")


#: Field of the record -> column of annotations and how its values are checked.
SCALARS = {
    "hit_id": ("tool_hit_id", _text),
    "page_id": ("page", _int),
    "worker_id": ("annotator_id", _text),
    "originalImageHeight": ("natural_height", _int),
    "originalImageWidth": ("natural_width", _int),
    "imageHeight": ("display_height", _float),
    "imageWidth": ("display_width", _float),
    "timeSpent": ("time_spent_ms", _int),
}
_ACTION = {"iconType": ("label", _text), "timeAt": ("t_ms", _int)}
POINTS = {"pointFrom": ("x_from", "y_from"), "pointTo": ("x", "y")}
_CATEGORY = {
    "categoryIndex": ("category_index", _int),
    "categoryName": ("label", _text),
    "timeAt": ("t_ms", _int),
    "usingKeyboard": ("keyboard", _bool),
}
_MOVE = {"x": ("x", _float), "y": ("y", _float), "timeAt": ("t_ms", _int)}
LISTS = ("actionHistories", "categoryHistories", "mouseTracking")
FIELDS = ("image_id", *SCALARS, *LISTS)


@dataclass
class _Reading:
    """One record being read: what its columns cannot say collects on the way."""

    extra: Extra = field(default_factory=Extra)
    counts: Counter[str] = field(default_factory=Counter)

    def record(self, found: Object) -> Record:
        if found.get("image_id") is None:
            raise BadRecord("missing-id", "the record has no image_id")
        annotation: dict[str, Any] = {
            "image_id": str(_int(found["image_id"], "", "image_id")),
            "tool": "coco",
        }
        for name, (column, check) in SCALARS.items():
            if name not in found:
                continue
            if found[name] is None:
                self.extra.null.append(f"/{name}")
            else:
                annotation[column] = check(found[name], "", name)
        self.unknown(found, FIELDS, "", "")
        events = [event for name in LISTS for event in self.events(name, found)]
        annotation["extra"] = self.json()
        for event in events:
            event["image_id"] = annotation["image_id"]
        return Record(annotation, events)

    def json(self) -> str | None:
        try:
            return self.extra.json()
        except TypeError:  # orjson's word for half a surrogate pair
            raise _bad_utf8("an unknown field") from None

    def events(self, name: str, found: Object) -> Iterator[dict[str, Any]]:
        if name not in found:
            self.extra.absent.append(f"/{name}")
            return
        items = found[name]
        if items is None:
            self.extra.null.append(f"/{name}")
            return
        if not isinstance(items, list):
            raise _bad_type(f"/{name}", "a list", items)
        read = {"actionHistories": self.action, "categoryHistories": self.category}.get(
            name, self.move
        )
        for seq, item in enumerate(items):
            where = f"/{name}/{seq}"
            if not isinstance(item, dict):
                raise _bad_type(where, "an object", item)
            event = read(item, where)
            if event is not None:
                event["seq"] = seq
                yield event

    def action(self, item: Object, where: str) -> dict[str, Any] | None:
        action = item.get("actionType")
        if action is not None:
            action = _text(action, where, "actionType")
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
        if not isinstance(point, dict):
            raise _bad_type(where, "a point", point)
        if not point:
            self.extra.empty.append(where)
            return None, None
        # a NULL coordinate means that the whole point was null, so here both cases are listed
        for axis in ("x", "y"):
            if self.present(point, axis, where) and point[axis] is None:
                self.extra.null.append(f"{where}/{axis}")
        self.unknown(point, ("x", "y"), where, f"actionHistories.{name}.")
        x, y = (
            None if point.get(axis) is None else _float(point[axis], where, axis)
            for axis in ("x", "y")
        )
        return x, y

    def category(self, item: Object, where: str) -> dict[str, Any]:
        self.unknown(item, _CATEGORY, where, "categoryHistories.")
        return {"kind": "browse", **self.columns(item, _CATEGORY, where)}

    def move(self, item: Object, where: str) -> dict[str, Any]:
        self.unknown(item, _MOVE, where, "mouseTracking.")
        return {"kind": "move", **self.columns(item, _MOVE, where)}

    def columns(self, item: Object, fields: Any, where: str) -> dict[str, Any]:
        found = {}
        for name, (column, check) in fields.items():
            value = item.get(name)
            if value is not None:
                found[column] = check(value, where, name)
            elif name not in item:
                self.extra.absent.append(f"{where}/{name}")
        return found

    def present(self, item: Object, name: str, where: str) -> bool:
        if name not in item:
            self.extra.absent.append(f"{where}/{name}")
        return name in item

    def unknown(self, item: Object, known: Any, where: str, counted: str) -> None:
        for name in item:
            if name not in known:
                escaped = name.replace("~", "~0").replace("/", "~1")
                self.keep(f"{where}/{escaped}", counted + name, item[name])

    def keep(self, where: str, counted: str, value: Any) -> None:
        _refuse_depth(value, DEEPEST)
        self.extra.fields[where] = value
        self.counts[f"extra.{counted}"] += 1


def _refuse_depth(value: Any, left: int) -> None:
    if not isinstance(value, dict | list):
        return
    if not left:
        raise BadRecord("too-deep", f"nested deeper than {DEEPEST} levels")
    for inner in value.values() if isinstance(value, dict) else value:
        _refuse_depth(inner, left - 1)
