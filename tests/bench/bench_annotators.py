"""How many planted annotators are found, and how many honest ones are flagged: synthetic figures.

The limits in annotators.sql were set on the model `aimed` with seeds 11 and 12; they are reported
on the other motion models with other seeds, each with people of its own. The generator draws
objects where the clicks are, and cheats as we think that people cheat: these figures say nothing
about real annotators.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

import abpipe
from abpipe.synth import synth

MODELS = ("hasty", "winding", "drifting")

COUNTS = """
    SELECT manner, count(*), count(*) FILTER (len(flags) > 0), avg(weight)
    FROM annotators JOIN read_parquet(?) USING (annotator_id)
    WHERE n_answered >= ?
    GROUP BY manner
"""


def counts(
    place: Path, kind: str, count: int, seed: int, motion: str, least: int
) -> dict[str, tuple[int, int, float]]:
    """For each manner, of annotators with enough answers: how many, how many flagged, weight."""
    made = synth(place / "made", kind=kind, count=count, seed=seed, cheats=0.12, motion=motion)
    store = place / "store"
    abpipe.ingest(made.archive, *made.truth.glob("instances*.json"), store=store)
    abpipe.derive("annotators", store=store)
    with abpipe.connect(store) as connection:
        truth = str(made.truth / "annotators.parquet")
        rows = connection.execute(COUNTS, [truth, least]).fetchall()
    return {manner: (n, flagged, weight) for manner, n, flagged, weight in rows}


def main() -> None:
    """Make the archives, and show the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=("imagenet", "coco"), default="imagenet")
    parser.add_argument("--count", type=int, default=40_000, help="pictures of each archive")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=range(201, 207), help="dealt out to the models"
    )
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--least", type=int, default=30, help="answers that an annotator needs")
    options = parser.parse_args()
    table = Table(
        title=f"Synthetic: flagged annotators of those with {options.least} answers or more",
        box=None,
    )
    table.add_column("manner")
    sums: dict[str, list[tuple[int, int, float]]] = {}
    for i, motion in enumerate(options.models):
        table.add_column(motion, justify="right")
        found: dict[str, tuple[int, int, float]] = {}
        # no two models judge the same people
        for seed in options.seeds[i :: len(options.models)]:
            with tempfile.TemporaryDirectory(prefix="abpipe-bench-") as folder:
                one = counts(Path(folder), options.kind, options.count, seed, motion, options.least)
            for manner, (n, flagged, weight) in one.items():
                n0, flagged0, weight0 = found.get(manner, (0, 0, 0.0))
                found[manner] = (n0 + n, flagged0 + flagged, weight0 + weight * n)
        for manner, figures in found.items():
            sums.setdefault(manner, []).append(figures)
    table.add_column("mean weight", justify="right")
    for manner, models in sorted(sums.items()):
        shown = [f"{flagged} of {n}" for n, flagged, _ in models]
        weight = sum(w for *_, w in models) / sum(n for n, *_ in models)
        table.add_row(manner, *shown, f"{weight:.2f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
