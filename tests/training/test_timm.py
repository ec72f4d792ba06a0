"""Networks of timm get heads, whether they have a classifier or return features."""

from __future__ import annotations

import pytest

from .. import torchvision_shim  # noqa: TID252

(timm,) = torchvision_shim.load("timm")

import torch

from abpipe.errors import NoFeatures
from abpipe.training import luab, plain

pytestmark = pytest.mark.beyond


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "convnext_atto"])
def test_the_classifier_keeps_its_say_and_a_point_comes_beside_it(name: str) -> None:
    torch.manual_seed(0)
    net = timm.create_model(name, num_classes=5).eval()
    x = torch.randn(2, 3, 224, 224)
    model = luab(net).eval()
    with torch.no_grad():
        output = model(x)
        assert torch.equal(output.logits, net(x)) and output.points.shape == (2, 2)
        assert model.heads["points"].in_features == net.num_features
    fresh = timm.create_model(name, num_classes=5).eval()
    fresh.load_state_dict(plain(model.state_dict()))


def test_a_network_that_pools_shows_its_map_for_a_class() -> None:
    net = timm.create_model("resnet18", num_classes=5).eval()
    x, label = torch.randn(2, 3, 64, 64), torch.tensor([4, 0])
    with torch.no_grad():
        output = luab(net, where=True)(x, label)
    told = output.where.mean((1, 2)) + net.fc.bias[label]
    assert torch.allclose(told, output.logits[range(2), label], atol=1e-4)


@pytest.mark.parametrize("pool, shape", [("avg", (2, 192)), ("", (2, 197, 192))])
def test_one_that_returns_features_gets_a_classifier_too(pool: str, shape: tuple[int, ...]) -> None:
    net = timm.create_model("vit_tiny_patch16_224", num_classes=0, global_pool=pool).eval()
    x = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        features, output = net(x), luab(net, classes=80, points=80)(x)
    assert features.shape == shape
    assert (output.logits.shape, output.points.shape) == ((2, 80), (2, 80, 2))


def test_maps_of_features_show_where() -> None:
    net = timm.create_model("convnext_atto", num_classes=0, global_pool="").eval()
    with torch.no_grad():
        output = luab(net, classes=7, where=True)(torch.randn(2, 3, 224, 224))
    assert output.where.shape == (2, 7, 7)
    flat = timm.create_model("vit_tiny_patch16_224", num_classes=0).eval()
    with pytest.raises(NoFeatures):
        luab(flat, classes=7, where=True)(torch.randn(1, 3, 224, 224))
