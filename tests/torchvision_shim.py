"""torchvision beside a PyTorch that its wheel was not built with: for tests only."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

_defined: list[Any] = []


def load(*names: str) -> tuple[Any, ...]:
    """torchvision's modules, or those of what stands on it; skips the tests of a module without."""
    torch = pytest.importorskip("torch", reason="torch is an extra")
    try:
        import_module("torchvision")
    except ModuleNotFoundError:
        pytest.skip("torchvision is not installed", allow_module_level=True)
    except RuntimeError:  # its wheel wants another build of torch's, for two operators
        for operator in ("nms", "qnms"):
            _defined.append(torch.library.Library("torchvision", "FRAGMENT"))
            _defined[-1].define(
                f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            )
    return tuple(pytest.importorskip(name, reason=f"{name} is not installed") for name in names)
