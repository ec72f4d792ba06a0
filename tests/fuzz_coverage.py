"""Fuzzing that is led by coverage: `python tests/fuzz_coverage.py SECONDS [PYTEST'S OPTIONS]`.

What is tried is what the tests marked `fuzz` try, and what must hold is what they say. But here
atheris chooses the bytes: it watches which lines of abpipe they reach. Each test has a process of
its own, which imports this module as a plugin.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

BOUNDS = ("-timeout=60", "-rss_limit_mb=3072", "-max_len=65536", "-print_final_stats=1")
SECONDS = "ABPIPE_COVERAGE_SECONDS"


def covered(data: bytes, read: Callable[[bytes], object], least: int = 0) -> None:
    """Have bytes read that are like some: in a process of its own, which ends when time is up."""
    process = os.fork()
    if not process:
        try:
            _search(data, read)
        finally:
            os._exit(1)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def _search(data: bytes, read: Callable[[bytes], object]) -> None:
    import atheris

    from abpipe.errors import AbpipeError

    def one(tried: bytes) -> None:
        with suppress(AbpipeError):
            read(tried)

    corpus = Path(tempfile.mkdtemp(prefix="corpus"))
    (corpus / "seed").write_bytes(data)
    found = f"-artifact_prefix={tempfile.gettempdir()}/"
    limit = f"-max_total_time={os.environ[SECONDS]}"
    atheris.Setup([sys.argv[0], str(corpus), limit, found, *BOUNDS], one)
    atheris.Fuzz()


def pytest_configure() -> None:
    """Have all of abpipe's modules say which of their lines run."""
    import atheris

    atheris.instrument_imports(include=["abpipe"]).__enter__()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Any:
    """Put atheris in the place of what chooses by chance."""
    module, handle = pyfuncitem.module, getattr(pyfuncitem.obj, "hypothesis", None)
    if handle and pyfuncitem._fixtureinfo.argnames:
        pytest.skip("needs more than bytes")
    if handle:
        covered(b"", handle.fuzz_one_input)
        pytest.skip("searched")  # and so not by chance
    if hasattr(module, "assert_same"):
        published: Any = pyfuncitem.funcargs["published"]
        covered(published[0], lambda data: module.assert_same([data]))
        pytest.skip("searched")
    module.fuzz = covered
    return (yield)


def main(seconds: str, *options: str) -> int:
    """Run each test; how many failed."""
    pytest_line = [sys.executable, "-m", "pytest", "-m", "fuzz", "-q", *options]
    listed = subprocess.run([*pytest_line, "--collect-only"], capture_output=True, text=True)
    tests = re.findall(r"^tests/\S+::.+$", listed.stdout, re.MULTILINE)
    failed = 0
    for test in tests:
        done = subprocess.run(
            [*pytest_line, "-s", "-p", "fuzz_coverage", test],
            capture_output=True,
            text=True,
            errors="replace",
            env=os.environ | {SECONDS: seconds, "PYTHONPATH": str(Path(__file__).parent)},
        )
        tried = re.findall(r"number_of_executed_units: (\d+)", done.stdout + done.stderr)
        reached = re.findall(r"cov: (\d+)", done.stdout + done.stderr)
        told = f"{tried[-1]} tried, {reached[-1]} places" if tried and reached else "none tried"
        is_sound = done.returncode == 0
        failed += not is_sound
        sys.stdout.write(f"{'ok    ' if is_sound else 'FAILED'} {test}: {told}\n")
        if not is_sound:
            sys.stdout.write(done.stdout[-3000:] + done.stderr[-3000:])
        sys.stdout.flush()
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) > 0)
