"""What came out of the runs of bench_evidence.py, and what it comes to over seeds."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from math import isnan, nan, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from evidence_set import SPLITS
from scipy import stats

TESTS = SPLITS[1:]
MEASURES = ("val", *TESTS, "gap", "pointing", "energy", "max_box_acc")
CONFIDENCE = 0.95
SWEPT = ("luab", "dwell", "random")
FILE, TABLE = "runs.jsonl", "summary.csv"


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
    """A measure of a method: means over seeds, each with half of its interval."""

    method: str
    measure: str
    seeds: int
    mean: float
    mean_half: float
    gain: float
    """Over "none", paired by seed."""
    gain_half: float
    over_luab: float
    """Over "luab chosen", paired by seed."""
    over_luab_half: float


def write(run: Run, out: Path) -> None:
    """Add a run to the file of all."""
    with (out / FILE).open("ab") as file:
        file.write(orjson.dumps(run, option=orjson.OPT_APPEND_NEWLINE))


def read(out: Path) -> list[Run]:
    """All runs that were written, in the order of their seeds."""
    runs = [Run(**orjson.loads(line)) for line in (out / FILE).read_bytes().splitlines()]
    return sorted(runs, key=lambda run: run.seed)


def write_summary(found: Sequence[Summary], out: Path) -> None:
    """The summary as a table, to four digits; nothing where there is no figure."""
    with (out / TABLE).open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Summary))
        for one in found:
            method, measure, seeds, *figures = astuple(one)
            told = ("" if isnan(figure) else f"{figure:.4f}" for figure in figures)
            writer.writerow([method, measure, seeds, *told])


def chosen(runs: Iterable[Run], method: str) -> Run:
    """Of a seed's runs of a method, the best on val; of equal ones, the weakest."""
    those = [run for run in runs if run.method == method]
    return max(those, key=lambda run: (run.measures["val"], -run.strength))


def named(runs: Sequence[Run]) -> dict[str, dict[int, Run]]:
    """The runs of each method and strength by seed, and after a sweep what was chosen of it."""
    by: dict[str, dict[int, Run]] = {}
    for method in dict.fromkeys(run.method for run in runs):
        those = [run for run in runs if run.method == method]
        for run in those:
            name = f"{method} {run.strength:g}" if method in SWEPT else method
            by.setdefault(name, {})[run.seed] = run
        if method in SWEPT:
            by[f"{method} chosen"] = _chosen_by_seed(runs, method)
    return by


def _chosen_by_seed(runs: Sequence[Run], method: str) -> dict[int, Run]:
    """Of each seed the best on val; of random points those with the lambda that was chosen."""
    swept = "luab" if method == "random" else method
    best = {
        seed: chosen((run for run in runs if run.seed == seed), swept)
        for seed in dict.fromkeys(run.seed for run in runs if run.method == method)
    }
    return {
        run.seed: run
        for run in runs
        if run.method == method and run.strength == best[run.seed].strength
    }


def summary(runs: Sequence[Run]) -> list[Summary]:
    """Each measure of each method over its seeds, also as gains."""
    by = named(runs)
    return [
        Summary(
            name,
            measure,
            len(of),
            *interval([run.measures[measure] for run in of.values()]),
            *interval(gains(of, by["none"], measure)),
            *interval(gains(of, by.get("luab chosen", {}), measure)),
        )
        for name, of in by.items()
        for measure in MEASURES
    ]


def gains(of: dict[int, Run], reference: dict[int, Run], measure: str) -> list[float]:
    """What a method has more than another, of each seed that both have."""
    return [
        run.measures[measure] - reference[seed].measures[measure]
        for seed, run in of.items()
        if seed in reference
    ]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and half of its t interval (NaN for fewer than two values)."""
    n = len(values)
    if n < 2:
        return (values[0] if n else nan), nan
    half = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * np.std(values, ddof=1) / sqrt(n)
    return float(np.mean(values)), float(half)
