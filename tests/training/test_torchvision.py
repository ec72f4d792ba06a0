"""torchvision's own datasets, transforms and networks, joined with targets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from PIL import Image

from abpipe.targets.geometry import View
from abpipe.targets.reader import Targets

from .. import torchvision_shim  # noqa: TID252
from .conftest import DATA, PICTURES

datasets, models, transforms = torchvision_shim.load(
    "torchvision.datasets", "torchvision.models", "torchvision.transforms.v2"
)

import torch
from torch.utils.data import DataLoader, Subset

from abpipe.errors import TransformedPictures
from abpipe.targets.images import images_of
from abpipe.targets.torchvision import points, points_of
from abpipe.training import AttentionPool, ByproductDataset, RandomCrop, collate, luab, plain

pytestmark = pytest.mark.beyond

SEE = RandomCrop(24, (0.3, 1))


def same(one: Any, other: Any) -> bool:
    (picture, target), (picture_2, target_2) = one, other
    return torch.equal(picture, picture_2) and all(
        np.array_equal(target[name], target_2[name], equal_nan=True) for name in target_2
    )


def test_an_image_folder_gives_what_its_folder_does(targets: Targets) -> None:
    images = datasets.ImageFolder(PICTURES["imagenet-ab"])
    data = ByproductDataset(images, targets, see=SEE, seed=3)
    folder = ByproductDataset(PICTURES["imagenet-ab"], targets, see=SEE, seed=3)
    assert len(data) == len(folder) == 120
    assert data.rows.tolist() == folder.rows.tolist()
    for i in (0, 50, 119):
        (picture, target), (other, expected) = data[i], folder[i]
        # a folder's JPEGs are read at half their size where that is enough
        assert (picture.float() - other.float()).abs().mean() < 4
        assert same((picture, target), (picture, expected))
        assert target["own_class"] == images.targets[i]
    classes = [images.classes[i] for i in images.targets]
    known = [one["class_id"] for one in targets.about["classes"]]
    assert [known[i] for i in targets["class_index"][data.rows]] == classes


def test_a_part_of_an_image_folder_is_read_by_workers(targets: Targets) -> None:
    images = Subset(datasets.ImageFolder(PICTURES["imagenet-ab"]), range(10, 50))
    data = ByproductDataset(images, targets, see=SEE, seed=3)
    given: dict[str, Any] = {"batch_size": 20, "collate_fn": collate}
    alone = list(DataLoader(data, **given))
    workers = list(DataLoader(data, num_workers=2, multiprocessing_context="fork", **given))
    assert len(alone) == 2 and all(map(same, alone, workers))


def test_a_coco_detection_has_a_point_of_each_class(
    export: Callable[..., Targets], tmp_path: Path
) -> None:
    told = orjson.loads((DATA / "coco/truth/instances_train2014.json").read_bytes())
    (tmp_path / "instances.json").write_bytes(orjson.dumps(told))
    images = datasets.CocoDetection(PICTURES["coco-ab"], tmp_path / "instances.json")
    targets = export(dataset="coco-ab")
    data = ByproductDataset(images, targets, see=SEE, seed=3)
    assert [targets["image_ids"][row] for row in data.rows] == [str(i).encode() for i in images.ids]
    picture, target = data[7]
    assert picture.shape == (3, 24, 24) and target["click_xy"].shape == (80, 2)
    assert "own_class" not in target  # it is a list of annotations


def test_datasets_that_transform_are_refused() -> None:
    for name in ("transform", "target_transform"):
        images = datasets.ImageFolder(PICTURES["imagenet-ab"], **{name: str})
        with pytest.raises(TransformedPictures):
            images_of(images)


class Cut:
    """A cut by transforms.v2, whose view its key points tell."""

    def __init__(self, *steps: Any) -> None:
        self.made = transforms.Compose(steps)

    def __call__(self, picture: Image.Image, _: Any) -> tuple[Image.Image, View]:
        width, height = picture.size
        corners = np.array([[0, 0], [1, 0], [0, 1]], np.float32)
        given = {"picture": picture.convert("RGB"), "corners": points(corners, width, height)}
        made = self.made(given)
        (x, y), across, down = made["corners"].double().tolist()
        matrix = (
            ((across[0] - x) / width, (down[0] - x) / height, x),
            ((across[1] - y) / width, (down[1] - y) / height, y),
        )
        return made["picture"], View.of(width, height).affine(matrix, *made["picture"].size)


def test_transforms_of_torchvision_can_cut(targets: Targets) -> None:
    cut = Cut(transforms.CenterCrop(150), transforms.Resize(32), transforms.RandomHorizontalFlip(1))
    photometric = transforms.Compose(
        [transforms.ColorJitter(0.4), transforms.PILToTensor(), transforms.ConvertImageDtype()]
    )
    data = ByproductDataset(PICTURES["imagenet-ab"], targets, see=cut, transform=photometric)
    for i in range(0, 120, 7):
        picture, target = data[i]
        assert picture.shape == (3, 32, 32) and picture.dtype == torch.float32
        row = data.rows[i]
        width, height = targets["size_wh"][row].tolist()
        view = View.of(width, height).center_crop(150, 150).resize(32, 32).hflip()
        xy, valid = view.points(targets["click_xy"][row], targets["click_valid"][row])
        assert target["click_valid"] == valid
        assert np.allclose(target["click_xy"], xy, atol=1e-5, equal_nan=True)
    whole = points(np.array([[0.25, 0.5]], np.float32), 200, 160)
    assert points_of(transforms.RandomHorizontalFlip(1)(whole))[0].tolist() == [[0.75, 0.5]]


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "vit_b_16"])
def test_networks_of_torchvision_get_heads(name: str) -> None:
    torch.manual_seed(0)
    net = getattr(models, name)(num_classes=5).eval()
    x = torch.randn(2, 3, 224, 224)
    where = name == "resnet18"  # the others' classifiers see no pooled map
    model = luab(net, where=where)
    with torch.no_grad():
        output = model(x)
        assert torch.equal(output.logits, net(x)) and output.points.shape == (2, 2)
    assert (output.where is not None) == where
    fresh = getattr(models, name)(num_classes=5)
    fresh.load_state_dict(plain(model.state_dict()))


def test_attention_takes_the_place_of_a_resnets_pooling() -> None:
    net = models.resnet18(num_classes=5)
    net.avgpool = AttentionPool(512)
    output = luab(net, where=True)(torch.randn(2, 3, 64, 64))
    assert output.where.shape == (2, 2, 2)
    output.where.sum().backward()
    assert net.conv1.weight.grad is not None
