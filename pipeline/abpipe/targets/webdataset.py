"""WebDataset: tar files in which the members of a sample share a key. Needs `webdataset`."""

from __future__ import annotations

from functools import partial
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from webdataset import TarWriter

from abpipe.targets.memmap import Array
from abpipe.targets.samples import Sample, fields, write_shards
from abpipe.targets.selection import Progress, Selection

__all__ = ["fields", "write"]

JPEG = ("jpeg", "jpe", "jfif")
FEW = 16  # numbers that stand in the JSON member


def write(
    selection: Selection, folder: Path, progress: Progress | None = None
) -> dict[str, dict[str, Any]]:
    """Write shards into a folder; what targets.json is to say of each."""
    large = [
        name
        for name, about in fields(selection).items()
        if None in about["shape"] or prod(about["shape"]) > FEW
    ]
    return write_shards(selection, folder, ".tar", partial(_Shard, large=large), progress)


class _Shard:
    """A tar file: KEY.json for small targets, KEY.<name>.npy for large ones, and the picture."""

    def __init__(self, path: Path, large: list[str]) -> None:
        self._large, self._file = large, path.open("wb")
        self._tar = TarWriter(self._file, encoder=False, mtime=0, user="", group="")

    def write(self, sample: Sample) -> None:
        small = {k: v for k, v in sample.targets.items() if k not in self._large}
        members = {f"{name}.npy": _npy(sample.targets[name]) for name in self._large}
        about = {"image_id": sample.image_id} | small
        members["json"] = orjson.dumps(about, option=orjson.OPT_SERIALIZE_NUMPY)  # NaN is null
        if (picture := sample.picture()) is not None and sample.file:
            kind = sample.file.suffix[1:].lower()
            members["jpg" if kind in JPEG else kind] = picture
        self._tar.write({"__key__": _key(sample.image_id)} | members)

    def close(self) -> None:
        self._tar.close()
        self._file.close()


def _key(image_id: str) -> str:
    """A sample's key: it ends at the first dot of a member's name."""
    return image_id.replace("%", "%25").replace(".", "%2E").replace("/", "%2F")


def _npy(values: Array) -> bytes:
    memory = BytesIO()
    np.lib.format.write_array(memory, values)
    return memory.getvalue()
