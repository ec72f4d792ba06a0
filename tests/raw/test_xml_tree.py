from __future__ import annotations

import pytest

from abpipe.raw.xml_tree import MAX_DEPTH, tree
from abpipe.rows import BadRecord


def refusal(data: bytes) -> tuple[str, str, int]:
    with pytest.raises(BadRecord) as error:
        tree(data)
    return error.value.code, error.value.message, error.value.offset


def test_elements_remember_where_they_stood() -> None:
    data = b'<a>x<b/>y<c z="1">t</c\n>\n</a>'
    root = tree(data, origin=100)
    spans = {e.tag: data[e.start - 100 : e.end - 100] for e in [root, *root.children]}
    assert spans == {"a": data, "b": b"<b/>", "c": b'<c z="1">t</c\n>'}


def test_an_element_as_json_keeps_attributes_text_and_repeated_children() -> None:
    root = tree(b'<a k="v"> t <b>1</b><b>2</b><b/><c> 3 </c></a>')
    assert root.value() == {"@k": "v", "#text": "t", "b": ["1", "2", ""], "c": " 3 "}


def test_entities_comments_and_cdata_become_text() -> None:
    assert tree(b"<a>&lt;<!-- no -->&#233;<![CDATA[<b>]]></a>").text == "<é<b>"


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "windows-1252", "utf-16"])
def test_declared_encodings_are_read(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><a>é</a>'
    assert tree(text.encode(encoding)).text == "é"


@pytest.mark.parametrize(
    "encoding",
    ["foo", "utf-32", "shift_jis", "utf-7", "rot13", "base64", "idna", "punycode", "undefined"],
)
def test_an_encoding_that_cannot_be_read_is_a_bad_file_not_a_crash(encoding: str) -> None:
    code, message, _ = refusal(f'<?xml version="1.0" encoding="{encoding}"?><a/>'.encode())
    assert code == "bad-xml"
    assert message.startswith("not well-formed XML: its encoding: ")


def test_an_entity_bomb_is_refused_before_it_can_grow() -> None:
    bomb = b'<!DOCTYPE l [<!ENTITY a "x">' + b"".join(
        b'<!ENTITY %c "%s">' % (c, b"&%c;" % (c - 1) * 10) for c in range(98, 123)
    )
    assert refusal(bomb + b"]><l>&z;</l>") == (
        "doctype",
        "a document type (DTD) is refused: it can hide entity bombs",
        0,
    )


def test_external_entities_are_refused_with_their_document_type() -> None:
    data = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'
    assert refusal(data)[0] == "doctype"


def test_nesting_has_a_limit() -> None:
    assert tree(b"<a>" * MAX_DEPTH + b"</a>" * MAX_DEPTH).tag == "a"
    for n in (MAX_DEPTH + 1, 1_000_000):
        assert refusal(b"<a>" * n) == ("too-deep", "more than 64 elements inside each other", 0)


@pytest.mark.parametrize(
    ("data", "code", "message", "offset"),
    [
        (b"", "empty", "the file is empty", 0),
        (b" \n", "bad-xml", "not well-formed XML: no element found, line 2", 2),
        (b"<a>\n<b></a>", "bad-xml", "not well-formed XML: mismatched tag, line 2", 9),
        (
            b"<a>\xff</a>",
            "bad-xml",
            "not well-formed XML: not well-formed (invalid token), line 1",
            3,
        ),
        (b"<a>&x;</a>", "bad-xml", "not well-formed XML: undefined entity, line 1", 3),
        (b"<a b='1' b='2'/>", "bad-xml", "not well-formed XML: duplicate attribute, line 1", 9),
        (b"<a/><b/>", "bad-xml", "not well-formed XML: junk after document element, line 1", 4),
        (
            b"<a>\0</a>",
            "bad-xml",
            "not well-formed XML: not well-formed (invalid token), line 1",
            3,
        ),
        (
            b"<a>&#xD800;</a>",
            "bad-xml",
            "not well-formed XML: reference to invalid character number, line 1",
            3,
        ),
    ],
    ids=[
        "empty",
        "blank",
        "mismatch",
        "utf-8",
        "entity",
        "attribute",
        "two roots",
        "nul",
        "surrogate",
    ],
)
def test_what_is_not_well_formed_says_why_and_where(
    data: bytes, code: str, message: str, offset: int
) -> None:
    assert refusal(data) == (code, message, offset)


def test_long_texts_take_time_in_proportion_to_their_length() -> None:
    assert len(tree(b"<a>" + b"x\n" * (2 << 20) + b"</a>").text) == 4 << 20


def test_an_empty_element_ends_with_its_tag() -> None:
    data = b'<a><b x=">"/><c></c><d>/></d></a>'
    spans = [data[e.start : e.end] for e in tree(data).children]
    assert spans == [b'<b x=">"/>', b"<c></c>", b"<d>/></d>"]
    assert tree(b"<a/>").end == 4
