"""Blocks: pieces of a source that any process can parse without the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from abpipe.raw.buffer import Buffer
from abpipe.raw.json_shapes import COCO_AB, Shape
from abpipe.remote import Url
from abpipe.rows import Batch


@dataclass(frozen=True)
class XmlBlock:
    """Whole XML files, back to back or with anything between them.

    File i is `buffer.view[starts[i]:ends[i]]` and is called `members[i]`.
    """

    buffer: Buffer
    members: list[str]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]

    @property
    def used(self) -> int:
        """How many bytes of the buffer it needs."""
        return int(self.ends[-1]) if len(self.ends) else 0


@dataclass(frozen=True)
class JsonBlock:
    """Whole JSON records with the commas or newlines between them: `buffer.view[start:end]`.

    `offset` is the place of `buffer.view[start]` in the decompressed source, in bytes; `shape`
    tells where records start.
    """

    buffer: Buffer
    start: int
    end: int
    offset: int
    shape: Shape = COCO_AB
    member: str | None = None

    @property
    def used(self) -> int:
        """How many bytes of the buffer it needs."""
        return self.end


@dataclass(frozen=True)
class FilesBlock:
    """Files that are opened by whoever parses them: `members[i]` of the source is `paths[i]`.

    The rows may come back in `buffer`.
    """

    buffer: Buffer
    members: list[str]
    paths: list[str | Url]
    used = 0


Block: TypeAlias = XmlBlock | JsonBlock | FilesBlock

#: Gives the reader a buffer that no other block uses any more.
Take: TypeAlias = Callable[[], Buffer]

#: What a reader yields, in source order: blocks to parse, and rejects of its own as batches.
Blocks: TypeAlias = Iterator[Block | Batch]
