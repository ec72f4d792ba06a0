"""From a block to its rows, whatever it holds."""

from __future__ import annotations

from abpipe.events import coco, imagenet
from abpipe.events.rows import Batch
from abpipe.raw.block import Block, XmlBlock


def parse(block: Block) -> Batch:
    """The rows of a block."""
    return imagenet.parse(block) if isinstance(block, XmlBlock) else coco.parse(block)
