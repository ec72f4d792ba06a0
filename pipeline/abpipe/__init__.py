"""abpipe: annotation byproducts as Parquet tables that DuckDB queries."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from abpipe.check import check
    from abpipe.forget import forget
    from abpipe.ingest import ingest
    from abpipe.store import connect
    from abpipe.synth import synth

_HOME = {
    "check": "abpipe.check",
    "connect": "abpipe.store",
    "forget": "abpipe.forget",
    "ingest": "abpipe.ingest",
    "synth": "abpipe.synth",
}

__all__ = ["__version__", "check", "connect", "forget", "ingest", "synth"]


def __getattr__(name: str) -> Any:
    """Import a verb when it is first used, so that `import abpipe` stays fast."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'abpipe' has no attribute {name!r}")
