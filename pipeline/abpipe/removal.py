"""Forget: remove an annotator or a source from a store, rewriting every file that held them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from abpipe.catalog import commit
from abpipe.errors import NotFound, SeveralDatasets
from abpipe.manifest import File, Manifest, SourceEntry, rows_of
from abpipe.privacy import Key, blind
from abpipe.rows import with_fewer, without
from abpipe.store import Transaction, open_store, read_groups

if TYPE_CHECKING:
    from abpipe.events.ingest import Progress

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Forgotten:
    """What was removed.

    `mentions` counts rows of others that still name the annotator. `short` are the sources that
    left out records because a source that is gone now had them. `stale` are the derived tables that
    held rows of it: their files went, too.
    """

    records: int
    rejects: int
    sources: list[str]
    mentions: int = 0
    short: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()


def forget(
    store: Path | str = "abstore",
    *,
    annotator: str | None = None,
    source: str | None = None,
    dataset: str | None = None,
    pseudonym_key: Path | str | None = None,
    progress: Progress | None = None,
) -> Forgotten:
    """Remove every trace of an annotator, or of a source, from a store (of one dataset if named).

    The annotator's records, events, and rejects that hold the id go; ledgers count the records as
    forgotten. Where ids are pseudonyms, `annotator` may be a pseudonym, or the person's own id if
    the key is at hand. The manifest keeps a blinded hash, so that sources read later leave the
    person out. Raises NotFound if the store holds neither, ValueError unless exactly one is named.
    """
    if (annotator is None) == (source is None):
        raise ValueError("name either an annotator or a source")
    opened = open_store(store)
    opened.manifest()  # there must be a store: a transaction would make one
    with opened.transaction() as transaction:
        transaction.is_forgetting = True
        if annotator is not None:
            key = Path(pseudonym_key) if pseudonym_key else None
            done = _forget_annotator(transaction, annotator, dataset, key, progress)
        else:
            done = _forget_source(transaction, source or "", dataset)
    return done


def _forget_source(transaction: Transaction, name: str, dataset: str | None) -> Forgotten:
    manifest = transaction.manifest
    gone = [s for s in manifest.sources if s.name == name and dataset in (None, s.dataset)]
    if not gone:
        names = ", ".join(sorted({s.name for s in manifest.sources}))
        raise NotFound("source", name, f"It holds: {names}")
    if len({entry.dataset for entry in gone}) > 1:
        raise SeveralDatasets(name, [entry.dataset for entry in gone])
    for entry in gone:
        manifest = manifest.without_source(entry.source_no)
    stale = commit(transaction, manifest)
    records = sum(entry.ledger.records["rows"] for entry in gone)
    rejects = sum(sum(entry.ledger.rejects.values()) for entry in gone)
    short = manifest.short(gone[0])
    return Forgotten(records, rejects, [entry.name for entry in gone], short=short, stale=stale)


def _forget_annotator(
    transaction: Transaction,
    annotator: str,
    dataset: str | None,
    key_file: Path | None,
    progress: Progress | None,
) -> Forgotten:
    manifest = transaction.manifest
    done = Forgotten(0, 0, [])
    entries = [s for s in manifest.sources if annotator and dataset in (None, s.dataset)]
    hidden = any(entry.key for entry in entries)
    key = Key.at_hand(key_file) if hidden else None
    for entry in entries:
        names = [annotator]
        if key and key.id == entry.key:
            names.append(key.pseudonym(annotator))
        for name in names:
            before = done
            manifest, done = _without_annotator(transaction, manifest, entry, name, done, progress)
            if done != before:
                manifest = _kept_out(manifest, entry, name, key_file)
                break
    if not done.sources:
        listing = "abpipe sql 'SELECT DISTINCT annotator_id FROM annotations'"
        known = f"List them: `{listing}`"
        if hidden and not key:
            known += ". They are pseudonyms: to find an id, name their key: `--pseudonym-key FILE`"
        raise NotFound("annotator", annotator, known)
    return replace(done, stale=commit(transaction, manifest))


def _kept_out(manifest: Manifest, entry: SourceEntry, name: str, key_file: Path | None) -> Manifest:
    """The manifest with an annotator of a source's dataset who is to stay forgotten."""
    if entry.key:
        return manifest.forgetting(entry.dataset, entry.key, blind(name))
    key = Key.load(key_file)
    return manifest.forgetting(entry.dataset, key.id, blind(key.pseudonym(name)))


