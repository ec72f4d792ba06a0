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

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from math import cos, nan, pi
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.utils.data import DataLoader, Dataset

from abpipe.errors import EarlierRun, OtherRun
from abpipe.training.dataset import collate
from abpipe.training.evaluation import accuracy
from abpipe.training.losses import luab_loss
from abpipe.training.luab import Luab, Output

CHECKPOINT = "last.pt"

#: ImageNet's mean and standard deviation, by which pictures of whole numbers are normalised.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

#: Told of the steps of the run, how many are done, and, at the end of an epoch, what it came to.
Progress: TypeAlias = Callable[[int, int, "Epoch | None"], None]

#: Settings that change how a run goes, but not what comes out.
_OUTWARD = ("workers", "device", "compile")


@dataclass(frozen=True)
class Settings:
    """How to train. `batch_size` is that of all processes together.

    The loss is class + points * point loss + where * map loss, see `luab_loss`; `label` is what is
    learnt, class_index or own_class or label, unless told the label of COCO where there is one. The
    learning rate rises for the first twentieth of the steps and falls by a cosine. `precision` is
    fp32, bf16 or fp16, by autocast.
    """

    epochs: int = 10
    batch_size: int = 64
    lr: float = 1e-3
    weight_decay: float = 0.05
    optimizer: Literal["adamw", "sgd"] = "adamw"
    points: float = 1.0
    where: float = 0.0
    weighted: bool = False
    label: str | None = None
    seed: int = 0
    workers: int = 0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: bool = False
    device: str | None = None


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to: means over its pictures; NaN for what was not measured."""

    epoch: int
    loss: float
    class_loss: float
    point_loss: float
    where_loss: float
    accuracy: float
    """On the data that it is tested on, and so is:"""
    click_distance: float
    seconds: float


@dataclass(frozen=True)
class Predictions:
    """What a model says of the n pictures of a dataset, in its order."""

    predicted: npt.NDArray[np.int64]
    """The class of the highest logit [n]."""
    label: npt.NDArray[Any]
    click_distance: npt.NDArray[np.float64]
    """From the predicted point to the click, in fractions: a mean over classes [n], or NaN."""
    where: npt.NDArray[np.float32] | None
    """Maps [n, rows, columns], of the label's class."""
    target: dict[str, npt.NDArray[Any]]
    """The targets, as the cuts show them."""

    @property
    def accuracy(self) -> float:
        """See `evaluation.accuracy`."""
        return accuracy(self.predicted, self.label)


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
    device = _device(settings)
    model.to(device)
    optimizer = _optimizer(model, settings)
    scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")
    saved = _Checkpoint(out, model, optimizer, scaler, settings)
    history = saved.load(resume)
    batches = _Batches(len(train), settings)
    loader = _loader(train, batches, settings)
    net = _wrapped(model, settings, device)
    total = settings.epochs * len(batches)
    for epoch in range(len(history), settings.epochs):
        begin, sums = time.perf_counter(), _Sums()
        _set_epoch(train, epoch)
        batches.epoch = epoch
        torch.manual_seed(settings.seed * 1_000_003 + epoch)  # dropout and the like
        model.train()
        for step, (pictures, target) in enumerate(loader, epoch * len(batches)):
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * _share(step, total)
            pictures, target = prepared(pictures, device), _moved(target, device)
            label = label_of(target, settings)
            with _cast(settings, device):
                output = net(pictures, label)
            parts = luab_loss(
                output,
                target,
                label,
                points=settings.points,
                where=settings.where,
                weighted=settings.weighted,
            )
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(parts["loss"]).backward()
            scaler.step(optimizer)
            scaler.update()
            sums.add(parts, len(pictures))
            if progress:
                progress(total, step + 1, None)
        means = sums.means(device)
        tested = _tested(model, test, settings) if test is not None else (nan, nan)
        history.append(
            Epoch(
                epoch + 1,
                means["loss"],
                means["class"],
                means.get("points", nan),
                means.get("where", nan),
                *tested,
                seconds=time.perf_counter() - begin,
            )
        )
        saved.save(history)
        if progress:
            progress(total, total * (epoch + 1) // settings.epochs, history[-1])
    return history


@torch.inference_mode()  # type: ignore[untyped-decorator]
def predict(
    model: Luab, data: Dataset, settings: Settings | None = None, *, at: range | None = None
) -> Predictions:
    """What a model says of a dataset, or of the pictures `at` some places in it."""
    settings = settings or Settings()
    device, whole = _device(settings), range(len(data))
    places = whole if at is None else at
    size = settings.batch_size
    batches = [list(places[i : i + size]) for i in range(0, len(places), size)]
    model.to(device).eval()
    made: list[tuple[Any, ...]] = []
    for pictures, target in _loader(data, batches, settings):
        moved = _moved(target, device)
        label = label_of(moved, settings)
        with _cast(settings, device):
            output: Output = model(prepared(pictures, device), label)
        apart = _distance(output, moved)
        where = None if output.where is None else output.where.float().cpu().numpy()
        predicted = output.logits.argmax(1).cpu().numpy()
        kept = {name: value.numpy() for name, value in target.items()}
        made.append((predicted, label.cpu().numpy(), apart, where, kept))
    if not made:
        raise ValueError("no pictures to predict")
    classes, labels, apart_all, maps, targets = zip(*made, strict=True)
    return Predictions(
        np.concatenate(classes),
        np.concatenate(labels),
        np.concatenate(apart_all),
        None if maps[0] is None else np.concatenate(maps),
        {name: np.concatenate([one[name] for one in targets]) for name in targets[0]},
    )


def prepared(pictures: Tensor, device: torch.device) -> Tensor:
    """Pictures as a network wants them: uint8 ones as normalised floats."""
    moved = pictures.to(device, non_blocking=True)
    if pictures.dtype != torch.uint8:
        return moved
    mean, deviation = (
        torch.tensor(values, device=device).view(3, 1, 1) * 255 for values in (MEAN, DEVIATION)
    )
    return (moved - mean) / deviation


def label_of(target: Mapping[str, Tensor], settings: Settings) -> Tensor:
    """What is to be learnt: see Settings."""
    return target[settings.label or ("label" if "label" in target else "class_index")]


def rank() -> int:
    """Which process of those that train together this is."""
    return dist.get_rank() if dist.is_initialized() else 0


def _processes() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


class _Batches:
    """The pictures of each step of an epoch: this process's share of each batch.

    The last batch is left out if it is not full, unless it is the only one.
    """

    def __init__(self, n: int, settings: Settings) -> None:
        self._n, self._settings, self.epoch = n, settings, 0
        self._size = min(settings.batch_size, n)

    def __len__(self) -> int:
        return self._n // self._size

    def __iter__(self) -> Iterator[list[int]]:
        order = np.random.default_rng((self._settings.seed, self.epoch)).permutation(self._n)
        mine, others = rank(), _processes()
        for begin in range(0, len(self) * self._size, self._size):
            yield order[begin : begin + self._size][mine::others].tolist()


class _Checkpoint:
    """The state of a run after its last whole epoch, in a file."""

    def __init__(
        self, out: Path | None, model: Luab, optimizer: Any, scaler: Any, settings: Settings
    ) -> None:
        self._file = None if out is None else out / CHECKPOINT
        self._parts = {"model": model, "optimizer": optimizer, "scaler": scaler}
        self._settings = {k: v for k, v in asdict(settings).items() if k not in _OUTWARD}

    def load(self, resume: bool) -> list[Epoch]:
        """Restore what was saved; the epochs that were done."""
        if self._file is None or not self._file.exists():
            return []
        if not resume:
            raise EarlierRun(self._file.parent)
        state = torch.load(self._file, map_location="cpu", weights_only=True)
        was = {name: state["settings"].get(name) for name in self._settings}
        changed = [name for name, value in self._settings.items() if was[name] != value]
        if changed:
            raise OtherRun(
                self._file,
                [f"{name} {was[name]}" for name in changed],
                [f"{name} {self._settings[name]}" for name in changed],
            )
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        return [Epoch(**epoch) for epoch in state["history"]]

    def save(self, history: list[Epoch]) -> None:
        """Replace the file in one step."""
        if self._file is None or rank():
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        state = {name: part.state_dict() for name, part in self._parts.items()}
        told = {"settings": self._settings, "history": [asdict(epoch) for epoch in history]}
        made = self._file.with_suffix(".tmp")
        torch.save(state | told, made)
        made.replace(self._file)


class _Sums:
    """Means of losses, without waiting for the device at each step."""

    def __init__(self) -> None:
        self._n, self._of = 0, dict[str, Tensor]()

    def add(self, parts: Mapping[str, Tensor], n: int) -> None:
        self._n += n
        for name, value in parts.items():
            self._of[name] = self._of.get(name, 0) + value.detach().double() * n

    def means(self, device: torch.device) -> dict[str, float]:
        """The means of all processes."""
        told = torch.stack([*self._of.values(), torch.tensor(float(self._n), device=device)])
        *sums, n = _over_all(told.double())
        return {name: value / n for name, value in zip(self._of, sums, strict=True)}


def _tested(model: Luab, test: Dataset, settings: Settings) -> tuple[float, float]:
    """Accuracy and click distance, each process testing a share of the pictures."""
    mine = range(rank(), len(test), _processes())
    sums = np.zeros(4)
    if mine:
        found = predict(model, test, settings, at=mine)
        counts = found.label.any(1) if found.label.ndim == 2 else found.label >= 0
        apart = found.click_distance[~np.isnan(found.click_distance)]
        if counts.any():
            sums[:2] = found.accuracy * counts.sum(), counts.sum()
        sums[2:] = apart.sum(), len(apart)
    right, n, apart_sum, clicks = _over_all(torch.tensor(sums, device=_device(settings)))
    return right / n if n else nan, apart_sum / clicks if clicks else nan


def _over_all(sums: Tensor) -> list[float]:
    """Sums over all processes."""
    if dist.is_initialized():
        dist.all_reduce(sums)
    told: list[float] = sums.tolist()
    return told


def _distance(output: Output, target: Mapping[str, Tensor]) -> npt.NDArray[np.float64]:
    """From predicted points to clicks; a mean over classes, NaN without any."""
    n = len(output.logits)
    if output.points is None or "click_xy" not in target:
        return np.full(n, np.nan)
    apart = (output.points.double() - target["click_xy"].double()).norm(dim=-1).view(n, -1)
    valid = target["click_valid"].view(n, -1)
    total = torch.where(valid, apart, 0).sum(1) / valid.sum(1)  # 0 / 0 is NaN
    made: npt.NDArray[np.float64] = total.cpu().numpy()
    return made


def _loader(data: Dataset, batches: Any, settings: Settings) -> DataLoader:
    return DataLoader(
        data,
        batch_sampler=batches,
        num_workers=settings.workers,
        collate_fn=collate,
        pin_memory=_device(settings).type == "cuda",
        persistent_workers=settings.workers > 0,
    )


def _set_epoch(data: Any, epoch: int) -> None:
    """Tell the dataset, also one that Subsets are of."""
    while not hasattr(data, "set_epoch") and hasattr(data, "dataset"):
        data = data.dataset
    if hasattr(data, "set_epoch"):
        data.set_epoch(epoch)


def _optimizer(model: nn.Module, settings: Settings) -> Any:
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            model.parameters(),
            settings.lr,
            momentum=0.9,
            nesterov=True,
            weight_decay=settings.weight_decay,
        )
    return torch.optim.AdamW(model.parameters(), settings.lr, weight_decay=settings.weight_decay)


def _share(step: int, total: int) -> float:
    """Of the learning rate: up for a twentieth of the steps, then down by a cosine."""
    rise = max(1, total // 20)
    if step < rise:
        return (step + 1) / rise
    return (1 + cos(pi * (step - rise) / max(1, total - rise))) / 2


def _wrapped(model: Luab, settings: Settings, device: torch.device) -> Any:
    net = torch.compile(model) if settings.compile else model
    if not dist.is_initialized():
        return net
    ids = [device.index] if device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(net, device_ids=ids)


def _device(settings: Settings) -> torch.device:
    if settings.device:
        return torch.device(settings.device)
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return torch.device("cpu")


def _cast(settings: Settings, device: torch.device) -> AbstractContextManager[Any]:
    if settings.precision == "fp32":
        return nullcontext()
    kind = torch.bfloat16 if settings.precision == "bf16" else torch.float16
    cast: AbstractContextManager[Any] = torch.autocast(device.type, kind)
    return cast


def _moved(target: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: value.to(device, non_blocking=True) for name, value in target.items()}
