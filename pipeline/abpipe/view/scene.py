"""Scenes: what a picture shows of the store, before it is drawn.

Places are in pixels of the stored picture, times in ms since the panel's clock began.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from abpipe.errors import UnknownLayer

if TYPE_CHECKING:
    from PIL.Image import Image

Floats = npt.NDArray[np.float64]

Layer = Literal["trace", "clicks", "hull", "boxes", "truth", "dwell"]
LAYERS: tuple[Layer, ...] = get_args(Layer)

#: What a scene shows: one picture, some, or a page of the tool.
Kind: TypeAlias = Literal["record", "sheet", "page"]

#: From here on, the mouse rests: neighbours of a moving mouse are nearer in time.
REST_MS = 100


@dataclass(frozen=True)
class Visit:
    """A stretch of a trace: times, places, and how long the mouse stayed at each [n]."""

    t_ms: Floats
    x: Floats
    y: Floats
    dwell_ms: Floats

    def rests(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Where the mouse rested: x, y, since when and for how long [n], a place at a time."""
        moved = (np.diff(self.x) != 0) | (np.diff(self.y) != 0)
        first = np.flatnonzero(np.append(True, moved))
        stayed = np.add.reduceat(self.dwell_ms, first)
        long = stayed > REST_MS
        first = first[long]
        return self.x[first], self.y[first], self.t_ms[first], stayed[long]

    def until(self, t_ms: float) -> Visit:
        """The visit as far as it had come by a time, which is not before its first move."""
        n = int(np.searchsorted(self.t_ms, t_ms, "right"))
        stayed = np.minimum(self.dwell_ms[:n], t_ms - self.t_ms[:n])
        return Visit(self.t_ms[:n], self.x[:n], self.y[:n], stayed)


@dataclass(frozen=True)
class Action:
    """A click, or what was done to an icon; NaN where no place is recorded."""

    kind: str
    label: str
    t_ms: float
    x: float
    y: float
    x_from: float
    y_from: float


@dataclass(frozen=True)
class Answer:
    """Where a click or an icon ended up; one that was taken back is not final."""

    label: str
    x: float
    y: float
    is_final: bool


@dataclass(frozen=True)
class Box:
    """A box that a trace gives (trace, core), or that is known to be right (truth)."""

    kind: str
    label: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float


@dataclass(frozen=True)
class Panel:
    """One record on its picture; or a picture without a record, or an empty place."""

    title: str
    width: int
    height: int
    image_id: str = ""
    annotation_id: int | None = None
    class_name: str | None = None
    annotator: str | None = None
    page: int | None = None
    slot: int | None = None
    picture: Image | None = None
    is_selected: bool | None = None
    has_size: bool = False
    visits: tuple[Visit, ...] = ()
    actions: tuple[Action, ...] = ()
    answers: tuple[Answer, ...] = ()
    boxes: tuple[Box, ...] = ()
    hull: Floats = field(default_factory=lambda: np.empty((0, 2)))
    dwell: npt.NDArray[np.float32] | None = None

    @property
    def end_ms(self) -> float:
        """When its last event was."""
        times = [float(v.t_ms[-1] + v.dwell_ms[-1]) for v in self.visits]
        return max([0.0, *times, *(action.t_ms for action in self.actions)])

    def until(self, t_ms: float) -> Panel:
        """What had happened by a time: shorter visits, and icons where they lay then."""
        visits = [visit.until(t_ms) for visit in self.visits if visit.t_ms[0] <= t_ms]
        actions = [action for action in self.actions if action.t_ms <= t_ms]
        last = {action.label: action for action in actions}
        answers = [
            Answer(action.label, action.x, action.y, True)
            for action in last.values()
            if action.kind != "remove" and np.isfinite(action.x)
        ]
        return replace(self, visits=tuple(visits), actions=tuple(actions), answers=tuple(answers))

    @property
    def icons(self) -> tuple[Answer, ...]:
        """The answers that have a name."""
        return tuple(answer for answer in self.answers if answer.label)


@dataclass(frozen=True)
class Scene:
    """Panels, in rows of so many columns."""

    kind: Kind
    name: str
    title: str
    panels: tuple[Panel, ...]
    columns: int

    @property
    def rows(self) -> int:
        """How many rows the panels make."""
        return -(-len(self.panels) // self.columns)

    @property
    def end_ms(self) -> float:
        """When the last event of all was."""
        return max(panel.end_ms for panel in self.panels)


def layers(told: str | None, kind: Kind) -> tuple[Layer, ...]:
    """The layers of `trace,clicks`, or those that suit a kind of scene. Raises UnknownLayer."""
    if told is None:
        return LAYERS if kind == "record" else ("trace", "clicks", "truth")
    wanted = [name.strip() for name in told.split(",")]
    for name in wanted:
        if name not in LAYERS:
            raise UnknownLayer(name, LAYERS)
    return tuple(layer for layer in LAYERS if layer in wanted)


def seconds(ms: float) -> str:
    """A duration as it is read."""
    if ms >= 100_000:
        return f"{ms // 60_000:.0f} min {ms / 1000 % 60:.0f} s"
    return f"{ms / 1000:.2f} s" if ms < 10_000 else f"{ms / 1000:.0f} s"
