"""Frames a stream of JSON records into blocks: an array, one object a line, or lists in one object.

A record starts where `{` is followed by a key that only whole records have. That needs no look at
what lies before it, so a lost bracket costs one record. The price: in a list of objects inside an
unknown field, an object other than the first must not begin with such a key.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from abpipe.errors import BrokenSource
from abpipe.raw.block import Blocks, JsonBlock, Take
from abpipe.raw.buffer import Buffer
from abpipe.raw.json_shapes import BLANK, COCO_AB, LOOK_BACK, Shape
from abpipe.raw.streams import OnRead, Plain, open_plain
from abpipe.rows import Batch, Lost, Rows

if TYPE_CHECKING:
    from abpipe.raw.sources import Source

LARGEST = 64 << 20  # a record beyond this is rejected unread
_CHUNK = 1 << 16
_LONGEST_START = 256
_BETWEEN = re.compile(rb"[ \t\r\n,]*")
_BRACKETS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["{}\[\]]', re.DOTALL)
_CLOSING = {b"{": b"}", b"[": b"]"}


class Readable(Protocol):
    """A stream of plain bytes."""

    def readinto(self, view: memoryview, /) -> int | None:
        """Fill some of the view; 0 at the end."""


def blocks(source: Source, take: Take, on_read: OnRead = None) -> Blocks:
    """The records of COCO-AB in blocks."""
    return file_blocks(source, COCO_AB, take, on_read)


def file_blocks(source: Source, shape: Shape, take: Take, on_read: OnRead) -> Blocks:
    """The records of a source, which is one file, in blocks."""
    yield Batch({}, Counter({"members.ok": 1}))
    with open_plain(source.path, source.name, on_read) as stream:
        yield from framed(stream, source.name, take, shape)


def framed(
    stream: Plain | Readable,
    source: str,
    take: Take,
    shape: Shape = COCO_AB,
    member: str | None = None,
) -> Blocks:
    """Yield the records of a stream in blocks, and what is no record as rejects.

    Raises BrokenSource, after all whole records, if the stream or what stands around them is cut
    off.
    """
    plain = stream if isinstance(stream, Plain) else Plain(stream, source)
    yield from _Framing(plain, source, take, shape, member).blocks()


@dataclass
class _Framing:
    stream: Plain
    source: str
    take: Take
    shape: Shape
    member: str | None
    at: int = 0  # where `rest` begins in the decompressed source
    rest: bytes = b""  # read, and not yet part of a block
    array: bool = False
    whole: int = 0  # where the last whole record ends

    def blocks(self) -> Blocks:
        self.open()
        spare: Buffer | None = None
        while True:
            buffer, spare = spare or self.take(), None
            if len(self.rest) >= buffer.size:
                larger = max(len(self.rest) + 1, min(2 * len(self.rest), LARGEST))
                spare, buffer = buffer, Buffer.private(larger)
            filled = self.load(buffer)
            if filled < buffer.size:
                yield from self.finish(buffer, bytes(buffer.view[:filled]))
                return
            with buffer.view[:filled] as data:  # nothing may hold on to memory that is shared
                # without a second start, something else may still follow a whole record
                cut = self.shape.last_start(data) or _scan(bytes(data), 0).end
                self.rest = bytes(data[cut:])
                between = bytes(data[max(0, cut - LOOK_BACK) : cut])
            if cut:
                yield JsonBlock(buffer, 0, cut, self.at, self.shape, self.member)
                self.at += cut
                self.whole = self.at - len(between) + len(between.rstrip(BLANK + b","))
                continue
            spare = spare or buffer  # no block came of it
            if filled >= LARGEST:
                yield self.skip()

    def open(self) -> None:
        """Read up to the first byte that is neither blank nor a byte order mark."""
        chunk = bytearray(_LONGEST_START)
        while not self.rest:
            filled = self.stream.readinto(memoryview(chunk))
            head = bytes(chunk[:filled])
            mark = 3 if not self.at and head.startswith(b"\xef\xbb\xbf") else 0
            self.rest = head[mark:].lstrip(BLANK)
            self.at += filled - len(self.rest)
            if filled < len(chunk):
                break
        if self.rest.startswith(b"["):
            self.array, self.rest, self.at = True, self.rest[1:], self.at + 1
        self.whole = self.at

    def load(self, buffer: Buffer) -> int:
        """Put what is left over and what comes next into a buffer."""
        have = len(self.rest)
        buffer.view[:have] = self.rest
        with buffer.view[have : buffer.size] as free:
            return have + self.stream.readinto(free)

    def skip(self) -> Batch:
        """Reject everything up to the next record, in bounded memory."""
        code, window = "too-large", self.rest
        if self.array and window.startswith(b"]"):
            self.array, code, window = False, "trailing-bytes", window[1:].lstrip(BLANK)
        place = self.at + len(self.rest) - len(window)
        lost = Lost()
        chunk = bytearray(_CHUNK)
        ended = False
        starts = self.shape.starts
        while (found := next(starts(window, 1), len(window))) == len(window) and not ended:
            passed = max(0, len(window) - _LONGEST_START)  # a start may lie across the edge
            lost.add(window[:passed])
            filled = self.stream.readinto(memoryview(chunk))
            ended = filled < len(chunk)
            window = window[passed:] + chunk[:filled]
        last = window[:found].rstrip(BLANK + b",")
        if ended and self.array and last.endswith(b"]"):
            last, found = last[:-1], len(last) - 1
        self.rest, self.at = window[found:], place + lost.length + found
        self.whole = self.at
        lost.add(last)
        rows = Rows()
        message = f"no record starts within {lost.length} bytes"
        rows.reject_record(code, message, self.member, place, lost)
        return rows.batch()

    def damage(self) -> str | None:
        """Why the stream ended, if not because it was over."""
        try:
            self.stream.finish()
        except BrokenSource as err:
            return err.why
        return None

    def finish(self, buffer: Buffer, data: bytes) -> Blocks:
        """The end of the source: the last records, and whether it is whole."""
        last = self.shape.last_start(data)
        tail = _scan(data, last)
        closed = self.closing(data, last, tail)
        enclosed = "array" if self.array else "object" if self.shape.around else None
        why = self.damage()
        if not why and enclosed and closed is None:
            why = f"the {enclosed} is cut off"
        if closed is not None:
            stop = closed
        else:
            stop = max(last, tail.end) if why and (tail.cut or self.shape.around) else len(data)
        if data[:stop].strip(BLANK + b","):
            yield JsonBlock(buffer, 0, stop, self.at, self.shape, self.member)
        if closed is not None and (extra := data[closed + 1 :].strip(BLANK)):
            place = self.at + data.index(extra, closed + 1)
            message = f"{len(extra)} bytes after the end of the {enclosed}"
            rows = Rows()
            rows.reject_record("trailing-bytes", message, self.member, place, extra)
            yield rows.batch()
        if why:
            whole = tail.end or len(data[:last].rstrip(BLANK + b","))
            raise BrokenSource(self.source, why, self.at + whole if whole else self.whole)

    def closing(self, data: bytes, last: int, tail: _Tail) -> int | None:
        """Where the bracket is that closes everything, if it is there."""
        if self.array:
            return tail.closing(data)
        if not self.shape.around:
            return None
        inside = self.shape.start.match(data, last)
        end, cut = _object_end(data, last, self.shape.around if inside else ())
        stripped = data.rstrip(BLANK)
        damaged = not end and not cut and stripped.endswith(b"}")
        return len(stripped) - 1 if damaged else end - 1 if end else None


@dataclass(frozen=True)
class _Tail:
    """What the last bytes of a source hold."""

    end: int  # of the last whole object, 0 if there is none
    rest: int  # where something else begins
    cut: bool  # it is an object whose end is missing

    def closing(self, data: bytes) -> int | None:
        """Where the array ends, if it does."""
        if data.startswith(b"]", self.rest):
            return self.rest
        stripped = data.rstrip(BLANK)
        damaged = self.rest < len(stripped) and not self.cut
        return len(stripped) - 1 if damaged and stripped.endswith(b"]") else None


def _scan(data: bytes, begin: int) -> _Tail:
    """Pass over whole objects."""
    end, rest, cut = 0, _skip_blank(data, begin), False
    while data.startswith(b"{", rest):
        stop, cut = _object_end(data, rest)
        if not stop:
            break
        end, rest = stop, _skip_blank(data, stop)
    return _Tail(end, rest, cut)


def _skip_blank(data: bytes, at: int) -> int:
    blank = _BETWEEN.match(data, at)
    return blank.end() if blank else at


def _object_end(data: bytes, begin: int, around: tuple[bytes, ...] = ()) -> tuple[int, bool]:
    """The end of the object that begins there, else 0 and whether the data ends before it.

    With brackets that are open `around` it, the end of the outermost.
    """
    expected = list(around)
    for match in _BRACKETS.finditer(data, begin):
        token = match.group()
        if token in _CLOSING:
            expected.append(_CLOSING[token])
        elif token == b'"':  # a string without an end; a cut source ends in no closing bracket then
            return 0, not data.rstrip(BLANK).endswith(around[:1] or b"]")
        elif not token.startswith(b'"'):
            if token != expected.pop():
                return 0, False
            if not expected:
                return match.end(), False
    return 0, True
