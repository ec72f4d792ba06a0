"""What a command costs: its time, that of the processors, and the memory of all its processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

#: Seconds between two looks at the memory: each costs a few ms.
PACE = 0.2


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock and of the processors; MB at most, of all processes together."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def abpipe(*arguments: object) -> Cost:
    """What a command of abpipe costs, start-up included."""
    return cost([sys.executable, "-m", "abpipe", *arguments])


def cost(command: Sequence[object]) -> Cost:
    """Run a command to its end; one that fails ends the benchmark."""
    begin, peak, ended = time.perf_counter(), 0, 0
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
    while not ended:
        peak = max(peak, held(process.pid))
        time.sleep(min(PACE, 0.01 + (time.perf_counter() - begin) / 50))
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {process.returncode}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, peak / 1e6)


def held(pid: int) -> int:
    """Bytes of memory of a process and all that it started: what they share counts once (PSS)."""
    total = 0
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            total += one.memory_full_info().pss
    return total
