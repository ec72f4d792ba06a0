"""DuckDBs of one thread each: queries run side by side, and a sum is the same in any company."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import duckdb
import pyarrow as pa

from abpipe.derived.registry import register
from abpipe.errors import TooLittleMemory
from abpipe.lineage import macros

LEAST_MB = 256  # for one query; with less memory, fewer run at once


@dataclass(frozen=True)
class Query:
    """A query of a table's, and the statements that make the views it reads."""

    table: str
    views: str
    select: str


class Engines:
    """Runs queries in `jobs` threads, each with its share of the memory; a context manager."""

    def __init__(self, jobs: int, memory_mb: int, spill: Path) -> None:
        self.jobs, self.memory_mb, self._spill = (
            max(1, min(jobs, memory_mb // LEAST_MB)),
            memory_mb,
            spill,
        )

    def __enter__(self) -> Engines:
        self._spill.mkdir(exist_ok=True)  # DuckDB makes one folder only, not its parent
        self._pool = ThreadPoolExecutor(self.jobs)
        self._all = [self._connect(i) for i in range(self.jobs)]
        self._idle: SimpleQueue[duckdb.DuckDBPyConnection] = SimpleQueue()
        for connection in self._all:
            self._idle.put(connection)
        return self

    def _connect(self, number: int) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(
            config={
                "threads": 1,
                "memory_limit": f"{self.memory_mb // self.jobs}MiB",
                "temp_directory": str(self._spill / str(number)),
            }
        )
        connection.execute(macros())
        register(connection)
        return connection

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if error:
            for connection in self._all:
                connection.interrupt()
        self._pool.shutdown(cancel_futures=True)
        for connection in self._all:
            connection.close()

    def map(self, queries: Iterable[Query]) -> Iterator[pa.Table]:
        """The answers, in the order of the queries; few wait at a time."""
        waiting: deque[Future[pa.Table]] = deque()
        for query in queries:
            waiting.append(self._pool.submit(self._run, query))
            if len(waiting) > self.jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _run(self, query: Query) -> pa.Table:
        connection = self._idle.get()
        try:
            connection.execute(query.views)
            return connection.sql(query.select).to_arrow_table()
        except duckdb.OutOfMemoryException as err:
            raise TooLittleMemory(query.table, self.memory_mb) from err
        finally:
            self._idle.put(connection)
