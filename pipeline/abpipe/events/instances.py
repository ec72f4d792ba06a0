"""COCO's own annotation files to rows: objects, and the sizes of all their pictures.

Which list an element is of, its fields tell: a block knows nothing of what came before it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from itertools import chain, pairwise
from operator import itemgetter
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from abpipe.contracts import classes
from abpipe.events.coco_tracks import EXACT
from abpipe.events.json_strict import Object, Reading, bad_type, bad_utf8, integer, number, values
from abpipe.raw.block import JsonBlock
from abpipe.raw.json_shapes import BLANK
from abpipe.rows import BadRecord, Batch, Rows, dumps, schema

_LISTS = ("images", "annotations", "categories", "licenses")
#: Columns of the tables in the order of the rows' values; all others are NULL, or stamped.
_IMAGES = ("image_id", "width", "height", "n_annotations", "extra")
_OBJECTS = (
    *("image_id", "class_id", "category_id", "xmin", "ymin", "xmax", "ymax"),
    *("area", "iscrowd", "mask", "extra"),
)

#: Known fields that have no column: `extra` keeps them, and the ledger does not count them.
_ABOUT = ("license", "file_name", "coco_url", "flickr_url", "date_captured")
_OF_IMAGE = ("id", "width", "height", *_ABOUT)
_FIELDS = ("image_id", "category_id", "bbox", "area", "iscrowd", "segmentation", "id")
_OF_OBJECT = frozenset(_FIELDS)
_fields = itemgetter(*_FIELDS)

_NO_BOX = (None, None, None, None)
_DIGITS = bytes(ord("0") if chr(c).isascii() and chr(c).isdigit() else 0 for c in range(256))
_LONG = b"0" * 19  # may be an integer beyond 64 bits


def parse(block: JsonBlock, *, fast: bool = True) -> Batch:
    """The rows of one block; without `fast`, every element is read by itself."""
    data = bytes(block.buffer.view[block.start : block.end])
    starts = list(block.shape.starts(data))
    reading = _BlockReading(block.offset, _has_long_numbers(data))
    if head := data[: starts[0]] if starts else data:
        reading.around(head.decode("utf-8", "surrogateescape"), 0, opening="")
    pieces = [(begin, data[begin:end]) for begin, end in pairwise([*starts, len(data)])]
    usual = {at: found for at, piece in pieces if fast and (found := reading.usual(piece))}
    columns = _columns(list(usual.values()))
    for at, piece in pieces:
        if columns is None or at not in usual:
            reading.piece(piece, at)
    return reading.batch(columns, list(usual))


@dataclass
class _BlockReading:
    """One block being read."""

    offset: int
    careful: bool  # there are numbers which orjson may have changed
    rows: Rows = field(default_factory=lambda: Rows({"rejects": []}))
    images: list[tuple[Any, ...]] = field(default_factory=list)
    objects: dict[int, tuple[Any, ...]] = field(default_factory=dict)

    def batch(self, usual: pa.Table | None, places: list[int]) -> Batch:
        """The rows: those read by themselves, and usual objects that lie at some places."""
        objects = _table("objects", _OBJECTS, list(self.objects.values()))
        if usual is not None:
            order = np.argsort([*self.objects, *places], kind="stable")
            objects = pa.concat_tables([objects, usual]).take(order) if self.objects else usual
        counts, batch = self.rows.counts, self.rows.batch()
        counts["records.total"] += len(self.images) + objects.num_rows
        tables = {"images": _table("images", _IMAGES, self.images), "objects": objects}
        return Batch(tables | batch.tables, counts)

    def usual(self, piece: bytes) -> Object | None:
        """An annotation that has all its fields and no other."""
        found = self.quick(piece)
        return found if found and len(found) == 7 and found.keys() == _OF_OBJECT else None

    def quick(self, piece: bytes) -> Object | None:
        """The object of an element; None where orjson may hide something, or finds nothing."""
        if self.careful and _has_long_numbers(piece):
            return None
        try:
            found = orjson.loads(piece.rstrip(BLANK + b","))
            mask = found.get("segmentation")
        except (orjson.JSONDecodeError, AttributeError):
            return None
        n_keys = len(found) + (len(mask) if type(mask) is dict else 0)
        return found if piece.count(b'":') == n_keys else None

    def piece(self, piece: bytes, at: int) -> None:
        """Read one element, and what stands between it and the next."""
        found = self.quick(piece)
        if found is not None:
            self.element(found, piece, at)
            return
        text = piece.decode("utf-8", "surrogateescape")
        _, end, strict = next(values(text))
        raw = text[:end].encode("utf-8", "surrogateescape")
        self.element(strict, raw, at)
        if text[end:].strip(" \t\r\n,"):
            self.around(text[end:], at + len(raw), opening='{"":[0')

    def element(self, found: Object | BadRecord, raw: bytes, at: int) -> None:
        """Add the row of an element, or a reject."""
        try:
            if isinstance(found, BadRecord):
                raise found
            self.add(found, at)
        except BadRecord as err:
            raw = raw.rstrip(BLANK + b",")
            self.rows.reject_record(err.code, err.message, None, self.offset + at, raw)

    def add(self, found: Object, at: int) -> None:
        """Add the row of an element."""
        reading = Reading()
        if "image_id" in found or "bbox" in found or "segmentation" in found:
            self.objects[at] = _object(found, reading)
        elif "file_name" in found or "width" in found or "height" in found:
            self.images.append(_image(found, reading))
        elif "url" in found:
            reading.counts["junk.licenses"] += 1
        else:
            _check_category(found)
        if reading.counts:
            self.rows.counts.update(reading.counts)

    def around(self, text: str, at: int, opening: str) -> None:
        """Check what stands around elements: with them, it must make an object."""
        for whole in (f"{opening}{text}0]}}", f"{opening}{text}}}"):
            _, end, found = next(values(whole))
            if not isinstance(found, BadRecord) and end == len(whole):
                kept = Counter(f"junk.{name}" for name in found if name and name not in _LISTS)
                self.rows.counts.update(kept)
                return
        raw = text.encode("utf-8", "surrogateescape")
        message = "between elements, only the end of one list and the beginning of the next may be"
        self.rows.reject_record("bad-json", message, None, self.offset + at, raw)


def _has_long_numbers(data: bytes) -> bool:
    return _LONG in data.translate(_DIGITS)


def _columns(usual: list[Object]) -> pa.Table | None:
    """The rows of usual annotations; None if one holds a value that must be read by itself."""
    if not usual:
        return None
    images, categories, boxes, areas, crowds, masks, ids = zip(*map(_fields, usual), strict=True)
    try:
        sides = list(chain.from_iterable(boxes))
        n_sides = set(map(len, boxes))
    except TypeError:
        return None
    whole = set(map(type, chain(images, categories, crowds, ids))) == {int}
    if not whole or n_sides != {4} or not set(map(type, masks)) <= {list, dict}:
        return None
    if not set(map(type, chain(areas, sides))) <= {int, float}:
        return None
    box, area = np.array(sides, float).reshape(-1, 4), np.array(areas, float)
    if max(np.abs(box).max(), np.abs(area).max()) >= EXACT:
        return None
    low, high = box[:, :2], box[:, :2] + box[:, 2:]
    exact = (high - low == box[:, 2:]).all(axis=1).tolist()
    try:
        texts = list(map(dumps, masks))
    except TypeError:  # orjson's word for half a surrogate pair
        return None
    found = {
        "image_id": list(map(str, images)),
        "class_id": list(map(_names().get, categories)),
        "category_id": categories,
        **dict(zip(("xmin", "ymin", "xmax", "ymax"), (*low.T, *high.T), strict=True)),
        "area": area,
        "iscrowd": crowds,
        "mask": texts,
        "extra": [
            f'{{"fields":{{"/id":{n}}}}}'
            if plain
            else f'{{"fields":{{"/bbox":{dumps(recorded)},"/id":{n}}}}}'
            for n, recorded, plain in zip(ids, boxes, exact, strict=True)
        ],
    }
    return _arrow("objects", found, len(usual))


def _object(found: Object, reading: Reading) -> tuple[Any, ...]:
    if found.get("image_id") is None:
        raise BadRecord("missing-id", "the annotation has no image_id")
    image_id = str(integer(found["image_id"], "", "image_id"))
    annotation = _value(found, "id", integer, reading)
    if annotation is not None:
        reading.extra.fields["/id"] = annotation
    category = _value(found, "category_id", integer, reading)
    box = _value(found, "bbox", _box, reading)
    if box and _recorded(*box) != found["bbox"]:
        reading.extra.fields["/bbox"] = found["bbox"]
    area = _value(found, "area", number, reading)
    crowd = _value(found, "iscrowd", integer, reading)
    mask = _value(found, "segmentation", _mask, reading)
    if not found.keys() <= _OF_OBJECT:
        reading.unknown(found, _OF_OBJECT, "", "annotations.")
    extra = reading.json()
    return image_id, _names().get(category), category, *(box or _NO_BOX), area, crowd, mask, extra


def _image(found: Object, reading: Reading) -> tuple[Any, ...]:
    if found.get("id") is None:
        raise BadRecord("missing-id", "the picture has no id")
    image_id = str(integer(found["id"], "", "id"))
    width = _value(found, "width", integer, reading)
    height = _value(found, "height", integer, reading)
    reading.extra.fields |= {f"/{name}": found[name] for name in _ABOUT if name in found}
    reading.unknown(found, _OF_IMAGE, "", "images.")
    return image_id, width, height, 0, reading.json()


def _check_category(found: Object) -> None:
    """Raise unless a category is one of COCO's 80."""
    ids, name = _names(), found.get("name")
    if "name" not in found or "id" not in found:
        shown = ", ".join(sorted(found))[:80]
        raise BadRecord("unknown-element", f"neither picture, object nor category: {shown!a}")
    if type(found["id"]) is not int or ids.get(found["id"]) != name:
        what = f"category {str(found['id'])[:20]!a} is {str(name)[:40]!a}"
        raise BadRecord("other-category", f"{what}: not as in COCO, whose classes are fixed")


