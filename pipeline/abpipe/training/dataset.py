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

from abpipe.errors import NamelessPictures, UnmatchedPictures
from abpipe.targets.geometry import View, Views
from abpipe.targets.reader import EXAMPLES, Array, Rows, Targets, open_targets
from abpipe.training.crops import RandomCrop
from abpipe.training.images import Read, images_of

#: Cuts a picture, with a generator to draw from: the new picture, and its view.
See: TypeAlias = Callable[[Image.Image, np.random.Generator], tuple[Image.Image, View]]
Target: TypeAlias = dict[str, Array]
Unmatched: TypeAlias = Literal["raise", "keep", "drop"]

#: Extensions that WebDataset's samples have their picture under.
PICTURES = ("jpg", "jpeg", "png", "webp", "image")


def pixels(picture: Image.Image) -> torch.Tensor:
    """A picture as uint8 [3, height, width]: a quarter of what floats take on their way."""
    return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1).contiguous()


class ByproductDataset(Dataset):  # type: ignore[misc]
    """A map-style Dataset of (picture, target); a target is a dict of arrays, as `Targets` gives.

    `images` is a folder, an ImageFolder, a CocoDetection, a Hugging Face dataset, a Subset of
    these, or any dataset of pictures whose names `ids` lists (see `images_of`); `targets` an export
    or its folder. Each picture's target is found by its name, so order does not matter. `see` cuts
    a picture, and places, boxes and maps follow into the cut: `click_xy` and `box_xyxy` are
    fractions of it, NaN where `click_valid` and `box_valid` are false; a `heatmap` shows nothing
    where `heatmap_valid` is false. `transform` makes a tensor of the cut picture.

    `unmatched` says what becomes of pictures without targets: "raise", "drop" them, or "keep" them
    with nothing valid and class_index -1. `part` takes a part of the split only; `classes` are the
    class indices to be counted from 0 in class_index (others are -1). Where the images bring a
    class of their own, it is target["own_class"].

    Cuts are drawn from PyTorch's generator, so that workers differ; or, given a `seed`, they follow
    from it, the epoch (`set_epoch` before each) and the picture alone.

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
        self.images = images_of(images, ids)
        self.targets = targets if isinstance(targets, Targets) else open_targets(targets)
        rows = _rows(self.targets, self.images.names, unmatched)
        kept = rows >= 0 if unmatched == "drop" or part else np.ones(len(rows), bool)
        if part:
            kept &= np.isin(rows, self.targets.part(part))
        self._at, self.rows = np.flatnonzero(kept), rows[kept]
        self._see = RandomCrop() if see is None else see
        self._transform, self._seed = transform, seed
        self._classes = None if classes is None else np.asarray(classes)
        # shared, so that workers that persist hear of it, too
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return len(self.rows)

    def set_epoch(self, epoch: int) -> None:
        """Draw other cuts than in other epochs; it matters where there is a seed."""
        self._epoch.fill_(epoch)

    def __getitem__(self, i: int) -> tuple[Any, Target]:
        sample: tuple[Any, Target] = self.__getitems__([range(len(self))[i]])[0]
        return sample

    def __getitems__(self, at: Sequence[int]) -> Samples:
        """Several samples, whose targets are read and cut at once."""
        read = self.images.read(self._at[at].tolist())
        cuts = [self._see(one.picture, self._rng(i)) for one, i in zip(read, at, strict=True)]
        target = _of(self.targets, self.rows[at])
        target = _follow(target, Views([view for _, view in cuts])) | _own(read)
        if self._classes is not None:
            target["class_index"] = _among(target["class_index"], self._classes)
        return Samples([self._transform(picture) for picture, _ in cuts], target)

    def _rng(self, i: int) -> np.random.Generator:
        if self._seed is None:
            return np.random.default_rng(int(torch.randint(1 << 62, ())))
        return np.random.default_rng((self._seed, int(self._epoch), int(self._at[i])))


class WithByproducts:
    """The same for a stream, to be mapped over it: WebDataset's samples become (picture, target).

        wds.WebDataset(shards).decode("pil").map(WithByproducts("targets", see=RandomCrop(224)))

    The key is the name. A sample without targets is dropped, which WebDataset does with None, or as
    `unmatched` says. Cuts are drawn from PyTorch's generator.
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
        """The sample's picture, cut, and its target. Raises UnmatchedPictures."""
        found = next((name for name in PICTURES if name in sample), None)
        if found is None or "__key__" not in sample:
            raise NamelessPictures(type(sample).__name__)
        rows = self.targets.rows([sample["__key__"]], missing=-1)
        if rows[0] < 0 and self._unmatched == "drop":
            return None
        if rows[0] < 0 and self._unmatched == "raise":
            raise _unmatched(self.targets, 1, [sample["__key__"]])
        rng = np.random.default_rng(int(torch.randint(1 << 62, ())))
        picture, view = self._see(sample[found], rng)
        target = _follow(_of(self.targets, rows), Views([view]))
        return self._transform(picture), {name: array[0] for name, array in target.items()}


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


def _rows(targets: Targets, names: Sequence[Any], unmatched: Unmatched) -> Rows:
    """The row of each picture, -1 without one."""
    rows = targets.rows(names, missing=-1)
    lost = np.flatnonzero(rows < 0)
    if len(lost) and (unmatched == "raise" or len(lost) == len(rows)):
        raise _unmatched(targets, len(rows), [names[i] for i in lost[:EXAMPLES]], len(lost))
    return rows


def _unmatched(
    targets: Targets, total: int, examples: Sequence[Any], lost: int = 1
) -> UnmatchedPictures:
    known = [name.decode() for name in targets["image_ids"][:EXAMPLES]]
    return UnmatchedPictures(targets.folder, lost, total, map(str, examples), known)


def _of(targets: Targets, rows: Rows) -> Target:
    """The targets in some rows; nothing is valid in row -1."""
    target: Target = targets.__getitems__(rows)
    lost = rows < 0
    if lost.any():
        for array in target.values():
            array[lost] = {"f": np.nan, "b": False}.get(array.dtype.kind, -1)
    return target


def _follow(target: Target, views: Views) -> Target:
    """Places, boxes and maps as views show them; what has no place stays."""
    made = dict(target)
    if "click_xy" in made:
        made["click_xy"], made["click_valid"] = views.points(
            made["click_xy"], made.get("click_valid")
        )
    if "box_xyxy" in made:
        made["box_xyxy"], made["box_valid"] = views.boxes(made["box_xyxy"])
    if "heatmap" in made:
        made["heatmap"] = views.maps(made["heatmap"])
        made["heatmap_valid"] = np.nan_to_num(made["heatmap"]).max((1, 2)) > 0
    return made


def _own(read: Sequence[Read]) -> Target:
    if any(one.own_class is None for one in read):
        return {}
    return {"own_class": np.array([one.own_class for one in read])}


def _among(index: Array, classes: Array) -> Array:
    """Class indices as places among some classes, -1 if not there."""
    order = np.argsort(classes)
    at = order[np.minimum(np.searchsorted(classes, index, sorter=order), len(classes) - 1)]
    return np.where(classes[at] == index, at, -1)
