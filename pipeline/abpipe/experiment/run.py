"""`abpipe train`: one network without byproducts, with them, and with controls, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import nan
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from abpipe.experiment.chart import curves
from abpipe.experiment.fit import fit
from abpipe.experiment.nets import SMALL
from abpipe.experiment.plan import Method, Plan
from abpipe.experiment.predict import predict
from abpipe.experiment.processes import rank, together
from abpipe.experiment.settings import Epoch, Settings
from abpipe.targets.reader import open_targets
from abpipe.training import Luab, localization

#: Told of a method, its steps, how many are done, and what is new.
Progress: TypeAlias = Callable[[str, int, int, str], None]


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
    with together():
        plan = Plan(open_targets(targets), images, size, scale, settings or Settings())
        done, histories = [], dict[str, list[Epoch]]()
        for method in methods:
            folder = Path(out, method)
            model = plan.model(net, method)
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


def _judged(
    method: Method, folder: Path, model: Luab, plan: Plan, history: Sequence[Epoch]
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
