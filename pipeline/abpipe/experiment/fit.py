"""The loop: a model with heads is trained on pictures and their targets.

    torch.manual_seed(0)
    model = luab(small_net(10))
    history = fit(model, train, test, Settings(epochs=10, seed=0))
    judged = predict(model, test)

Given the seed, what comes out follows from it on one kind of machine: each epoch draws its order
and its cuts anew from the seed and its number, so that a resumed run equals one that never stopped.
Under torchrun, processes share each batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import nan
from pathlib import Path
from typing import TypeAlias

import torch
from torch.utils.data import Dataset

from abpipe.experiment.batches import Batches, loader, set_epoch
from abpipe.experiment.checkpoint import Checkpoint
from abpipe.experiment.machine import device_of, wrapped
from abpipe.experiment.predict import tested
from abpipe.experiment.settings import Epoch, Settings
from abpipe.experiment.steps import Steps, Sums
from abpipe.training import Luab

#: Told of the steps of the run, how many are done, and, at the end of an epoch, what it came to.
Progress: TypeAlias = Callable[[int, int, Epoch | None], None]


def fit(
    model: Luab,
    train: Dataset,
    test: Dataset | None,
    settings: Settings,
    *,
    out: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> list[Epoch]:
    """Train a model in place, and test it after each epoch; what each epoch came to.

    Datasets give (picture, target), as ByproductDataset does: uint8 pictures are normalised. With
    a folder `out`, each epoch ends with a checkpoint in it, and `resume` continues from there, if
    one is there. Raises EarlierRun for one that is not to be continued, OtherRun for one of other
    settings.
    """
    device = device_of(settings)
    model.to(device)
    batches = Batches(len(train), settings)
    total = settings.epochs * len(batches)
    steps = Steps(model, settings, device, total)
    saved = Checkpoint(out, model, steps.optimizer, steps.scaler, settings)
    history = saved.load(resume)
    read, net = loader(train, batches, settings), wrapped(model, settings, device)
    for epoch in range(len(history), settings.epochs):
        begin, sums = time.perf_counter(), Sums()
        set_epoch(train, epoch)
        batches.epoch = epoch
        torch.manual_seed(settings.seed * 1_000_003 + epoch)  # dropout and the like
        model.train()
        for step, batch in enumerate(read, epoch * len(batches)):
            sums.add(steps.take(net, batch, step), len(batch[0]))
            if progress:
                progress(total, step + 1, None)
        means = sums.means(device)
        judged = tested(model, test, settings) if test is not None else (nan, nan)
        history.append(
            Epoch(
                epoch + 1,
                means["loss"],
                means["class"],
                means.get("points", nan),
                means.get("where", nan),
                *judged,
                seconds=time.perf_counter() - begin,
            )
        )
        saved.save(history)
        if progress:
            progress(total, total * (epoch + 1) // settings.epochs, history[-1])
    return history
