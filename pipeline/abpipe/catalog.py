"""The catalog: a store's tables and views for DuckDB, from Python and from its shell."""

from __future__ import annotations

from contextlib import suppress
from importlib.resources import files
from pathlib import Path

import duckdb

from abpipe import __version__
from abpipe.contracts import contracts
from abpipe.errors import AbpipeError, Storage
from abpipe.manifest import Manifest
from abpipe.store import CATALOGS, Store, Transaction

#: Where the store is, for whoever reads the catalog from elsewhere.
VARIABLE = "abstore"


def connect(store: Path | str = "abstore") -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with all tables and views of a store. It cannot change the store.

    Raises NoStore if the folder holds none.
    """
    opened = Store(store)
    manifest = opened.manifest()
    with suppress(
        OSError, duckdb.Error, AbpipeError
    ):  # a store may be read-only: its catalog stays as it is
        _renew(opened, manifest)
    connection = duckdb.connect()
    connection.execute(statements(manifest, opened.folder.resolve()))
    return connection


def statements(manifest: Manifest, default: Path | str) -> str:
    """The SQL that makes the tables and views; `default` is where the store is unless told."""
    place = f"coalesce(getvariable('{VARIABLE}'), {_quoted(str(default))})"
    made = []
    for name, contract in contracts().items():
        if not contract.view and not manifest.files_of(name):
            nothing = [f'NULL::{_SQL_TYPES[c.type]} AS "{c.name}"' for c in contract.columns]
            query = f"SELECT {', '.join(nothing)}, NULL::VARCHAR AS dataset WHERE false"
        elif contract.view:
            query = files("abpipe").joinpath(contract.stage, f"{name}.sql").read_text("utf-8")
        else:
            paths = ", ".join(_quoted(f"/{file.path}") for file in manifest.files_of(name))
            query = (
                f"SELECT * FROM read_parquet([{place} || path FOR path IN [{paths}]],\n"
                "    hive_partitioning = true, hive_types = {'dataset': VARCHAR})"
            )
        made.append(f"-- {contract.doc}\nCREATE OR REPLACE VIEW {name} AS\n{query.rstrip()};\n")
    return "\n".join(made)


def commit(transaction: Transaction, manifest: Manifest) -> None:
    """Commit a manifest with the catalogs that go with it.

    They are written just before, so that nothing has happened yet if there is no room for them.
    """
    full = transaction.complete(manifest)
    transaction.name_files(full)
    written = _write(transaction.store, full)
    transaction.commit(full)
    for temporary, path in written:
        temporary.replace(path)


def _write(store: Store, manifest: Manifest) -> list[tuple[Path, Path]]:
    """Write `catalog.sql` and `catalog.duckdb` under temporary names: (temporary, name).

    Raises Storage if there is no room.
    """
    head = (
        f"-- Tables and views of this store, written by abpipe {__version__}.\n"
        f"-- From another folder, first: SET VARIABLE {VARIABLE} = 'path of the store';\n\n"
    )
    sql, catalog = CATALOGS
    text, temporary = store.folder / sql, store.temporary(sql)
    temporary.write_text(head + statements(manifest, "."), "utf-8")
    written = [(temporary, text)]

    place = store.folder.resolve()
    database, temporary = store.folder / catalog, store.temporary(catalog)
    try:
        with duckdb.connect(temporary) as connection:
            told = [str(place), manifest.digest]
            connection.execute("CREATE TABLE store AS SELECT ? AS place, ? AS manifest", told)
            connection.execute(statements(manifest, place))
    except duckdb.Error as err:
        raise Storage(store.folder, f"the catalog: {err}") from err
    return [*written, (temporary, database)]


def _renew(store: Store, manifest: Manifest) -> None:
    """Write the catalogs anew if the store has moved since, or a crash kept them old."""
    database = store.folder / CATALOGS[1]
    if database.exists():
        with duckdb.connect(database, read_only=True) as connection:
            (told,) = connection.execute("SELECT place, manifest FROM store").fetchall()
        if told == (str(store.folder.resolve()), manifest.digest):
            return
    for temporary, path in _write(store, manifest):
        temporary.replace(path)


_SQL_TYPES = {
    "binary": "BLOB",
    "bool": "BOOLEAN",
    "float64": "DOUBLE",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "string": "VARCHAR",
}


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
