"""Headers of pictures: the size of the stored pixels and EXIF's orientation, nothing decoded."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

#: What is read, the most usual first; an MPO is a JPEG with more behind it. Their plugins are
#: imported above: else Pillow imports all that it has.
FORMATS = [
    plugin.format
    for plugin in (
        JpegImagePlugin.JpegImageFile,
        PngImagePlugin.PngImageFile,
        GifImagePlugin.GifImageFile,
        WebPImagePlugin.WebPImageFile,
        BmpImagePlugin.BmpImageFile,
        TiffImagePlugin.TiffImageFile,
    )
]
_WIDTH, _HEIGHT, _ORIENTATION = 0x0100, 0x0101, 0x0112  # tags of TIFF, which EXIF is

#: What Pillow raises where a header is cut off or wrong (UnidentifiedImageError is an OSError).
_BAD_HEADER = (OSError, SyntaxError, ValueError, ArithmeticError, LookupError, TypeError)


class Header(NamedTuple):
    """What a picture's header says: stored pixels, and the orientation tag, whatever it holds."""

    width: int
    height: int
    orientation: object


class NoHeaderError(Exception):
    """A file whose head is that of no picture."""


def header(file: IO[bytes]) -> Header:
    """The header of a picture, opened within `sizes_only`. Raises NoHeaderError if it has none."""
    try:
        with Image.open(file, formats=FORMATS) as picture:
            if isinstance(picture, TiffImagePlugin.TiffImageFile):
                tags = picture.tag_v2  # `size` is turned already
                return Header(tags[_WIDTH], tags[_HEIGHT], tags.get(_ORIENTATION))
            return Header(*picture.size, _orientation(picture.info.get("exif")))
    except _BAD_HEADER as err:
        raise NoHeaderError from err


def _orientation(exif: bytes | None) -> object:
    # not `picture.getexif()`: it decodes a PNG to its end, and heeds XMP, which browsers do not
    if not exif:
        return None
    try:
        found = Image.Exif()
        found.load(exif)
        return found.get(_ORIENTATION)
    except _BAD_HEADER:  # of the metadata only: browsers show such a picture unturned
        return None


@contextmanager
def sizes_only() -> Iterator[None]:
    """Have Pillow take pictures of any size, and say nothing of odd metadata: no pixel is read."""
    most, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = most
