"""Pictures to rows: what their headers say."""

from __future__ import annotations

from io import BufferedReader

from abpipe.image_ids import image_ids
from abpipe.raw.block import FilesBlock
from abpipe.raw.headers import Header, NoHeaderError, header, sizes_only
from abpipe.remote import Url, opened
from abpipe.rows import Batch, Lost, Rows

HEAD = 1 << 16  # bytes that are enough for nearly all headers
NO_HEADER = "neither JPEG, PNG, GIF, WebP, BMP nor TIFF, or cut off in its header"


def parse(block: FilesBlock) -> Batch:
    """The rows of one block; a file that cannot be read becomes a reject."""
    rows = Rows({"pictures": [], "rejects": []})
    with sizes_only():
        for member, path in zip(block.members, block.paths, strict=True):
            if said := _header(member, path, rows):
                rows.add(
                    "pictures",
                    stored_width=said.width,
                    stored_height=said.height,
                    exif_orientation=_orientation(said.orientation, member, rows),
                    path=member,
                )
    found = rows.tables["pictures"]
    for row, image_id in zip(found, image_ids([row["path"] for row in found]), strict=True):
        row["image_id"] = image_id.as_py()
    rows.counts.update({"members.ok": len(found), "records.total": len(found)})
    return rows.batch()


def _header(member: str, path: str | Url, rows: Rows) -> Header | None:
    try:
        with BufferedReader(opened(path, HEAD)) as file:
            try:
                return header(file)
            except NoHeaderError:
                file.seek(0)
                lost = Lost()
                while piece := file.read(1 << 20):
                    lost.add(piece)
                code, why = ("no-header", NO_HEADER) if lost.length else ("empty", "0 bytes")
                rows.reject("member", code, why, member, 0, lost)
    except OSError as err:
        why = f"the file cannot be read: {err.strerror}"
        rows.reject("member", "unreadable", why, member, 0, b"")
    return None


def _orientation(value: object, member: str, rows: Rows) -> int | None:
    """An orientation that means something; any other is kept as a reject."""
    if value is None or (isinstance(value, int) and 1 <= value <= 8):
        return value
    message = f"EXIF orientation {str(value)[:40]!a}; expected 1 to 8"
    rows.reject("field", "bad-orientation", message, member, 0, b"")
    return None
