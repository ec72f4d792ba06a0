"""Export: training targets, as a folder that is there whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from hashlib import file_digest
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import orjson

from abpipe import __version__
from abpipe.cluster import at
from abpipe.contracts import classes
from abpipe.durable import exchange, locked, sync, sync_all
from abpipe.errors import (
    BadGrid,
    CannotExport,
    HoldsNoPictures,
    InTheWay,
    NeedsExtra,
    PartInTheWay,
    UnknownForm,
)
from abpipe.remote import is_folded_url
from abpipe.store import LOCK, SPILL, TEMPORARY, open_store
from abpipe.targets import croissant
from abpipe.targets.pictures import find
from abpipe.targets.reader import ABOUT, FORMAT
from abpipe.targets.selection import (
    LARGEST_GRID,
    Options,
    Progress,
    Reading,
    Selection,
    selected,
    the_dataset,
)
from abpipe.targets.split import checked

#: The module of each form: its `write` puts files into a folder, and says what they hold.
FORMS = {
    "memmap": "abpipe.targets.memmap",
    "csv": "abpipe.targets.tables",
    "jsonl": "abpipe.targets.tables",
    "parquet": "abpipe.targets.tables",
    "webdataset": "abpipe.targets.webdataset",
    "hf": "abpipe.targets.hf",
    "coco": "abpipe.targets.coco",
    "tfrecord": "abpipe.targets.tfrecord",
}

#: The libraries that write forms, each installed by an extra of the form's name.
LIBRARIES = {"webdataset": "webdataset", "hf": "datasets", "tfrecord": "tfrecord"}

#: The forms that hold pictures, or the names of their files.
WITH_PICTURES = ("webdataset", "hf", "coco", "tfrecord")

#: Where an export is made, and where the earlier one goes.
MADE, BEFORE = "made", "before"


@dataclass(frozen=True)
class Exported:
    """What was written: into which folder, of how many pictures, and the shapes of its files.

    `missing` counts pictures that `images` has no file of.
    """

    folder: str
    form: str
    dataset: str
    rows: int
    arrays: dict[str, tuple[int, ...]]
    bytes: int
    missing: int = 0


def export(
    out: Path | str,
    *,
    form: str = "memmap",
    store: Path | str = "abstore",
    dataset: str | None = None,
    reading: Reading = "final",
    where: str | None = None,
    split: dict[str, float] | None = None,
    heatmap: int | None = None,
    anonymous: bool = False,
    images: Path | str | None = None,
    cluster: str | Executor | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write training targets of a dataset into the folder `out`.

    `form` is memmap, arrays that `open_targets` reads; csv, jsonl or parquet, a table with a row
    for every label of a picture: image_targets, with classes, sizes and the split; or, each by a
    library that an extra of its name installs, webdataset, hf or tfrecord, files of samples: the
    arrays' targets of a picture and, from the folder `images`, the picture itself; or coco,
    keypoints and boxes in COCO's own JSON. `reading` is how clicks are read: as they ended (final),
    or as the published loaders do. `where` is an SQL condition on a picture and one of its records
    (all columns of image_sizes, images and annotations, NULL for a picture without records): only
    records that meet it count, and pictures that have one. `split` names parts and their shares.
    `heatmap` adds dwell maps of so many rows and columns, at most 512. `anonymous` coarsens times;
    ids of annotators are never exported. An earlier export in `out` is replaced in one step. With
    `cluster` (see `abpipe.cluster`), derived tables that are missing are made there, and files of
    samples are written there; all else is written here.

    Raises InTheWay if `out` holds anything else, CannotExport if it cannot be written, BadQuery for
    a condition that DuckDB refuses, BadSplit, BadGrid, UnknownForm, NeedsDataset or NotFound for
    what is asked, NothingChosen if no picture is left, and NeedsInstances where the published COCO
    loader needs COCO's own annotations. NeedsExtra for a form whose library is not installed,
    HoldsNoPictures for one that has no place for `images`, NoPictures if that has none of them,
    UnreadablePicture for one that cannot be read. PartInTheWay for a part that its readers mistake.
    """
    _look_for_form(form, images is not None)
    folder, manifest = Path(out), open_store(store).manifest()
    shares = checked(split) if split else {}
    if heatmap is not None and not 1 <= heatmap <= LARGEST_GRID:
        raise BadGrid(heatmap, LARGEST_GRID)
    if form == "hf" and "all" in shares:  # `datasets` says so
        raise PartInTheWay(form, "all")
    options = Options(
        form,
        the_dataset(manifest, dataset),
        reading,
        where,
        shares,
        heatmap,
        anonymous,
        Path(images).absolute() if images else None,
    )
    _look_out(folder)
    try:
        with (
            at(cluster) if cluster else nullcontext() as elsewhere,
            _workshop(folder.resolve()) as place,
        ):
            made = place / MADE
            made.mkdir()
            with selected(store, options, place / SPILL, elsewhere) as selection:
                missing = find(selection, options.images) if options.images else 0
                module = import_module(FORMS[form])
                files = module.write(selection, made, progress)
                about = _about(selection, made, files)
                if hasattr(module, "fields"):
                    about["fields"] = module.fields(selection)
            if form in croissant.FORMS:
                (made / croissant.FILE).write_bytes(croissant.describe(made, about))
                about["croissant"] = croissant.FILE
            (made / ABOUT).write_bytes(orjson.dumps(about, option=orjson.OPT_INDENT_2))
            size = sum(path.stat().st_size for path in made.iterdir())
            _put(place, folder.resolve())
    except OSError as err:
        raise CannotExport(out, os.strerror(err.errno) if err.errno else str(err)) from err
    except duckdb.IOException as err:
        raise CannotExport(out, str(err)) from err
    shapes = {name: tuple(entry["shape"]) for name, entry in files.items()}
    return Exported(str(out), form, options.dataset, about["rows"], shapes, size, missing)


