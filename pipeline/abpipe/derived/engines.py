"""DuckDBs of one thread each: queries run side by side, and a sum is the same in any company.

Many queries at once run in processes of their own, for abpipe's functions are Python's, which runs
one thread at a time. They start when a table first has more than one piece.
"""

from __future__ import annotations

import logging
import os
import threading
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from tempfile import gettempdir

import duckdb
import pyarrow as pa

from abpipe import remote
from abpipe.cluster import Cluster
from abpipe.derived.registry import register
from abpipe.errors import TooLittleMemory
from abpipe.lineage import macros
from abpipe.parallel import SPAWN, processes
from abpipe.remote import Place
from abpipe.store import SPILL, Store

LEAST_MB = 256  # for one query; with less memory, fewer run at once


@dataclass(frozen=True)
class Query:
    """A query of a table's, and the statements that make the views it reads."""

    table: str
    views: str
    select: str


class Engines:
    """Runs up to `jobs` queries at once, each with its share of the memory; a context manager."""

    def __init__(
        self, jobs: int, memory_mb: int, store: Store, cluster: Cluster | None = None
    ) -> None:
        self.jobs, self.memory_mb = max(1, min(jobs, memory_mb // LEAST_MB)), memory_mb
        self._share = memory_mb // self.jobs
        self._store, self._cluster = store, cluster
        self._spill, self._place = store.folder / SPILL, store.place

    def __enter__(self) -> Engines:
        self._spill.mkdir(exist_ok=True)  # DuckDB makes one folder only, not its parent
        self._engine = _connect(self._share, self._spill, self._place)
        self._thread = ThreadPoolExecutor(1)  # Ctrl-C is for this one
        self._processes: ProcessPoolExecutor | None = None
        self._stop = SPAWN.Event()
        return self

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if error:
            self._stop.set()
            self._engine.interrupt()
        for executor in (self._thread, self._processes):
            if executor:
                executor.shutdown(cancel_futures=True)
        self._engine.close()
        # an error's traceback holds this one: what the system counts goes now
        self._processes = None
        del self._stop

    def start(self) -> None:
        """Have other processes start up, where there will be more than one query at a time."""
        if self.jobs > 1 and not self._cluster and self._processes is None:
            arguments = self._share, self._spill, self._place, self._stop
            self._processes = processes(self.jobs, _begin, *arguments)

    def one(self, query: Query) -> pa.Table:
        """The answer of a single query."""
        return self.answer(query, self._thread.submit(_run, self._engine, query))

    def submit(self, query: Query, *, is_alone: bool) -> Future[pa.Table]:
        """Have a query answered; one that is alone is worth no other process, unless they run."""
        if self._cluster and not is_alone:
            return self._cluster.submit(_work_elsewhere, query, self._share, self._place)
        if not is_alone:
            self.start()
        if self.jobs == 1 or self._processes is None:
            return self._thread.submit(_run, self._engine, query)
        try:
            return self._processes.submit(_work, query)
        except BrokenExecutor:
            return self._alone(query)

    def answer(self, query: Query, answer: Future[pa.Table]) -> pa.Table:
        """The answer, once it is there. Raises TooLittleMemory if the query cannot do with it."""
        try:
            return answer.result()
        except duckdb.OutOfMemoryException as err:
            raise TooLittleMemory(query.table, self.memory_mb) from err
        except duckdb.Error as err:
            raise self._store.failed(f"{query.table}: {err}") from err
        except BrokenExecutor:
            return self.answer(query, self._alone(query))

    def _alone(self, query: Query) -> Future[pa.Table]:
        """Have this process answer, as it will all that follow: another one was killed."""
        if self.jobs > 1:
            logging.getLogger("abpipe").warning("a process was killed: going on with one")
        self.jobs = 1
        return self._thread.submit(_run, self._engine, query)


def _connect(memory_mb: int, spill: Path, place: Place) -> duckdb.DuckDBPyConnection:
    """A DuckDB of one thread that knows abpipe's functions; it spills to a folder of its own."""
    connection = duckdb.connect(
        config={
            "threads": 1,
            "memory_limit": f"{memory_mb}MiB",
            "temp_directory": str(spill / f"abpipe-{os.getpid()}-{threading.get_ident()}"),
        }
    )
    shown = connection.execute("SELECT current_setting('enable_progress_bar')").fetchone()
    if shown == (True,):  # abpipe has its own; in Jupyter, DuckDB does not let go of what is off
        connection.execute("SET enable_progress_bar = false")
    connection.execute(macros())
    register(connection)
    remote.register(connection, place)
    return connection


def _run(connection: duckdb.DuckDBPyConnection, query: Query) -> pa.Table:
    connection.execute(query.views)
    return connection.sql(query.select).to_arrow_table()


#: The engine of a process that is there for nothing else.
_ENGINE: duckdb.DuckDBPyConnection


def _begin(memory_mb: int, spill: Path, place: Place, stop: Event) -> None:
    """Make this process an engine, whose query breaks off when it is told to."""
    global _ENGINE
    _ENGINE = connection = _connect(memory_mb, spill, place)

    def watch() -> None:
        stop.wait()
        connection.interrupt()

    threading.Thread(target=watch, daemon=True).start()


def _work(query: Query) -> pa.Table:
    return _run(_ENGINE, query)


#: The engines of a cluster's process: one for each thread that tasks run in.
_ENGINES = threading.local()


def _work_elsewhere(query: Query, memory_mb: int, place: Place) -> pa.Table:
    """The answer of a query on a machine of a cluster, which spills to a disk of its own."""
    made: dict[object, duckdb.DuckDBPyConnection] = vars(_ENGINES).setdefault("made", {})
    kind = memory_mb, place
    if kind not in made:
        made[kind] = _connect(memory_mb, Path(gettempdir()), place)
    return _run(made[kind], query)
