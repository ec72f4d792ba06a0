"""The steps of an optimizer, and what they come to."""

from __future__ import annotations

from collections.abc import Mapping
from math import cos, pi
from typing import Any

import torch
from torch import Tensor

from abpipe.experiment.machine import cast, moved, prepared
from abpipe.experiment.processes import over_all
from abpipe.experiment.settings import Settings
from abpipe.training import Luab, luab_loss


class Steps:
    """Takes steps with a model: the learning rate rises for a twentieth of them, then falls."""

    def __init__(self, model: Luab, settings: Settings, device: torch.device, total: int) -> None:
        self._settings, self._device, self._total = settings, device, total
        self.optimizer = _optimizer(model, settings)
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")

    def take(self, net: Any, batch: Any, step: int) -> dict[str, Tensor]:
        """The losses of a batch; the model learns from them."""
        settings = self._settings
        for group in self.optimizer.param_groups:
            group["lr"] = settings.lr * _share(step, self._total)
        pictures, target = prepared(batch[0], self._device), moved(batch[1], self._device)
        label = settings.label_of(target)
        with cast(settings, self._device):
            output = net(pictures, label)
        parts = luab_loss(
            output,
            target,
            label,
            points=settings.points,
            where=settings.where,
            weighted=settings.weighted,
        )
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(parts["loss"]).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return parts


class Sums:
    """Means of losses, without waiting for the device at each step."""

    def __init__(self) -> None:
        self._n, self._of = 0, dict[str, Tensor]()

    def add(self, parts: Mapping[str, Tensor], n: int) -> None:
        """Count the losses of n pictures in."""
        self._n += n
        for name, value in parts.items():
            self._of[name] = self._of.get(name, 0) + value.detach().double() * n

    def means(self, device: torch.device) -> dict[str, float]:
        """The means of all processes."""
        told = torch.stack([*self._of.values(), torch.tensor(float(self._n), device=device)])
        *sums, n = over_all(told.double())
        return {name: value / n for name, value in zip(self._of, sums, strict=True)}


def _optimizer(model: Luab, settings: Settings) -> Any:
    given: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    if settings.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), momentum=0.9, nesterov=True, **given)
    return torch.optim.AdamW(model.parameters(), **given)


def _share(step: int, total: int) -> float:
    """Of the learning rate: up for a twentieth of the steps, then down by a cosine."""
    rise = max(1, total // 20)
    if step < rise:
        return (step + 1) / rise
    return (1 + cos(pi * (step - rise) / max(1, total - rise))) / 2
