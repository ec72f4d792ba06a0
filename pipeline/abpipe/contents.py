"""What sources hold, whatever they are packed in: the one list of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: What a dataset may be called: it stands in paths and in SQL.
DATASET_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


@dataclass(frozen=True)
class Content:
    """One kind of content: who reads it, and what becomes of it.

    `tool` and `dataset` are None for what belongs to any dataset; a user may name another one.
    `reader` is a module whose `blocks(source, take, on_read)` cuts a source into blocks, `parser`
    one whose `parse(block)` makes rows of a block. They are named, not imported, so that a process
    imports only what it needs. The ledger counts rows of the tables `records`; a source without a
    row of the table `proof` held nothing readable. Whether a folder is the same again, the first
    `head` bytes of its files tell (None: all). Ids in what is `private` are real people's: they
    become pseudonyms.
    """

    name: str
    tool: str | None
    dataset: str | None
    reader: str
    parser: str
    tables: tuple[str, ...]
    records: tuple[str, ...] = ("annotations",)
    proof: str = "images"
    head: int | None = None
    private: bool = False


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
        Content(
            "coco-instances",
            tool="coco",
            dataset="coco-ab",
            reader="abpipe.raw.instances",
            parser="abpipe.events.instances",
            tables=("images", "objects", "rejects"),
            records=("images", "objects"),
        ),
        Content(
            "imagenet-pages",
            tool="imagenet",
            dataset="imagenet-pages",
            reader="abpipe.raw.pages",
            parser="abpipe.events.pages",
            tables=TABLES,
            private=True,
        ),
        Content(
            "coco-pages",
            tool="coco",
            dataset="coco-pages",
            reader="abpipe.raw.pages",
            parser="abpipe.events.pages",
            tables=TABLES,
            private=True,
        ),
        Content(
            "pictures",
            tool=None,
            dataset=None,
            reader="abpipe.raw.pictures",
            parser="abpipe.events.pictures",
            tables=("pictures", "rejects"),
            records=("pictures",),
            proof="pictures",
            head=4096,  # sizes and orientation stand there; whole pictures would take hours
        ),
    )
}

#: Annotation records without a page: no source by itself, but one that pages can be read with.
ANNOTATIONS = Content(
    "annotation records",
    tool=None,
    dataset=None,
    reader="abpipe.raw.pages",
    parser="abpipe.events.pages",
    tables=("rejects",),
    private=True,
)
