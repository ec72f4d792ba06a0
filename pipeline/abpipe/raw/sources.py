"""Sources: what a path is, by its content; who it is, by its hash; and its blocks."""

from __future__ import annotations

import hashlib
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from abpipe.errors import BrokenSource, MissingSource, UnknownSource
from abpipe.raw import json_records
from abpipe.raw.block import Blocks, Take
from abpipe.raw.files import file_blocks, folder_blocks, walk, zip_blocks
from abpipe.raw.members import spelled
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
        try:
            if self.form != "folder":
                return _size_and_sha256(self.path)
            return _identity(self.path)
        except OSError as err:
            raise _unreadable(self.name, err) from err


def find(pattern: str) -> list[Source]:
    """The sources that a path or a glob names, sorted.

    Raises MissingSource if there is none, UnknownSource if one is nothing that abpipe reads.
    """
    paths = _paths(pattern)
    if not paths:
        raise MissingSource(pattern or "''")
    return [_source(path) for path in paths]


def _paths(pattern: str) -> list[Path]:
    path = Path(pattern)
    try:
        if pattern and path.exists():
            return [path]
        if any(character in pattern for character in "*?["):
            return sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    except PermissionError as err:
        raise _unreadable(pattern, err) from err
    except (OSError, ValueError):  # no file system takes such a name, or no such pattern exists
        pass
    return []


def _unreadable(source: str, err: OSError) -> BrokenSource:
    return BrokenSource(source, f"it cannot be read: {err.strerror or err}", 0)


def _size_and_sha256(path: Path | str) -> tuple[int, str]:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 (a Path for each of a million files)
        digest = hashlib.file_digest(file, "sha256")
        return os.fstat(file.fileno()).st_size, digest.hexdigest()


def _identity(folder: Path) -> tuple[int, str]:
    total, digest = 0, hashlib.sha256()
    for inside, path in walk(folder):
        try:
            size, content = _size_and_sha256(path)
        except OSError:
            size, content = 0, "unreadable"  # its reader puts it among the rejects
        digest.update(f"{inside}\0{size}\0{content}\n".encode())
        total += size
    return total, digest.hexdigest()


def _source(path: Path) -> Source:
    name = spelled(path.resolve().name)
    try:
        if not path.is_dir():
            return Source(path, name, _form(path, name))
        if any(file.lower().endswith(".xml") for file, _ in walk(path)):
            return Source(path, name, "folder")
    except OSError as err:
        raise _unreadable(name, err) from err
    raise UnknownSource(name, "the folder holds no XML file")


def _form(path: Path, name: str) -> Form:
    with open_plain(path, name) as stream:
        buffer = bytearray(HEAD)
        head = bytes(buffer[: stream.readinto(memoryview(buffer))])
        if not head:
            stream.finish()
            raise UnknownSource(name, "the file is empty")
    if looks_like_tar(head):
        return "tar"
    if head.startswith(b"PK") or zipfile.is_zipfile(path):  # a tar can end with a zip
        return "zip"
    text = head.removeprefix(_BOM).lstrip()
    if text[:1] in (b"[", b"{"):
        return "json"
    lower = text[:1024].lower()
    if b"<!doctype html" in lower or b"<html" in lower:
        page = "it is an HTML page, as a failed download leaves it. Fetch it again"
        raise UnknownSource(name, page)
    if text.startswith(b"<"):
        return "xml"
    shown = repr(head[:16])[2:-1]
    raise UnknownSource(name, f"it is no tar, zip, XML or JSON file; it begins with {shown}")
