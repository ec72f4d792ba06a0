"""Archives in the raw formats, made from a seed, with the truth beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from abpipe.errors import UnknownKind

KINDS = ("imagenet", "coco", "pages")


@dataclass(frozen=True)
class Synthetic:
    """What was written: where, and how much of it.

    `images` counts the planned pictures, `records` the planned annotations, `clicks` the final
    clicks or icons, `defects` what was planted, `files` the members of the archive (1 for JSON).
    """

    kind: str
    archive: Path
    truth: Path
    pictures: Path | None
    images: int
    records: int
    clicks: int
    defects: int
    files: int


def synth(
    out: Path | str,
    *,
    kind: str = "imagenet",
    count: int = 1000,
    seed: int = 0,
    defects: bool = False,
    pictures: bool = False,
    cheats: float = 0,
    motion: str = "aimed",
    jobs: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Synthetic:
    """Write an archive of `count` pictures into the folder `out`, with `truth/*.parquet`.

    For COCO, `truth/instances_train2014.json` tells the objects as COCO's own file does.

    A share of the annotators `cheats`, and `motion` names the model of how hands move.
    The bytes depend on everything but `jobs`; `progress` is told the number of new pictures.
    """
    if kind not in KINDS:
        raise UnknownKind(kind, KINDS)
    from abpipe.synth.run import run

    return run(Path(out), kind, count, seed, defects, pictures, cheats, motion, jobs, progress)
