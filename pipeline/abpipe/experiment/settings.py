"""What a run is told, and what an epoch of it came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor


@dataclass(frozen=True)
class Settings:
    """How to train. `batch_size` is that of all processes together.

    The loss is class + points * point loss + where * map loss, see `luab_loss`; `label` is what is
    learnt, class_index or own_class or label, unless told the label of COCO where there is one. The
    learning rate rises for the first twentieth of the steps and falls by a cosine. `precision` is
    fp32, bf16 or fp16, by autocast.
    """

    epochs: int = 10
    batch_size: int = 64
    lr: float = 1e-3
    weight_decay: float = 0.05
    optimizer: Literal["adamw", "sgd"] = "adamw"
    points: float = 1.0
    where: float = 0.0
    weighted: bool = False
    label: str | None = None
    seed: int = 0
    workers: int = 0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: bool = False
    device: str | None = None

    def label_of(self, target: Mapping[str, Tensor]) -> Tensor:
        """What is to be learnt, among the targets of a batch."""
        return target[self.label or ("label" if "label" in target else "class_index")]


#: Settings that change how a run goes, but not what comes out.
OUTWARD = ("workers", "device", "compile")


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to: means over its pictures; NaN for what was not measured."""

    epoch: int
    loss: float
    class_loss: float
    point_loss: float
    where_loss: float
    accuracy: float
    """On the data that it is tested on, and so is:"""
    click_distance: float
    seconds: float
