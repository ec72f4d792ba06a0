"""Members that are files of their own: in a folder, in a zip archive, or a single one."""

from __future__ import annotations

import io
import lzma
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import IO, TypeAlias

from abpipe.errors import BrokenSource, NeedsParts
from abpipe.raw.block import Blocks, Take
from abpipe.raw.members import MAX_MEMBER, counted, junk, packed, rejected, spelled, too_large
from abpipe.raw.streams import OnRead
from abpipe.remote import Place, Url, opened, size_of
from abpipe.rows import Batch

#: What a damaged, encrypted or exotic zip archive or member raises (also NotImplementedError, which
#: is a RuntimeError, and UnicodeDecodeError, which is a ValueError).
BAD_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)


def walk(folder: Place | str, inside: str = "") -> Iterator[tuple[str, str | Url]]:
    """All files under a folder, sorted by the parts of their path: (path inside, path)."""
    if isinstance(folder, Url):
        yield from folder.walk()
        return
    with os.scandir(folder) as entries:
        found = sorted(entries, key=attrgetter("name"))
    for entry in found:
        path = f"{inside}{spelled(entry.name)}"
        if entry.is_dir(follow_symlinks=False):
            yield from walk(entry.path, f"{path}/")
        elif entry.is_file():
            yield path, entry.path


def folder_blocks(folder: Place, take: Take, on_read: OnRead = None) -> Blocks:
    """The XML files of a folder, in sorted path order."""
    return packed(_counted(_files(folder), on_read), take)


def file_blocks(file: Place, take: Take) -> Blocks:
    """A single XML file."""
    return packed([_read(file.name, file)[0]], take)


@contextmanager
def open_zip(archive: Place, source: str) -> Iterator[zipfile.ZipFile]:
    """A zip archive, by its directory. Raises BrokenSource if that cannot be read."""
    with io.BufferedReader(opened(archive), 1 << 16) as file:
        file.peek(1)
        if not file.seekable():
            raise NeedsParts(str(archive))
        try:
            found = zipfile.ZipFile(file)
        except BAD_ZIP as err:
            raise BrokenSource(source, f"the zip archive is cut off or damaged: {err}", 0) from err
        with found:
            yield found


def zip_blocks(archive: Place, source: str, take: Take, on_read: OnRead = None) -> Blocks:
    """The XML files of a zip archive, in the order of its directory.

    Raises BrokenSource if the directory cannot be read.
    """
    with open_zip(archive, source) as found:
        yield from packed(_counted(_zipped(found), on_read), take)


#: A member's path and content, or what is to be said instead of it.
_Content: TypeAlias = tuple[str, bytes] | Batch


def _counted(contents: Iterator[tuple[_Content, int]], on_read: OnRead) -> Iterator[_Content]:
    """The contents, telling how many bytes of the source they took."""
    done = 0
    for content, size in contents:
        yield content
        done += size
        if on_read:
            on_read(done)


def _files(folder: Place) -> Iterator[tuple[_Content, int]]:
    for path, file in walk(folder):
        reason = junk(path)
        yield (counted([reason]), 0) if reason else _read(path, file)


def _zipped(archive: zipfile.ZipFile) -> Iterator[tuple[_Content, int]]:
    for info in archive.infolist():
        if not info.filename.endswith("/"):  # info.is_dir() fails on a name of nothing
            yield _read_zipped(archive, info), info.compress_size


def _read(path: str, file: Place | str) -> tuple[_Content, int]:
    """The content of a file, and how many bytes it has."""
    try:
        with opened(file) as stream:
            size = size_of(stream)
            size = MAX_MEMBER if size is None else size
            return _content(path, stream, size), size
    except OSError as err:
        return rejected("unreadable", f"the file cannot be read: {err.strerror}", path), 0


def _read_zipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Content:
    if reason := junk(info.filename):
        return counted([reason])
    try:
        with archive.open(info) as stream:
            return _content(info.filename, stream, info.file_size)
    except BAD_ZIP as err:
        return rejected("bad-zip-member", f"the member cannot be read: {err}", info.filename)


def _content(path: str, stream: IO[bytes] | io.RawIOBase, size: int) -> _Content:
    if size <= MAX_MEMBER:
        return path, stream.read(size + 1)
    return too_large(path, iter(lambda: stream.read(1 << 20), b""))
