"""Sources: what a path is packed in and holds, by its bytes; who it is, by its hash."""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal, cast

from abpipe.contents import CONTENTS, Content
from abpipe.errors import BrokenSource, MissingSource, UnknownSource
from abpipe.raw.block import Blocks, Take
from abpipe.raw.files import walk
from abpipe.raw.members import spelled
from abpipe.raw.pictures import junk
from abpipe.raw.streams import OnRead, open_plain
from abpipe.raw.tar import looks_like_tar

HEAD = 1 << 16  # bytes that are enough to tell what a file is

#: How a source is packed; `file` is one of its own, compressed or not.
Container = Literal["tar", "zip", "folder", "file"]
_BOM = b"\xef\xbb\xbf"
#: How COCO's own annotation files begin, in any order of their parts.
_INSTANCES = re.compile(
    rb'\{\s*"(?:info|type|licenses|images|annotations|categories)"\s*:\s*[\[{"]'
)


@dataclass(frozen=True)
class Source:
    """One SOURCE of the command line."""

    path: Path
    name: str
    container: Container
    content: Content

    def blocks(self, take: Take, on_read: OnRead = None) -> Blocks:
        """What it holds in blocks, in order; `on_read` is told how many of its bytes were read."""
        reader = import_module(self.content.reader)
        return cast("Blocks", reader.blocks(self, take, on_read))

    def identity(self) -> tuple[int, str]:
        """Its size in bytes and its SHA-256; a folder's by its sorted paths, sizes and hashes.

        Of pictures, only the beginning of each file counts.
        """
        try:
            if self.container != "folder":
                return _size_and_sha256(self.path)
            return _identity(self.path, self.content.head)
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


def _size_and_sha256(path: Path | str, head: int | None = None) -> tuple[int, str]:
    """The size of a file, and the SHA-256 of it or of its first bytes."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 (a Path for each of a million files)
        digest = hashlib.sha256(file.read(head)) if head else hashlib.file_digest(file, "sha256")
        return os.fstat(file.fileno()).st_size, digest.hexdigest()


def _identity(folder: Path, head: int | None) -> tuple[int, str]:
    total, digest = 0, hashlib.sha256()
    for inside, path in walk(folder):
        try:
            size, content = _size_and_sha256(path, head)
        except OSError:
            size, content = 0, "unreadable"  # its reader puts it among the rejects
        digest.update(f"{inside}\0{size}\0{content}\n".encode())
        total += size
    return total, digest.hexdigest()


def _source(path: Path) -> Source:
    name = spelled(path.resolve().name)
    try:
        if path.is_dir():
            return Source(path, name, "folder", CONTENTS[_held(path, name)])
        head = _head(path, name)
        container = _container(path, head)
        content = "imagenet-ab" if container != "file" else _written(head, name)
        return Source(path, name, container, CONTENTS[content])
    except OSError as err:
        raise _unreadable(name, err) from err


def _held(folder: Path, name: str) -> str:
    """What the files of a folder are."""
    pictures = False
    for file, _ in walk(folder):
        if file.lower().endswith(".xml"):
            return "imagenet-ab"
        pictures = pictures or junk(file) is None
    if not pictures:
        raise UnknownSource(name, "the folder holds neither XML files nor pictures")
    return "pictures"


def _head(path: Path, name: str) -> bytes:
    """The first plain bytes of a file."""
    with open_plain(path, name) as stream:
        buffer = bytearray(HEAD)
        head = bytes(buffer[: stream.readinto(memoryview(buffer))])
        if not head:
            stream.finish()
            raise UnknownSource(name, "the file is empty")
    return head


def _container(path: Path, head: bytes) -> Container:
    if looks_like_tar(head):
        return "tar"
    # a tar can end with a zip
    return "zip" if head.startswith(b"PK") or zipfile.is_zipfile(path) else "file"


def _written(head: bytes, name: str) -> str:
    """What the text is that begins so."""
    text = head.removeprefix(_BOM).lstrip()
    if _INSTANCES.match(text):
        return "coco-instances"
    if text[:1] in (b"[", b"{"):
        return "coco-ab"
    lower = text[:1024].lower()
    if b"<!doctype html" in lower or b"<html" in lower:
        page = "it is an HTML page, as a failed download leaves it. Fetch it again"
        raise UnknownSource(name, page)
    if text.startswith(b"<"):
        return "imagenet-ab"
    shown = repr(head[:16])[2:-1]
    raise UnknownSource(name, f"it is no tar, zip, XML or JSON file; it begins with {shown}")
