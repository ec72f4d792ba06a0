"""The archives' files, written chunk by chunk."""

from __future__ import annotations

import zlib
from pathlib import Path

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

    def __init__(self, path: Path) -> None:
        self.file, self.size, self.crc = path.open("wb"), 0, 0
        self.file.write(_GZIP_HEAD)

    def write(self, made: Made) -> None:
        """Append the members of one chunk, deflated."""
        self._append(made.data, made.size, made.crc)

    def close(self) -> None:
        """End the tar and the gzip stream."""
        end = tar.end(self.size)
        self._append(deflated(end), len(end), zlib.crc32(end))
        self.file.write(b"\x03\0")  # an empty last block
        self.file.write(self.crc.to_bytes(4, "little"))
        self.file.write((self.size % (1 << 32)).to_bytes(4, "little"))
        self.file.close()

    def _append(self, data: bytes, size: int, crc: int) -> None:
        self.file.write(data)
        self.crc = isal_zlib.crc32_combine(self.crc, crc, size)
        self.size += size


class Folder:
    """A folder of text files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

    def write(self, made: Made) -> None:
        """Append the texts of one chunk to their files."""
        for name, text in made.texts.items():
            with (self.path / name).open("ab") as file:
                file.write(text)

    def close(self) -> None:
        """Nothing is left to be written."""


class JsonArray:
    """A JSON array on one line, as Python's `json.dump` writes it."""

    def __init__(self, path: Path) -> None:
        self.file, self.separator = path.open("wb"), b"["

    def write(self, made: Made) -> None:
        """Append the elements of one chunk."""
        self.file.write(self.separator + made.data)
        self.separator = b", "

    def close(self) -> None:
        """End the array."""
        self.file.write(b"]")
        self.file.close()
