from __future__ import annotations

import io
import struct
import warnings
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from abpipe.raw.headers import Header, NoHeaderError, header, sizes_only

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "MPO")
WITH_EXIF = ("JPEG", "PNG", "WEBP", "TIFF", "MPO")


def picture(form: str, size: tuple[int, int] = (30, 20), mode: str = "L", turn: int = 0) -> bytes:
    exif, memory = Image.Exif(), io.BytesIO()
    if turn:
        exif[0x0112] = turn
    Image.new(mode, size).save(memory, form, **({"exif": exif} if turn else {}))
    return memory.getvalue()


def read(data: bytes) -> Header:
    with sizes_only():
        return header(io.BytesIO(data))


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_tells_its_size(form: str) -> None:
    assert read(picture(form)) == (30, 20, None)


@pytest.mark.parametrize("form", WITH_EXIF)
@pytest.mark.parametrize("turn", range(1, 9))
def test_sizes_are_those_of_the_stored_pixels_whatever_the_orientation(
    form: str, turn: int
) -> None:
    assert read(picture(form, turn=turn)) == (30, 20, turn)


@pytest.mark.parametrize(("form", "mode"), [("JPEG", "CMYK"), ("PNG", "I;16"), ("TIFF", "I;16")])
def test_other_kinds_of_pixels_do_not_matter(form: str, mode: str) -> None:
    assert read(picture(form, mode=mode)) == (30, 20, None)


def test_an_orientation_beyond_eight_is_told_as_it_is() -> None:
    assert read(picture("JPEG", turn=9)).orientation == 9


def test_broken_metadata_does_not_cost_the_size() -> None:
    whole = picture("JPEG", turn=6)
    assert read(whole.replace(b"Exif\0\0MM", b"Exif\0\0ZZ")) == (30, 20, None)


def test_a_picture_that_would_fill_the_memory_is_only_measured() -> None:
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(data) == (60_000, 60_000, None)
    assert before == Image.MAX_IMAGE_PIXELS


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(FORMATS),
    st.integers(0, 400),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4),
)
def test_damage_is_told_and_nothing_else_is_raised(
    form: str, length: int, damage: list[tuple[int, int]]
) -> None:
    data = bytearray(picture(form, turn=6 if form in WITH_EXIF else 0))
    for at, byte in damage:
        data[at % len(data)] = byte
    try:
        found = read(bytes(data[:length]))
    except NoHeaderError:
        return
    assert found.width > 0
    assert found.height > 0
