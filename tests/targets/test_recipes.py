from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import abpipe

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
FOLDERS = {"webdataset": "shards", "hf": "folder", "coco": "coco", "tfrecord": "records"}


@pytest.mark.parametrize("form, folder", FOLDERS.items())
def test_the_recipe_of_the_readme_runs(
    form: str, folder: str, samples: Path, tmp_path: Path
) -> None:
    images = ROOT / "data/imagenet/images"
    abpipe.export(tmp_path / folder, form=form, store=samples, dataset="imagenet-ab", images=images)
    (code,) = re.findall(rf"^```python {form}\n(.*?)^```", README, re.M | re.S)
    environment = os.environ | {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env=environment)
