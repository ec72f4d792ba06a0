"""Pictures: the files of a folder that belong to the pictures of an export."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pyarrow as pa

from abpipe.errors import NoPictures
from abpipe.image_ids import files_in, image_ids
from abpipe.targets.selection import Selection

_MANY = 1 << 16


def find(selection: Selection, folder: Path) -> int:
    """Look for the pictures' files in a folder; how many pictures have none.

    Of several files of a picture, the first by name counts. Raises NoPictures if none has one.
    """
    connection, files = selection.connection, files_in(folder)
    connection.execute("CREATE TEMP TABLE files (row INTEGER, path VARCHAR)")
    while found := list(islice(files, _MANY)):
        names = pa.table({"image_id": image_ids(found), "path": pa.array(found)})
        connection.register("names", names)
        connection.execute(
            "INSERT INTO files SELECT row, path FROM names JOIN numbers USING (image_id)"
        )
        connection.unregister("names")
    ((rows,),) = connection.execute("SELECT count(DISTINCT row) FROM files").fetchall()
    if not rows:
        raise NoPictures(folder, selection.rows)
    return selection.rows - int(rows)


def paths(selection: Selection, begin: int, end: int) -> dict[int, Path]:
    """The files of the pictures in a range of rows, as far as there are some."""
    folder = selection.options.images
    if folder is None:
        return {}
    query = "SELECT row, min(path) FROM files WHERE row >= ? AND row < ? GROUP BY row"
    found = selection.connection.execute(query, [begin, end]).fetchall()
    return {row: folder / path for row, path in found}
