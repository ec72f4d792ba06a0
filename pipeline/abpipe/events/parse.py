"""From a block to its rows, whatever it holds."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, cast

from abpipe.contents import Content
from abpipe.errors import BrokenSource
from abpipe.raw.block import Block
from abpipe.raw.buffer import BLOCK_BYTES, Buffer
from abpipe.rows import Batch

if TYPE_CHECKING:
    from abpipe.raw.sources import Source


@dataclass(frozen=True)
class Parser:
    """Makes rows of the blocks of one source, in any process.

    `ids` are the ids that are known to stand in a source whose ids are people's.
    """

    parse: Callable[[Block], Batch]
    ids: frozenset[str] = frozenset()


def parser(source: Source) -> Parser:
    """The parser of a source. A source with page records is looked through before."""
    if not source.content.private:
        return Parser(partial(_parse, source.content))
    from abpipe.events import pages

    found = pages.Survey()
    with suppress(BrokenSource):  # whoever reads it for good will say so
        found.look_through(source.blocks(partial(Buffer.private, BLOCK_BYTES)))
    tool = source.content.tool or ""
    parse = partial(pages.parse, tool=tool, annotations=found.annotations)
    return Parser(cast("Callable[[Block], Batch]", parse), frozenset(found.ids))


def _parse(content: Content, block: Block) -> Batch:
    """The rows of a block. A process imports only the parser that it needs."""
    # the collector would walk thousands of new objects again and again, and none is in a cycle
    collecting = gc.isenabled()
    gc.disable()
    try:
        return cast("Batch", import_module(content.parser).parse(block))
    finally:
        if collecting:
            gc.enable()
