"""One source on its way into a store: read, merged with what is there, committed."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import count, islice
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pyarrow as pa

from abpipe.cluster import Cluster
from abpipe.contents import CONTENTS, Content
from abpipe.contracts import classes
from abpipe.contracts import dataset as known_dataset
from abpipe.errors import (
    BrokenSource,
    LostKey,
    NothingReadable,
    OtherClasses,
    OtherIds,
    SourceChanged,
    TooManyRejects,
    WhichDataset,
    WrongTool,
)
from abpipe.events.ingest import Ids, Ingested, Progress
from abpipe.events.parse import parser
from abpipe.manifest import IDS_PER_SOURCE, File, Ledger, Manifest, SourceEntry, rows_of
from abpipe.once import Once
from abpipe.parallel import Workers
from abpipe.privacy import Gone, Key, Veil
from abpipe.raw.block import Block, Blocks, FilesBlock, Take, XmlBlock
from abpipe.raw.sources import Source
from abpipe.raw.streams import OnRead
from abpipe.rows import Batch, table
from abpipe.store import Part, Store, Transaction


@dataclass(frozen=True)
class Read:
    """What reading a source gave: counts, new files, and why it ended too early."""

    counts: Counter[str]
    new: Mapping[str, Part]
    broken: str | None


@dataclass(frozen=True)
class Staged:
    """A source that was read elsewhere: its size and hash, and what it gave unless it was known."""

    identity: tuple[int, str]
    files: dict[str, File] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    broken: str | None = None


@dataclass
class Job:
    """What is to be done with one source; `run` does it."""

    source: Source
    named: str | None
    """The dataset, if the user or the content names one."""
    options: dict[str, Any]
    ids: Ids
    keep_partial: bool
    max_rejects: int | None
    dataset: str = field(init=False)
    tool: str = field(init=False)
    old: SourceEntry | None = field(init=False)
    """The source that the store has by its name."""
    source_no: int = field(init=False)

    def run(
        self, store: Store, workers: Workers | Cluster, replace: bool, progress: Progress | None
    ) -> Ingested:
        """Make the source part of the store, unless it is already."""
        self._look()
        self._prepare()
        with store.transaction() as transaction:
            if known := self._join(transaction.manifest, replace):
                return known
            on_read = partial(progress, self.source.name, self._size()) if progress else None
            return self._store(transaction, self._write(transaction, workers, on_read))

    def stage(self, store: Path, manifest: Manifest, source_no: int, replace: bool) -> Staged:
        """Write the source's rows to files beside the store's, for another process to commit.

        Nothing is written if the store has the source already.
        """
        self._look()
        self._prepare()
        known, self.source_no = self._join(manifest, replace), source_no
        if known:
            return Staged(self.identity)
        with Store(store).staging(manifest) as transaction, Workers(1) as workers:
            read = self._write(transaction, workers, None)
            files = {name: part.finish() for name, part in read.new.items()}
        return Staged(self.identity, files, read.counts, read.broken)

    def finish(self, transaction: Transaction, staged: Staged, replace: bool) -> Ingested:
        """Make what was staged part of the store."""
        self.identity = staged.identity
        if known := self._join(transaction.manifest, replace):
            return known
        new = {name: transaction.adopt(file) for name, file in staged.files.items()}
        return self._store(transaction, Read(staged.counts, new, staged.broken))

    @cached_property
    def identity(self) -> tuple[int, str]:
        """Its size in bytes and its SHA-256."""
        return self.source.identity()

    def _look(self) -> None:
        """Hash the source, unless it comes from elsewhere: then it is hashed as it is read."""
        self.source = self.source.once()
        if not isinstance(self.source.path, Once):
            self.identity = self.source.identity()

    def _size(self) -> int:
        """Bytes that will be read; 0 if nobody tells."""
        path = self.source.path
        return (path.info().get("size") or 0) if isinstance(path, Once) else self.identity[0]

    def is_alone(self, manifest: Manifest) -> bool:
        """Whether it can be read without a key, and without what other sources bring."""
        needs_key = self._is_hidden() or self.named in manifest.forgotten
        return self.named is not None and not needs_key

    def known(self, manifest: Manifest) -> SourceEntry | None:
        """The source that the store has by the name of this one, which has a dataset."""
        self.dataset = self.named or ""
        return self._same_name(manifest)

    def _is_hidden(self) -> bool:
        """Whether ids become pseudonyms."""
        return self.source.content.private if self.ids.hidden is None else self.ids.hidden

    def _join(self, manifest: Manifest, replace: bool) -> Ingested | None:
        """Find its place in the store; what it brought, if the store has it already."""
        self.dataset = self.named or _only_dataset(manifest, self.source.name)
        self.tool = self._tool(manifest)
        self.old = old = self._same_name(manifest)
        if old and not replace:  # only then its hash is asked for before it is read
            is_same = old.sha256 == self.identity[1]
            if is_same and old.options == self.options:
                return Ingested(old, rows_of(manifest.files, old.source_no), is_new=False)
            raise SourceChanged(self.source.name, "options" if is_same else "content")
        self._same_ids(manifest)
        self.source_no = old.source_no if old else manifest.next_source_no
        return None

    def _store(self, transaction: Transaction, read: Read) -> Ingested:
        """Commit what was read, less what is there already."""
        from abpipe.catalog import commit
        from abpipe.events.merge import merge

        if strange := read.counts["rejects.other-category"]:
            raise OtherClasses(self.source.name, strange)
        merged = merge(transaction, read.new, self.source_no)
        ledger = Ledger.of(read.counts, merged.duplicates, merged.conflicts)
        self._judge(read.new)
        files = [*merged.files.values(), *self._classes(transaction)]
        rows = rows_of(files, self.source_no)
        entry = SourceEntry(
            self.source_no,
            self.source.name,
            self.dataset,
            self.source.container,
            self.source.content.name,
            *self.identity,
            self.options,
            read.broken,
            ledger,
            rows,
        )
        stale = commit(transaction, transaction.manifest.with_source(entry, files))
        short = transaction.manifest.short(self.old) if self.old else ()
        return Ingested(entry, rows, is_new=True, short=short, stale=stale)

    def _prepare(self) -> None:
        """Learn what parsing needs, and whose ids there are: the source's own name may hold one."""
        reading = parser(self.source)
        self.parse, self.veil = reading.parse, None
        if self._is_hidden():
            self.veil = Veil(Key.load(self.ids.key), reading.ids)
            self.options = self.options | {"pseudonyms": self.veil.key.id}
            name = self.veil.text(self.source.name)
            self.source = dataclasses.replace(self.source, name=name)

    def _same_ids(self, manifest: Manifest) -> None:
        """Raise OtherIds unless all of the dataset's ids are of one kind."""
        given = self.options.get("pseudonyms")
        has_ids = [s for s in manifest.sources if _has_ids(CONTENTS[s.content])]
        for entry in has_ids if _has_ids(self.source.content) else ():
            if entry.dataset == self.dataset and entry != self.old and entry.key != given:
                raise OtherIds(self.dataset, entry.key, given)

    def _forgotten(self, transaction: Transaction) -> Gone:
        """Who is to stay forgotten. Raises LostKey where that cannot be told."""
        for known, people in transaction.manifest.forgotten.get(self.dataset, {}).items():
            key = self.veil.key if self.veil else Key.load(self.ids.key)
            if key.id != known:
                raise LostKey(self.dataset, known)
            return Gone(frozenset(people), None if self.veil else key)
        return Gone()

    def _tool(self, manifest: Manifest) -> str:
        """The annotation tool of the dataset."""
        about, own = manifest.datasets.get(self.dataset), self.source.content.tool
        tool = about["tool"] if about else known_dataset(self.dataset, own).tool
        if tool is None:  # a name of the user's own, and pictures do not tell
            raise WhichDataset(self.source.name, manifest.datasets)
        if own not in (None, tool):
            raise WrongTool(self.dataset, tool, self.source.name)
        return tool

    def _same_name(self, manifest: Manifest) -> SourceEntry | None:
        """The source that the store has by this name."""
        for entry in manifest.sources:
            if (entry.name, entry.dataset) == (self.source.name, self.dataset):
                return entry
        return None

    def _write(self, transaction: Transaction, workers: Workers | Cluster, on_read: OnRead) -> Read:
        """Read the source to its end; its rows go to new files."""
        tables = self.source.content.tables
        new = {name: transaction.writer(name, self.dataset, self.source_no) for name in tables}
        gone = self._forgotten(transaction)
        stamp = _Stamp(self.source.name, self.source_no * IDS_PER_SOURCE)
        counts: Counter[str] = Counter()
        broken = None
        Thread(target=_load).start()
        try:
            blocks = partial(self._blocks, on_read=on_read)
            for batch in workers.map(self.parse, blocks):
                batch = self.veil.batch(batch) if self.veil else batch
                counts += batch.counts
                for name, rows in gone(stamp(batch), counts).items():
                    if rows.num_rows:  # whoever rejects something does not know the content
                        new[name].write(rows)
        except BrokenSource as err:
            if not self.keep_partial:
                raise
            broken = err.why
        return Read(counts, dict(new), broken)

    def _blocks(self, take: Take, on_read: OnRead) -> Blocks:
        left = self.options.get("limit")
        for block in self.source.blocks(take, on_read):
            if left is not None:
                block, left = _first(block, left)
            yield block
            if left == 0:
                return

    def _judge(self, new: Mapping[str, Part]) -> None:
        """Raise if there is nothing good in the source, or too much bad."""
        rejects, readable = new["rejects"].rows, new[self.source.content.proof].rows
        if readable and (self.max_rejects is None or rejects <= self.max_rejects):
            return
        example = "it holds none"
        if rejects:
            (first,) = new["rejects"].staged().slice(0, 1).to_pylist()
            place = f"{first['member']}, " if first["member"] else ""
            example = f"{place}byte {first['offset']:,}: {first['message']}"
        if not readable:
            raise NothingReadable(self.source.name, rejects, example)
        raise TooManyRejects(self.source.name, rejects, self.max_rejects or 0, example)

    def _classes(self, transaction: Transaction) -> Iterator[File]:
        """The dataset's classes, if it has none yet."""
        if not transaction.manifest.files_of("classes", self.dataset):
            writer = transaction.writer("classes", self.dataset, None)
            writer.write(table("classes", list(classes(self.tool))))
            yield writer.finish()


