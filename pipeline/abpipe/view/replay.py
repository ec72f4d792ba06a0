"""Replays: scenes in motion, as a GIF."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.transforms import Bbox
from PIL import Image

from abpipe.view import style
from abpipe.view.figure import Drawing, draw, layout, legend
from abpipe.view.pen import RAMP, Pen
from abpipe.view.scene import Layer, Panel, Scene

DPI = {"record": 90, "sheet": 72, "page": 64}
STEP_MS, FRAMES = 40, 300  # of a frame at least, and at most so many
HELD_MS = 2500  # that the whole is shown at the end
_REACH = 8  # pixels that marks reach beyond a panel
_MOVING: tuple[Layer, ...] = ("trace", "clicks")


def write(scene: Scene, layers: Collection[Layer], path: Path, speed: float) -> None:
    """Write a GIF that replays a scene, `speed` times as fast as it was, and ends with it all."""
    times, durations = _clock(scene, speed)
    figure = draw(scene, layers)
    figure.set_dpi(DPI[scene.kind])
    figure.canvas.draw()
    frames = chain(_frames(scene, layers, times), [whole := _grabbed(figure)])
    palette = _palette(first := next(frames), whole)
    shown = (
        frame.quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in chain([first], frames)
    )
    next(shown).save(
        path,
        format="GIF",
        save_all=True,
        append_images=shown,
        duration=[*durations, HELD_MS],
        loop=0,
    )


def _palette(first: Image.Image, whole: Image.Image) -> Image.Image:
    """A palette for all frames: the marks' own colours, and what is most in the first and last."""
    own = [*RAMP(np.linspace(0, 1, 32))[:, :3], *map(to_rgb, style.MARKS)]
    marks = (np.array(own) * 255).astype(np.uint8).ravel().tolist()
    both = Image.fromarray(np.hstack([np.asarray(one) for one in (first, whole)]))
    rest = both.quantize(256 - len(own)).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette(marks + rest[: 3 * 256 - len(marks)])
    return palette


def _clock(scene: Scene, speed: float) -> tuple[list[float], list[int]]:
    """When frames are, in ms of the scene, and how long each is shown, in ms.

    There is one where something happens, and none where nothing does.
    """
    happens = [action.t_ms for panel in scene.panels for action in panel.actions]
    for visit in (visit for panel in scene.panels for visit in panel.visits):
        happens += [*visit.t_ms.tolist(), float(visit.t_ms[-1] + visit.dwell_ms[-1])]
    step = max(STEP_MS * speed, scene.end_ms / FRAMES)
    ticks = np.unique([0, *np.ceil(np.array(happens) / step)])
    shown = np.round(np.append(ticks, ticks[-1] + 1) * step / speed / 10) * 10
    return (ticks * step).tolist(), np.diff(shown).astype(int).tolist()


def _frames(scene: Scene, layers: Collection[Layer], times: list[float]) -> Iterator[Image.Image]:
    with matplotlib.rc_context(style.SETTINGS):
        figure, pens = layout(scene)
        figure.set_dpi(DPI[scene.kind])
        still: tuple[Layer, ...] = tuple(layer for layer in layers if layer == "truth")
        for pen, panel in zip(pens, scene.panels, strict=True):
            pen.title(replace(panel, is_selected=None))  # it is not yet
            pen.draw(panel, still)
        legend(figure, scene, layers)
        canvas: Any = figure.canvas
        canvas.draw()
        spots = [canvas.copy_from_bbox(_around(pen)) for pen in pens]
        moving = tuple(layer for layer in layers if layer in _MOVING)
        before = -1.0
        for t_ms in times:
            for pen, panel, spot in zip(pens, scene.panels, spots, strict=True):
                if _is_busy(panel, before, t_ms):
                    canvas.restore_region(spot)
                    _add(pen, panel, moving, t_ms)
            before = t_ms
            yield _grabbed(figure)


def _is_busy(panel: Panel, since: float, until: float) -> bool:
    """Whether anything of a panel changes in a span of time, the mouse's leaving included."""
    acts = any(since < action.t_ms <= until for action in panel.actions)
    return acts or any(
        visit.t_ms[0] <= until and since <= visit.t_ms[-1] + visit.dwell_ms[-1]
        for visit in panel.visits
    )


def _add(pen: Pen, panel: Panel, layers: tuple[Layer, ...], t_ms: float) -> None:
    """Draw on the canvas what had happened by a time, and leave the axes as they were."""
    kept = {*pen.axis.get_children()}
    pen.draw(panel.until(t_ms), layers)
    pen.mouse(panel, t_ms)
    for artist in sorted({*pen.axis.get_children()} - kept, key=lambda artist: artist.zorder):
        pen.axis.draw_artist(artist)
        artist.remove()


def _around(pen: Pen) -> Bbox:
    box = pen.axis.get_window_extent()
    return Bbox(np.round(box.padded(_REACH).get_points()))


def _grabbed(figure: Drawing) -> Image.Image:
    """What is on a figure's canvas."""
    canvas: Any = figure.canvas
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
