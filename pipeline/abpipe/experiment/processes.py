"""The processes that train together, where torchrun started several."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch import distributed as dist


@contextmanager
def together() -> Iterator[None]:
    """Join the processes that torchrun started, if it did."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or dist.is_initialized():
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """Which of them this one is; 0 is the one that tells and writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def count() -> int:
    """How many they are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def over_all(sums: Tensor) -> list[float]:
    """Sums over all of them."""
    if dist.is_initialized():
        dist.all_reduce(sums)
    told: list[float] = sums.tolist()
    return told
