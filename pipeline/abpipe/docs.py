"""The parts of the README that are written by the code they describe; `make docs` renews them."""

from __future__ import annotations

from collections.abc import Iterator

from typer.main import get_command

from abpipe.cli import app
from abpipe.contracts import Contract, contracts


def commands() -> str:
    """A table of all commands, with the first line of their help."""
    rows = ["| command | what it does |", "| --- | --- |"]
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        rows.append(f"| `abpipe {name}` | {(command.help or '').splitlines()[0]} |")
    return "\n".join(rows) + "\n"


def tables() -> str:
    """The dictionary of all tables and views."""
    return "\n".join(line for contract in contracts().values() for line in _table(contract))


def _table(contract: Contract) -> Iterator[str]:
    kind = "view" if contract.view else "table"
    yield f"<details><summary><b>{contract.name}</b> ({kind}): {contract.doc}</summary>\n"
    yield f"Key: {', '.join(contract.key)}.\n"
    yield "| column | type | unit | meaning |"
    yield "| --- | --- | --- | --- |"
    for column in contract.columns:
        null = "" if column.null else ", never NULL"
        yield f"| {column.name} | {column.type}{null} | {column.unit or ''} | {column.doc} |"
    yield "\n</details>\n"
