from __future__ import annotations

import hashlib
import json  # noqa: TID251 - the archive was written by json.dump
import os
from pathlib import Path
from typing import Any, TypeAlias

import jsonschema
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abpipe.contents import TABLES
from abpipe.events import coco
from abpipe.events.coco_strict import FIELDS
from abpipe.raw.block import JsonBlock
from abpipe.raw.buffer import PADDING, Buffer
from abpipe.rows import Batch, schema

from .rebuild_coco import rebuild

Record: TypeAlias = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
REAL = Path(os.environ.get("ABPIPE_REAL") or ROOT.parent / "shared" / "real")
EXAMPLES = int(os.environ.get("ABPIPE_FUZZ_EXAMPLES", "150"))
fuzz = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def block(data: bytes, offset: int = 0) -> JsonBlock:
    """The bytes as they lie in a buffer, with something else around them."""
    return JsonBlock(Buffer(bytearray(b"]" + data + b"{" * PADDING)), 1, 1 + len(data), offset)


def exact(table: pa.Table) -> list[tuple[Any, ...]]:
    """The rows, with doubles as text: -0.0 is not 0.0."""
    columns = [
        [None if v is None else repr(v) for v in column.to_pylist()]
        if column.type == pa.float64()
        else column.to_pylist()
        for column in table.columns
    ]
    return list(zip(*columns, strict=True))


def read(data: bytes) -> Batch:
    """The rows of some records, from both paths: they must not differ."""
    fast, strict = coco.parse(block(data)), coco.parse(block(data), fast=False)
    assert set(fast.tables) == set(strict.tables) == set(TABLES)
    for name, table in fast.tables.items():
        assert table.schema == strict.tables[name].schema == schema(name)
        assert exact(table) == exact(strict.tables[name]), name
    assert fast.counts == strict.counts
    rejects = fast.tables["rejects"].num_rows
    assert fast.counts["records.total"] == fast.n_annotations + rejects
    assert fast.counts["records.rejected"] == rejects
    return fast


def dump(*records: Record) -> bytes:
    return ", ".join(json.dumps(record) for record in records).encode()


def rejects(batch: Batch) -> list[tuple[Any, ...]]:
    return [(row["offset"], row["code"], row["raw"]) for row in batch.tables["rejects"].to_pylist()]


def ids(batch: Batch) -> list[str]:
    return list(batch.tables["annotations"]["image_id"].to_pylist())


def usual(image_id: int = 9, moves: int = 3, **changed: Any) -> Record:
    """A record as nearly all are."""
    return {
        "image_id": image_id,
        "hit_id": "94c49a4ea144419c87bc7c201600aff9",
        "page_id": 7,
        "worker_id": "00AA3B5E80",
        "originalImageHeight": 360,
        "originalImageWidth": 480,
        "imageHeight": 450,
        "imageWidth": 450,
        "timeSpent": 168291,
        "actionHistories": [
            {
                "actionType": "add",
                "iconType": "cake",
                "pointFrom": None,
                "pointTo": {"x": 0.7883333333333333, "y": 1},
                "timeAt": 155755,
            },
            {
                "actionType": "move",
                "iconType": "cake",
                "pointFrom": {"x": 0.7883333333333333, "y": 1},
                "pointTo": {"x": 0.7016666666666667, "y": -0.0044},
                "timeAt": 158789,
            },
            {
                "actionType": "remove",
                "iconType": "cake",
                "pointFrom": {"x": 0.7016666666666667, "y": -0.0044},
                "timeAt": 158789,
            },
        ],
        "categoryHistories": [
            {
                "categoryIndex": 1,
                "categoryName": "Animal",
                "timeAt": 144081,
                "usingKeyboard": False,
            }
        ],
        "mouseTracking": [{"x": i / 7, "y": 1, "timeAt": 15725 + i} for i in range(moves)],
    } | changed


USUAL = dump(usual())


# What is read


