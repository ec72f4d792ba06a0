"""abpipe's own functions for SQL. Their modules are imported when one is first called."""

from __future__ import annotations

import atexit
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from weakref import WeakSet

import duckdb


@dataclass(frozen=True)
class Function:
    """A function of a module, of the same name: Arrow arrays in, an Arrow array out.

    NULLs reach it as they are. `arguments` and `returns` are DuckDB's types.
    """

    module: str
    arguments: tuple[str, ...]
    returns: str


FUNCTIONS: dict[str, Function] = {}

_CONNECTIONS: WeakSet[duckdb.DuckDBPyConnection] = WeakSet()


def register(connection: duckdb.DuckDBPyConnection) -> None:
    """Make all functions callable from a connection's SQL."""
    for name, function in FUNCTIONS.items():
        connection.create_function(
            name,
            _lazy(function.module, name, len(function.arguments)),
            list(function.arguments),
            function.returns,
            type="arrow",
            null_handling="special",
        )
    _CONNECTIONS.add(connection)


@atexit.register
def _close() -> None:
    """Close what is left open: DuckDB complains of functions that outlive the interpreter."""
    for connection in [*_CONNECTIONS]:
        connection.close()


def _lazy(module: str, name: str, n_arguments: int) -> Callable[..., Any]:
    """The function, imported when it is first called."""

    def call(*columns: Any) -> Any:
        return getattr(import_module(module), name)(*columns)

    kind = inspect.Parameter.POSITIONAL_ONLY
    columns = [inspect.Parameter(f"column{i}", kind) for i in range(n_arguments)]
    call.__signature__ = inspect.Signature(columns)  # type: ignore[attr-defined]
    return call
