"""Fixtures of tests/training, and a small run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")

from torch.utils.data import Subset

from abpipe.experiment import Settings, small_net
from abpipe.targets.reader import Targets
from abpipe.training import ByproductDataset, CenterCrop, RandomCrop, luab

from ..training import conftest as training  # noqa: TID252

# what the tests of training stand on
export, one_thread, samples = training.export, training.one_thread, training.samples
targets, pictures = training.targets, training.pictures

QUICK = Settings(epochs=3, batch_size=20, lr=3e-3, seed=5)


@pytest.fixture(scope="session")
def train(targets: Targets, pictures: Path) -> Any:
    classes = np.unique(targets["class_index"])
    see = RandomCrop(24, (0.5, 1))
    data = ByproductDataset(pictures, targets, see=see, classes=classes, seed=1)
    return Subset(data, range(0, 120, 2))


@pytest.fixture(scope="session")
def test(targets: Targets, pictures: Path) -> Any:
    classes = np.unique(targets["class_index"])
    data = ByproductDataset(pictures, targets, see=CenterCrop(24, 1), classes=classes)
    return Subset(data, range(1, 120, 4))


def made(seed: int = 0, **options: Any) -> Any:
    torch.manual_seed(seed)
    return luab(small_net(4, width=8), where=True, **options)


def same(one: Any, other: Any) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(name == name_2 and torch.equal(a, b) for (name, a), (name_2, b) in pairs)
