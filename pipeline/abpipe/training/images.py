"""Pictures of any map-style dataset, as they are stored, each with the name it is known by."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from PIL import Image

from abpipe.errors import EmptyFolder, NamelessPictures, TransformedPictures
from abpipe.image_ids import EXTENSIONS

#: Columns of a Hugging Face dataset that may name its pictures.
NAMES = ("image_id", "file_name", "image_file", "__key__")


class Read(NamedTuple):
    """A picture as it is stored (no EXIF orientation applied), and its class in its own dataset.

    Its mode is the file's, and it may not be decoded yet.
    """

    picture: Image.Image
    own_class: int | None = None


class Images(Protocol):
    """Pictures that can be read by position, several at once."""

    @property
    def names(self) -> Sequence[Any]:
        """What each is called: a file, a path, an image id."""

    def read(self, at: Sequence[int]) -> list[Read]:
        """The pictures at some positions."""


def images_of(images: Any, ids: Sequence[Any] | str | None = None) -> Images:
    """The pictures of a folder, or of a dataset of torchvision, Hugging Face or your own.

    `ids` names each picture of a dataset (for Hugging Face: the column that does) where it cannot
    be told. Raises NamelessPictures where it has to, TransformedPictures for a dataset that
    transforms pictures before targets can follow, EmptyFolder for a folder without any.
    """
    if isinstance(images, str | os.PathLike):
        return _Folder(Path(images))
    if hasattr(images, "column_names") and hasattr(images, "cast_column"):
        return _Table(images, ids if isinstance(ids, str) else None)
    names = _names(images) if ids is None else ids
    if not hasattr(images, "__getitem__") or names is None:
        raise NamelessPictures(type(images).__name__)
    return _Listed(images, names)


def _names(images: Any) -> Sequence[Any] | None:
    """The names of a dataset's pictures, by the attributes that PyTorch's datasets have."""
    if hasattr(images, "indices") and hasattr(images, "dataset"):  # a Subset
        names = _names(images.dataset)
        return None if names is None else [names[i] for i in images.indices]
    _look_for_transforms(images)
    if hasattr(images, "samples"):  # ImageFolder
        return [path for path, *_ in images.samples]
    if hasattr(images, "coco") and hasattr(images, "ids"):  # CocoDetection
        return list(images.ids)
    return None


def _look_for_transforms(images: Any) -> None:
    told = (getattr(images, name, None) for name in ("transform", "transforms"))
    if any(one is not None for one in told):
        raise TransformedPictures(type(images).__name__)


class _Folder:
    """The pictures in a folder and those in it, in the order of their paths."""

    def __init__(self, folder: Path) -> None:
        found = [
            Path(place, name).relative_to(folder).as_posix()
            for place, _, names in os.walk(folder)
            for name in names
            if name.rpartition(".")[2].lower() in EXTENSIONS
        ]
        if not found:
            raise EmptyFolder(folder)
        # as bytes of one array: a list of a million strings is copied into every worker
        self._folder, self._files = folder, np.array(sorted(name.encode() for name in found))

    @property
    def names(self) -> list[str]:
        return [name.decode() for name in self._files.tolist()]

    def read(self, at: Sequence[int]) -> list[Read]:
        return [Read(_opened((self._folder / self._files[i].decode()).read_bytes())) for i in at]


class _Listed:
    """A dataset that gives a picture, or a tuple that begins with one, for each position."""

    def __init__(self, images: Any, names: Sequence[Any]) -> None:
        self._images, self.names = images, names

    def read(self, at: Sequence[int]) -> list[Read]:
        return [self._one(self._images[i]) for i in at]

    @staticmethod
    def _one(item: Any) -> Read:
        if not isinstance(item, tuple):
            return Read(item)
        own = item[1] if len(item) > 1 and isinstance(item[1], int) else None
        return Read(item[0], own)


class _Table:
    """A Hugging Face dataset: its first column of pictures, and the class column `label`."""

    def __init__(self, images: Any, column: str | None) -> None:
        if images.format["type"] == "custom":
            raise TransformedPictures(type(images).__name__)
        column = column or next((name for name in NAMES if name in images.column_names), None)
        pictures = (name for name, kind in images.features.items() if hasattr(kind, "decode"))
        self._column = next(pictures, None)
        if column not in images.column_names or self._column is None:
            raise NamelessPictures(type(images).__name__)
        self.names = images.with_format(None)[column]
        self._label = "label" if "label" in images.column_names else None
        # decoded here: the library would turn pictures as EXIF says, and targets would not follow
        kind = type(images.features[self._column])(decode=False)
        self._images = images.with_format(None).cast_column(self._column, kind)

    def read(self, at: Sequence[int]) -> list[Read]:
        rows = self._images[list(at)]
        own = rows[self._label] if self._label else [None] * len(at)
        return [
            Read(_opened(one["bytes"] or Path(one["path"]).read_bytes()), label)
            for one, label in zip(rows[self._column], own, strict=True)
        ]


def _opened(content: bytes) -> Image.Image:
    """A picture that is decoded when it is known how large it has to be."""
    return Image.open(io.BytesIO(content))
