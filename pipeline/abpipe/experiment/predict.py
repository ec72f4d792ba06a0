"""What a model says of pictures, and how good that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from abpipe.experiment import processes
from abpipe.experiment.batches import loader
from abpipe.experiment.machine import cast, device_of, moved, prepared
from abpipe.experiment.settings import Settings
from abpipe.training import Luab, Output, accuracy


@dataclass(frozen=True)
class Predictions:
    """What a model says of the n pictures of a dataset, in its order."""

    predicted: npt.NDArray[np.int64]
    """The class of the highest logit [n]."""
    label: npt.NDArray[Any]
    click_distance: npt.NDArray[np.float64]
    """From the predicted point to the click, in fractions: a mean over classes [n], or NaN."""
    where: npt.NDArray[np.float32] | None
    """Maps [n, rows, columns], of the label's class."""
    target: dict[str, npt.NDArray[Any]]
    """The targets, as the cuts show them."""

    @property
    def accuracy(self) -> float:
        """See `abpipe.training.accuracy`."""
        return accuracy(self.predicted, self.label)


@torch.inference_mode()  # type: ignore[untyped-decorator]
def predict(
    model: Luab, data: Dataset, settings: Settings | None = None, *, at: range | None = None
) -> Predictions:
    """What a model says of a dataset, or of the pictures `at` some places in it."""
    settings = settings or Settings()
    device, places = device_of(settings), range(len(data)) if at is None else at
    size = settings.batch_size
    batches = [list(places[i : i + size]) for i in range(0, len(places), size)]
    if not batches:
        raise ValueError("no pictures to predict")
    model.to(device).eval()
    made: list[tuple[Any, ...]] = []
    for pictures, target in loader(data, batches, settings):
        there = moved(target, device)
        label = settings.label_of(there)
        with cast(settings, device):
            output: Output = model(prepared(pictures, device), label)
        where = None if output.where is None else output.where.float().cpu().numpy()
        predicted = output.logits.argmax(1).cpu().numpy()
        kept = {name: value.numpy() for name, value in target.items()}
        made.append((predicted, label.cpu().numpy(), _distance(output, there), where, kept))
    classes, labels, apart, maps, targets = zip(*made, strict=True)
    return Predictions(
        np.concatenate(classes),
        np.concatenate(labels),
        np.concatenate(apart),
        None if maps[0] is None else np.concatenate(maps),
        {name: np.concatenate([one[name] for one in targets]) for name in targets[0]},
    )


def tested(model: Luab, test: Dataset, settings: Settings) -> tuple[float, float]:
    """Accuracy and click distance, each process testing a share of the pictures."""
    mine = range(processes.rank(), len(test), processes.count())
    sums = np.zeros(4)
    if mine:
        found = predict(model, test, settings, at=mine)
        counts = found.label.any(1) if found.label.ndim == 2 else found.label >= 0
        apart = found.click_distance[~np.isnan(found.click_distance)]
        if counts.any():
            sums[:2] = found.accuracy * counts.sum(), counts.sum()
        sums[2:] = apart.sum(), len(apart)
    all_sums = torch.tensor(sums, device=device_of(settings))
    right, n, apart_sum, clicks = processes.over_all(all_sums)
    return right / n if n else nan, apart_sum / clicks if clicks else nan


def _distance(output: Output, target: Mapping[str, Tensor]) -> npt.NDArray[np.float64]:
    """From predicted points to clicks; a mean over classes, NaN without any."""
    n = len(output.logits)
    if output.points is None or "click_xy" not in target:
        return np.full(n, np.nan)
    apart = (output.points.double() - target["click_xy"].double()).norm(dim=-1).view(n, -1)
    valid = target["click_valid"].view(n, -1)
    total = torch.where(valid, apart, 0).sum(1) / valid.sum(1)  # 0 / 0 is NaN
    made: npt.NDArray[np.float64] = total.cpu().numpy()
    return made
