"""Networks to train: a small one that two cores can train in seconds, or any function's."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from torch import nn

from abpipe.errors import NoNetwork

SMALL = "small"


def small_net(num_classes: int, width: int = 32) -> nn.Sequential:
    """Four layers of convolutions, a map of features an eighth of the picture's side, a classifier.

    Groups are normalised, not batches, so that a picture's features are its own.
    """
    layers: list[nn.Module] = []
    before = 3
    for channels, stride in ((width, 2), (2 * width, 2), (4 * width, 2), (4 * width, 1)):
        layers += [
            nn.Conv2d(before, channels, 3, stride, 1, bias=False),
            nn.GroupNorm(8, channels),
            nn.ReLU(),
        ]
        before = channels
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, num_classes)
    )


def network(name: str, num_classes: int) -> Any:
    """`small`, or what a function makes: "torchvision.models:resnet50", "timm.models:resnet50".

    The function is called with num_classes. Raises NoNetwork if there is none.
    """
    if name == SMALL:
        return small_net(num_classes)
    module, _, function = name.partition(":")
    try:
        return getattr(import_module(module), function)(num_classes=num_classes)
    except (ImportError, AttributeError, ValueError) as err:
        raise NoNetwork(name, str(err)) from None
