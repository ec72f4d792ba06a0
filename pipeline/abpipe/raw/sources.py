"""Sources: what a path is packed in and holds, by its bytes; who it is, by its hash."""

from __future__ import annotations

import hashlib
import re
import zipfile
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Literal, cast

from abpipe.contents import ANNOTATIONS, CONTENTS, Content
from abpipe.errors import BrokenSource, MissingSource, NoPages, UnknownSource
from abpipe.once import Once
from abpipe.raw.block import Blocks, Take
from abpipe.raw.files import open_zip, walk
from abpipe.raw.json_shapes import JSON_FILE, PAGES
from abpipe.raw.members import spelled
from abpipe.raw.pictures import junk
from abpipe.raw.streams import OnRead, open_plain
from abpipe.raw.tar import looks_like_tar
from abpipe.remote import Place, Url, opened, place, size_of

HEAD = 1 << 16  # bytes that are enough to tell what a file is

#: How a source is packed; `file` is one of its own, compressed or not.
Container = Literal["tar", "zip", "folder", "file"]
_BOM = b"\xef\xbb\xbf"
#: How COCO's own annotation files begin, in any order of their parts.
_INSTANCES = re.compile(
    rb'\{\s*"(?:info|type|licenses|images|annotations|categories)"\s*:\s*[\[{"]'
)

#: Fields that only page records and annotation records have.
_PAGE = re.compile(rb'"(?:pageno|(?:imageNet|coco)AnnotationID|workerID)"\s*:')


@dataclass(frozen=True)
class Source:
    """One SOURCE of the command line, or that of it which belongs in one dataset.

    `beside` are the sources whose annotation records its pages may name.
    """

    path: Place
    name: str
    container: Container
    content: Content
    beside: tuple[Source, ...] = ()

    @property
    def where(self) -> Place:
        """Its path without links, or its URL."""
        return self.path if isinstance(self.path, Url) else self.path.resolve()

    def blocks(self, take: Take, on_read: OnRead = None) -> Blocks:
        """What it holds in blocks, in order; `on_read` is told how many of its bytes were read."""
        reader = import_module(self.content.reader)
        return cast("Blocks", reader.blocks(self, take, on_read))

    def once(self) -> Source:
        """Itself; where it is one file elsewhere, its hash is taken as it is read."""
        if isinstance(self.path, Url) and self.container != "folder":
            return replace(self, path=Once(self.path.url, self.path.size))
        return self

    def identity(self) -> tuple[int, str]:
        """Its size in bytes and its SHA-256; a folder's by its sorted paths, sizes and hashes.

        Of pictures, only the beginning of each file counts.
        """
        try:
            if self.container == "folder":
                own = _folder(self.path, self.content.head)
            else:
                own = self.path.identity() if isinstance(self.path, Once) else _file(self.path)
        except OSError as err:
            raise _unreadable(self.name, err) from err
        return _all([own, *(other.identity() for other in self.beside)]) if self.beside else own


def find(pattern: str) -> list[Source]:
    """The sources that a path, a URL or a glob of either names, sorted.

    Raises MissingSource if there is none, UnknownSource if one is nothing that abpipe reads.
    """
    paths = _paths(pattern)
    if not paths:
        raise MissingSource(pattern or "''")
    return [source for path in paths for source in _sources(path)]


def paired(sources: list[Source]) -> list[Source]:
    """The sources without those of annotation records, which pages are to be read with.

    Raises NoPages if there are annotation records and no pages.
    """
    beside = tuple(source for source in sources if source.content is ANNOTATIONS)
    others = [source for source in sources if source.content is not ANNOTATIONS]
    if beside and not any(source.content.private for source in others):
        raise NoPages(beside[0].name)
    return [replace(s, beside=beside) if s.content.private else s for s in others]


def _paths(pattern: str) -> list[Place]:
    path = place(pattern)
    if isinstance(path, Url):
        return [path] if path.exists() else [*path.glob()]
    try:
        if pattern and path.exists():
            return [path]
        if any(character in pattern for character in "*?["):
            return [*sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))]
    except PermissionError as err:
        raise _unreadable(pattern, err) from err
    except (OSError, ValueError):  # no file system takes such a name, or no such pattern exists
        pass
    return []


def _unreadable(source: str, err: OSError) -> BrokenSource:
    return BrokenSource(source, f"it cannot be read: {err.strerror or err}", 0)


def _file(path: Place | str, head: int | None = None) -> tuple[int, str]:
    """The size of a file, and the SHA-256 of it or of its first bytes."""
    with opened(path, head) as file:
        digest = hashlib.sha256(file.read(head)) if head else hashlib.file_digest(file, "sha256")
        return (size_of(file) if head else None) or file.tell(), digest.hexdigest()


