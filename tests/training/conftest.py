from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import abpipe
from abpipe.targets.geometry import View
from abpipe.targets.reader import Targets

DATA = Path(__file__).parents[2] / "data"

#: The samples' pictures.
PICTURES = {"imagenet-ab": DATA / "imagenet/images", "coco-ab": DATA / "coco/images"}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums of one thread are the same each time, and more would be slower on what is so small."""
    torch = pytest.importorskip("torch", reason="torch is an extra")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of both samples."""
    store = tmp_path_factory.mktemp("samples") / "store"
    sources = (DATA / "imagenet/imagenet_ab.tar.gz", DATA / "coco/coco_ab.json")
    abpipe.ingest(*sources, store=store, jobs=1)
    return store


@pytest.fixture(scope="session")
def export(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Targets]:
    """Targets of a sample with dwell maps, ImageNet's unless told; each is made once."""
    folder, made = tmp_path_factory.mktemp("exports"), dict[str, Targets]()

    def run(**options: Any) -> Targets:
        key = repr(options)
        if key not in made:
            out = folder / str(len(made))
            given: dict[str, Any] = {"dataset": "imagenet-ab", "heatmap": 8} | options
            abpipe.export(out, store=samples, **given)
            made[key] = abpipe.open_targets(out)
        return made[key]

    return run


@pytest.fixture(scope="session")
def targets(export: Callable[..., Targets]) -> Targets:
    return export(split={"train": 0.8, "val": 0.2})


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ImageNet's sample with small pictures, which are read at once."""
    folder = tmp_path_factory.mktemp("pictures")
    for file in PICTURES["imagenet-ab"].rglob("*.JPEG"):
        with Image.open(file) as picture:
            picture.draft("RGB", (80, 80))
            picture.resize((80, 60)).save(folder / file.name)
    return folder


class Left:
    """The left half of a picture, always."""

    def __call__(self, picture: Image.Image, _: np.random.Generator) -> tuple[Image.Image, View]:
        width, height = picture.size
        view = View.of(width, height).crop(0, 0, width // 2, height).resize(32, 32)
        return picture.crop((0, 0, width // 2, height)).resize((32, 32)), view


@pytest.fixture(scope="session")
def left() -> Left:
    return Left()
