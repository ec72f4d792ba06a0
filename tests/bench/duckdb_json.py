"""COCO-AB by DuckDB's own read_json, to the same tables; one bad record loses them all."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

_POINT = "STRUCT(x DOUBLE, y DOUBLE)"
_COLUMNS = {
    "image_id": "BIGINT",
    "hit_id": "VARCHAR",
    "page_id": "BIGINT",
    "worker_id": "VARCHAR",
    "originalImageHeight": "BIGINT",
    "originalImageWidth": "BIGINT",
    "imageHeight": "DOUBLE",
    "imageWidth": "DOUBLE",
    "timeSpent": "BIGINT",
    "actionHistories": "STRUCT(actionType VARCHAR, iconType VARCHAR,"
    f" pointFrom {_POINT}, pointTo {_POINT}, timeAt BIGINT)[]",
    "categoryHistories": "STRUCT(categoryIndex BIGINT, categoryName VARCHAR, timeAt BIGINT,"
    " usingKeyboard BOOLEAN)[]",
    "mouseTracking": "STRUCT(x DOUBLE, y DOUBLE, timeAt BIGINT)[]",
}
_TABLES = {
    "images": "SELECT image_id, count(*) AS n_annotations FROM records GROUP BY image_id",
    "annotations": "SELECT * EXCLUDE (actionHistories, categoryHistories, mouseTracking)"
    " FROM records",
    "events": """
        SELECT annotation_id, image_id, e.actionType AS kind, seq, e.timeAt AS t_ms,
            e.pointTo.x AS x, e.pointTo.y AS y, e.pointFrom.x AS x_from, e.pointFrom.y AS y_from,
            e.iconType AS label, NULL::BIGINT AS category_index, NULL::BOOLEAN AS keyboard
        FROM records, unnest(actionHistories) WITH ORDINALITY AS u(e, seq)
        UNION ALL
        SELECT annotation_id, image_id, 'browse', seq, e.timeAt, NULL, NULL, NULL, NULL,
            e.categoryName, e.categoryIndex, e.usingKeyboard
        FROM records, unnest(categoryHistories) WITH ORDINALITY AS u(e, seq)
        UNION ALL
        SELECT annotation_id, image_id, 'move', seq, e.timeAt, e.x, e.y, NULL, NULL, NULL, NULL,
            NULL
        FROM records, unnest(mouseTracking) WITH ORDINALITY AS u(e, seq)
    """,
}


def ingest(source: Path, out: Path) -> None:
    """Read the array and write three tables."""
    out.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TEMP TABLE records AS SELECT row_number() OVER () AS annotation_id, *"
            " FROM read_json(?, format = 'array', columns = ?, maximum_object_size = 1 << 26)",
            [str(source), _COLUMNS],
        )
        for name, query in _TABLES.items():
            path = str(out / f"{name}.parquet")
            connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")


if __name__ == "__main__":
    ingest(Path(sys.argv[1]), Path(sys.argv[2])) if "--help" not in sys.argv else None
