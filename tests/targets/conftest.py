from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import pyarrow.parquet as pq
import pytest

import abpipe
from abpipe.contracts import classes
from abpipe.targets.reader import Targets

DATA = Path(__file__).parents[2] / "data"

Export: TypeAlias = Callable[..., Targets]


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of both samples, and of what COCO's own file would say of the second."""
    folder = tmp_path_factory.mktemp("samples")
    store = folder / "store"
    abpipe.ingest(DATA / "imagenet/imagenet_ab.tar.gz", store=store, jobs=1)
    abpipe.ingest(DATA / "coco/coco_ab.json", store=store, jobs=1)
    instances = folder / "instances_train2014.json"
    instances.write_bytes(orjson.dumps(coco_instances()))
    abpipe.ingest(instances, store=store, dataset="coco-ab", jobs=1)
    abpipe.derive("image_targets", "clicks_published", store=store, jobs=1)
    return store


def coco_instances() -> dict[str, Any]:
    """The sample's objects in the form of COCO's own annotations."""
    numbers = {row["class_id"]: row["category_id"] for row in classes("coco")}
    images = pq.read_table(DATA / "coco/truth/images.parquet").to_pylist()
    objects = pq.read_table(DATA / "coco/truth/objects.parquet").to_pylist()
    return {
        "images": [
            {
                "id": int(image["image_id"]),
                "width": image["width"],
                "height": image["height"],
                "file_name": f"COCO_train2014_{int(image['image_id']):012d}.jpg",
            }
            for image in images
        ],
        "annotations": [
            {
                "id": n,
                "image_id": int(one["image_id"]),
                "category_id": numbers[one["label"]],
                "bbox": [
                    one["xmin"],
                    one["ymin"],
                    one["xmax"] - one["xmin"],
                    one["ymax"] - one["ymin"],
                ],
                "area": 1.0,
                "iscrowd": 0,
                "segmentation": [],
            }
            for n, one in enumerate(objects, 1)
        ],
        "categories": [{"id": number, "name": name} for name, number in numbers.items()],
    }


@pytest.fixture(scope="session")
def export(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """`abpipe.export` of the samples (ImageNet's, unless told), opened; each is made once."""
    folder, made = tmp_path_factory.mktemp("exports"), dict[str, Targets]()

    def run(**options: Any) -> Targets:
        key = repr(options)
        if key not in made:
            out = folder / str(len(made))
            given: dict[str, Any] = {"store": samples, "dataset": "imagenet-ab"} | options
            abpipe.export(out, **given)
            made[key] = abpipe.open_targets(out)
        return made[key]

    return run
