"""Memory-mapped targets: a folder of .npy files, written a piece of pictures at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from abpipe.contracts import classes
from abpipe.derived import ragged
from abpipe.derived.geometry import trace_hull
from abpipe.derived.maps import SIGMA, dwell_maps
from abpipe.lineage import text
from abpipe.targets.npy import NpyWriter
from abpipe.targets.selection import Progress, Selection
from abpipe.targets.split import parts

Array: TypeAlias = npt.NDArray[Any]
Arrays: TypeAlias = dict[str, Array]

PIECE_PICTURES = 1 << 16
PIECE_MOVES = 1 << 20
PIECE_CELLS = 1 << 24  # of heatmaps
COARSE_MS = 100  # steps of an anonymous trace's times


@dataclass(frozen=True)
class Spec:
    """One array: `shape` is that of a row, or of a value of a ragged one."""

    name: str
    dtype: str
    unit: str
    doc: str
    shape: tuple[int, ...] = ()
    offsets: str | None = None

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}.npy"

    @property
    def is_offsets(self) -> bool:
        """Whether it says where the rows of ragged arrays begin and end."""
        return self.name.endswith("_offsets")

    def entry(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """What targets.json is to say of it, but for its size and checksum."""
        about = {"file": self.file, "dtype": np.dtype(self.dtype).str, "shape": shape}
        about |= {"unit": self.unit, "doc": self.doc}
        return about | ({"offsets": self.offsets} if self.offsets else {})


def write(
    selection: Selection, folder: Path, progress: Progress | None = None
) -> dict[str, dict[str, Any]]:
    """Write all arrays into a folder; what targets.json is to say of each."""
    told = specs(selection)
    with ExitStack() as stack:
        files = {
            spec.name: stack.enter_context(
                NpyWriter(folder / spec.file, spec.dtype, spec.shape, spec.is_offsets)
            )
            for spec in told
        }
        for piece in pieces(selection, progress):
            for name, values in piece.items():
                files[name].append(values)
        for file in files.values():
            file.finish()
    return {spec.name: spec.entry(files[spec.name].shape) for spec in told}


def pieces(selection: Selection, progress: Progress | None = None) -> Iterator[Arrays]:
    """The arrays of all pictures, some at a time; in the place of offsets, how many there are."""
    for table in ("pictures", "places", "moves"):
        selection.make(table, text("targets", f"{table}.sql"))
    if selection.options.heatmap:
        selection.make("dwells", text("targets", "dwells.sql"))
    if selection.is_published:
        selection.make("published", text("targets", f"{_published(selection)}.sql"))
    counts = np.zeros(selection.rows, np.int64)
    found = selection.columns("SELECT row, count(*) AS n FROM moves GROUP BY row")
    counts[found["row"]] = found["n"]
    ranges = _ranges(counts, selection.options.heatmap or 1)
    for done, (begin, end) in enumerate(ranges, 1):
        yield _piece(selection, begin, end, counts[begin:end])
        if progress:
            progress("targets", len(ranges), done)


def specs(selection: Selection) -> list[Spec]:
    """The arrays of an export, in order."""
    options, many = selection.options, (80,) if selection.is_coco else ()
    places = "of the stored picture"
    ids = f"S{_longest(selection)}"
    whose = "the picture's label" if not selection.is_coco else "each class's icon"
    read = "as displayed, as the published loader reads it" if selection.is_published else places
    made = [
        Spec("image_ids", ids, "", "Picture of each row: UTF-8, sorted by bytes"),
        Spec(
            "click_xy", "<f4", f"fraction {read}", f"x, y of {whose}; NaN if not valid", (*many, 2)
        ),
        Spec("click_valid", "|b1", "", _validity(selection), many),
        Spec(
            "class_index",
            "<i4",
            "index into classes",
            "The picture's class; -1 is no class, or many: see label",
        ),
        Spec(
            "box_xyxy",
            "<f4",
            f"fraction {places}",
            "xmin, ymin, xmax, ymax: see image_targets; NaN if none",
            (4,),
        ),
        Spec("size_wh", "<i4", "px", "Width and height of the stored picture; 0 if unknown", (2,)),
        Spec(
            "weight", "<f4", "0 to 1", "How far to trust the click: see image_targets; NaN if none"
        ),
        Spec(
            "trace_xyt",
            "<f4",
            f"fraction {places}; ms",
            "x, y of every move, maybe outside of 0 to 1, and t since the record's first event "
            "(NaN if unknown); records of a picture one after another"
            + (f"; t in steps of {COARSE_MS} ms" if options.anonymous else ""),
            (3,),
            "trace_offsets",
        ),
        Spec(
            "trace_record",
            "<i4",
            "number, from 0",
            "Which record of the picture",
            (),
            "trace_offsets",
        ),
        _offsets("trace"),
        Spec(
            "hull_xy",
            "<f4",
            f"fraction {places}",
            "Corners of the convex hull of the trace, clipped; 1 is a point, 2 are a line",
            (2,),
            "hull_offsets",
        ),
        _offsets("hull"),
    ]
    if selection.is_coco:
        truth = "COCO's own annotations have it" if selection.has_truth else "its icon was placed"
        made.append(Spec("label", "|b1", "", f"Whether the picture has the class: {truth}", many))
    if selection.is_published and selection.is_coco:
        doc = "x, y as the published loader cuts them off; 0 if not valid"
        made.append(Spec("published_px", "<i4", "px", doc, (80, 2)))
    elif selection.is_published:
        doc = "click_xy, unrounded: the mean of the first clicks"
        made.append(Spec("published_xy", "<f8", "fraction as displayed", doc, (2,)))
    if options.heatmap:
        made += [
            Spec(
                "heatmap",
                "<f2",
                "share of the largest",
                "Where the mouse spent its time: rows from the top, blurred by "
                f"{SIGMA} of the diagonal; NaN if not valid",
                (options.heatmap, options.heatmap),
            ),
            Spec("heatmap_valid", "|b1", "", "Whether time was spent on the picture"),
        ]
    if options.split:
        names = ", ".join(f"{i} {name}" for i, name in enumerate(options.split))
        made.append(Spec("split", "|i1", "number, from 0", f"Part of the split: {names}"))
    return made


def _offsets(name: str) -> Spec:
    doc = f"Row i has the values of {name}_* from offset i to offset i + 1"
    return Spec(f"{name}_offsets", "<i8", "place, from 0", doc)


def _validity(selection: Selection) -> str:
    if selection.is_published:
        return "Whether there is a place, also outside of the picture"
    return "Whether there is a place, and it lies in the picture"


def _longest(selection: Selection) -> int:
    """Bytes of the longest image id."""
    (longest,) = selection.columns("SELECT max(strlen(image_id)) AS n FROM numbers")["n"]
    return max(1, int(longest))


def _published(selection: Selection) -> str:
    """The query of what the published loader keeps of a click."""
    return "pixels" if selection.is_coco else "means"


def _ranges(counts: npt.NDArray[np.int64], grid: int) -> list[tuple[int, int]]:
    """Ranges of pictures that are few, and so are their moves and the cells of their maps."""
    most = max(1, min(PIECE_PICTURES, PIECE_CELLS // grid**2))
    moves, begin = np.concatenate([[0], np.cumsum(counts)]), 0
    made = []
    while begin < len(counts):
        fits = int(np.searchsorted(moves, moves[begin] + PIECE_MOVES, "right")) - 1
        end = min(max(fits, begin + 1), begin + most, len(counts))
        made.append((begin, end))
        begin = end
    return made


def _piece(selection: Selection, begin: int, end: int, counts: npt.NDArray[np.int64]) -> Arrays:
    """The arrays of the pictures in a range."""

    def rows(table: str, order: str = "row") -> Arrays:
        query = f"FROM {table} WHERE row >= ? AND row < ? ORDER BY {order}"
        found = selection.columns(query, begin, end)
        return found | {"row": found["row"] - begin}

    n, options = end - begin, selection.options
    names = [name.encode() for name in rows("numbers")["image_id"].tolist()]
    pictures, places = rows("pictures"), rows("places")
    made = {
        "image_ids": np.array(names),
        "class_index": pictures["class_index"],
        "box_xyxy": np.stack([pictures[side] for side in ("xmin", "ymin", "xmax", "ymax")], 1),
        "size_wh": np.stack([pictures["width"], pictures["height"]], 1),
        "weight": pictures["weight"],
    }
    made |= _clicks(selection, n, places)
    if selection.is_published:
        made |= _as_published(n, rows("published"))
    trace = rows("moves", "row, annotation_id, seq")
    made |= _trace(trace, counts, COARSE_MS if options.anonymous else 0)
    made |= _hulls(made["trace_xyt"][:, :2].astype(float), counts)
    if options.heatmap:
        dwells = rows("dwells", "row, annotation_id, visit, place")
        made |= _heatmaps(dwells, made["size_wh"], options.heatmap)
    if options.split:
        made["split"] = parts(names, options.split)
    return made


def _clicks(selection: Selection, n: int, places: Arrays) -> Arrays:
    """The places of labels, in the rows of their pictures and the columns of their classes."""
    many = len(classes("coco")) if selection.is_coco else 1
    at = places["row"], places["k"]
    xy = np.full((n, many, 2), np.nan)
    xy[at] = np.stack([places["x"], places["y"]], 1)
    is_valid = ~np.isnan(xy) if selection.is_published else (xy >= 0) & (xy <= 1)  # NaN is not
    valid: Array = np.all(is_valid, -1)
    xy[~valid] = np.nan
    if not selection.is_coco:
        return {"click_xy": xy[:, 0], "click_valid": valid[:, 0]}
    label = np.zeros((n, many), bool)
    label[at] = places["is_true" if selection.has_truth else "is_placed"]
    return {"click_xy": xy, "click_valid": valid, "label": label}


def _as_published(n: int, places: Arrays) -> Arrays:
    """Places as the published loaders keep them."""
    xy = np.stack([places["x"], places["y"]], 1)
    if "k" in places:
        px = np.zeros((n, len(classes("coco")), 2), np.int32)
        px[places["row"], places["k"]] = xy
        return {"published_px": px}
    means = np.full((n, 2), np.nan)
    means[places["row"]] = xy
    return {"published_xy": means}


def _trace(moves: Arrays, counts: npt.NDArray[np.int64], step: int) -> Arrays:
    """The moves of pictures, and which record of the picture each is of."""
    t = moves["t"] if not step else np.floor(moves["t"] / step) * step
    row, record = moves["row"], moves["annotation_id"]
    begins = np.flatnonzero(np.diff(row, prepend=-1))
    changes = np.diff(record, prepend=-1) != 0
    number = np.cumsum(changes)
    number -= np.repeat(number[begins], counts[counts > 0])
    xyt = np.stack([moves["x"], moves["y"], t], 1)
    return {"trace_xyt": xyt, "trace_record": number, "trace_offsets": counts}


def _hulls(xy: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> Arrays:
    """The convex hull of each picture's moves, clipped to it."""
    whole = ragged.column(np.ones(len(counts)))
    x, y = (ragged.lists(ragged.column(xy[:, i]), counts) for i in range(2))
    hulls = trace_hull(x, y, whole, whole)
    corners = [hulls.field(name) for name in ("x", "y")]
    return {
        "hull_xy": np.stack([ragged.values(corner) for corner in corners], 1),
        "hull_offsets": ragged.lengths(corners[0]),
    }


def _heatmaps(dwells: Arrays, sizes: Array, grid: int) -> Arrays:
    """The dwell map of each picture, with a largest value of 1."""
    offsets = np.searchsorted(dwells["row"], np.arange(len(sizes) + 1))
    x, y, dwell = (dwells[name].astype(float) for name in ("x", "y", "dwell"))
    width, height = sizes.T.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):  # sizes that are not known are 0
        maps = dwell_maps(x, y, dwell, offsets, width, height, (grid, grid))
    valid = ~np.isnan(maps[:, 0, 0])
    return {"heatmap": maps / maps.max((1, 2), keepdims=True), "heatmap_valid": valid}
