"""XML as a small tree that remembers where each element stood. No DTD, no entities, no depth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from abpipe.rows import BadRecord

MAX_DEPTH = 64


@dataclass
class Element:
    """One element; `start` and `end` are its first byte and the byte after its last."""

    tag: str
    attributes: dict[str, str]
    start: int
    end: int = 0
    text: str = ""
    children: list[Element] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing stands in it."""
        return not (self.children or self.attributes or self.text.strip())

    def value(self) -> Any:
        """The element as JSON: a string if it is a plain leaf, else its parts by name."""
        if not self.children and not self.attributes:
            return self.text
        parts: dict[str, Any] = {f"@{name}": value for name, value in self.attributes.items()}
        if self.text.strip():
            parts["#text"] = self.text.strip()
        for child in self.children:
            append(parts, child.tag, child.value())
        return parts


def append(parts: dict[str, Any], name: str, value: Any) -> None:
    """Put a value under a name; a name met again collects a list."""
    if name not in parts:
        parts[name] = value
    elif isinstance(parts[name], list):
        parts[name].append(value)
    else:
        parts[name] = [parts[name], value]


def tree(data: bytes, origin: int = 0) -> Element:
    """The root element of an XML text; `origin` is where the text itself begins.

    Raises BadRecord if it is no well-formed XML, has a document type, or is too deep.
    """
    if not data:
        raise BadRecord("empty", "the file is empty")
    parser = expat.ParserCreate()
    parser.buffer_text = True
    top = Element("", {}, 0)
    path = [top]

    def start(tag: str, attributes: dict[str, str]) -> None:
        if len(path) > MAX_DEPTH:
            raise BadRecord("too-deep", f"more than {MAX_DEPTH} elements inside each other")
        element = Element(tag, attributes, origin + parser.CurrentByteIndex)
        path[-1].children.append(element)
        path.append(element)

    def end(_tag: str) -> None:
        element = path.pop()
        place = parser.CurrentByteIndex  # of </tag>, or after <tag/>
        is_short = not (element.children or element.text) and data[place - 2 : place] == b"/>"
        element.end = origin + (place if is_short else data.find(b">", place) + 1)

    def text(characters: str) -> None:
        path[-1].text += characters

    def doctype(*_: object) -> None:
        raise BadRecord("doctype", "a document type (DTD) is refused: it can hide entity bombs")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(data, True)
    except expat.ExpatError as err:
        raise BadRecord(
            "bad-xml",
            f"not well-formed XML: {expat.ErrorString(err.code)}, line {err.lineno}",
            origin + parser.ErrorByteIndex,
        ) from None
    except (LookupError, ValueError) as err:  # from Python's codecs, for what Expat does not know
        raise BadRecord("bad-xml", f"not well-formed XML: its encoding: {err}") from None
    return top.children[0]
