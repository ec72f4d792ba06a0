"""Files as streams of their plain bytes, however they are compressed."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import RawIOBase
from typing import Any, TypeAlias

import pyarrow as pa
from isal import igzip, isal_zlib

from abpipe.errors import BrokenSource
from abpipe.remote import Place, opened

PIECE = 1 << 16  # bytes asked for at once: where the data is damaged, the piece is lost

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"

#: What truncated or damaged compressed data raises (BadGzipFile is an OSError).
_DAMAGE: tuple[Any, ...] = (EOFError, OSError, zlib.error, isal_zlib.IsalError)

#: Told how many bytes of the source, as stored, have been read so far.
OnRead: TypeAlias = Callable[[int], None] | None


class Plain:
    """The decompressed bytes of a file, read forward into memory of the caller."""

    def __init__(
        self, stream: Any, source: str, file: RawIOBase | None = None, on_read: OnRead = None
    ) -> None:
        self._stream, self._source, self._file, self._on_read = stream, source, file, on_read
        self._damage: str | None = None
        self.position = 0

    def readinto(self, view: memoryview, /) -> int:
        """Fill the whole view; less only at the end, or where the compressed data is damaged."""
        filled = 0
        try:
            while not self._damage and filled < len(view):
                if not (n := self._stream.readinto(view[filled : filled + PIECE])):
                    break
                filled += n
        except _DAMAGE as err:
            detail = str(err).strip(". ") or type(err).__name__
            self._damage = f"the compressed data is cut off or damaged: {detail}"
        self.position += filled
        if self._on_read and self._file:
            self._on_read(self._file.tell())
        return filled

    def ended(self, why: str, offset: int, member: str | None = None) -> BrokenSource:
        """The error of a stream that should go on: damage if that ended it, else `why`."""
        return BrokenSource(self._source, self._damage or why, offset, member)

    def finish(self) -> None:
        """Raise BrokenSource if damage was what ended the stream."""
        if self._damage:
            raise self.ended("", self.position)


@contextmanager
def open_plain(path: Place | str, source: str, on_read: OnRead = None) -> Iterator[Plain]:
    """Open a file, decompressing what its first bytes say is gzip or Zstandard."""
    with opened(path) as file:
        magic = file.read(4)
        file.seek(0)
        yield Plain(decompressed(file, magic), source, file, on_read)


def decompressed(file: Any, magic: bytes) -> Any:
    """The stream of what is in a file, by the first bytes of it."""
    if magic.startswith(GZIP):
        return igzip._GzipReader(file, 1 << 18)  # what IGzipFile reads with, less a copy
    if magic == ZSTD:  # Arrow tells a truncated stream from a whole one
        return pa.CompressedInputStream(pa.PythonFile(file), "zstd")
    return file
