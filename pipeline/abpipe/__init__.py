"""abpipe: annotation byproducts as Parquet tables that DuckDB queries."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from abpipe import view as view
    from abpipe.audit import check
    from abpipe.catalog import connect
    from abpipe.derived.derive import derive
    from abpipe.events.ingest import ingest
    from abpipe.removal import forget
    from abpipe.targets.export import export
    from abpipe.targets.reader import open_targets
    from abpipe.view.report import report

_HOME = {
    "check": "abpipe.audit",
    "connect": "abpipe.catalog",
    "derive": "abpipe.derived.derive",
    "export": "abpipe.targets.export",
    "forget": "abpipe.removal",
    "ingest": "abpipe.events.ingest",
    "open_targets": "abpipe.targets.reader",
    "report": "abpipe.view.report",
}

__all__ = [
    "__version__",
    "check",
    "connect",
    "derive",
    "export",
    "forget",
    "ingest",
    "open_targets",
    "report",
]


def __getattr__(name: str) -> Any:
    """Import a verb, or `view`, when it is first used, so that `import abpipe` stays fast."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name == "view":
        return import_module("abpipe.view")
    raise AttributeError(f"module 'abpipe' has no attribute {name!r}")
