"""Where a table's rows come from: its SQL, what it reads, and a digest of both."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from abpipe.contracts import contracts, derived_tables
from abpipe.derived.registry import FUNCTIONS
from abpipe.errors import NotDerived
from abpipe.manifest import Manifest


def sql(name: str) -> str:
    """The query that a view or a derived table is."""
    return text(contracts()[name].stage, f"{name}.sql")


def macros() -> str:
    """The SQL macros that the queries share."""
    return text("derived", "macros.sql")


def checked(tables: tuple[str, ...]) -> tuple[str, ...]:
    """The names of tables. Raises NotDerived for one that no query makes."""
    for table in tables:
        if table not in derived_tables():
            raise NotDerived(table, derived_tables())
    return tables


def needed(names: Iterable[str]) -> list[str]:
    """The tables named and all that they read, directly or not, each after what it reads."""
    wanted, todo = set[str](), [*names]
    while todo:
        name = todo.pop()
        if name not in wanted:
            wanted.add(name)
            todo += contracts()[name].reads
    return [name for name in contracts() if name in wanted]


def functions(name: str) -> list[str]:
    """abpipe's own functions that a table calls, itself or through what it reads."""
    called = {function for read in needed([name]) for function in contracts()[read].functions}
    return sorted(called)


def digests(manifest: Manifest, dataset: str) -> dict[str, str]:
    """For each table and view, the SHA-256 of all that its rows in a dataset depend on.

    Of a raw table: its files. Of a query: its text, its columns, the functions it calls, and the
    digests of what it reads.
    """
    found: dict[str, str] = {}
    for name, contract in contracts().items():
        if contract.is_raw:
            parts = sorted(file.sha256 for file in manifest.files_of(name, dataset) if file.rows)
        else:
            modules = sorted({FUNCTIONS[function].module for function in contract.functions})
            types = [f"{column.name} {column.type}" for column in contract.columns]
            parts = [macros(), sql(name), *types, *map(_source, modules)]
            parts += [found[read] for read in contract.reads]
        found[name] = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return found


def without_stale(manifest: Manifest) -> Manifest:
    """The manifest without the files of derived tables that are out of date.

    What is left holds what the queries would answer now.
    """
    now = {dataset: digests(manifest, dataset) for dataset in manifest.datasets}
    made = [file for file in manifest.files if file.digest]
    return manifest.without_files(
        [file for file in made if now[file.dataset].get(file.table) != file.digest]
    )


@cache
def _source(module: str) -> str:
    """The text of one of abpipe's modules, and of those of its package that it imports."""
    package, _, name = module.rpartition(".")
    text = files(package).joinpath(f"{name}.py").read_text("utf-8")
    imported = re.findall(rf"^from ({re.escape(package)}\.\w+) import", text, re.MULTILINE)
    return "\0".join([text, *map(_source, imported)])


@cache
def text(stage: str, name: str) -> str:
    """A file of SQL beside a stage's modules."""
    return files("abpipe").joinpath(stage, name).read_text("utf-8")
