from __future__ import annotations

import numpy as np
import pytest

ndimage = pytest.importorskip("scipy.ndimage", reason="scipy is an extra")

from abpipe.derived.map_boxes import STEPS, _boxes_of, max_box_acc


def test_the_box_is_around_the_largest_part_at_the_best_threshold_for_all() -> None:
    maps = np.zeros((2, 64, 64), np.float32)
    maps[:, :32, :32], maps[0, 40:44, 40:44] = 0.6, 1.0  # a small bright part beside a large one
    both, boxes = np.array([0, 1, 2]), np.array([[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.5]])
    # the first map's largest part is the object up to 0.6, the second's throughout
    assert max_box_acc(maps, boxes, both) == (1, 0.01)
    small = np.array([[40, 40, 44, 44], [0, 0, 32, 32]]) / 64
    assert max_box_acc(maps, small, both) == (1, 0.61)


def test_iou_decides_and_any_of_several_boxes_counts() -> None:
    one, alone = np.zeros((1, 64, 64), np.float32), np.array([0, 1])
    one[0, :32, :32] = 1
    wide, far = np.array([[0, 0, 0.5, 0.8]]), np.array([[0.9, 0.9, 1, 1]])  # the first: IoU 0.625
    assert max_box_acc(one, wide, alone)[0] == 1
    assert max_box_acc(one, wide, alone, 0.7)[0] == 0
    assert max_box_acc(one, far, alone)[0] == 0
    assert max_box_acc(one, np.concatenate([far, wide]), np.array([0, 2]))[0] == 1


@pytest.mark.parametrize("seed", range(4))
def test_each_threshold_has_the_box_of_its_first_largest_part(seed: int) -> None:
    one = np.random.default_rng(seed).integers(0, 5, (12, 9)).astype(np.float32)
    expected = []
    for step in range(STEPS):  # parts of equal size are common here
        parts, n = ndimage.label(one / 4 >= step / STEPS)
        sizes = [(parts == part).sum() for part in range(1, n + 1)]
        down, along = np.nonzero(parts == 1 + int(np.argmax(sizes)))
        expected.append([along.min(), down.min(), along.max() + 1, down.max() + 1])
    assert np.allclose(_boxes_of(one) * (9, 12, 9, 12), expected)
