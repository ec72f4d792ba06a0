"""A seed of bench_evidence.py: its archives, its pictures, and networks that learn from them."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from evidence_results import TESTS, Run
from evidence_set import CLASSES, Objects, objects, pictures, split

import abpipe
from abpipe.experiment import RandomPoints, Settings, fit, predict, small_net
from abpipe.synth import synth
from abpipe.targets.reader import Targets
from abpipe.training import (
    ByproductDataset,
    CenterCrop,
    RandomCrop,
    background_gap,
    localization,
    luab,
)

PARTS = {"train": 0.6, "val": 0.15, "test": 0.25}
CHEATS = 0.6
INPUT, WIDTH, RATE, LOCALIZED = 40, 16, 6e-3, 400
NAMES = ("click_xy", "click_valid", "weight")


@dataclass(frozen=True)
class Method:
    """What is learnt beside the class, how strongly, and from whom."""

    name: str
    strength: float = 0
    crowd: str = "honest"

    @property
    def settings(self) -> dict[str, Any]:
        """As `Settings` takes it."""
        what = "where" if self.name == "dwell" else "points"
        return {"points": 0, what: self.strength, "weighted": self.name == "cheats weighted"}


class World:
    """A seed's archives, by a crowd that is honest and one that is not, and its pictures."""

    def __init__(self, place: Path, seed: int, count: int) -> None:
        self.seed = seed
        told = self._annotated(place / "honest", 0, count)
        if (self._annotated(place / "cheats", CHEATS, count).box != told.box).any():
            raise ValueError("the two crowds have seen different objects")
        self.objects = told[np.random.default_rng(seed).permutation(count)]
        self.targets = {
            "honest": Targets(place / "honest/targets", NAMES),
            "dwell": Targets(place / "honest/targets", (*NAMES, "heatmap")),
            "cheats": Targets(place / "cheats/targets", NAMES),
            "random": RandomPoints(place / "honest/targets", NAMES, seed),
        }
        self.inside = {crowd: _inside(place / crowd / "store") for crowd in ("honest", "cheats")}
        self.inside["dwell"] = self.inside["honest"]
        self.parts = {part: self._part(part) for part in PARTS}
        self.drawn = {"train": self._drawn("train", "train"), "val": self._drawn("val", "train")}
        self.drawn |= {name: self._drawn("test", name) for name in TESTS}
        #: The first picture of each class, to be shown.
        self.shown = np.unique(self.parts["test"].label, return_index=True)[1]

    def _annotated(self, place: Path, cheats: float, count: int) -> Objects:
        """Have an archive made, and targets of it."""
        made = synth(place / "raw", count=count, seed=self.seed, cheats=cheats, jobs=1)
        store = place / "store"
        abpipe.ingest(made.archive, store=store, jobs=1)
        abpipe.derive(store=store)
        abpipe.export(place / "targets", store=store, split=PARTS, heatmap=10)
        return objects(made.truth)

    def _part(self, part: str) -> Objects:
        exported = self.targets["honest"]
        names = set(exported["image_ids"][exported.part(part)].tolist())
        return self.objects[np.flatnonzero([name.encode() in names for name in self.objects.ids])]

    def _drawn(self, part: str, name: str) -> list[tuple[Any, int]]:
        """Pictures and their classes."""
        of, seed = self.parts[part], self.drawing_seed(part)
        shown = split(of, name, seed)
        if name == "location":
            self.box = shown.box
        return list(zip(pictures(of, shown, seed), of.label.tolist(), strict=True))

    def drawing_seed(self, part: str) -> int:
        """What a part's pictures are drawn from."""
        return 1000 * self.seed + list(PARTS).index(part)

    def data(self, name: str, crowd: str) -> ByproductDataset:
        """A split's pictures, joined with a crowd's targets by image id."""
        of = self.parts[name if name in PARTS else "test"]
        see = RandomCrop(INPUT, (0.5, 1), flip=0) if name == "train" else CenterCrop(INPUT, 1)
        return ByproductDataset(
            self.drawn[name], self.targets[crowd], see=see, ids=of.ids, seed=self.seed
        )

    def run(self, method: Method, epochs: int, maps: bool) -> Run:
        """Train a network, and judge it."""
        begin = time.perf_counter()
        settings = Settings(epochs, lr=RATE, seed=self.seed, label="own_class", device="cpu")
        settings = replace(settings, **method.settings)
        torch.manual_seed(self.seed)
        model = luab(small_net(CLASSES, WIDTH), where=True)
        fit(model, self.data("train", method.crowd), None, settings)
        told = {
            name: predict(model, self.data(name, "honest"), settings) for name in ("val", *TESTS)
        }
        measures = {name: one.accuracy for name, one in told.items()}
        where = told["location"].where
        assert where is not None
        found = localization(where[:LOCALIZED], self.box[:LOCALIZED])
        measures |= {
            "gap": background_gap(measures),
            "pointing": found.pointing,
            "energy": found.energy,
            "max_box_acc": found.max_box_acc,
        }
        return Run(
            self.seed,
            method.name,
            method.strength,
            measures,
            self.inside.get(method.crowd),
            round(time.perf_counter() - begin, 1),
            where[self.shown].round(3).tolist() if maps else None,
        )


def _inside(store: Path) -> float:
    """The click-in-box rate, as abpipe measures it."""
    with abpipe.connect(store) as connection:
        (row,) = connection.execute(
            "SELECT inside_rate FROM localization_scores WHERE what = 'click' AND \"of\" = 'all'"
        ).fetchall()
    return float(row[0])
