"""From a block to its rows, whatever it holds."""

from __future__ import annotations

import gc
from importlib import import_module
from typing import cast

from abpipe.contents import Content
from abpipe.raw.block import Block
from abpipe.rows import Batch


def parse(content: Content, block: Block) -> Batch:
    """The rows of a block. A process imports only the parser that it needs."""
    # the collector would walk thousands of new objects again and again, and none is in a cycle
    collecting = gc.isenabled()
    gc.disable()
    try:
        return cast("Batch", import_module(content.parser).parse(block))
    finally:
        if collecting:
            gc.enable()
