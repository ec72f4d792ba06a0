"""The curves of a run, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from abpipe.experiment.settings import Epoch
from abpipe.view.style import CATEGORIES, SETTINGS

_PANELS = {
    "class_loss": "Loss of classes, in training",
    "accuracy": "Accuracy, on val",
    "click_distance": "Distance to the click, on val",
}


def curves(histories: Mapping[str, Sequence[Epoch]], file: Path) -> None:
    """Draw what each method came to, epoch by epoch: a line for each, of measures it has."""
    epochs = [epoch for history in histories.values() for epoch in history]
    told = [name for name in _PANELS if not all(isnan(getattr(epoch, name)) for epoch in epochs)]
    told = told or list(_PANELS)
    with rc_context(SETTINGS):
        figure = Figure(figsize=(3 * len(told), 2.8), layout="constrained")
        panels = figure.subplots(1, len(told), squeeze=False)[0]
        for panel, measure in zip(panels, told, strict=True):
            for color, (method, history) in zip(CATEGORIES, histories.items(), strict=False):
                places = [epoch.epoch for epoch in history]
                values = [getattr(epoch, measure) for epoch in history]
                panel.plot(places, values, color=color, label=method, marker=".", linewidth=1.2)
            panel.set_title(_PANELS[measure])
            panel.set_xlabel("epoch")
            panel.xaxis.get_major_locator().set_params(integer=True)
            panel.set_ylim(bottom=0)
        panels[0].legend(frameon=False)
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, dpi=150)
