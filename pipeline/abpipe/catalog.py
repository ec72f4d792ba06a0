"""The catalog: a store's tables and views for DuckDB, from Python and from its shell."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Mapping
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from types import MappingProxyType

import duckdb

from abpipe import __version__, remote
from abpipe.contracts import Contract, contracts, derived_tables
from abpipe.derived.registry import register
from abpipe.durable import sync, write
from abpipe.errors import AbpipeError, Storage
from abpipe.lineage import macros, sql, without_stale
from abpipe.manifest import File, Manifest
from abpipe.remote import Place
from abpipe.snapshot import Snapshot
from abpipe.store import CATALOGS, Store, Transaction, open_store

#: Where the store is, for whoever reads the catalog from elsewhere.
VARIABLE = "abstore"


def connect(store: Path | str = "abstore", dataset: str | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with all tables and views of a store. It cannot change the store.

    It shows the store as it is now, also after others have written. With `dataset`, it holds that
    dataset only. Raises NoStore if the folder holds none, NotFound if the store does not hold the
    dataset, BrokenStore if a file is missing.
    """
    opened = open_store(store)
    if isinstance(opened.place, Path):
        with suppress(OSError, duckdb.Error, AbpipeError):  # a store may be read-only
            _renew(opened)
    connection = duckdb.connect()
    show(connection, opened, dataset)
    return connection


def show(connection: duckdb.DuckDBPyConnection, store: Store, dataset: str | None) -> Manifest:
    """Make the tables and views of a store, or of one dataset, as it is now; what it holds.

    Their files stay readable until nobody has the connection any more.
    """
    register(connection)
    remote.register(connection, store.place)
    snapshot = Snapshot.of(store, dataset)
    weakref.finalize(connection, snapshot.held.close)
    made = statements(snapshot.manifest, store.place, has_functions=True, names=snapshot.names)
    connection.execute(made)
    return snapshot.manifest


def statements(
    manifest: Manifest,
    default: Place | str,
    has_functions: bool = False,
    names: Mapping[File, str] = MappingProxyType({}),
) -> str:
    """The SQL that makes the tables and views; `default` is where the store is unless told.

    `names` are those that files have elsewhere, all of them or none. A derived table is read from
    its files where they are up to date, and is a view elsewhere; a view that calls abpipe's own
    functions, itself or through another, raises an error where there are none.

    DuckDB checks a new view against all that it reads, views of views included. So each is made
    after those that read it, which were checked against a stand-in with its columns: that takes an
    eighth of the time.
    """
    place = f"coalesce(getvariable('{VARIABLE}'), {quoted(str(default))})"
    current = without_stale(manifest)
    read, asked, stand_ins = list[str](), list[str](), list[str]()
    refused = set[str]()
    for name, contract in contracts().items():
        files = current.files_of(name)
        if names:
            parts = _held(files, names)
        else:
            paths = ", ".join(quoted(f"/{file.path}") for file in files)
            parts = [scan(f"[{place} || path FOR path IN [{paths}]]")] if files else []
        is_whole = bool(files) and {file.dataset for file in files} == manifest.datasets.keys()
        if is_asked := not (contract.is_raw or is_whole):
            if not has_functions and (contract.functions or refused.intersection(contract.reads)):
                refused.add(name)
            query = (_refusal(contract) if name in refused else sql(name)).rstrip()
            done = ", ".join(quoted(file.dataset) for file in files)
            rest = f"SELECT * FROM (\n{query}\n)\nWHERE dataset NOT IN ({done})"
            parts.append(rest if files else query)
            stand_ins.append(f"CREATE OR REPLACE VIEW {name} AS {_nothing(contract)};\n")
        query = "\nUNION ALL BY NAME\n".join(parts or [_nothing(contract)])
        made = f"-- {contract.doc}\nCREATE OR REPLACE VIEW {name} AS\n{query};\n"
        (asked if is_asked else read).append(made)
    if stand_ins:
        stand_ins.insert(0, "-- Stand-ins for the views below, which are made last one first.")
    return "\n".join([macros(), *read, *stand_ins, *reversed(asked)])


def scan(paths: str) -> str:
    """The query that reads a table's files, whose paths are an SQL list."""
    options = "hive_partitioning = true, hive_types = {'dataset': VARCHAR}"
    return f"SELECT * FROM read_parquet({paths},\n    {options})"


def _held(files: list[File], names: Mapping[File, str]) -> list[str]:
    """The queries that read a table's files by other names, which do not tell the dataset."""
    made = []
    for dataset, some in groupby(files, key=lambda file: file.dataset):
        paths = ", ".join(quoted(names[file]) for file in some)
        read = f"read_parquet([{paths}], hive_partitioning = false)"
        made.append(f"SELECT *, {quoted(dataset)} AS dataset FROM {read}")
    return made


