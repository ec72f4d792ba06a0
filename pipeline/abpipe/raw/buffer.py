"""Memory for blocks, which processes can share."""

from __future__ import annotations

from functools import cache
from multiprocessing.shared_memory import SharedMemory
from typing import Any

BLOCK_BYTES = 4 << 20  # larger blocks leave the processor's cache and are slower
PADDING = 64  # parsers may look this far beyond the end


class Buffer:
    """Writable memory for one block; a shared one travels between processes as its name."""

    def __init__(
        self,
        memory: memoryview | bytearray | None,
        name: str | None = None,
        size: int | None = None,
    ) -> None:
        self.view, self.name = memoryview(memory or b""), name
        self.size = len(self.view) - PADDING if size is None else size
        """Bytes that a reader may fill; rows that come back may take more."""

    @classmethod
    def private(cls, size: int) -> Buffer:
        """Memory of this process only, for a block that outgrew the shared ones."""
        return cls(bytearray(size + PADDING))

    def copy(self, used: int) -> Buffer:
        """The first bytes in memory of their own."""
        copied = Buffer.private(used)
        copied.view[:used] = self.view[:used]
        return copied

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
