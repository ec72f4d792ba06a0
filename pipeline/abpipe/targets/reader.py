"""Opens exported targets as memory maps. Needs NumPy only."""

from __future__ import annotations

import json  # noqa: TID251 - orjson is no part of NumPy
from collections.abc import Iterable, Sequence
from functools import cached_property
from hashlib import file_digest
from pathlib import Path
from tokenize import TokenError
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from abpipe.errors import BrokenTargets, NoTargets, UnknownNames, WrongTargets
from abpipe.image_ids import image_id

FORMAT = 1
ABOUT = "targets.json"
EXAMPLES = 3
#: What NumPy raises for files that hold something else.
_NO_ARRAY = (ValueError, EOFError, OSError, OverflowError, SyntaxError, TokenError, TypeError)
_NO_ID = b"\xff"  # in no id: it is no UTF-8

Array: TypeAlias = npt.NDArray[Any]
Rows: TypeAlias = npt.NDArray[np.int64]


def open_targets(path: Path | str, names: Sequence[str] | None = None) -> Targets:
    """The targets in a folder that `abpipe export` wrote.

    `names` are the arrays that samples and batches hold (all with a row for every picture but
    image_ids and offsets). Raises NoTargets if the folder holds none, WrongTargets if another
    version wrote them, BrokenTargets if a file is not what targets.json says.
    """
    return Targets(path, names)


class Targets:
    """Targets as read-only arrays that lie in files; a Dataset for PyTorch's DataLoader.

    `arrays` holds all by name, also by `targets["click_xy"]`; `about` is targets.json: what they
    mean, their units, the classes, and where they come from. `targets[5]` is a sample, a dict of
    arrays, and `targets[rows]` a batch of them (so is `__getitems__`, which a DataLoader calls): a
    dict of arrays with as many rows. A pickle holds the path only.
    """

    def __init__(self, path: Path | str, names: Sequence[str] | None = None) -> None:
        self.folder, self._names = Path(path), names
        self.about, self.arrays = _opened(self.folder)
        wanted = self._per_picture() if names is None else names
        self._samples = {name: self.arrays[name] for name in wanted}

    def _per_picture(self) -> list[str]:
        """The arrays that hold a number or more for each picture."""
        return [
            name
            for name, entry in self.about["arrays"].items()
            if "offsets" not in entry
            and len(self.arrays[name]) == len(self)
            and name != "image_ids"
        ]

    def __len__(self) -> int:
        return len(self.arrays["image_ids"])

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, str):
            return self.arrays[at]
        return {name: array[at] for name, array in self._samples.items()}

    def __getitems__(self, rows: Sequence[int] | Rows) -> dict[str, Array]:
        at = np.asarray(rows)
        return {name: array.take(at, 0) for name, array in self._samples.items()}

    def __reduce__(self) -> tuple[type[Targets], tuple[Path, Sequence[str] | None]]:
        return Targets, (self.folder, self._names)

    def take(self, rows: Rows) -> dict[str, Array]:
        """The targets in some rows, as `targets[rows]`; in row -1 nothing is valid."""
        found, lost = self.__getitems__(rows), rows < 0
        if lost.any():
            for array in found.values():
                array[lost] = {"f": np.nan, "b": False}.get(array.dtype.kind, -1)
        return found

    def ragged(self, name: str, row: int) -> Array:
        """The values of a ragged array that belong to a row: `targets.ragged("trace_xyt", 5)`."""
        offsets = self.arrays[self.about["arrays"][name]["offsets"]]
        begin, end = offsets[range(len(self))[row] + np.arange(2)].tolist()
        values: Array = self.arrays[name][begin:end]
        return values

    def part(self, name: str) -> Rows:
        """The rows of a part of the split, such as "train". Raises KeyError for another name."""
        number = list(self.about["options"]["split"]).index(name)
        return np.flatnonzero(self.arrays["split"] == number)

    def rows(self, names: Iterable[str | bytes | int], missing: int | None = None) -> Rows:
        """The rows of pictures, by any of their names' usual forms: see `abpipe.image_ids`.

        Raises UnknownNames if some are not there, unless told what to say for them. A million names
        take about a second, the first time a little more.
        """
        told = [name if type(name) is str else _spelt(name) for name in names]
        # ImageNet's files, of which there may be a million, by a shorter way
        found = self._find(
            [name[name.rfind("/") + 1 : -5] if name.endswith(".JPEG") else name for name in told]
        )
        others = np.flatnonzero(found < 0)
        found[others] = self._find([image_id(told[i]) for i in others])
        if missing is None and (found < 0).any():
            unknown = [told[i] for i in others if found[i] < 0]
            raise UnknownNames(len(unknown), len(told), unknown[:EXAMPLES])
        return found if missing is None else np.where(found < 0, missing, found)

    def _find(self, ids: list[str]) -> Rows:
        """The rows of image ids; -1 for one that is not there."""
        known, (seed, hashes, order) = self.arrays["image_ids"], self._index
        longest = known.dtype.itemsize
        coded = (name.encode() for name in ids)
        keys = np.array([c if len(c) <= longest else _NO_ID for c in coded], known.dtype)
        at = np.searchsorted(hashes, _hashed(keys, seed))
        rows: Rows = order[np.minimum(at, len(order) - 1)]
        return np.where(known[rows] == keys, rows, -1)

    @cached_property
    def _index(self) -> tuple[int, npt.NDArray[np.uint64], Rows]:
        """Hashes of all image ids in order, and their rows: quicker than a dict of a million."""
        seed, ids = 0, self.arrays["image_ids"]
        while len(np.unique(hashes := _hashed(ids, seed))) < len(ids):
            seed += 1
        order = np.argsort(hashes)
        return seed, hashes[order], order

    def verify(self) -> None:
        """Compare every file's checksum with targets.json. Raises BrokenTargets."""
        for entry in self.about["arrays"].values():
            with (self.folder / entry["file"]).open("rb") as file:
                if file_digest(file, "sha256").hexdigest() != entry["sha256"]:
                    raise BrokenTargets(self.folder, entry["file"], "has changed since its export")


