"""COCO's own annotation files, `instances_*.json`, as blocks of elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abpipe.raw.block import Blocks, Take
from abpipe.raw.json_records import file_blocks
from abpipe.raw.json_shapes import INSTANCES
from abpipe.raw.streams import OnRead

if TYPE_CHECKING:
    from abpipe.raw.sources import Source


def blocks(source: Source, take: Take, on_read: OnRead = None) -> Blocks:
    """The pictures, objects and categories of a file in blocks, and what stands around them."""
    return file_blocks(source, INSTANCES, take, on_read)
