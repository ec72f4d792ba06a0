"""Training: what targets cost beside reading pictures, and beside parsing XML for each picture.

Pictures are JPEGs of 224 x 224 and are cut to 224 x 224; targets are those that training wants
(click, whether it is valid, class, weight), cut alike. What they add to a step is measured on
pictures that are there already, where the time of reading does not drown it. The plain way is the
published loader's: in `__getitem__` it parses the picture's XML file, takes the first click of each
annotator who selected the picture, and moves their mean into the cut. All in one process and one
run, in turns, by the processor's clock; the least of some rounds counts.
"""

from __future__ import annotations

import argparse
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import torch
from PIL import Image
from torch.utils.data import default_collate

import abpipe
from abpipe.synth import synth
from abpipe.targets.geometry import View, Views
from abpipe.targets.reader import Targets
from abpipe.training import ByproductDataset, RandomCrop, collate
from abpipe.training.dataset import _generator

BATCH, SIDE = 256, 224
CUT = (9, 20, 150, 180)  # left, top, width, height
NAMES = ["click_xy", "click_valid", "class_index", "weight"]


def prepare(place: Path, n: int) -> Targets:
    """Synthetic pictures of one size, their XML files, and targets."""
    made = synth(place / "raw", count=n, pictures=True)
    for file in (place / "raw/images").rglob("*.JPEG"):
        with Image.open(file) as picture:
            picture.resize((SIDE, SIDE)).save(file, "JPEG", quality=90)
    with tarfile.open(made.archive) as archive:
        archive.extractall(place, filter="data")
    abpipe.ingest(made.archive, store=place / "store")
    abpipe.export(place / "targets", store=place / "store")
    return abpipe.open_targets(place / "targets", NAMES)


def parsed(file: Path, box: tuple[int, int, int, int], flip: bool) -> tuple[float, float, float]:
    """The mean click of a picture in a cut (left, top, width, height), and its weight."""
    root = ElementTree.parse(file).getroot()
    width, height = (int(root.findtext(f"size/{side}") or 0) for side in ("width", "height"))
    points = []
    for record in root.findall("metadata"):
        if record.findtext("selected") == "True":
            click = record.find("selectedRecord")
            if click is not None:
                points.append([float(click.findtext(axis) or 0) for axis in ("x", "y")])
    left, top, w, h = box
    x0, x1 = left / width, (left + w) / width
    y0, y1 = top / height, (top + h) / height
    if points:
        x, y = np.mean(points, 0)
        if flip:
            x0, x1, x = 1 - x1, 1 - x0, 1 - x
        if x0 <= x <= x1 and y0 <= y <= y1:
            return (x - x0) * width / w, (y - y0) * height / h, 1.0
    return -1.0, -1.0, 0.0


def least(rounds: int, *works: Callable[[], Any]) -> list[float]:
    """The least seconds of the processor that each work takes, in turns."""
    best = [float("inf")] * len(works)
    for _ in range(rounds):
        for i, work in enumerate(works):
            begin = time.process_time()
            work()
            best[i] = min(best[i], time.process_time() - begin)
    return best


class Bench:
    """The same samples, read in several ways."""

    def __init__(self, place: Path, n: int) -> None:
        self.targets, folder = prepare(place, n), place / "raw/images"
        self.data = ByproductDataset(folder, self.targets, see=RandomCrop(SIDE), seed=0)
        self.view, small = View.of(SIDE, SIDE).crop(*CUT), torch.zeros(1)
        self.ready = ByproductDataset(
            folder, self.targets, see=self.see, transform=lambda _: small, seed=0
        )
        blank = Image.new("RGB", (2, 2))
        self.ready._read = lambda _: (blank, None)  # it is there already
        self.order = np.random.default_rng(0).permutation(len(self.data))[: 2 * BATCH]
        self.batches = [self.order[:BATCH].tolist(), self.order[BATCH:].tolist()]
        xml = {file.stem: file for file in (place / "train_xml").rglob("*.xml")}
        names = self.targets["image_ids"][self.data.rows].astype(str)
        self.xml = [xml[names[i]] for i in self.order]
        self.views = [View.of(SIDE, SIDE).crop(*CUT) for _ in range(BATCH)]

    def see(self, picture: Any, _: Any) -> tuple[Any, View]:
        """No time is spent on the picture."""
        return picture, self.view

    def steps(self) -> None:
        """What a DataLoader does: pictures and targets."""
        for batch in self.batches:
            collate(self.data.__getitems__(batch))

    def joined(self) -> None:
        """The same but for the pictures, which are there already."""
        for batch in self.batches:
            collate(self.ready.__getitems__(batch))

    def alone(self) -> None:
        """That without targets."""
        for batch in self.batches:
            read = [self.ready._read(i)[0] for i in batch]
            drawn = [_generator(0, 0, i) for i in batch]
            cuts = [self.see(*one) for one in zip(read, drawn, strict=True)]
            default_collate([self.ready._transform(picture) for picture, _ in cuts])

    def plain(self) -> None:
        """The published loader's way."""
        for file in self.xml:
            parsed(file, CUT, False)

    def read(self) -> None:
        """Targets, as they are."""
        for batch in self.batches:
            self.targets.__getitems__(self.data.rows[batch])

    def cut(self) -> None:
        """Targets, as cut pictures show them."""
        for batch in self.batches:
            found = self.targets.__getitems__(self.data.rows[batch])
            Views(self.views).points(found["click_xy"], found["click_valid"])


def main() -> None:
    """Prepare, read in turns, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)  # waiting threads would count
    with tempfile.TemporaryDirectory(prefix="abpipe-bench-") as folder:
        bench = Bench(Path(folder), options.pictures)
        (step,) = least(options.rounds, bench.steps)
        joined, alone = least(10 * options.rounds, bench.joined, bench.alone)
        plain, read, cut = least(10 * options.rounds, bench.plain, bench.read, bench.cut)
    us = 1e6 / len(bench.order)
    sys.stdout.write(
        f"a step with targets  {step * us:8.1f} us a sample\n"
        f"of which targets     {(joined - alone) * us:8.2f} us, {(joined - alone) / step:.2%}\n"
        f"XML in __getitem__   {plain * us:8.1f} us\n"
        f"targets, read        {read * us:8.2f} us, 1/{plain / read:,.0f}\n"
        f"targets, read, cut   {cut * us:8.2f} us, 1/{plain / cut:,.0f}\n"
    )


if __name__ == "__main__":
    main()
