"""ImageNet-AB's XML files, in whatever they are packed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abpipe.raw.block import Blocks, Take
from abpipe.raw.files import file_blocks, folder_blocks, zip_blocks
from abpipe.raw.streams import OnRead, open_plain
from abpipe.raw.tar import TarReader

if TYPE_CHECKING:
    from abpipe.raw.sources import Source


def blocks(source: Source, take: Take, on_read: OnRead = None) -> Blocks:
    """The files of a source in blocks, in order; what is none as counts or rejects."""
    if source.container == "folder":
        yield from folder_blocks(source.path, take, on_read)
    elif source.container == "zip":
        yield from zip_blocks(source.path, source.name, take, on_read)
    elif source.container == "tar":
        with open_plain(source.path, source.name, on_read) as stream:
            yield from TarReader(stream, source.name, take).blocks()
    else:
        yield from file_blocks(source.path, take)
