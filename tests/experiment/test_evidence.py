"""The synthetic evidence: its set is what it says, its figures are right, its notebook runs."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

pytest.importorskip("torch", reason="torch is an extra")

import evidence_results
import evidence_set
from evidence_results import Run, chosen, named, summary
from evidence_set import OWN, SIDE, SPLITS, Objects, objects, pictures, split

ROOT = Path(__file__).parents[2]
EVIDENCE = ROOT / "notebooks" / "evidence"


@pytest.fixture(scope="module")
def many() -> Objects:
    """Objects of all classes, five thousand, each in the same box."""
    box = np.tile([0.2, 0.3, 0.6, 0.9], (5000, 1))
    return Objects([str(i) for i in range(5000)], np.arange(5000) % 5, box)


def test_training_backgrounds_tell_the_class(many: Objects) -> None:
    own = split(many, "train", 1).background == many.label
    # also where any is drawn, it is the class's own once in five
    assert own.mean() == pytest.approx(OWN["train"] + (1 - OWN["train"]) / 5, abs=0.02)
    assert (split(many, "mixed_same", 1).background == many.label).all()


@pytest.mark.parametrize("name", ["mixed_rand", "location", "size", "rotation"])
def test_backgrounds_of_tests_tell_nothing(many: Objects, name: str) -> None:
    background = split(many, name, 1).background
    counts = np.zeros((5, 5))
    np.add.at(counts, (many.label, background), 1)
    assert counts.min() > 150
    assert stats.chi2_contingency(counts).pvalue > 0.01


def test_each_shift_moves_one_thing_only(many: Objects) -> None:
    shown = {name: split(many, name, 1) for name in SPLITS}
    plain = shown["mixed_rand"]
    for name in ("location", "size", "rotation"):
        assert (shown[name].background == plain.background).all()
    changed = {
        name: [(shown[name].box != plain.box).any(), (shown[name].angle != 0).any()]
        for name in SPLITS
        if name not in ("train", "mixed_same")
    }
    assert changed == {
        "mixed_rand": [False, False],
        "location": [True, False],
        "size": [True, False],
        "rotation": [False, True],
    }
    sides = {name: one.box[:, 2:] - one.box[:, :2] for name, one in shown.items()}
    np.testing.assert_allclose(sides["location"], sides["mixed_rand"])
    np.testing.assert_allclose(sides["size"], sides["mixed_rand"] / 2)
    corners = np.unique(shown["location"].box.round(9), axis=0).tolist()
    assert corners == [[0, 0, 0.4, 0.6], [0, 0.4, 0.4, 1], [0.6, 0, 1, 0.6], [0.6, 0.4, 1, 1]]


def test_objects_of_an_archive_are_drawn_where_they_are() -> None:
    of = objects(ROOT / "data/imagenet/truth")[np.arange(8)]
    flat = Objects(of.ids, of.label, np.tile([2.0, 2, 3, 3], (8, 1)))  # beyond the picture
    plain = split(of, "mixed_same", 1)
    bare = pictures(flat, split(flat, "mixed_same", 1), 1)
    for with_, without, box in zip(pictures(of, plain, 1), bare, of.box, strict=True):
        apart = np.abs(np.asarray(with_, int) - np.asarray(without, int)).max(2) > 0
        down, across = np.nonzero(apart)
        extent = [across.min(), down.min(), across.max() + 1, down.max() + 1]
        np.testing.assert_allclose(np.array(extent) / SIDE, box, atol=1.5 / SIDE)


def run(seed: int, method: str, strength: float, val: float, gap: float) -> Run:
    measures = dict.fromkeys(evidence_results.MEASURES, 0.5) | {"val": val, "gap": gap}
    return Run(seed, method, strength, measures, 0.9, 1.0)


RUNS = [
    run(1, "none", 0, 0.8, 0.30),
    run(1, "luab", 1, 0.9, 0.20),
    run(1, "luab", 10, 0.9, 0.10),
    run(2, "none", 0, 0.8, 0.40),
    run(2, "luab", 1, 0.8, 0.35),
    run(2, "luab", 10, 0.9, 0.20),
    run(3, "none", 0, 0.8, 0.50),
]


def test_the_best_on_val_is_chosen_and_of_equal_ones_the_weakest() -> None:
    assert chosen(RUNS[:3], "luab").strength == 1
    assert [one.strength for one in named(RUNS)["luab chosen"].values()] == [1, 10]
    assert list(named(RUNS)) == ["none", "luab 1", "luab 10", "luab chosen"]


def test_random_points_are_compared_at_the_lambda_that_clicks_chose() -> None:
    random = [run(seed, "random", one, 0.99, 0.1) for seed in (1, 2) for one in (1, 10)]
    found = named(RUNS + random)
    assert [one.strength for one in found["random chosen"].values()] == [1, 10]
    assert list(found)[-3:] == ["random 1", "random 10", "random chosen"]


def test_gains_are_paired_by_seed() -> None:
    by = {(one.method, one.measure): one for one in summary(RUNS)}
    none, best = by["none", "gap"], by["luab chosen", "gap"]
    # of 0.3, 0.4, 0.5: 4.303 (t, 2 degrees of freedom) * 0.1 / sqrt(3)
    assert (none.seeds, none.gain) == (3, 0)
    assert none.mean == pytest.approx(0.4)
    assert none.mean_half == pytest.approx(0.2484, abs=1e-4)
    # of -0.1, -0.2: 12.706 * 0.0707 / sqrt(2)
    assert best.seeds == 2
    assert [best.mean, best.gain] == pytest.approx([0.2, -0.15])
    assert best.gain_half == pytest.approx(0.6353, abs=1e-4)
    assert by["luab 10", "gap"].over_luab == pytest.approx(-0.05)


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    found: Any = summary(RUNS[:1])
    assert found[0].mean == 0.8
    assert np.isnan([found[0].mean_half, found[0].gain_half, found[0].over_luab]).all()
    evidence_results.write_summary(found[:1], tmp_path)
    text = (tmp_path / "summary.csv").read_text()
    assert text.splitlines()[1] == "none,val,1,0.8000,,0.0000,,,"


def test_what_is_written_is_read_by_seed(tmp_path: Path) -> None:
    for one in RUNS[::-1]:
        evidence_results.write(one, tmp_path)
    assert [one.seed for one in evidence_results.read(tmp_path)] == [1, 1, 1, 2, 2, 2, 3]


def test_the_sheet_has_a_row_for_each_split(many: Objects) -> None:
    of, at = many[np.arange(20)], np.array([3, 17])
    made = evidence_set.sheet(of, at, 1)
    assert made.size == (2 * SIDE, len(SPLITS) * SIDE)
    location = pictures(of, split(of, "location", 1), 1)[17]
    row = SPLITS.index("location")
    shown = made.crop((SIDE, SIDE * row, 2 * SIDE, SIDE * (row + 1)))
    assert (np.asarray(shown) == np.asarray(location)).all()


def test_the_readme_tells_what_came_out() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    with (EVIDENCE / "summary.csv").open() as file:
        figures = {(row["method"], row["measure"]): row for row in csv.DictReader(file)}
    heading, rows = re.findall(r"^\| synthetic, 5 seeds \|(.*)\|\n.*\n((?:\|.*\n)+)", readme, re.M)[
        0
    ]
    measures = [name.strip().replace("-", "_") for name in heading.split("|")]
    for row in rows.splitlines():
        name, *cells = (cell.strip() for cell in row.strip("|").split("|"))
        told = (figures[name, measure] for measure in measures)
        assert cells == [
            f"{float(one['mean']):.3f} ± {float(one['mean_half']):.3f}" for one in told
        ], name
