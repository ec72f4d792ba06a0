"""How the processes that are abpipe's own start and end faster than Python's usual way."""

from __future__ import annotations

import ctypes
import gc
import io
import os
import sys
from typing import TYPE_CHECKING

from abpipe.errors import NoOutput

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of glibc's <malloc.h>


def start_fast() -> None:
    """Spare this process, which is young, what it will not need."""
    gc.set_threshold(100_000, 50, 50)  # imports make many objects, and none of them is garbage
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # they spin, and abpipe has its own
    _keep_memory()


def _keep_memory() -> None:
    """Have memory that is freed wait for the next array, where the C library is glibc.

    It would go back to the system, and come again page by page: a quarter of the time of parsing.
    """
    if option := getattr(ctypes.CDLL(None), "mallopt", None):
        option(_MMAP_THRESHOLD, 32 << 20)  # the most that is taken
        option(_TRIM_THRESHOLD, 128 << 20)


def spare_pandas() -> None:
    """Have this process do without pandas, from now on.

    The first `pyarrow.array` imports pandas where it is installed, 0.2 s that nothing here needs.
    """
    if "pandas" not in sys.modules:
        sys.meta_path.insert(0, _NoPandas())


class _NoPandas:
    """An importer that denies pandas, and has no word on anything else."""

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("abpipe's own processes do without pandas", name=name)


class _Output(io.FileIO):
    """Standard output that tells what keeps it from being written to."""

    def write(self, data: ReadableBuffer) -> int:
        try:
            return super().write(data) or 0
        except OSError as err:
            raise NoOutput(err.strerror or str(err)) from None


def guard_output() -> None:
    """Have a full disk behind standard output be an error like others: NoOutput."""
    out = sys.stdout  # None after `>&-`: what is written then must fail, too
    raw = _Output(out.fileno() if out else os.open(os.devnull, os.O_RDONLY), "wb", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(raw),
        out.encoding if out else "utf-8",
        out.errors if out else "replace",
        line_buffering=raw.isatty(),
    )


def leave(code: int) -> None:
    """End this process without taking the interpreter apart: 0.1 s that nobody waits for."""
    try:
        sys.stdout.flush()
    except NoOutput as err:
        if not code:  # else it has been told
            sys.stderr.write(f"error: {err}\n")
            code = 1
    sys.stderr.flush()
    if "mpi4py.MPI" in sys.modules:  # the other processes are to be told
        sys.exit(code)
    os._exit(code)