def _nothing(contract: Contract) -> str:
    """The query that answers no row, for a table without files."""
    columns = ", ".join(f'NULL::{c.sql_type} AS "{c.name}"' for c in contract.columns)
    return f"SELECT {columns}, NULL::VARCHAR AS dataset WHERE false"


def _refusal(contract: Contract) -> str:
    """The query that says what to do, for a table whose functions only abpipe has."""
    why = quoted(
        f"{contract.name} needs abpipe's own functions. Query it by `abpipe sql`, "
        f"or make it a table: `abpipe derive {contract.name}`"
    )
    columns = ", ".join(f'why::{c.sql_type} AS "{c.name}"' for c in contract.columns)
    told = f"(SELECT error({why}) AS why) WHERE why IS NULL"
    return f"SELECT {columns}, why::VARCHAR AS dataset FROM {told}"


def commit(transaction: Transaction, manifest: Manifest) -> tuple[str, ...]:
    """Commit a manifest with its catalogs, less the derived tables that it makes out of date.

    Their names come back: they are views again. The catalogs are written just before, so that
    nothing has happened yet if there is no room for them.
    """
    full = transaction.complete(without_stale(manifest))
    gone = {file.table for file in transaction.manifest.files if file not in full.files}
    transaction.name_files(full)
    written = _write(transaction.store, full)
    transaction.commit(full)
    with suppress(OSError):  # it is committed: whoever connects next renews them
        for temporary, path in written:
            temporary.replace(path)
    return tuple(name for name in derived_tables() if name in gone)


def _write(store: Store, manifest: Manifest) -> list[tuple[Path, Path]]:
    """Write `catalog.sql` and `catalog.duckdb` under temporary names: (temporary, name).

    Raises Storage if there is no room.
    """
    sql, catalog = CATALOGS
    text, temporary = store.folder / sql, store.temporary(sql)
    place = store.place
    write(temporary, _text(manifest, place).encode())
    written = [(temporary, text)]
    if not isinstance(place, Path):  # the text does: a database there would need to be fetched
        return written

    database, temporary = store.folder / catalog, store.temporary(catalog)
    try:
        with duckdb.connect(temporary) as connection:
            made = statements(manifest, place)
            connection.begin()  # else each statement would wait for the disk
            connection.execute(made)
            connection.execute(
                "CREATE TABLE catalog_of AS SELECT ? AS sha256, ? AS views",
                [_sha256(made), _views(connection)],
            )
            connection.commit()
    except duckdb.Error as err:
        raise Storage(store.folder, f"the catalog: {err}") from err
    sync(temporary)
    return [*written, (temporary, database)]


def _renew(store: Store) -> None:
    """Write the catalogs anew if they are not this store's: it moved, or a crash kept them old.

    Not while another process writes, which does so itself.
    """
    if strange(store, store.manifest()):
        with store.lock(wait=False):
            for temporary, path in _write(store, store.manifest()):
                temporary.replace(path)


def strange(store: Store, manifest: Manifest) -> list[str]:
    """The catalogs of a store that are not its own: another place's, edited, or missing."""
    if not isinstance(store.place, Path):
        return []
    sql, database = (store.folder / name for name in CATALOGS)
    found = []
    with suppress(OSError, UnicodeDecodeError):
        if sql.read_text("utf-8") == _text(manifest, store.place):
            found.append(sql.name)
    with suppress(duckdb.Error), duckdb.connect(database, read_only=True) as connection:
        (told,) = connection.execute("SELECT sha256, views FROM catalog_of").fetchall()
        if told == (_sha256(statements(manifest, store.place)), _views(connection)):
            found.append(database.name)
    return [name for name in CATALOGS if name not in found]


def _text(manifest: Manifest, place: Place) -> str:
    """The catalog as SQL; it goes with a folder that moves."""
    return (
        f"-- Tables and views of this store, written by abpipe {__version__}.\n"
        f"-- From another folder, first: SET VARIABLE {VARIABLE} = 'path of the store';\n\n"
    ) + statements(manifest, "." if isinstance(place, Path) else place)


def _views(connection: duckdb.DuckDBPyConnection) -> str:
    """The SHA-256 of all views of a database, and of its macros."""
    found = connection.execute(
        "SELECT view_name, sql FROM duckdb_views() WHERE NOT internal"
        " UNION ALL SELECT function_name, macro_definition FROM duckdb_functions()"
        " WHERE NOT internal AND function_type LIKE '%macro' ORDER BY ALL"
    ).fetchall()
    return _sha256(str(found))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def quoted(text: str) -> str:
    """Text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
