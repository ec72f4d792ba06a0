"""How many planted annotators are found, and how many honest ones are flagged: synthetic figures.

The limits in annotators.sql were set on the model `aimed` with seeds 11 and 12, and how quick is
hurried also on crowds of the generator alone. The other motion models, with other seeds, tell how
that carries over: each archive has people of its own. `winding` showed that top speeds are no sign
of a program, and so is not quite unseen; `darting` was written down after that, and before anything
was measured on it. The generator draws objects where the clicks are, and cheats as we think that
people cheat: these figures say nothing about real annotators.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

import abpipe
from abpipe.synth import synth

MODELS = ("hasty", "winding", "drifting", "darting")

#: Pictures of an archive, and archives for each model.
SIZES = {"imagenet": (10_000, 2), "coco": (5_000, 2)}

#: Answers from which on an annotator counts in the comparison of models.
LEAST = 30
#: Where the classes of annotators by the number of their answers begin.
BEGINS = (1, 10, 30, 100)

PEOPLE = """
    SELECT manner, n_answered, flags, weight
    FROM annotators JOIN read_parquet(?) USING (annotator_id)
    WHERE n_answered > 0
"""


class Person(NamedTuple):
    """An annotator: how they work, and what was found."""

    motion: str
    manner: str
    n_answered: int
    flags: list[str]
    weight: float

    @property
    def column(self) -> str:
        """The class by the number of answers."""
        begin = max(least for least in BEGINS if least <= self.n_answered)
        following = [later for later in BEGINS if later > begin]
        return f"{begin} to {following[0] - 1}" if following else f"{begin} or more"


def people(kind: str, count: int, seed: int, motion: str) -> list[Person]:
    """Those who answered anything, of one archive."""
    with tempfile.TemporaryDirectory(prefix="abpipe-bench-") as folder:
        place, store = Path(folder, "made"), Path(folder, "store")
        made = synth(place, kind=kind, count=count, seed=seed, cheats=0.12, motion=motion)
        abpipe.ingest(made.archive, *made.truth.glob("instances*.json"), store=store)
        abpipe.derive("annotators", store=store)
        with abpipe.connect(store) as connection:
            rows = connection.execute(PEOPLE, [str(made.truth / "annotators.parquet")]).fetchall()
    return [Person(motion, *row) for row in rows]


def table(
    title: str, found: Sequence[Person], columns: Sequence[str], of: Callable[[Person], str]
) -> Table:
    """How many of each manner are flagged, in columns; and their mean weight."""
    shown = Table(title=title, box=box.MARKDOWN, title_justify="left", min_width=100)
    shown.add_column("manner")
    for name in (*columns, "mean weight"):
        shown.add_column(name, justify="right")
    for manner in sorted({one.manner for one in found}):
        alike = [one for one in found if one.manner == manner]
        cells = [[one for one in alike if of(one) == name] for name in columns]
        rates = [f"{sum(bool(p.flags) for p in cell)} of {len(cell)}" for cell in cells]
        shown.add_row(manner, *rates, f"{fmean(one.weight for one in alike):.2f}")
    return shown


def main() -> None:
    """Make the archives, and show the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=SIZES, default=[*SIZES])
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument(
        "--seed", type=int, default=401, help="the first one; no two archives share"
    )
    parser.add_argument("--part", type=float, default=1, help="of the usual size of an archive")
    options = parser.parse_args()
    console = Console(width=110)
    for kind in options.kinds:
        size, each = SIZES[kind]
        found: list[Person] = []
        for i in range(each * len(options.models)):
            motion = options.models[i % len(options.models)]
            found += people(kind, round(size * options.part), options.seed + i, motion)
        enough = [one for one in found if one.n_answered >= LEAST]
        title = f"Synthetic {kind}: flagged annotators of those with {LEAST} answers or more"
        console.print(table(title, enough, options.models, lambda one: one.motion))
        columns = sorted({one.column for one in found}, key=lambda name: int(name.split()[0]))
        title = f"Synthetic {kind}: flagged annotators by their answers, all models"
        console.print(table(title, found, columns, lambda one: one.column))
        alarms = Counter(flag for one in found if one.manner == "honest" for flag in one.flags)
        console.print(f"False alarms of honest ones: {dict(alarms)}\n")


if __name__ == "__main__":
    main()
