from __future__ import annotations

import io
import tarfile
from typing import Literal

import pytest

from abpipe.synth.tar import Member, end, pack


def read(packed: bytes) -> tarfile.TarInfo:
    with tarfile.open(fileobj=io.BytesIO(packed + end(len(packed)))) as tar:
        (info,) = tar.getmembers()
    return info


@pytest.mark.parametrize("long_names", ["pax", "gnu"])
@pytest.mark.parametrize("length", [1, 99, 100, 101, 170, 955, 1000])
def test_tarfile_reads_names_of_any_length(length: int, long_names: Literal["pax", "gnu"]) -> None:
    info = read(pack(Member("n" * length, b"content", long_names=long_names)))
    assert (info.name, info.size) == ("n" * length, 7)


def test_tarfile_reads_links() -> None:
    info = read(pack(Member("a.xml", type=b"2", link="../b.xml")))
    assert info.issym() and info.linkname == "../b.xml"


@pytest.mark.parametrize("size", [0, 512, 9216, 9728, 10240])
def test_an_archive_ends_on_a_whole_record(size: int) -> None:
    assert (size + len(end(size))) % 10_240 == 0
    assert len(end(size)) >= 1024
