"""The pictures of each step, which follow from the seed, the epoch and the process alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

from abpipe.experiment import processes
from abpipe.experiment.machine import device_of
from abpipe.experiment.settings import Settings
from abpipe.training import collate


class Batches:
    """The places of each step of an epoch: this process's share of each batch.

    The last batch is left out if it is not full, unless it is the only one.
    """

    def __init__(self, n: int, settings: Settings) -> None:
        self._n, self._settings, self.epoch = n, settings, 0
        self._size = min(settings.batch_size, n)

    def __len__(self) -> int:
        return self._n // self._size

    def __iter__(self) -> Iterator[list[int]]:
        order = np.random.default_rng((self._settings.seed, self.epoch)).permutation(self._n)
        mine, others = processes.rank(), processes.count()
        for begin in range(0, len(self) * self._size, self._size):
            yield order[begin : begin + self._size][mine::others].tolist()


def loader(data: Dataset, batches: Any, settings: Settings) -> DataLoader:
    """Reads the pictures at the places of each batch."""
    return DataLoader(
        data,
        batch_sampler=batches,
        num_workers=settings.workers,
        collate_fn=collate,
        pin_memory=device_of(settings).type == "cuda",
        persistent_workers=settings.workers > 0,
    )


def set_epoch(data: Any, epoch: int) -> None:
    """Tell the dataset, also one that Subsets are of."""
    while not hasattr(data, "set_epoch") and hasattr(data, "dataset"):
        data = data.dataset
    if hasattr(data, "set_epoch"):
        data.set_epoch(epoch)
