"""Do byproducts help where backgrounds mislead? Synthetic figures, by a plan fixed beforehand.

The plan. Each seed is a whole replication: an archive of 4,000 pictures from `synth` (motion model
`aimed`), ingested, derived and exported with a split of 60 % train, 15 % val, 25 % test, and
joined with pictures drawn for it (evidence_set.py) by image id; and networks of its own. Train and
val are drawn alike: seven backgrounds in ten are the class's own, the others any. Tests show the
test objects on the class's own background (mixed_same), on any (mixed_rand), and on any with the
object in a corner (location), half as large (size) or turned (rotation).

Methods, seeds 1 to 5, each from the same initial network as the others of its seed:

- none: the class alone;
- luab 1, 10, 100: points, with lambda 1, 10 and 100; of these, the one with the best accuracy on
  val (the smaller, if equal) is the seed's "luab chosen";
- dwell 0.1, 1: class activation maps drawn to dwell maps, with these weights; "dwell chosen" alike;
- random: the chosen lambda, with random points in the place of clicks;
- cheats, and cheats weighted: the chosen lambda, the same pictures clicked by a crowd of which six
  in ten cheat (a third of those spoil where they click), without and with annotators' weights.

The network is `small_net` of width 16 at 40 pixels, trained with AdamW for 12 epochs of batches of
64 at a learning rate of 0.006, on random crops of half the picture or more, not mirrored (mirrored
stripes are another class's). Sizes, rate and backgrounds were set on another seed (100) and the
method "none" alone, so that it learns both outlines and backgrounds.

Measures: accuracy on val and each test; gap = mixed_same - mixed_rand; of class activation maps for
the true class on the first 400 pictures of location (where the picture's middle is no good guess),
pointing game, energy inside and MaxBoxAcc (IoU 0.5). Means over seeds with 95 % t intervals; gains
over "none" are paired by seed.

What the generator favours: clicks are drawn at the object, by a model that knows its box, the
object never lies behind anything, and what the background gives away is all in the background.
Points help here only as far as a map of the object's place helps to tell its outline. What it
disfavours: 4,000 pictures, a network of four layers. None of this is a claim about real data.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import nan, sqrt
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import torch
from evidence_set import CLASSES, SPLITS, Objects, objects, pictures, sheet, split
from rich.console import Console
from rich.table import Table
from scipy import stats

import abpipe
from abpipe.synth import synth
from abpipe.targets.reader import Targets
from abpipe.training import (
    ByproductDataset,
    RandomCrop,
    RandomPoints,
    Settings,
    Whole,
    background_gap,
    fit,
    localization,
    luab,
    predict,
    small_net,
)

OUT = Path(__file__).parents[2] / "notebooks" / "evidence"
SEEDS, COUNT, EPOCHS = range(1, 6), 4000, 12
PARTS = {"train": 0.6, "val": 0.15, "test": 0.25}
LAMBDAS, DWELLS = (1, 10, 100), (0.1, 1)
CHEATS = 0.6
INPUT, WIDTH, LOCALIZED = 40, 16, 400
NAMES = ("click_xy", "click_valid", "weight", "heatmap")
TESTS = SPLITS[1:]
MEASURES = ("val", *TESTS, "gap", "pointing", "energy", "max_box_acc")
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Method:
    """What is learnt beside the class, how strongly, and from whom."""

    name: str
    strength: float = 0
    crowd: str = "honest"

    @property
    def settings(self) -> dict[str, Any]:
        """As `training.Settings` takes it."""
        what = "where" if self.name == "dwell" else "points"
        return {"points": 0, what: self.strength, "weighted": self.name == "cheats weighted"}


@dataclass(frozen=True)
class Run:
    """What came out of a network."""

    seed: int
    method: str
    strength: float
    measures: dict[str, float]
    clicks_inside: float | None
    """Share of its crowd's clicks in a published box of their object; None for random points."""
    seconds: float
    maps: list[Any] | None = None
    """Of the first seed: class activation maps of a few pictures."""


@dataclass(frozen=True)
class Summary:
    """A measure of a method: mean over seeds, and gain over "none", with half their intervals."""

    method: str
    measure: str
    seeds: int
    mean: float
    mean_half: float
    gain: float
    gain_half: float


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
            "cheats": Targets(place / "cheats/targets", NAMES),
            "random": RandomPoints(place / "honest/targets", NAMES, seed),
        }
        self.inside = {crowd: _inside(place / crowd / "store") for crowd in ("honest", "cheats")}
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
        of, seed = self.parts[part], 1000 * self.seed + list(PARTS).index(part)
        shown = split(of, name, seed)
        if name == "location":
            self.box = shown.box
        return list(zip(pictures(of, shown, seed), of.label.tolist(), strict=True))

    def data(self, name: str, crowd: str) -> ByproductDataset:
        """A split's pictures, joined with a crowd's targets by image id."""
        of = self.parts[name if name in PARTS else "test"]
        see = RandomCrop(INPUT, (0.5, 1), flip=0) if name == "train" else Whole(INPUT)
        return ByproductDataset(
            self.drawn[name], self.targets[crowd], see=see, ids=of.ids, seed=self.seed
        )

    def run(self, method: Method, epochs: int, maps: bool) -> Run:
        """Train a network, and judge it."""
        begin = time.perf_counter()
        settings = Settings(epochs=epochs, lr=6e-3, seed=self.seed, label="own_class", device="cpu")
        settings = Settings(**vars(settings) | method.settings)
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


