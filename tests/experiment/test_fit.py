from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")

from torch.utils.data import TensorDataset

from abpipe.experiment import Settings, fit, predict, small_net
from abpipe.training import luab

from .conftest import QUICK, made, same


def test_it_learns_classes_points_and_maps(train: Any, test: Any) -> None:
    model = made()
    settings = dataclasses.replace(QUICK, epochs=14, where=0.3)
    history = fit(model, train, test, settings)
    first, last = history[0], history[-1]
    assert [epoch.epoch for epoch in history] == list(range(1, 15))
    assert last.class_loss < 0.75 * first.class_loss
    assert last.point_loss < first.point_loss and last.where_loss < first.where_loss
    assert math.isclose(
        last.loss, last.class_loss + last.point_loss + 0.3 * last.where_loss, rel_tol=1e-5
    )
    found = predict(model, test)
    assert found.accuracy == last.accuracy > 0.5  # of four classes
    assert math.isclose(np.nanmean(found.click_distance), last.click_distance, rel_tol=1e-9)


def test_the_same_seed_gives_the_same_model_and_another_another(train: Any) -> None:
    one, again, other = made(), made(), made()
    history = fit(one, train, None, QUICK)
    fit(again, train, None, QUICK)
    assert same(one, again)
    fit(other, train, None, dataclasses.replace(QUICK, seed=6))
    assert not same(one, other)
    assert math.isnan(history[-1].accuracy)


def test_a_lambda_of_nothing_is_training_without_points(train: Any) -> None:
    with_head, without = made(), made()
    fit(with_head, train, None, dataclasses.replace(QUICK, points=0))
    fit(without, train, None, dataclasses.replace(QUICK, points=0))
    other = made(points=0)
    fit(other, train, None, QUICK)
    assert same(with_head.model, other.model)


def test_a_dataset_of_ones_own_will_do() -> None:
    torch.manual_seed(0)
    pictures, label = torch.rand(40, 3, 16, 16), torch.arange(40) % 2
    pictures[label == 1] *= 0.2

    class Own(TensorDataset):  # type: ignore[misc]
        def __getitem__(self, i: int) -> Any:
            picture, index = super().__getitem__(i)
            return picture, {"mine": index}

    data = Own(pictures, label)
    model = luab(small_net(2, width=8), points=0)
    settings = Settings(epochs=8, batch_size=20, lr=1e-2, label="mine")
    assert fit(model, data, data, settings)[-1].accuracy > 0.9


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_optimizers_and_precisions(train: Any, optimizer: Any, precision: Any) -> None:
    model = made()
    settings = dataclasses.replace(QUICK, epochs=5, optimizer=optimizer, precision=precision)
    history = fit(model, train, train, settings)
    assert history[-1].loss < history[0].loss
    assert all(value.dtype == torch.float32 for value in model.state_dict().values())
