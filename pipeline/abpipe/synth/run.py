"""Makes an archive: plans it, has its chunks made by processes, writes them in order."""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np

from abpipe.errors import BadCount, InTheWay, UnknownMotion
from abpipe.synth import (
    Synthetic,
    coco_chunk,
    coco_plan,
    imagenet_chunk,
    imagenet_plan,
    instances,
    pages_chunk,
    pages_plan,
)
from abpipe.synth.archives import Folder, JsonArray, TarGz
from abpipe.synth.chunk import Chunk, Made
from abpipe.synth.defects_coco import COCO
from abpipe.synth.defects_imagenet import IMAGENET
from abpipe.synth.defects_pages import PAGES
from abpipe.synth.motion import HANDS
from abpipe.synth.truth import Annotator, Truth, TruthWriter

CHUNK = 500  # pictures
#: Chunks that may wait, for each process, until it is their turn to be written.
AHEAD = 3
PLANTED = 0.02  # share of pictures that get a defect


class _Plan(Protocol):
    @property
    def people(self) -> list[Annotator]: ...

    def chunks(self, size: int) -> Iterator[Any]: ...


class _Archive(Protocol):
    def write(self, made: Made, /) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class _Kind:
    number: int
    archive: str
    most: int
    plan: Callable[[np.random.Generator, int, float], _Plan]
    make: Callable[[Chunk[Any]], Made]
    codes: list[str]
    open: Callable[[Path], _Archive]
    finish: Callable[[Path], None] | None = None
    """What is made of the whole truth, and put beside it."""


_KINDS = {
    "imagenet": _Kind(
        number=0,
        archive="imagenet_ab.tar.gz",
        most=imagenet_plan.FILES,
        plan=imagenet_plan.plan,
        make=imagenet_chunk.make,
        codes=list(IMAGENET),
        open=TarGz,
    ),
    "coco": _Kind(
        number=1,
        archive="coco_ab.json",
        most=coco_plan.PICTURES,
        plan=coco_plan.plan,
        make=coco_chunk.make,
        codes=list(COCO),
        open=JsonArray,
        finish=instances.write,
    ),
    "pages": _Kind(
        number=2,
        archive="pages",
        most=pages_plan.PICTURES,
        plan=pages_plan.plan,
        make=pages_chunk.make,
        codes=list(PAGES),
        open=Folder,
    ),
}


def run(
    out: Path,
    name: str,
    count: int,
    seed: int,
    planted: bool,
    pictures: bool,
    cheats: float,
    motion: str,
    jobs: int | None,
    progress: Callable[[int], None] | None,
) -> Synthetic:
    """Write an archive and its truth, or nothing."""
    kind = _KINDS[name]
    if not 1 <= count <= kind.most:
        raise BadCount(count, kind.most)
    if motion not in HANDS:
        raise UnknownMotion(motion, HANDS)
    _look_out(out, kind)
    out.mkdir(parents=True, exist_ok=True)
    # a folder of its own, so that nothing is left half-written
    with TemporaryDirectory(prefix=".synth-", dir=out) as folder:
        desk = Path(folder)
        rng = np.random.default_rng([seed, kind.number])
        plan = kind.plan(rng, count, cheats)
        codes = _codes(rng, kind, count) if planted else {}
        chunks = (
            Chunk(
                number,
                [seed, kind.number, number],
                part,
                codes.get(number, []),
                desk / "images" if pictures else None,
                motion,
            )
            for number, part in enumerate(plan.chunks(CHUNK))
        )
        truth = TruthWriter(desk / "truth")
        truth.write(Truth(plan.people).tables())
        files = 0
        with closing(kind.open(desk / kind.archive)) as archive:
            for made in _in_order(kind.make, chunks, jobs or _cores(), count):
                archive.write(made)
                truth.write(made.truth)
                files += made.files
                if progress:
                    progress(made.images)
        truth.close()
        if kind.finish:
            kind.finish(desk / "truth")
        _put(desk / kind.archive, out / kind.archive)
        _put(desk / "truth", out / "truth")
        _put(desk / "images", out / "images")
    return Synthetic(
        kind=name,
        archive=out / kind.archive,
        truth=out / "truth",
        pictures=out / "images" if pictures else None,
        images=truth.rows["images"],
        records=truth.rows["annotations"],
        clicks=truth.rows["clicks"],
        defects=truth.rows["defects"],
        files=files or 1,
    )


def _codes(rng: np.random.Generator, kind: _Kind, count: int) -> dict[int, list[str]]:
    """The defects of each chunk: every kind in turn, at places drawn by chance."""
    least = len(kind.codes) if count >= 200 else min(len(kind.codes), -(-count // 4))
    n = max(least, round(PLANTED * count))
    found: dict[int, list[str]] = {}
    for i, place in enumerate(rng.choice(count, n, replace=False).tolist()):
        found.setdefault(place // CHUNK, []).append(kind.codes[i % len(kind.codes)])
    return found


def _in_order(
    make: Callable[[Chunk[Any]], Made], chunks: Iterator[Chunk[Any]], jobs: int, count: int
) -> Iterator[Made]:
    """Make the chunks in `jobs` processes; few are ever in memory at once."""
    if jobs == 1 or count <= 2 * CHUNK:
        yield from map(make, chunks)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting: deque[Future[Made]] = deque()
        try:
            for chunk in chunks:
                waiting.append(pool.submit(make, chunk))
                if len(waiting) > AHEAD * jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _look_out(out: Path, kind: _Kind) -> None:
    """Refuse to replace what no earlier run of the same kind has made."""
    ours = (out / kind.archive).exists() and (out / "truth" / "annotations.parquet").exists()
    others = [other.archive for other in _KINDS.values() if other is not kind]
    for path in (out / name for name in [*others, *([] if ours else ["truth", "images"])]):
        if path.exists():
            raise InTheWay(path)


def _put(made: Path, place: Path) -> None:
    """Move a file or folder to its place, instead of what was there from an earlier run."""
    if place.is_dir():
        shutil.rmtree(place)
    if made.exists():
        made.replace(place)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
