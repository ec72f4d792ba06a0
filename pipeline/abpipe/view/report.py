"""The report: one page about what a store holds, to be opened from disk."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import duckdb

from abpipe.audit import DERIVED_HERE, Finding, compare
from abpipe.catalog import connect
from abpipe.contracts import derived_tables
from abpipe.errors import BadOutput, NeedsExtra
from abpipe.lineage import without_stale
from abpipe.manifest import Manifest
from abpipe.progress import say
from abpipe.store import open_store

if TYPE_CHECKING:
    from abpipe.events.ingest import Progress

Rows: TypeAlias = list[dict[str, Any]]

#: The queries in `sections/`, in the order of the page.
_QUERIES = (
    "figures",
    "classes",
    "absent",
    "targets",
    "spreads",
    "places",
    "outside",
    "rejects",
    "sizes",
    "annotators",
    "crowd",
    "localization",
    "ious",
    "examples",
)
_LEVELS = ("error", "warning", "note")

#: What the flags of image_targets say.
_MIND = {
    "unplaced": "nobody answered, or nobody's place is known",
    "outside": "the mean of the answers lies off the picture",
    "spread": "the answers lie more than a quarter of the diagonal apart",
    "disputed": "at most half of those who were shown the picture gave the label",
    "frame": "the stored frame is not certain",
}


@dataclass(frozen=True)
class Concern:
    """Something that a reader should know before they trust a dataset.

    `level` is error, warning or note; `count` and `share` are of `unit`; `section` is the part of
    the page that says more.
    """

    level: str
    what: str
    unit: str
    count: int
    share: float | None
    section: str


@dataclass(frozen=True)
class About:
    """One dataset: its key figures, what is wrong with it, and the rows of each section's query.

    `missing` are the derived tables that were made for the page alone.
    """

    name: str
    title: str
    tool: str
    figures: dict[str, Any]
    concerns: list[Concern]
    findings: list[Finding]
    answers: dict[str, Rows]
    missing: list[str]


@dataclass(frozen=True)
class Reported:
    """The page that was written: its size, and what its first screen says of each dataset."""

    page: str
    bytes: int
    figures: dict[str, dict[str, Any]]
    concerns: dict[str, list[Concern]]


def report(
    output: Path | str = "report.html",
    store: Path | str = "abstore",
    dataset: str | None = None,
    progress: Progress | None = None,
) -> Reported:
    """Write a page about a store, or one dataset of it: one HTML file that needs no network.

    What is not derived is derived for the page alone, which takes longer. The same store gives the
    same bytes. Raises NeedsExtra without matplotlib or Jinja, NoStore, NotFound, BadOutput.
    """
    for library in ("matplotlib", "jinja2"):
        if find_spec(library) is None:
            raise NeedsExtra("the report", library, "view")
    from abpipe.view.layout import page

    output = Path(output)
    manifest = without_stale(open_store(store).manifest().only(dataset))
    datasets = [manifest.only(name) for name in manifest.datasets]
    for one in datasets if progress else ():
        n_records = sum(file.rows for file in one.files_of("annotations"))
        if n_records > DERIVED_HERE and _missing(one):
            say(f"{n_records:,} records are derived for this page alone, which may take minutes. "
                "To have it done for good, interrupt, and first: `abpipe derive`")  # fmt: skip
    found = [_about(store, one, progress) for one in datasets]
    text = page(found, manifest).encode()
    _write(output, text)
    return Reported(
        str(output),
        len(text),
        {about.name: about.figures for about in found},
        {about.name: about.concerns for about in found},
    )


def _about(store: Path | str, manifest: Manifest, progress: Progress | None) -> About:
    """What a dataset's part says: `manifest` has that dataset only."""
    ((name, known),) = manifest.datasets.items()
    missing = _missing(manifest)
    made = [*missing, "localization_scores"]  # asked more than once
    answers: dict[str, Rows] = {}
    steps = count(1)

    def tell() -> None:
        if progress:
            progress(name, len(made) + len(_QUERIES) + 1, next(steps))

    with connect(store, name) as connection:
        for table in made:
            connection.execute(f"CREATE TEMP TABLE {table} AS FROM {table}")
            tell()
        for query in _QUERIES:
            answers[query] = _rows(connection, _query(query))
            tell()
        findings = sorted(compare(connection), key=lambda f: (_LEVELS.index(f.level), -f.count))
        tell()
    (figures,) = answers["figures"]
    title = known.get("title", f"records of the {known['tool']} tool")
    concerns = sorted(
        _concerns(manifest, figures, findings, answers),
        key=lambda c: (_LEVELS.index(c.level), -(c.share or 0)),
    )
    return About(name, title, known["tool"], figures, concerns, findings, answers, missing)


def _missing(manifest: Manifest) -> list[str]:
    """The derived tables that are not made."""
    return [table for table in derived_tables() if not manifest.files_of(table)]


def _concerns(
    manifest: Manifest, figures: dict[str, Any], findings: list[Finding], answers: dict[str, Rows]
) -> Iterator[Concern]:
    """What is wrong, from every part of the page."""
    for source in manifest.sources:
        if source.partial:
            what = f"{source.name} was read in part only: {source.partial}"
            yield Concern("error", what, "sources", 1, None, "sources")
    if rejected := sum(row["n"] for row in answers["rejects"]):
        yield Concern("warning", "could not be read", "rejects", rejected, None, "rejects")

    def records(level: str, what: str, n: int, section: str) -> Iterator[Concern]:
        if n:
            yield Concern(level, what, "records", n, n / figures["records"], section)

    what = "share their natural key with another, and differ"
    yield from records("warning", what, figures["conflicts"], "sources")
    what = f"made by {figures['flagged']:,} annotators who are flagged"
    yield from records("warning", what, figures["flagged_records"], "annotators")
    yield from records(
        "note", "without a move", figures["records"] - figures["with_moves"], "measures"
    )
    for finding in findings:
        share, what = finding.share, finding.what
        yield Concern(finding.level, what, "records", finding.count, share, "display")
    for row in answers["targets"]:
        what = _MIND[row["flag"]]
        yield Concern("note", what, "labels of pictures", row["n"], row["share"], "coverage")
    if absent := len(answers["absent"]):
        share = absent / (absent + len(answers["classes"]))
        yield Concern("note", "without a picture", "classes", absent, share, "coverage")
    for row in answers["localization"]:
        if (row["what"], row["of"]) == ("click", "all") and (n := row["n"] - row["n_judged"]):
            what = "without ground truth to judge them by"
            yield Concern("note", what, "answers", n, n / row["n"], "localization")


def _query(name: str) -> str:
    return files("abpipe").joinpath("view", "sections", f"{name}.sql").read_text("utf-8")


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> Rows:
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _write(output: Path, text: bytes) -> None:
    """Write a file at once, or not at all. Raises BadOutput."""
    temporary = output.with_name(f".{output.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(text)
        temporary.replace(output)
    except OSError as err:
        temporary.unlink(missing_ok=True)
        raise BadOutput(str(output), err.strerror or str(err)) from None
