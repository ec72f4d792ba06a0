"""`abpipe train`: one network without byproducts, with them, and with controls, side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from math import nan
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import orjson
import torch
from torch import distributed as dist
from torch.utils.data import Subset

from abpipe.errors import MissingPart, NoFeatures
from abpipe.targets.reader import Rows, Targets, open_targets
from abpipe.targets.split import parts
from abpipe.training.chart import curves
from abpipe.training.control import RandomPoints
from abpipe.training.crops import CenterCrop, RandomCrop
from abpipe.training.dataset import ByproductDataset, See
from abpipe.training.evaluation import localization
from abpipe.training.fit import Epoch, Settings, fit, predict, rank
from abpipe.training.luab import Luab, luab
from abpipe.training.nets import SMALL, network

Method: TypeAlias = Literal["baseline", "luab", "random", "dwell"]

#: Told of a method, its steps, how many are done, and what is new.
Progress: TypeAlias = Callable[[str, int, int, str], None]

#: The parts of targets without a split of their own.
SHARES = {"train": 0.8, "val": 0.2}


@dataclass(frozen=True)
class Trained:
    """What a method came to after its last epoch, on the pictures of the part `val`; NaN: none."""

    method: str
    folder: str
    epochs: int
    pictures: int
    """That it learnt from; `tested` are the others, `dropped` those without targets."""
    tested: int
    dropped: int
    accuracy: float
    click_distance: float
    """From predicted point to click, a mean, in fractions of the cut picture."""
    pointing: float
    """Share of pictures whose class activation map is largest in the box of the trace's core."""
    seconds: float


def train(
    targets: Path | str,
    images: Any,
    *,
    out: Path | str = "runs",
    methods: Sequence[Method] = ("baseline", "luab", "random"),
    net: str = SMALL,
    size: int = 224,
    scale: float = 0.08,
    lambda_: float = 1.0,
    settings: Settings | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> list[Trained]:
    """Train a network by each method, alike but for what the method is about.

    baseline learns classes alone; luab points, too, whose loss weighs `lambda_`; random the same
    with points at random; dwell draws class activation maps to dwell maps instead, as heavily.
    `net` is a name for `nets.network`; pictures are cut to `size` x `size`, random crops of a share
    of the area from `scale` on. Targets that were split learn from their part train and are tested
    on val; others are split 4 to 1. Pictures without targets are dropped. The folder `out` gets a
    checkpoint and results.json for each method, and curves.png of all.

    Under torchrun, processes share each batch, and the first one tells and writes. Raises what
    `ByproductDataset`, `network` and `fit` raise, and MissingPart for targets that lack something.
    """
    with _together():
        plan = _Plan(open_targets(targets), images, size, scale, settings or Settings())
        done, histories = [], dict[str, list[Epoch]]()
        for method in methods:
            folder = Path(out, method)
            model = _model(net, plan, method)
            settings = plan.of(method, lambda_)
            histories[method] = fit(
                model,
                plan.data(method, "train"),
                plan.data(method, "val"),
                settings,
                out=folder,
                resume=resume,
                progress=_telling(method, progress),
            )
            if rank() == 0:
                done.append(_judged(method, folder, model, plan, histories[method]))
                (folder / "results.json").write_bytes(
                    orjson.dumps(asdict(done[-1]) | {"history": [*map(asdict, histories[method])]})
                )
                curves(histories, Path(out, "curves.png"))
    return done


class _Plan:
    """What all methods share: pictures, classes, parts, settings."""

    def __init__(
        self, targets: Targets, images: Any, size: int, scale: float, settings: Settings
    ) -> None:
        self.targets, self.settings = targets, settings
        self.many = "label" in targets.arrays
        self._images = images
        self._see: dict[str, See] = {"train": RandomCrop(size, (scale, 1)), "val": CenterCrop(size)}
        self._rows = {part: _part(targets, part) for part in SHARES}
        index = targets["class_index"]
        self.classes = np.unique(index[self._rows["train"]][index[self._rows["train"]] >= 0])
        if not self.many and not len(self.classes):
            raise MissingPart(targets.folder, "no picture of theirs has a class", "--dataset")
        self.dropped = 0

    @property
    def outputs(self) -> int:
        """How many classes a network is to tell apart."""
        return self.targets["label"].shape[1] if self.many else len(self.classes)

    def of(self, method: Method, lambda_: float) -> Settings:
        """The settings of a method."""
        if method == "dwell" and "heatmap" not in self.targets.arrays:
            raise MissingPart(self.targets.folder, "they have no dwell maps", "--heatmap 14")
        points = lambda_ if method in ("luab", "random") else 0
        return replace(self.settings, points=points, where=lambda_ if method == "dwell" else 0)

    def data(self, method: Method, part: str) -> Subset:
        """The pictures of a part with the targets of a method."""
        targets = self.targets
        if method == "random" and part == "train":
            targets = RandomPoints(targets.folder, seed=self.settings.seed)
        data = ByproductDataset(
            self._images,
            targets,
            see=self._see[part],
            unmatched="drop",
            classes=None if self.many else self.classes,
            seed=self.settings.seed,
        )
        self.dropped = len(data.images.names) - len(data)
        chosen = np.flatnonzero(np.isin(data.rows, self._rows[part]))
        if not len(chosen):
            raise MissingPart(targets.folder, f"no picture is in their part {part}", "--split")
        return Subset(data, chosen)


def _part(targets: Targets, name: str) -> Rows:
    split = targets.about["options"]["split"]
    if not split:
        number = parts(targets["image_ids"].tolist(), SHARES)
        return np.flatnonzero(number == list(SHARES).index(name))
    if name not in split:
        raise MissingPart(targets.folder, f"they have no part {name}", "--split train=0.8,val=0.2")
    return targets.part(name)


def _model(name: str, plan: _Plan, method: Method) -> Luab:
    """A network with the heads of a method; where it can show no maps, without."""
    for where in (True, False):
        torch.manual_seed(plan.settings.seed)
        net = network(name, plan.outputs)
        points = (plan.outputs if plan.many else 1) if method in ("luab", "random") else 0
        try:
            return luab(net, points=points, where=where)
        except NoFeatures:
            if method == "dwell" or not where:
                raise
    raise AssertionError


def _judged(
    method: Method, folder: Path, model: Luab, plan: _Plan, history: Sequence[Epoch]
) -> Trained:
    test = plan.data(method, "val")
    found, pointing = predict(model, test, plan.of(method, 1.0)), nan
    if found.where is not None and "box_xyxy" in found.target:
        pointing = localization(found.where, found.target["box_xyxy"]).pointing
    return Trained(
        method,
        str(folder),
        len(history),
        len(plan.data(method, "train")),
        len(test),
        plan.dropped,
        history[-1].accuracy,
        history[-1].click_distance,
        pointing,
        sum(epoch.seconds for epoch in history),
    )


def _telling(method: str, progress: Progress | None) -> Any:
    if progress is None or rank():
        return None

    def tell(total: int, done: int, epoch: Epoch | None) -> None:
        news = ""
        if epoch:
            news = (
                f"epoch {epoch.epoch}, loss {epoch.loss:.3f}, accuracy {epoch.accuracy:.3f}, "
                f"{epoch.seconds:.1f} s"
            )
        progress(method, total, done, news)

    return tell


@contextmanager
def _together() -> Iterator[None]:
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
