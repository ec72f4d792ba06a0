"""Heads beside a backbone's own, which learn from byproducts; none of its code changes.

    model = luab(torchvision.models.resnet50())        # logits as before, and a point
    model = luab(timm.create_model("vit_small_patch16_224"))
    model = luab(backbone, classes=80, points=80, features=512)   # one that returns features

As in Neglected Free Lunch (Han et al., ICCV 2023), a linear head beside the classifier regresses
where the annotator clicked: LUAB, learning using annotation byproducts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from abpipe.errors import NoFeatures

#: What a state dict puts before a backbone's own names, also of DistributedDataParallel, compile.
_BACKBONE = re.compile(r"(?:module\.)?(?:_orig_mod\.)?model\.")


class Output(NamedTuple):
    """What a model with heads says of n pictures."""

    logits: Tensor
    points: Tensor | None = None
    """x, y as fractions of the picture: [n, 2], or [n, k, 2] of k points."""
    where: Tensor | None = None
    """[n, rows, columns]: how much each place speaks for the label, or is attended to."""


class AttentionPool(nn.Module):  # type: ignore[misc]
    """Pools maps of features [n, c, rows, columns] to [n, c, 1, 1], by where it attends.

    It goes where a global average pooling was, `net.avgpool = AttentionPool(512)`, and begins as
    one. `luab(net, where=True)` finds it, so that attention can be drawn to dwell maps.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(features, 1, 1)
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def attention(self, x: Tensor) -> Tensor:
        """How much it attends to each place, before the softmax: [n, rows, columns]."""
        return self.score(x).squeeze(1)

    def forward(self, x: Tensor) -> Tensor:
        """The features of all places, weighed."""
        share = self.attention(x).flatten(1).softmax(1)
        return (x.flatten(2) @ share.unsqueeze(2)).unsqueeze(3)


class Luab(nn.Module):  # type: ignore[misc]
    """A backbone with heads that see what its classifier sees; made by `luab`.

    The classifier is the last nn.Linear, or the one named `at`. With `classes`, the model has none
    but returns features [n, d], [n, tokens, d] or [n, d, rows, columns] (averaged), and gets one; d
    is `features`, or the model's own `num_features` (timm). `points` is 1 for the one point of a
    picture, 80 for one of each class (COCO), 0 for none. `where` also gives the classifier's class
    activation map (Zhou et al., CVPR 2016) for the label, or the attention of an AttentionPool.

    Raises NoFeatures where the model has no such layer.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        classes: int | None = None,
        points: int = 1,
        where: bool = False,
        at: str | None = None,
        features: int | None = None,
    ) -> None:
        super().__init__()
        self.model, self.heads, self._points, self._where = model, nn.ModuleDict(), points, where
        self._pool, self._caught = None, dict[str, Tensor]()
        if classes is None:
            self._classifier = _layer(model, (nn.Linear,), at)
            self._classifier.register_forward_pre_hook(self._catch_features)
            features = self._classifier.in_features
        else:
            features = features or getattr(model, "num_features", None)
            if features is None:
                raise NoFeatures(type(model).__name__, "nothing tells how many features it has")
            self.heads["classes"] = self._classifier = nn.Linear(features, classes)
        if points:
            self.heads["points"] = nn.Linear(features, 2 * points)
            nn.init.constant_(self.heads["points"].bias, 0.5)  # the middle of the picture
        if where and classes is None:
            self._pool = _layer(model, (nn.AdaptiveAvgPool2d, AttentionPool))
            self._pool.register_forward_pre_hook(self._catch_map)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Output:
        """Of pictures: logits, points, and where.

        `label` (class indices [n], or [n, classes] of 0 and 1) says which class's map is wanted;
        without, it is that of the highest logit.
        """
        logits = self.model(x)
        if "classes" in self.heads:
            self._caught["features"] = self._caught["map"] = logits
            logits = self.heads["classes"](_pooled(logits))
        features, seen = self._caught.pop("features"), self._caught.pop("map", None)
        points = where = None
        if self._points:
            points = self.heads["points"](_pooled(features)).unflatten(-1, (self._points, 2))
            points = points.squeeze(1) if self._points == 1 else points
        if self._where:
            where = self._map(seen, logits.argmax(1) if label is None else label)
        return Output(logits, points, where)

    def _map(self, seen: Tensor | None, label: Tensor) -> Tensor:
        if isinstance(self._pool, AttentionPool):
            return self._pool.attention(seen)
        weight = self._classifier.weight
        if seen is None or seen.ndim != 4 or seen.shape[1] != weight.shape[1]:
            raise NoFeatures(type(self.model).__name__, "its classifier sees no pooled map")
        of = weight[label.clamp(min=0)] if label.ndim == 1 else label.to(weight) @ weight
        return torch.einsum("nchw,nc->nhw", seen, of)

    def _catch_features(self, _: nn.Module, given: tuple[Tensor, ...]) -> None:
        self._caught["features"] = given[0]

    def _catch_map(self, _: nn.Module, given: tuple[Tensor, ...]) -> None:
        self._caught["map"] = given[0]


luab = Luab  #: `luab(model)` reads as what is done


def plain(state: Mapping[str, Any]) -> dict[str, Any]:
    """Of a state dict of a model with heads, that of the model alone, for inference without them.

    Wrappings of DistributedDataParallel and torch.compile are taken off.
    """
    return {_BACKBONE.sub("", name, 1): state[name] for name in state if _BACKBONE.match(name)}


def _pooled(features: Tensor) -> Tensor:
    """Features [n, d], of maps [n, d, rows, columns] or tokens [n, tokens, d] their mean."""
    if features.ndim == 4:
        return features.mean((2, 3))
    return features.mean(1) if features.ndim == 3 else features


def _layer(model: nn.Module, kinds: tuple[type, ...], name: str | None = None) -> Any:
    """The layer of a name, or the last one of some kinds."""
    layers = dict(model.named_modules())
    found = [one for told, one in layers.items() if isinstance(one, kinds) and name in (None, told)]
    if not found:
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise NoFeatures(type(model).__name__, f"it has no {wanted}" + (f" {name}" if name else ""))
    return found[-1]
