"""One source on its way into a store: read, merged with what is there, committed."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from abpipe.contents import CONTENTS, Content
from abpipe.contracts import classes, raw_tables
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
from abpipe.manifest import File, Ledger, Manifest, SourceEntry
from abpipe.parallel import Workers
from abpipe.privacy import Gone, Key, Veil
from abpipe.raw.block import Block, Blocks, FilesBlock, Take, XmlBlock
from abpipe.raw.sources import Source
from abpipe.raw.streams import OnRead
from abpipe.rows import Batch, table
from abpipe.store import Store, TableWriter, Transaction

IDS_PER_SOURCE = 1 << 32


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

    def run(
        self, store: Store, workers: Workers, replace: bool, progress: Progress | None
    ) -> Ingested:
        """Make the source part of the store, unless it is already."""
        size, sha256 = self.source.identity()
        self._prepare()
        with store.transaction() as transaction:
            self.dataset = self.named or _only_dataset(transaction.manifest, self.source.name)
            self.tool = self._tool(transaction.manifest)
            old = self._same_name(transaction)
            if old and (old.sha256, old.options) == (sha256, self.options) and not replace:
                return Ingested(old, _rows(transaction, old.source_no), is_new=False)
            if old and not replace:
                what = "options" if old.sha256 == sha256 else "content"
                raise SourceChanged(self.source.name, what)
            self._same_ids(transaction, old)
            source_no = old.source_no if old else transaction.manifest.next_source_no
            on_read = partial(progress, self.source.name, size) if progress else None
            counts, new, broken = self._write(transaction, workers, source_no, on_read)
            from abpipe.catalog import commit  # only now: other processes were waiting for blocks
            from abpipe.events.merge import merge

            if strange := counts["rejects.other-category"]:
                raise OtherClasses(self.source.name, strange)
            merged = merge(transaction, new, source_no)
            ledger = Ledger.of(counts, merged.duplicates, merged.conflicts)
            self._judge(new)
            entry = SourceEntry(
                source_no,
                self.source.name,
                self.dataset,
                self.source.container,
                self.source.content.name,
                size,
                sha256,
                self.options,
                broken,
                ledger,
            )
            files = [*merged.files.values(), *self._classes(transaction)]
            stale = commit(transaction, transaction.manifest.with_source(entry, files))
            short = transaction.manifest.short(old) if old else ()
            rows = _rows(transaction, source_no)
            return Ingested(entry, rows, is_new=True, short=short, stale=stale)

    def _prepare(self) -> None:
        """Learn what parsing needs, and whose ids there are: the source's own name may hold one."""
        reading = parser(self.source)
        self.parse, self.veil = reading.parse, None
        hidden = self.source.content.private if self.ids.hidden is None else self.ids.hidden
        if hidden:
            self.veil = Veil(Key.load(self.ids.key), reading.ids)
            self.options = self.options | {"pseudonyms": self.veil.key.id}
            name = self.veil.text(self.source.name)
            self.source = dataclasses.replace(self.source, name=name)

    def _same_ids(self, transaction: Transaction, old: SourceEntry | None) -> None:
        """Raise OtherIds unless all of the dataset's ids are of one kind."""
        given = self.options.get("pseudonyms")
        has_ids = [s for s in transaction.manifest.sources if _has_ids(CONTENTS[s.content])]
        for entry in has_ids if _has_ids(self.source.content) else ():
            if entry.dataset == self.dataset and entry != old and entry.key != given:
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

    def _same_name(self, transaction: Transaction) -> SourceEntry | None:
        """The source that the store has by this name."""
        for entry in transaction.manifest.sources:
            if (entry.name, entry.dataset) == (self.source.name, self.dataset):
                return entry
        return None

    def _write(
        self,
        transaction: Transaction,
        workers: Workers,
        source_no: int,
        on_read: OnRead,
    ) -> tuple[Counter[str], dict[str, TableWriter], str | None]:
        """Read the source to its end; its rows go to new files."""
        tables = self.source.content.tables
        new = {name: transaction.writer(name, self.dataset, source_no) for name in tables}
        gone = self._forgotten(transaction)
        stamp = _Stamp(self.source.name, source_no * IDS_PER_SOURCE)
        counts: Counter[str] = Counter()
        broken = None
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
        return counts, new, broken

    def _blocks(self, take: Take, on_read: OnRead) -> Blocks:
        left = self.options.get("limit")
        for block in self.source.blocks(take, on_read):
            if left is not None:
                block, left = _first(block, left)
            yield block
            if left == 0:
                return

    def _judge(self, new: dict[str, TableWriter]) -> None:
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


def _rows(transaction: Transaction, source_no: int) -> dict[str, int]:
    rows = dict.fromkeys(raw_tables(), 0)
    for file in transaction.manifest.files:
        if file.source_no == source_no:
            rows[file.table] += file.rows
    return rows
