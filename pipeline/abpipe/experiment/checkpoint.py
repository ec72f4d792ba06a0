"""The state of a run after its last whole epoch, in a file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from abpipe.errors import EarlierRun, OtherRun
from abpipe.experiment.processes import rank
from abpipe.experiment.settings import OUTWARD, Epoch, Settings
from abpipe.training import Luab

FILE = "last.pt"


class Checkpoint:
    """Saves and restores a model, its optimizer and scaler; nowhere, if there is no folder."""

    def __init__(
        self, out: Path | None, model: Luab, optimizer: Any, scaler: Any, settings: Settings
    ) -> None:
        self._file = None if out is None else out / FILE
        self._parts = {"model": model, "optimizer": optimizer, "scaler": scaler}
        self._settings = {k: v for k, v in asdict(settings).items() if k not in OUTWARD}

    def load(self, resume: bool) -> list[Epoch]:
        """Restore what was saved; the epochs that were done. Raises EarlierRun, OtherRun."""
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
