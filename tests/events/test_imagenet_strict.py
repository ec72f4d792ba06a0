from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from abpipe.events.imagenet_strict import integer, number, parse_file, truth
from abpipe.rows import BadRecord, Rows

Xml = Callable[..., bytes]

HOVERED = "<hoveredRecord>\n      <action>leave</action>\n      <time>1641425052740</time>\n"
TWO = ("47DBDD543E", "0000000002")


def parsed(data: bytes) -> Rows:
    rows = Rows()
    parse_file(data, "m.xml", rows)
    return rows


def extra(rows: Rows, table: str = "annotations") -> Any:
    (text,) = [row["extra"] for row in rows.tables[table]]
    return orjson.loads(text) if text else None


def rejected(rows: Rows) -> list[tuple[str, str, str]]:
    return [(row["level"], row["code"], row["message"]) for row in rows.tables["rejects"]]


def test_the_real_record_becomes_these_rows(xml: Xml) -> None:
    rows = parsed(xml())
    assert rows.tables["images"] == [
        {"class_id": "n01440764", "image_id": "n01440764_105", "width": 500, "height": 375,
         "depth": 3, "segmented": 0, "n_annotations": 1, "member": "m.xml", "extra": None}
    ]  # fmt: skip
    assert rows.tables["objects"] == [
        {"image_id": "n01440764_105", "object_no": 0, "class_id": "n01440764",
         "pose": "Unspecified",
         "truncated": 0, "difficult": 0, "xmin": 43, "ymin": 88, "xmax": 499, "ymax": 295,
         "extra": None, "member": "m.xml"}
    ]  # fmt: skip
    assert rows.tables["annotations"] == [
        {"annotation_id": 0, "image_id": "n01440764_105", "tool": "imagenet",
         "assignment_id": "36DSNE9QZFQKOCZGAHS6R63J6E1OJL", "estimate_ms": 341,
         "hit_id": "3URJ6VVYVYFSZAI1H701XKID4JA4OF", "submitted_s": 1641426644, "hover_count": 1,
         "display_height": 243, "page_x": 857, "page_y": 1976, "display_width": 243, "slot": 17,
         "tool_hit_id": "5cd81d284fee460b887cb67e1612b0a0", "natural_height": 375,
         "natural_width": 500, "page": 9, "selected": True, "select_count": 1,
         "annotator_id": "47DBDD543E", "member": "m.xml", "extra": None}
    ]  # fmt: skip
    events = [(e["kind"], e["seq"], e["t_ms"], e.get("x")) for e in rows.tables["events"]]
    assert events == [
        ("enter", 0, 1641425051975, None),
        ("leave", 1, 1641425052740, None),
        ("move", 0, 1641425051975, 0.0030864197530864196),
        ("move", 1, 1641425052027, 0.44135802469135804),
        ("move", 2, 1641425052050, 0.4845679012345679),
        ("move", 3, 1641425052087, 0.49382716049382713),
        ("move", 4, 1641425052120, 0.5123456790123457),
        ("move", 5, 1641425052151, 0.5277777777777778),
        ("click", 0, 1641425052319, 0.5401234567901234),
    ]
    assert rows.counts == {"members.ok": 1, "records.total": 1}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-7", -7),
        ("007", 7),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
    ],
)
def test_integers_are_plain_digits_within_64_bits(text: str, value: int) -> None:
    assert integer(text) == value


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("9223372036854775808", "int-overflow", "9223372036854775808 does not fit 64 bits"),
        ("-9223372036854775809", "int-overflow", "-9223372036854775809 does not fit 64 bits"),
        ("1" * 5000, "int-overflow", "1" * 40 + " does not fit 64 bits"),
        ("1.0", "bad-number", "'1.0' is no integer"),
        ("1_0", "bad-number", "'1_0' is no integer"),
        ("+1", "bad-number", "'+1' is no integer"),
        ("0x1F", "bad-number", "'0x1F' is no integer"),
        ("٣", "bad-number", "'٣' is no integer"),
        ("NaN", "bad-number", "'NaN' is no integer"),
    ],
)
def test_other_integers_are_refused(text: str, code: str, message: str) -> None:
    with pytest.raises(BadRecord) as error:
        integer(text)
    assert (error.value.code, error.value.message) == (code, message)


