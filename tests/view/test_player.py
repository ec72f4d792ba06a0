from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from PIL import Image
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.support.ui import WebDriverWait

from abpipe.view import style
from abpipe.view.player import write
from abpipe.view.records import Source, page, picture
from abpipe.view.scene import LAYERS, Action, Answer, Panel, Scene

from .conftest import screen


def data(path: Path) -> Any:
    (told,) = re.findall(r"^const DATA = (.*);$", path.read_text("utf-8"), re.M)
    return orjson.loads(told)


def test_a_page_holds_all_that_it_plays(samples: Path, tmp_path: Path) -> None:
    scene = picture(Source(samples), "37467")
    write(scene, ["trace"], tmp_path / "a.html", 4)
    told, (panel,) = data(tmp_path / "a.html"), scene.panels
    assert (told["end"], told["speed"], told["layers"]) == (scene.end_ms, 4, ["trace"])
    (shown,) = told["panels"]
    assert [visit["t"] for visit in shown["visits"]] == [v.t_ms.tolist() for v in panel.visits]
    assert [a["label"] for a in shown["actions"]] == [a.label for a in panel.actions]
    assert shown["icons"] == [icon.label for icon in panel.icons]
    assert len(shown["boxes"]) == len(panel.boxes)


def test_a_page_asks_for_nothing(samples: Path, tmp_path: Path) -> None:
    write(picture(Source(samples), "37467"), LAYERS, tmp_path / "a.html", 1)
    text = (tmp_path / "a.html").read_text("utf-8")
    assert {*re.findall(r"https?://[^\"' ]*", text)} == {"http://www.w3.org/2000/svg"}
    assert not re.findall(r"{{|<link|<script src|@import|url\(", text)


def test_no_text_ends_the_script(tmp_path: Path) -> None:
    label = "</script><img src=x onerror=alert(1)>"
    action = Action("add", label, 5, 1, 1, np.nan, np.nan)
    panel = Panel(label, 10, 10, actions=(action,), answers=(Answer(label, 1, 1, True),))
    write(Scene("record", "a", label, (panel,), 1), LAYERS, tmp_path / "a.html", 1)
    text = (tmp_path / "a.html").read_text("utf-8")
    assert text.count("</script>") == 1 and "<img" not in text
    (shown,) = data(tmp_path / "a.html")["panels"]
    assert (shown["title"], shown["actions"][0]["x_from"]) == (label, None)


def test_pictures_are_in_the_page_without_exif(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20), "red").save(tmp_path / "a.jpg", exif=exif)
    with Image.open(tmp_path / "a.jpg") as file:
        panel = Panel("", 30, 20, picture=file.convert("RGB"), dwell=np.eye(2, dtype=np.float32))
    write(Scene("record", "a", "a", (panel,), 1), LAYERS, tmp_path / "a.html", 1)
    (shown,) = data(tmp_path / "a.html")["panels"]
    for name, form in (("picture", "JPEG"), ("dwell", "PNG")):
        head, _, body = shown[name].partition(",")
        assert head == f"data:image/{form.lower()};base64"
        with Image.open(io.BytesIO(base64.b64decode(body))) as found:
            assert (found.format, dict(found.getexif())) == (form, {})


def test_the_samples_pages_are_grids(samples: Path, tmp_path: Path) -> None:
    scene = page(Source(samples), "n02950826_176")
    write(scene, LAYERS, tmp_path / "a.html", 1)
    assert "--columns:8" in (tmp_path / "a.html").read_text("utf-8")
    assert len(data(tmp_path / "a.html")["panels"]) == 48


@pytest.mark.parametrize("speed", [1, 3])
def test_the_speed_asked_for_can_be_chosen(speed: float, tmp_path: Path) -> None:
    write(Scene("record", "a", "a", (Panel("", 10, 10),), 1), LAYERS, tmp_path / "a.html", speed)
    assert speed in data(tmp_path / "a.html")["speeds"]


def shown(window: Chrome, marks: str) -> int:
    """How many of some marks can be seen."""
    script = """return [...document.querySelectorAll(arguments[0])].filter(one =>
        getComputedStyle(one).visibility === "visible" &&
        getComputedStyle(one.closest("[class^=layer]")).display !== "none").length"""
    return int(window.execute_script(script, marks))


def now(window: Chrome) -> float:
    return float(window.find_element("id", "time").get_property("value"))  # type: ignore[arg-type]


def test_a_page_plays_and_is_driven_by_keys(window: Chrome, samples: Path, tmp_path: Path) -> None:
    scene = picture(Source(samples), "37467")
    write(scene, LAYERS, tmp_path / "a.html", 20)
    window.get((tmp_path / "a.html").as_uri())
    icons, lines = ".layer-clicks > g", ".layer-trace line"
    assert abs(now(window) - scene.end_ms) <= 1 and shown(window, icons) == 2
    whole = shown(window, lines)
    assert whole == 2 * sum(len(visit.t_ms) - 1 for visit in scene.panels[0].visits)

    body = window.find_element("tag name", "body")
    body.send_keys(Keys.HOME)
    assert (now(window), shown(window, lines), shown(window, icons)) == (0, 0, 0)
    body.send_keys(Keys.ARROW_RIGHT)
    body.send_keys(Keys.ARROW_RIGHT)
    second = now(window)
    assert 0 < second < scene.end_ms
    body.send_keys(Keys.ARROW_LEFT)
    assert now(window) < second

    body.send_keys(" ")
    assert window.find_element("id", "play").text == "Pause"
    WebDriverWait(window, 10).until(lambda page: now(page) > second + 500)
    body.send_keys(" ")
    paused = now(window)
    assert 0 < shown(window, lines) < whole or paused >= scene.end_ms - 1
    body.send_keys(Keys.END)
    window.find_element("xpath", "//label[contains(., 'trace')]/input").click()
    assert (shown(window, lines), shown(window, icons)) == (0, 2)
    assert len(window.find_elements("css selector", "#table tr")) == 1 + len(
        scene.panels[0].visits
    ) + len(scene.panels[0].actions)
    assert window.get_log("browser") == []  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("dark", [False, True], ids=["day", "night"])
@pytest.mark.parametrize("width", [360, 1280])
def test_a_page_fits_the_screen(
    width: int, dark: bool, window: Chrome, samples: Path, tmp_path: Path
) -> None:
    write(page(Source(samples), "n02950826_176"), LAYERS, tmp_path / "a.html", 1)
    screen(window, width, 800, dark)
    window.get((tmp_path / "a.html").as_uri())
    script = "return [document.documentElement.scrollWidth, getComputedStyle(document.body).color]"
    wide, ink = window.execute_script(script)
    assert wide <= width
    parts = [int((style.DARK if dark else style.LIGHT)["ink"][i : i + 2], 16) for i in (1, 3, 5)]
    assert ink == f"rgb({parts[0]}, {parts[1]}, {parts[2]})"
    assert window.get_log("browser") == []  # type: ignore[no-untyped-call]