def _folder(folder: Place, head: int | None) -> tuple[int, str]:
    total, digest = 0, hashlib.sha256()
    for inside, path in walk(folder):
        try:
            size, content = _file(path, head)
        except OSError:
            size, content = 0, "unreadable"  # its reader puts it among the rejects
        digest.update(f"{inside}\0{size}\0{content}\n".encode())
        total += size
    return total, digest.hexdigest()


def _all(identities: list[tuple[int, str]]) -> tuple[int, str]:
    sizes, hashes = zip(*identities, strict=True)
    return sum(sizes), hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _sources(path: Place) -> list[Source]:
    """What a path is: a source for each dataset that it holds something for."""
    name = spelled((path if isinstance(path, Url) else path.resolve()).name)
    try:
        if path.is_dir():
            container: Container = "folder"
            contents = _held(path, name)
        else:
            head = _head(path, name)
            container = _container(path, head)
            if container == "file":
                contents = _written(path, name, head)
            else:
                contents = _packed(path, name, container, head)
    except OSError as err:
        raise _unreadable(name, err) from err
    return [Source(path, name, container, content) for content in contents]


def _packed(path: Place, name: str, container: Container, head: bytes) -> list[Content]:
    """What the files of an archive are. Where there is XML, all else is skipped."""
    if b".xml" in head.lower() or (container == "zip" and _zips_xml(path, name)):
        return [CONTENTS["imagenet-ab"]]
    # if it is nothing at all, the reader of XML will say what is wrong
    return _pages(path, name, container) or [CONTENTS["imagenet-ab"]]


def _zips_xml(path: Place, name: str) -> bool:
    try:
        with open_zip(path, name) as archive:
            return any(file.lower().endswith(".xml") for file in archive.namelist())
    except BrokenSource:
        return True


def _held(folder: Place, name: str) -> list[Content]:
    """What the files of a folder are. Beside XML all else is skipped, beside pages all pictures."""
    pictures = json = False
    for file, _ in walk(folder):
        if file.lower().endswith(".xml"):
            return [CONTENTS["imagenet-ab"]]
        pictures = pictures or junk(file) is None
        json = json or bool(JSON_FILE.fullmatch(file))
    if json and (contents := _pages(folder, name, "folder")):
        return contents
    if not pictures:
        found = "the folder holds neither XML files nor page records nor pictures"
        raise UnknownSource(name, found)
    return [CONTENTS["pictures"]]


def _pages(path: Place, name: str, container: Container) -> list[Content]:
    """The contents whose page records are in a source."""
    from abpipe.raw import pages  # not needed for what is published

    told = pages.tools(path, container, name)
    found = [CONTENTS[f"{tool}-pages"] for tool in pages.TOOLS if tool in told]
    return found or ([ANNOTATIONS] if told else [])


def _head(path: Place, name: str) -> bytes:
    """The first plain bytes of a file."""
    with open_plain(path, name) as stream:
        buffer = bytearray(HEAD)
        head = bytes(buffer[: stream.readinto(memoryview(buffer))])
        if not head:
            stream.finish()
            raise UnknownSource(name, "the file is empty")
    return head


def _container(path: Place, head: bytes) -> Container:
    if looks_like_tar(head):
        return "tar"
    # a tar can end with a zip
    return "zip" if head.startswith(b"PK") or _ends_as_zip(path) else "file"


def _ends_as_zip(path: Place) -> bool:
    """Whether a file is a zip with something in front of it; not looked for behind a URL."""
    return isinstance(path, Path) and zipfile.is_zipfile(path)


def _written(path: Place, name: str, head: bytes) -> list[Content]:
    """What the text is that begins so."""
    text = head.removeprefix(_BOM).lstrip()
    if text[:1] in (b"[", b"{"):
        first = text.lstrip(b"[ \t\r\n")
        if (PAGES.start.match(first) or _PAGE.search(head)) and (
            contents := _pages(path, name, "file")
        ):
            return contents
        return [CONTENTS["coco-instances" if _INSTANCES.match(text) else "coco-ab"]]
    lower = text[:1024].lower()
    if b"<!doctype html" in lower or b"<html" in lower:
        page = "it is an HTML page, as a failed download leaves it. Fetch it again"
        raise UnknownSource(name, page)
    if text.startswith(b"<"):
        return [CONTENTS["imagenet-ab"]]
    shown = repr(head[:16])[1:]
    raise UnknownSource(name, f"it is no tar, zip, XML or JSON file; it begins with {shown}")
