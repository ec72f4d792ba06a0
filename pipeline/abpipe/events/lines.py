"""Known lines of text, compared and read many at a time with NumPy, eight bytes at once."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints: TypeAlias = npt.NDArray[np.int64]
Words: TypeAlias = npt.NDArray[np.uint64]
Bools: TypeAlias = npt.NDArray[np.bool_]

_KEEP = np.array([0] + [(1 << 64) - (1 << (64 - 8 * n)) for n in range(1, 9)], np.uint64)
_ZEROS = np.uint64(0x3030303030303030)
_PLAIN = np.zeros(256, bool)
_PLAIN[[c for c in range(32, 127) if chr(c) not in "<>&"]] = True


class Bytes:
    """A buffer, and the eight bytes at each of its places as one little-endian word."""

    def __init__(self, view: memoryview) -> None:
        self.data = np.frombuffer(view, np.uint8)
        self.words: Words = np.ndarray((len(view) - 7,), "<u8", view, strides=(1,))
        self.buffer = pa.py_buffer(view)


class Segment:
    """Consecutive lines: known texts, and between them values, each at the end of one.

    `%d` is a whole number, `%f` a decimal one, `%s` a string, and `%a|b` one of two words. A text
    runs from a value to the next, over as many lines as lie between them.
    """

    def __init__(self, *lines: str) -> None:
        self.n_lines = len(lines)
        self.kinds: list[str] = []
        texts, in_line = [""], [0]
        for i, line in enumerate(lines):
            before, percent, rest = line.partition("%")
            texts[-1] += before
            if percent:
                kind, _, after = rest.partition("<")
                self.kinds.append(kind)
                texts.append(f"<{after}")
                in_line.append(i)
            texts[-1] += "\n"
        self._in_line = np.array(in_line)[1:, None]
        self._after = np.array([text.index("\n") for text in texts[1:]], np.int64)[:, None]
        self._length = np.array([len(text) for text in texts])[:, None]
        self._pieces = [_pieces(text.encode()) for text in texts]

    def places(self, begin: Ints, newline: Ints, at: Ints) -> Ints:
        """Where the texts begin in the segments that start at some lines: [texts, segments]."""
        places = np.empty((len(self._length), len(at)), np.int64)
        places[0] = begin[at]
        places[1:] = newline[at + self._in_line] - self._after
        return places

    def matches(self, text: Bytes, places: Ints) -> Bools:
        """Whether the segment's texts stand at their places, to the last byte."""
        same: Bools = np.ones(places.shape[1], bool)
        for place, pieces in zip(places, self._pieces, strict=True):
            for offset, word in pieces:
                same &= text.words[place + offset] == word
        return same

    def values(self, places: Ints, kind: str) -> tuple[Ints, Ints]:
        """Where the values of a kind start and end: two arrays [values of a segment, segments]."""
        which = np.array([i for i, k in enumerate(self.kinds) if k == kind])
        return places[which] + self._length[which], places[which + 1]


def _pieces(text: bytes) -> list[tuple[int, np.uint64]]:
    """The words of eight bytes that cover a text (it has as many), and where they are in it."""
    offsets = [*range(0, len(text) - 8, 8), len(text) - 8]
    return [(o, np.frombuffer(text, "<u8", 1, o)[0]) for o in offsets]


def _tail(text: Bytes, end: Ints, n: Ints) -> Words:
    """The last `n` (at most 8) bytes before `end`, filled up with zero digits in front."""
    keep = _KEEP[n]
    return (text.words[end - 8] & keep) | (_ZEROS & ~keep)


def _all_digits(words: Words) -> Bools:
    """Whether all eight bytes of each word are digits."""
    high = np.uint64(0xF0F0F0F0F0F0F0F0)
    carried = words + np.uint64(0x0606060606060606)
    digits: Bools = ((words & high) == _ZEROS) & ((carried & high) == _ZEROS)
    return digits


