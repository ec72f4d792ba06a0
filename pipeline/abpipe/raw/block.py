"""Blocks: pieces of a source that any process can parse without the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from multiprocessing.shared_memory import SharedMemory
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from abpipe.events.rows import Batch

BLOCK_BYTES = 4 << 20  # larger blocks leave the processor's cache and are slower
PADDING = 64  # parsers may look this far beyond the end


class Buffer:
    """Writable memory for one block; a shared one travels between processes as its name."""

    def __init__(self, memory: memoryview | bytearray, name: str | None = None) -> None:
        self.view, self.name = memoryview(memory), name

    @classmethod
    def private(cls, size: int) -> Buffer:
        """Memory of this process only, for a block that outgrew the shared ones."""
        return cls(bytearray(size + PADDING))

    @property
    def size(self) -> int:
        """Bytes that may be filled."""
        return len(self.view) - PADDING

    def release(self) -> None:
        """Let go of the memory, so that its owner can close it."""
        self.view.release()

    def __reduce__(self) -> tuple[Any, ...]:
        return (_attach, (self.name,)) if self.name else (Buffer, (bytearray(self.view),))


@cache
def _attach(name: str) -> Buffer:
    return Buffer(_shared(name).buf, name)


@cache
def _shared(name: str) -> SharedMemory:
    return SharedMemory(name)


@dataclass(frozen=True)
class XmlBlock:
    """Whole XML files, back to back or with anything between them.

    File i is `buffer.view[starts[i]:ends[i]]` and is called `members[i]`.
    """

    buffer: Buffer
    members: list[str]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


@dataclass(frozen=True)
class JsonBlock:
    """Whole JSON records with the commas or newlines between them: `buffer.view[start:end]`.

    `offset` is the place of `buffer.view[start]` in the decompressed source, in bytes.
    """

    buffer: Buffer
    start: int
    end: int
    offset: int
    member: str | None = None


Block: TypeAlias = XmlBlock | JsonBlock

#: Gives the reader a buffer that no other block uses any more.
Take: TypeAlias = Callable[[], Buffer]

#: What a reader yields, in source order: blocks to parse, and rejects of its own as batches.
Blocks: TypeAlias = Iterator[Block | Batch]
