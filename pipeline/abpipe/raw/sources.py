"""Sources: what a path is, by its content; who it is, by its hash; and its blocks."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from abpipe.errors import MissingSource, UnknownSource
from abpipe.raw import json_records
from abpipe.raw.block import Blocks, Take
from abpipe.raw.files import file_blocks, folder_blocks, walk, zip_blocks
from abpipe.raw.streams import OnRead, open_plain
from abpipe.raw.tar import TarReader, looks_like_tar

HEAD = 1 << 16  # bytes that are enough to tell what a file is

Form = Literal["tar", "zip", "folder", "xml", "json"]
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Source:
    """One SOURCE of the command line."""

    path: Path
    name: str
    form: Form

    @property
    def tool(self) -> str:
        """The annotation tool whose records it holds."""
        return "coco" if self.form == "json" else "imagenet"

    @property
    def dataset(self) -> str:
        """The dataset that it belongs to unless the user names another."""
        return f"{self.tool}-ab"

    def blocks(self, take: Take, on_read: OnRead = None) -> Blocks:
        """Its content in blocks, in order; `on_read` is told how many of its bytes were read."""
        if self.form == "folder":
            yield from folder_blocks(self.path, take, on_read)
        elif self.form == "zip":
            yield from zip_blocks(self.path, self.name, take, on_read)
        elif self.form == "xml":
            yield from file_blocks(self.path, take)
        else:
            with open_plain(self.path, self.name, on_read) as stream:
                if self.form == "tar":
                    yield from TarReader(stream, self.name, take).blocks()
                else:
                    yield from json_records.blocks(stream, self.name, take)

    def identity(self) -> tuple[int, str]:
        """Its size in bytes and its SHA-256; a folder's by its sorted paths, sizes and hashes."""
        if self.form != "folder":
            with self.path.open("rb") as file:
                return self.path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
        total, digest = 0, hashlib.sha256()
        for inside, path in walk(self.path):
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            size = path.stat().st_size
            digest.update(f"{inside}\0{size}\0{content}\n".encode("utf-8", "surrogateescape"))
            total += size
        return total, digest.hexdigest()


def find(pattern: str) -> list[Source]:
    """The sources that a path or a glob names, sorted.

    Raises MissingSource if there is none, UnknownSource if one is nothing that abpipe reads.
    """
    path = Path(pattern)
    if path.exists():
        return [_source(path)]
    anchor = Path(path.anchor)
    found = sorted(anchor.glob(str(path.relative_to(anchor)))) if _is_glob(pattern) else []
    if not found:
        raise MissingSource(pattern)
    return [_source(path) for path in found]


def _is_glob(pattern: str) -> bool:
    return any(character in pattern for character in "*?[")


def _source(path: Path) -> Source:
    name = path.resolve().name
    if path.is_dir():
        if not any(file.lower().endswith(".xml") for file, _ in walk(path)):
            raise UnknownSource(name, "the folder holds no XML file")
        return Source(path, name, "folder")
    return Source(path, name, _form(path, name))


def _form(path: Path, name: str) -> Form:
    if zipfile.is_zipfile(path):
        return "zip"
    with open_plain(path, name) as stream:
        buffer = bytearray(HEAD)
        head = bytes(buffer[: stream.readinto(memoryview(buffer))])
        if not head:
            stream.finish()
            raise UnknownSource(name, "the file is empty")
    if looks_like_tar(head):
        return "tar"
    text = head.removeprefix(_BOM).lstrip()
    if text[:1] in (b"[", b"{"):
        return "json"
    lower = text[:1024].lower()
    if b"<!doctype html" in lower or b"<html" in lower:
        raise UnknownSource(name, "it is an HTML page, as a failed download leaves it. Fetch it again")
    if text.startswith(b"<"):
        return "xml"
    shown = head[:16].decode("ascii", "backslashreplace")
    raise UnknownSource(name, f"it is neither a tar, zip, XML nor JSON file; it begins with {shown}")
