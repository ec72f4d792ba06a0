"""Figures: scenes drawn by matplotlib, for notebooks and for PNG, SVG and PDF."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from abpipe.view import style
from abpipe.view.pen import RAMP, Pen
from abpipe.view.scene import Layer, Panel, Scene, seconds

DPI = 144
LOSSY = ("jpg", "webp")
#: Inches: how wide a panel is by how many stand abreast, or by what is shown; and what is around.
ABREAST = {1: 6.4, 2: 4.6, 3: 3.6}
WIDTHS = {"sheet": 2.3, "page": 1.25}
EDGE, GAP, TITLE, HEAD, FOOT = 0.14, 0.16, 0.22, 0.32, 0.5
NARROW, LEAST = 3, 5  # a panel with its title, and a figure
MARK = 1.15  # of an entry of the legend
BAR, LETTER = 1.8, 0.088  # of what the colours of time take, and of a letter of the title


class Drawing(Figure):
    """A figure that a notebook shows, with or without pyplot."""

    def _repr_png_(self) -> bytes:
        memory = io.BytesIO()
        self.savefig(memory, format="png", dpi=DPI)
        return memory.getvalue()


def draw(scene: Scene, layers: Collection[Layer]) -> Drawing:
    """The figure of a scene."""
    with matplotlib.rc_context(style.SETTINGS):
        figure, pens = layout(scene)
        for pen, panel in zip(pens, scene.panels, strict=True):
            pen.title(panel)
            pen.draw(panel, layers)
        legend(figure, scene, layers)
    return figure


def write(scene: Scene, layers: Collection[Layer], path: Path, form: str) -> None:
    """Write the figure of a scene; the same scene gives the same bytes."""
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form)
    figure = draw(scene, layers)
    with matplotlib.rc_context(style.SETTINGS):
        how: dict[str, Any] = {"pil_kwargs": {"quality": 90}} if form in LOSSY else {}
        figure.savefig(path, format=form, dpi=DPI, metadata=undated, **how)


def layout(scene: Scene) -> tuple[Drawing, list[Pen]]:
    """A figure with its head, and a pen for each panel."""
    width = WIDTHS.get(scene.kind) or ABREAST[scene.columns]
    heights, scale = _heights(scene, width), max(0.6, (width / ABREAST[1]) ** 0.5)
    if scene.kind == "record":  # panels of one picture, which may be tall
        one = scene.panels[0]
        width = min(width, max(heights[0] * one.width / one.height, NARROW))
    across = 2 * EDGE + scene.columns * (width + GAP) - GAP
    wide, down = max(across, LEAST), HEAD + sum(heights) + scene.rows * (TITLE + GAP) + FOOT
    figure = Drawing(figsize=(wide, down), dpi=DPI)
    FigureCanvasAgg(figure)
    pens = []
    for i, panel in enumerate(scene.panels):
        row, column = divmod(i, scene.columns)
        top = down - HEAD - sum(heights[:row]) - row * GAP - (row + 1) * TITLE
        left = (wide - across) / 2 + EDGE + column * (width + GAP)
        rect = (left / wide, (top - heights[row]) / down, width / wide, heights[row] / down)
        end = panel.end_ms if scene.kind == "sheet" else scene.end_ms
        axis = figure.add_axes(rect, anchor="NW")
        pens.append(Pen(axis, panel, max(end, 1), scale, scene.kind))
    _head(figure, scene, down)
    return figure, pens


def _heights(scene: Scene, width: float) -> list[float]:
    """How high each row of panels is, in inches: as its highest panel, up to a square."""
    shapes = [min(panel.height / panel.width, 1) for panel in scene.panels]
    rows = range(0, len(shapes), scene.columns)
    return [width * max(shapes[row : row + scene.columns]) for row in rows]


def _head(figure: Drawing, scene: Scene, down: float) -> None:
    """The title, and what the colours of time mean."""
    wide = figure.get_figwidth()
    top = 1 - 0.2 / down
    most = int((wide - 2 * EDGE - BAR) / LETTER)
    title = scene.title if len(scene.title) <= most else f"{scene.title[: most - 1]}…"
    figure.text(EDGE / wide, top, title, size=9, weight="bold", va="center")
    bar = figure.add_axes((1 - (EDGE + 1.25) / wide, top - 0.035 / down, 0.8 / wide, 0.07 / down))
    bar.imshow(np.linspace(0, 1, 256)[None], aspect="auto", cmap=RAMP)
    bar.set_axis_off()
    begin, end = ("begin", "end") if scene.kind == "sheet" else ("0 s", seconds(scene.end_ms))
    small: dict[str, Any] = {
        "size": 7,
        "va": "center",
        "color": style.LIGHT["muted"],
        "transform": bar.transAxes,
    }
    bar.text(-0.06, 0.45, begin, ha="right", **small)
    bar.text(1.06, 0.45, end, ha="left", **small)


def legend(figure: Figure, scene: Scene, layers: Collection[Layer]) -> None:
    """Say below what the marks mean that are there."""
    handles = [handle for layer in layers for handle in _handles(scene.panels, layer)]
    if handles:
        rows = -(-len(handles) * MARK // (figure.get_figwidth() - EDGE))
        figure.legend(
            handles=handles,
            loc="lower center",
            ncols=-(-len(handles) // rows),
            fontsize=7,
            handlelength=1.6,
            columnspacing=1.4,
            borderaxespad=0.6,
        )


def _handles(panels: tuple[Panel, ...], layer: Layer) -> Iterator[Any]:
    boxes = {box.kind for panel in panels for box in panel.boxes}
    if layer == "dwell" and any(panel.dwell is not None for panel in panels):
        yield Patch(color=(*to_rgb(style.DWELL), 0.7), label="dwell map")
    if layer == "hull" and any(len(panel.hull) > 2 for panel in panels):
        yield Patch(facecolor=(*to_rgb(style.HULL), 0.3), edgecolor=style.HULL, label="hull")
    if layer == "boxes" and "core" in boxes:
        yield Line2D([], [], color=style.CORE, label="core box")
    if layer == "boxes" and "trace" in boxes:
        yield Line2D([], [], color=style.BOX, linestyle=(0, (1, 1)), label="trace box")
    if layer == "truth" and "truth" in boxes:
        yield Line2D([], [], color=style.TRUTH, linestyle=(0, (5, 2)), label="ground truth")
    visits = [visit for panel in panels for visit in panel.visits]
    if layer == "trace" and visits:
        dot: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": RAMP(0.45)}
        yield Line2D([], [], **dot, markerfacecolor="w", markersize=4, label="start of a visit")
        if any(len(visit.rests()[0]) for visit in visits):
            yield Line2D([], [], **dot, markersize=6, label="rest, by its length")
    if layer == "clicks":
        yield from _click_handles(panels)


def _click_handles(panels: tuple[Panel, ...]) -> Iterator[Any]:
    dot: dict[str, Any] = {
        "linestyle": "none",
        "marker": "o",
        "markersize": 6,
        "color": style.CLICK,
    }
    actions = [action for panel in panels for action in panel.actions]
    answers = [answer for panel in panels for answer in panel.answers]
    clicks = sum(action.kind == "click" for action in actions)
    if clicks:
        yield Line2D([], [], **dot, label="final click")
    if clicks > sum(not answer.label for answer in answers):
        yield Line2D([], [], **dot, markerfacecolor="w", label="click before, or undone")
    if any(answer.label and answer.is_final for answer in answers):
        yield Line2D([], [], **dot, label="icon")
    if any(action.kind == "drag" for action in actions):
        yield Line2D([], [], color=style.CLICK, linestyle=(0, (3, 1.5)), label="moved")
    if any(not answer.is_final for answer in answers):
        grey: dict[str, Any] = dot | {"color": style.LIGHT["muted"]}
        yield Line2D([], [], **grey, markerfacecolor="w", label="taken back")
