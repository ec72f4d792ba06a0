"""Derive: queries become tables, in the order in which they read each other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from abpipe.catalog import commit, quoted, scan
from abpipe.cluster import Cluster, at
from abpipe.contracts import Contract, contracts, derived_tables
from abpipe.derived.engines import Engines, Query
from abpipe.errors import NotFound
from abpipe.lineage import checked, digests, needed, sql
from abpipe.manifest import File, Manifest
from abpipe.store import Store, Transaction, open_store

MEMORY_MB = 1024  # for each query at a time

#: The tables that hold every value of a column by whose ranges queries run.
_HOMES = {"annotation_id": "annotations", "image_id": "images"}

#: About how many bytes of files a piece reads. Files are in the order of annotation_id, so that a
#: small piece skips the rest of them; by image_id each piece looks at all rows.
PIECE_BYTES = {"annotation_id": 16 << 20, "image_id": 64 << 20}

#: From how many bytes on other processes are worth their start.
WORTH_BYTES = 4 << 20

#: Told of a table, its pieces, and how many of them are done.
Progress: TypeAlias = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Derived:
    """A derived table of a dataset; `is_new` unless it was up to date already."""

    table: str
    dataset: str
    rows: int
    seconds: float
    is_new: bool


def derive(
    *tables: str,
    store: Path | str = "abstore",
    dataset: str | None = None,
    jobs: int | None = None,
    cluster: str | Executor | Cluster | None = None,
    memory_mb: int | None = None,
    progress: Progress | None = None,
) -> list[Derived]:
    """Make derived tables out of a store's events: those named and what they read, or all.

    A table is made anew where the files it was made of, its query or the functions it calls have
    changed; others are left alone. `dataset` keeps to one (all), `jobs` is how many queries run at
    once (all cores), `memory_mb` what DuckDB may use for all of them before it spills to disk (1
    GiB each). Queries of large tables run in other processes, which import the calling script, too;
    with `cluster` (see `abpipe.cluster`) on other machines, which must find the store by the same
    path.

    A call is one transaction: an error leaves the store as it was. Raises NotDerived for other
    tables, NotFound for another dataset, TooLittleMemory if a query cannot do with it.
    """
    wanted = needed(checked(tables) or derived_tables())
    opened = open_store(store)
    opened.manifest()  # there must be a store: a transaction would make one
    names = [name for name in wanted if name in derived_tables()]
    done: list[Derived] = []
    with opened.transaction() as transaction, _engines(opened, jobs, memory_mb, cluster) as engines:
        manifest = transaction.manifest
        if dataset is not None and dataset not in manifest.datasets:
            raise NotFound("dataset", dataset, f"It holds: {', '.join(manifest.datasets)}")
        for one in [dataset] if dataset else manifest.datasets:
            run = _Run(transaction, engines, manifest, one, progress)
            done += [run.table(contracts()[name]) for name in names]
            manifest = run.manifest
        if any(derived.is_new for derived in done):
            commit(transaction, manifest)
    return done


@contextmanager
def _engines(
    store: Store, jobs: int | None, memory_mb: int | None, cluster: str | Executor | Cluster | None
) -> Iterator[Engines]:
    with at(cluster, jobs) if cluster else nullcontext() as elsewhere:
        jobs = elsewhere.jobs if elsewhere else jobs or os.cpu_count() or 1
        memory_mb = memory_mb or jobs * MEMORY_MB
        with Engines(jobs, memory_mb, store, elsewhere) as engines:
            yield engines


class _Run:
    """The derived tables of one dataset on their way into the store."""

    def __init__(
        self,
        transaction: Transaction,
        engines: Engines,
        manifest: Manifest,
        dataset: str,
        progress: Progress | None,
    ) -> None:
        self.manifest = manifest
        self._transaction, self._engines, self._dataset = transaction, engines, dataset
        self._progress = progress or (lambda _table, _pieces, _done: None)
        self._digests = digests(manifest, dataset)

    def table(self, contract: Contract) -> Derived:
        """Make one table, unless it is up to date."""
        begin = time.monotonic()
        files = self.manifest.files_of(contract.name, self._dataset)
        digest = self._digests[contract.name]
        is_new = [file.digest for file in files] != [digest]
        if is_new:
            made = replace(self._write(contract), digest=digest)
            self.manifest = self.manifest.without_files(files).with_files([made])
            files = [made]
        seconds = time.monotonic() - begin
        return Derived(contract.name, self._dataset, files[0].rows, seconds, is_new)

    def _write(self, contract: Contract) -> File:
        writer = self._transaction.writer(contract.name, self._dataset, None)
        columns = ", ".join(f'"{column.name}"' for column in contract.columns)
        key = ", ".join(f'"{column}"' for column in contract.key)
        select = f"SELECT {columns} FROM (\n{sql(contract.name)}\n) ORDER BY {key}"
        pieces = self._pieces(contract)
        named = f"{self._dataset}: {contract.name}"
        self._progress(named, len(pieces), 0)
        queries = [Query(contract.name, self._views(contract, piece), select) for piece in pieces]
        for done, rows in enumerate(self._engines.map(queries), 1):
            writer.write(rows)
            self._progress(named, len(pieces), done)
        return writer.finish()

    def _pieces(self, contract: Contract) -> list[str]:
        """Conditions that split what a query reads into ranges, in order."""
        by = contract.by
        if by is None:
            return ["true"]
        read = [file for name in _read(contract) if _has(name, by) for file in self._files(name)]
        size = sum(file.bytes for file in read)
        n = -(-size // PIECE_BYTES[by])
        if size > WORTH_BYTES:
            n = -(-n // self._engines.jobs) * self._engines.jobs  # none is idle at the end
        parts = f"SELECT {by}, ntile({n}) OVER (ORDER BY {by}) AS part FROM home"
        first = f"SELECT min({by}) FROM ({parts}) WHERE part > 1 GROUP BY part ORDER BY part"
        home = f"CREATE OR REPLACE VIEW home AS {self._scan(_HOMES[by])}"
        begins = self._engines.one(Query(contract.name, home, first))[0].to_pylist()
        values = [quoted(value) if isinstance(value, str) else value for value in begins]
        above = ["true", *(f"{by} >= {value}" for value in values)]
        below = [*(f"{by} < {value}" for value in values), "true"]
        return [f"{low} AND {high}" for low, high in zip(above, below, strict=True)]

    def _views(self, contract: Contract, piece: str) -> str:
        """The statements that make what a query reads, within a piece."""
        made = []
        for name in _read(contract):
            if contracts()[name].view:
                query = sql(name)
            elif contract.by and _has(name, contract.by):
                query = f"{self._scan(name)} WHERE {piece}"
            else:
                query = self._scan(name)
            made.append(f"CREATE OR REPLACE VIEW {name} AS {query};")
        return "\n".join(made)

    def _scan(self, name: str) -> str:
        paths = [self._transaction.staged_path(file).absolute() for file in self._files(name)]
        return scan(f"[{', '.join(quoted(str(path)) for path in paths)}]")

    def _files(self, name: str) -> list[File]:
        return self.manifest.files_of(name, self._dataset)


def _read(contract: Contract) -> list[str]:
    """What a query reads: tables, and views with what they read, each after it."""
    found = dict.fromkeys(contract.reads)
    for name in contract.reads:
        if contracts()[name].view:
            found |= dict.fromkeys(_read(contracts()[name]))
    return [name for name in contracts() if name in found]


def _has(name: str, column: str) -> bool:
    contract = contracts()[name]
    return not contract.view and any(c.name == column for c in contract.columns)
