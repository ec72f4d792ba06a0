"""The catalog: a store's tables and views for DuckDB, from Python and from its shell."""

from __future__ import annotations

from contextlib import suppress
from importlib.resources import files
from pathlib import Path

import duckdb

from abpipe import __version__
from abpipe.contracts import contracts
from abpipe.manifest import Manifest
from abpipe.store import TEMPORARY, Store

SQL, DATABASE = "catalog.sql", "catalog.duckdb"

#: Where the store is, for whoever reads the catalog from elsewhere.
VARIABLE = "abstore"


def connect(store: Path | str = "abstore") -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with all tables and views of a store. It cannot change the store.

    Raises NoStore if the folder holds none.
    """
    opened = Store(store)
    manifest = opened.manifest()
    with suppress(OSError, duckdb.Error):  # a store may be read-only: its catalog stays as it is
        _renew(opened, manifest)
    connection = duckdb.connect()
    connection.execute(statements(manifest, opened.folder.resolve()))
    return connection


def statements(manifest: Manifest, default: Path | str) -> str:
    """The SQL that makes the tables and views; `default` is where the store is unless told."""
    place = f"coalesce(getvariable('{VARIABLE}'), {_quoted(str(default))})"
    made = []
    for name, contract in contracts().items():
        if contract.view:
            query = files("abpipe").joinpath(contract.stage, f"{name}.sql").read_text("utf-8")
        else:
            paths = ", ".join(_quoted(f"/{file.path}") for file in manifest.files_of(name))
            query = (
                f"SELECT * FROM read_parquet([{place} || path FOR path IN [{paths}]],\n"
                "    hive_partitioning = true, hive_types = {'dataset': VARCHAR})"
            )
        made.append(f"-- {contract.doc}\nCREATE OR REPLACE VIEW {name} AS\n{query.rstrip()};\n")
    return "\n".join(made)


def write_catalogs(store: Store, manifest: Manifest) -> None:
    """Write `catalog.sql` and `catalog.duckdb`, each in one replacement."""
    head = (
        f"-- Tables and views of this store, written by abpipe {__version__}.\n"
        f"-- From another folder, first: SET VARIABLE {VARIABLE} = 'path of the store';\n\n"
    )
    text = store.folder / SQL
    temporary = text.with_name(SQL + TEMPORARY)
    temporary.write_text(head + statements(manifest, "."), "utf-8")
    temporary.replace(text)

    place = store.folder.resolve()
    database = store.folder / DATABASE
    temporary = database.with_name(DATABASE + TEMPORARY)
    temporary.unlink(missing_ok=True)
    with duckdb.connect(temporary) as connection:
        connection.execute("CREATE TABLE store AS SELECT ? AS place", [str(place)])
        connection.execute(statements(manifest, place))
    temporary.replace(database)


def _renew(store: Store, manifest: Manifest) -> None:
    """Write the catalogs anew if the store has moved since."""
    database = store.folder / DATABASE
    if database.exists():
        with duckdb.connect(database, read_only=True) as connection:
            ((place,),) = connection.execute("SELECT place FROM store").fetchall()
        if place == str(store.folder.resolve()):
            return
    write_catalogs(store, manifest)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
