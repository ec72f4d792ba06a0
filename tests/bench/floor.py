"""The floor: inflate a tar.gz with igzip and walk its headers, parsing nothing."""

from __future__ import annotations

import sys
from pathlib import Path

from isal import igzip


def walk(archive: Path) -> int:
    """How many members an archive has."""
    buffer = bytearray(4 << 20)
    view = memoryview(buffer)
    filled = n = 0
    with igzip.open(archive, "rb") as stream:
        while got := stream.readinto(view[filled:]):
            filled += got
            place = 0
            while place + 512 <= filled and buffer[place]:
                after = place + 512 + -(-int(buffer[place + 124 : place + 135], 8) // 512) * 512
                if after > filled:
                    break
                n += 1
                place = after
            rest = filled - place
            view[:rest] = view[place:filled]
            filled = rest
            if rest >= 512 and not buffer[0]:
                break
    return n


if __name__ == "__main__":
    walk(Path(sys.argv[1])) if "--help" not in sys.argv else None
