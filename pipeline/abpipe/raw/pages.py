"""Page records of the annotation tools: the JSON files of a source, whatever it is packed in."""

from __future__ import annotations

import io
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from abpipe.errors import BrokenSource
from abpipe.raw.block import Blocks, Take
from abpipe.raw.buffer import Buffer
from abpipe.raw.files import BAD_ZIP, open_zip, walk
from abpipe.raw.json_records import framed
from abpipe.raw.json_shapes import JSON_FILE, PAGES
from abpipe.raw.members import counted, rejected, spelled
from abpipe.raw.streams import OnRead, Plain, decompressed, open_plain
from abpipe.remote import Place, size_at
from abpipe.rows import Batch

if TYPE_CHECKING:
    from abpipe.raw.sources import Container, Source

#: Fields that only one tool writes.
TOOLS = {
    "imagenet": re.compile(rb'"(?:imageNetAnnotationID|hoveredRecord|selectedRecord)"[ \t\r\n]*:'),
    "coco": re.compile(rb'"(?:cocoAnnotationID|actionHistories|timeSpend)"[ \t\r\n]*:'),
}
#: Fields of annotation records.
ANNOTATION = re.compile(rb'"(?:annotatorID|workerID|assignmentID)"[ \t\r\n]*:')

_CHUNK = 1 << 20
_LONGEST_FIELD = 64

#: A member and its plain bytes, or what is to be said instead of it.
File: TypeAlias = tuple[str | None, Plain] | Batch


def blocks(source: Source, take: Take, on_read: OnRead = None) -> Blocks:
    """The records of a source in blocks, file by file; a broken file in a container is a reject."""
    unused: list[Buffer] = []

    def reuse() -> Buffer:
        """A buffer; the last one again, if no block came of it."""
        if not unused:
            unused.append(take())
        return unused[0]

    for file in _all(source, on_read):
        if isinstance(file, Batch):
            yield file
            continue
        member, stream = file
        try:
            for block in framed(stream, source.name, reuse, PAGES, member):
                if unused and getattr(block, "buffer", None) is unused[0]:
                    unused.clear()
                yield block
        except BrokenSource as err:
            if member is None:
                raise
            yield rejected("broken", err.why, member)
        else:
            yield Batch({}, Counter({"members.ok": 1}))


def _all(source: Source, on_read: OnRead) -> Iterator[File]:
    """The files of a source, and of those beside it."""
    yield from files(source.path, source.container, source.name, on_read)
    for other in source.beside:
        for file in files(other.path, other.container, other.name):
            if isinstance(file, Batch):
                yield file
            else:
                yield file[0] or other.name, file[1]


def tools(path: Place, container: Container, name: str) -> set[str]:
    """The tools whose pages are in a source; "" stands for annotation records."""
    found: set[str] = set()
    marks = TOOLS | {"": ANNOTATION}
    with suppress(BrokenSource):  # its reader will say so
        for file in files(path, container, name):
            rest, chunk = b"", bytearray(_CHUNK)
            while not isinstance(file, Batch) and found < marks.keys():
                window = rest + chunk[: file[1].readinto(memoryview(chunk))]
                if window == rest:
                    break
                found |= {tool for tool, mark in marks.items() if mark.search(window)}
                rest = window[-_LONGEST_FIELD:]
    return found


def files(path: Place, container: Container, name: str, on_read: OnRead = None) -> Iterator[File]:
    """The JSON files of a source; other members as counts, unreadable ones as rejects.

    Each stream is to be read before the next one is asked for.
    """
    if container == "file":
        with open_plain(path, name, on_read) as stream:
            yield None, stream
    elif container == "folder":
        yield from _in_folder(path, name, on_read)
    elif container == "zip":
        yield from _in_zip(path, name, on_read)
    else:
        yield from _in_tar(path, name, on_read)


def _junk(member: str) -> str | None:
    """Why a member is not read: a word for the ledger, or None if it is."""
    if member.rpartition("/")[2].startswith("._"):
        return "appledouble"
    return None if JSON_FILE.fullmatch(member) else "not-json"


def _in_folder(folder: Place, name: str, on_read: OnRead) -> Iterator[File]:
    done = 0
    for member, path in walk(folder):
        if reason := _junk(member):
            yield counted([reason])
            continue
        try:
            with open_plain(path, name) as stream:
                yield member, stream
                done += size_at(path)
        except OSError as err:
            yield rejected("unreadable", f"the file cannot be read: {err.strerror}", member)
        if on_read:
            on_read(done)


def _in_zip(path: Place, name: str, on_read: OnRead) -> Iterator[File]:
    done = 0
    with open_zip(path, name) as archive:
        for info in archive.infolist():
            if info.filename.endswith("/"):  # info.is_dir() fails on a name of nothing
                continue
            if reason := _junk(info.filename):
                yield counted([reason])
                continue
            try:
                with archive.open(info) as file:
                    yield info.filename, _Member(file).plain(name)
            except BAD_ZIP as err:
                message = f"the member cannot be read: {err}"
                yield rejected("bad-zip-member", message, info.filename)
            done += info.compress_size
            if on_read:
                on_read(done)


class _Member(io.RawIOBase):
    """A file in an archive, whose damage is told as that of any other stream."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, view: memoryview) -> int:  # type: ignore[override]
        try:
            return int(self._file.readinto(view))
        except (*BAD_ZIP, tarfile.TarError) as err:
            raise EOFError(str(err)) from err

    def plain(self, source: str) -> Plain:
        """What is in the file."""
        buffered = io.BufferedReader(self, _CHUNK)
        return Plain(decompressed(buffered, buffered.peek(4)[:4]), source)


class _Forward(io.RawIOBase):
    """A stream that `tarfile` reads; it remembers the last bytes."""

    def __init__(self, stream: Plain) -> None:
        self._stream, self.tail = stream, b""

    def readable(self) -> bool:
        return True

    def readinto(self, view: memoryview) -> int:  # type: ignore[override]
        n = self._stream.readinto(view)
        self.tail = (self.tail + bytes(view[:n]))[-tarfile.BLOCKSIZE :]
        return n


def _in_tar(path: Place, name: str, on_read: OnRead) -> Iterator[File]:
    with open_plain(path, name, on_read) as stream:
        forward = _Forward(stream)
        try:
            with tarfile.open(fileobj=io.BufferedReader(forward), mode="r|") as tar:
                for info in tar:
                    tar.members = []  # type: ignore[attr-defined] # it keeps every header
                    yield from _in_member(tar, info, name)
        except (tarfile.TarError, EOFError) as err:
            raise stream.ended(
                f"the archive is cut off or damaged: {err}", stream.position
            ) from err
        while forward.read(_CHUNK):
            pass
        stream.finish()
        if forward.tail.strip(b"\0"):
            raise stream.ended("the archive is cut off: it has no end marker", stream.position)


def _in_member(tar: tarfile.TarFile, info: tarfile.TarInfo, name: str) -> Iterator[File]:
    if info.isdir():
        return
    member = spelled(info.name)
    file = tar.extractfile(info) if info.isreg() else None
    if reason := "link-or-device" if file is None else _junk(member):
        yield counted([reason])
    else:
        yield member, _Member(file).plain(name)
