"""Derive: queries become tables, side by side, each as soon as what it reads is there."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pyarrow as pa

from abpipe.catalog import commit, quoted, scan
from abpipe.cluster import Cluster, at
from abpipe.contracts import Contract, contracts, derived_tables
from abpipe.derived.engines import Engines, Query
from abpipe.errors import NotFound
from abpipe.lineage import checked, digests, needed, sql
from abpipe.manifest import File
from abpipe.store import Store, TableWriter, Transaction, open_store

MEMORY_MB = 1024  # for each query at a time

#: The tables that hold every value of a column by whose ranges queries run.
_HOMES = {"annotation_id": "annotations", "image_id": "images"}

#: About how many bytes of files a piece reads. Files are in the order of annotation_id, so that a
#: small piece skips the rest of them; by image_id each piece looks at all rows.
PIECE_BYTES = {"annotation_id": 16 << 20, "image_id": 32 << 20}

#: From how many bytes on other processes are worth their start.
WORTH_BYTES = 4 << 20

#: Into how many parts of equal size a table's pieces can be put together from.
PARTS = 1024

#: Answers that wait or are under way, for each query that runs: the first of a table may be late.
AHEAD = 2

#: Told of a table, its pieces, and how many of them are done.
Progress: TypeAlias = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Derived:
    """A derived table of a dataset; `is_new` unless it was up to date already.

    `seconds` are from its first query on; others may have run beside it.
    """

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
    with opened.transaction() as transaction, _engines(opened, jobs, memory_mb, cluster) as engines:
        manifest = transaction.manifest
        if dataset is not None and dataset not in manifest.datasets:
            raise NotFound("dataset", dataset, f"It holds: {', '.join(manifest.datasets)}")
        run = _Run(transaction, engines, progress)
        done = [*run.tables(names, [dataset] if dataset else [*manifest.datasets])]
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


#: The query for the parts of what is to be split: where each begins, and what pictures it is of.
_PARTS = """
SELECT min({by}), min(image_id), max(image_id)
FROM (SELECT {by}, image_id, ntile({n}) OVER (ORDER BY {by}) AS part FROM home)
GROUP BY part ORDER BY part
"""


class _Part(NamedTuple):
    """A range of the rows that are to be split."""

    begin: int | str
    first_picture: str
    last_picture: str


class _Piece(NamedTuple):
    """Conditions on what a query reads: on its rows, and, of tables by picture, on theirs."""

    rows: str = "true"
    pictures: str = "true"


def _joined(by: str, parts: list[_Part], before: list[_Part], after: list[_Part]) -> _Piece:
    """Parts that follow each other as one; the first and the last have no end on their side."""
    rows = [f"{by} >= {_literal(parts[0].begin)}"] if before else []
    rows += [f"{by} < {_literal(after[0].begin)}"] if after else []
    first = min(part.first_picture for part in parts)
    last = max(part.last_picture for part in parts)
    pictures = f"image_id BETWEEN {quoted(first)} AND {quoted(last)}"
    return _Piece(" AND ".join(rows) or "true", pictures)


def _literal(value: int | str) -> str:
    return quoted(value) if isinstance(value, str) else str(value)


class _Table:
    """A table in the making: its pieces are asked for, and written, in their order."""

    def __init__(self, contract: Contract, dataset: str) -> None:
        self.contract, self.dataset = contract, dataset
        self.key = contract.name, dataset
        self.needs = {(name, dataset) for name in _read(contract)}
        self.answers: deque[tuple[Query, Future[pa.Table]]] = deque()

    def begin(self, queries: list[Query], writer: TableWriter) -> None:
        """Have all that it takes, from now on."""
        self.pieces, self.queries, self.writer = len(queries), deque(queries), writer
        self.begun = time.monotonic()

    @property
    def has_begun(self) -> bool:
        return hasattr(self, "begun")

    @property
    def left(self) -> int:
        """How many pieces are not written yet."""
        return len(self.queries) + len(self.answers)


class _Run:
    """Derived tables on their way into the store."""

    def __init__(
        self, transaction: Transaction, engines: Engines, progress: Progress | None
    ) -> None:
        self.manifest = transaction.manifest
        self._transaction, self._engines = transaction, engines
        self._progress = progress or (lambda _table, _pieces, _done: None)
        self._digests = {one: digests(self.manifest, one) for one in self.manifest.datasets}
        self._split: dict[tuple[str, str], list[_Part]] = {}

    def tables(self, names: list[str], datasets: list[str]) -> list[Derived]:
        """Make tables, unless they are up to date."""
        wanted = [(name, dataset) for dataset in datasets for name in names]
        done = {key: self._kept(*key) for key in wanted if self._is_current(*key)}
        todo = [key for key in wanted if key not in done]
        order = _urgencies(names)
        todo.sort(key=lambda key: -order[key[0]])
        left = {key: _Table(contracts()[key[0]], key[1]) for key in todo}
        while left:
            self._ask(left)
            for table in self._answered(left):
                self._write(table)
                if not table.left:
                    done[table.key] = self._finish(table)
                    del left[table.key]
        return [done[key] for key in wanted]

    def _is_current(self, name: str, dataset: str) -> bool:
        files = self.manifest.files_of(name, dataset)
        return [file.digest for file in files] == [self._digests[dataset][name]]

    def _kept(self, name: str, dataset: str) -> Derived:
        (file,) = self.manifest.files_of(name, dataset)
        return Derived(name, dataset, file.rows, 0, is_new=False)

    def _ask(self, left: dict[tuple[str, str], _Table]) -> None:
        """Have as many queries answered as should be under way, the most urgent tables first."""
        room = AHEAD * self._engines.jobs - sum(len(table.answers) for table in left.values())
        for table in left.values():
            if room <= 0 or not left.keys().isdisjoint(table.needs):
                continue
            if not table.has_begun:
                self._begin(table)
            while room > 0 and table.queries:
                query = table.queries.popleft()
                answer = self._engines.submit(query, is_alone=table.pieces == 1)
                table.answers.append((query, answer))
                room -= 1

    def _answered(self, left: dict[tuple[str, str], _Table]) -> list[_Table]:
        """The tables whose next piece is there: at least one."""
        first = {table.answers[0][1]: table for table in left.values() if table.answers}
        return [first[answer] for answer in wait(first, return_when=FIRST_COMPLETED).done]

    def _begin(self, table: _Table) -> None:
        contract, dataset = table.contract, table.dataset
        columns = ", ".join(f'"{column.name}"' for column in contract.columns)
        key = ", ".join(f'"{column}"' for column in contract.key)
        select = f"SELECT {columns} FROM (\n{sql(contract.name)}\n) ORDER BY {key}"
        pieces = self._pieces(contract, dataset)
        table.begin(
            [Query(contract.name, self._views(contract, dataset, one), select) for one in pieces],
            self._transaction.writer(contract.name, dataset, None),
        )
        self._tell(table)

    def _write(self, table: _Table) -> None:
        table.writer.write(self._engines.answer(*table.answers.popleft()))
        self._tell(table)

    def _tell(self, table: _Table) -> None:
        named = f"{table.dataset}: {table.contract.name}"
        self._progress(named, table.pieces, table.pieces - table.left)

    def _finish(self, table: _Table) -> Derived:
        name, dataset = table.key
        file = replace(table.writer.finish(), digest=self._digests[dataset][name])
        before = self.manifest.files_of(name, dataset)
        self.manifest = self.manifest.without_files(before).with_files([file])
        return Derived(name, dataset, file.rows, time.monotonic() - table.begun, is_new=True)

    def _pieces(self, contract: Contract, dataset: str) -> list[_Piece]:
        """The ranges that a query runs by, in order."""
        by = contract.by
        if by is None:
            return [_Piece()]
        read = [name for name in _read(contract) if _has(name, by)]
        size = sum(file.bytes for name in read for file in self._files(name, dataset))
        n = -(-size // PIECE_BYTES[by])
        if size > WORTH_BYTES:
            n = -(-n // self._engines.jobs) * self._engines.jobs  # none is idle at the end
        if n < 2:
            return [_Piece()]
        self._engines.start()  # while this one looks for the parts
        parts = self._parts(by, dataset)
        n = min(n, len(parts))
        cuts = [i * len(parts) // n for i in range(n + 1)]
        return [_joined(by, parts[i:j], parts[:i], parts[j:]) for i, j in pairwise(cuts)]

    def _parts(self, by: str, dataset: str) -> list[_Part]:
        """Parts of a dataset that hold about equally many rows, in order."""
        if (by, dataset) not in self._split:
            home = f"CREATE OR REPLACE VIEW home AS {self._scan(_HOMES[by], dataset)}"
            parts = self._engines.one(Query(_HOMES[by], home, _PARTS.format(by=by, n=PARTS)))
            rows = zip(*(column.to_pylist() for column in parts.columns), strict=True)
            self._split[by, dataset] = list({row[0]: _Part(*row) for row in rows}.values())
        return self._split[by, dataset]

    def _views(self, contract: Contract, dataset: str, piece: _Piece) -> str:
        """The statements that make what a query reads, within a piece."""
        made = []
        for name in _read(contract):
            if contracts()[name].view:
                query = sql(name)
            elif contract.by and _has(name, contract.by):
                query = f"{self._scan(name, dataset)} WHERE {piece.rows}"
            elif contract.by and _has(name, "image_id"):
                query = f"{self._scan(name, dataset)} WHERE {piece.pictures}"
            else:
                query = self._scan(name, dataset)
            made.append(f"CREATE OR REPLACE VIEW {name} AS {query};")
        return "\n".join(made)

    def _scan(self, name: str, dataset: str) -> str:
        files = self._files(name, dataset)
        paths = [self._transaction.staged_path(file).absolute() for file in files]
        return scan(f"[{', '.join(quoted(str(path)) for path in paths)}]")

    def _files(self, name: str, dataset: str) -> list[File]:
        return self.manifest.files_of(name, dataset)


def _urgencies(names: list[str]) -> dict[str, int]:
    """Of tables, each after what it reads: how many others wait for each, one for another."""
    found: dict[str, int] = {}
    for name in reversed(names):
        waiting = (found[other] for other in found if name in _read(contracts()[other]))
        found[name] = 1 + max(waiting, default=0)
    return found


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