@pytest.mark.parametrize(
    "text", ["0", "-0.5", ".5", "5.", "1e-5", "1E+5", "0.1234567890123456789012345"]
)
def test_numbers_are_decimals_read_exactly(text: str) -> None:
    assert number(text) == float(text)


@pytest.mark.parametrize(
    "text",
    [
        "nan",
        "NaN",
        "inf",
        "Infinity",
        "-Infinity",
        "1_0",
        "0x1F",
        "",
        ".",
        "+1",
        "1e",
        "1,5",
        "1e999",
    ],
)
def test_numbers_that_json_would_not_take_are_refused(text: str) -> None:
    with pytest.raises(BadRecord) as error:
        number(text)
    assert error.value.code == "bad-number"


def test_false_is_false() -> None:
    assert (truth("True"), truth("False")) == (True, False)
    with pytest.raises(BadRecord) as error:
        truth("false")
    assert error.value.message == "'false' is neither True nor False"


@pytest.mark.parametrize(
    ("edit", "code", "message"),
    [
        (("<x>0.54012", "<x>NaN"), "bad-number", "<x>: 'NaN34567901234' is no number"),
        ((">0.4732510288065844<", ">Infinity<"), "bad-number", "<y>: 'Infinity' is no number"),
        ((">341<", ">9223372036854775808<"), "int-overflow",
         "<estimateTime>: 9223372036854775808 does not fit 64 bits"),
        ((">True<", ">true<"), "bad-boolean", "<selected>: 'true' is neither True nor False"),
        (("<page_idx>9", "<page_idx>9</page_idx><page_idx>9"), "duplicate-field",
         "<page_idx>: stands there twice"),
        (("<page_idx>9", "<page_idx><b>9</b>"), "bad-structure",
         "<page_idx>: holds elements instead of a value"),
        (("<imageWidth>", "<imagePosition><x>1</x></imagePosition><imageWidth>"), "duplicate-field",
         "<imagePosition>: stands there twice"),
    ],
    ids=["nan", "infinity", "65 bits", "boolean", "twice", "structure", "group twice"],
)  # fmt: skip
def test_one_bad_value_costs_its_record_and_no_other(
    xml: Xml, edit: tuple[str, str], code: str, message: str
) -> None:
    good, bad = xml(workers=TWO[1:]), xml(edit)
    at, end = bad.index(b"<metadata>"), bad.index(b"</annotation>")
    both = good.replace(b"</annotation>", bad[at - 2 : end] + b"</annotation>")
    rows = parsed(both)
    assert [row["annotator_id"] for row in rows.tables["annotations"]] == ["0000000002"]
    assert {event["annotation_id"] for event in rows.tables["events"]} == {0}
    assert rejected(rows) == [("record", code, message)]
    (reject,) = rows.tables["rejects"]
    raw = bad[at : end - 1]
    assert (reject["raw"], reject["raw_bytes"]) == (raw, len(raw))
    assert reject["raw_sha256"] == hashlib.sha256(raw).hexdigest()
    assert both[reject["offset"] :].startswith(raw)
    assert rows.tables["images"][0]["n_annotations"] == 1
    assert rows.counts["records.total"] == 2
    assert rows.counts["records.rejected"] == 1
    assert rows.counts["members.ok"] == 1