def _eight_digits(words: Words) -> Words:
    """The numbers that words of eight digits spell, by halves (digits, pairs, fours)."""
    w = words - _ZEROS
    w = (w * np.uint64(10) + (w >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    w = (w * np.uint64(100) + (w >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    return (w * np.uint64(10000) + (w >> np.uint64(32))) & np.uint64(0x00000000FFFFFFFF)


def integers(text: Bytes, start: Ints, end: Ints) -> tuple[Ints, Bools]:
    """Whole numbers of up to 16 digits, and where they are none (or longer: it may be one)."""
    negative = text.data[start] == ord("-")
    n = end - start - negative
    low = _tail(text, end, np.clip(n, 0, 8))
    ok = (n > 0) & (n <= 16) & _all_digits(low)
    value = _eight_digits(low)
    if (n > 8).any():
        high = _tail(text, end - 8, np.clip(n - 8, 0, 8))
        ok &= _all_digits(high)
        value += _eight_digits(high) * np.uint64(10**8)
    signed = value.astype(np.int64)
    if negative.any():
        ok &= ~negative | (signed != 0)  # -0 has a sign where it becomes a double
        np.negative(signed, where=negative, out=signed)
    return signed, ok


def decimals(text: Bytes, start: Ints, end: Ints) -> tuple[npt.NDArray[np.float64], Bools]:
    """Doubles that begin as `0`, `0.` or `-0.` do, and where values are none (or begin otherwise).

    Values must come in the order of their places. Arrow reads them exactly. It also reads what is
    no decimal number (nan, inf, 0x1p3), but nothing such that begins like this.
    """
    first = start + (text.data[start] == ord("-"))
    n = end - first
    ok = (n > 0) & (text.data[first] - np.uint8(ord("0")) < 10)
    ok &= (n == 1) | (text.data[first + 1] == ord("."))
    try:
        values = _cast(text, start, end, ok)
    except pa.ArrowInvalid:  # some are no numbers: find them, and have the others read
        ok &= n <= 26
        for skipped in (0, 8, 16):
            ok &= _all_digits(_tail(text, end - skipped, np.clip(n - 2 - skipped, 0, 8)))
        values = _cast(text, start, end, ok)
    return values, ok & np.isfinite(values)


def _cast(text: Bytes, start: Ints, end: Ints, wanted: Bools) -> npt.NDArray[np.float64]:
    """The doubles at some places of a text, read where they lie."""
    n_places = 2 * len(start)  # values are at even places, what lies between them at odd ones
    places = np.zeros(n_places + 1, np.int32)
    places[:-1:2], places[1::2] = start, end
    places[-1] = places[-2:].max()
    valid = np.zeros(n_places, bool)
    valid[::2] = wanted
    mask = pa.py_buffer(np.packbits(valid, bitorder="little"))
    texts = pa.Array.from_buffers(pa.string(), n_places, [mask, pa.py_buffer(places), text.buffer])
    values = np.frombuffer(texts.cast(pa.float64()).buffers()[1], np.float64, n_places)
    return values[::2].copy()


def strings(text: Bytes, start: Ints, end: Ints) -> tuple[pa.Array, Bools]:
    """Strings of plain ASCII, and where they are not (markup, entities, other characters)."""
    n = end - start
    offsets = np.zeros(len(n) + 1, np.int64)
    np.cumsum(n, out=offsets[1:])
    place = np.arange(offsets[-1]) + np.repeat(start - offsets[:-1], n)
    data = text.data[place]
    plain = _PLAIN[data]
    ok = n > 0
    if not plain.all():
        ok[np.searchsorted(offsets, np.flatnonzero(~plain), side="right") - 1] = False
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.string(), len(n), buffers), ok


def either(text: Bytes, start: Ints, end: Ints, words: str) -> tuple[Bools, Bools]:
    """For values that are one of two words, `True|False`: whether it is the first; whether any."""
    found = []
    for word in words.split("|"):
        raw = word.encode()
        last = int.from_bytes(raw.rjust(8, b"\0"), "little")
        same = (text.words[end - 8] & _KEEP[len(raw)]) == np.uint64(last)
        found.append(same & (end - start == len(raw)))
    return found[0], found[0] | found[1]


def ranges(first: Ints, n: Ints) -> Ints:
    """The numbers first[i], first[i] + 1, ... n[i] of them, for one i after the other."""
    return np.arange(n.sum()) + np.repeat(first - np.cumsum(n) + n, n)
