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


_TIMES, _PLACES = "BIGINT[]", "DOUBLE[]"
_SIZE = ("DOUBLE", "DOUBLE")
_TRACE = (_PLACES, _PLACES, _PLACES, *_SIZE)
_EVENTS = ("UTINYINT[]", "INTEGER[]", _TIMES)
_BOX = "xmin DOUBLE, ymin DOUBLE, xmax DOUBLE, ymax DOUBLE"

FUNCTIONS: dict[str, Function] = {
    "cut_visits": Function(
        "abpipe.derived.visits",
        (*_EVENTS, _PLACES, _PLACES, "BOOLEAN", "DOUBLE", "DOUBLE", "BIGINT", "BIGINT", "BIGINT"),
        "STRUCT(visit BIGINT, enter_ms BIGINT, leave_ms BIGINT, start_ms BIGINT, end_ms BIGINT,"
        " unobserved_ms BIGINT, n_clicks BIGINT, ended VARCHAR, estimate_ms BIGINT,"
        " deciding BOOLEAN, path DOUBLE, idle_time BIGINT, hovers BIGINT, hover_time BIGINT,"
        " t_ms BIGINT[], x_px DOUBLE[], y_px DOUBLE[], dwell_ms BIGINT[])[]",
    ),
    "dwell_map": Function("abpipe.derived.maps", (*_TRACE, "BIGINT", "BIGINT"), "FLOAT[]"),
    "fixed_interval": Function(
        "abpipe.derived.series",
        (_TIMES, _PLACES, _PLACES, _TIMES, "BIGINT", "BIGINT"),
        "STRUCT(x DOUBLE[], y DOUBLE[], valid BOOLEAN[])",
    ),
    "inside_mask": Function("abpipe.derived.masks", ("VARCHAR", "DOUBLE", "DOUBLE"), "BOOLEAN"),
    "length_normalized": Function(
        "abpipe.derived.series",
        (_PLACES, _PLACES, "BIGINT"),
        "STRUCT(x DOUBLE[], y DOUBLE[])",
    ),
    "map_scores": Function(
        "abpipe.derived.scores",
        (*_TRACE, f"STRUCT({_BOX})[]"),
        "STRUCT(peak_x DOUBLE, peak_y DOUBLE, energy DOUBLE, nss DOUBLE, auc DOUBLE, cc DOUBLE,"
        " kl DOUBLE, sim DOUBLE)",
    ),
    "measure_trace": Function(
        "abpipe.derived.traces",
        ("BOOLEAN[]", *(f"{one}[]" for one in (_TIMES, _PLACES, _PLACES, _TIMES)), *_SIZE),
        "STRUCT(initiation_time BIGINT, vel_max DOUBLE, vel_max_time DOUBLE, vel_mean DOUBLE,"
        " acc_max DOUBLE, acc_max_time DOUBLE, MAD DOUBLE, MAD_time BIGINT, AD DOUBLE, AUC DOUBLE,"
        " xpos_flips BIGINT, ypos_flips BIGINT, sample_entropy DOUBLE, straightness DOUBLE,"
        " jump_share DOUBLE,"
        " hull BLOB, hull_x DOUBLE[], hull_y DOUBLE[], hull_area_px DOUBLE, centroid_x DOUBLE,"
        " centroid_y DOUBLE, box_xmin DOUBLE, box_ymin DOUBLE, box_xmax DOUBLE, box_ymax DOUBLE,"
        " core_xmin DOUBLE, core_ymin DOUBLE, core_xmax DOUBLE, core_ymax DOUBLE)",
    ),
    "pixel_grid": Function("abpipe.derived.audit", (_PLACES,), "INTEGER"),
    "steps_back": Function("abpipe.derived.audit", _EVENTS, "INTEGER"),
    "time_normalized": Function(
        "abpipe.derived.series",
        (_TIMES, _PLACES, _PLACES, "BIGINT"),
        "STRUCT(x DOUBLE[], y DOUBLE[])",
    ),
}

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
        return getattr(import_module(module), name)(*(c.combine_chunks() for c in columns))

    kind = inspect.Parameter.POSITIONAL_ONLY
    columns = [inspect.Parameter(f"column{i}", kind) for i in range(n_arguments)]
    call.__signature__ = inspect.Signature(columns)  # type: ignore[attr-defined]
    return call
