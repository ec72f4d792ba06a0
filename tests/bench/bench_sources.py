"""Benchmark of COCO's own annotation file and of a folder of pictures, at 400 MB and 20,000 files.

The pictures are small: of large ones, no more would be read.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from random import Random

from PIL import Image

from abpipe.contracts import classes

IMAGES, OBJECTS, PICTURES = 82_783, 604_907, 20_000


def elements(random: Random) -> Iterator[str]:
    """The text of an annotation file, in pieces."""
    yield '{"info": {"description": "synthetic"}, "images": ['
    for i in range(1, IMAGES + 1):
        name = f"COCO_train2014_{i:012d}.jpg"
        yield (
            f'{", " * (i > 1)}{{"license": 5, "file_name": "{name}", '
            f'"coco_url": "http://mscoco.org/images/{i}", "height": 480, "width": 640, '
            f'"date_captured": "2013-11-14 16:28:13", "flickr_url": "http://farm4.example/{i}", '
            f'"id": {i}}}'
        )
    yield '], "licenses": [{"url": "http://example.org", "id": 1, "name": "any"}], "annotations": ['
    ids = [row["category_id"] for row in classes("coco")]
    for i in range(OBJECTS):
        n = 2 * random.randint(6, 65)
        polygon = ",".join(str(random.randrange(64000) / 100) for _ in range(n))
        box = ",".join(str(random.randrange(1, 32000) / 100) for _ in range(4))
        yield (
            f'{", " * (i > 0)}{{"segmentation": [[{polygon}]],"area": {random.random() * 9999},'
            f'"iscrowd": 0,"image_id": {random.randint(1, IMAGES)},"bbox": [{box}],'
            f'"category_id": {random.choice(ids)},"id": {i + 1}}}'
        )
    yield '], "categories": [{"supercategory": "person", "id": 1, "name": "person"}]}'


def pictures(folder: Path) -> None:
    """A folder of small JPEGs, some of them turned."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for i in range(PICTURES):
        path = folder / f"n{i // 1000:08d}" / f"n{i // 1000:08d}_{i}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (500, 375)).save(path, exif=exif if i % 50 == 0 else b"")


def timed(*arguments: object) -> tuple[float, int]:
    """Seconds of an abpipe command, and the peak memory of its largest process in MB."""
    begin = time.perf_counter()
    line = [sys.executable, "-m", "abpipe", *map(str, arguments)]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(line)} failed")
    return time.perf_counter() - begin, used.ru_maxrss >> 10


def main() -> None:
    """Make what is missing, read all of it, and say how long it took."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("bench/sources"))
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    instances, images = folder / "instances_train2014.json", folder / "train"
    if not instances.exists():
        with instances.open("w") as file:
            file.writelines(elements(Random(0)))
    if not images.exists():
        pictures(images)
    for source, dataset, n in ((instances, "coco-ab", OBJECTS), (images, "imagenet-ab", PICTURES)):
        for jobs in (1, 2):
            store = folder / f"store-{source.stem}-{jobs}-{time.time_ns()}"
            seconds, peak = timed("ingest", source, "-s", store, "-j", jobs, "--dataset", dataset)
            size = source.stat().st_size / 1e6 if source.is_file() else 0
            print(  # noqa: T201
                f"{source.name} ({size:.0f} MB, {n:,} rows), {jobs} processes: "
                f"{seconds:.1f} s, {seconds / n * 1e6:.0f} µs each, {peak} MB"
            )


if __name__ == "__main__":
    main()
