from __future__ import annotations

import copy
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")

from torch import nn

from abpipe.errors import NoFeatures
from abpipe.experiment import small_net
from abpipe.training import AttentionPool, luab, plain


class Residual(nn.Module):  # type: ignore[misc]
    """A network laid out as torchvision's ResNets are, with a second linear layer before."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(3, 3)
        self.conv1 = nn.Conv2d(3, 6, 3, 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(6, 10)

    def forward(self, x: Any) -> Any:
        gate = self.gate(x.mean((2, 3)))[:, :, None, None]
        return self.fc(torch.flatten(self.avgpool(torch.relu(self.conv1(x * gate))), 1))


class Tokens(nn.Module):  # type: ignore[misc]
    """A backbone that returns features, as timm's do without a classifier."""

    num_features = 6

    def __init__(self, spatial: bool = False) -> None:
        super().__init__()
        self.conv1, self.spatial = nn.Conv2d(3, 6, 4, 4), spatial

    def forward(self, x: Any) -> Any:
        made = self.conv1(x)
        return made if self.spatial else made.flatten(2).transpose(1, 2)


@pytest.fixture
def x() -> Any:
    torch.manual_seed(0)
    return torch.randn(4, 3, 16, 16)


def test_the_point_head_sees_what_the_classifier_sees(x: Any) -> None:
    net = Residual().eval()
    logits = net(x)
    seen: list[Any] = []
    net.fc.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model = luab(net)
    output = model(x)
    assert torch.equal(output.logits, logits) and output.where is None
    assert torch.equal(output.points, model.heads["points"](seen[0]))
    assert output.points.shape == (4, 2)
    assert luab(Residual(), points=80)(x).points.shape == (4, 80, 2)
    assert luab(Residual(), points=0)(x).points is None


def test_both_losses_reach_the_backbone(x: Any) -> None:
    model = luab(Residual())
    model(x).points.sum().backward()
    assert model.model.conv1.weight.grad.any() and model.model.fc.weight.grad is None


def test_a_classifier_can_be_named(x: Any) -> None:
    model = luab(Residual(), at="gate")
    assert model.heads["points"].in_features == 3
    with pytest.raises(NoFeatures) as told:
        luab(Residual(), at="conv1")
    assert (told.value.model, told.value.why) == ("Residual", "it has no Linear conv1")
    assert str(told.value) == (
        "Residual: it has no Linear conv1. Name the classifier, `luab(model, at=...)`; or, for a "
        "model that returns features, say how many, `luab(model, classes=..., features=...)`"
    )


@pytest.mark.parametrize("spatial", [False, True])
def test_a_backbone_that_returns_features_gets_a_classifier_too(x: Any, spatial: bool) -> None:
    backbone = Tokens(spatial)
    model = luab(backbone, classes=10, where=spatial)
    output = model(x)
    features = backbone.conv1(x).flatten(2).mean(2)
    assert torch.allclose(output.logits, model.heads["classes"](features))
    assert torch.allclose(output.points, model.heads["points"](features))
    if spatial:
        assert output.where.shape == (4, 4, 4)
        weight, bias = model.heads["classes"].weight, model.heads["classes"].bias
        best = output.logits.argmax(1)
        assert torch.allclose(output.where.mean((1, 2)) + bias[best], output.logits.amax(1))
        assert weight.shape == (10, 6)


def test_models_without_what_heads_need_are_refused(x: Any) -> None:
    for model, options in (
        (Tokens(), {}),  # no classifier
        (nn.Flatten(), {"classes": 3}),  # nothing says how many features
        (nn.Sequential(nn.Flatten(), nn.Linear(768, 2)), {"where": True}),  # no map
    ):
        with pytest.raises(NoFeatures):
            luab(model, **options)
    with pytest.raises(NoFeatures) as told:
        luab(Tokens(), classes=3, where=True)(x)
    assert told.value.why == "its classifier sees no pooled map"


def test_the_map_is_the_classes_activations(x: Any) -> None:
    net = small_net(5).eval()
    model = luab(net, where=True).eval()
    label = torch.tensor([3, 0, 0, 4])
    output = model(x, label)
    features = net[:-3](x)
    expected = torch.stack(
        [
            (net[-1].weight[k, :, None, None] * f).sum(0)
            for k, f in zip(label, features, strict=True)
        ]
    )
    assert torch.allclose(output.where, expected, atol=1e-6)
    # its mean and the bias are the logit
    logits = output.where.mean((1, 2)) + net[-1].bias[label]
    assert torch.allclose(logits, output.logits[range(4), label], atol=1e-5)
    best = model(x)
    assert torch.allclose(best.where, model(x, best.logits.argmax(1)).where)
    several = torch.zeros(4, 5, dtype=torch.bool)
    several[:, 1] = several[:, 2] = True
    both = model(x, torch.full((4,), 1)).where + model(x, torch.full((4,), 2)).where
    assert torch.allclose(model(x, several).where, both, atol=1e-5)
    assert model(x, torch.full((4,), -1)).where.isfinite().all()


def test_attention_pools_where_it_attends_and_begins_as_a_mean(x: Any) -> None:
    net = Residual()
    before = net(x)
    net.avgpool = AttentionPool(6)
    assert torch.allclose(net(x), before, atol=1e-6)
    model = luab(net, where=True)
    nn.init.normal_(net.avgpool.score.weight)
    output = model(x)
    assert output.where.shape == (4, 7, 7) and not torch.allclose(output.logits, before)
    features = torch.relu(net.conv1(x * net.gate(x.mean((2, 3)))[:, :, None, None]))
    share = output.where.flatten(1).softmax(1).view(4, 1, 7, 7)
    assert torch.allclose(net.fc((features * share).sum((2, 3))), output.logits, atol=1e-5)


def test_state_dicts_load_without_the_heads_into_the_plain_model(x: Any) -> None:
    model = luab(Residual())
    for state in (
        model.state_dict(),
        {f"module._orig_mod.{k}": v for k, v in model.state_dict().items()},
        {f"_orig_mod.{k}": v for k, v in model.state_dict().items()},
    ):
        fresh = Residual()
        fresh.load_state_dict(plain(state))
        assert torch.equal(fresh(x), model(x).logits)
    assert [name for name in model.state_dict() if name.startswith("heads.")] == [
        "heads.points.weight",
        "heads.points.bias",
    ]


def test_a_copy_is_a_model_of_its_own(x: Any) -> None:
    model = luab(Residual(), where=True)
    model(x)
    other = copy.deepcopy(model)
    nn.init.zeros_(other.model.conv1.weight)
    nn.init.zeros_(other.model.conv1.bias)
    assert not torch.equal(model(x).points, other(x).points)
    assert not other(x).where.any() and model(x).where.any()
