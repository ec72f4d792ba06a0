"""`manifest.json`: what a store holds. Whoever replaces this file has committed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import orjson

from abpipe import __version__
from abpipe.contents import CONTENTS, DATASET_NAME
from abpipe.contracts import contracts, raw_tables
from abpipe.contracts import dataset as known_dataset
from abpipe.errors import BrokenStore, LostKey, NotFound, WrongFormat

FORMAT = 1

#: The records of source n have the annotation_ids from n times this on.
IDS_PER_SOURCE = 1 << 32

T = TypeVar("T")


@dataclass(frozen=True)
class File:
    """One Parquet file of a table; `source_no` is None where it belongs to the dataset.

    `digest` says what a derived table was made of: see `abpipe.lineage`.
    """

    table: str
    dataset: str
    source_no: int | None
    path: str
    rows: int
    bytes: int
    sha256: str
    digest: str | None = None


@dataclass(frozen=True)
class Ledger:
    """What became of everything in a source. The sums add up:

    members = ok + junk + rejected; records = rows + duplicates + rejected + forgotten.
    """

    members: dict[str, int]
    records: dict[str, int]
    junk: dict[str, int]
    rejects: dict[str, int]
    extra: dict[str, int]
    conflicts: int = 0

    @classmethod
    def of(cls, counts: Counter[str], duplicates: int, conflicts: int) -> Ledger:
        """The ledger of the counts that a source's batches add up to."""

        def group(prefix: str) -> dict[str, int]:
            found = {k.removeprefix(prefix): n for k, n in counts.items() if k.startswith(prefix)}
            return dict(sorted(found.items()))

        members = {kind: counts[f"members.{kind}"] for kind in ("ok", "junk", "rejected")}
        total, rejected = counts["records.total"], counts["records.rejected"]
        forgotten = counts["records.forgotten"]
        rows = total - duplicates - rejected - forgotten
        return cls(
            {"total": sum(members.values())} | members,
            {
                "total": total,
                "rows": rows,
                "duplicates": duplicates,
                "rejected": rejected,
                "forgotten": forgotten,
            },
            group("junk."),
            group("rejects."),
            group("extra."),
            conflicts,
        )

    def forget(self, n: int) -> Ledger:
        """The ledger after `n` rows were removed on request."""
        records = self.records | {
            "rows": self.records["rows"] - n,
            "forgotten": self.records["forgotten"] + n,
        }
        return replace(self, records=records)


@dataclass(frozen=True)
class SourceEntry:
    """One ingested source; `rows` are those of each table (None in manifests of before)."""

    source_no: int
    name: str
    dataset: str
    container: str
    content: str
    size: int
    sha256: str
    options: dict[str, Any]
    partial: str | None  # why it was not read to its end
    ledger: Ledger
    rows: dict[str, int] | None = None

    @property
    def key(self) -> str | None:
        """Which key its pseudonyms are of; None if its ids are as they were."""
        return self.options.get("pseudonyms")


