from __future__ import annotations

import pickle  # noqa: TID251 - it is how workers get their dataset

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is an extra")

from abpipe.experiment import RandomPoints
from abpipe.targets.reader import Targets


def test_random_points_are_valid_where_real_ones_are_and_stay(targets: Targets) -> None:
    one, again, other = (RandomPoints(targets.folder, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(one["click_xy"], again["click_xy"], equal_nan=True)
    assert not np.array_equal(one["click_xy"], other["click_xy"], equal_nan=True)
    assert np.array_equal(np.isnan(one["click_xy"][:, 0]), ~targets["click_valid"])
    assert 0.4 < np.nanmean(one["click_xy"]) < 0.6 and np.nanstd(one["click_xy"]) > 0.25
    assert np.array_equal(one[[5]]["click_xy"], one["click_xy"][[5]], equal_nan=True)
    for name in ("class_index", "box_xyxy", "click_valid"):
        assert np.array_equal(one[name], targets[name], equal_nan=True)
    copy = pickle.loads(pickle.dumps(one))
    assert np.array_equal(copy["click_xy"], one["click_xy"], equal_nan=True)
