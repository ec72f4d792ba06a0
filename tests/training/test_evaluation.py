from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is an extra")

from abpipe.training import accuracy, background_gap, localization, shift_accuracy


def test_accuracy_counts_what_has_a_label() -> None:
    assert accuracy(np.array([1, 2, 3, 0]), np.array([1, 0, 3, -1])) == 2 / 3
    many = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 0]])
    assert accuracy(np.array([2, 1, 1]), many) == 0.5
    assert np.isnan(accuracy(np.array([1]), np.array([-1])))


def test_each_background_shift_has_its_accuracy() -> None:
    shift = np.array(["mixed_same", "mixed_rand", "mixed_same", "mixed_rand"])
    found = shift_accuracy(np.array([1, 1, 2, 2]), np.array([1, 0, 2, 2]), shift)
    assert found == {"mixed_same": 1.0, "mixed_rand": 0.5}
    assert background_gap(found) == 0.5


def test_a_map_that_is_the_object_is_a_full_score() -> None:
    one = np.zeros((1, 64, 64), np.float32)
    one[0, 16:48, 8:24] = 3
    found = localization(one, np.array([[8 / 64, 16 / 64, 24 / 64, 48 / 64]]))
    assert (found.pictures, found.pointing, found.max_box_acc) == (1, 1, 1)
    assert found.energy == pytest.approx(1) and found.threshold == 0.01


def test_the_peak_and_the_energy_are_looked_for_in_the_box() -> None:
    maps = np.zeros((2, 64, 64), np.float32)
    maps[:, :32, :32], maps[0, 40:44, 40:44] = 0.6, 1.0
    found = localization(maps, np.array([[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.5]]))
    assert (found.pointing, found.max_box_acc, found.threshold) == (0.5, 1, 0.01)
    energy = 0.6 * 1024 / (0.6 * 1024 + 16)
    assert found.energy == pytest.approx((energy + 1) / 2)


def test_any_of_several_boxes_counts() -> None:
    one = np.zeros((1, 64, 64), np.float32)
    one[0, :32, :32] = 1
    boxes = np.array([[0.9, 0.9, 1, 1], [0, 0, 0.5, 0.8]])
    found = localization(one, boxes, np.array([0, 2]))
    assert (found.pictures, found.max_box_acc, found.pointing) == (1, 1, 1)
    assert localization(one, boxes[1:], iou=0.7).max_box_acc == 0


def test_pictures_without_a_box_do_not_count() -> None:
    maps = np.random.default_rng(0).random((3, 7, 7)).astype(np.float32)
    box = [0.1, 0.1, 0.9, 0.8]
    alone = localization(maps[[0, 2]], np.array([box, box]))
    assert localization(maps, np.array([box, [np.nan] * 4, box])) == alone
    assert localization(maps, np.array([box, box]), np.array([0, 1, 1, 2])) == alone
    none = localization(maps, np.full((3, 4), np.nan))
    assert none.pictures == 0 and np.isnan(none.max_box_acc)


def test_negative_activations_hold_no_energy_and_an_even_map_is_everywhere() -> None:
    one = np.full((1, 64, 64), -1, np.float32)
    one[0, 5, 5] = 1
    assert localization(one, np.array([[0, 0, 0.5, 0.5]])).energy == 1
    even = localization(np.full((1, 8, 8), -2.0), np.array([[0, 0, 0.5, 0.5]]))
    assert even.energy == pytest.approx(0.25) and even.max_box_acc == 0
    assert localization(np.zeros((1, 8, 8)), np.array([[0, 0, 1, 0.6]])).max_box_acc == 1


def test_maps_of_a_network_that_diverged_are_refused() -> None:
    with pytest.raises(ValueError, match="diverged"):
        localization(np.full((1, 8, 8), np.nan), np.array([[0, 0, 1, 1]]))
