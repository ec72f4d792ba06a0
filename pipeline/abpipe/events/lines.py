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
    """Consecutive lines with tags that are known and values that are not.

    `%d` is a whole number, `%f` a decimal one, `%s` a string, and `%a|b` one of two words.
    """

    def __init__(self, *lines: str) -> None:
        self.n_lines = len(lines)
        self.slots: list[tuple[str, int, int, int]] = []  # kind, line, bytes before and after
        opening: list[tuple[int, int, int, int]] = []  # line, offset, word, mask
        closing: list[tuple[int, int, int, int]] = []
        for i, line in enumerate(lines):
            before, percent, rest = line.partition("%")
            if not percent:
                opening += _pieces(i, line + "\n", from_end=False)
                continue
            kind, _, after = rest.partition("<")
            self.slots.append((kind, i, len(before), len(after) + 2))
            opening += _pieces(i, before, from_end=False)
            closing += _pieces(i, f"<{after}\n", from_end=True)
        self.opening, self.closing = _columns(opening), _columns(closing)

    def matches(self, text: Bytes, begin: Ints, newline: Ints, at: Ints) -> Bools:
        """Whether the lines from `at` on have the segment's tags, to the last byte."""
        ok = np.ones(len(at), bool)
        for pieces, edge in ((self.opening, begin), (self.closing, newline)):
            if len(at) and len(pieces[0]):
                line, offset, word, mask = pieces
                place = edge[at + line] + offset
                ok &= ((text.words[place] & mask) == word).all(axis=0)
        return ok

    def values(self, begin: Ints, newline: Ints, at: Ints, kind: str) -> tuple[Ints, Ints]:
        """Where the values of a kind start and end: two arrays [values in a segment, segments]."""
        slots = [(i, before, after) for k, i, before, after in self.slots if k == kind]
        line, before, after = (np.array(column)[:, None] for column in zip(*slots, strict=True))
        lines = at + line
        return begin[lines] + before, newline[lines] + 1 - after


def _pieces(line: int, text: str, *, from_end: bool) -> list[tuple[int, int, int, int]]:
    """The words that cover a text; offsets count from the line's start or from its newline."""
    raw = text.encode()
    origin = 1 - len(raw) if from_end else 0
    if len(raw) < 8:  # only closing tags are so short: look back over the value's end
        word = int.from_bytes(raw.rjust(8, b"\0"), "little")
        return [(line, -7, word, int(_KEEP[len(raw)]))]
    offsets = [*range(0, len(raw) - 8, 8), len(raw) - 8]
    return [
        (line, origin + o, int.from_bytes(raw[o : o + 8], "little"), (1 << 64) - 1)
        for o in offsets
    ]


def _columns(pieces: list[tuple[int, int, int, int]]) -> tuple[Ints, Ints, Words, Words]:
    line, offset, word, mask = zip(*pieces, strict=True) if pieces else ((), (), (), ())
    return (
        np.array(line, np.int64)[:, None],
        np.array(offset, np.int64)[:, None],
        np.array(word, np.uint64)[:, None],
        np.array(mask, np.uint64)[:, None],
    )


def _tail(text: Bytes, end: Ints, n: Ints) -> Words:
    """The last `n` (at most 8) bytes before `end`, filled up with zero digits in front."""
    keep = _KEEP[n]
    return (text.words[end - 8] & keep) | (_ZEROS & ~keep)


def _all_digits(words: Words) -> Bools:
    """Whether all eight bytes of each word are digits."""
    high = np.uint64(0xF0F0F0F0F0F0F0F0)
    carried = words + np.uint64(0x0606060606060606)
    return ((words & high) == _ZEROS) & ((carried & high) == _ZEROS)


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
    high = _tail(text, end - 8, np.clip(n - 8, 0, 8))
    ok = (n > 0) & (n <= 16) & _all_digits(low) & _all_digits(high)
    value = (_eight_digits(high) * np.uint64(10**8) + _eight_digits(low)).astype(np.int64)
    return np.where(negative, -value, value), ok


def decimals(text: Bytes, start: Ints, end: Ints) -> tuple[npt.NDArray[np.float64], Bools]:
    """Doubles spelled as `0`, `0.25` or `-0.004`, and where they are not (it may still be one).

    Values must come in the order of their places. Arrow reads them exactly, but also reads what is
    no decimal number: so nothing is handed to it that has not been looked at.
    """
    first = start + (text.data[start] == ord("-"))
    n = end - first
    ok = (text.data[first] - np.uint8(ord("0")) < 10) & (n > 0) & (n != 2) & (n <= 26)
    ok &= (n < 2) | (text.data[first + 1] == ord("."))
    for skipped in (0, 8, 16):
        ok &= _all_digits(_tail(text, end - skipped, np.clip(n - 2 - skipped, 0, 8)))
    n_places = 2 * len(start)  # values are at even places, what lies between them at odd ones
    places = np.zeros(n_places + 1, np.int32)
    places[:-1:2], places[1::2] = start, end
    places[-1] = places[-2:].max()
    valid = np.zeros(n_places, bool)
    valid[::2] = ok
    mask = pa.py_buffer(np.packbits(valid, bitorder="little"))
    texts = pa.Array.from_buffers(
        pa.string(), n_places, [mask, pa.py_buffer(places), text.buffer]
    )
    values = np.frombuffer(texts.cast(pa.float64()).buffers()[1], np.float64, n_places)
    return values[::2].copy(), ok


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


def either(
    text: Bytes, start: Ints, end: Ints, words: str
) -> tuple[Bools, Bools]:
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
