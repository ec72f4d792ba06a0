"""The mouse tracks of COCO-AB as columns of numbers, without an object for each move.

A track that is one repeated pattern once its digits are removed leaves only the numbers to check,
and NumPy checks those of many tracks at once. What does not fit is left to the strict reader.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from abpipe.raw.json_shapes import BLANK

Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

EXACT = 1 << 53  # below, every integer is a double, and no other becomes the same one

_DIGITS = b"-.0123456789"
_NO_DIGITS = bytes(set(range(256)) - set(_DIGITS))
_MOVE = re.compile(
    rb'\{_"(x|y|timeAt)"_(:_),_"(x|y|timeAt)"_(:_),_"(x|y|timeAt)"_(:_)\}_,_'.replace(
        b"_", rb"[ \t\r\n]*"
    )
)
# what a track that fits a layout may hold; slower than NumPy, so only to find which one does not
_NUMBERS = re.compile(
    rb'(?:[^":0-9-]*"(?:[xy]"[^":0-9-]*:_(?:\.[0-9]+)?|timeAt"[^":0-9-]*:_))*[^:.0-9-]*'.replace(
        b"_", rb"[^\":0-9-]*(?!-0[^.])-?(?:0|[1-9][0-9]{0,14})"
    )
)


@dataclass(frozen=True)
class Layout:
    """How a move is written: which number comes when, and how far behind its colon."""

    x: int
    y: int
    t: int
    gap: int
    length: int  # up to the closing brace, without digits


def pattern(track: bytes) -> tuple[Layout | None, int]:
    """The layout that all moves of a track share, and their number; below 0 if they do not."""
    bare = track.translate(None, _DIGITS).strip(BLANK)
    if not bare:
        return None, -1 if track.strip(BLANK) else 0
    second = bare.find(b"{", 1)
    unit = bare[:second] if second > 0 else bare + b","
    layout, n = _layout(unit), len(bare) // len(unit) + 1
    if layout and len(bare) == (n - 1) * len(unit) + layout.length:
        return layout, n if (unit * n).startswith(bare) else -1
    return None, -1


@lru_cache(256)
def _layout(unit: bytes) -> Layout | None:
    match = _MOVE.fullmatch(unit)
    if not match or len(names := match.group(1, 3, 5)) != len(set(names)):
        return None
    gap = min(map(len, match.group(2, 4, 6)))  # before the brace, blanks may follow the number
    x, y, t = (names.index(name) for name in (b"x", b"y", b"timeAt"))
    return Layout(x, y, t, gap, unit.index(b"}") + 1)


def numbers(tracks: list[bytes], n: Ints, layout: Layout) -> tuple[Bools, dict[str, Any]]:
    """Which tracks hold something else than numbers, and, if none does, the columns of all moves.

    `n` says how many moves each track has.
    """
    try:
        return _read(tracks, 3 * n, layout)
    except pa.ArrowInvalid:
        odd = np.array([not _NUMBERS.fullmatch(track) for track in tracks])
        return odd | (not odd.any()), {}


def _read(tracks: list[bytes], n: Ints, layout: Layout) -> tuple[Bools, dict[str, Any]]:
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
        good = np.abs(values) < EXACT
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
