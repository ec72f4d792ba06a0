from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")

from torch.nn import functional

from abpipe.training import Output, class_loss, luab_loss, point_loss, where_loss

NAN = math.nan


def test_points_that_are_not_valid_reach_neither_loss_nor_gradient() -> None:
    predicted = torch.tensor([[0.5, 0.5], [0.1, 0.9], [0.3, 0.3]], requires_grad=True)
    xy = torch.tensor([[0.25, 2.5], [NAN, NAN], [0.3, 0.2]])
    valid = torch.tensor([True, False, True])
    loss = point_loss(predicted, xy, valid)
    loss.backward()
    chosen = predicted.detach()[[0, 2]].requires_grad_()
    expected = functional.smooth_l1_loss(chosen, xy[[0, 2]])
    expected.backward()
    assert torch.allclose(loss, expected)
    assert predicted.grad[1].tolist() == [0, 0]
    assert torch.allclose(predicted.grad[[0, 2]], chosen.grad)


def test_predictions_that_are_not_finite_do_no_harm_where_nothing_is_valid() -> None:
    predicted = torch.tensor([[NAN, math.inf], [0.0, 0.0]], requires_grad=True)
    loss = point_loss(
        predicted, torch.tensor([[NAN, NAN], [1.0, 1.0]]), torch.tensor([False, True])
    )
    loss.backward()
    assert loss == 0.5 and predicted.grad.tolist() == [[0, 0], [-0.5, -0.5]]


def test_the_points_of_each_class_count_where_they_are_valid() -> None:
    predicted = torch.rand(4, 80, 2, requires_grad=True)
    valid = torch.rand(4, 80) < 0.1
    xy = torch.where(valid[..., None], torch.rand(4, 80, 2), NAN)
    loss = point_loss(predicted, xy, valid)
    loss.backward()
    assert torch.allclose(loss, functional.smooth_l1_loss(predicted[valid], xy[valid]))
    assert (predicted.grad.abs().sum(-1) > 0).equal(valid)


def test_weights_make_a_weighted_mean() -> None:
    predicted, xy = (
        torch.zeros(4, 2),
        torch.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [NAN, NAN]]),
    )
    valid, weight = torch.tensor([True, True, True, False]), torch.tensor([1, 0, 3, NAN])
    loss = point_loss(predicted, xy, valid, weight)
    assert loss == (1 * 0.5 + 3 * 2.5) / 4
    assert point_loss(predicted, xy, valid, torch.tensor([NAN, 0, 0, 1.0])) == 0


@pytest.mark.parametrize("shape", [(3,), (3, 80)])
def test_without_a_valid_point_the_loss_is_nothing_and_so_is_its_gradient(
    shape: tuple[int, ...],
) -> None:
    predicted = torch.rand(*shape, 2, requires_grad=True)
    none = torch.zeros(shape, dtype=torch.bool)
    loss = point_loss(predicted, torch.full((*shape, 2), NAN), none)
    loss.backward()
    assert loss == 0 and not predicted.grad.any()


def test_maps_are_compared_as_shares_on_the_coarser_grid() -> None:
    dwell = torch.zeros(2, 4, 4, dtype=torch.float16)
    dwell[0, :2, :2] = 0.5  # all in the first of 2 x 2
    dwell[1] = NAN
    where = torch.zeros(2, 2, 2, requires_grad=True)
    loss = where_loss(where, dwell, torch.tensor([True, False]))
    loss.backward()
    assert torch.allclose(loss, torch.tensor(math.log(4)))
    assert torch.allclose(where.grad[0], torch.tensor([[-0.75, 0.25], [0.25, 0.25]]))
    assert not where.grad[1].any()


def test_the_loss_of_maps_is_least_and_nothing_where_they_are_the_same() -> None:
    dwell = torch.rand(3, 7, 7)
    valid = torch.ones(3, dtype=torch.bool)
    assert abs(where_loss(dwell.log(), dwell, valid)) < 1e-6
    assert where_loss(dwell.log() + torch.randn(3, 7, 7), dwell, valid) > 0.01


def test_maps_of_which_the_cut_shows_nothing_do_not_count() -> None:
    dwell, where = torch.zeros(2, 4, 4), torch.rand(2, 2, 2, requires_grad=True)
    dwell[1, 0, 0] = 1
    both = torch.ones(2, dtype=torch.bool)
    loss = where_loss(where, dwell, both)
    loss.backward()
    assert torch.allclose(loss, where_loss(where[1:], dwell[1:], both[1:]))
    assert not where.grad[0].any()


def test_labels_that_are_missing_do_not_count() -> None:
    logits = torch.randn(3, 5, requires_grad=True)
    loss = class_loss(logits, torch.tensor([2, -1, 0]))
    loss.backward()
    expected = functional.cross_entropy(logits[[0, 2]], torch.tensor([2, 0]))
    assert torch.allclose(loss, expected) and not logits.grad[1].any()
    assert class_loss(logits, torch.tensor([-1, -1, -1])) == 0


def test_many_labels_are_learnt_one_by_one() -> None:
    logits, label = torch.randn(3, 80), torch.rand(3, 80) < 0.1
    expected = functional.binary_cross_entropy_with_logits(logits, label.float())
    assert torch.allclose(class_loss(logits, label), expected)


def test_the_parts_add_up_and_weights_of_nothing_leave_them_out() -> None:
    output = Output(torch.randn(2, 5), torch.rand(2, 2), torch.randn(2, 4, 4))
    label = torch.tensor([1, 4])
    target = {
        "click_xy": torch.rand(2, 2),
        "click_valid": torch.tensor([True, True]),
        "heatmap": torch.rand(2, 4, 4),
        "heatmap_valid": torch.tensor([True, True]),
        "weight": torch.tensor([0.5, 1.0]),
    }
    parts = luab_loss(output, target, label, points=2, where=0.5, weighted=True)
    expected = parts["class"] + 2 * parts["points"] + 0.5 * parts["where"]
    assert torch.allclose(parts["loss"], expected)
    places = target["click_xy"], target["click_valid"], target["weight"]
    assert torch.equal(parts["points"], point_loss(output.points, *places))
    plain = luab_loss(output, {}, label, points=0)
    assert plain.keys() == {"loss", "class"} and torch.equal(plain["loss"], parts["class"])
