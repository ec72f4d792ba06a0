"""The verbs: a scene as a figure, or as a file of the kind that its name says."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from abpipe.errors import BadOutput, NeedsExtra, UnknownEnding
from abpipe.view import records, scene

if TYPE_CHECKING:
    from abpipe.view.figure import Drawing

ENDINGS = (".png", ".jpg", ".webp", ".svg", ".pdf", ".gif", ".html")


class Options(TypedDict, total=False):
    """What `show` and `save` take alike: see `show`."""

    store: Path | str
    dataset: str | None
    images: Path | str | None
    annotator: str | None
    page: bool
    sample: int | None
    where: str | None
    layers: str | None


def show(image_id: str | None = None, **options: Unpack[Options]) -> Drawing:
    """A matplotlib figure of what annotators did on a picture, which notebooks show.

    `image_id` may have any form that people have: a path, a file's name, a WebDataset key. Options:

    - store, dataset: where it is; the dataset only if the id is in several.
    - images: the folder of the pictures; without it, marks are on plain frames of their sizes.
    - annotator: only this one's record.
    - page: the whole page of the tool on which the picture was shown.
    - sample, where: instead of an id, so many pictures that meet an SQL condition (as `export`'s).
    - layers: what to draw, as `trace,clicks`, of trace, clicks, hull, boxes, truth and dwell.

    Raises NotFound for a picture or an annotator that the store does not hold, SeveralDatasets if
    `dataset` must tell, NoSize, NoPage, NothingChosen, BadQuery, UnknownLayer, MissingSource,
    NoPicture, NoPictures, BadPicture or OtherShape for what stands in the way, NeedsExtra without
    matplotlib.
    """
    _look_for_matplotlib("a figure")
    from abpipe.view.figure import draw

    return draw(*_scene(image_id, options))


def save(
    output: Path | str | None = None,
    image_id: str | None = None,
    speed: float = 1,
    **options: Unpack[Options],
) -> Path:
    """Write a picture of what annotators did, and tell where; options are those of `show`.

    The name of `output` says what it is: .png, .jpg, .webp, .svg, .pdf, .gif (a replay, `speed`
    times as fast as it was) or .html (a page that replays, and needs nothing else). Without one it
    is a PNG in the current folder that is called as the picture. Raises UnknownEnding, BadOutput,
    and what `show` does.
    """
    path = None if output is None else Path(output)
    ending = ".png" if path is None else path.suffix.lower()
    if ending not in ENDINGS:
        raise UnknownEnding(str(path), ENDINGS)
    if ending != ".html":
        _look_for_matplotlib(f"a {ending}")
    found, layers = _scene(image_id, options)
    path = path or Path(f"{found.name}.png")
    part = path.with_name(f".{path.name}.part")
    try:
        if ending == ".html":
            from abpipe.view import player

            player.write(found, layers, part, speed)
        elif ending == ".gif":
            from abpipe.view import replay

            replay.write(found, layers, part, speed)
        else:
            from abpipe.view import figure

            figure.write(found, layers, part, ending[1:])
        part.replace(path)
    except OSError as err:
        raise BadOutput(str(path), err.strerror or str(err)) from None
    finally:
        part.unlink(missing_ok=True)
    return path


def _scene(image_id: str | None, options: Options) -> tuple[scene.Scene, tuple[scene.Layer, ...]]:
    """The scene that is asked for, and what to draw of it."""
    images = options.get("images")
    source = records.Source(
        options.get("store", "abstore"), options.get("dataset"), Path(images) if images else None
    )
    if image_id is None:
        kind: scene.Kind = "sheet"
    else:
        kind = "page" if options.get("page") else "record"
    layers = scene.layers(options.get("layers"), kind)
    if image_id is not None:
        make = records.page if kind == "page" else records.picture
        return make(source, image_id, options.get("annotator")), layers
    if (sample := options.get("sample")) is None:
        raise TypeError("name a picture, or a sample of so many")
    return records.sheet(source, sample, options.get("where")), layers


def _look_for_matplotlib(what: str) -> None:
    if find_spec("matplotlib") is None:
        raise NeedsExtra(what, "matplotlib", "view")
