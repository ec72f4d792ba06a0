from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import abpipe
from abpipe.targets.reader import Targets

torch = pytest.importorskip("torch", reason="torch is an extra")

ROOT = Path(__file__).parents[2]


def test_the_recipe_of_the_readme_runs(samples: Path, tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(ROOT / "data")
    abpipe.export(tmp_path / "targets", store=samples, dataset="imagenet-ab")
    readme = (ROOT / "README.md").read_text("utf-8")
    (code,) = re.findall(r"^```python torch\n(.*?)^```", readme, re.M | re.S)
    assert len(code.splitlines()) < 30
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_targets_are_a_dataset_whose_batches_are_arrays(export: Callable[..., Targets]) -> None:
    targets = export()
    loader = torch.utils.data.DataLoader(targets, batch_size=50, num_workers=1, collate_fn=_same)
    batches: list[dict[str, Any]] = list(loader)
    assert [len(batch["click_xy"]) for batch in batches] == [50, 50, 20]
    found = np.concatenate([batch["click_xy"] for batch in batches])
    assert np.array_equal(found, targets["click_xy"], equal_nan=True)


def _same(batch: dict[str, Any]) -> dict[str, Any]:
    return batch
