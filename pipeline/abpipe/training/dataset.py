"""Pictures and their targets, joined by image id, cut alike.

data = ByproductDataset("pictures", "targets", see=RandomCrop(224))
for pictures, target in DataLoader(data, 256, collate_fn=collate, num_workers=8):
    ...  # uint8 [256, 3, 224, 224], and target["click_xy"] [256, 2] where the crops show it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset, default_collate

from abpipe.errors import NamelessPictures, UnknownNames, UnmatchedPictures
from abpipe.targets.crops import RandomCrop
from abpipe.targets.geometry import View, Views
from abpipe.targets.images import images_of
from abpipe.targets.reader import EXAMPLES, Array, Rows, Targets, open_targets

#: Cuts a picture, with a generator to draw from: the new picture, and its view.
See: TypeAlias = Callable[[Image.Image, np.random.Generator], tuple[Image.Image, View]]
Target: TypeAlias = dict[str, Array]
Unmatched: TypeAlias = Literal["raise", "keep", "drop"]

#: Extensions that WebDataset's samples have their picture under.
PICTURES = ("jpg", "jpeg", "png", "webp", "image")


def pixels(picture: Image.Image) -> torch.Tensor:
    """A picture as uint8 [3, height, width]: a quarter of what floats take on their way."""
    return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1).contiguous()


class WithByproducts:
    """Gives pictures their targets, cut alike. Mapped over WebDataset's samples, (picture, target):

        wds.WebDataset(shards).decode("pil").map(WithByproducts("targets", see=RandomCrop(224)))

    `targets` are an export or its folder, and a target is a dict of arrays, as `Targets` gives;
    WebDataset's key is the picture's name. `see` cuts a picture, and places, boxes and maps follow
    into the cut: `click_xy` and `box_xyxy` are fractions of it, NaN where `click_valid` and
    `box_valid` are false; a `heatmap` shows nothing where `heatmap_valid` is false. `transform`
    makes a tensor of the cut picture.

    `unmatched` says what becomes of pictures without targets: "raise", "drop" them, or "keep" them
    with nothing valid and class_index -1. Cuts are drawn from PyTorch's generator.
    """

    def __init__(
        self,
        targets: Targets | Path | str,
        *,
        see: See | None = None,
        transform: Callable[[Any], Any] = pixels,
        unmatched: Unmatched = "raise",
    ) -> None:
        self.targets = targets if isinstance(targets, Targets) else open_targets(targets)
        self._see = RandomCrop() if see is None else see
        self._transform, self._unmatched = transform, unmatched

    def __call__(self, sample: Mapping[str, Any]) -> tuple[Any, Target] | None:
        """A sample's picture and target; None, which WebDataset drops. Raises UnmatchedPictures."""
        found = next((name for name in PICTURES if name in sample), None)
        if found is None or "__key__" not in sample:
            raise NamelessPictures(type(sample).__name__)
        rows = _rows(self.targets, [sample["__key__"]], self._unmatched)
        if rows[0] < 0 and self._unmatched == "drop":
            return None
        (joined,) = self._joined([sample[found]], rows, [_generator()])
        return joined

    def _joined(
        self, pictures: Sequence[Any], rows: Rows, generators: Sequence[np.random.Generator]
    ) -> Samples:
        """Pictures and the targets in some rows, which are read and cut at once."""
        cuts = [self._see(*drawn) for drawn in zip(pictures, generators, strict=True)]
        target = Views([view for _, view in cuts]).targets(self.targets.take(rows))
        return Samples([self._transform(picture) for picture, _ in cuts], target)


class ByproductDataset(WithByproducts, Dataset):  # type: ignore[misc]
    """A map-style Dataset of (picture, target), see `WithByproducts`.

    `images` is a folder, an ImageFolder, a CocoDetection, a Hugging Face dataset, or any dataset of
    pictures whose names `ids` lists (see `images_of`). Each picture's target is found by its name,
    so order does not matter; a class that the images bring themselves is target["own_class"].

    `part` takes a part of the split only; `classes` are the class indices to be counted from 0 in
    class_index (others are -1). Given a `seed`, cuts follow from it, the epoch (`set_epoch` before
    each) and the picture alone, whoever reads it.

    Raises UnmatchedPictures, and what `images_of` and `open_targets` raise.
    """

    def __init__(
        self,
        images: Any,
        targets: Targets | Path | str,
        *,
        see: See | None = None,
        transform: Callable[[Any], Any] = pixels,
        ids: Sequence[Any] | str | None = None,
        unmatched: Unmatched = "raise",
        part: str | None = None,
        classes: Sequence[int] | Array | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(targets, see=see, transform=transform, unmatched=unmatched)
        names, self._read = images_of(images, ids)
        rows = _rows(self.targets, names, unmatched)
        if (rows < 0).all():
            _rows(self.targets, names, "raise")  # there is nothing to train on
        kept = rows >= 0 if unmatched == "drop" or part else np.ones(len(rows), bool)
        if part:
            kept &= np.isin(rows, self.targets.part(part))
        self._at, self.rows = np.flatnonzero(kept), rows[kept]
        self.dropped = len(rows) - len(self.rows)
        self._classes, self._seed = None if classes is None else [*classes], seed
        # shared, so that workers that persist hear of it, too
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return len(self.rows)

    def set_epoch(self, epoch: int) -> None:
        """Draw other cuts than in other epochs; it matters where there is a seed."""
        self._epoch.fill_(epoch)

    def __getitem__(self, i: int) -> tuple[Any, Target]:
        (sample,) = self.__getitems__([range(len(self))[i]])
        return sample

    def __getitems__(self, places: Sequence[int]) -> Samples:
        """Several samples, whose targets are read and cut at once."""
        at = self._at[places].tolist()
        pictures, own = zip(*map(self._read, at), strict=True)
        drawn = [_generator(self._seed, int(self._epoch), i) for i in at]
        samples = self._joined(pictures, self.rows[places], drawn)
        if None not in own:
            samples.target["own_class"] = np.array(own)
        if self._classes is not None:
            index = samples.target["class_index"]
            is_class = index[:, None] == self._classes
            samples.target["class_index"] = np.where(is_class.any(1), is_class.argmax(1), -1)
        return samples


class Samples(Sequence[tuple[Any, Target]]):
    """Samples of a batch: the pictures one by one, the targets as arrays of all of them."""

    def __init__(self, pictures: list[Any], target: Target) -> None:
        self.pictures, self.target = pictures, target

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, i: Any) -> Any:
        return self.pictures[i], {name: array[i] for name, array in self.target.items()}


def collate(samples: Sequence[Any]) -> Any:
    """For DataLoader(collate_fn=...): pictures and targets as tensors.

    It gives what PyTorch's own gives, but does not take targets apart and put them together again.
    """
    if not isinstance(samples, Samples):
        return default_collate(samples)
    target = {name: torch.from_numpy(array) for name, array in samples.target.items()}
    return default_collate(samples.pictures), target


def _generator(seed: int | None = None, *of: int) -> np.random.Generator:
    """A generator that follows from a seed and numbers, or from PyTorch's own."""
    return np.random.default_rng(int(torch.randint(1 << 62, ())) if seed is None else (seed, *of))


def _rows(targets: Targets, names: Sequence[Any], unmatched: Unmatched) -> Rows:
    """The row of each picture, -1 without one, if there may be such."""
    try:
        return targets.rows(names, missing=None if unmatched == "raise" else -1)
    except UnknownNames as err:
        known = targets["image_ids"][:EXAMPLES].astype(str).tolist()
        raise UnmatchedPictures(
            targets.folder, err.unknown, err.total, err.examples, known
        ) from None
