"""What the planted annotators do, as the truth and the archive tell."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from tests.synth.conftest import Told

from abpipe.cli import Motion
from abpipe.errors import UnknownMotion
from abpipe.synth import synth
from abpipe.synth.people import CHEATS


@pytest.mark.parametrize("kind", ["imagenet", "coco"])
def test_each_manner_is_acted_as_named(kind: str, tmp_path: Path, told: Told) -> None:
    made = synth(tmp_path, kind=kind, count=1500, seed=7, cheats=0.3, jobs=1)
    manner = {row["annotator_id"]: row["manner"] for row in told(made, "annotators")}
    assert set(manner.values()) == {"honest", *CHEATS}
    records, clicks = defaultdict(list), defaultdict(list)
    for row in told(made, "annotations"):
        records[manner[row["annotator_id"]]].append(row)
    for row in told(made, "clicks"):
        clicks[row["annotator_id"]].append((row["x"], row["y"]))
    spread = {
        person: float(np.nanstd(np.array(places, float)[:, 0])) for person, places in clicks.items()
    }
    (copier,) = [p for p in spread if manner[p] == "copy" and len(clicks[p]) > 30][:1]
    (guesser,) = [p for p in spread if manner[p] == "random" and len(clicks[p]) > 30][:1]
    assert spread[copier] < 0.12 < 0.2 < spread[guesser]
    time = "estimate_ms" if kind == "imagenet" else "time_spent_ms"
    slow, quick = (np.median([r[time] for r in records[m]]) for m in ("honest", "hurried"))
    assert quick < slow / 3
    seen = {m: np.mean([r["n_moves"] > 0 for r in rows]) for m, rows in records.items()}
    assert seen["traceless"] < 0.3 < 0.8 < seen["honest"]


def test_the_truth_names_every_annotator_once(tmp_path: Path, told: Told) -> None:
    made = synth(tmp_path, count=800, seed=1)
    people = [row["annotator_id"] for row in told(made, "annotators")]
    assert sorted(people) == sorted({row["annotator_id"] for row in told(made, "annotations")})


def test_an_unknown_motion_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownMotion) as caught:
        synth(tmp_path / "out", motion="robot")
    assert caught.value.motion == "robot"
    assert str(caught.value) == (
        "'robot' is no motion model. Choose one of: aimed, hasty, winding, drifting, darting"
    )
    assert [motion.value for motion in Motion] == [*caught.value.models]
