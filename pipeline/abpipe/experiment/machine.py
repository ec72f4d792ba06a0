"""What is computed where, and how precisely."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

from abpipe.experiment.settings import Settings
from abpipe.training import Luab

#: ImageNet's mean and standard deviation, by which pictures of whole numbers are normalised.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def device_of(settings: Settings) -> torch.device:
    """The device that is asked for, or this process's GPU, or the CPU."""
    if settings.device:
        return torch.device(settings.device)
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return torch.device("cpu")


def wrapped(model: Luab, settings: Settings, device: torch.device) -> Any:
    """A model that is compiled, if asked for, and that shares gradients with other processes."""
    net = torch.compile(model) if settings.compile else model
    if not dist.is_initialized():
        return net
    ids = [device.index] if device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(net, device_ids=ids)


def cast(settings: Settings, device: torch.device) -> AbstractContextManager[Any]:
    """Where a network computes in mixed precision, if asked for."""
    if settings.precision == "fp32":
        return nullcontext()
    kind = torch.bfloat16 if settings.precision == "bf16" else torch.float16
    made: AbstractContextManager[Any] = torch.autocast(device.type, kind)
    return made


def prepared(pictures: Tensor, device: torch.device) -> Tensor:
    """Pictures as a network wants them: uint8 ones as normalised floats."""
    there = pictures.to(device, non_blocking=True)
    if pictures.dtype != torch.uint8:
        return there
    mean, deviation = (
        torch.tensor(values, device=device).view(3, 1, 1) * 255 for values in (MEAN, DEVIATION)
    )
    return (there - mean) / deviation


def moved(target: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Targets on a device."""
    return {name: value.to(device, non_blocking=True) for name, value in target.items()}
