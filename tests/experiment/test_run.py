from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from PIL import Image
from typer.testing import CliRunner

torch = pytest.importorskip("torch", reason="torch is an extra")

from abpipe.cli import app
from abpipe.errors import MissingPart, NoNetwork
from abpipe.experiment import Settings, small_net, train
from abpipe.targets.reader import Targets
from abpipe.training import plain

QUICK = ("--size", "24", "--scale", "0.5", "--epochs", "2", "--batch-size", "24", "--workers", "0")


def command(*arguments: object) -> Any:
    found = CliRunner().invoke(app, ["train", *map(str, arguments)], catch_exceptions=False)
    assert found.exit_code == 0
    return found


def test_methods_are_trained_side_by_side(targets: Targets, pictures: Path, tmp_path: Path) -> None:
    line = (targets.folder, "--images", pictures, "-o", tmp_path / "runs", *QUICK)
    found = command(*line)
    rows = [row.split() for row in found.stdout.splitlines()]
    assert [row[0] for row in rows] == ["method", "baseline", "luab", "random"]
    assert [len(row) for row in rows[1:]] == [5, 6, 6]  # the baseline has no point
    n, tested = len(targets.part("train")), len(targets.part("val"))
    assert found.stderr.splitlines()[-1] == f"learnt from {n} pictures, tested on {tested}"
    assert "luab: epoch 2, loss " in found.stderr
    for method in ("baseline", "luab", "random"):
        told = orjson.loads((tmp_path / "runs" / method / "results.json").read_bytes())
        assert (told["method"], told["epochs"], told["pictures"]) == (method, 2, n)
        assert len(told["history"]) == 2 and 0 <= told["accuracy"] <= 1
        assert (told["click_distance"] is None) == (method == "baseline")
        assert 0 <= told["pointing"] <= 1
    with Image.open(tmp_path / "runs/curves.png") as picture:
        assert picture.size[0] > 1000 and len(picture.getcolors(1 << 24) or ()) > 20
    state = torch.load(tmp_path / "runs/luab/last.pt", weights_only=True)
    classes = len(np.unique(targets["class_index"]))
    small_net(classes).load_state_dict(plain(state["model"]))

    again = orjson.loads(command(*line, "--resume", "--json").stdout)
    assert [one["epochs"] for one in again] == [2, 2, 2]
    assert again[1]["accuracy"] == told_of(tmp_path / "runs/luab")["accuracy"]


def told_of(folder: Path) -> Any:
    return orjson.loads((folder / "results.json").read_bytes())


def test_maps_are_drawn_to_dwell_maps_and_targets_split_by_themselves(
    export: Callable[..., Targets], pictures: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    files = sorted(pictures.iterdir())
    for file in [*files[:60], pictures / files[0].name.replace("_", "_9")]:
        (few / file.name).write_bytes(files[0].read_bytes())
    (one,) = train(
        export().folder,
        few,
        out=tmp_path / "runs",
        methods=["dwell"],
        size=24,
        settings=Settings(epochs=2, batch_size=10),
    )
    assert (one.pictures + one.tested, one.dropped) == (60, 1)
    history = told_of(tmp_path / "runs/dwell")["history"]
    assert history[1]["where_loss"] < history[0]["where_loss"]
    assert history[0]["point_loss"] is None
    with Image.open(tmp_path / "runs/curves.png") as picture:
        assert picture.size == (900, 420)  # two panels: it has no points to be near clicks


def test_coco_has_a_point_for_each_class(export: Callable[..., Targets], tmp_path: Path) -> None:
    targets = export(dataset="coco-ab")
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in targets["image_ids"].astype(str):
        Image.new("RGB", (40, 30)).save(folder / f"COCO_train2014_{int(name):012d}.jpg")
    (one,) = train(
        targets.folder,
        folder,
        out=tmp_path / "runs",
        methods=["luab"],
        size=24,
        settings=Settings(epochs=2, batch_size=16),
    )
    assert 0 <= one.accuracy <= 1 and one.click_distance > 0 and np.isnan(one.pointing)
    state = torch.load(tmp_path / "runs/luab/last.pt", weights_only=True)["model"]
    assert state["heads.points.weight"].shape[0] == 160


def test_targets_that_lack_something_are_refused(
    export: Callable[..., Targets], pictures: Path, tmp_path: Path
) -> None:
    def refused(method: Any, **options: Any) -> MissingPart:
        folder = export(**options).folder
        with pytest.raises(MissingPart) as told:
            train(folder, pictures, out=tmp_path / "runs", methods=[method], size=24)
        assert told.value.folder == folder
        return told.value

    dwell = refused("dwell", heatmap=None)
    assert (dwell.why, dwell.option) == ("they have no dwell maps", "--heatmap 14")
    assert str(dwell) == (
        f"{dwell.folder}: targets to train on, but they have no dwell maps. Export them anew: "
        f"`abpipe export {dwell.folder} --heatmap 14`"
    )
    other = refused("luab", split={"one": 0.5, "two": 0.5})
    assert other.why == "they have no part train"
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["large", "abpipe.experiment.nets:none", "no_such_module:net"])
def test_networks_that_cannot_be_made_are_refused(
    name: str, targets: Targets, pictures: Path, tmp_path: Path
) -> None:
    with pytest.raises(NoNetwork) as told:
        train(targets.folder, pictures, out=tmp_path / "runs", net=name)
    assert told.value.name == name
    assert str(told.value) == (
        f"{name!r} makes no network: {told.value.why}. Choose small, or MODULE:FUNCTION, as in "
        "torchvision.models:resnet50"
    )


def test_any_function_can_make_the_network(
    targets: Targets, pictures: Path, tmp_path: Path
) -> None:
    settings = Settings(epochs=1, batch_size=40)
    given: dict[str, Any] = {"out": tmp_path / "runs", "size": 24, "settings": settings}
    name = "abpipe.experiment.nets:small_net"
    (one,) = train(targets.folder, pictures, methods=["luab"], net=name, **given)
    assert one.epochs == 1


@pytest.mark.parametrize(
    "library, package",
    [("torch", "training"), ("scipy", "training"), ("matplotlib", "experiment")],
)
def test_a_missing_library_is_named_with_its_extra(library: str, package: str) -> None:
    code = f"import sys; sys.modules['{library}'] = None; import abpipe.{package}"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stderr.splitlines()[-1] == (
        f"abpipe.errors.NeedsLibrary: training needs {library}, which is not installed. "
        "Install it: `pip install 'abpipe[torch]'`"
    )


def test_two_processes_of_torchrun_learn_what_one_does(
    targets: Targets, pictures: Path, tmp_path: Path
) -> None:
    line = [str(targets.folder), "--images", str(pictures), "--method", "baseline", *QUICK]
    command(*line, "-o", tmp_path / "one")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torchrun = (
        "-m torch.distributed.run --nproc-per-node 2 --master-addr 127.0.0.1 "
        f"--master-port {port} -m abpipe train"
    ).split()
    found = subprocess.run(
        [sys.executable, *torchrun, *line, "-o", str(tmp_path / "two")],
        env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("baseline") == 1  # the first process tells
    one, two = (
        torch.load(tmp_path / name / "baseline/last.pt", weights_only=True)
        for name in ("one", "two")
    )
    assert one["model"].keys() == two["model"].keys()
    for name, value in one["model"].items():
        assert torch.allclose(value, two["model"][name], atol=1e-3), name
    for a, b in zip(one["history"], two["history"], strict=True):
        for measure in ("loss", "class_loss", "accuracy"):
            assert abs(a[measure] - b[measure]) < 1e-3, measure
