"""How results look in a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import orjson
from rich.console import Console
from rich.table import Table

from abpipe.privacy import own_key
from abpipe.progress import say

if TYPE_CHECKING:
    from pathlib import Path

    from abpipe.audit import Finding
    from abpipe.derived.derive import Derived
    from abpipe.derived.explain import Explanation
    from abpipe.events.ingest import Ingested
    from abpipe.experiment import Trained
    from abpipe.manifest import SourceEntry
    from abpipe.removal import Forgotten
    from abpipe.summary import Summary
    from abpipe.targets.export import Exported
    from abpipe.view.report import Reported

_STYLE = {"error": "bold red", "warning": "yellow", "note": "dim"}


def as_json(result: Any) -> None:
    """Write a result, or a list of them, as JSON."""
    found = [asdict(r) for r in result] if isinstance(result, list) else asdict(result)
    style = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    sys.stdout.buffer.write(orjson.dumps(found, option=style))


def ledgers(results: Iterable[Ingested], key: Path | None = None) -> None:
    """The ledgers of sources, whose sums a reader can check."""
    results = list(results)
    for result in results:
        if not result.is_new:
            say(f"{result.source.name} is in the store already: nothing changed")
        for name in result.short:
            say(f"{name} left out duplicates of what it replaced: ingest it again with --replace")
        _stale(result.stale)
    if any(result.is_new and result.source.key for result in results):
        say(f"ids of people became pseudonyms. Keep their key: {key or own_key()}")
    _ledgers([result.source for result in results])


def _ledgers(sources: Sequence[SourceEntry]) -> None:
    files = ("files", "= ok", "+ junk", "+ rejected")
    records = ("records", "= rows", "+ duplicates", "+ rejected", "+ forgotten")
    whole = _table("source", "dataset", *files, *records, left=2)
    parts = _table("source", "dataset", *files, left=2), _table("source", *records, left=1)
    for source in sources:
        name = f"{source.name} (partial)" if source.partial else source.name
        members = [f"{n:,}" for n in source.ledger.members.values()]
        rows = [f"{n:,}" for n in source.ledger.records.values()]
        whole.add_row(name, source.dataset, *members, *rows)
        parts[0].add_row(name, source.dataset, *members)
        parts[1].add_row(name, *rows)
    console = _console()
    need = console.measure(whole, options=console.options.update(max_width=10_000)).maximum
    for table in (whole,) if need <= console.width else parts:
        _show(table)
    reasons = _table("source", "what", "count", left=2)
    for source in sources:
        ledger = source.ledger
        for what, counts in (
            ("skipped", ledger.junk),
            ("rejected", ledger.rejects),
            ("kept in extra", ledger.extra),
        ):
            for name, n in counts.items():
                reasons.add_row(source.name, f"{what}: {name}", f"{n:,}")
        if ledger.conflicts:
            reasons.add_row(source.name, "same natural key, other content", f"{ledger.conflicts:,}")
    if reasons.row_count:
        _show(reasons)


def summary(found: Summary) -> None:
    """What is in a store."""
    if not found.sources:
        say("the store is empty")
        return
    titles = _table("dataset", "what it is", left=2)
    for name, about in found.datasets.items():
        titles.add_row(name, about.get("title", f"records of the {about['tool']} tool"))
    _show(titles)
    _ledgers(found.sources)
    table = _table("table", *found.rows, "size", left=1)
    for name, size in found.bytes.items():
        numbers = (f"{rows[name]:,}" if name in rows else "view" for rows in found.rows.values())
        table.add_row(name, *numbers, _size(size))
    _show(table)
    coverage = _table("coverage", *found.coverage, left=1)
    kinds = dict.fromkeys(kind for counts in found.coverage.values() for kind in counts)
    for kind in kinds:
        numbers = (f"{counts.get(kind, 0):,}" for counts in found.coverage.values())
        coverage.add_row(kind.replace("_", " "), *numbers)
    _show(coverage)


def findings(found: Sequence[Finding]) -> None:
    """What a check found."""
    table = _table("level", "where", "what", "count", "share", left=3)
    table.add_column("such as", overflow="fold")
    for finding in found:
        count, such = f"{finding.count:,}", ", ".join(map(str, finding.examples))
        share = "" if finding.share is None else f"{finding.share:.2%}"
        row = finding.level, finding.where, finding.what, count, share, such
        table.add_row(*row, style=_STYLE[finding.level])
    if found:
        _show(table)
    else:
        say("everything is as it should be")


def derived(done: Iterable[Derived]) -> None:
    """What became of derived tables."""
    table = _table("table", "dataset", "state", "rows", "seconds", left=3)
    for one in done:
        state = "made" if one.is_new else "up to date"
        table.add_row(one.table, one.dataset, state, f"{one.rows:,}", f"{one.seconds:.1f}")
    _show(table)


def explanations(found: Iterable[Explanation]) -> None:
    """How derived tables come about."""
    for one in found:
        table = _table("reads", "which has", left=2)
        for name, doc in one.reads.items():
            table.add_row(name, doc)
        states = ", ".join(f"{dataset}: {state}" for dataset, state in one.state.items())
        lines = [f"{one.table}: {one.doc}", f"Key: {', '.join(one.key)}. Now: {states}"]
        if one.functions:
            lines.append(f"Calls abpipe's own functions: {', '.join(one.functions)}")
        _write(lines)
        _show(table)
        _write(["", one.sql])


def exported(done: Exported) -> None:
    """What was written for training."""
    table = _table("array", "shape", left=1)
    for name, shape in done.arrays.items():
        table.add_row(name, " x ".join(f"{n:,}" for n in shape))
    _show(table)
    say(f"{done.folder}: {done.rows:,} pictures of {done.dataset}, {_size(done.bytes)}")
    if done.missing:
        say(f"{done.missing:,} of {done.rows:,} pictures have no file in the folder of pictures")


def trained(methods: Sequence[Trained]) -> None:
    """What each method came to."""
    told = ("epochs", "accuracy", "click distance", "map in trace's box", "s")
    table = _table("method", *told, left=1)
    for one in methods:
        measures = (one.accuracy, one.click_distance, one.pointing)
        shown = ["" if value != value else f"{value:.3f}" for value in measures]
        table.add_row(one.method, str(one.epochs), *shown, f"{one.seconds:.0f}")
    if methods:
        _show(table)
        first = methods[0]
        say(f"learnt from {first.pictures:,} pictures, tested on {first.tested:,}")
        if first.dropped:
            say(f"{first.dropped:,} pictures have no targets, and were left out")


def forgotten(done: Forgotten) -> None:
    """What was removed from a store."""
    sources = ", ".join(done.sources)
    say(f"forgotten: {done.records:,} records and {done.rejects:,} rejects of {sources}")
    if done.mentions:
        say(f"{done.mentions:,} rows of others still hold the id in a text: see the column extra")
    for name in done.short:
        say(f"{name} left out duplicates of it: `abpipe ingest --replace` brings them back")
    _stale(done.stale)


def reported(done: Reported) -> None:
    """Where the page is, and what it warns of."""
    for dataset, concerns in done.concerns.items():
        for one in concerns:
            if one.level != "note":
                share = "" if one.share is None else f", {one.share:.1%}"
                say(f"{dataset}: {one.level}: {one.what} ({one.unit}: {one.count:,}{share})")
    _write([done.page])


def _stale(tables: Sequence[str]) -> None:
    if tables:
        say(f"views again, until `abpipe derive` makes them tables: {', '.join(tables)}")


def _write(lines: Iterable[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def _size(n: int) -> str:
    return f"{n / 1e6:,.1f} MB" if n >= 1e6 else f"{n / 1e3:,.1f} kB"


def _table(*columns: str, left: int) -> Table:
    """A plain table; all but the first columns are numbers, which stay in one piece."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for i, column in enumerate(columns):
        if i < left:
            table.add_column(column, overflow="fold")
        else:
            table.add_column(column, justify="right", no_wrap=True)
    return table


def _show(table: Table) -> None:
    _console().print(table)


def _console() -> Console:
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = int(os.environ.get("COLUMNS", 160))
    return console
