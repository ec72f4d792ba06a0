"""COCO-AB records to rows: a fast path for the usual record, the strict reader for all others.

The fast path takes a record only where it can tell that the strict reader would give the same rows.
It cuts the mouse track out of the record and reads the tracks of a whole block as columns of
numbers; orjson reads the rest. There, as many colons as parsed keys exclude what orjson hides
(duplicate keys) and what no column holds (unknown keys).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, pairwise
from operator import itemgetter
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from abpipe.events import coco_strict, coco_tracks
from abpipe.events.coco_strict import FIELDS, KINDS, LISTS, SCALARS
from abpipe.events.coco_tracks import EXACT, Layout
from abpipe.raw.block import JsonBlock
from abpipe.raw.json_shapes import BLANK
from abpipe.rows import Batch, Extra, Rows, schema

Ints: TypeAlias = npt.NDArray[np.int64]
Object: TypeAlias = dict[str, Any]
#: Columns of events, and which of the records each row belongs to.
Part: TypeAlias = tuple[Ints, dict[str, Any]]

_scalars = itemgetter("image_id", *SCALARS)
_lists = itemgetter(*LISTS)
_ACTION_KEYS = 5
_SCALAR_TYPES = (int, str, int, str, int, int, int, int, int)
_TRACKS = 64  # read at once: few enough for the processor's cache
_NUMBERS_OR_NULL = {int, float, type(None)}

_TRACK = re.compile(rb'"mouseTracking"[ \t\r\n]*:[ \t\r\n]*\[')


class _UnfitError(Exception):
    """Records, by their places, that the fast path must leave to the strict reader."""

    def __init__(self, places: Iterable[int]) -> None:
        self.places = set(places)


#: What reading an unusual record runs into.
_UNUSUAL = (_UnfitError, KeyError, TypeError, AttributeError, OverflowError, pa.ArrowInvalid)


@dataclass(frozen=True)
class _Fit:
    """A record that fits the fast path, as far as it can be told by itself."""

    scalars: tuple[Any, ...]
    actions: list[Object]
    categories: list[Object]
    track: bytes
    n_moves: int
    layout: Layout | None


def parse(block: JsonBlock, *, fast: bool = True) -> Batch:
    """The rows of one block; without `fast` the strict reader reads every record."""
    data = bytes(block.buffer.view[block.start : block.end])
    bounds = [0, *(start for start in block.shape.starts(data) if start), len(data)]
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
    if max(image_id, page, *sizes) >= EXACT or min(image_id, page, *sizes) <= -EXACT:
        return None
    layout, n_moves = coco_tracks.pattern(track)
    if n_moves < 0:
        return None
    return _Fit(scalars, actions, categories, track, n_moves, layout)


def _parts(fits: dict[int, _Fit]) -> list[Part]:
    """The events of the records; a record that does not fit after all leaves `fits`."""
    while fits:
        records = list(fits.values())
        try:
            return [_actions(records), _browsing(records), *_tracks(records)]
        except _UNUSUAL as unusual:
            odd = unusual.places if isinstance(unusual, _UnfitError) else _misfits(records)
            for key in [key for place, key in enumerate(fits) if place in odd or not odd]:
                del fits[key]
    return []


def _misfits(records: list[_Fit], first: int = 0) -> set[int]:
    """The places of the records whose actions or browsing do not fit, found by bisection."""
    try:
        _actions(records)
        _browsing(records)
    except _UNUSUAL:
        if len(records) == 1:
            return {first}
        half = len(records) // 2
        return _misfits(records[:half], first) | _misfits(records[half:], first + half)
    return set()


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
    if (np.abs(array.to_numpy(zero_copy_only=False)) >= EXACT).any():
        raise OverflowError
    return array


def _owners(counts: Sequence[int]) -> Ints:
    return np.repeat(np.arange(len(counts)), counts)


def _places(owner: Ints) -> Ints:
    """0, 1, 2, … for the rows of each owner; they lie together."""
    row = np.arange(len(owner))
    new = np.diff(owner, prepend=-1) != 0
    return row - np.maximum.accumulate(np.where(new, row, 0))


def _tracks(records: list[_Fit]) -> list[Part]:
    """The moves, layout by layout."""
    parts: list[Part] = []
    misfits: list[int] = []
    for layout in dict.fromkeys(record.layout for record in records if record.layout):
        places = [i for i, record in enumerate(records) if record.layout == layout]
        for some in (places[i : i + _TRACKS] for i in range(0, len(places), _TRACKS)):
            tracks = [records[place].track for place in some]
            n = np.array([records[place].n_moves for place in some])
            odd, numbers = coco_tracks.numbers(tracks, n, layout)
            misfits += np.array(some)[odd].tolist()
            owner = np.repeat(some, n)
            move = {"kind": pa.repeat("move", len(owner)), "seq": _places(owner)}
            parts.append((owner, move | numbers))
    if misfits:
        raise _UnfitError(misfits)
    return parts


def _tables(
    fits: list[_Fit], ids: Ints, parts: list[Part], strict: list[coco_strict.Record]
) -> dict[str, pa.Table]:
    """The rows of both paths, in the order of the records."""
    usual = _annotations(fits, ids)
    events = _events(usual["image_id"].combine_chunks(), ids, parts)
    odd_events = [row for record in strict for row in record.events]
    odd_ones = [record.annotation for record in strict]
    annotations = _in_order("annotations", usual, odd_ones)
    return {
        "annotations": annotations,
        "events": _in_order("events", events, odd_events),
        "images": _images(annotations),
    }


def _events(names: pa.Array, ids: Ints, parts: list[Part]) -> pa.Table:
    """The events in the order of their records, and of the parts within a record."""
    if not parts:
        return _table("events", 0, {})
    owner = np.concatenate([owner for owner, _ in parts])
    order = np.argsort(owner, kind="stable")
    owner = owner[order]

    @cache
    def places(present: tuple[bool, ...]) -> pa.Array:
        """Where each row's value stands among those of the parts that have the column."""
        own = np.concatenate(
            [np.full(len(part[0]), has) for part, has in zip(parts, present, strict=True)]
        )
        return pa.array((np.cumsum(own) - 1)[order], mask=None if own.all() else ~own[order])

    found: dict[str, Any] = {
        "annotation_id": ids[owner],
        "image_id": names.take(pa.array(owner)),
    }
    for field in schema("events"):
        present = tuple(field.name in columns for _, columns in parts)
        if any(present):
            values = [pa.array(of[field.name], field.type) for _, of in parts if field.name in of]
            found[field.name] = pa.concat_arrays(values).take(places(present))
    return _table("events", len(owner), found)


