"""From a block to its rows, whatever it holds."""

from __future__ import annotations

from abpipe.events.rows import Batch
from abpipe.raw.block import Block, XmlBlock


def parse(block: Block) -> Batch:
    """The rows of a block. A process imports only the reader that it needs."""
    if isinstance(block, XmlBlock):
        from abpipe.events import imagenet

        return imagenet.parse(block)
    from abpipe.events import coco

    return coco.parse(block)
