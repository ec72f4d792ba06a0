from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from abpipe.errors import UnknownLayer
from abpipe.view import style
from abpipe.view.figure import Drawing, draw
from abpipe.view.records import Source, picture, sheet
from abpipe.view.scene import LAYERS, Answer, Panel, Scene, Visit, layers

CROWD = tuple(Answer(f"icon {n}", 300 + 9 * (n % 4), 200 + 7 * n, n % 5 > 0) for n in range(12))


def scene(*panels: Panel, kind: Any = "record", columns: int = 1) -> Scene:
    return Scene(kind, "9", "9", panels, columns)


def pixels(figure: Drawing) -> Any:
    return np.asarray(Image.open(io.BytesIO(figure._repr_png_())).convert("RGB"))


def texts(figure: Drawing) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def has(figure: Drawing, colour: str) -> bool:
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((np.abs(pixels(figure).astype(int) - wanted).max(axis=2) <= 2).any())


def test_a_figure_is_a_picture_of_its_own_in_a_notebook(samples: Path) -> None:
    figure = draw(picture(Source(samples), "n02950826_176"), LAYERS)
    assert pixels(figure).shape[:2] == tuple(
        (figure.get_size_inches()[::-1] * figure.dpi).astype(int)
    )
    said = texts(figure)
    assert "n02950826_176, cannon" in said
    assert sum(text.startswith("annotator ") for text in said) == 2
    assert {"core box", "trace box", "hull", "ground truth", "dwell map"} <= {*said}


@pytest.mark.parametrize(
    "layer, colour", [("clicks", style.CLICK), ("truth", style.TRUTH), ("boxes", style.CORE)]
)
def test_each_layer_is_drawn_where_it_is_asked_for(layer: Any, colour: str, samples: Path) -> None:
    found = picture(Source(samples), "n02950826_176")
    assert has(draw(found, [layer]), colour)
    assert not has(draw(found, ["trace", "dwell"]), colour)


def test_marks_are_where_they_are_on_the_picture() -> None:
    """A click at a place of a picture is drawn at that place of it."""
    half = Image.new("RGB", (200, 100), "#102030")
    half.paste((240, 250, 255), (100, 0, 200, 100))
    panel = Panel("", 400, 200, picture=half, answers=(Answer("cup", 100, 50, True),))
    figure = draw(scene(panel), ["clicks"])
    figure.canvas.draw()
    axis = figure.axes[0]
    height = pixels(figure).shape[0]
    for place, colour in [
        ((100, 50), style.CLICK),
        ((190, 150), "#102030"),
        ((210, 150), "#f0faff"),
    ]:
        column, row = axis.transData.transform(place)
        found = pixels(figure)[int(height - row), int(column)].tolist()
        assert found == pytest.approx([int(colour[i : i + 2], 16) for i in (1, 3, 5)], abs=3)


def test_names_of_icons_do_not_overlap() -> None:
    figure = draw(scene(Panel("", 640, 480, answers=CROWD)), ["clicks"])
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == len(CROWD)
    overlap = [
        (i, j) for i, a in enumerate(boxes) for j, b in enumerate(boxes[:i]) if a.overlaps(b)
    ]
    assert overlap == []
    picture = figure.axes[0].get_window_extent()
    assert all(picture.padded(1).contains(*corner) for b in boxes for corner in b.corners())


def test_what_is_taken_back_says_so() -> None:
    figure = draw(scene(Panel("", 640, 480, answers=CROWD[:2])), ["clicks"])
    assert {"1 icon 0, taken back", "2 icon 1", "taken back", "icon"} <= {*texts(figure)}


def test_the_legend_names_only_what_is_there() -> None:
    once = np.array([0.0, 400.0])
    visit = Visit(once, once, once, np.zeros(2))
    assert "start of a visit" in texts(draw(scene(Panel("", 640, 480, visits=(visit,))), LAYERS))
    assert {*texts(draw(scene(Panel("", 640, 480)), LAYERS))} == {"9", "0 s", "0.00 s"}


def test_panels_stand_in_a_grid_and_do_not_overlap(samples: Path) -> None:
    figure = draw(sheet(Source(samples), 7), layers(None, "sheet"))
    places = [axis.get_position() for axis in figure.axes if axis.get_title(loc="left")]
    assert len(places) == 7
    for one, other in pairwise(places):
        assert not one.overlaps(other)
        assert 0 <= one.x0 < one.x1 <= 1 and 0 <= one.y0 < one.y1 <= 1


@pytest.mark.parametrize("size", [(2000, 100), (100, 2000)], ids=["wide", "tall"])
def test_a_picture_of_any_shape_is_on_the_figure(size: tuple[int, int]) -> None:
    figure = draw(scene(Panel("annotator 0123456789 · selected", *size)), LAYERS)
    figure.canvas.draw()
    axis = figure.axes[0]
    box = axis.get_window_extent()
    assert box.width / box.height == pytest.approx(size[0] / size[1], rel=0.02)
    whole = figure.bbox
    assert whole.x0 <= box.x0 < box.x1 <= whole.x1 and whole.y0 <= box.y0 < box.y1 <= whole.y1
    title = next(t for t in figure.findobj(Text) if t.get_text().startswith("annotator"))
    assert title.get_window_extent().x1 <= whole.x1


def test_layers_are_chosen_by_name() -> None:
    assert layers(None, "record") == LAYERS
    assert layers(None, "page") == ("trace", "clicks", "truth")
    assert layers("dwell, trace", "page") == ("trace", "dwell")
    with pytest.raises(UnknownLayer) as error:
        layers("trace,nothing", "record")
    assert str(error.value) == (
        "'nothing' is nothing to draw. Choose among: trace,clicks,hull,boxes,truth,dwell"
    )
