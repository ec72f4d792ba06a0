"""Defects of page records: lines that are broken, odd, or no pages at all."""

from __future__ import annotations

import json  # noqa: TID251 - as the tools write it
from collections.abc import Callable
from random import Random
from typing import Any

from abpipe.synth.defects import Level, Registry

Object = dict[str, Any]

PAGES: Registry[bytes, bytes] = Registry()

_PAGE = "reject the page, keep the others"
_PICTURE = "reject the picture's record, keep the rest of the page"
_READ = "read the page"


def text(code: str, level: Level, message: str) -> Callable[[Edit], Edit]:
    """Register a defect of a page's text."""

    def register(function: Edit) -> Edit:
        PAGES.add(code, level, message)(lambda _, good: function(good))
        return function

    return register


def edit(code: str, level: Level, message: str) -> Callable[[Change], Change]:
    """Register a change of a page's fields: those of the page, and of its first picture."""

    def register(function: Change) -> Change:
        def plant(_: Random, good: bytes) -> bytes:
            record = json.loads(good)
            page = record.get("page", record)
            shown = page["annotations"][0] if "annotations" in page else page["annotation"]
            function(page, shown)
            return json.dumps(record, ensure_ascii=False).encode()

        PAGES.add(code, level, message)(plant)
        return function

    return register


Edit = Callable[[bytes], bytes]
Change = Callable[[Object, Object], None]


@text("cut", "record", _PAGE)
def _cut(good: bytes) -> bytes:
    return good[: len(good) // 2]


@text("duplicate-key", "record", _PAGE)
def _duplicate_key(good: bytes) -> bytes:
    return good[:-1] + b', "isDone": true, "isDone": false}'


@text("not-a-number", "record", _PAGE)
def _not_a_number(good: bytes) -> bytes:
    return good[:-1] + b', "more": NaN}'


@text("no-utf-8", "record", _PAGE)
def _no_utf8(good: bytes) -> bytes:
    return good[:-1] + b', "more": "\xff"}'


@text("not-a-page", "record", _PAGE)
def _not_a_page(good: bytes) -> bytes:
    return b'{"isDone": true}'


@text("trailing-blanks", "none", _READ)
def _blanks(good: bytes) -> bytes:
    return good + b"  \r\n\r\n"


@text("pretty", "none", _READ)
def _pretty(good: bytes) -> bytes:
    return json.dumps(json.loads(good), indent=2).encode()


@edit("no-picture", "record", _PICTURE)
def _no_picture(page: Object, shown: Object) -> None:
    shown.pop("imageID", None)
    shown.pop("imageURL", None)


@edit("size-of-text", "record", _PICTURE)
def _size_of_text(page: Object, shown: Object) -> None:
    shown["originalImageWidth"] = "640"


@edit("moves-no-list", "record", _PICTURE)
def _moves_no_list(page: Object, shown: Object) -> None:
    shown["mouseTracking"] = {"x": 0.5}


@edit("page-of-text", "record", _PAGE)
def _page_of_text(page: Object, shown: Object) -> None:
    page["pageno"] = "one"


@edit("local-time", "record", _PAGE)
def _local_time(page: Object, shown: Object) -> None:
    page["startedAt"] = "2021-11-30T12:00:00"


@edit("iso-time", "none", "read the time, and keep how it was written")
def _iso_time(page: Object, shown: Object) -> None:
    page["startedAt"] = "2021-11-30T12:00:00.250Z"


@edit("size-null", "none", "read the value as missing")
def _size_null(page: Object, shown: Object) -> None:
    shown["originalImageWidth"] = None


@edit("no-moves", "none", "read the list as missing")
def _no_moves(page: Object, shown: Object) -> None:
    del shown["mouseTracking"]


@edit("unknown-field", "none", "keep the field in extra")
def _unknown_field(page: Object, shown: Object) -> None:
    shown["pressure"], page["device"] = [0.5, None], {"touch": False}


@edit("unknown-annotation", "none", "read the page, with nobody")
def _unknown_annotation(page: Object, shown: Object) -> None:
    for link in {"imageNetAnnotationID", "cocoAnnotationID"} & page.keys():
        page[link] = "resumed"


@edit("pageno-none", "none", "read the page as missing")
def _pageno_none(page: Object, shown: Object) -> None:
    page.pop("pageno")