def run(
    jobs: list[Job],
    store: Store,
    workers: Workers | Cluster,
    replace: bool,
    progress: Progress | None,
) -> list[Ingested]:
    """Make sources part of a store, one commit each.

    A cluster reads several at once where none needs a key or what the others bring: each is one
    task, which writes its files into the store's folder.
    """
    if isinstance(workers, Cluster) and len(jobs) > 1 and isinstance(store.place, Path):
        with store.transaction() as transaction:
            if all(job.is_alone(transaction.manifest) for job in jobs):
                return _run_apart(jobs, transaction, workers, replace, progress)
    return [job.run(store, workers, replace, progress) for job in jobs]


def _run_apart(
    jobs: list[Job],
    transaction: Transaction,
    cluster: Cluster,
    replace: bool,
    progress: Progress | None,
) -> list[Ingested]:
    manifest, place = transaction.manifest, transaction.store.folder.resolve()
    free, tasks, done = count(manifest.next_source_no), [], []
    for job in jobs:
        known = job.known(manifest)
        tasks.append((job, place, manifest, known.source_no if known else next(free), replace))
    for job, staged in zip(jobs, cluster.each(Job.stage, tasks), strict=True):
        done.append(job.finish(transaction, staged, replace))
        if progress:
            progress(job.source.name, job.identity[0], job.identity[0])
    return done


