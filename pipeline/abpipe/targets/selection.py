"""Selection: the part of a store that is exported, as tables of one DuckDB connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import duckdb
import numpy as np
import numpy.typing as npt

from abpipe.catalog import show
from abpipe.cluster import Cluster
from abpipe.contracts import contracts
from abpipe.derived.derive import derive
from abpipe.errors import BadQuery, NeedsDataset, NeedsInstances, NotFound, NothingChosen
from abpipe.lineage import sql, text, without_stale
from abpipe.manifest import Manifest
from abpipe.store import open_store

MEMORY_MB = 1024
LARGEST_GRID = 512  # rows and columns of a dwell map: pictures have hardly more pixels

Reading = Literal["final", "published"]

#: Told of the work, its pieces, and how many of them are done.
Progress: TypeAlias = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Options:
    """What is asked of an export: see `abpipe.export`."""

    form: str
    dataset: str
    reading: Reading = "final"
    where: str | None = None
    split: dict[str, float] = field(default_factory=dict)
    heatmap: int | None = None
    anonymous: bool = False
    images: Path | None = None


@dataclass(frozen=True)
class Selection:
    """The pictures and records to export.

    `connection` has the store's tables and views, of one dataset only, and `chosen` (image_id,
    annotation_id), `numbers` (image_id, row: by the bytes of the ids) and `targets` (image_targets,
    made of the chosen records). `sql` is how they came about. `rows` counts pictures.
    """

    connection: duckdb.DuckDBPyConnection
    manifest: Manifest
    options: Options
    sql: dict[str, str]
    rows: int
    has_truth: bool
    cluster: Cluster | None = None

    @property
    def about(self) -> dict[str, str]:
        """What is known of the dataset."""
        return self.manifest.datasets[self.options.dataset]

    @property
    def is_coco(self) -> bool:
        """Whether pictures have many labels, each with an icon."""
        return self.about["tool"] == "coco"

    @property
    def is_published(self) -> bool:
        """Whether clicks are read as the published loaders read them."""
        return self.options.reading == "published"

    def make(self, table: str, query: str) -> None:
        """Make a table of a query, and remember how."""
        self.connection.execute(f"CREATE TEMP TABLE {table} AS\n{query}")
        self.sql[table] = query

    def columns(self, query: str, *parameters: object) -> dict[str, npt.NDArray[Any]]:
        """The answer of a query as arrays; NaN stands for NULL."""
        found = self.connection.execute(query, list(parameters)).fetchnumpy()
        return {
            name: column.filled(np.nan) if isinstance(column, np.ma.MaskedArray) else column
            for name, column in found.items()
        }


@contextmanager
def selected(
    store: Path | str, options: Options, spill: Path, cluster: Cluster | None = None
) -> Iterator[Selection]:
    """The selection of a store; derived tables that it needs are made first."""
    _derive(store, options, cluster)
    config = {"memory_limit": f"{MEMORY_MB}MiB", "temp_directory": str(spill)}
    with duckdb.connect(config=config) as connection:
        manifest = show(connection, open_store(store), options.dataset)
        ((has_truth,),) = connection.execute("SELECT count(*) > 0 FROM objects").fetchall()
        selection = Selection(connection, manifest, options, {}, 0, has_truth, cluster)
        try:
            selection.make("chosen", _chosen(selection))
        except duckdb.Error as err:
            raise BadQuery(str(err)) from None
        number = "row_number() OVER (ORDER BY image_id) - 1"
        of = "(SELECT DISTINCT image_id FROM chosen)"
        selection.make("numbers", f"SELECT image_id, ({number})::INTEGER AS row FROM {of}")
        ((rows,),) = connection.execute("SELECT count(*) FROM numbers").fetchall()
        if not rows:
            raise NothingChosen(options.dataset, options.where)
        if selection.is_published and selection.is_coco:
            _look_for_instances(selection, rows)
        connection.execute("SET threads = 1")  # a sum is the same in one order only
        selection.make("targets", _targets(selection))
        connection.execute("RESET threads")
        yield replace(selection, rows=rows)


def the_dataset(manifest: Manifest, name: str | None) -> str:
    """The dataset of that name, or the only one. Raises NotFound, NeedsDataset."""
    if name is None and len(manifest.datasets) == 1:
        return next(iter(manifest.datasets))
    if name is None:
        raise NeedsDataset(manifest.datasets)
    if name not in manifest.datasets:
        raise NotFound("dataset", name, f"It holds: {', '.join(manifest.datasets)}")
    return name


def _derive(store: Path | str, options: Options, cluster: Cluster | None) -> None:
    """Make the tables that are read, unless they are up to date: a store may be read-only."""
    needed = ["image_targets", *(["clicks_published"] if options.reading == "published" else [])]
    needed += ["visits"] if options.heatmap else []
    current = without_stale(open_store(store).manifest())
    if not all(current.files_of(name, options.dataset) for name in needed):
        derive(*needed, store=store, dataset=options.dataset, cluster=cluster)


def _look_for_instances(selection: Selection, rows: int) -> None:
    """Whether all pictures are in COCO's own files, which say how large they are."""
    known = "(SELECT image_id FROM images WHERE width > 0)"
    count = f"SELECT count(*) FROM numbers WHERE image_id NOT IN {known}"
    ((missing,),) = selection.connection.execute(count).fetchall()
    if missing:
        raise NeedsInstances(selection.options.dataset, missing, rows)


def _chosen(selection: Selection) -> str:
    """The query of the pictures and records to export."""
    where = selection.options.where
    query = f"SELECT image_id, annotation_id FROM (\n{text('targets', 'selected.sql')}\n)"
    if where:
        query += f"\nWHERE (\n{where}\n)"
    if selection.is_published and selection.is_coco:
        # the loader keeps one record a picture: the last
        last = "coalesce(annotation_id = max(annotation_id) OVER (PARTITION BY image_id), true)"
        query = f"SELECT * FROM (\n{query}\n) QUALIFY {last}"
    return query


def _targets(selection: Selection) -> str:
    """The query of image_targets, made of the chosen records alone."""
    if selection.options.where is None and not selection.is_published:
        return "FROM image_targets"
    parts = []
    for name in contracts()["image_targets"].reads:
        columns = {column.name for column in contracts()[name].columns}
        source = "clicks_published" if (name, selection.is_published) == ("clicks", True) else name
        key = "annotation_id" if "annotation_id" in columns else "image_id"
        if key in columns:
            query = f"FROM main.{source} WHERE {key} IN (SELECT {key} FROM chosen)"
            parts.append(f"{name} AS ({query})")
    return "WITH " + ",\n".join(parts) + f"\nFROM (\n{sql('image_targets')}\n)"
