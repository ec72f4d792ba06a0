"""Tar archives, walked in place: no copy of a member, no memory for its header.

Knows ustar, GNU (long names, base-256 sizes) and pax headers. `tarfile` keeps every header it has
seen, and takes ten times as long per small member.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from abpipe.errors import BrokenSource
from abpipe.events.rows import Batch
from abpipe.raw.block import Blocks, Buffer, Take, XmlBlock
from abpipe.raw.members import MAX_MEMBER, counted, junk, rejected, too_large
from abpipe.raw.streams import Plain

RECORD = 512
_ZEROS = bytes(RECORD)
_REGULAR = frozenset(b"\x0007")  # NUL, '0' and '7'
_DIRECTORY, _SPARSE = ord("5"), ord("S")
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL = b"LKxg"

Headers = npt.NDArray[np.uint8]


def looks_like_tar(head: bytes) -> bool:
    """Whether the first bytes of a stream are a tar header, or the end of an empty archive."""
    if len(head) < RECORD:
        return False
    return head[:RECORD] == _ZEROS or bool(_sound(np.frombuffer(head, np.uint8, RECORD)[None])[0])


@dataclass
class _Found:
    """Members that stand whole in a buffer."""

    heads: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    long_names: dict[int, str] = field(default_factory=dict)


class TarReader:
    """Cuts the XML files of a tar archive into blocks, in archive order."""

    def __init__(self, stream: Plain, source: str, take: Take) -> None:
        self._stream, self._source, self._take = stream, source, take
        self._buffer, self._filled = take(), 0
        self._spare: Buffer | None = None  # taken, but put aside for a larger one
        self._name: str | None = None  # what a long-name or pax header says of the next member
        self._size: int | None = None  # likewise
        self._last: str | None = None

    def blocks(self) -> Blocks:
        """Yield the blocks.

        Raises BrokenSource at a damaged header, and where there is no end marker.
        """
        while True:
            wanted = self._buffer.view[self._filled : self._buffer.size]
            n = self._stream.readinto(wanted)
            self._filled += n
            origin = self._stream.position - self._filled
            found, used, at_end = self._walk(origin)
            given = False
            for block in self._cut(found, origin):
                given |= isinstance(block, XmlBlock)
                yield block
            if at_end:
                return
            if n < len(wanted):
                why = "the archive is cut off: it has no end marker"
                raise self._stream.ended(why, origin + used, self._last)
            yield from self._go_on(used, given, origin)

    def _walk(self, origin: int) -> tuple[_Found, int, bool]:
        """Find the members that are whole, the place after them, and whether the archive ends."""
        view, filled = self._buffer.view, self._filled
        found, place = _Found(), 0
        while place + RECORD <= filled:
            kind = view[place + 156]
            if not view[place] and view[place : place + RECORD] == _ZEROS:
                return found, place, True
            size = self._size_at(place, origin)
            after = place + _padded(size)
            if after > filled:
                break
            if kind in _REGULAR or not self._is_about_next(kind, place, size, origin):
                if self._name is not None:
                    found.long_names[len(found.heads)] = self._name
                found.heads.append(place)
                found.sizes.append(size)
                found.kinds.append(kind)
                self._name = self._size = None
            place = after
        return found, place, False

    def _size_at(self, place: int, origin: int) -> int:
        """Bytes of the member's content, whose header is at `place`."""
        if self._size is not None and self._buffer.view[place + 156] in _REGULAR:
            return self._size
        text = bytes(self._buffer.view[place + 124 : place + 136])
        try:
            return _number(text)
        except ValueError:
            raise self._damaged(origin + place) from None

    def _is_about_next(self, kind: int, place: int, size: int, origin: int) -> bool:
        """Take note of a header that speaks of the next member."""
        if kind not in (_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL):
            return False
        view = self._buffer.view[place : place + RECORD + size]
        if not _sound(np.frombuffer(view, np.uint8, RECORD)[None])[0]:
            raise self._damaged(origin + place)
        data = bytes(view[RECORD:])
        if kind == _LONG_NAME:
            self._name = _text(data)
        elif kind == _PAX:
            fields = dict(_pax_fields(data))
            self._name = fields.get("path", self._name)
            self._size = int(fields["size"]) if fields.get("size", "").isdecimal() else self._size
        return True

    def _cut(self, found: _Found, origin: int) -> Blocks:
        """The block of the files found, after what is to be said of other members."""
        if not found.heads:
            return
        data = np.frombuffer(self._buffer.view, np.uint8)
        records = data[: len(data) // RECORD * RECORD].reshape(-1, RECORD)
        headers = records[np.array(found.heads) // RECORD]
        sound = _sound(headers)
        n = len(sound) if sound.all() else int(np.argmin(sound))
        names = [found.long_names.get(i, name) for i, name in enumerate(_names(headers[:n]))]
        reasons = [_reason(name, kind) for name, kind in zip(names, found.kinds, strict=False)]
        if any(reasons):
            yield counted(reason for reason in reasons if reason and reason != "directory")
        for name, kind, reason in zip(names, found.kinds, reasons, strict=False):
            if kind == _SPARSE and not reason:
                yield rejected("sparse", "sparse tar members are not supported", name)
        whole = [i for i in range(n) if not reasons[i] and found.kinds[i] != _SPARSE]
        if whole:
            starts = np.array(found.heads)[whole] + RECORD
            ends = starts + np.array(found.sizes)[whole]
            yield XmlBlock(self._buffer, [names[i] for i in whole], starts, ends)
        self._last = names[-1] if names else self._last
        if n < len(found.heads):
            raise self._damaged(origin + found.heads[n])

    def _go_on(self, used: int, given: bool, origin: int) -> Blocks:
        """Put what is left over in front of the next buffer; make room for a large member."""
        rest = self._buffer.view[used : self._filled]
        need = _padded(self._size_at(used, origin)) if len(rest) >= RECORD else RECORD
        if need > MAX_MEMBER:
            yield self._skip(used, need)
            rest = rest[:0]
        old = self._buffer
        if given:
            self._buffer = self._take() if self._spare is None else self._spare
            self._spare = None
        if need > self._buffer.size and len(rest):
            self._spare, self._buffer = self._buffer, Buffer.private(need)
        if self._buffer is not old or used:
            self._buffer.view[: len(rest)] = rest
        self._filled = len(rest)

    def _skip(self, place: int, need: int) -> Batch:
        """Read past a member that is too large to hold."""
        header = np.frombuffer(self._buffer.view[place : place + RECORD], np.uint8)[None]
        name = self._name or _names(header)[0]
        size = self._size_at(place, 0)
        self._name = self._size = None
        first = self._buffer.view[place + RECORD : self._filled]
        pieces = self._pieces(first, size, need - RECORD)
        reason = junk(name)
        if reason is None:
            return too_large(name, pieces)
        for _ in pieces:
            pass
        return counted([reason])

    def _pieces(self, first: memoryview, size: int, padded: int) -> Iterator[memoryview]:
        yield first[:size]
        done, scratch = len(first), memoryview(bytearray(1 << 20))
        while done < padded:
            n = self._stream.readinto(scratch[: padded - done])
            if not n:
                raise self._stream.ended("the archive is cut off", self._stream.position)
            yield scratch[: max(0, min(n, size - done))]
            done += n

    def _damaged(self, offset: int) -> BrokenSource:
        why = "a tar header is damaged: its checksum is wrong"
        return BrokenSource(self._source, why, offset, self._last)


def _padded(size: int) -> int:
    """Bytes of a header and a content of that size, in whole records."""
    return RECORD + -(-size // RECORD) * RECORD


def _number(field_: bytes) -> int:
    """A number of a tar header: octal digits, or base 256 where the first bit is set."""
    if field_[0] & 0x80:
        return int.from_bytes(field_, "big") & ((1 << 8 * len(field_) - 8) - 1)
    return int(field_.strip(b" \0") or b"0", 8)


def _sound(headers: Headers) -> npt.NDArray[np.bool_]:
    """Which headers hold their own checksum: the sum of their bytes, its own field as blanks."""
    field_ = headers[:, 148:156]
    sums = headers.sum(axis=1, dtype=np.int64) - field_.sum(axis=1, dtype=np.int64) + 8 * ord(" ")
    # six octal digits, NUL, blank: what nearly all writers write, and quick to compare
    digits = (sums[:, None] >> np.array([15, 12, 9, 6, 3, 0])) & 7
    usual = (field_[:, :6] == digits + ord("0")).all(axis=1)
    for i in np.flatnonzero(~usual):
        try:
            usual[i] = int(field_[i].tobytes().strip(b" \0") or b"x", 8) == sums[i]
        except ValueError:
            usual[i] = False
    return usual


def _names(headers: Headers) -> list[str]:
    """The names in headers, with the prefix that ustar puts elsewhere."""
    names = np.ascontiguousarray(headers[:, :100]).view("S100").ravel().tolist()
    for i in np.flatnonzero(headers[:, 345] * (headers[:, 262] == 0)):
        if headers[i, 257:262].tobytes() == b"ustar":
            names[i] = headers[i, 345:500].tobytes().split(b"\0")[0] + b"/" + names[i]
    return [_text(name) for name in names]


def _text(name: bytes) -> str:
    """A member's name; bytes that are no UTF-8 are spelled out."""
    return name.rstrip(b"\0").decode("utf-8", "backslashreplace")


def _pax_fields(data: bytes) -> Iterator[tuple[str, str]]:
    """The `length key=value` lines of a pax header."""
    while data:
        length, _, rest = data.partition(b" ")
        if not length.isdigit() or int(length) <= len(length) + 1:
            return
        end = int(length) - len(length) - 1
        key, _, value = rest[: end - 1].partition(b"=")
        yield _text(key), _text(value)
        data = rest[end:]


def _reason(name: str, kind: int) -> str | None:
    """Why a member is not parsed; None if it is."""
    if kind == _DIRECTORY:
        return "directory"
    if kind not in _REGULAR and kind != _SPARSE:
        return "link-or-device"
    return junk(name)
