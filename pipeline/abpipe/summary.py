"""Info: what is in a store."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from abpipe.catalog import connect
from abpipe.contracts import derived_tables, raw_tables
from abpipe.lineage import without_stale
from abpipe.manifest import SourceEntry
from abpipe.store import open_store

_COVERAGE = """
SELECT
    dataset,
    count(DISTINCT image_id) AS pictures,
    count(DISTINCT image_id) FILTER (n_annotations > 0) AS annotated,
    count(DISTINCT image_id) FILTER (image_id IN (SELECT image_id FROM objects)) AS with_objects
FROM images
GROUP BY dataset
"""
_RECORDS = """
SELECT
    dataset,
    count(*) AS records,
    count(DISTINCT annotator_id) AS annotators,
    count(*) FILTER (selected) AS selected,
    count(*) FILTER (annotation_id IN (SELECT annotation_id FROM events WHERE kind = 'move'))
        AS with_moves
FROM annotations
GROUP BY dataset
"""


@dataclass(frozen=True)
class Summary:
    """The contents of a store; `coverage` counts pictures and records by dataset.

    `rows` has the raw tables, and the derived ones that are up to date: others are views.
    """

    folder: str
    datasets: dict[str, dict[str, str]]
    sources: tuple[SourceEntry, ...]
    rows: dict[str, dict[str, int]]
    bytes: dict[str, int]
    coverage: dict[str, dict[str, int]]


def summarize(store: Path | str = "abstore", dataset: str | None = None) -> Summary:
    """What a store, or one dataset of it, holds. Raises NoStore or NotFound if there is none."""
    manifest = open_store(store).manifest().only(dataset)
    rows: dict[str, Counter[str]] = {name: Counter() for name in manifest.datasets}
    size: Counter[str] = Counter()
    for file in without_stale(manifest).files:
        rows[file.dataset][file.table] += file.rows
        size[file.table] += file.bytes
    coverage: dict[str, dict[str, int]] = {name: {} for name in manifest.datasets}
    with connect(store, dataset) as connection:
        for query in (_COVERAGE, _RECORDS):
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description or []]
            for dataset, *numbers in cursor.fetchall():
                coverage[dataset] |= dict(zip(names[1:], numbers, strict=True))
    return Summary(
        str(store),
        manifest.datasets,
        manifest.sources,
        {name: dict(counts) for name, counts in rows.items()},
        {table: size[table] for table in (*raw_tables(), *derived_tables())},
        coverage,
    )
