"""Pictures of any dataset as they are stored, by the names that they are known by."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from abpipe.errors import EmptyFolder, NamelessPictures, TransformedPictures
from abpipe.image_ids import files_in

#: Columns of a Hugging Face dataset that may name its pictures.
NAMES = ("image_id", "file_name", "image_file", "__key__")

#: Of a place in a dataset, its picture, and its class there. The picture's mode is the file's, no
#: EXIF orientation is applied, and it may not be decoded yet.
Read: TypeAlias = Callable[[int], tuple[Image.Image, int | None]]


def images_of(images: Any, ids: Sequence[Any] | str | None = None) -> tuple[Sequence[Any], Read]:
    """The names of the pictures of a folder or a dataset, in its order, and what reads one of them.

    `ids` are the names (for Hugging Face: the column of them) where they cannot be told. Raises
    NamelessPictures where they have to be, TransformedPictures for a dataset that transforms
    pictures before targets can follow, EmptyFolder for a folder without any.
    """
    if isinstance(images, str | os.PathLike):
        return _folder(Path(images))
    if hasattr(images, "column_names") and hasattr(images, "cast_column"):
        return _table(images, ids)
    for name in ("transform", "transforms"):
        if ids is None and getattr(images, name, None) is not None:
            raise TransformedPictures(type(images).__name__)
    if ids is None and hasattr(images, "indices"):  # PyTorch's Subset
        names, _ = images_of(images.dataset)
        ids = [names[i] for i in images.indices]
    elif ids is None and hasattr(images, "samples"):  # torchvision's ImageFolder
        ids = [path for path, *_ in images.samples]
    elif ids is None and hasattr(images, "coco"):  # its CocoDetection
        ids = list(images.ids)
    if ids is None or not hasattr(images, "__getitem__"):
        raise NamelessPictures(type(images).__name__)
    return ids, partial(_from_dataset, images)


def _from_dataset(images: Any, i: int) -> tuple[Image.Image, int | None]:
    """Of a dataset that gives a picture, or a tuple that begins with one, and perhaps a class."""
    picture, *others = item if isinstance(item := images[i], tuple) else (item,)
    return picture, others[0] if others and isinstance(others[0], int) else None


def _folder(folder: Path) -> tuple[Sequence[str], Read]:
    """The pictures in a folder and those in it, in the order of their paths."""
    names = sorted(files_in(folder))
    if not names:
        raise EmptyFolder(folder)
    # as bytes of one array: a list of a million strings is copied into every worker
    return names, partial(_from_folder, folder, np.array([name.encode() for name in names]))


def _from_folder(folder: Path, names: Any, i: int) -> tuple[Image.Image, None]:
    return _opened((folder / names[i].decode()).read_bytes()), None


def _table(images: Any, column: Any) -> tuple[Sequence[str], Read]:
    """A Hugging Face dataset: its first column of pictures, and the class column `label`."""
    if images.format["type"] == "custom":
        raise TransformedPictures(type(images).__name__)
    column = column or next((name for name in NAMES if name in images.column_names), None)
    pictures = [name for name, kind in images.features.items() if hasattr(kind, "decode")]
    if column not in images.column_names or not pictures:
        raise NamelessPictures(type(images).__name__)
    # decoded here: the library would turn pictures as EXIF says, and targets would not follow
    kind = type(images.features[pictures[0]])(decode=False)
    stored = images.with_format(None).cast_column(pictures[0], kind)
    return stored[column], partial(_from_table, stored, pictures[0])


def _from_table(images: Any, column: str, i: int) -> tuple[Image.Image, int | None]:
    row = images[i]
    content = row[column]["bytes"] or Path(row[column]["path"]).read_bytes()
    return _opened(content), row.get("label")


def _opened(content: bytes) -> Image.Image:
    """A picture that is decoded when it is known how large it has to be."""
    return Image.open(io.BytesIO(content))
