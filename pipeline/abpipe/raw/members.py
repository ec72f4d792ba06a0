"""What is true of the members of any container: which are junk, and how large one may be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from abpipe.raw.block import Blocks, Take, XmlBlock
from abpipe.raw.buffer import Buffer
from abpipe.rows import Batch, Lost, Rows

MAX_MEMBER = 64 << 20  # bytes; an XML file of ImageNet-AB has about 4,000


def junk(name: str) -> str | None:
    """Why a member is not parsed: a word for the ledger, or None if it is."""
    if name.endswith(".xml") and "/._" not in name and name[0] != ".":
        return None
    base = name.rpartition("/")[2]
    if base.startswith("._"):
        return "appledouble"
    return None if base.lower().endswith(".xml") else "not-xml"


def spelled(name: str) -> str:
    """A file's name as text that any table takes: bytes that are no UTF-8 are spelled out."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def all_xml(names: list[str]) -> bool:
    """Whether no member is junk: all names looked at in one go, as nearly all are fine."""
    text = "\n".join(["", *names, ""])
    return text.count(".xml\n") == len(names) and "/._" not in text and "\n." not in text


def counted(reasons: Iterable[str]) -> Batch:
    """A batch without rows that counts junk."""
    counts = Counter(f"junk.{reason}" for reason in reasons)
    return Batch({}, counts + Counter({"members.junk": counts.total()}))


def rejected(code: str, message: str, member: str, raw: bytes | Lost = b"") -> Batch:
    """A batch whose only row says why a member could not be read."""
    rows = Rows()
    rows.reject("member", code, message, member, 0, raw)
    return rows.batch()


def too_large(member: str, pieces: Iterable[bytes | memoryview]) -> Batch:
    """A reject for a member over the limit: hashed in full, kept in part, never held in memory."""
    lost = Lost()
    for piece in pieces:
        lost.add(piece)
    message = f"{lost.length:,} bytes; a member may have {MAX_MEMBER:,}"
    return rejected("too-large", message, member, lost)


def packed(contents: Iterable[tuple[str, bytes] | Batch], take: Take) -> Blocks:
    """Members that come one by one, packed into blocks."""
    buffer, names, ends = take(), list[str](), [0]
    for content in contents:
        if isinstance(content, Batch):
            yield content
            continue
        name, data = content
        if len(data) > buffer.size:
            large = Buffer.private(len(data))
            large.view[: len(data)] = data
            if names:
                yield _block(buffer, names, ends)
                buffer, names, ends = take(), [], [0]
            yield _block(large, [name], [0, len(data)])
            continue
        if ends[-1] + len(data) > buffer.size:
            yield _block(buffer, names, ends)
            buffer, names, ends = take(), [], [0]
        buffer.view[ends[-1] : ends[-1] + len(data)] = data
        names.append(name)
        ends.append(ends[-1] + len(data))
    if names:
        yield _block(buffer, names, ends)


def _block(buffer: Buffer, names: list[str], ends: list[int]) -> XmlBlock:
    bounds = np.array(ends, np.int64)
    return XmlBlock(buffer, names, bounds[:-1], bounds[1:])