def chosen(runs: Iterable[Run], method: str) -> Run:
    """Of a seed's runs of a method, the best on val; of equal ones, the weakest."""
    those = [run for run in runs if run.method == method]
    return max(those, key=lambda run: (run.measures["val"], -run.strength))


def replicate(seed: int, count: int, epochs: int, out: Path, maps: bool, done: list[Run]) -> None:
    """Do all runs of a seed but those that are done; each is written as soon as it is done."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="abpipe-bench-") as folder:
        world = World(Path(folder), seed, count)
        if maps:
            sheet(world.parts["test"][world.shown], seed).save(out / "pictures.png")
        strengths = [("luab", one) for one in LAMBDAS] + [("dwell", one) for one in DWELLS]
        runs = [
            _once(done, world, method, epochs, out, maps)
            for method in [Method("none"), *(Method(*one) for one in strengths)]
        ]
        best = chosen(runs, "luab").strength
        for name, crowd in (
            ("random", "random"),
            ("cheats", "cheats"),
            ("cheats weighted", "cheats"),
        ):
            _once(done, world, Method(name, best, crowd), epochs, out, maps)


def _once(
    done: Sequence[Run], world: World, method: Method, epochs: int, out: Path, maps: bool
) -> Run:
    for run in done:
        if (run.seed, run.method, run.strength) == (world.seed, method.name, method.strength):
            return run
    run = world.run(method, epochs, maps)
    with (out / "runs.jsonl").open("ab") as file:
        file.write(orjson.dumps(run, option=orjson.OPT_APPEND_NEWLINE))
    return run


def named(runs: Sequence[Run]) -> dict[str, dict[int, Run]]:
    """The runs of each method and strength, and of what was chosen, by seed."""
    by: dict[str, dict[int, Run]] = {}
    for run in runs:
        swept = run.method in ("luab", "dwell")
        name = f"{run.method} {run.strength:g}" if swept else run.method
        by.setdefault(name, {})[run.seed] = run
    for method in ("luab", "dwell"):
        seeds = sorted({run.seed for run in runs if run.method == method})
        best = {seed: chosen((r for r in runs if r.seed == seed), method) for seed in seeds}
        if best:
            by[f"{method} chosen"] = best
    return by


def summary(runs: Sequence[Run]) -> list[Summary]:
    """Each measure of each method over its seeds, and its gain over "none" in the same seeds."""
    by, made = named(runs), []
    for name, of in by.items():
        for measure in MEASURES:
            values = {seed: run.measures[measure] for seed, run in of.items()}
            pairs = [
                value - by["none"][seed].measures[measure]
                for seed, value in values.items()
                if seed in by["none"]
            ]
            figures = (*interval(list(values.values())), *interval(pairs))
            made.append(Summary(name, measure, len(values), *figures))
    return made


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and half of its t interval (NaN for fewer than two values)."""
    n = len(values)
    if n < 2:
        return (values[0] if n else nan), nan
    half = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * np.std(values, ddof=1) / sqrt(n)
    return float(np.mean(values)), float(half)


def read(out: Path) -> list[Run]:
    """All runs that were written, in the order of their seeds."""
    lines = (out / "runs.jsonl").read_bytes().splitlines()
    runs = [Run(**orjson.loads(line)) for line in lines]
    return sorted(runs, key=lambda run: run.seed)


def main() -> None:
    """Run what is not there yet, write the summary, show the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--count", type=int, default=COUNT, help="pictures of each seed")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--jobs", type=int, default=2, help="seeds at once, one thread each")
    parser.add_argument("--resume", action="store_true", help="leave out the runs that are done")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the results")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.resume:
        (options.out / "runs.jsonl").write_bytes(b"")
    of, done = (options.count, options.epochs, options.out), read(options.out)
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        first = options.seeds[0]
        for one in [pool.submit(replicate, n, *of, n == first, done) for n in options.seeds]:
            one.result()
    runs = read(options.out)
    lines = (orjson.dumps(run, option=orjson.OPT_APPEND_NEWLINE) for run in runs)
    (options.out / "runs.jsonl").write_bytes(b"".join(lines))
    found = summary(runs)
    with (options.out / "summary.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Summary.__dataclass_fields__)
        writer.writerows(
            [one.method, one.measure, one.seeds]
            + [f"{value:.4f}" for value in (one.mean, one.mean_half, one.gain, one.gain_half)]
            for one in found
        )
    _show(found)


def _show(found: Sequence[Summary]) -> None:
    table = Table(title="Synthetic: means over seeds, and gains over none", box=None)
    table.add_column("method")
    for measure in MEASURES:
        table.add_column(measure, justify="right")
    cells: dict[str, list[str]] = {}
    for one in found:
        gain = "" if one.method == "none" else f"\n{one.gain:+.3f} ±{one.gain_half:.3f}"
        cells.setdefault(one.method, []).append(f"{one.mean:.3f}{gain}")
    for name, row in cells.items():
        table.add_row(name, *row)
    Console(width=180).print(table)


if __name__ == "__main__":
    main()