@dataclass(frozen=True)
class Manifest:
    """All files and sources of a store.

    `forgotten` keeps who is to stay forgotten, by dataset and key, blinded: it names nobody.
    """

    format: int = FORMAT
    written_by: str = f"abpipe {__version__}"
    next_source_no: int = 1
    datasets: dict[str, dict[str, str]] = field(default_factory=dict)
    sources: tuple[SourceEntry, ...] = ()
    files: tuple[File, ...] = ()
    forgotten: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """The manifest in a file; an empty one if there is no file. Raises as `parse` does."""
        try:
            return cls.parse(path.read_bytes(), path.parent)
        except FileNotFoundError:
            return cls()

    @classmethod
    def parse(cls, content: bytes, store: object) -> Manifest:
        """The manifest of a store.

        Raises WrongFormat for a store of another version, BrokenStore for anything else.
        """
        try:
            found = orjson.loads(content)
        except orjson.JSONDecodeError as err:
            raise BrokenStore(store, f"manifest.json is no JSON: {err}") from None
        version = found.get("format") if isinstance(found, dict) else None
        if version != FORMAT:
            raise WrongFormat(store, version, FORMAT)
        try:
            sources = tuple(
                _made(SourceEntry, entry | {"ledger": _made(Ledger, entry["ledger"])})
                for entry in found["sources"]
            )
            files = tuple(_made(File, entry) for entry in found["files"])
            manifest = _made(cls, found | {"sources": sources, "files": files})
            manifest._look_through()
        except (TypeError, KeyError) as err:
            raise BrokenStore(store, f"manifest.json misses or adds a field: {err}") from None
        except ValueError as err:
            raise BrokenStore(store, f"manifest.json was edited: {err}") from None
        return manifest

    def _look_through(self) -> None:
        """Raise ValueError unless all names are such as abpipe gives: they become paths and SQL."""
        for name in self.datasets:
            if not DATASET_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a dataset")
        for file in self.files:
            folder = f"{file.table}/dataset={file.dataset}/"
            is_named = re.fullmatch(re.escape(folder) + r"[\w-]+\.parquet", file.path, re.ASCII)
            if file.table not in contracts() or file.dataset not in self.datasets or not is_named:
                raise ValueError(f"it names {file.path!r}, which is no file of a store")
        for source in self.sources:
            if source.dataset not in self.datasets or source.content not in CONTENTS:
                raise ValueError(f"{source.name!r} is no source of a dataset")
            for sums, names in (
                (source.ledger.members, _MEMBERS),
                (source.ledger.records, _RECORDS),
            ):
                if sums.keys() != names:
                    raise ValueError(f"the ledger of {source.name!r} has other sums: {[*sums]}")

    def json(self) -> bytes:
        """The text of the file."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    def files_of(self, table: str, dataset: str | None = None) -> list[File]:
        """The files of a table, in the order of their sources."""
        return [f for f in self.files if f.table == table and dataset in (None, f.dataset)]

    def with_source(self, entry: SourceEntry, files: Iterable[File]) -> Manifest:
        """This manifest with a source added, or put in the place of the one with its number."""
        sources = [s for s in self.sources if s.source_no != entry.source_no]
        kept = [f for f in self.files if f.source_no != entry.source_no]
        about = self.datasets.get(entry.dataset) or {
            k: v
            for k, v in asdict(known_dataset(entry.dataset, CONTENTS[entry.content].tool)).items()
            if v is not None
        }
        return replace(
            self,
            written_by=Manifest.written_by,
            next_source_no=max(self.next_source_no, entry.source_no + 1),
            datasets=dict(sorted((self.datasets | {entry.dataset: about}).items())),
            sources=tuple(sorted((*sources, entry), key=lambda s: s.source_no)),
            files=_in_order((*kept, *files)),
        )

    def only(self, dataset: str | None) -> Manifest:
        """This manifest with one dataset and what belongs to it; all of it if None is named.

        Raises NotFound if the store does not hold it.
        """
        if dataset is None:
            return self
        if dataset not in self.datasets:
            raise NotFound("dataset", dataset, f"It holds: {', '.join(self.datasets)}")
        return replace(
            self,
            datasets={dataset: self.datasets[dataset]},
            sources=tuple(source for source in self.sources if source.dataset == dataset),
            files=tuple(file for file in self.files if file.dataset == dataset),
        )

    def short(self, gone: SourceEntry) -> tuple[str, ...]:
        """The sources that may have left out records because one that is gone had them."""
        return tuple(
            entry.name
            for entry in self.sources
            if entry.dataset == gone.dataset
            and entry.source_no != gone.source_no
            and entry.ledger.records["duplicates"]
        )

    def forgetting(self, dataset: str, key: str, person: str) -> Manifest:
        """This manifest with a person who is to stay forgotten in a dataset.

        Raises LostKey if others were forgotten there with another key.
        """
        by_key = self.forgotten.get(dataset, {key: []})
        if key not in by_key:
            raise LostKey(dataset, *by_key)
        people = sorted({*by_key[key], person})
        return replace(self, forgotten=self.forgotten | {dataset: {key: people}})

    def with_files(self, files: Iterable[File]) -> Manifest:
        """This manifest with files added."""
        return replace(self, files=_in_order((*self.files, *files)))

    def without_files(self, files: Container[File]) -> Manifest:
        """This manifest without some files."""
        return replace(self, files=tuple(file for file in self.files if file not in files))

    def without_source(self, source_no: int) -> Manifest:
        """This manifest without a source; a dataset goes with its last one."""
        sources = tuple(s for s in self.sources if s.source_no != source_no)
        left = {s.dataset for s in sources}
        return replace(
            self,
            datasets={name: about for name, about in self.datasets.items() if name in left},
            sources=sources,
            files=tuple(f for f in self.files if f.source_no != source_no and f.dataset in left),
        )


_MEMBERS = {"total", "ok", "junk", "rejected"}
_RECORDS = {"total", "rows", "duplicates", "rejected", "forgotten"}


def rows_of(files: Iterable[File], source_no: int) -> dict[str, int]:
    """The rows of each table that some files hold of a source."""
    rows = dict.fromkeys(raw_tables(), 0)
    for file in files:
        if file.source_no == source_no:
            rows[file.table] = rows.get(file.table, 0) + file.rows
    return rows


def _made(kind: type[T], values: dict[str, Any]) -> T:
    """One part of a manifest. Raises ValueError for a value of another type than is declared."""
    hints, made = get_type_hints(kind), kind(**values)
    for name in hints:
        if not _is(getattr(made, name), hints[name]):
            raise ValueError(f"{name} is {getattr(made, name)!r}")
    return made


def _is(value: object, hint: Any) -> bool:
    """Whether a value out of JSON is of a type."""
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind is UnionType:
        return any(_is(value, one) for one in inner)
    if kind is dict and isinstance(value, dict):
        return all(_is(one, inner[1]) for one in value.values())
    if kind is list and isinstance(value, list):
        return all(_is(one, inner[0]) for one in value)
    return kind is Any or isinstance(value, kind)


def _in_order(files: Iterable[File]) -> tuple[File, ...]:
    """Files in a fixed order; an empty one only where its table has nothing else."""
    found = sorted(files, key=lambda f: (f.table, f.dataset, f.source_no or 0, f.path))
    full = {(f.table, f.dataset) for f in found if f.rows}
    kept: dict[tuple[str, str, str], File] = {}
    for f in found:
        if f.rows or (f.table, f.dataset) not in full:
            kept[f.table, f.dataset, f.path if f.rows else ""] = f
    return tuple(kept.values())
