"""The control that the claim needs: points at random in the place of real ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from abpipe.targets.reader import Targets


class RandomPoints(Targets):
    """Targets whose valid `click_xy` lie anywhere on the picture, alike for each picture.

    A picture keeps its point through all epochs, as it would a real one; `seed` draws others.
    """

    def __init__(self, path: Path | str, names: Sequence[str] | None = None, seed: int = 0) -> None:
        super().__init__(path, names)
        real, self._seed = self.arrays["click_xy"], seed
        drawn = np.random.default_rng(seed).random(real.shape, np.float32)
        drawn[~self.arrays["click_valid"]] = np.nan
        drawn.flags.writeable = False
        self.arrays["click_xy"] = drawn
        if "click_xy" in self._samples:
            self._samples["click_xy"] = drawn

    def __reduce__(self) -> tuple[type[Targets], tuple[Path, Sequence[str] | None, int]]:  # type: ignore[override]
        return RandomPoints, (self.folder, self._names, self._seed)