def _spelt(name: str | bytes | int) -> str:
    if isinstance(name, bytes):
        return name.decode()
    return str(name)


def _hashed(keys: Array, seed: int) -> npt.NDArray[np.uint64]:
    """A hash of each of some bytes [n]: their words, weighed by odd numbers drawn by chance."""
    n = -(-keys.itemsize // 8)
    words = keys.astype(f"S{8 * n}").view("<u8").reshape(len(keys), n)
    drawn = np.random.default_rng(seed).integers(0, 1 << 63, n, np.uint64)
    hashes: npt.NDArray[np.uint64] = (words * (2 * drawn + 1)).sum(1)
    return hashes


def _opened(folder: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """What targets.json says, and its arrays: of one export, also if another replaces it."""
    while True:
        content = _content(folder)
        about = _about(folder, content)
        try:
            arrays = {name: _array(folder, entry) for name, entry in about["arrays"].items()}
        except BrokenTargets:
            if _content(folder) == content:
                raise
            continue
        if _content(folder) == content:
            return about, arrays


def _content(folder: Path) -> bytes:
    """The text of targets.json."""
    try:
        return (folder / ABOUT).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise NoTargets(folder, f"there is no {ABOUT}") from None


def _about(folder: Path, content: bytes) -> dict[str, Any]:
    """What targets.json says, if it is of a kind and version that can be read."""
    try:
        about = json.loads(content)
        version, form, arrays = about["format"], about["form"], about["arrays"]
        is_whole = form != "memmap" or all(_is_entry(one, arrays) for one in arrays.values())
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise BrokenTargets(folder, ABOUT, "cannot be read") from None
    if version != FORMAT:
        raise WrongTargets(folder, version, FORMAT)
    if form != "memmap":
        raise NoTargets(folder, f"it was exported as {form}")
    if not is_whole or "image_ids" not in arrays:
        raise BrokenTargets(folder, ABOUT, "misses what it should say of its arrays")
    return dict(about)


def _is_entry(entry: dict[str, Any], arrays: dict[str, Any]) -> bool:
    """Whether targets.json says all of an array, and of no file elsewhere."""
    kinds = {"file": str, "bytes": int, "sha256": str, "dtype": str, "shape": list}
    has_all = all(isinstance(entry[name], kind) for name, kind in kinds.items())
    return (
        has_all
        and Path(entry["file"]).name == entry["file"]
        and entry.get("offsets", "image_ids") in arrays
    )


def _array(folder: Path, entry: dict[str, Any]) -> Array:
    """A read-only array that lies in its file, as a plain one: quicker to index than a memmap."""
    try:
        path = folder / entry["file"]
        if path.stat().st_size != entry["bytes"]:
            raise BrokenTargets(folder, entry["file"], f"should have {entry['bytes']:,} bytes")
        has_bytes = 0 not in entry["shape"]  # else there is nothing to map
        array: Array = np.load(path, mmap_mode="r" if has_bytes else None).view(np.ndarray)
    except FileNotFoundError:
        raise BrokenTargets(folder, entry["file"], "is missing") from None
    except _NO_ARRAY as err:
        raise BrokenTargets(folder, entry["file"], f"is no array: {err}") from None
    if [array.dtype.str, *array.shape] != [entry["dtype"], *entry["shape"]]:
        shape = f"{array.dtype.str} {list(array.shape)}"
        raise BrokenTargets(folder, entry["file"], f"holds {shape}, not what {ABOUT} says")
    array.flags.writeable = False
    return array
