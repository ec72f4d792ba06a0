"""Blocks to batches on all cores, in order, in bounded memory."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import util
from multiprocessing.shared_memory import SharedMemory
from traceback import clear_frames
from typing import TYPE_CHECKING, TypeAlias, cast

from abpipe.errors import BrokenSource, LostWorker
from abpipe.parcel import Parcel
from abpipe.process import leave, spare_pandas, start_fast
from abpipe.raw.buffer import BLOCK_BYTES, Buffer

if TYPE_CHECKING:
    from abpipe.raw.block import Block, Blocks, Take
    from abpipe.rows import Batch

#: From a block to its rows; other processes import it by its name.
Parse: TypeAlias = "Callable[[Block], Batch]"

#: Blocks that may wait for each other process, so that none is idle while this one writes.
AHEAD = 6

#: Bytes of a shared buffer: the rows of a block of JSON take about twice its own space.
ROOM = 3 * BLOCK_BYTES


class Workers:
    """Parses blocks in `jobs` processes, this one included; use as a context manager.

    This process reads the source, parses a block itself whenever all other workers are busy, and
    hands the batches on in the order of their blocks.
    """

    def __init__(self, jobs: int | None = None) -> None:
        self.jobs = jobs or os.cpu_count() or 1
        self._stack = ExitStack()

    def __enter__(self) -> Workers:
        n_slots = min(AHEAD * (self.jobs - 1) + 1, _shared_memory() // ROOM)
        n_children = min(self.jobs, n_slots) - 1
        self._slots: list[Buffer] = []
        self._pool: ProcessPoolExecutor | None = None
        if n_children < 1:
            self._slots.append(Buffer.private(BLOCK_BYTES))
            self._free = deque(self._slots)
            return self
        self._pool = processes(n_children, _prepare)
        for _ in range(n_slots):
            memory = SharedMemory(create=True, size=ROOM)
            self._stack.callback(_discard, memory)
            self._slots.append(Buffer(memory.buf, memory.name, BLOCK_BYTES))
        self._free = deque(self._slots)
        return self

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        cleared = set[BaseException]()  # plug-ins make errors that are their own cause
        while error and error not in cleared:
            # the frames of an error may hold views that keep shared memory open
            clear_frames(error.__traceback__)
            cleared.add(error)
            error = error.__cause__ or error.__context__
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
        for slot in self._slots:
            try:
                slot.release()
            except BufferError:  # arrays in reference cycles hold it open, too
                gc.collect()
                with suppress(BufferError):
                    slot.release()
        self._stack.close()

    def map(self, parse: Parse, read: Callable[[Take], Blocks]) -> Iterator[Batch]:
        """The batches of all blocks that `read` yields, in their order. Raises LostWorker."""
        waiting: deque[_Task] = deque()
        try:
            try:
                for block in read(self._free.pop):  # the one used last is in the processor's cache
                    waiting.append(self._start(parse, block))
                    while waiting and (waiting[0].done or len(waiting) > 2 * AHEAD * self.jobs):
                        yield self._finish(waiting.popleft())
            except BrokenSource:  # what was read before is good
                yield from self._rest(parse, waiting)
                raise
            yield from self._rest(parse, waiting)
        except BrokenExecutor as err:  # a block that it worked on may be half overwritten by rows
            for task in waiting:  # all will be told: the executor breaks on what is cancelled first
                if isinstance(task.result, Future):
                    task.result.exception()
            raise LostWorker from err
        finally:  # of a reader that broke off: its buffers are wanted again
            for task in waiting:
                if isinstance(task.result, Future) and not task.result.cancel():
                    task.result.exception()
            self._free = deque(self._slots)

    def _rest(self, parse: Parse, waiting: deque[_Task]) -> Iterator[Batch]:
        """The batches of what was read to its end; this process helps with what is left to do."""
        undone = [task for task in waiting if not task.done]
        while waiting:
            while undone and not waiting[0].done:
                undone.pop().take_back(parse)
            yield self._finish(waiting.popleft())

    def _start(self, parse: Parse, block: Block | Batch) -> _Task:
        """Have a block parsed: elsewhere if a buffer to go on with is left, else here and now."""
        buffer: Buffer | None = getattr(block, "buffer", None)
        if buffer is None:  # the reader itself had something to say
            return _Task(block, cast("Batch", block), None)
        if self._pool and self._free and buffer in self._slots:
            return _Task(block, self._pool.submit(_work, parse, cast("Block", block)), buffer)
        batch = parse(cast("Block", block))
        self._give_back(buffer)
        return _Task(block, batch, None)

    def _finish(self, task: _Task) -> Batch:
        """The batch of a block, whose buffer is free again."""
        found = task.result.result() if isinstance(task.result, Future) else task.result
        batch = found.unpack(task.buffer) if isinstance(found, Parcel) and task.buffer else found
        self._give_back(task.buffer)
        return cast("Batch", batch)

    def _give_back(self, buffer: Buffer | None) -> None:
        if buffer in self._slots:
            self._free.append(buffer)


@dataclass
class _Task:
    """A block on its way, and the buffer that it keeps until it is there."""

    block: Block | Batch
    result: Future[Batch | Parcel] | Batch
    buffer: Buffer | None

    @property
    def done(self) -> bool:
        return not isinstance(self.result, Future) or self.result.done()

    def take_back(self, parse: Parse) -> None:
        """Parse the block here, if no other process has begun to."""
        if isinstance(self.result, Future) and self.result.cancel():
            # Python 3.11's executor, when a process is lost, tells cancelled ones, and fails at it
            self.result.set_exception = lambda exception: None  # type: ignore[method-assign]
            self.result = parse(cast("Block", self.block))


#: A fork would copy the locks of threads that Arrow, DuckDB and notebooks run.
SPAWN = multiprocessing.get_context("spawn")


def processes(n: int, begin: Callable[..., None], *arguments: object) -> ProcessPoolExecutor:
    """An executor of `n` processes that each call `begin` first, and leave Ctrl-C to this one.

    They start up while this process goes on, and end with it, however it ends.
    """
    pool = ProcessPoolExecutor(n, SPAWN, _begin, (begin, arguments))
    with _interrupts_ignored():
        for _ in range(n):
            pool.submit(int)  # a process starts when there is work for it
    return pool


def _work(parse: Parse, block: Block) -> Batch | Parcel:
    """Parse a block in another process; its rows go back in the memory that it came in."""
    batch = parse(block)
    return Parcel.pack(batch, block.buffer) or batch


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Leave Ctrl-C to the process that reads; only its main thread may say so.

    It is to survive them, too: writing to one that was killed is an error from now on, not its end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _begin(begin: Callable[..., None], arguments: tuple[object, ...]) -> None:
    """Start fast, and end with the process that reads, however it ends."""
    start_fast()
    spare_pandas()
    util.Finalize(None, leave, (0,), exitpriority=-1)  # the last one, once the results are out
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    begin(*arguments)


def _shared_memory() -> int:
    """Bytes of shared memory that may be used: containers often have little."""
    try:
        place = os.statvfs("/dev/shm")
    except OSError:  # another system, where it is not a file system
        return 1 << 40
    return place.f_bavail * place.f_frsize * 3 // 4


def _prepare() -> None:
    """Import what parsing the most usual blocks needs."""
    import abpipe.events.imagenet
    import abpipe.events.parse  # noqa: F401


def _discard(memory: SharedMemory) -> None:
    memory.unlink()
    with suppress(BufferError):
        memory.close()
