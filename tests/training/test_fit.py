from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")

from torch.utils.data import Subset, TensorDataset

from abpipe.errors import EarlierRun, OtherRun
from abpipe.targets.reader import Targets
from abpipe.training import (
    ByproductDataset,
    RandomCrop,
    Settings,
    Whole,
    fit,
    luab,
    plain,
    predict,
    small_net,
)
from abpipe.training.fit import prepared

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
    data = ByproductDataset(pictures, targets, see=Whole(24), classes=classes)
    return Subset(data, range(1, 120, 4))


def made(seed: int = 0, **options: Any) -> Any:
    torch.manual_seed(seed)
    return luab(small_net(4, width=8), where=True, **options)


def same(one: Any, other: Any) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(name == name_2 and torch.equal(a, b) for (name, a), (name_2, b) in pairs)


def timeless(history: Any) -> list[str]:
    """A history but for its times, NaN and all."""
    return [repr(dataclasses.replace(epoch, seconds=0)) for epoch in history]


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


def test_predictions_are_in_the_order_of_the_data(train: Any, test: Any) -> None:
    model = made()
    found = predict(model, test, Settings(batch_size=7))
    assert found.label.tolist() == [target["class_index"] for _, target in test]
    assert found.where is not None and found.where.shape == (30, 3, 3)
    picture, target = test[11]
    with torch.no_grad():
        label = torch.tensor([target["class_index"]])
        output = model(prepared(picture[None], torch.device("cpu")), label)
    assert output.logits.argmax() == found.predicted[11]
    assert np.allclose(found.where[11], output.where[0], atol=1e-5)
    apart = np.hypot(*(output.points[0].numpy() - target["click_xy"]))
    assert np.allclose(found.click_distance[11], apart, atol=1e-6, equal_nan=True)
    assert np.array_equal(found.target["click_xy"][11], target["click_xy"], equal_nan=True)
    part = predict(model, test, at=range(3, 30, 9))
    assert part.predicted.tolist() == found.predicted[3::9].tolist()


def test_the_same_seed_gives_the_same_model_and_another_another(train: Any) -> None:
    one, again, other = made(), made(), made()
    history = fit(one, train, None, QUICK)
    fit(again, train, None, QUICK)
    assert same(one, again)
    fit(other, train, None, dataclasses.replace(QUICK, seed=6))
    assert not same(one, other)
    assert math.isnan(history[-1].accuracy)


def test_a_run_that_was_interrupted_and_resumed_equals_one_that_was_not(
    train: Any, test: Any, tmp_path: Path
) -> None:
    whole, begun, resumed = made(), made(), made(seed=1)
    expected = fit(whole, train, test, QUICK, out=tmp_path / "whole")

    class Interrupted(Exception):
        pass

    def interrupt(_total: int, done: int, _: Any) -> None:
        if done == 4:  # in the middle of the second epoch
            raise Interrupted

    with pytest.raises(Interrupted):
        fit(begun, train, test, QUICK, out=tmp_path / "run", progress=interrupt)
    found = fit(resumed, train, test, QUICK, out=tmp_path / "run", resume=True)
    assert timeless(found) == timeless(expected)
    assert same(resumed, whole)
    state = torch.load(tmp_path / "run/last.pt", weights_only=True)
    net = small_net(4, width=8)
    net.load_state_dict(plain(state["model"]))
    x = torch.randn(2, 3, 24, 24)
    assert torch.equal(net(x), whole(x).logits)
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["last.pt"]


def test_a_run_is_neither_lost_nor_continued_as_another(train: Any, tmp_path: Path) -> None:
    settings = dataclasses.replace(QUICK, epochs=1)
    fit(made(), train, None, settings, out=tmp_path)
    before = (tmp_path / "last.pt").read_bytes()
    with pytest.raises(EarlierRun) as earlier:
        fit(made(), train, None, settings, out=tmp_path)
    assert earlier.value.folder == tmp_path
    assert str(earlier.value) == (
        f"{tmp_path} holds a run already. Continue it, `--resume`, or choose another folder"
    )
    other = dataclasses.replace(settings, lr=0.5, seed=6)
    with pytest.raises(OtherRun) as told:
        fit(made(), train, None, other, out=tmp_path, resume=True)
    assert told.value.was == ("lr 0.003", "seed 5") and told.value.now == ("lr 0.5", "seed 6")
    assert str(told.value) == (
        f"{tmp_path / 'last.pt'} was begun with lr 0.003, seed 5, not lr 0.5, seed 6. "
        "Continue it with the same, or choose another folder"
    )
    assert (tmp_path / "last.pt").read_bytes() == before
    more = dataclasses.replace(settings, workers=1)  # changes nothing that comes out
    assert len(fit(made(), train, None, more, out=tmp_path, resume=True)) == 1


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


def test_a_compiled_model_learns_the_same(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Any] = []
    compile = torch.compile  # noqa: A001

    def without_compiler(model: Any) -> Any:  # the graph is traced, and run as it is
        compiled.append(model)
        return compile(model, backend="aot_eager", fullgraph=True)

    monkeypatch.setattr(torch, "compile", without_compiler)
    one, other = made(), made()
    history = fit(one, train, None, dataclasses.replace(QUICK, compile=True))
    expected = fit(other, train, None, QUICK)
    assert compiled == [one]
    assert math.isclose(history[-1].loss, expected[-1].loss, rel_tol=1e-4)
    assert not any("_orig_mod" in name for name in one.state_dict())


def test_pictures_of_whole_numbers_are_normalised() -> None:
    white = torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)
    made = prepared(white, torch.device("cpu"))[0, :, 0, 0]
    expected = [(1 - m) / d for m, d in ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))]
    assert torch.allclose(made, torch.tensor(expected))
    floats = torch.rand(1, 3, 2, 2)
    assert torch.equal(prepared(floats, torch.device("cpu")), floats)
