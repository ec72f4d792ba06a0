"""COCO's own JSON: a click is the one keypoint of a category, a box its box. For `pycocotools`."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import orjson

from abpipe import __version__
from abpipe.contracts import classes
from abpipe.targets.samples import Sample, samples
from abpipe.targets.selection import Progress, Selection

VISIBLE = 2


def write(
    selection: Selection, folder: Path, progress: Progress | None = None
) -> dict[str, dict[str, Any]]:
    """Write a file for each part of the split into a folder; what targets.json is to say of it."""
    files, numbers = dict[str, _File](), _has_numbers(selection)
    with ExitStack() as stack:
        for row, sample in enumerate(samples(selection, progress), 1):
            if sample.part not in files:
                path = folder / f"keypoints_{sample.part}.json"
                files[sample.part] = stack.enter_context(_File(path, selection))
            image_id = int(sample.image_id) if numbers else row
            files[sample.part].add(image_id, sample)
    return {name: file.entry for name, file in sorted(files.items())}


class _File:
    """A JSON file that is written image by image; annotations wait in a file of their own."""

    def __init__(self, path: Path, selection: Selection) -> None:
        self._path, self._selection = path, selection
        self._categories = categories(selection)
        self._images = self._annotations = 0

    def __enter__(self) -> _File:
        head = {"info": _info(self._selection), "licenses": _licences(self._selection)}
        self._file, self._waiting = self._path.open("wb"), TemporaryFile(dir=self._path.parent)
        self._file.write(orjson.dumps(head)[:-1] + b',"images":[')
        return self

    def __exit__(self, *_: object) -> None:
        with self._file, self._waiting:
            self._file.write(b'\n],"annotations":[')
            self._waiting.seek(0)
            shutil.copyfileobj(self._waiting, self._file)
            end = orjson.dumps(self._categories)
            self._file.write(b'\n],"categories":' + end + b"}\n")

    def add(self, image_id: int, sample: Sample) -> None:
        """Add an image and its annotations."""
        width, height = (int(side) or None for side in sample.targets["size_wh"])
        image = {
            "id": image_id,
            "file_name": _file_name(sample, self._selection),
            "width": width,
            "height": height,
            "category_ids": [self._categories[k]["id"] for k in _labels(sample)],
        }
        self._file.write(b",\n"[not self._images :] + orjson.dumps(image))
        self._images += 1
        for k, found in annotated(sample):
            number = {"id": self._annotations + 1, "image_id": image_id}
            whole = number | {"category_id": self._categories[k]["id"]} | found
            self._waiting.write(b",\n"[not self._annotations :] + orjson.dumps(whole))
            self._annotations += 1

    @property
    def entry(self) -> dict[str, Any]:
        """What targets.json is to say of it."""
        return {"file": self._path.name, "shape": (self._images, self._annotations)}


def annotated(sample: Sample) -> Iterator[tuple[int, dict[str, Any]]]:
    """The annotations of a picture of known size, each with the index of its class.

    Keypoints are pixels' indices, as COCO's are, boxes are pixels from the top left corner. Without
    a click there is a box alone; without a box, the click is one, of width and height 0.
    """
    targets, size = sample.targets, sample.targets["size_wh"].astype(float)
    if not size.all():
        return
    box = targets["box_xyxy"].astype(float).reshape(2, 2) * size
    clicks = targets["click_xy"].astype(float).reshape(-1, 2)
    for k in _labels(sample):
        xy = clicks[k if len(clicks) > 1 else 0]
        has_click, has_box = not np.isnan(xy).any(), len(clicks) == 1 and not np.isnan(box).any()
        if not has_click and not has_box:
            continue
        corner, far = box if has_box else (xy * size, xy * size)
        pixel = np.minimum(np.floor(xy * size), size - 1).astype(int) if has_click else (0, 0)
        yield (
            k,
            {
                "keypoints": [*map(int, pixel), VISIBLE if has_click else 0],
                "num_keypoints": int(has_click),
                "bbox": [*corner.tolist(), *(far - corner).tolist()],
                "area": float(np.prod(far - corner)),
                "iscrowd": 0,
                "click_xy": xy.tolist() if has_click else None,
                "weight": float(targets["weight"]),
            },
        )


def categories(selection: Selection) -> list[dict[str, Any]]:
    """The classes in the order of their indices: COCO's own ids, or 1 and on."""
    return [
        {
            "id": row["category_id"] or index,
            "name": row["class_id"],
            "supercategory": "",
            "description": row["name"],
            "keypoints": ["click"],
            "skeleton": [],
        }
        for index, row in enumerate(classes(selection.about["tool"]), 1)
    ]


def _labels(sample: Sample) -> list[int]:
    """The indices of a picture's classes: those it has, or an icon was placed of."""
    targets = sample.targets
    if "label" not in targets:
        k = int(targets["class_index"])
        return [k] if k >= 0 else []
    found: list[int] = np.flatnonzero(targets["label"] | targets["click_valid"]).tolist()
    return found


def _has_numbers(selection: Selection) -> bool:
    """Whether image ids can stand as COCO's numbers."""
    query = "SELECT bool_and(regexp_full_match(image_id, '[1-9][0-9]{0,15}')) FROM numbers"
    ((has,),) = selection.connection.execute(query).fetchall()
    return bool(has)


def _file_name(sample: Sample, selection: Selection) -> str:
    """Where a picture lies in the folder of pictures, or in the published ones."""
    if sample.file and selection.options.images:
        return sample.file.relative_to(selection.options.images).as_posix()
    if selection.is_coco and sample.image_id.isdecimal():
        return f"COCO_train2014_{sample.image_id:0>12}.jpg"
    if found := re.fullmatch(r"(n\d{8})_\d+", sample.image_id):
        return f"{found[1]}/{sample.image_id}.JPEG"
    return sample.image_id


def _info(selection: Selection) -> dict[str, str]:
    about = selection.about
    return {
        "description": about.get("title", selection.options.dataset),
        "url": about.get("homepage", ""),
        "version": f"abpipe {__version__}",
        "citation": about.get("citation", ""),
    }


def _licences(selection: Selection) -> list[dict[str, Any]]:
    """The byproducts' licence; no image names it, for it is not the pictures'."""
    licence = selection.about.get("licence")
    return [{"id": 1, "name": licence, "url": ""}] if licence else []
