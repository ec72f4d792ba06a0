"""Folders of pictures as blocks of files, which whoever parses them opens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abpipe.image_ids import EXTENSIONS
from abpipe.raw.block import Blocks, FilesBlock, Take
from abpipe.raw.files import walk
from abpipe.raw.members import counted
from abpipe.raw.streams import OnRead
from abpipe.remote import Url, size_at

if TYPE_CHECKING:
    from abpipe.raw.sources import Source

FILES = 1000  # a block


def blocks(source: Source, take: Take, on_read: OnRead = None) -> Blocks:
    """The pictures of a folder in blocks, in sorted path order; other files as counts."""
    members: list[str] = []
    paths: list[str | Url] = []
    done = 0
    for member, path in walk(source.path):
        if reason := junk(member):
            yield counted([reason])
            continue
        members.append(member)
        paths.append(path)
        if len(paths) == FILES:
            yield FilesBlock(take(), members, paths)
            if on_read:
                done += sum(map(size_at, paths))
                on_read(done)
            members, paths = [], []
    if paths:
        yield FilesBlock(take(), members, paths)


def junk(member: str) -> str | None:
    """Why a file is no picture, by its name: a word for the ledger, or None if it is one."""
    base = member.rpartition("/")[2].lower()
    if base.startswith("._"):
        return "appledouble"
    return None if is_picture(base) else "not-a-picture"


def is_picture(name: str) -> bool:
    """Whether a file is called as pictures are."""
    return name.rpartition(".")[2].lower() in EXTENSIONS