def _annotations(records: list[_Fit], ids: Ints) -> pa.Table:
    found: dict[str, Any] = {
        column: [record.scalars[i] for record in records]
        for i, (column, _) in enumerate(SCALARS.values(), 1)
    }
    found["annotation_id"], found["image_id"] = ids, [str(r.scalars[0]) for r in records]
    found["tool"] = pa.repeat("coco", len(records))
    found["extra"] = [_extra(record.actions) for record in records]
    return _table("annotations", len(records), found)


def _extra(actions: list[Object]) -> str | None:
    """What to say of a usual record: which points its actions lack."""
    if not any(len(item) < _ACTION_KEYS for item in actions):
        return None
    return Extra(
        absent=[
            f"/actionHistories/{seq}/{name}"
            for seq, item in enumerate(actions)
            for name in coco_strict.POINTS
            if name not in item
        ]
    ).json()


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


def _in_order(name: str, usual: pa.Table, odd: list[Object]) -> pa.Table:
    """Rows of both paths in the order of the records."""
    if not odd:
        return usual
    columns = {column: [row.get(column) for row in odd] for column in usual.column_names}
    both = pa.concat_tables([usual, _table(name, len(odd), columns)]).combine_chunks()
    return both.take(np.argsort(both["annotation_id"].to_numpy(), kind="stable"))
