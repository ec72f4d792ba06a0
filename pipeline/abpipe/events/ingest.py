"""Ingest: sources become rows of the raw tables, one transaction each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from abpipe.cluster import Cluster, at
from abpipe.contents import DATASET_NAME
from abpipe.errors import BadName, SameName, SeveralContents
from abpipe.parallel import Workers
from abpipe.remote import place

if TYPE_CHECKING:
    from abpipe.manifest import SourceEntry
    from abpipe.remote import Place

#: Told of a source's name, its size, and how many of its bytes have been read.
Progress: TypeAlias = Callable[[str, int, int], None]


#: Sources of fewer bytes are read before another process has started.
SMALL = 4 << 20


@dataclass(frozen=True)
class Ids:
    """What is to become of ids: `hidden` is None where it goes by what a source holds."""

    hidden: bool | None = None
    key: Path | None = None


@dataclass(frozen=True)
class Ingested:
    """What one source brought: its entry in the manifest, and the rows of each table.

    `short` are the sources that left out records which the content now replaced had, `stale` the
    derived tables that the new rows put out of date: they are views until they are derived again.
    """

    source: SourceEntry
    rows: dict[str, int]
    is_new: bool
    short: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()


def ingest(
    *sources: str | Path,
    store: Path | str = "abstore",
    dataset: str | None = None,
    jobs: int | None = None,
    cluster: str | Executor | None = None,
    limit: int | None = None,
    replace: bool = False,
    keep_partial: bool = False,
    max_rejects: int | None = None,
    pseudonymize: bool = False,
    keep_ids: bool = False,
    pseudonym_key: Path | str | None = None,
    progress: Progress | None = None,
) -> list[Ingested]:
    """Add sources to a store: archives, folders, single files, URLs of them, or globs.

    `dataset` overrides the name that the content suggests, `jobs` is the number of processes (all
    cores), `limit` the number of files (XML) or records (JSON) to read of each source. A source
    that the store has is left alone; one with other content needs `replace`. With `keep_partial`,
    what is readable of a broken source is kept, and marked. More than `max_rejects` rejects are an
    error. With `cluster`, an address or an executor, the work is done there (see
    `abpipe.cluster`), and `jobs` is the number of tasks at a time.

    Ids in page records are people's, so they become pseudonyms: keyed hashes, with the key in
    `pseudonym_key`, by default a file of the user's own that is made on first use. `keep_ids` keeps
    them as they are, `pseudonymize` replaces those of the published archives, too.

    Each source is one transaction: an error leaves it out and the store as it was.
    """
    if dataset is not None and not DATASET_NAME.fullmatch(dataset):
        raise BadName(dataset)
    if pseudonymize and keep_ids:
        raise ValueError("choose between pseudonymize and keep_ids")
    options = {"limit": limit} if limit is not None else {}
    hidden = True if pseudonymize else False if keep_ids else None
    ids = Ids(hidden, Path(pseudonym_key) if pseudonym_key else None)
    with _workers(cluster, jobs or _jobs(sources), jobs) as workers:
        # imported here, so that the other processes start up while this one does
        from abpipe.events.job import Job, run
        from abpipe.raw.sources import find, paired
        from abpipe.store import open_store

        found = paired([source for pattern in sources for source in find(str(pattern))])
        places: dict[tuple[str, str], Place] = {}
        for source in found:
            named = source.name, dataset or source.content.dataset or "a dataset"
            contents = [s.content.name for s in found if s.path == source.path]
            if dataset and len(contents) > 1:
                raise SeveralContents(source.name, contents, dataset)
            if places.setdefault(named, source.where) != source.where:
                raise SameName(*named)
        todo = [
            Job(source, dataset or source.content.dataset, options, ids, keep_partial, max_rejects)
            for source in found
        ]
        return run(todo, open_store(store), workers, replace, progress)


@contextmanager
def _workers(
    cluster: str | Executor | None, n_local: int | None, jobs: int | None
) -> Iterator[Workers | Cluster]:
    """What parses blocks: a cluster if there is one, else processes of this machine."""
    if cluster is None:
        with Workers(n_local) as workers:
            yield workers
    else:
        with at(cluster, jobs) as elsewhere:
            yield elsewhere


def _jobs(sources: Iterable[str | Path]) -> int | None:
    """One process for small files, all cores (None) for anything else."""
    try:
        paths = [place(str(source)) for source in sources]
        files = [path for path in paths if isinstance(path, Path) and path.is_file()]
        small = len(files) == len(paths)
        return 1 if small and sum(path.stat().st_size for path in files) < SMALL else None
    except OSError:  # whoever opens it will say what is wrong
        return 1
