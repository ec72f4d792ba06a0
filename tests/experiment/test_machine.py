from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")

from abpipe.experiment import fit
from abpipe.experiment.machine import prepared

from .conftest import QUICK, made


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
