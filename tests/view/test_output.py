from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from PIL import Image

import abpipe.view
from abpipe.errors import BadOutput, NeedsExtra, UnknownEnding
from abpipe.view import output

Run: TypeAlias = Callable[..., tuple[int, str, str]]

PICTURES = Path(__file__).parents[2] / "data" / "imagenet" / "images"
STARTS = {
    ".png": b"\x89PNG",
    ".jpg": b"\xff\xd8\xff",
    ".webp": b"RIFF",
    ".svg": b"<?xml",
    ".pdf": b"%PDF",
    ".gif": b"GIF89a",
    ".html": b"<!doctype html>",
}


@pytest.fixture
def both(samples: Path, store: Path) -> Path:
    """The test's store holds both samples."""
    return Path(shutil.copytree(samples, store))


@pytest.mark.usefixtures("both")
def test_show_writes_a_picture_called_as_it_is_and_says_where(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = PICTURES / "n02086910" / "n02086910_104.JPEG"
    assert run("show", name, "--images", PICTURES) == (0, "n02086910_104.png\n", "")
    with Image.open("n02086910_104.png") as shown:
        assert shown.width > 600
    assert run("show", "--sample", 2, "--where", "selected", "-q") == (0, "", "")
    assert run("show", "n02086910_104", "--page") == (0, "n02086910_104-page.png\n", "")
    left = {path.name for path in tmp_path.iterdir()} - {"store"}
    assert left == {"n02086910_104.png", "n02086910_104-page.png", "sample.png"}


@pytest.mark.parametrize("ending", output.ENDINGS)
def test_a_files_name_says_what_it_is_and_its_bytes_are_the_same_each_time(
    ending: str, samples: Path, tmp_path: Path
) -> None:
    made = [tmp_path / f"{name}{ending.upper()}" for name in "ab"]
    for path in made:
        assert abpipe.view.save(path, "n02086910_104", store=samples, layers="trace") == path
    assert made[0].read_bytes().startswith(STARTS[ending])
    assert made[0].read_bytes() == made[1].read_bytes()


def test_show_answers_with_a_figure(samples: Path) -> None:
    figure = abpipe.view.show("n02086910_104", store=samples, images=str(PICTURES))
    assert figure._repr_png_().startswith(STARTS[".png"])
    assert len(figure.axes[0].images) == 2  # the picture, and the dwell map
    assert "matplotlib.pyplot" not in repr(type(figure).__mro__)


def test_another_ending_is_told(samples: Path) -> None:
    with pytest.raises(UnknownEnding) as error:
        abpipe.view.save("a.bmp", "n02086910_104", store=samples)
    assert str(error.value) == (
        "a.bmp: its name says no kind of picture. End it in one of: "
        ".png, .jpg, .webp, .svg, .pdf, .gif, .html"
    )


@pytest.mark.parametrize("ending", [".png", ".gif", ".html"])
def test_what_cannot_be_written_is_told_and_leaves_nothing(
    ending: str, samples: Path, tmp_path: Path
) -> None:
    path = tmp_path / f"folder{ending}"
    (path / "full").mkdir(parents=True)
    with pytest.raises(BadOutput) as error:
        abpipe.view.save(path, "n02086910_104", store=samples, layers="clicks")
    assert str(error.value) == (
        f"{path} cannot be written: Is a directory. Choose another place: `-o FILE`"
    )
    assert [*tmp_path.iterdir()] == [path]


def test_without_matplotlib_pages_are_made_and_pictures_say_what_to_install(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "find_spec", lambda _: None)
    with pytest.raises(NeedsExtra) as error:
        abpipe.view.save(tmp_path / "a.png", "n02086910_104", store=samples)
    assert str(error.value) == (
        "a .png needs the library matplotlib, which is not installed. "
        "Install it: `pip install 'abpipe[view]'`"
    )
    with pytest.raises(NeedsExtra):
        abpipe.view.show("n02086910_104", store=samples)
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    assert abpipe.view.save(tmp_path / "a.html", "n02086910_104", store=samples).is_file()


@pytest.mark.parametrize(
    "line",
    [
        (),
        ("n1_1", "--sample", 3),
        ("n1_1", "--where", "selected"),
        ("--sample", 3, "--page"),
        ("--sample", 0),
        ("n1_1", "--speed", 0),
    ],
)
def test_wrong_usage_is_told(line: tuple[object, ...], run: Run) -> None:
    code, out, err = run("show", *line)
    assert (code, out) == (2, "")
    assert "Usage:" in err


def test_python_needs_a_picture_or_a_sample(samples: Path) -> None:
    with pytest.raises(TypeError, match="name a picture, or a sample of so many"):
        abpipe.view.show(store=samples)
