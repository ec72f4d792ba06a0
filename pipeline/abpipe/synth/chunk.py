"""Chunks: pieces of an archive that any process can make without the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import pyarrow as pa

P = TypeVar("P")


@dataclass(frozen=True)
class Chunk(Generic[P]):
    """What one process is to make: part of a plan, and the codes of defects to plant in it."""

    number: int
    entropy: list[int]
    plan: P
    defects: list[str]
    pictures: Path | None
    """The folder for pictures; None to draw none."""
    motion: str = "aimed"
    """Name of the motion model."""


@dataclass(frozen=True)
class Made:
    """The bytes of one chunk and the truth about them."""

    data: bytes
    """As it is to be written, compressed or not."""
    size: int
    """Bytes before compression, and their CRC-32."""
    crc: int
    truth: dict[str, pa.Table]
    images: int
    files: int
    texts: dict[str, bytes] = field(default_factory=dict)
    """What is to be appended to the files of a folder, by their names."""
