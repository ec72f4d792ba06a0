"""SQL on a store, for the command line: one answer, in the form that is asked for."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import duckdb

from abpipe.catalog import connect
from abpipe.errors import BadOutput, BadQuery, NeedsFile, NeedsFormat

Format = Literal["table", "csv", "json", "parquet"]
ROWS_SHOWN = 40


def answer(
    query: str,
    store: Path | str = "abstore",
    form: Format = "table",
    output: Path | None = None,
    dataset: str | None = None,
) -> None:
    """Run SQL statements and write what the last one answers, to standard output or a file.

    With `dataset`, the tables hold that dataset only.

    Raises BadQuery for what DuckDB refuses, NeedsFile for Parquet without a file, NeedsFormat for a
    table in one (it shows some rows only), BadOutput if the file cannot be written.
    """
    if form == "parquet" and output is None:
        raise NeedsFile(form)
    if form == "table" and output is not None:
        raise NeedsFormat(str(output))
    with connect(store, dataset) as connection:
        _answer(connection, query, form, output)


def converse(store: Path | str = "abstore", dataset: str | None = None) -> None:
    """Answer queries from a terminal until its end; each ends with a semicolon."""
    import readline  # noqa: F401 (gives the prompt its history)

    sys.stderr.write("SQL, ended by a semicolon; `quit` or Ctrl-D leaves. Try: SHOW TABLES;\n")
    with connect(store, dataset) as connection:
        for query in _typed():
            try:
                _answer(connection, query, "table", None)
            except BadQuery as err:
                sys.stderr.write(f"{err}\n")


def _typed() -> Iterator[str]:
    query = ""
    while True:
        try:
            query += input("   ...> " if query else "abpipe> ") + "\n"
        except EOFError:
            sys.stdout.write("\n")
            return
        if query.strip().rstrip(";").lower() in ("quit", "exit", ".quit", ".exit"):
            return
        if query.rstrip().endswith(";"):
            yield query
            query = ""
        elif not query.strip():
            query = ""


def _answer(
    connection: duckdb.DuckDBPyConnection, query: str, form: Format, output: Path | None
) -> None:
    try:
        *before, last = connection.extract_statements(query) or [None]
        for statement in before:
            connection.execute(statement).fetchall()
        if last is None:
            raise BadQuery("there is no SQL in it")
        relation = connection.sql(last.query)
        if relation is None:
            return
        if form == "table":
            width = shutil.get_terminal_size((120, 40)).columns
            relation.show(max_rows=ROWS_SHOWN, max_width=width)
        else:
            _copy(connection, relation, form, output)
    except duckdb.Error as err:
        raise BadQuery(str(err)) from None
    except OSError as err:
        raise BadOutput(str(output), err.strerror or str(err)) from None


def _copy(
    connection: duckdb.DuckDBPyConnection,
    relation: duckdb.DuckDBPyRelation,
    form: str,
    output: Path | None,
) -> None:
    """Write to a temporary file first: an interrupted query leaves no half answer."""
    with tempfile.TemporaryDirectory(dir=output.parent if output else None) as folder:
        path = Path(folder) / "answer"
        if form == "csv":
            relation.write_csv(str(path), header=True)
        elif form == "parquet":
            relation.write_parquet(str(path), compression="zstd")
        else:
            relation.create_view("answer", replace=True)
            connection.execute("COPY answer TO ? (FORMAT json, ARRAY)", [str(path)])
        if output:
            path.replace(output)
        else:
            with path.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
