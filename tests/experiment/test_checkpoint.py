from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")

from abpipe.errors import EarlierRun, OtherRun
from abpipe.experiment import fit, small_net
from abpipe.training import plain

from .conftest import QUICK, made, same


def timeless(history: Any) -> list[str]:
    """A history but for its times, NaN and all."""
    return [repr(dataclasses.replace(epoch, seconds=0)) for epoch in history]


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
