"""Work on other machines, through one seam: any `concurrent.futures.Executor`.

A task is a block to parse, a query to answer, or a whole source to write files of. This process
reads what is one long file, keeps the order, and commits; what a lost worker was to do, the cluster
does again.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from abpipe.errors import BrokenSource, LostCluster, NoCluster
from abpipe.raw.buffer import BLOCK_BYTES, Buffer

if TYPE_CHECKING:
    from abpipe.parallel import Parse
    from abpipe.raw.block import Block, Blocks, Take
    from abpipe.rows import Batch

T = TypeVar("T")

AHEAD = 2  # tasks for each worker, so that none waits while results come back
_PATIENCE = "20s"  # for a scheduler to answer

#: What executors raise for work that is lost: futures and asyncio have one each, the last is Dask's
#: word for a task that took each of its workers with it.
_LOST = ("CancelledError", "KilledWorker")


class Cluster:
    """Runs tasks by an executor, which other machines may be behind.

    `jobs` is how many tasks run at once, as far as is known.
    """

    def __init__(self, executor: Executor, jobs: int | None = None) -> None:
        self._executor = executor
        self.jobs = jobs or getattr(executor, "_max_workers", None) or os.cpu_count() or 1

    def submit(self, work: Callable[..., T], *arguments: object) -> Future[T]:
        """Have a task done."""
        return self._executor.submit(work, *arguments)

    def each(self, work: Callable[..., T], tasks: Iterable[tuple[Any, ...]]) -> Iterator[T]:
        """The results of tasks, in order; few wait at a time."""
        yield from self._in_order(self.submit(work, *task) for task in tasks)

    def map(self, parse: Parse, read: Callable[[Take], Blocks]) -> Iterator[Batch]:
        """The batches of all blocks that `read` yields, in their order."""
        buffer = Buffer.private(BLOCK_BYTES)  # one does: blocks leave it as copies

        def started() -> Iterator[Future[Batch]]:
            for block in read(lambda: buffer):
                yield self._start(parse, block)

        yield from self._in_order(started())

    def _in_order(self, started: Iterator[Future[T]]) -> Iterator[T]:
        waiting: deque[Future[T]] = deque()
        try:
            try:
                for future in started:
                    waiting.append(future)
                    while waiting and (waiting[0].done() or len(waiting) > AHEAD * self.jobs):
                        yield waiting.popleft().result()
            except BrokenSource:  # what was read before is good
                while waiting:
                    yield waiting.popleft().result()
                raise
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def _start(self, parse: Parse, block: Block | Batch) -> Future[Batch]:
        if not hasattr(block, "buffer"):  # the reader itself had something to say
            told: Future[Batch] = Future()
            told.set_result(block)
            return told
        alone = cast("Block", block)
        return self.submit(parse, replace(alone, buffer=alone.buffer.copy(alone.used)))


@contextmanager
def at(cluster: str | Executor | Cluster, jobs: int | None = None) -> Iterator[Cluster]:
    """The cluster at an address: `dask://HOST:PORT`, or `mpi://`; or of an executor of one's own.

    Raises NoCluster if there is none, LostCluster if it ends before its work.
    """
    if isinstance(cluster, Cluster):  # whoever opened it ends it
        yield cluster
        return
    with _opened(cluster, jobs) as found:
        try:
            yield found
        except BaseException as err:
            if not (isinstance(err, BrokenExecutor) or type(err).__name__ in _LOST):
                raise
            raise LostCluster(str(cluster), str(err)) from err


@contextmanager
def _opened(cluster: str | Executor, jobs: int | None) -> Iterator[Cluster]:
    if not isinstance(cluster, str):
        yield Cluster(cluster, jobs)
        return
    scheme, _, host = cluster.partition("://")
    if scheme == "dask" and host:
        with _dask(cluster, host) as (executor, threads):
            yield Cluster(executor, jobs or threads)
    elif scheme == "mpi" and not host:
        with _mpi(cluster) as executor:
            yield Cluster(executor, jobs or executor.num_workers)
    else:
        raise NoCluster(cluster, "this is no address of one")


@contextmanager
def _dask(address: str, host: str) -> Iterator[tuple[Executor, int]]:
    try:
        from distributed import Client
    except ImportError:
        raise NoCluster(address, "distributed is not installed") from None
    try:
        client = Client(f"tcp://{host}", timeout=_PATIENCE, set_as_default=False)
        client.wait_for_workers(1, timeout=_PATIENCE)
    except (OSError, ValueError) as err:  # a TimeoutError is an OSError
        raise NoCluster(address, str(err)) from err
    with client:
        # pure: equal tasks would be one, whose result is kept
        yield client.get_executor(pure=False), sum(client.ncores().values())


@contextmanager
def _mpi(address: str) -> Iterator[Any]:
    try:
        from mpi4py import MPI
        from mpi4py.futures import MPIPoolExecutor
    except (ImportError, RuntimeError) as err:  # the latter where there is no MPI library
        raise NoCluster(address, str(err)) from None
    if MPI.COMM_WORLD.Get_size() < 2:
        start = "start it as `mpiexec -n 8 python -m mpi4py.futures -m abpipe …`"
        raise NoCluster(address, f"this is the only process: {start}")
    with MPIPoolExecutor() as executor:
        yield executor
