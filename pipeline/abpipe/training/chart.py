"""The curves of a run, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from abpipe.training.fit import Epoch
from abpipe.view.style import CATEGORIES, SETTINGS

_PANELS = {
    "class_loss": "Loss of classes, in training",
    "accuracy": "Accuracy, on val",
    "click_distance": "Distance to the click, on val",
}


def curves(histories: Mapping[str, Sequence[Epoch]], file: Path) -> None:
    """Draw what each method came to, epoch by epoch: a line for each."""
    with rc_context(SETTINGS):
        figure = Figure(figsize=(9, 2.8), layout="constrained")
        panels = figure.subplots(1, len(_PANELS))
        for panel, (measure, title) in zip(panels, _PANELS.items(), strict=True):
            for color, (method, history) in zip(CATEGORIES, histories.items(), strict=False):
                epochs = [epoch.epoch for epoch in history]
                values = [getattr(epoch, measure) for epoch in history]
                panel.plot(epochs, values, color=color, label=method, marker=".", linewidth=1.2)
            panel.set_title(title)
            panel.set_xlabel("epoch")
            panel.xaxis.get_major_locator().set_params(integer=True)
            panel.set_ylim(bottom=0)
        panels[0].legend(frameon=False)
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, dpi=150)