def test_each_field_has_its_column() -> None:
    batch = read(b" ,\n" + USUAL)
    assert batch.tables["images"].to_pylist() == [
        dict.fromkeys(schema("images").names) | {"image_id": "9", "n_annotations": 1}
    ]
    assert batch.tables["annotations"].to_pylist() == [
        dict.fromkeys(schema("annotations").names)
        | {
            "annotation_id": 0,
            "image_id": "9",
            "tool": "coco",
            "annotator_id": "00AA3B5E80",
            "tool_hit_id": "94c49a4ea144419c87bc7c201600aff9",
            "page": 7,
            "display_width": 450.0,
            "display_height": 450.0,
            "natural_width": 480,
            "natural_height": 360,
            "time_spent_ms": 168291,
            "extra": '{"absent":["/actionHistories/2/pointTo"]}',
        }
    ]
    none = (None, None, None, None)
    assert [tuple(event.values()) for event in batch.tables["events"].to_pylist()] == [
        (0, "9", "add", 0, 155755, 0.7883333333333333, 1.0, None, None, "cake", None, None),
        (
            *(0, "9", "drag", 1, 158789, 0.7016666666666667, -0.0044),
            *(0.7883333333333333, 1.0, "cake", None, None),
        ),
        (0, "9", "remove", 2, 158789, None, None, 0.7016666666666667, -0.0044, "cake", None, None),
        (0, "9", "browse", 0, 144081, *none, "Animal", 1, False),
        (0, "9", "move", 0, 15725, 0.0, 1.0, None, None, None, None, None),
        (0, "9", "move", 1, 15726, 1 / 7, 1.0, None, None, None, None, None),
        (0, "9", "move", 2, 15727, 2 / 7, 1.0, None, None, None, None, None),
    ]
    assert batch.counts == {"records.total": 1}


def test_the_usual_record_takes_the_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abpipe.events.coco_strict.parse", lambda *_: [])
    records = [usual(1), usual(2, moves=0), usual(3, moves=1)]
    for style in ({}, {"indent": 1}, {"indent": 4}, {"separators": (",", ":")}):
        text = json.dumps(records, **style)[1:-1].encode()
        batch = coco.parse(block(text))
        assert rebuild(batch.tables) == records


