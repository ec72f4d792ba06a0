"""What sources hold, whatever they are packed in: the one list of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Content:
    """One kind of content: who reads it, and what becomes of it.

    `reader` is a module whose `blocks(source, take, on_read)` cuts a source into blocks, `parser`
    one whose `parse(block)` makes rows of a block. They are named, not imported, so that a process
    imports only what it needs. A source without a row of the table `proof` held nothing readable.
    """

    name: str
    tool: str
    dataset: str  # unless the user names another
    reader: str
    parser: str
    tables: tuple[str, ...]
    proof: str = "images"


#: What the records of annotators fill.
TABLES = ("images", "annotations", "events", "objects", "rejects")

CONTENTS = {
    content.name: content
    for content in (
        Content(
            "imagenet-ab",
            tool="imagenet",
            dataset="imagenet-ab",
            reader="abpipe.raw.xml_files",
            parser="abpipe.events.imagenet",
            tables=TABLES,
        ),
        Content(
            "coco-ab",
            tool="coco",
            dataset="coco-ab",
            reader="abpipe.raw.json_records",
            parser="abpipe.events.coco",
            tables=TABLES,
        ),
    )
}
