"""Image ids from the names that people have: of files, paths and WebDataset keys."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

#: Pictures' own extensions, without the dot, in lower case.
EXTENSIONS = (
    *("jpg", "jpeg", "jpe", "jfif", "mpo", "png", "gif", "webp", "bmp", "dib", "tif", "tiff"),
)

_TAKEN_OFF = frozenset([*EXTENSIONS, "xml"])
_LONG = re.compile(r"(n\d{8}_\d+)_n\d{8}|COCO_(?:train|val|test)\d{4}_(\d{12})|(0\d{11})", re.ASCII)


def image_ids(names: pa.Array | pa.ChunkedArray | Iterable[str]) -> pa.Array | pa.ChunkedArray:
    """The image id that each name stands for: see `image_id`; null stays null."""
    import pyarrow as pa

    if isinstance(names, pa.ChunkedArray):
        return pa.chunked_array([image_ids(chunk) for chunk in names.chunks], pa.string())
    if isinstance(names, pa.Array):
        names = names.to_pylist()
    return pa.array([None if name is None else image_id(name) for name in names], pa.string())


def image_id(name: str) -> str:
    """The image id that a name stands for, as the table images spells it.

    Folders and a picture's extension go. `n01440764_10026_n01440764` loses its class,
    `COCO_train2014_000000000009` and COCO 2017's `000000000009` all but the number. Any other name
    stays as it is. A million take about a second.
    """
    stem = name[max(name.rfind("/"), name.rfind("\\")) + 1 :]
    before, dot, extension = stem.rpartition(".")
    if dot and extension.lower() in _TAKEN_OFF:
        stem = before
    # a glance at it spares most names the regular expression
    if (stem[:1] == "0" or stem.count("_") == 2) and (found := _LONG.fullmatch(stem)):
        return found[1] or (found[2] or found[3]).lstrip("0") or "0"
    return stem


def files_in(folder: Path) -> Iterator[str]:
    """The pictures' files in a folder and those in it, also linked ones, as paths inside it."""
    seen = set[tuple[int, int]]()
    for place, folders, names in os.walk(folder, followlinks=True):
        found = Path(place).stat()
        if (found.st_dev, found.st_ino) in seen:  # links may go round in circles
            folders.clear()
            continue
        seen.add((found.st_dev, found.st_ino))
        inside = Path(place).relative_to(folder)
        for name in names:
            if name.rpartition(".")[2].lower() in EXTENSIONS:
                yield (inside / name).as_posix()
