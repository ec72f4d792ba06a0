"""The archives' files, written chunk by chunk."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from isal import isal_zlib

from abpipe.synth import tar
from abpipe.synth.chunk import Made

#: gzip's own default, which gives ImageNet-AB's published ratio.
LEVEL = 6
_GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # deflate, no flags, no time


def deflated(data: bytes) -> bytes:
    """One piece of a gzip stream: pieces made by any process simply follow each other."""
    deflate = zlib.compressobj(LEVEL, wbits=-zlib.MAX_WBITS)
    return deflate.compress(data) + deflate.flush(zlib.Z_FULL_FLUSH)


class TarGz:
    """A gzip'd tar of one gzip member, as published."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.size, self.crc = file, 0, 0
        file.write(_GZIP_HEAD)

    def write(self, made: Made) -> None:
        """Append the members of one chunk, deflated."""
        self._append(made.data, made.size, made.crc)

    def close(self) -> None:
        """End the tar and the gzip stream; the file stays open."""
        end = tar.end(self.size)
        self._append(deflated(end), len(end), zlib.crc32(end))
        self.file.write(b"\x03\0")  # an empty last block
        self.file.write(self.crc.to_bytes(4, "little"))
        self.file.write((self.size % (1 << 32)).to_bytes(4, "little"))

    def _append(self, data: bytes, size: int, crc: int) -> None:
        self.file.write(data)
        self.crc = isal_zlib.crc32_combine(self.crc, crc, size)
        self.size += size


class JsonArray:
    """A JSON array on one line, as Python's `json.dump` writes it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.separator = file, b"["

    def write(self, made: Made) -> None:
        """Append the elements of one chunk."""
        self.file.write(self.separator + made.data)
        self.separator = b", "

    def close(self) -> None:
        """End the array; the file stays open."""
        self.file.write(b"]")
