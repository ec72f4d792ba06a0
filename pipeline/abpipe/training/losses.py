"""Losses of heads that learn from byproducts.

What is not valid is taken out before anything is computed, so that a NaN reaches neither a loss nor
a gradient. All shapes are fixed: nothing waits for the GPU, and torch.compile takes them whole.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from abpipe.training.luab import Output


def point_loss(
    predicted: Tensor, xy: Tensor, valid: Tensor, weight: Tensor | None = None
) -> Tensor:
    """The smooth-L1 distance of predicted points [..., 2] to valid ones, a mean over them.

    `valid` [...] is bool, `weight` [n] one for each picture, for a weighted mean. 0 if none is
    valid.
    """
    inside = valid.unsqueeze(-1)
    predicted, xy = (torch.where(inside, one, 0).float() for one in (predicted, xy))
    apart = functional.smooth_l1_loss(predicted, xy, reduction="none").mean(-1)
    return _mean(apart, valid, weight)


def where_loss(
    where: Tensor, heatmap: Tensor, valid: Tensor, weight: Tensor | None = None
) -> Tensor:
    """How far the softmax of maps [n, rows, columns] is from dwell maps [n, G, G]: a mean of KL.

    Dwell maps are taken to the grid of the former by their means, and scaled to sum to 1; the
    divergence is sum(d ln(d / p)), in nats. `valid` and `weight` are [n]. 0 if none is valid.
    """
    dwell = torch.where(valid[:, None, None], heatmap, 0).float()
    dwell = functional.adaptive_avg_pool2d(dwell.unsqueeze(1), where.shape[1:]).flatten(1)
    total = dwell.sum(1, keepdim=True)
    valid = valid & (total.squeeze(1) > 0)
    share = dwell / torch.where(total > 0, total, 1)
    told = torch.where(valid[:, None], where.flatten(1), 0).float().log_softmax(1)
    return _mean((torch.xlogy(share, share) - share * told).sum(1), valid, weight)


def class_loss(logits: Tensor, label: Tensor) -> Tensor:
    """Cross-entropy for class indices [n] (-1 does not count), or, for [n, classes], binary."""
    if label.ndim == 2:
        return functional.binary_cross_entropy_with_logits(logits.float(), label.float())
    each = functional.cross_entropy(logits.float(), label.long(), ignore_index=-1, reduction="none")
    return _mean(each, label >= 0)


def luab_loss(
    output: Output,
    target: Mapping[str, Tensor],
    label: Tensor,
    *,
    points: float = 1.0,
    where: float = 0.0,
    weighted: bool = False,
) -> dict[str, Tensor]:
    """The loss to minimise, class + points * point_loss + where * where_loss, and its parts.

    `points` is the paper's lambda. `weighted` weighs points and maps by target["weight"], how far
    the annotator is to be trusted. A weight of 0 leaves its part out.
    """
    weight = target["weight"] if weighted else None
    parts = {"class": class_loss(output.logits, label)}
    loss = parts["class"]
    if points and output.points is not None:
        told = target["click_xy"], target["click_valid"]
        parts["points"] = point_loss(output.points, *told, weight)
        loss = loss + points * parts["points"]
    if where and output.where is not None:
        told = target["heatmap"], target["heatmap_valid"]
        parts["where"] = where_loss(output.where, *told, weight)
        loss = loss + where * parts["where"]
    return {"loss": loss} | parts


def _mean(each: Tensor, valid: Tensor, weight: Tensor | None = None) -> Tensor:
    """The mean of what is valid, 0 if nothing is; `weight` is one for each row."""
    share = valid.float()
    if weight is not None:
        weight = weight.nan_to_num().float().view(-1, *[1] * (valid.ndim - 1))
        share = torch.where(valid, weight, 0)
    total = share.sum()
    return (torch.where(valid, each, 0) * share).sum() / torch.where(total > 0, total, 1)
