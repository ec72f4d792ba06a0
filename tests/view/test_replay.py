from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from abpipe.view.records import Source, picture
from abpipe.view.replay import HELD_MS, write
from abpipe.view.scene import LAYERS, Action, Answer, Panel, Scene, Visit

T = np.arange(0, 1000, 20.0)
WAY = Visit(T, 5 + T / 12, np.full(50, 50.0), np.full(50, 20.0))
CLICK = Action("click", "", 3000, 90, 50, np.nan, np.nan)
PANEL = Panel("", 100, 100, visits=(WAY,), actions=(CLICK,), answers=(Answer("", 90, 50, True),))
SCENE = Scene("record", "a", "a", (PANEL,), 1)


def frames(path: Path) -> tuple[list[Image.Image], list[int]]:
    with Image.open(path) as gif:
        found, shown = [], []
        for number in range(gif.n_frames):  # type: ignore[attr-defined]
            gif.seek(number)
            found.append(gif.convert("RGB"))
            shown.append(gif.info["duration"])
        return found, shown


@pytest.mark.parametrize("speed", [1, 4])
def test_a_replay_takes_as_long_as_it_took(speed: float, tmp_path: Path) -> None:
    write(SCENE, LAYERS, tmp_path / "a.gif", speed)
    _, shown = frames(tmp_path / "a.gif")
    assert sum(shown) - HELD_MS == pytest.approx(3000 / speed, abs=60)
    assert max(shown[:-1]) > 1900 / speed  # nothing happens between the way and the click


def test_marks_come_when_they_happened_and_stay(tmp_path: Path) -> None:
    write(SCENE, ("trace", "clicks"), tmp_path / "a.gif", 1)
    found, shown = frames(tmp_path / "a.gif")
    begins = np.cumsum([0, *shown])
    inked = [int((np.asarray(frame) != np.asarray(found[-1])).any(axis=2).sum()) for frame in found]
    assert inked[-1] == 0
    early, late = np.searchsorted(begins, [300, 900])
    assert inked[0] > inked[early] > inked[late] > inked[-1]


def test_the_end_is_the_whole_picture(samples: Path, tmp_path: Path) -> None:
    scene = picture(Source(samples), "37467")
    write(scene, LAYERS, tmp_path / "a.gif", 20)
    found, shown = frames(tmp_path / "a.gif")
    assert shown[-1] == HELD_MS
    assert len({frame.size for frame in found}) == 1
    orange = (np.abs(np.asarray(found[-1]).astype(int) - (0xD5, 0x5E, 0)).max(axis=2) < 9).sum()
    assert orange > 50  # the icons keep their colour
