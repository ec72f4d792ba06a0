"""Edits of ImageNet-AB's XML as text, as published: one element a line."""

from __future__ import annotations

import re


def span(text: str, path: str) -> tuple[int, int]:
    """Where the content of an element stands; `a/b` is the first b within the first a."""
    place = 0
    for tag in path.split("/"):
        place = text.index(f"<{tag}>", place) + len(tag) + 2
    return place, text.index("</", place)


def put(text: str, path: str, value: str) -> str:
    """The text with another content of an element."""
    begin, end = span(text, path)
    return text[:begin] + value + text[end:]


def element(text: str, path: str) -> tuple[int, int]:
    """Where the lines of an element begin and end."""
    tag = path.rsplit("/", 1)[-1]
    inside = span(text, path)[0]
    return text.rindex("\n", 0, inside) + 1, text.index(f"</{tag}>", inside) + len(tag) + 4


def cut(text: str, path: str) -> str:
    """The text without an element."""
    begin, end = element(text, path)
    return text[:begin] + text[end:]


def before(text: str, path: str, lines: str) -> str:
    """The text with lines before an element."""
    begin, _ = element(text, path)
    return text[:begin] + lines + text[begin:]


def rich(text: str) -> str:
    """The text with its richest record first, so that what is to be spoilt exists there."""
    records = re.findall(r"  <metadata>\n.*?  </metadata>\n", text, re.S)
    best = max(records, key=lambda record: _richness(record))
    others = [record for record in records if record is not best]
    return text[: text.index("  <metadata>")] + "".join([best, *others]) + "</annotation>\n"


def _richness(record: str) -> tuple[bool, int]:
    return "<selectedRecord>" in record, record.count("<mouseTracking>")