def _without_annotator(
    transaction: Transaction,
    manifest: Manifest,
    entry: SourceEntry,
    annotator: str,
    done: Forgotten,
    progress: Progress | None,
) -> tuple[Manifest, Forgotten]:
    """The manifest with the files of one source rewritten, where they name the annotator."""
    # a source has no file of a table to which it brought no rows
    files = {f.table: f for f in manifest.files if f.source_no == entry.source_no}
    ids, image_ids = _records_of(transaction, files.get("annotations"), annotator)
    n_rejects, mentions = 0, 0
    changed: dict[str, File] = {}
    if len(ids):
        edits: dict[str, Edit] = {
            "annotations": partial(without, annotation_ids=ids),
            "events": partial(without, annotation_ids=ids),
            "images": partial(with_fewer, gone=image_ids),
        }
        for table in edits.keys() & files.keys():
            changed[table] = _rewritten(transaction, files[table], edits[table], progress)
    if "rejects" in files:
        kept = _rewritten(
            transaction,
            files["rejects"],
            lambda t: t.filter(pc.invert(_names(t, annotator))),
            progress,
        )
        n_rejects = files["rejects"].rows - kept.rows
        if n_rejects:
            changed["rejects"] = kept
    if not changed:
        return manifest, done
    for table in {"annotations", "images"} & files.keys():
        path = transaction.staged_path(changed.get(table, files[table]))
        named = (pc.sum(_names(group, annotator)).as_py() for group in read_groups(path))
        mentions += sum(n or 0 for n in named)
    left = [changed.get(f.table, f) for f in files.values()]
    rows = rows_of(left, entry.source_no)
    after = replace(entry, ledger=entry.ledger.forget(len(ids)), rows=rows)
    return manifest.with_source(after, left), Forgotten(
        done.records + len(ids),
        done.rejects + n_rejects,
        [*done.sources, entry.name],
        done.mentions + mentions,
    )


#: Rows of a table in, the rows to keep out.
Edit = Callable[[pa.Table], pa.Table]


def _records_of(
    transaction: Transaction, file: File | None, annotator: str
) -> tuple[Ids, pa.ChunkedArray]:
    ids, image_ids = [np.empty(0, np.int64)], [pa.array([], pa.string())]
    for group in read_groups(transaction.store.path(file)) if file else ():
        theirs = group.filter(pc.equal(group["annotator_id"], annotator))
        ids.append(theirs["annotation_id"].to_numpy())
        image_ids += theirs["image_id"].chunks
    return np.concatenate(ids), pa.chunked_array(image_ids)


def _rewritten(transaction: Transaction, file: File, edit: Edit, progress: Progress | None) -> File:
    writer = transaction.writer(file.table, file.dataset, file.source_no)
    done = 0
    for group in read_groups(transaction.store.path(file)):
        writer.write(edit(group))
        done += group.num_rows
        if progress:
            progress(file.table, file.rows, done)
    return writer.finish()


def _names(table: pa.Table, annotator: str) -> pa.ChunkedArray:
    """Which rows hold the annotator's id in any text or bytes of their own."""
    found = pa.chunked_array([np.zeros(table.num_rows, bool)])
    for column in table.drop_columns(["source"]).columns:
        if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
            here = pc.match_substring(column, annotator)
            found = pc.or_(found, pc.fill_null(here, False))
    return found
