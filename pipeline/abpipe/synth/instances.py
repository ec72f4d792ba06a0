"""COCO's own annotation file for the pictures of an archive: their objects, as they are drawn."""

from __future__ import annotations

from itertools import chain, count
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pyarrow.parquet as pq

from abpipe.contracts import classes
from abpipe.synth.coco import GROUPS
from abpipe.synth.shapes import Shape, outline

NAME = "instances_train2014.json"


def write(truth: Path) -> None:
    """Write the file beside the truth's tables `images` and `objects`, out of them."""
    index = {row["name"]: row for row in classes("coco")}
    numbers = count(1)
    with (truth / NAME).open("wb") as file:
        file.write(b'{"info": {"description": "synthetic", "year": 2014}, "images": [')
        _list(file, (_image(row) for row in _rows(truth / "images.parquet")))
        file.write(b'], "licenses": [')
        _list(file, [{"url": "http://example.org/licence", "id": 1, "name": "synthetic"}])
        file.write(b'], "annotations": [')
        objects = _rows(truth / "objects.parquet")
        _list(file, (_object(next(numbers), row, index[row["label"]]) for row in objects))
        file.write(b'], "categories": [')
        _list(file, map(_category, index.values()))
        file.write(b"]}")


def _rows(path: Path) -> Any:
    with pq.ParquetFile(path) as file:
        yield from chain.from_iterable(batch.to_pylist() for batch in file.iter_batches())


def _list(file: BinaryIO, elements: Any) -> None:
    for n, element in enumerate(elements):
        file.write(b", " * (n > 0) + orjson.dumps(element))


def _image(row: dict[str, Any]) -> dict[str, Any]:
    number = int(row["image_id"])
    name = f"COCO_train2014_{number:012d}.jpg"
    return {
        "license": 1,
        "file_name": name,
        "coco_url": f"http://images.example.org/train2014/{name}",
        "height": row["height"],
        "width": row["width"],
        "date_captured": "2013-11-14 16:28:13",
        "flickr_url": f"http://photos.example.org/{number}.jpg",
        "id": number,
    }


def _object(number: int, row: dict[str, Any], category: dict[str, Any]) -> dict[str, Any]:
    box = row["xmin"], row["ymin"], row["xmax"], row["ymax"]
    corners = outline(Shape(category["class_index"], box))
    return {
        "segmentation": [[round(side, 2) for side in chain.from_iterable(corners)]],
        "area": round(_area(corners), 4),
        "iscrowd": 0,
        "image_id": int(row["image_id"]),
        "bbox": [*box[:2], round(box[2] - box[0], 2), round(box[3] - box[1], 2)],
        "category_id": category["category_id"],
        "id": number,
    }


def _category(row: dict[str, Any]) -> dict[str, Any]:
    (group,) = (group for group, icons in GROUPS.items() if row["class_index"] in icons)
    return {"supercategory": group, "id": row["category_id"], "name": row["name"]}


def _area(corners: list[tuple[float, float]]) -> float:
    """The area of a polygon."""
    following = [*corners[1:], corners[0]]
    pairs = zip(corners, following, strict=True)
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairs)) / 2
