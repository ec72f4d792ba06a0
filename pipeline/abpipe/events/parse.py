"""From a block to its rows, whatever it holds."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from abpipe.contents import Content
from abpipe.raw.block import Block
from abpipe.rows import Batch


def parse(content: Content, block: Block) -> Batch:
    """The rows of a block. A process imports only the parser that it needs."""
    return cast("Batch", import_module(content.parser).parse(block))