def _load() -> None:
    """Import what a commit needs, while other processes parse: later they would wait for it."""
    import abpipe.catalog
    import abpipe.events.merge  # noqa: F401


def _only_dataset(manifest: Manifest, source: str) -> str:
    if len(manifest.datasets) != 1:
        raise WhichDataset(source, manifest.datasets)
    return next(iter(manifest.datasets))


def _has_ids(content: Content) -> bool:
    """Whether what a source holds is about people."""
    return "annotations" in content.tables


class _Stamp:
    """Gives the rows of a block what only their place in the source tells: ids and numbers."""

    def __init__(self, source: str, first_id: int) -> None:
        self.source, self.next_id, self.next_reject = source, first_id, 0
        self.n_objects: Counter[str] = Counter()  # of each picture

    def __call__(self, batch: Batch) -> dict[str, pa.Table]:
        stamped = {}
        for name, rows in batch.tables.items():
            if "annotation_id" in rows.column_names:
                ids = pa.array(rows["annotation_id"].to_numpy() + self.next_id)
                at = rows.column_names.index("annotation_id")
                rows = rows.set_column(at, "annotation_id", ids)
            if name == "objects" and "object_no" not in rows.column_names:
                rows = rows.append_column("object_no", pa.array(self._numbered(rows["image_id"])))
            if name != "events":
                zeros = pa.array(np.zeros(rows.num_rows, np.int32))
                names = pa.DictionaryArray.from_arrays(zeros, [self.source])
                rows = rows.append_column("source", names)
            if name == "rejects":
                numbers = np.arange(self.next_reject, self.next_reject + rows.num_rows)
                rows = rows.append_column("reject_no", pa.array(numbers))
                self.next_reject += rows.num_rows
            stamped[name] = rows
        self.next_id += batch.n_annotations
        return stamped

    def _numbered(self, image_ids: pa.ChunkedArray) -> list[int]:
        """The place of each object among those of its picture, which may lie far apart."""
        numbers = []
        for image_id in image_ids.to_pylist():
            numbers.append(self.n_objects[image_id])
            self.n_objects[image_id] += 1
        return numbers


def _first(block: Block | Batch, n: int) -> tuple[Block | Batch, int]:
    """At most the first files or records of a block, and how many more are wanted after it."""
    if isinstance(block, Batch):
        return block, n
    if isinstance(block, XmlBlock):
        members, begin, end = block.members[:n], block.starts[:n], block.ends[:n]
        return dataclasses.replace(block, members=members, starts=begin, ends=end), n - len(members)
    if isinstance(block, FilesBlock):
        members, paths = block.members[:n], block.paths[:n]
        return dataclasses.replace(block, members=members, paths=paths), n - len(members)
    begins = list(islice(block.shape.starts(block.buffer.view[block.start : block.end]), n + 1))
    if len(begins) <= n:
        return block, n - len(begins)
    return dataclasses.replace(block, end=block.start + begins[n]), 0
