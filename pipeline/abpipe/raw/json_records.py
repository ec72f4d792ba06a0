"""Frames a stream of COCO-AB records (a JSON array, or one object a line) into blocks.

A record starts where `{` is followed by a key that only whole records have. That needs no look at
what lies before it, so a lost bracket costs one record. The price: in a list of objects inside an
unknown field, an object other than the first must not begin with such a key.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from abpipe.errors import BrokenSource
from abpipe.raw.block import Blocks, JsonBlock, Take
from abpipe.raw.buffer import Buffer
from abpipe.raw.streams import OnRead, Plain, open_plain
from abpipe.rows import Batch, Lost, Rows

if TYPE_CHECKING:
    from abpipe.raw.sources import Source

LARGEST = 64 << 20  # a record beyond this is rejected unread
BLANK = b" \t\r\n"
_LOOK_BACK = 64  # blank bytes that may stand between a key's colon and its object
_CHUNK = 1 << 16
_FIELDS = (
    b"image_id|hit_id|page_id|worker_id|originalImage(?:Height|Width)|image(?:Height|Width)"
    b"|timeSpent|actionHistories|categoryHistories|mouseTracking"
)
_START = re.compile(rb'\{[ \t\r\n]*"(?:' + _FIELDS + rb')"')
_LONGEST_START = 256
_BETWEEN = re.compile(rb"[ \t\r\n,]*")
_BRACKETS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["{}\[\]]', re.DOTALL)
_CLOSING = {b"{": b"}", b"[": b"]"}

Bytes: TypeAlias = bytes | bytearray | memoryview


class Readable(Protocol):
    """A stream of plain bytes."""

    def readinto(self, view: memoryview, /) -> int | None:
        """Fill some of the view; 0 at the end."""


def starts(data: Bytes, begin: int = 0) -> Iterator[int]:
    """Where records start in some bytes, from `begin` on."""
    for match in _START.finditer(data, begin):
        at = match.start()
        before = bytes(data[max(0, at - _LOOK_BACK) : at]).rstrip(BLANK)
        if not before.removesuffix(b"[").rstrip(BLANK).endswith(b":"):
            yield at


def last_start(data: Bytes) -> int:
    """Where the last record in some bytes starts, 0 if it is the first or there is none."""
    window = _CHUNK
    while True:
        begin = max(0, len(data) - window)
        found = max(starts(data, begin), default=0)
        if found or not begin:
            return found
        window *= 4


def blocks(source: Source, take: Take, on_read: OnRead = None) -> Blocks:
    """The records of a source, which is one file, in blocks."""
    yield Batch({}, Counter({"members.ok": 1}))
    with open_plain(source.path, source.name, on_read) as stream:
        yield from framed(stream, source.name, take)


def framed(stream: Plain | Readable, source: str, take: Take) -> Blocks:
    """Yield the records of a stream in blocks, and what is no record as rejects.

    Raises BrokenSource, after all whole records, if the stream or its array is cut off.
    """
    plain = stream if isinstance(stream, Plain) else Plain(stream, source)
    yield from _Framing(plain, source, take).blocks()


@dataclass
class _Framing:
    stream: Plain
    source: str
    take: Take
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
                cut = last_start(data) or _scan(bytes(data), 0).end
                self.rest = bytes(data[cut:])
                between = bytes(data[max(0, cut - _LOOK_BACK) : cut])
            if cut:
                yield JsonBlock(buffer, 0, cut, self.at)
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
        rows.reject_record(code, message, None, place, lost)
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
        last = last_start(data)
        tail = _scan(data, last)
        closed = tail.closing(data) if self.array else None
        why = self.damage() or ("the array is cut off" if self.array and closed is None else None)
        if closed is not None:
            stop = closed
        else:
            stop = max(last, tail.end) if why and tail.cut else len(data)
        if data[:stop].strip(BLANK + b","):
            yield JsonBlock(buffer, 0, stop, self.at)
        if closed is not None and (extra := data[closed + 1 :].strip(BLANK)):
            place = self.at + data.index(extra, closed + 1)
            message = f"{len(extra)} bytes after the end of the array"
            rows = Rows()
            rows.reject_record("trailing-bytes", message, None, place, extra)
            yield rows.batch()
        if why:
            whole = tail.end or len(data[:last].rstrip(BLANK + b","))
            raise BrokenSource(self.source, why, self.at + whole if whole else self.whole)


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


def _object_end(data: bytes, begin: int) -> tuple[int, bool]:
    """The end of the object that begins there, else 0 and whether the data ends before it."""
    expected: list[bytes] = []
    for match in _BRACKETS.finditer(data, begin):
        token = match.group()
        if token in _CLOSING:
            expected.append(_CLOSING[token])
        elif token == b'"':  # a string without an end; a cut source does not end in a bracket then
            return 0, not data.rstrip(BLANK).endswith(b"]")
        elif not token.startswith(b'"'):
            if token != expected.pop():
                return 0, False
            if not expected:
                return match.end(), False
    return 0, True
