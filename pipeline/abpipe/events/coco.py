"""COCO-AB records to rows: a fast path for the usual record, the strict reader for all others.

The fast path takes a record only where it can tell that the strict reader would give the same rows.
It cuts the mouse track out of the record and reads the tracks of a whole block as columns of
numbers; orjson reads the rest. A track that is one repeated pattern once its digits are removed
leaves only the numbers to check. In the rest, as many colons as parsed keys exclude what orjson
hides (duplicate keys) and what no column holds (unknown keys).
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, pairwise
from operator import itemgetter
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from abpipe.events import coco_strict
from abpipe.events.coco_strict import FIELDS, KINDS, LISTS, SCALARS
from abpipe.events.rows import Batch, Extra, Rows, schema
from abpipe.raw.block import JsonBlock
from abpipe.raw.json_records import BLANK, starts

Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]
Object: TypeAlias = dict[str, Any]
#: Columns of events, and which of the records each row belongs to.
Part: TypeAlias = tuple[Ints, dict[str, Any]]

SAFE = 1 << 53  # below, integers and doubles are the same numbers

_scalars = itemgetter("image_id", *SCALARS)
_lists = itemgetter(*LISTS)
_SCALAR_TYPES = (int, str, int, str, int, int, int, int, int)
_TRACKS = 64  # read at once: few enough for the processor's cache
_NUMBERS_OR_NULL = {int, float, type(None)}

_TRACK = re.compile(rb'"mouseTracking"[ \t\r\n]*:[ \t\r\n]*\[')
_DIGITS = b"-.0123456789"
_NO_DIGITS = bytes(set(range(256)) - set(_DIGITS))
_MOVE = re.compile(
    rb'\{_"(x|y|timeAt)"_(:_),_"(x|y|timeAt)"_(:_),_"(x|y|timeAt)"_(:_)\}_,_'.replace(
        b"_", rb"[ \t\r\n]*"
    )
)
_NUMBERS = re.compile(
    rb'(?:[^":0-9-]*"(?:[xy]"[^":0-9-]*:_(?:\.[0-9]+)?|timeAt"[^":0-9-]*:_))*[^:.0-9-]*'.replace(
        b"_", rb"[^\":0-9-]*(?!-0[^.])-?(?:0|[1-9][0-9]{0,14})"
    )
)


class _UnfitError(Exception):
    """Records, by their places, that the fast path must leave to the strict reader."""

    def __init__(self, places: Iterable[int] = ()) -> None:
        self.places = set(places)


#: What reading an unusual record runs into.
_UNUSUAL = (_UnfitError, KeyError, TypeError, AttributeError, OverflowError, pa.ArrowInvalid)


@dataclass(frozen=True)
class _Layout:
    """How a move is written: which number comes when, and how far behind its colon."""

    x: int
    y: int
    t: int
    gap: int
    length: int  # up to the closing brace, without digits


@dataclass(frozen=True)
class _Fit:
    """A record that fits the fast path, as far as it can be told by itself."""

    scalars: tuple[Any, ...]
    actions: list[Object]
    categories: list[Object]
    track: bytes
    n_moves: int
    layout: _Layout | None


def parse(block: JsonBlock, *, fast: bool = True) -> Batch:
    """The rows of one block; without `fast` the strict reader reads every record."""
    # the collector would walk thousands of new dicts again and again, and none is in a cycle
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _parse(block, fast)
    finally:
        if collecting:
            gc.enable()


def _parse(block: JsonBlock, fast: bool) -> Batch:
    data = bytes(block.buffer.view[block.start : block.end])
    bounds = [0, *(start for start in starts(data) if start), len(data)]
    pieces = [data[begin:end] for begin, end in pairwise(bounds)]
    fits = {i: fit for i, piece in enumerate(pieces) if fast and (fit := _fit(piece))}
    parts = _parts(fits)
    rows = Rows()
    ids: list[int] = []
    records: list[coco_strict.Record] = []
    for i, (piece, begin) in enumerate(zip(pieces, bounds, strict=False)):
        if i in fits:
            ids.append(len(ids) + len(records))
            continue
        for record in coco_strict.parse(piece, block.offset + begin, block.member, rows):
            for row in (record.annotation, *record.events):
                row["annotation_id"] = len(ids) + len(records)
            records.append(record)
    rows.counts["records.total"] += len(fits)
    batch = rows.batch()
    batch.tables |= _tables(list(fits.values()), np.array(ids, np.int64), parts, records)
    return batch


def _fit(piece: bytes) -> _Fit | None:
    """What the fast path reads of a record; None if it is none of the usual ones."""
    record = piece.rstrip(BLANK + b",")
    opening = _TRACK.search(record)
    if not opening:
        return None
    begin = opening.end()
    end = record.find(b"]", begin)
    track, rest = record[begin:end], record[:begin] + record[end:]
    try:
        found = orjson.loads(rest)
        scalars = _scalars(found)
        actions, categories, moves = _lists(found)
        if moves != [] or type(actions) is not list or type(categories) is not list:
            return None
        n_keys = len(FIELDS) + 4 * len(categories)
        for item in actions:
            n_keys += len(item) + len(item.get("pointFrom") or ()) + len(item.get("pointTo") or ())
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None
    if rest.count(b":") != n_keys or tuple(map(type, scalars)) != _SCALAR_TYPES:
        return None
    image_id, _, page, _, *sizes = scalars
    if max(image_id, page, *sizes) >= SAFE or min(image_id, page, *sizes) <= -SAFE:
        return None
    layout, n_moves = _pattern(track)
    if n_moves < 0:
        return None
    return _Fit(scalars, actions, categories, track, n_moves, layout)


def _pattern(track: bytes) -> tuple[_Layout | None, int]:
    """The layout that all moves of a track share, and their number; below 0 if they do not."""
    pattern = track.translate(None, _DIGITS).strip(BLANK)
    if not pattern:
        return None, -1 if track.strip(BLANK) else 0
    second = pattern.find(b"{", 1)
    unit = pattern[:second] if second > 0 else pattern + b","
    layout, n = _layout(unit), len(pattern) // len(unit) + 1
    if layout and len(pattern) == (n - 1) * len(unit) + layout.length:
        return layout, n if (unit * n).startswith(pattern) else -1
    return None, -1


@lru_cache(256)
def _layout(unit: bytes) -> _Layout | None:
    match = _MOVE.fullmatch(unit)
    if not match or len(names := match.group(1, 3, 5)) != len(set(names)):
        return None
    gap = min(map(len, match.group(2, 4, 6)))  # before the brace, blanks may follow the number
    x, y, t = (names.index(name) for name in (b"x", b"y", b"timeAt"))
    return _Layout(x, y, t, gap, unit.index(b"}") + 1)


def _parts(fits: dict[int, _Fit]) -> list[Part]:
    """The events of the records; a record that does not fit after all leaves `fits`."""
    while fits:
        records = list(fits.values())
        try:
            return [_actions(records), _browsing(records), *_tracks(records)]
        except _UNUSUAL as unusual:
            places = unusual.places if isinstance(unusual, _UnfitError) else _alone(records)
            for key in [key for place, key in enumerate(fits) if place in places]:
                del fits[key]
    return []


def _alone(records: list[_Fit]) -> set[int]:
    """The places of the records that do not fit on their own."""
    places = set()
    for place, record in enumerate(records):
        try:
            _actions([record])
            _browsing([record])
        except _UNUSUAL:
            places.add(place)
    return places


def _actions(records: list[_Fit]) -> Part:
    owner = _owners([len(record.actions) for record in records])
    items = list(chain.from_iterable(record.actions for record in records))
    found = {
        "kind": [KINDS[item["actionType"]] for item in items],
        "seq": _places(owner),
        "t_ms": _ints([item["timeAt"] for item in items]),
        "label": _typed([item["iconType"] for item in items], {str}),
    }
    n_keys = 3 * len(items)
    for name, columns in coco_strict.POINTS.items():
        points = [item.get(name) for item in items]
        given = [point for point in points if point is not None]
        if sum(map(len, given)) != 2 * len(given) or None in chain(*map(dict.values, given)):
            raise TypeError
        for axis, column in zip("xy", columns, strict=True):
            found[column] = _floats([None if point is None else point[axis] for point in points])
        n_keys += sum(name in item for item in items)
    if sum(map(len, items)) != n_keys:
        raise TypeError
    return owner, found


def _browsing(records: list[_Fit]) -> Part:
    owner = _owners([len(record.categories) for record in records])
    items = list(chain.from_iterable(record.categories for record in records))
    return owner, {
        "kind": pa.repeat("browse", len(owner)),
        "seq": _places(owner),
        "t_ms": _ints([item["timeAt"] for item in items]),
        "label": _typed([item["categoryName"] for item in items], {str}),
        "category_index": _ints([item["categoryIndex"] for item in items]),
        "keyboard": _typed([item["usingKeyboard"] for item in items], {bool}),
    }


def _typed(column: Sequence[Any], types: set[type]) -> Sequence[Any]:
    if not set(map(type, column)) <= types:
        raise TypeError
    return column


def _ints(column: Sequence[Any]) -> Ints:
    return np.array(_typed(column, {int}), np.int64)


def _floats(column: Sequence[Any]) -> pa.Array:
    array = pa.array(_typed(column, _NUMBERS_OR_NULL), pa.float64())
    if (np.abs(array.to_numpy(zero_copy_only=False)) >= SAFE).any():
        raise OverflowError
    return array


def _owners(counts: Sequence[int]) -> Ints:
    return np.repeat(np.arange(len(counts)), counts)


def _places(owner: Ints) -> Ints:
    """0, 1, 2, … for the rows of each owner; they lie together."""
    row = np.arange(len(owner))
    new = np.diff(owner, prepend=-1) != 0
    return row - np.maximum.accumulate(np.where(new, row, 0))


def _tracks(records: list[_Fit]) -> Iterable[Part]:
    """The moves, layout by layout."""
    for layout in dict.fromkeys(record.layout for record in records if record.layout):
        places = [i for i, record in enumerate(records) if record.layout == layout]
        for some in (places[i : i + _TRACKS] for i in range(0, len(places), _TRACKS)):
            tracks = [records[place].track for place in some]
            n = np.array([records[place].n_moves for place in some])
            try:
                odd, numbers = _numbers(tracks, 3 * n, layout)
            except pa.ArrowInvalid:
                odd, numbers = np.array([not _NUMBERS.fullmatch(track) for track in tracks]), {}
                odd |= not odd.any()
            if odd.any():
                raise _UnfitError(np.array(some)[odd].tolist())
            owner = np.repeat(some, n)
            move = {"kind": pa.repeat("move", len(owner)), "seq": _places(owner)}
            yield owner, move | numbers


def _numbers(tracks: list[bytes], n: Ints, layout: _Layout) -> tuple[Bools, dict[str, Any]]:
    """Which tracks hold something else than numbers where these belong, and the numbers."""
    text = b",".join(tracks)
    chars = np.frombuffer(text, np.uint8)
    inside = chars - 45 < 13  # one of - . / 0..9, and a pattern that fits has no slash
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    begin, end = edges[::2], edges[1::2]
    if len(begin) != n.sum():
        raise pa.ArrowInvalid
    good = _well_formed(chars, begin, end, layout.gap)
    if good.all():
        offsets = np.zeros(len(begin) + 1, np.int32)
        np.cumsum(end - begin, out=offsets[1:])
        digits = pa.py_buffer(text.translate(None, _NO_DIGITS))
        strings = pa.StringArray.from_buffers(len(begin), pa.py_buffer(offsets), digits)
        values = strings.cast(pa.float64()).to_numpy()
        good = np.abs(values) < SAFE
        if good.all():
            times = strings.take(pa.array(np.arange(layout.t, len(begin), 3))).cast(pa.int64())
            found = {"x": values[layout.x :: 3], "y": values[layout.y :: 3], "t_ms": times}
            return np.zeros(len(n), np.bool_), found
    return np.asarray(~np.logical_and.reduceat(good, np.cumsum(n) - n)), {}


def _well_formed(chars: npt.NDArray[np.uint8], begin: Ints, end: Ints, gap: int) -> Bools:
    """Which runs of digits, points and signs follow a colon, and begin and end as JSON's do."""
    first = begin + (chars[begin] == ord("-"))
    is_zero = chars[first] == ord("0")
    is_minus_zero = (first > begin) & (end == first + 1)  # its sign depends on the column's type
    bad = is_zero & (_digit(chars[first + 1]) | is_minus_zero)
    bad |= (chars[begin - gap] != ord(":")) | ~_digit(chars[first]) | ~_digit(chars[end - 1])
    return np.asarray(~bad)