def _look_for_form(form: str, has_pictures: bool) -> None:
    """Whether a form can be written."""
    if form not in FORMS:
        raise UnknownForm(form, FORMS)
    if has_pictures and form not in WITH_PICTURES:
        raise HoldsNoPictures(form, WITH_PICTURES)
    if form in LIBRARIES and find_spec(LIBRARIES[form]) is None:
        raise NeedsExtra(form, LIBRARIES[form])


def _about(selection: Selection, folder: Path, files: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The content of targets.json: nothing in it depends on when or where it was written."""
    arrays = {}
    for name, entry in files.items():
        with (folder / entry["file"]).open("rb") as file:
            sha256 = file_digest(file, "sha256").hexdigest()
        size = (folder / entry["file"]).stat().st_size
        arrays[name] = entry | {"bytes": size, "sha256": sha256}
    sources = [
        {"name": s.name, "size": s.size, "sha256": s.sha256, "partial": s.partial}
        | {"options": s.options}
        for s in selection.manifest.sources
    ]
    return {
        "format": FORMAT,
        "written_by": f"abpipe {__version__}",
        "form": selection.options.form,
        "rows": selection.rows,
        "dataset": {"name": selection.options.dataset, **selection.about},
        "options": asdict(selection.options) | {"images": selection.options.images is not None},
        "arrays": arrays,
        "classes": list(classes(selection.about["tool"])),
        "sources": sources,
        "sql": selection.sql,
    }


def _look_out(folder: Path) -> None:
    """Refuse to replace what is no export, or more than that."""
    if is_folded_url(folder):
        raise CannotExport(folder, "an export goes to a folder of this machine, not to a URL")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InTheWay(folder)
    found = {path.name for path in folder.iterdir()}
    if found and ABOUT not in found:
        raise InTheWay(folder)
    for name in sorted(found - _names(folder)):
        raise InTheWay(folder / name)


def _names(folder: Path) -> set[str]:
    """The files of an earlier export."""
    try:
        about = orjson.loads((folder / ABOUT).read_bytes())
        files = {entry["file"] for entry in about["arrays"].values()}
        return {ABOUT, about.get("croissant", ABOUT), *files}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return set()


@contextmanager
def _workshop(folder: Path) -> Iterator[Path]:
    """A folder beside another, to make its new content in; another export to it is waited for."""
    place = folder.with_name(f".{folder.name}{TEMPORARY}")
    with locked(place / LOCK, folder):
        try:
            _sweep(place, folder)
            yield place
        finally:
            with suppress(OSError):
                _sweep(place, folder)
                (place / LOCK).unlink()
                place.rmdir()


def _sweep(place: Path, folder: Path) -> None:
    """Remove what is left in a workshop; an earlier export that was not replaced goes back."""
    if (place / BEFORE).exists() and not folder.exists():
        (place / BEFORE).replace(folder)
    for left in (MADE, BEFORE, SPILL):
        shutil.rmtree(place / left, ignore_errors=True)


def _put(place: Path, folder: Path) -> None:
    """Move the new folder to its place; an earlier one goes in the same step."""
    made, before = place / MADE, place / BEFORE
    sync_all(made)
    if not folder.exists():
        made.replace(folder)
    elif not exchange(made, folder):  # two steps, where there is no way to make it one
        folder.replace(before)
        try:
            made.replace(folder)
        except OSError:
            before.replace(folder)
            raise
    sync(folder.parent)
