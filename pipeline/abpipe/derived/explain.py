"""Explain: how a derived table comes about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from abpipe.contracts import contracts, derived_tables
from abpipe.lineage import checked, functions, needed, sql, without_stale
from abpipe.manifest import Manifest
from abpipe.store import open_store


@dataclass(frozen=True)
class Explanation:
    """A derived table: what a row is, and its query.

    `reads` holds all that it reads, directly or not, with what a row of each is. `state` says of
    each dataset whether it is a table there, and up to date, or a view.
    """

    table: str
    doc: str
    key: tuple[str, ...]
    reads: dict[str, str]
    functions: list[str]
    state: dict[str, str]
    sql: str


def explain(*tables: str, store: Path | str = "abstore") -> list[Explanation]:
    """How derived tables (all, unless named) come about, and whether they are up to date.

    Raises NotDerived for a table that no query makes, NoStore if there is no store.
    """
    manifest = open_store(store).manifest()
    return [_explain(name, manifest) for name in checked(tables) or derived_tables()]


def _explain(table: str, manifest: Manifest) -> Explanation:
    contract = contracts()[table]
    done = {file.dataset for file in without_stale(manifest).files_of(table)}
    return Explanation(
        table,
        contract.doc,
        contract.key,
        {name: contracts()[name].doc for name in needed([table]) if name != table},
        functions(table),
        {dataset: "table" if dataset in done else "view" for dataset in manifest.datasets},
        sql(table),
    )
