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
from abpipe.raw.block import Blocks, Take, XmlBlock
from abpipe.raw.buffer import Buffer
from abpipe.raw.members import MAX_MEMBER, all_xml, counted, junk, rejected, too_large
from abpipe.raw.streams import Plain
from abpipe.rows import Batch

RECORD = 512
_ZEROS = bytes(RECORD)
_REGULAR = frozenset(b"\x0007")  # NUL, '0' and '7'
_BODILESS = frozenset(
    b"123456"
)  # links, devices, directories: no content, whatever their size says
_DIRECTORY, _SPARSE = ord("5"), ord("S")
_LONG_NAME, _PAX = b"Lx"
_ABOUT_NEXT = frozenset(b"LKxg")  # long name, long link, pax header, global pax header

_USTA = np.frombuffer(b"usta", "<u4")[0]

Headers = npt.NDArray[np.uint8]


def looks_like_tar(head: bytes) -> bool:
    """Whether the first bytes of a stream are a tar header, or the end of an empty archive."""
    if len(head) < RECORD:
        return False
    return head[:RECORD] == _ZEROS or head[257:262] == b"ustar" or _is_sound(head)


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
            found, used, at_end = self._walk()
            given = False
            for block in self._cut(found, origin):
                given |= isinstance(block, XmlBlock)
                yield block
            if at_end:
                return self._finish()
            self._check(used, origin)
            if n < len(wanted):
                why = "the archive is cut off: it has no end marker"
                raise self._stream.ended(why, origin + used, self._last)
            yield from self._go_on(used, given)

    def _walk(self) -> tuple[_Found, int, bool]:
        """Find the members that are whole, the place after them, and whether the archive ends.

        It stops at a header that is no use, too. Checksums of members are left to `_cut`.
        """
        view, filled = self._buffer.view, self._filled
        found, place = self._plain_run()
        while place + RECORD <= filled:
            kind = view[place + 156]
            if not view[place] and view[place : place + RECORD] == _ZEROS:
                return found, place, True
            try:
                size = self._size_at(place)
            except ValueError:
                break
            after = place + _padded(size)
            if after > filled:
                break
            if kind in _ABOUT_NEXT:
                if not _is_sound(view[place : place + RECORD]):
                    break
                self._note(kind, bytes(view[place + RECORD : place + RECORD + size]))
            else:
                if self._name is not None:
                    found.long_names[len(found.heads)] = self._name
                found.heads.append(place)
                found.sizes.append(size)
                found.kinds.append(kind)
                self._name = self._size = None
            place = after
        return found, place, False

    def _plain_run(self) -> tuple[_Found, int]:
        """The members in front that need no second look: ordinary files, each where it should be.

        Records that look like headers are found all at once; where one is not where the sizes
        before it lead, the walk goes on one by one.
        """
        records = _records(self._buffer, self._filled)
        heads = np.flatnonzero(np.ascontiguousarray(records[:, 257:261]).view("<u4") == _USTA)
        heads = heads[records[heads, 261] == ord("r")]
        if self._name is not None or self._size is not None or not len(heads) or heads[0]:
            return _Found(), 0
        headers = records[heads]
        digits = headers[:, 124:135].astype(np.int64) - ord("0")
        sizes = digits @ 8 ** np.arange(10, -1, -1)
        after = heads + 1 - sizes // -RECORD
        plain = ((digits >= 0) & (digits < 8)).all(axis=1) & (after <= len(records))
        plain &= (
            (headers[:, 156] == ord("0")) & (headers[:, 345] == 0) & (headers[:, 135] <= ord(" "))
        )
        plain[1:] &= after[:-1] == heads[1:]
        n = len(plain) if plain.all() else int(np.argmin(plain))
        if not n:
            return _Found(), 0
        found = _Found((heads[:n] * RECORD).tolist(), sizes[:n].tolist(), [ord("0")] * n)
        return found, int(after[n - 1]) * RECORD

    def _size_at(self, place: int) -> int:
        """Bytes of the member's content, whose header is at `place`. ValueError if it has none."""
        kind = self._buffer.view[place + 156]
        if kind in _BODILESS:
            return 0
        if self._size is not None and kind in _REGULAR:
            return self._size
        return _number(bytes(self._buffer.view[place + 124 : place + 136]))

    def _note(self, kind: int, data: bytes) -> None:
        """Take note of what a header says of the next member."""
        if kind == _LONG_NAME:
            self._name = _text(data)
        elif kind == _PAX:
            fields = dict(_pax_fields(data))
            self._name = fields.get("path") or self._name
            self._size = int(fields["size"]) if fields.get("size", "").isdecimal() else self._size

    def _check(self, place: int, origin: int) -> None:
        """Raise BrokenSource if there is a header at a place, and it is damaged."""
        header = self._buffer.view[place : min(place + RECORD, self._filled)]
        if len(header) < RECORD:
            return
        try:
            self._size_at(place)
        except ValueError:
            raise self._damaged(origin + place) from None
        if not _is_sound(header):
            raise self._damaged(origin + place)

    def _finish(self) -> None:
        """Read to the end of the stream, where compressed data has its checksum."""
        scratch = memoryview(bytearray(1 << 16))
        while self._stream.readinto(scratch):
            pass
        self._stream.finish()

    def _cut(self, found: _Found, origin: int) -> Blocks:
        """The block of the files found, after what is to be said of other members."""
        if not found.heads:
            return
        headers = _records(self._buffer, self._filled)[np.array(found.heads) // RECORD]
        sound = _sound(headers)
        n = len(sound) if sound.all() else int(np.argmin(sound))
        names = _names(headers[:n])
        for i, name in found.long_names.items():
            names[i : i + 1] = [name][: n - i]
        odd: dict[int, str] = {}
        if not (_REGULAR.issuperset(found.kinds) and all_xml(names)):
            odd = {i: reason for i in range(n) if (reason := _reason(names[i], found.kinds[i]))}
        if odd:
            yield counted(
                reason for reason in odd.values() if reason not in ("directory", "sparse")
            )
            for i in (i for i, reason in odd.items() if reason == "sparse"):
                yield rejected("sparse", "sparse tar members are not supported", names[i])
        starts = np.array(found.heads[:n], np.int64) + RECORD
        ends = starts + np.array(found.sizes[:n], np.int64)
        self._last = names[-1] if names else self._last
        if odd:
            whole = [i for i in range(n) if i not in odd]
            names, starts, ends = [names[i] for i in whole], starts[whole], ends[whole]
        if names:
            yield XmlBlock(self._buffer, names, starts, ends)
        if n < len(found.heads):
            raise self._damaged(origin + found.heads[n])

    def _go_on(self, used: int, given: bool) -> Blocks:
        """Put what is left over in front of the next buffer; make room for a large member."""
        rest = self._buffer.view[used : self._filled]
        need = _padded(self._size_at(used)) if len(rest) >= RECORD else RECORD
        if need > MAX_MEMBER:
            yield self._skip(used, need)
            rest = rest[:0]
        old = self._buffer
        if given:
            self._buffer = self._take() if self._spare is None else self._spare
            self._spare = None
        if need > self._buffer.size and len(rest):
            self._spare = self._spare or self._buffer  # a private one that is too small is let go
            self._buffer = Buffer.private(need)
        if self._buffer is not old or used:
            self._buffer.view[: len(rest)] = rest
        self._filled = len(rest)

    def _skip(self, place: int, need: int) -> Batch:
        """Read past a member that is too large to hold."""
        header = np.frombuffer(self._buffer.view[place : place + RECORD], np.uint8)[None]
        name = self._name or _names(header)[0]
        size = self._size_at(place)
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
    """A number of a tar header: octal digits, or base 256 where the first bit is set.

    Raises ValueError for anything else, as a negative number.
    """
    if field_[0] == 0x80:
        return int.from_bytes(field_[1:], "big")
    digits = field_.strip(b" \0") or b"0"
    if not digits.isdigit():  # int() knows signs and underscores, too
        raise ValueError(field_)
    return int(digits, 8)


def _sound(headers: Headers) -> npt.NDArray[np.bool_]:
    """Which headers hold their own checksum: the sum of their bytes, its own field as blanks."""
    field_ = headers[:, 148:156]
    sums = headers.sum(axis=1, dtype=np.int64) - field_.sum(axis=1, dtype=np.int64) + 8 * ord(" ")
    # six octal digits, NUL, blank: what nearly all writers write, and quick to compare
    digits = (sums[:, None] >> np.array([15, 12, 9, 6, 3, 0])) & 7
    usual: npt.NDArray[np.bool_] = (field_[:, :6] == digits + ord("0")).all(axis=1)
    for i in np.flatnonzero(~usual):
        try:
            usual[i] = int(field_[i].tobytes().strip(b" \0") or b"x", 8) == sums[i]
        except ValueError:
            usual[i] = False
    return usual


def _is_sound(header: bytes | memoryview) -> bool:
    return bool(_sound(np.frombuffer(header, np.uint8, RECORD)[None])[0])


def _names(headers: Headers) -> list[str]:
    """The names in headers, with the prefix that ustar puts elsewhere."""
    names = np.ascontiguousarray(headers[:, :100]).view("S100").ravel().tolist()
    for i in np.flatnonzero(headers[:, 345] * (headers[:, 262] == 0)):
        if headers[i, 257:262].tobytes() == b"ustar":
            names[i] = headers[i, 345:500].tobytes().split(b"\0")[0] + b"/" + names[i]
    together = b"\n".join(names)
    if together.count(b"\n") == len(names) - 1:  # as good as always, and quicker
        return together.decode("utf-8", "backslashreplace").split("\n")
    return [name.decode("utf-8", "backslashreplace") for name in names]


def _text(name: bytes) -> str:
    """A name or a value; bytes that are no UTF-8 are spelled out."""
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
    return junk(name) or ("sparse" if kind == _SPARSE else None)


def _records(buffer: Buffer, filled: int) -> Headers:
    """The whole records of 512 bytes in a buffer, as rows."""
    n = filled // RECORD
    return np.frombuffer(buffer.view, np.uint8, n * RECORD).reshape(n, RECORD)
