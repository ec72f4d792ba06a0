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
_PIECE = 1 << 18
_ZEROS = np.uint64(0x3030303030303030)
_NUMBERS = np.uint64(0x0001020304050607)
_PLAIN = bytes(c for c in range(32, 127) if chr(c) not in "<>&")


class Bytes:
    """A buffer, and the eight bytes at each of its places as one little-endian word."""

    def __init__(self, view: memoryview) -> None:
        self.data = np.frombuffer(view, np.uint8)
        self.words: Words = np.ndarray((len(view) - 7,), "<u8", view, strides=(1,))
        self.buffer = pa.py_buffer(view)

    def copies(self, places: Ints, n: int) -> npt.NDArray[np.void]:
        """The `n` bytes at some places. This costs no more than one word does."""
        found: npt.NDArray[np.void] = np.ndarray(
            (len(self.data) - n + 1,), f"V{n}", self.data, strides=(1,)
        )[places]
        return found


def find_all(data: npt.NDArray[np.uint8], byte: int) -> Ints:
    """Where a byte stands, searched in pieces that stay in the processor's cache."""
    pieces = range(0, max(len(data), 1), _PIECE)
    return np.concatenate([_find(data[i : i + _PIECE], byte) + i for i in pieces])


def _find(data: npt.NDArray[np.uint8], byte: int) -> Ints:
    """Where a byte stands: eight places at a time, unless it stands twice in one of the eights."""
    same = data == byte
    eights, rest = same[: len(same) & -8].view("<u8"), same[len(same) & -8 :]
    some = np.flatnonzero(eights != 0)
    if np.count_nonzero(eights.view(bool)) != len(some):
        return np.flatnonzero(same)
    within = eights[some] * _NUMBERS >> np.uint64(56)  # a word of one 1: its place comes on top
    return np.append(some * 8 + within.view(np.int64), np.flatnonzero(rest) + len(same) - len(rest))


class Segment:
    """Consecutive lines: known texts, and between them values, each at the end of one.

    `%d` is a whole number, `%t` a long one (a time), `%f` a decimal one, `%s` a string, and `%a|b`
    one of two words. A text runs from a value to the next, over as many lines as lie between them.
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
        self._which = {
            kind: np.array([i for i, k in enumerate(self.kinds) if k == kind])
            for kind in self.kinds
        }
        self._in_line = np.array(in_line)[1:, None]
        self._after = np.array([text.index("\n") for text in texts[1:]], np.int64)[:, None]
        self._length = np.array([len(text) for text in texts])[:, None]
        self._pieces = [_pieces(text.encode()) for text in texts]

    def places(self, begin: Ints, newline: Ints, at: Ints) -> Ints:
        """Where the texts begin in the segments that start at some lines: [texts, segments]."""
        places = np.empty((len(self._length), len(at)), np.int64)
        places[0] = begin.take(at)
        np.subtract(newline.take(at + self._in_line), self._after, out=places[1:])
        return places

    def matches(self, text: Bytes, places: Ints) -> Bools:
        """Whether the segment's texts stand at their places, to the last byte."""
        same: Bools = np.ones(places.shape[1], bool)
        for place, (layout, words) in zip(places, self._pieces, strict=True):
            found = text.copies(place, layout.itemsize).view(layout)
            for name, word in words.items():
                same &= found[name] == word
        return same

    def values(self, places: Ints, kind: str) -> tuple[Ints, Ints]:
        """Where the values of a kind start and end: two arrays [values of a segment, segments]."""
        which = self._which[kind]
        return places[which] + self._length[which], places[which + 1]


def _pieces(text: bytes) -> tuple[np.dtype[np.void], dict[str, np.uint64]]:
    """The words of eight bytes that cover a text (it has as many): where they are in it, and what.

    The last two overlap.
    """
    offsets = [*range(0, len(text) - 8, 8), len(text) - 8]
    words = {str(o): np.frombuffer(text, "<u8", 1, o)[0] for o in offsets}
    formats = ["<u8"] * len(words)
    layout = {"names": [*words], "formats": formats, "offsets": offsets, "itemsize": len(text)}
    return np.dtype(layout), words  # type: ignore[call-overload]


