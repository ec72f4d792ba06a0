"""Samples: targets picture by picture, for the forms that are read in that way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any, Protocol

import numpy as np

from abpipe.errors import UnreadablePicture
from abpipe.targets.memmap import Array, Arrays, Spec, pieces, specs
from abpipe.targets.pictures import paths
from abpipe.targets.selection import Progress, Selection

SHARD = 10_000  # samples of a file
STEP = 1000  # samples, after which progress is told of
WHOLE = "train"  # the part that all pictures are in, without a split
_UNFINISHED = ".unfinished-"
_ELSEWHERE = ("image_ids", "split")  # a sample's own fields


@dataclass(frozen=True)
class Sample:
    """The targets of a picture, by the names of `arrays`; its file where there is one."""

    image_id: str
    part: str
    targets: Arrays
    file: Path | None = None

    def picture(self) -> bytes | None:
        """The picture, as it lies in its file. Raises UnreadablePicture if it cannot be read."""
        try:
            return self.file.read_bytes() if self.file else None
        except OSError as err:
            raise UnreadablePicture(self.file, err.strerror or str(err)) from err


class Writer(Protocol):
    """Writes samples into one file."""

    def write(self, sample: Sample) -> None:
        """Add a sample."""

    def close(self) -> None:
        """Finish the file."""


def arrays(selection: Selection) -> list[Spec]:
    """The arrays that samples have their targets of: as of memmap, a ragged one cut up."""
    return [
        spec
        for spec in specs(selection)
        if spec.name not in _ELSEWHERE and not spec.name.endswith("_offsets")
    ]


def samples(selection: Selection, progress: Progress | None = None) -> Iterator[Sample]:
    """The samples of all pictures, in order."""
    names, wanted = list(selection.options.split) or [WHOLE], arrays(selection)
    begin, total = 0, selection.rows
    for piece in pieces(selection):
        ids = piece["image_ids"].tolist()
        number = piece.get("split", np.zeros(len(ids), np.int8)).tolist()
        files = paths(selection, begin, begin + len(ids))
        columns = {spec.name: _rows(piece, spec) for spec in wanted}
        for i, image_id in enumerate(ids):
            targets = {name: rows[i] for name, rows in columns.items()}
            yield Sample(image_id.decode(), names[number[i]], targets, files.get(begin + i))
            done = begin + i + 1
            if progress and (done % STEP == 0 or done == total):
                progress("targets", total, done)
        begin += len(ids)


def _rows(piece: Arrays, spec: Spec) -> list[Array] | Array:
    """What each picture has of an array."""
    values: Array = piece[spec.name].astype(spec.dtype, order="C")
    if not spec.offsets:
        return values
    return np.split(values, np.cumsum(piece[spec.offsets])[:-1])


def write_shards(
    selection: Selection,
    folder: Path,
    ending: str,
    opened: Callable[[Path], Writer],
    progress: Progress | None = None,
) -> dict[str, dict[str, Any]]:
    """Write all samples into files, train-00000.tar and so on; what targets.json is to say.

    Where the selection has a cluster, a file is a task of it.
    """
    if selection.cluster:
        shards = _shards(selection, folder, ending, opened, progress)
        files = dict(sorted(selection.cluster.each(_write_shard, shards)))
        for left in folder.glob(f"{_UNFINISHED}*"):  # by a worker that was lost
            left.unlink()
        return files
    writers, written, files = dict[str, Writer](), Counter[str](), dict[str, dict[str, Any]]()
    try:
        for sample in samples(selection, progress):
            number, n = divmod(written[sample.part], SHARD)
            name = f"{sample.part}-{number:05d}"
            if n == 0:
                if sample.part in writers:
                    writers.pop(sample.part).close()
                writers[sample.part] = opened(folder / f"{name}{ending}")
            writers[sample.part].write(sample)
            written[sample.part] += 1
            files[name] = {"file": f"{name}{ending}", "part": sample.part, "shape": (n + 1,)}
    finally:
        for writer in writers.values():
            writer.close()
    return dict(sorted(files.items()))


def _shards(
    selection: Selection,
    folder: Path,
    ending: str,
    opened: Callable[[Path], Writer],
    progress: Progress | None,
) -> Iterator[tuple[Any, ...]]:
    """The samples of each file, as a task."""
    waiting, numbers = dict[str, list[Sample]](), Counter[str]()

    def task(part: str) -> tuple[Any, ...]:
        name = f"{part}-{numbers[part]:05d}"
        numbers[part] += 1
        return opened, folder / f"{name}{ending}", waiting.pop(part)

    for sample in samples(selection, progress):
        waiting.setdefault(sample.part, []).append(sample)
        if len(waiting[sample.part]) == SHARD:
            yield task(sample.part)
    for part in [*waiting]:
        yield task(part)


def _write_shard(
    opened: Callable[[Path], Writer], path: Path, found: list[Sample]
) -> tuple[str, dict[str, Any]]:
    """Write samples into a file; its name, and what targets.json is to say of it."""
    unfinished = path.with_name(f"{_UNFINISHED}{token_hex(4)}")  # it may be done twice at a time
    writer = opened(unfinished)
    try:
        for sample in found:
            writer.write(sample)
    finally:
        writer.close()
    unfinished.replace(path)
    return path.stem, {"file": path.name, "part": found[0].part, "shape": (len(found),)}


def fields(selection: Selection) -> dict[str, dict[str, Any]]:
    """What targets.json is to say of the targets of a sample; None is a length that differs."""
    return {
        spec.name: {
            "dtype": spec.dtype,
            "shape": (None, *spec.shape) if spec.offsets else spec.shape,
            "unit": spec.unit,
            "doc": spec.doc,
        }
        for spec in arrays(selection)
    }
