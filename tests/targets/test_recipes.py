from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import abpipe

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")

#: What each recipe of the README reads: the form of an export, and its folder.
READS = {
    "jax": ("memmap", "targets"),
    "webdataset": ("webdataset", "shards"),
    "hf": ("hf", "folder"),
    "tfrecord": ("tfrecord", "records"),
    "tensorflow": ("tfrecord", "records"),
    "coco": ("coco", "coco"),
}
LARGE = ("jax", "tensorflow")  # not installed with the tests


@pytest.mark.parametrize("recipe", READS)
def test_the_recipe_of_the_readme_runs(recipe: str, samples: Path, tmp_path: Path) -> None:
    if recipe in LARGE and find_spec(recipe) is None:
        pytest.skip(f"{recipe} is large: `make test-all` installs it")
    form, folder = READS[recipe]
    images = None if form == "memmap" else ROOT / "data/imagenet/images"
    abpipe.export(tmp_path / folder, form=form, store=samples, dataset="imagenet-ab", images=images)
    (code,) = re.findall(rf"^```python {recipe}\n(.*?)^```", README, re.M | re.S)
    environment = os.environ | {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env=environment)
