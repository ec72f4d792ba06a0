"""Strict reading of JSON records: what plain JSON forbids, and columns from an object's fields.

orjson is faster, and hides what matters here: duplicate keys, integers above 64 bits.
"""

from __future__ import annotations

import json  # noqa: TID251 - orjson hides duplicate keys and integers above 64 bits
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from abpipe.raw.json_shapes import BLANK
from abpipe.rows import INT64, BadRecord, Extra, Rows

Object: TypeAlias = dict[str, Any]
#: Field of an object -> column, and how its value is checked.
Fields: TypeAlias = Mapping[str, tuple[str, Callable[[Any, str, str], Any]]]

DEEPEST = 100
_KEPT_INTEGERS = range(-(1 << 63), 1 << 64)  # what orjson can write into `extra`
_BETWEEN = re.compile(r"[ \t\r\n,]*")


def objects(
    piece: bytes, offset: int, member: str | None, rows: Rows
) -> Iterator[tuple[Object, Callable[[BadRecord], None]]]:
    """Each object in some bytes, and how to reject it; what is none becomes a reject in `rows`."""
    # surrogateescape: an invalid byte must not cost the other records of the piece
    text = piece.decode("utf-8", "surrogateescape")

    def reject(begin: int, end: int, err: BadRecord) -> None:
        raw = text[begin:end].encode("utf-8", "surrogateescape").rstrip(BLANK + b",")
        place = offset + len(text[:begin].encode("utf-8", "surrogateescape"))
        rows.reject_record(err.code, err.message, member, place, raw)

    for begin, end, found in values(text):
        if isinstance(found, BadRecord):
            reject(begin, end, found)
        else:
            yield found, partial(reject, begin, end)


def values(text: str) -> Iterator[tuple[int, int, Object | BadRecord]]:
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


def text(value: Any, where: str, name: str) -> str:
    """The text that a field holds. Raises BadRecord if it is none."""
    if type(value) is not str:
        raise bad_type(f"{where}/{name}", "a string", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise bad_utf8(f"{where}/{name}") from None
    return value


def integer(value: Any, where: str, name: str) -> int:
    """The 64-bit integer that a field holds. Raises BadRecord if it is none."""
    if type(value) is not int:
        raise bad_type(f"{where}/{name}", "an integer", value)
    if value not in INT64:
        raise BadRecord("int-overflow", f"{where}/{name}: integer {value} does not fit 64 bits")
    return value


def number(value: Any, where: str, name: str) -> float:
    """The double that a field holds, exactly. Raises BadRecord if there is none."""
    if type(value) is int:
        if int(float(value)) != value:
            raise BadRecord("inexact", f"{where}/{name}: integer {value} has no exact double")
        return float(value)
    if type(value) is not float:
        raise bad_type(f"{where}/{name}", "a number", value)
    return value


def boolean(value: Any, where: str, name: str) -> bool:
    """The truth value that a field holds. Raises BadRecord if it is none."""
    if type(value) is not bool:
        raise bad_type(f"{where}/{name}", "true or false", value)
    return value


def bad_type(where: str, expected: str, found: Any) -> BadRecord:
    """A field of another type than expected."""
    return BadRecord("bad-type", f"{where}: expected {expected}, found {str(found)[:40]!a}")


def bad_utf8(where: str) -> BadRecord:
    """A text that no table can hold."""
    return BadRecord("bad-utf8", f"{where}: text that is not valid UTF-8, or half a surrogate pair")


@dataclass
class Reading:
    """One record being read: what its columns cannot say collects on the way."""

    extra: Extra = field(default_factory=Extra)
    counts: Counter[str] = field(default_factory=Counter)

    def json(self) -> str | None:
        """The text of the column `extra`."""
        try:
            return self.extra.json()
        except TypeError:  # orjson's word for half a surrogate pair
            raise bad_utf8("an unknown field") from None

    def scalars(self, found: Object, fields: Fields, where: str) -> dict[str, Any]:
        """Columns of a record's fields; one that is null is listed as such."""
        columns = {}
        for name, (column, check) in fields.items():
            if found.get(name) is not None:
                columns[column] = check(found[name], where, name)
            elif name in found:
                self.extra.null.append(f"{where}/{name}")
        return columns

    def columns(self, item: Object, fields: Fields, where: str) -> dict[str, Any]:
        """Columns of an event's fields; one that is absent is listed as such."""
        found = {}
        for name, (column, check) in fields.items():
            value = item.get(name)
            if value is not None:
                found[column] = check(value, where, name)
            elif name not in item:
                self.extra.absent.append(f"{where}/{name}")
        return found

    def items(self, found: Object, name: str, where: str) -> Iterator[tuple[int, str, Object]]:
        """The objects of a list, each with its place and its pointer."""
        if name not in found:
            self.extra.absent.append(f"{where}/{name}")
        elif found[name] is None:
            self.extra.null.append(f"{where}/{name}")
        elif not isinstance(found[name], list):
            raise bad_type(f"{where}/{name}", "a list", found[name])
        else:
            for seq, item in enumerate(found[name]):
                pointer = f"{where}/{name}/{seq}"
                if not isinstance(item, dict):
                    raise bad_type(pointer, "an object", item)
                yield seq, pointer, item

    def present(self, item: Object, name: str, where: str) -> bool:
        """Whether a field is there; one that is absent is listed as such."""
        if name not in item:
            self.extra.absent.append(f"{where}/{name}")
        return name in item

    def unknown(self, item: Object, known: Collection[str], where: str, counted: str) -> None:
        """Keep the fields of an object that have no column."""
        for name in item:
            if name not in known:
                escaped = name.replace("~", "~0").replace("/", "~1")
                self.keep(f"{where}/{escaped}", counted + name, item[name])

    def keep(self, where: str, counted: str, value: Any) -> None:
        """Keep a value that has no column."""
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
