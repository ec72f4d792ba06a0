"""Where the records of JSON texts start, told without a look at all that lies before them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

BLANK = b" \t\r\n"
LOOK_BACK = 64  # bytes, mostly blank, that may stand between a key and its object or list
_WINDOW = 1 << 16

#: Names of files that may hold JSON.
JSON_FILE = re.compile(r".*\.(?:json|jsonl|ndjson)(?:\.gz|\.zst)?", re.IGNORECASE | re.DOTALL)

Bytes: TypeAlias = bytes | bytearray | memoryview


@dataclass(frozen=True)
class Shape:
    """How to tell where the records of a text start, and what stands around them.

    `start` matches the beginning of a record. `lists` matches what stands before the first record
    of a list that is some key's value; without it, no such object is a record. `around` are the
    brackets that close behind the last record, where they are no array's.
    """

    start: re.Pattern[bytes]
    lists: re.Pattern[bytes] | None = None
    around: tuple[bytes, ...] = ()

    def starts(self, data: Bytes, begin: int = 0) -> Iterator[int]:
        """Where records start in some bytes, from `begin` on."""
        for match in self.start.finditer(data, begin):
            at = match.start()
            before = bytes(data[max(0, at - LOOK_BACK) : at]).rstrip(BLANK)
            if not before.removesuffix(b"[").rstrip(BLANK).endswith(b":") or (
                self.lists and self.lists.search(before)
            ):
                yield at

    def last_start(self, data: Bytes) -> int:
        """Where the last record in some bytes starts, 0 if it is the first or there is none."""
        window = _WINDOW
        while True:
            begin = max(0, len(data) - window)
            found = max(self.starts(data, begin), default=0)
            if found or not begin:
                return found
            window *= 4


def _first_key(*keys: str) -> re.Pattern[bytes]:
    """The beginning of an object whose first key is one of some regular expressions."""
    return re.compile(rb'\{[ \t\r\n]*"(?:' + "|".join(keys).encode() + rb')"')


COCO_AB = Shape(
    _first_key(
        *("image_id", "hit_id", "page_id", "worker_id", "originalImage(?:Height|Width)"),
        *("image(?:Height|Width)", "timeSpent", "(?:action|category)Histories", "mouseTracking"),
    )
)

#: Page records of both tools, and the annotation records that they name.
PAGES = Shape(
    _first_key(
        *("page", "_?id", "pageno", "startedAt", "endedAt", "isDone", "annotations?", "version"),
        *("(?:hit|worker|annotator|assignment)ID", "(?:imageNet|coco)(?:Annotation|Hit)ID"),
        *("hitDatasetName", "(?:created|updated)At", "__typename"),
    )
)

#: COCO's own annotation files: lists of pictures and of objects in one object.
INSTANCES = Shape(
    _first_key(
        *("segmentation", "area", "iscrowd", "image_id", "bbox", "category_id", "id"),
        *("license", "file_name", "(?:coco|flickr)_url", "height", "width", "date_captured"),
        *("supercategory", "name", "url"),
    ),
    lists=re.compile(rb'"(?:images|annotations|categories|licenses)"[ \t\r\n]*:[ \t\r\n]*\[$'),
    around=(b"}", b"]"),
)
