"""Tar members as bytes: ustar headers, with pax or GNU records for long names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

_BLOCK = 512
_RECORD = 10_240
#: One fixed time for all, so that equal seeds give equal bytes.
_MTIME = b"%011o\0" % 1_663_000_000


@dataclass(frozen=True)
class Member:
    """One entry of a tar archive."""

    name: str
    data: bytes = b""
    type: bytes = b"0"
    link: str = ""
    long_names: Literal["pax", "gnu"] = "pax"

    def but(self, data: bytes) -> Member:
        """The same member with other content."""
        return replace(self, data=data)


def pack(member: Member) -> bytes:
    """Header and content, padded to whole blocks."""
    name = member.name.encode()
    if len(name) <= 100:
        return _entry(name, member.data, member.type, member.link.encode())
    if member.long_names == "gnu":
        announced = _entry(b"././@LongLink", name + b"\0", b"L")
    else:
        announced = _entry(b"PaxHeader/" + name[-80:], _pax(b"path", name), b"x")
    return announced + _entry(name[:100], member.data, member.type, member.link.encode())


def end(size: int) -> bytes:
    """What ends an archive of `size` bytes: two empty blocks, padded to a whole record."""
    return bytes(2 * _BLOCK + -(size + 2 * _BLOCK) % _RECORD)


def _entry(name: bytes, data: bytes, kind: bytes, link: bytes = b"") -> bytes:
    head = bytearray(_BLOCK)
    head[: len(name)] = name
    head[100:124] = b"000644 \x00000765 \x00000024 \x00"
    head[124:136] = b"%011o\0" % len(data)
    head[136:148] = _MTIME
    head[148:156] = b" " * 8
    head[156:157] = kind
    head[157 : 157 + len(link)] = link
    head[257:265] = b"ustar\x0000"
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + data + bytes(-len(data) % _BLOCK)


def _pax(key: bytes, value: bytes) -> bytes:
    """One pax record: its own length, in decimal and counting itself, then key and value."""
    rest = len(key) + len(value) + 3
    size = rest + len(str(rest))
    size = rest + len(str(size))
    return b"%d %b=%b\n" % (size, key, value)