def test_a_bad_field_of_the_picture_costs_the_field_only(xml: Xml) -> None:
    rows = parsed(xml(("<width>500<", "<width>wide<"), ("<xmin>43<", "<xmin>1_0<")))
    assert rejected(rows) == [
        ("field", "bad-number", "<width>: 'wide' is no integer"),
        ("field", "bad-number", "<xmin>: '1_0' is no number"),
    ]
    assert [reject["raw"] for reject in rows.tables["rejects"]] == [
        b"<width>wide</width>", b"<xmin>1_0</xmin>",
    ]  # fmt: skip
    assert rows.tables["images"][0]["width"] is None
    assert extra(rows, "images") == {"fields": {"/size/width": "wide"}}
    assert extra(rows, "objects") == {"fields": {"/bndbox/xmin": "1_0"}}
    assert len(rows.tables["annotations"]) == 1
    assert rows.counts["members.rejected"] == 0


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (("<worker_id>", "<new>7</new><new><a>1</a></new><worker_id>"),
         {"fields": {"/new": ["7", {"a": "1"}]}}),
        (("<metadata>", '<metadata id="1">'), {"fields": {"/@id": "1"}}),
        (("<page_idx>", '<page_idx unit="p">'), {"fields": {"/page_idx/@unit": "p"}}),
        (("<page_idx>", "stray<page_idx>"), {"fields": {"/#text": "stray"}}),
        (("<page_idx>9</page_idx>", "<page_idx/>"), {"empty": ["/page_idx"]}),
        (("<page_idx>9</page_idx>", "<page_idx> </page_idx>"), {"empty": ["/page_idx"]}),
        (("imageID>n01440764/", "imageID>n02/"), {"fields": {"/imageID": "n02/n01440764_105"}}),
        (("<imageID>n01440764/n01440764_105</imageID>", ""), {"absent": ["/imageID"]}),
        (("<imageID>n01440764/n01440764_105</imageID>", "<imageID/>"), {"empty": ["/imageID"]}),
        ((">leave<", ">hover<"), {"fields": {"/hoveredRecord/1":
            {"action": "hover", "time": "1641425052740"}}}),
        (("<action>leave</action>", ""),
         {"fields": {"/hoveredRecord/1": {"time": "1641425052740"}}}),
        (("<x>857</x>", "<z>1</z>"), {"fields": {"/imagePosition/z": "1"}}),
        (("<y>0.4732510288065844</y>", "<y/><z>1</z>"),
         {"fields": {"/selectedRecord/0/z": "1"}, "empty": ["/selectedRecord/0/y"]}),
    ],
)  # fmt: skip
def test_what_has_no_column_is_kept_in_extra_by_json_pointer(
    xml: Xml, edit: tuple[str, str], said: object
) -> None:
    rows = parsed(xml(edit))
    assert rejected(rows) == []
    assert extra(rows) == said


def test_fields_of_the_file_that_have_no_column_are_kept_and_counted(xml: Xml) -> None:
    data = xml(
        ("ILSVRC_2012", "VOC"),
        ("<segmented>", "<owner>me</owner><segmented>"),
        ("<pose>Un", "<pose>un"),
    )
    rows = parsed(data)
    assert extra(rows, "images") == {"fields": {"/source/database": "VOC", "/owner": "me"}}
    assert rows.tables["objects"][0]["pose"] == "unspecified"
    assert rows.counts["extra.owner"] == 1


@pytest.mark.parametrize(
    "spelled",
    ["<hoveredRecord/>", "<hoveredRecord></hoveredRecord>", "<hoveredRecord>\n</hoveredRecord>"],
)
def test_an_empty_element_is_an_empty_list_and_an_absent_one_is_not_told(
    xml: Xml, spelled: str
) -> None:
    lists = xml().decode()
    at, end = (
        lists.index("<hoveredRecord>"),
        lists.rindex("</hoveredRecord>") + len("</hoveredRecord>"),
    )
    empty, absent = parsed(xml((lists[at:end], spelled))), parsed(xml((lists[at:end], "")))
    assert extra(empty) == {"empty": ["/hoveredRecord"]}
    assert extra(absent) is None
    assert {e["kind"] for e in empty.tables["events"]} == {"move", "click"}