def _value(found: Object, name: str, check: Any, reading: Reading) -> Any:
    """A field as its column takes it; None with a word in `extra` if there is no value."""
    value = found.get(name)
    if value is not None:
        return check(value, "", name)
    (reading.extra.null if name in found else reading.extra.absent).append(f"/{name}")
    return None


def _box(value: Any, where: str, name: str) -> tuple[float, ...]:
    """The corners of [x, y, width, height]."""
    if type(value) is not list or len(value) != 4:
        raise bad_type(f"{where}/{name}", "[x, y, width, height]", value)
    x, y, width, height = [number(side, where, name) for side in value]
    return x, y, x + width, y + height


def _recorded(xmin: float, ymin: float, xmax: float, ymax: float) -> list[float]:
    """What the corners say of [x, y, width, height]: rounding may have cost the last bit."""
    return [xmin, ymin, xmax - xmin, ymax - ymin]


def _mask(value: Any, where: str, name: str) -> str:
    """Polygons or RLE as JSON."""
    if type(value) not in (list, dict):
        raise bad_type(f"{where}/{name}", "polygons or RLE", value)
    try:
        return dumps(value)
    except TypeError:  # orjson's word for half a surrogate pair
        raise bad_utf8(f"{where}/{name}") from None


@cache
def _names() -> dict[int | None, str]:
    return {row["category_id"]: row["class_id"] for row in classes("coco")}


def _table(name: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> pa.Table:
    found = dict(zip(columns, zip(*rows, strict=True), strict=True)) if rows else {}
    return _arrow(name, found, len(rows))


def _arrow(name: str, found: dict[str, Any], n: int) -> pa.Table:
    fields = [f for f in schema(name) if f.name != "object_no"]  # stamped: see `Job`
    arrays = [
        pa.array(found[f.name], f.type) if f.name in found else pa.nulls(n, f.type) for f in fields
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))
