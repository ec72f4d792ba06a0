"""The pen that draws what happened on a picture into axes of matplotlib."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Polygon, Rectangle
from matplotlib.patheffects import withStroke

from abpipe.view import style
from abpipe.view.labels import spread
from abpipe.view.scene import Kind, Layer, Panel

RAMP = LinearSegmentedColormap.from_list("abpipe", style.RAMP)
DWELL = LinearSegmentedColormap.from_list(
    "dwell", [(*to_rgb(style.DWELL), alpha) for alpha in (0, 0.4, 0.6, 0.7)]
)


class Pen:
    """Draws a panel on its axes; `scale` is 1 for a large one."""

    def __init__(self, axis: Axes, panel: Panel, end_ms: float, scale: float, kind: Kind) -> None:
        self.axis, self.scale, self.kind = axis, scale, kind
        self.time = Normalize(0, end_ms)
        axis.set(
            xlim=(0, panel.width), ylim=(panel.height, 0), xticks=[], yticks=[], aspect="equal"
        )
        axis.set_facecolor(style.LIGHT["panel"])
        axis.spines[:].set(visible=True, color=style.LIGHT["line"], linewidth=0.6)
        self.extent = (0, panel.width, panel.height, 0)
        if panel.picture is not None:
            axis.imshow(panel.picture, extent=self.extent, interpolation="antialiased", zorder=0)

    def title(self, panel: Panel) -> None:
        """Say above the panel what it shows."""
        size = 8 if self.scale > 0.7 else 6.5
        self.axis.set_title(
            panel.title, size=size, pad=3, weight="normal", color=style.LIGHT["muted"]
        )
        if panel.is_selected and self.kind == "page":
            self.axis.spines[:].set(color=style.CLICK, linewidth=1.6)

    def draw(self, panel: Panel, layers: Collection[Layer]) -> None:
        """Draw the layers of a panel."""
        for layer in layers:
            getattr(self, f"_{layer}")(panel)

    def _dwell(self, panel: Panel) -> None:
        if panel.dwell is not None:
            shown = panel.dwell / panel.dwell.max()
            self.axis.imshow(
                shown, extent=self.extent, cmap=DWELL, interpolation="bicubic", zorder=1
            )

    def _hull(self, panel: Panel) -> None:
        if len(panel.hull) > 2:
            face = (*to_rgb(style.HULL), 0.14)
            shape = Polygon(panel.hull, facecolor=face, edgecolor=style.HULL, linewidth=1)
            shape.set(zorder=2, path_effects=self._cased(1))
            self.axis.add_patch(shape)

    def _boxes(self, panel: Panel) -> None:
        self._rectangles(panel, "core", style.CORE, "-")
        self._rectangles(panel, "trace", style.BOX, (0, (1, 1)))

    def _truth(self, panel: Panel) -> None:
        self._rectangles(panel, "truth", style.TRUTH, (0, (5, 2)))
        named = {answer.label for answer in panel.icons}
        for box in panel.boxes:
            if box.kind == "truth" and box.label and box.label not in named:
                named.add(box.label)  # once is enough
                self._label(box.label, (box.xmin, box.ymin), style.TRUTH, ha="left", va="bottom")

    def _rectangles(self, panel: Panel, kind: str, colour: str, dashes: Any) -> None:
        for box in panel.boxes:
            if box.kind == kind:
                width = 1.6 * self.scale
                shape = Rectangle((box.xmin, box.ymin), box.xmax - box.xmin, box.ymax - box.ymin)
                shape.set(fill=False, edgecolor=colour, linewidth=width, linestyle=dashes, zorder=3)
                shape.set_path_effects(self._cased(width))
                self.axis.add_patch(shape)

    def _cased(self, width: float) -> list[Any]:
        if self.scale < 0.7:
            return []
        return [withStroke(linewidth=width + 1.4 * self.scale, foreground=(1, 1, 1, 0.7))]

    def _trace(self, panel: Panel) -> None:
        if not panel.visits:
            return
        width = 2.4 * self.scale
        ways = [np.column_stack([visit.x, visit.y]) for visit in panel.visits]
        casing = LineCollection(ways, colors=[(1, 1, 1, 0.9)], linewidths=width + 2 * self.scale)
        casing.set(capstyle="round", joinstyle="round", zorder=4)
        steps: Any = np.concatenate([np.stack([way[:-1], way[1:]], axis=1) for way in ways])
        times = np.concatenate([(v.t_ms[:-1] + v.t_ms[1:]) / 2 for v in panel.visits])
        lines = LineCollection(steps, array=times, cmap=RAMP, norm=self.time, linewidths=width)
        lines.set(capstyle="round", zorder=5)
        for lot in (casing, lines):
            self.axis.add_collection(lot, autolim=False)
        x, y, since, stayed = np.hstack([visit.rests() for visit in panel.visits])
        size = np.clip(stayed / 250 * 60, 34, 700)
        self._dots(x, y, size, c=since, cmap=RAMP, norm=self.time, edgecolors="w", zorder=6)
        starts = np.array([(v.x[0], v.y[0], v.t_ms[0]) for v in panel.visits])
        rims = RAMP(self.time(starts[:, 2]))
        self._dots(starts[:, 0], starts[:, 1], 22, facecolors="w", edgecolors=rims, zorder=6)

    def mouse(self, panel: Panel, t_ms: float) -> None:
        """Draw where the mouse is at a time, if it is on the picture."""
        for visit in panel.visits:
            if visit.t_ms[0] <= t_ms <= visit.t_ms[-1] + visit.dwell_ms[-1]:
                x, y = (np.interp(t_ms, visit.t_ms, places) for places in (visit.x, visit.y))
                self._dots([x], [y], 70, facecolors=style.BLACK, edgecolors="w", zorder=10)

    def _dots(self, x: Any, y: Any, size: Any, **how: Any) -> None:
        if not len(x):
            return
        area = np.asarray(size) * self.scale**2
        self.axis.scatter(x, y, s=area, linewidths=1.1 * self.scale, clip_on=False, **how)

    def _clicks(self, panel: Panel) -> None:
        self._moves(panel)
        clicks = [action for action in panel.actions if action.kind == "click"]
        for number, click in enumerate(clicks, 1):
            is_answer = any((a.x, a.y) == (click.x, click.y) for a in panel.answers)
            colours = {"facecolors": style.CLICK, "edgecolors": "w"}
            if not (is_answer and number == len(clicks)):
                colours = {"facecolors": "w", "edgecolors": style.CLICK}
            self._dots([click.x], [click.y], 110, zorder=8, **colours)
            if len(clicks) > 1 and self.scale > 0.5:
                ink = "w" if colours["edgecolors"] == "w" else style.CLICK
                text: dict[str, Any] = {"size": 7 * self.scale, "color": ink, "weight": "bold"}
                text |= {"ha": "center", "va": "center_baseline", "zorder": 9}
                self.axis.text(click.x, click.y, str(number), **text)
        self._icons(panel)

    def _moves(self, panel: Panel) -> None:
        for action in panel.actions:
            if action.kind == "drag":
                places = (action.x_from, action.y_from), (action.x, action.y)
                arrow = FancyArrowPatch(*places, arrowstyle="-|>", shrinkB=5)
                arrow.set_mutation_scale(10 * self.scale)
                arrow.set(color=style.CLICK, linewidth=1.3 * self.scale, linestyle=(0, (3, 1.5)))
                arrow.set(zorder=7, path_effects=self._cased(1.3))
                self.axis.add_patch(arrow)

    def _icons(self, panel: Panel) -> None:
        icons = panel.icons
        if not icons:
            return
        for icon in icons:
            colours = {"facecolors": style.CLICK, "edgecolors": "w"}
            if not icon.is_final:
                colours = {"facecolors": "w", "edgecolors": style.LIGHT["muted"]}
            self._dots([icon.x], [icon.y], 60, zorder=8, **colours)
        if self.kind == "record":
            self._names(panel)

    def _names(self, panel: Panel) -> None:
        """The icons' names, each beside its dot, in the order in which they came."""
        texts = [
            self._label(
                f"{number} {icon.label}" if icon.is_final else f"{number} {icon.label}, taken back",
                (icon.x, icon.y),
                style.LIGHT["ink"] if icon.is_final else style.LIGHT["muted"],
            )
            for number, icon in enumerate(panel.icons, 1)
        ]
        canvas: Any = self.axis.figure.canvas
        boxes = [text.get_window_extent(canvas.get_renderer()) for text in texts]
        to_display = self.axis.transData
        corner = to_display.transform((0, panel.height))
        bounds = to_display.transform((panel.width, 0)) - corner
        anchors = to_display.transform([text.get_position() for text in texts]) - corner
        sizes = np.array([(box.width, box.height) for box in boxes]) + 3
        gap = 5 * self.scale * self.axis.figure.dpi / 72
        middles = spread(anchors, sizes, tuple(bounds), gap) + corner
        for text, middle in zip(texts, to_display.inverted().transform(middles), strict=True):
            leader = Line2D(*np.transpose([text.get_position(), middle]), color=style.BLACK)
            leader.set(linewidth=0.8 * self.scale, zorder=7.5, path_effects=self._cased(0.8))
            self.axis.add_line(leader)
            text.set_position(middle)

    def _label(self, said: str, at: tuple[float, float], colour: str, **how: Any) -> Any:
        around = {"boxstyle": "round,pad=0.25", "facecolor": (1, 1, 1, 0.88), "edgecolor": "none"}
        where = {"ha": "center", "va": "center"} | how
        size = max(7.5 * self.scale, 5)
        return self.axis.text(*at, said, size=size, color=colour, bbox=around, zorder=9, **where)