def test_an_empty_element_beside_others_is_an_item_without_fields(xml: Xml) -> None:
    rows = parsed(xml(("<worker_id>", "<selectedRecord/><worker_id>")))
    clicks = [e for e in rows.tables["events"] if e["kind"] == "click"]
    assert [(e["seq"], e.get("t_ms")) for e in clicks] == [(0, 1641425052319), (1, None)]


def test_an_unknown_hover_keeps_the_places_of_the_others(xml: Xml) -> None:
    rows = parsed(xml((">enter<", ">?<")))
    assert [(e["kind"], e["seq"]) for e in rows.tables["events"]][:2] == [("leave", 1), ("move", 0)]


def test_elements_may_come_in_any_order_and_layout(xml: Xml) -> None:
    published, rows = parsed(xml()), parsed(xml(("\n", "\r\n"), ("  <", "\t<")))
    assert rows.tables == published.tables
    data = xml()
    worker = b"    <worker_id>47DBDD543E</worker_id>\n"
    moved = data.replace(worker, b"").replace(b"<metadata>\n", b"<metadata>\n" + worker)
    assert parsed(moved).tables["events"] == published.tables["events"]


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        (b"", "empty", "the file is empty"),
        (b"<html/>", "not-annotation", "the file holds <html>, not <annotation>"),
        (b"<annotation/>", "missing-id", "the file has no <filename>"),
        (b"<annotation><filename/></annotation>", "missing-id", "the file has no <filename>"),
        (b"\0\1junk", "bad-xml", "not well-formed XML: not well-formed (invalid token), line 1"),
        (b"<!DOCTYPE a><annotation/>", "doctype",
         "a document type (DTD) is refused: it can hide entity bombs"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_annotation_is_a_rejected_member(
    data: bytes, code: str, message: str
) -> None:
    rows = parsed(data)
    assert rejected(rows) == [("member", code, message)]
    assert rows.tables["rejects"][0]["raw"] == data
    assert not any(rows.tables[name] for name in ("images", "annotations", "events", "objects"))
    assert rows.counts == {f"rejects.{code}": 1, "members.rejected": 1}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"</hit_id>", b"</hit>", "bad-xml"),
        (b"<page_idx>9", b"<page_idx>\xff", "bad-xml"),
        (b"</metadata>", b"", "bad-xml"),
        (b">True<", b">&bomb;<", "bad-xml"),
    ],
    ids=["tag", "utf-8", "no end", "entity"],
)
def test_a_broken_record_in_a_broken_file_costs_that_record_only(
    xml: Xml, old: bytes, new: bytes, code: str
) -> None:
    data = xml(workers=TWO).replace(old, new, 1)
    rows = parsed(data)
    assert [row["annotator_id"] for row in rows.tables["annotations"]] == ["0000000002"]
    assert [(level, found) for level, found, _ in rejected(rows)] == [("record", code)]
    (reject,) = rows.tables["rejects"]
    assert data[reject["offset"] :].startswith(b"<metadata>")
    assert data[reject["offset"] :].startswith(reject["raw"])
    assert (rows.counts["records.total"], rows.counts["records.rejected"]) == (2, 1)
    assert rows.tables["images"][0]["n_annotations"] == 1


def test_a_cut_at_any_byte_never_gives_a_wrong_record(xml: Xml) -> None:
    data = xml(workers=TWO)
    whole = parsed(data)
    for cut in range(0, len(data), 3):
        rows = parsed(data[:cut])
        n = len(rows.tables["annotations"])
        assert rows.tables["annotations"] == whole.tables["annotations"][:n]
        assert rows.tables["events"] == [
            e for e in whole.tables["events"] if e["annotation_id"] < n
        ]
        assert n == data[:cut].count(b"</metadata>") if rows.tables["images"] else not n
        assert rows.tables["rejects"] or cut >= len(data) - 1


def test_a_record_that_is_too_deep_or_a_bomb_costs_the_file(xml: Xml) -> None:
    deep = "<page_idx>" + "<a>" * 100 + "</a>" * 100
    assert [code for _, code, _ in rejected(parsed(xml(("<page_idx>", deep))))] == ["too-deep"]
