"""Targets as one table, a row for every label of a picture: CSV, JSON lines, Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from abpipe.catalog import quoted
from abpipe.contracts import contracts
from abpipe.lineage import text
from abpipe.targets.selection import Progress, Selection
from abpipe.targets.split import parts

_FORMATS = {
    "csv": "FORMAT csv, HEADER",
    "jsonl": "FORMAT json",
    "parquet": "FORMAT parquet, COMPRESSION zstd",
}

#: What columns mean that are not image_targets' own.
_DOCS = {
    "class_index": "Index into classes; NULL for a label that is none of them",
    "category_id": "COCO's category id; NULL for ImageNet",
    "width": "Width of the stored picture, px; NULL if unknown",
    "height": "Height of the stored picture, px; NULL if unknown",
    "split": "Part of the split; NULL without one",
}


def write(
    selection: Selection, folder: Path, progress: Progress | None = None
) -> dict[str, dict[str, Any]]:
    """Write the table into a folder; what targets.json is to say of it."""
    options, connection = selection.options, selection.connection
    ids = selection.columns("FROM numbers ORDER BY row")["image_id"].tolist()
    names = list(options.split)
    numbers = parts([name.encode() for name in ids], options.split).tolist() if names else []
    part = pa.array([names[number] for number in numbers] or [None] * len(ids), pa.string())
    connection.register(
        "parts", pa.table({"row": pa.array(range(len(ids)), pa.int32()), "part": part})
    )
    query = selection.sql["labels"] = text("targets", "labels.sql")
    file = f"targets.{options.form}"
    connection.execute("SET threads = 1")  # row groups are the same in one order only
    copy = f"COPY (\n{query}\n) TO {quoted(str(folder / file))} ({_FORMATS[options.form]})"
    ((rows,),) = connection.execute(copy).fetchall()
    if progress:
        progress("targets", 1, 1)
    docs = {column.name: column.doc for column in contracts()["image_targets"].columns} | _DOCS
    columns = [name for name, *_ in connection.execute(f"DESCRIBE {query}").fetchall()]
    about = {name: docs[name] for name in columns}
    return {"targets": {"file": file, "shape": (rows, len(columns)), "columns": about}}
