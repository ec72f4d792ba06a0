from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from abpipe.errors import BrokenSource
from abpipe.raw.streams import PIECE, open_plain

TEXT = random.Random(0).randbytes(40_000).hex().encode()

Read = Callable[..., bytes]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Writes a file and reads its plain bytes to the end."""

    def plain(content: bytes, room: int = 1 << 20) -> bytes:
        (tmp_path / "a").write_bytes(content)
        with open_plain(tmp_path / "a", "a") as stream:
            buffer, got = bytearray(room), b""
            while n := stream.readinto(memoryview(buffer)):
                got += bytes(buffer[:n])
            try:
                stream.finish()
            except BrokenSource as err:
                err.add_note(str(len(got)))
                assert TEXT.startswith(got)
                raise
            return got

    return plain


@pytest.mark.parametrize("room", [1000, 1 << 20])
@pytest.mark.parametrize(
    "packed",
    [
        TEXT,
        gzip.compress(TEXT),
        gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:]),
        gzip.compress(TEXT) + bytes(512),
        zstandard.compress(TEXT),
        zstandard.compress(TEXT[:100]) + zstandard.compress(TEXT[100:]),
    ],
    ids=["plain", "gzip", "gzip in two", "gzip with zeros after it", "zstd", "zstd in two"],
)
def test_a_file_reads_as_its_plain_bytes(read: Read, packed: bytes, room: int) -> None:
    assert read(packed, room) == TEXT


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_cut_is_damage_wherever_it_is(read: Read, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(TEXT)
    for cut in [*range(8, 60), *range(60, len(packed), 997), *range(len(packed) - 20, len(packed))]:
        with pytest.raises(BrokenSource, match="the compressed data is cut off or damaged"):
            read(packed[:cut])


def test_damage_costs_no_more_than_the_piece_it_is_in(read: Read) -> None:
    packed = gzip.compress(TEXT)
    with pytest.raises(BrokenSource) as error:
        read(packed[:-9])
    assert len(TEXT) - error.value.offset <= PIECE


def test_a_wrong_checksum_is_damage(read: Read) -> None:
    packed = bytearray(gzip.compress(TEXT))
    packed[-6] ^= 1
    with pytest.raises(BrokenSource, match="CRC check failed"):
        read(bytes(packed))


def test_garbage_after_gzip_is_damage(read: Read) -> None:
    with pytest.raises(BrokenSource):
        read(gzip.compress(TEXT) + b"garbage that is no gzip member")


def test_progress_is_told_in_bytes_of_the_source(tmp_path: Path) -> None:
    told: list[int] = []
    (tmp_path / "a").write_bytes(gzip.compress(TEXT))
    with open_plain(tmp_path / "a", "a", told.append) as stream:
        buffer = memoryview(bytearray(1 << 14))
        while stream.readinto(buffer):
            pass
    assert told == sorted(told)
    assert told[-1] == (tmp_path / "a").stat().st_size
