"""Pictures' files: found by image id, and read as they are stored."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from abpipe.errors import BadPicture, MissingSource, NoPicture, NoPictures, OtherShape
from abpipe.image_ids import image_id
from abpipe.raw.pictures import junk

_ENDINGS = (".JPEG", ".jpg", ".jpeg", ".png")


def find(folder: Path, wanted: Iterable[str]) -> dict[str, Path]:
    """The files of pictures, as far as the folder has some: looked for by name, then by a walk.

    Raises MissingSource if there is no folder, NoPicture or NoPictures if it has none of them.
    """
    names = list(dict.fromkeys(wanted))
    if not folder.is_dir():
        raise MissingSource(str(folder))
    found = {name: path for name in names if (path := _guess(folder, name))}
    if missing := {*names} - {*found}:
        found |= _walk(folder, missing)
    if not found:
        raise NoPicture(folder, names[0]) if len(names) == 1 else NoPictures(folder, len(names))
    return found


def read(path: Path, dataset: str, width: int, height: int, most: int) -> Image.Image:
    """A picture as it is stored, whatever EXIF says, at most `most` pixels wide and high.

    `width` and `height` are those of the store. Raises BadPicture, and OtherShape if the file's are
    no scaled copy of them: places would be wrong.
    """
    try:
        with Image.open(path) as file:
            found = file.size
            file.draft("RGB", (most, most))  # a JPEG is read smaller, and faster
            picture = file.convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as err:
        raise BadPicture(path, str(err)) from None
    if abs(found[0] * height - found[1] * width) > max(*found, width, height):
        raise OtherShape(path, found, (width, height), dataset)
    picture.thumbnail((most, most))
    return picture


def _guess(folder: Path, name: str) -> Path | None:
    """Where the published sets keep a picture."""
    stems = [name, f"{name.partition('_')[0]}/{name}"]
    if name.isdecimal():
        stems += [f"COCO_train2014_{int(name):012d}", f"{int(name):012d}"]
    paths = (folder / f"{stem}{ending}" for stem in stems for ending in _ENDINGS)
    return next((path for path in paths if path.is_file()), None)


def _walk(folder: Path, missing: set[str]) -> dict[str, Path]:
    """The first file by path of each picture, anywhere in the folder."""
    found: dict[str, Path] = {}
    for place, below, names in os.walk(folder):
        below.sort()
        for name in sorted(names):
            if not junk(name) and (one := image_id(name)) in missing:
                found.setdefault(one, Path(place, name))
        if len(found) == len(missing):
            break
    return found
