"""What the methods of a run share, and what each of them learns from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch.utils.data import Subset

from abpipe.errors import MissingPart, NoFeatures
from abpipe.experiment.control import RandomPoints
from abpipe.experiment.nets import network
from abpipe.experiment.settings import Settings
from abpipe.targets.reader import Rows, Targets
from abpipe.targets.split import parts
from abpipe.training import ByproductDataset, CenterCrop, Luab, RandomCrop, luab

Method: TypeAlias = Literal["baseline", "luab", "random", "dwell"]

#: The parts of targets without a split of their own.
SHARES = {"train": 0.8, "val": 0.2}


class Plan:
    """Pictures, classes, parts and settings, and what each method makes of them."""

    def __init__(
        self, targets: Targets, images: Any, size: int, scale: float, settings: Settings
    ) -> None:
        self.targets, self.settings = targets, settings
        self.many = "label" in targets.arrays
        self._images = images
        self._see: dict[str, Any] = {"train": RandomCrop(size, (scale, 1)), "val": CenterCrop(size)}
        self._rows = {part: _part(targets, part) for part in SHARES}
        index = targets["class_index"]
        self.classes = np.unique(index[self._rows["train"]][index[self._rows["train"]] >= 0])
        if not self.many and not len(self.classes):
            raise MissingPart(targets.folder, "no picture of theirs has a class", "--dataset")
        self.dropped = 0

    @property
    def outputs(self) -> int:
        """How many classes a network is to tell apart."""
        return self.targets["label"].shape[1] if self.many else len(self.classes)

    def of(self, method: Method, lambda_: float) -> Settings:
        """The settings of a method."""
        if method == "dwell" and "heatmap" not in self.targets.arrays:
            raise MissingPart(self.targets.folder, "they have no dwell maps", "--heatmap 14")
        points = lambda_ if method in ("luab", "random") else 0
        return replace(self.settings, points=points, where=lambda_ if method == "dwell" else 0)

    def model(self, name: str, method: Method) -> Luab:
        """A network with the heads of a method; where it can show no maps, without."""
        for where in (True, False):
            torch.manual_seed(self.settings.seed)
            net = network(name, self.outputs)
            points = (self.outputs if self.many else 1) if method in ("luab", "random") else 0
            try:
                return luab(net, points=points, where=where)
            except NoFeatures:
                if method == "dwell" or not where:
                    raise
        raise AssertionError

    def data(self, method: Method, part: str) -> Subset:
        """The pictures of a part with the targets of a method."""
        targets = self.targets
        if method == "random" and part == "train":
            targets = RandomPoints(targets.folder, seed=self.settings.seed)
        data = ByproductDataset(
            self._images,
            targets,
            see=self._see[part],
            unmatched="drop",
            classes=None if self.many else self.classes,
            seed=self.settings.seed,
        )
        self.dropped = data.dropped
        chosen = np.flatnonzero(np.isin(data.rows, self._rows[part]))
        if not len(chosen):
            raise MissingPart(targets.folder, f"no picture is in their part {part}", "--split")
        return Subset(data, chosen)


def _part(targets: Targets, name: str) -> Rows:
    split = targets.about["options"]["split"]
    if not split:
        number = parts(targets["image_ids"].tolist(), SHARES)
        return np.flatnonzero(number == list(SHARES).index(name))
    if name not in split:
        raise MissingPart(targets.folder, f"they have no part {name}", "--split train=0.8,val=0.2")
    return targets.part(name)