def _digit(chars: npt.NDArray[np.uint8]) -> Bools:
    return chars - ord("0") < 10


def _tables(
    fits: list[_Fit], ids: Ints, parts: list[Part], strict: list[coco_strict.Record]
) -> dict[str, pa.Table]:
    """The rows of both paths, in the order of the records."""
    usual = _annotations(fits, ids)
    names = usual["image_id"].combine_chunks()
    events = [
        _table("events", len(owner), found | {"annotation_id": ids[owner], "image_id": image})
        for owner, found in parts
        for image in [names.take(pa.array(owner))]
    ]
    events.append(_from_rows("events", [row for record in strict for row in record.events]))
    unusual = _from_rows("annotations", [record.annotation for record in strict])
    annotations = _in_order([usual, unusual])
    return {
        "annotations": annotations,
        "events": _in_order(events),
        "images": _images(annotations),
    }


def _annotations(records: list[_Fit], ids: Ints) -> pa.Table:
    extras = [Extra() for _ in records]
    for record, extra in zip(records, extras, strict=True):
        for seq, item in enumerate(record.actions):
            if len(item) < 5:
                missing = [name for name in coco_strict.POINTS if name not in item]
                extra.absent += [f"/actionHistories/{seq}/{name}" for name in missing]
    found: dict[str, Any] = {
        column: [record.scalars[i] for record in records]
        for i, (column, _) in enumerate(SCALARS.values(), 1)
    }
    found["annotation_id"], found["image_id"] = ids, [str(r.scalars[0]) for r in records]
    found["tool"] = pa.repeat("coco", len(records))
    found["extra"] = [extra.json() if extra.absent else None for extra in extras]
    return _table("annotations", len(records), found)


def _images(annotations: pa.Table) -> pa.Table:
    """One row for each picture, in order of appearance."""
    seen = annotations["image_id"].combine_chunks().dictionary_encode()
    n = np.bincount(seen.indices.to_numpy(), minlength=len(seen.dictionary))
    found = {"image_id": seen.dictionary, "n_annotations": n}
    return _table("images", len(seen.dictionary), found)


def _table(name: str, n: int, found: dict[str, Any]) -> pa.Table:
    columns = [
        pa.array(found[field.name], field.type) if field.name in found else pa.nulls(n, field.type)
        for field in schema(name)
    ]
    return pa.Table.from_arrays(columns, schema=schema(name))


def _from_rows(name: str, rows: list[Object]) -> pa.Table:
    columns = {column: [row.get(column) for row in rows] for column in schema(name).names}
    return _table(name, len(rows), columns)


def _in_order(tables: list[pa.Table]) -> pa.Table:
    """Tables that each follow the order of the records, as one."""
    tables = [table for table in tables if table.num_rows] or tables[:1]
    if len(tables) == 1:
        return tables[0]
    both = pa.concat_tables(tables).combine_chunks()
    return both.take(np.argsort(both["annotation_id"].to_numpy(), kind="stable"))