@pytest.mark.parametrize("order", ["x y timeAt", "timeAt y x", "y timeAt x"])
def test_moves_may_have_any_order_of_keys(order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abpipe.events.coco_strict.parse", lambda *_: [])
    moves = [{"x": 0.25, "y": 1, "timeAt": 7}, {"x": -0.5, "y": 0, "timeAt": -8}]
    other = [{key: move[key] for key in order.split()} for move in moves]
    records = [usual(1), usual(2, mouseTracking=other), usual(3)]
    assert rebuild(coco.parse(block(dump(*records))).tables) == records


@pytest.mark.usefixtures("real_records")
def test_real_rows_are_read_whole() -> None:
    file = REAL / "coco_ab_viewer_rows.json"
    rows = json.loads(file.read_bytes())
    batch = read(file.read_bytes().strip()[1:-1])
    assert rebuild(batch.tables) == rows
    assert batch.tables["events"].num_rows == sum(
        len(row.get(name, [])) for row in rows for name in FIELDS[-3:]
    )
    found = batch.tables["annotations"].to_pylist()
    for row, annotation in zip(rows, found, strict=True):
        assert annotation["image_id"] == str(row["image_id"])
        assert annotation["tool_hit_id"] == row["hit_id"]
        assert annotation["annotator_id"] == row["worker_id"]
        assert annotation["natural_height"] == row["originalImageHeight"]
        assert annotation["natural_width"] == row.get("originalImageWidth")
        assert annotation["display_height"] == annotation["display_width"] == row["imageHeight"]
        assert annotation["time_spent_ms"] == row.get("timeSpent")
    assert found[0]["extra"] == '{"absent":["/mouseTracking"]}'
    assert found[7]["extra"] is None
    (cake, moved) = (
        batch.tables["events"].filter(pa.compute.field("annotation_id") == 7).to_pylist()[:2]
    )
    assert (cake["kind"], cake["label"], cake["x"]) == ("add", "cake", 0.7883333333333333)
    assert (moved["kind"], moved["x_from"], moved["x"]) == (
        *("drag", 0.7883333333333333),
        0.7016666666666667,
    )


@pytest.mark.usefixtures("real_records")
def test_real_rows_fit_the_schema() -> None:
    declared = json.loads((ROOT / "schemas" / "raw" / "coco_ab.schema.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(declared)
    assert set(declared["properties"]) == set(FIELDS)
    rows = json.loads((REAL / "coco_ab_viewer_rows.json").read_bytes())
    for row in [*rows, usual()]:
        jsonschema.validate(row, declared)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(usual(image_id="9"), declared)  # type: ignore[arg-type]


def test_pictures_are_counted_in_order_of_appearance() -> None:
    batch = read(dump(usual(30), usual(4), usual(30, page_id=None), usual(4), usual(30)))
    assert batch.tables["images"].select(["image_id", "n_annotations"]).to_pylist() == [
        {"image_id": "30", "n_annotations": 3},
        {"image_id": "4", "n_annotations": 2},
    ]
    assert batch.tables["annotations"]["annotation_id"].to_pylist() == [0, 1, 2, 3, 4]


def test_a_picture_that_had_not_loaded_keeps_its_events() -> None:
    nowhere = [{"x": None, "y": None, "timeAt": 5}]
    record = usual(originalImageWidth=0, originalImageHeight=0, mouseTracking=nowhere)
    batch = read(dump(record))
    assert batch.tables["events"].to_pylist()[-1]["x"] is None
    assert rebuild(batch.tables) == [record]


def test_unknown_fields_are_kept_and_counted() -> None:
    record = usual() | {"a/b~c": {"deep": [1, 2.5, None]}, "": []}
    record["mouseTracking"][1]["pressure"] = 0.5
    record["actionHistories"][1]["pointTo"]["z"] = 18446744073709551615
    record["actionHistories"].append({"actionType": "rotate", "by": 90})
    batch = read(dump(record))
    assert batch.counts == {
        "records.total": 1,
        "extra.a/b~c": 1,
        "extra.": 1,
        "extra.mouseTracking.pressure": 1,
        "extra.actionHistories.pointTo.z": 1,
        "extra.actionHistories": 1,
    }
    assert json.loads(batch.tables["annotations"]["extra"][0].as_py()) == {
        "absent": ["/actionHistories/2/pointTo"],
        "fields": {
            "/": [],
            "/a~1b~0c": {"deep": [1, 2.5, None]},
            "/actionHistories/1/pointTo/z": 18446744073709551615,
            "/actionHistories/3": {"actionType": "rotate", "by": 90},
            "/mouseTracking/1/pressure": 0.5,
        },
    }
    assert rebuild(batch.tables) == [record]


# What is not


def edited(old: str, new: str, count: int = 1) -> bytes:
    assert old.encode() in USUAL
    return USUAL.replace(old.encode(), new.encode(), count)


TIME = "time is no 64-bit integer"
BAD = {
    "image_id null": (edited('"image_id": 9', '"image_id": null'), "missing-id"),
    "image_id absent": (edited('"image_id": 9, ', ""), "missing-id"),
    "image_id text": (edited('"image_id": 9', '"image_id": "9"'), "bad-type"),
    "image_id float": (edited('"image_id": 9', '"image_id": 9.0'), "bad-type"),
    "image_id too large": (edited('"image_id": 9', f'"image_id": {1 << 63}'), "int-overflow"),
    "time fraction": (edited("15725", "12.5"), "bad-type"),
    "time whole float": (edited("15725", "15725.0"), "bad-type"),
    "time exponent": (edited("15725", "1e3"), "bad-type"),
    "time too large": (edited("15725", f"{1 << 63}"), "int-overflow"),
    "time endless": (edited("15725", "9" * 5000), "int-overflow"),
    "time text": (edited("15725", '"15725"'), "bad-type"),
    "time bool": (edited("15725", "true"), "bad-type"),
    "time of an action": (edited("155755", "155755.0"), "bad-type"),
    "time of a step": (edited("144081", "true"), "bad-type"),
    "x text": (edited('"x": 0.0', '"x": "0"'), "bad-type"),
    "x bool": (edited('"x": 0.7883333333333333', '"x": true'), "bad-type"),
    "x NaN": (edited('"x": 0.0', '"x": NaN'), "not-a-number"),
    "x infinite": (edited('"x": 0.7883333333333333', '"x": -Infinity'), "not-a-number"),
    "x overflow": (edited('"x": 0.0', '"x": 1e400'), "not-a-number"),
    "x inexact": (edited('"x": 0.0', f'"x": {(1 << 53) + 1}'), "inexact"),
    "x inexact in a point": (edited('"y": 1}', f'"y": {(1 << 53) + 1}}}'), "inexact"),
    "x beyond 64 bits": (edited('"y": 1}', f'"y": {1 << 64}}}'), "int-overflow"),
    "x leading zero": (edited('"x": 0.0', '"x": 00.0'), "bad-json"),
    "x without a zero": (edited('"x": 0.0', '"x": .5'), "bad-json"),
    "x without decimals": (edited('"x": 0.0', '"x": 0.'), "bad-json"),
    "x plus": (edited('"x": 0.0', '"x": +0.0'), "bad-json"),
    "x hex": (edited('"x": 0.0', '"x": 0x1F'), "bad-json"),
    "x missing": (edited('"x": 0.0', '"x": '), "bad-json"),
    "x twice": (edited('"x": 0.0', '"x": 0.5, "x": 0.0'), "duplicate-key"),
    "x in two pieces": (edited('"x": 0.0', '"x": 0. 0'), "bad-json"),
    "x before its colon": (edited('"x": 0.0', '"x"0.0: '), "bad-json"),
    "time behind its brace": (edited('"timeAt": 15725}', '"timeAt": }15725'), "bad-json"),
    "key twice": (edited('"page_id": 7', '"page_id": 7, "page_id": 7'), "duplicate-key"),
    "key twice in a step": (edited('"timeAt": 144', '"timeAt": 1, "timeAt": 144'), "duplicate-key"),
    "key twice unseen": (edited('"page_id": 7', '"foo": {"a": 1, "a": 1}'), "duplicate-key"),
    "list of numbers": (edited('"mouseTracking": [', '"mouseTracking": [5, '), "bad-type"),
    "list is an object": (edited('"mouseTracking": [', '"mouseTracking": {}, "f": ['), "bad-type"),
    "list is a text": (edited('"mouseTracking": [', '"mouseTracking": "", "f": ['), "bad-type"),
    "point is a list": (
        edited('"pointTo": {"x": 0.7883333333333333, "y": 1}', '"pointTo": []'),
        "bad-type",
    ),
    "worker is a number": (edited('"00AA3B5E80"', "7"), "bad-type"),
    "keyboard is a number": (edited("false", "0"), "bad-type"),
    "icon is a list": (edited('"cake"', '["cake"]'), "bad-type"),
    "action is a number": (edited('"actionType": "add"', '"actionType": 5'), "bad-type"),
    "half a surrogate pair": (edited("00AA", "\\ud800"), "bad-utf8"),
    "half a pair in an unknown": (edited('"page_id": 7', '"foo": ["\\udc80"]'), "bad-utf8"),
    "half a pair in a key": (edited('"page_id": 7', '"\\udc80": 1'), "bad-utf8"),
    "unknown beyond 64 bits": (edited('"page_id": 7', f'"foo": [{1 << 64}]'), "int-overflow"),
    "unknown too deep": (edited('"page_id": 7', f'"foo": {"[" * 101 + "]" * 101}'), "too-deep"),
    "far too deep": (edited('"page_id": 7', f'"foo": {"[" * 50000 + "]" * 50000}'), "too-deep"),
    "control character": (edited("00AA", "A\nA"), "bad-json"),
    "unknown escape": (edited("00AA", "\\q"), "bad-json"),
    "bad UTF-8": (USUAL.replace(b"00AA", b"\xff\xfe"), "bad-utf8"),
    "bad UTF-8 between fields": (USUAL.replace(b'"page_id"', b'\xff"page_id"'), "bad-json"),
    "cut": (USUAL[: len(USUAL) // 2], "bad-json"),
    "lost bracket": (USUAL[:-1], "bad-json"),
    "lost list bracket": (edited("}], ", "}, "), "bad-json"),
    "lost comma": (edited('7, "worker', '7 "worker'), "bad-json"),
    "extra comma": (edited('7, "worker', '7,, "worker'), "bad-json"),
    "text": (b"hello", "bad-json"),
    "null": (b"null", "bad-json"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_record_costs_only_itself(name: str) -> None:
    bad, code = BAD[name]
    before, after = dump(usual(1)) + b", ", dump(usual(2), usual(3))
    batch = read(before + bad + b", " + after)
    assert ids(batch) == ["1", "2", "3"]
    (row,) = batch.tables["rejects"].to_pylist()
    assert row["message"]
    del row["message"]
    assert row == {
        "member": None,
        "offset": len(before),
        "level": "record",
        "code": code,
        "raw": bad,
        "raw_bytes": len(bad),
        "raw_sha256": hashlib.sha256(bad).hexdigest(),
    }
    assert batch.counts == {"records.total": 4, "records.rejected": 1, f"rejects.{code}": 1}


def test_messages_say_what_is_wrong_and_where() -> None:
    messages = {
        name: read(BAD[name][0]).tables["rejects"]["message"][0].as_py()
        for name in ("time whole float", "key twice", "x missing", "text", "unknown too deep")
    }
    place = BAD["x missing"][0].index(b'"x": ,') + 5
    assert messages == {
        "time whole float": "/mouseTracking/0/timeAt: expected an integer, found '15725.0'",
        "key twice": "key 'page_id' occurs more than once in an object",
        "x missing": f"Expecting value at byte {place} of the record",
        "text": "expected an object, found 'hello'",
        "unknown too deep": "nested deeper than 100 levels",
    }


def test_the_offset_counts_bytes_of_the_source() -> None:
    before = '{"image_id": 1, "worker_id": "é"} '.encode()
    batch = coco.parse(block(before + b"oh, " + USUAL, offset=1000))
    assert rejects(batch) == [(1000 + len(before), "bad-json", b"oh")]


KEPT = {
    "brackets in a text": edited("00AA", '}]}, {\\"image_id\\": 1'),
    "colons in a text": edited("00AA", ":::"),
    "unicode": edited("00AA", "Ünïcödé 鼠标 🐭"),
    "escapes": edited("00AA", '\\u00dc\\ud83d\\udc2d\\n\\"\\\\\\/\\u0000'),
    "escaped key": edited('"worker_id"', '"worker\\u005fid"'),
    "escaped track": edited('"mouseTracking"', '"mouse\\u0054racking"'),
    "exponent": edited('"x": 0.0', '"x": 5E-1'),
    "many digits": edited('"x": 0.0', f'"x": 0.{"3" * 300}'),
    "denormal": edited('"x": 0.0', '"x": 5e-324'),
    "minus zero": edited('"x": 0.0', '"x": -0'),
    "minus zero point zero": edited('"x": 0.0', '"x": -0.0'),
    "minus zero time": edited("15725", "-0"),
    "exact large integer": edited('"x": 0.0', f'"x": {1 << 62}'),
    "large double": edited('"x": 0.0', '"x": 1e300'),
    "largest time": edited("15725", f"{(1 << 63) - 1}"),
    "large time": edited("15725", "123456789012345678"),
    "largest image_id": edited('"image_id": 9', f'"image_id": {(1 << 63) - 1}'),
    "odd blanks": edited('"x": 0.0, "y"', '"x"\t:0.0\r\n,   "y"'),
    "fractional size": edited('"imageHeight": 450', '"imageHeight": 450.5'),
    "track named in a text": edited('"00AA3B5E80"', '"mouseTracking"'),
    "nested name of a record's key": edited(
        '"page_id": 7', '"foo": {"image_id": [{"page_id": 1}]}'
    ),
    "first key unknown": edited('{"image_id"', '{"foo": 1, "image_id"'),
}


@pytest.mark.parametrize("name", KEPT)
def test_an_odd_record_is_read(name: str) -> None:
    batch = read(dump(usual(1)) + b", " + KEPT[name] + b", " + dump(usual(2)))
    assert rejects(batch) == []
    assert rebuild(batch.tables) == [usual(1), json.loads(KEPT[name]), usual(2)]


# Anything else

keys = st.text(max_size=5) | st.sampled_from(["a/b", "~", "~1", "0", "pointTo/x"])
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=5,
)
integers = st.integers(0, 99999) | st.integers(-(1 << 63), (1 << 63) - 1)
fractions = (
    st.integers(0, 450).map(lambda n: n / 450)
    | st.sampled_from([0, 1, -0.0, 1e-7])
    | st.floats(allow_nan=False, allow_infinity=False)
)
texts = st.sampled_from(["cake", "00AA3B5E80", ""]) | st.text(max_size=6)


def rarely(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 9).flatmap(lambda n: strategy if n == 9 else st.just(None))


@st.composite
def objects(draw: st.DrawFn, known: dict[str, st.SearchStrategy[Any]]) -> Record:
    """An object with these keys, in any order: some null, absent, or joined by unknown ones."""
    odd = draw(st.integers(0, 3)) == 3
    found = {}
    for name, value in known.items():
        fate = draw(st.integers(0, 9)) if odd and name not in ("image_id", "actionType") else 9
        if fate:
            found[name] = None if fate == 1 else draw(value)
    if odd:
        unknown = draw(st.dictionaries(keys.filter(lambda k: k not in known), values, max_size=2))
        names = draw(st.permutations([*found, *unknown]))
        return {name: (found | unknown)[name] for name in names}
    return found


points: st.SearchStrategy[Any] = st.none() | st.just({}) | objects({"x": fractions, "y": fractions})
LISTS = {
    "actionHistories": objects(
        {
            "actionType": st.sampled_from(["add", "move", "remove"]) | rarely(texts),
            "iconType": texts,
            "pointFrom": points,
            "pointTo": points,
            "timeAt": integers,
        }
    ),
    "categoryHistories": objects(
        {
            "categoryIndex": integers,
            "categoryName": texts,
            "timeAt": integers,
            "usingKeyboard": st.booleans(),
        }
    ),
    "mouseTracking": objects({"x": fractions, "y": fractions, "timeAt": integers}),
}
records = objects(
    {
        "image_id": integers,
        **dict.fromkeys(("hit_id", "worker_id"), texts),
        **dict.fromkeys((*FIELDS[4:6], "page_id", "timeSpent"), integers),
        **dict.fromkeys(("imageHeight", "imageWidth"), fractions),
        **{name: st.lists(items, max_size=4) for name, items in LISTS.items()},
    }
)
styles = st.sampled_from(
    [{}, {"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False}, {"indent": "\t"}]
)


@pytest.mark.fuzz
@fuzz
@given(st.lists(records, min_size=1, max_size=4), styles)
def test_from_the_tables_every_record_can_be_rebuilt(
    wanted: list[Record], style: dict[str, Any]
) -> None:
    data = b",\n".join(json.dumps(record, **style).encode() for record in wanted)
    batch = read(data)
    assert rejects(batch) == []
    assert rebuild(batch.tables) == wanted


edits = st.lists(
    st.tuples(
        st.sampled_from(["flip", "delete", "insert", "digit", "copy", "cut"]),
        st.integers(0, 1 << 16),
        st.integers(0, 255),
    ),
    min_size=1,
    max_size=4,
)
BYTES = b'{}[]",:0123456789.-+eE \n\\xytnN\x00\xff'


def mutate(data: bytes, changes: list[tuple[str, int, int]]) -> bytes:
    """Damage some bytes."""
    for how, where, what in changes:
        at, byte = where % (len(data) + 1), BYTES[what % len(BYTES)]
        if how == "flip":
            data = data[:at] + bytes([what]) + data[at + 1 :]
        elif how == "delete":
            data = data[:at] + data[at + 1 + what % 9 :]
        elif how == "insert":
            data = data[:at] + bytes([byte]) + data[at:]
        elif how == "digit":
            at = next((i for i in range(at, len(data)) if 48 <= data[i] < 58), at)
            data = data[:at] + bytes([byte]) + data[at + 1 :]
        elif how == "copy":
            data = data[:at] + data[at // 2 : at // 2 + what] + data[at:]
        elif what < 16:
            data = data[:at]
    return data


BASE = [
    dump(usual(1), usual(2, moves=6), usual(3, moves=0)),
    b"\n".join(json.dumps(usual(n), indent=1).encode() for n in (1, 2, 3)),
]


@pytest.mark.fuzz
@settings(fuzz, max_examples=4 * EXAMPLES)
@given(st.sampled_from(BASE), edits)
def test_both_paths_agree_on_damaged_bytes(
    base: bytes, changes: list[tuple[str, int, int]]
) -> None:
    data = mutate(base, changes)
    batch = read(data)
    rest = data
    for offset, _, raw in rejects(batch):
        assert data[offset : offset + len(raw)] == raw
        rest = rest[:offset] + b" " * len(raw) + rest[offset + len(raw) :]
    again = read(rest)
    assert rejects(again) == []  # every byte is in a reject or in a record
    for name in ("annotations", "events"):
        assert exact(again.tables[name]) == exact(batch.tables[name])
