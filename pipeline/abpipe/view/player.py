"""Players: scenes as pages that replay, each a file on its own."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Collection
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from PIL import Image

from abpipe.lineage import text
from abpipe.view import style
from abpipe.view.scene import Layer, Panel, Scene

MARKS = {
    "click": style.CLICK,
    "hull": style.HULL,
    "core": style.CORE,
    "trace": style.BOX,
    "truth": style.TRUTH,
    "dwell": style.DWELL,
}
SPEEDS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 50)


def write(scene: Scene, layers: Collection[Layer], path: Path, speed: float) -> None:
    """Write the page of a scene, which plays it `speed` times as fast as it was."""
    told = {
        "kind": scene.kind,
        "end": scene.end_ms,
        "ramp": style.RAMP,
        "speed": speed,
        "speeds": sorted({*SPEEDS, speed}),
        "layers": list(layers),
        "panels": [_panel(panel) for panel in scene.panels],
    }
    data = orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    values = {
        "title": escape(scene.title),
        "css": style.css(),
        "marks": "".join(f"--{name}:{colour};" for name, colour in MARKS.items()),
        "columns": str(scene.columns),
        "data": data.replace("<", "\\u003c"),  # no text in it ends the script
    }
    page = re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], text("view", "player.html"))
    path.write_text(page, "utf-8")


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "title": panel.title,
        "width": panel.width,
        "height": panel.height,
        "selected": bool(panel.is_selected),
        "picture": None if panel.picture is None else _url(panel.picture, "JPEG"),
        "dwell": None if panel.dwell is None else _url(_overlay(panel), "PNG"),
        "hull": panel.hull.round(1).tolist(),
        "boxes": [asdict(box) for box in panel.boxes],
        "visits": [
            {"t": v.t_ms, "x": v.x.round(1), "y": v.y.round(1), "dwell": v.dwell_ms}
            | {"rests": np.column_stack(v.rests()).round(1).tolist()}
            for v in panel.visits
        ],
        "actions": [asdict(action) for action in panel.actions],
        "icons": list(dict.fromkeys(icon.label for icon in panel.icons)),
    }


def _overlay(panel: Panel) -> Image.Image:
    """The dwell map as a picture of one colour, more or less opaque."""
    assert panel.dwell is not None
    opaque = np.sqrt(panel.dwell / panel.dwell.max()) * 0.7 * 255
    colour = [int(style.DWELL[i : i + 2], 16) for i in (1, 3, 5)]
    full = np.broadcast_to(np.array(colour, np.uint8), (*panel.dwell.shape, 3))
    return Image.fromarray(np.dstack([full, opaque.astype(np.uint8)]))


def _url(picture: Image.Image, form: str) -> str:
    """A picture as a data URL. It has no EXIF, which browsers would follow."""
    memory = io.BytesIO()
    picture.save(memory, form, quality=85)
    return f"data:image/{form.lower()};base64,{base64.b64encode(memory.getvalue()).decode()}"