def _digits(words: Words, n: Ints) -> Words:
    """The last `n` (at most 8) bytes of each word, digits as 0 to 9, with zeros in front."""
    return (words ^ _ZEROS) & _KEEP.take(n, mode="clip")


def _all_digits(words: Words) -> Bools:
    """Whether all eight bytes of each word are 0 to 9."""
    beyond = words + np.uint64(0x7676767676767676)  # sets the high bit of 10 to 127
    beyond |= words
    beyond &= np.uint64(0x8080808080808080)
    digits: Bools = beyond == 0
    return digits


def _eight_digits(words: Words) -> Words:
    """The numbers that words of eight digits spell, by halves (digits, pairs, fours)."""
    w = (words * np.uint64(10) + (words >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    w = (w * np.uint64(100) + (w >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    return (w * np.uint64(10000) + (w >> np.uint64(32))) & np.uint64(0x00000000FFFFFFFF)


def integers(text: Bytes, start: Ints, end: Ints, most: int = 8) -> tuple[Ints, Bools]:
    """Whole numbers of up to 8 digits (or 16), and where they are none (or longer ones)."""
    value, ok = _unsigned(text, end, end - start, most)
    if not ok.all():
        odd = np.flatnonzero(~ok)
        odd = odd[text.data[start[odd]] == ord("-")]
        below, is_number = _unsigned(text, end[odd], end[odd] - start[odd] - 1, most)
        value[odd] = -below
        ok[odd] = is_number & (below != 0)  # -0 has a sign where it becomes a double
    return value, ok


def _unsigned(text: Bytes, end: Ints, n: Ints, most: int) -> tuple[Ints, Bools]:
    """The numbers that the `n` bytes before each end spell, and where all of them are digits."""
    ok = (n > 0) & (n <= most)
    words = text.copies(end - most, most).view("<u8")
    low = _digits(words[most // 8 - 1 :: most // 8], n)
    ok &= _all_digits(low)
    value = _eight_digits(low)
    if most > 8:
        high = _digits(words[::2], n - 8)
        ok &= _all_digits(high)
        value += _eight_digits(high) * np.uint64(10**8)
    return value.view(np.int64), ok


def decimals(text: Bytes, start: Ints, end: Ints) -> tuple[npt.NDArray[np.float64], Bools]:
    """Doubles that begin as `0`, `0.` or `-0.` do, and where values are none (or begin otherwise).

    Arrow reads them exactly. It also reads what is no decimal number (nan, inf, 0x1p3), but nothing
    such that begins like this.
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
            ok &= _all_digits(_digits(text.words[end - 8 - skipped], n - 2 - skipped))
        values = _cast(text, start, end, ok)
    return values, ok & np.isfinite(values)


def _cast(text: Bytes, start: Ints, end: Ints, wanted: Bools) -> npt.NDArray[np.float64]:
    """The doubles at some places of a text."""
    valid = np.zeros(2 * len(start), bool)
    valid[::2] = wanted
    mask = pa.py_buffer(np.packbits(valid, bitorder="little"))
    values = _in_place(text, start, end, mask).cast(pa.float64()).buffers()[1]
    return np.frombuffer(values, np.float64, len(valid))[::2].copy()


def strings(text: Bytes, start: Ints, end: Ints) -> tuple[pa.Array, Bools]:
    """Strings of plain ASCII, and where they are not (markup, entities, other characters)."""
    values = _in_place(text, start, end).take(pa.array(np.arange(0, 2 * len(start), 2)))
    ok = end > start
    data = bytes(values.buffers()[2] or b"")
    if data.translate(None, delete=_PLAIN):
        odd = np.flatnonzero(~np.isin(np.frombuffer(data, np.uint8), list(_PLAIN)))
        ok[np.searchsorted(np.cumsum(end - start), odd, side="right")] = False
    return values, ok


def _in_place(text: Bytes, start: Ints, end: Ints, mask: pa.Buffer | None = None) -> pa.Array:
    """Strings that stay where they are: at even places the wanted ones, at odd ones no strings."""
    places = np.zeros(2 * len(start) + 1, np.int32)
    places[:-1:2], places[1::2] = start, end
    places[-1] = places.max()
    buffers = [mask, pa.py_buffer(places), text.buffer]
    return pa.Array.from_buffers(pa.string(), len(places) - 1, buffers)


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
