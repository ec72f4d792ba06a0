from __future__ import annotations

import gzip
import io
import json  # noqa: TID251 - such files are written by json.dump
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from abpipe.errors import BrokenSource, NothingReadable, OtherClasses, WrongTool
from abpipe.events.instances import parse
from abpipe.raw.block import JsonBlock
from abpipe.raw.buffer import PADDING, Buffer
from abpipe.raw.json_records import framed
from abpipe.raw.json_shapes import INSTANCES
from abpipe.rows import Batch

Ingest = Callable[..., Any]
Object = dict[str, Any]
Rows = Callable[..., list[tuple[Any, ...]]]
Run = Callable[..., tuple[int, str, str]]

CAT, PERSON = 17, 1
FIELD = "extra->>'$.fields.\""
OBJECTS = "SELECT * EXCLUDE (pose, truncated, difficult, member, source, dataset) FROM objects"


def image(number: int, **other: Any) -> Object:
    about = {"license": 5, "file_name": f"COCO_train2014_{number:012d}.jpg"}
    return about | {"height": 480, "width": 640, "id": number} | other


def annotation(number: int, image_id: int = 9, **other: Any) -> Object:
    found = {"segmentation": [[10.5, 20, 30, 20, 30, 40]], "area": 200.25, "iscrowd": 0}
    found |= {"image_id": image_id, "bbox": [10.5, 20, 19.5, 20], "category_id": CAT, "id": number}
    return found | other


def document(annotations: list[Object], images: list[Object] | None = None) -> Object:
    return {
        "info": {"description": "COCO 2014 Dataset", "url": "http://cocodataset.org"},
        "images": [image(9)] if images is None else images,
        "licenses": [{"url": "http://creativecommons.org", "id": 1, "name": "any"}],
        "annotations": annotations,
        "categories": [{"supercategory": "animal", "id": CAT, "name": "cat"}],
    }


def dump(found: Any, indent: int | None = None) -> bytes:
    return json.dumps(found, indent=indent).encode()


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    def write(content: Any, name: str = "instances_train2014.json") -> Path:
        data = content if isinstance(content, bytes) else dump(content)
        if name.endswith(".gz"):
            data = gzip.compress(data)
        elif name.endswith(".zst"):
            data = zstandard.compress(data)
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


def read(data: bytes, size: int = 1 << 16, fast: bool = True) -> list[Batch]:
    """The batches of a text that comes in blocks of some size."""
    found = []
    for block in framed(io.BytesIO(data), "a.json", lambda: Buffer.private(size), INSTANCES):
        assert isinstance(block, JsonBlock | Batch)
        found.append(parse(block, fast=fast) if isinstance(block, JsonBlock) else block)
    return found


def rows_of(batches: list[Batch], table: str) -> list[Object]:
    return [row for batch in batches for row in batch.tables[table].to_pylist()]


def test_objects_and_sizes_are_read(
    file: Callable[..., Path], ingest: Ingest, rows: Rows, run: Run
) -> None:
    crowd = {"counts": [272, 2, 4], "size": [480, 640]}
    found = [
        annotation(1),
        annotation(2, 25, category_id=PERSON, iscrowd=1, segmentation=crowd),
        annotation(3, bbox=[0, 0.5, 4, 8]),
    ]
    result = ingest(file(document(found, [image(9), image(25), image(30, width=333)])))
    polygon = "[[10.5,20,30,20,30,40]]"
    box, id_ = (10.5, 20.0, 30.0, 40.0), '{{"fields":{{"/id":{}}}}}'.format
    assert rows(OBJECTS) == [
        ("9", 0, "cat", CAT, *box, 200.25, 0, polygon, id_(1)),
        ("25", 0, "person", PERSON, *box, 200.25, 1, dump(crowd).decode().replace(" ", ""), id_(2)),
        ("9", 1, "cat", CAT, 0.0, 0.5, 4.0, 8.5, 200.25, 0, polygon, id_(3)),
    ]
    assert rows("SELECT image_id, width, height, n_annotations, class_id FROM images") == [
        ("9", 640, 480, 0, None),
        ("25", 640, 480, 0, None),
        ("30", 333, 480, 0, None),
    ]
    assert rows(f"SELECT {FIELD}/file_name\"' FROM images")[0] == (
        "COCO_train2014_000000000009.jpg",
    )
    ledger = result.source.ledger
    assert result.source.dataset == "coco-ab"
    assert ledger.members == {"total": 1, "ok": 1, "junk": 0, "rejected": 0}
    assert (ledger.records["total"], ledger.records["rows"]) == (6, 6)
    assert ledger.junk == {"info": 1, "licenses": 1}
    assert rows("SELECT count(*) FROM classes") == [(80,)]
    assert run("check") == (0, "", "everything is as it should be\n")


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.json.zst"])
@pytest.mark.parametrize("indent", [None, 2])
def test_it_may_be_compressed_and_pretty(
    file: Callable[..., Path], ingest: Ingest, rows: Rows, name: str, indent: int | None
) -> None:
    ingest(file(dump(document([annotation(1)]), indent), name))
    assert rows("SELECT image_id, mask FROM objects") == [("9", "[[10.5,20,30,20,30,40]]")]


def test_a_box_that_its_corners_cannot_give_back_is_kept_as_it_was(
    file: Callable[..., Path], ingest: Ingest, rows: Rows
) -> None:
    box = [473.07, 395.93, 38.65, 28.67]
    assert (box[0] + box[2]) - box[0] != box[2]
    ingest(file(document([annotation(1, bbox=box)])))
    assert rows(f"SELECT xmin, xmax, {FIELD}/bbox\"' FROM objects") == [
        (473.07, 473.07 + 38.65, dump(box).decode().replace(" ", ""))
    ]


def test_what_has_no_column_is_kept_and_counted(
    file: Callable[..., Path], ingest: Ingest, rows: Rows
) -> None:
    found = annotation(1, attributes={"occluded": True}, area=None)
    del found["iscrowd"]
    result = ingest(file(document([found], [image(9, camera="x", width=None)])))
    assert json.loads(rows("SELECT extra FROM objects")[0][0]) == {
        "fields": {"/id": 1, "/attributes": {"occluded": True}},
        "null": ["/area"],
        "absent": ["/iscrowd"],
    }
    extra = json.loads(rows("SELECT extra FROM images")[0][0])
    assert (extra["fields"]["/camera"], extra["null"]) == ("x", ["/width"])
    assert result.source.ledger.extra == {"annotations.attributes": 1, "images.camera": 1}


BAD = {
    '"image_id": 9,': ("", "missing-id", "the annotation has no image_id"),
    '"bbox": [10.5, 20': (
        '"bbox": [10.5',
        "bad-type",
        "/bbox: expected [x, y, width, height], found '[10.5, 19.5, 20]'",
    ),
    '"area": 200.25': (
        '"area": "200"',
        "bad-type",
        "/area: expected a number, found '200'",
    ),
    '"iscrowd": 0': ('"iscrowd": NaN', "not-a-number", "NaN is not JSON"),
    '"category_id": 17': (
        '"category_id": 17, "category_id": 18',
        "duplicate-key",
        "key 'category_id' occurs more than once in an object",
    ),
    '"id": 2}': (
        '"id": 99999999999999999999}',
        "int-overflow",
        "integer 99999999999999999999 does not fit 64 bits",
    ),
    "30, 20, 30, 40]]": (
        "30, 20, 30, 40]",
        "bad-json",
        "Expecting ',' delimiter at byte 140 of the record",
    ),
}


@pytest.mark.parametrize("text", BAD)
def test_one_bad_element_costs_one_reject(
    file: Callable[..., Path], ingest: Ingest, rows: Rows, text: str
) -> None:
    new, code, message = BAD[text]
    good, bad = dump(annotation(1)), dump(annotation(2))
    spoilt = bad.replace(text.encode(), new.encode())
    assert spoilt != bad
    data = dump(document([annotation(1), annotation(2), annotation(3)])).replace(bad, spoilt)
    ledger = ingest(file(data)).source.ledger
    at = data.index(spoilt)
    found = rows('SELECT level, code, message, "offset", raw FROM rejects')
    assert [row[:2] for row in found] == [("record", code)]
    if code != "bad-json":
        assert found[0][2] == message
    assert (found[0][3], found[0][4]) == (at, spoilt)
    assert rows(f"SELECT {FIELD}/id\"' FROM objects") == [("1",), ("3",)]
    assert (ledger.records["total"], ledger.records["rejected"]) == (4, 1)
    assert good in data


def test_text_between_elements_is_told(
    file: Callable[..., Path], ingest: Ingest, rows: Rows
) -> None:
    data = dump(document([annotation(1)])).replace(b'], "annotations"', b'] lost, "annotations"')
    ingest(file(data))
    said = "between elements, only the end of one list and the beginning of the next may be"
    assert rows("SELECT code, message FROM rejects") == [("bad-json", said)]
    assert rows("SELECT count(*) FROM objects") == [(1,)]


def test_a_file_with_other_categories_than_cocos_is_refused(
    file: Callable[..., Path], ingest: Ingest, store: Path
) -> None:
    whole = document([annotation(1)])
    whole["categories"].append({"supercategory": "none", "id": 1, "name": "dog"})
    with pytest.raises(OtherClasses) as caught:
        ingest(file(whole))
    assert caught.value.strange == 1
    assert str(caught.value) == (
        "instances_train2014.json: 1 of its categories are not among COCO's 80, by id and name: "
        "objects would get wrong classes. Nothing of it was stored. "
        "Only annotation files with COCO's own categories are read"
    )
    assert not store.exists()
    (reject,) = rows_of(read(dump(whole)), "rejects")
    message = "category '1' is 'dog': not as in COCO, whose classes are fixed"
    assert (reject["code"], reject["message"]) == ("other-category", message)


def test_records_and_instances_of_a_picture_stand_side_by_side(
    file: Callable[..., Path], ingest: Ingest, rows: Rows, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "coco.json").write_bytes(dump([{"image_id": 9, "mouseTracking": []}]))
    sources = [tmp_path / "coco.json", file(document([annotation(1), annotation(2)]))]
    for order in (sources, sources[::-1]):
        for source in order:
            ingest(source, replace=True)
        found = rows("SELECT source, width, n_annotations FROM images ORDER BY ALL")
        assert found == [("coco.json", None, 1), ("instances_train2014.json", 640, 0)]
        assert rows("SELECT count(*) FROM objects") == [(2,)]
    assert run("check")[0] == 0


def test_a_file_that_is_cut_off_says_how_far_it_is_readable(
    file: Callable[..., Path], ingest: Ingest, rows: Rows, store: Path
) -> None:
    data = dump(document([annotation(i) for i in range(1, 5)]))
    second = data.index(dump(annotation(2))) + len(dump(annotation(2)))
    for cut in (second, second + 1, second + 9, second + 80):
        with pytest.raises(BrokenSource) as caught:
            ingest(file(data[:cut]))
        assert (caught.value.why, caught.value.offset) == ("the object is cut off", second)
        assert not store.exists()
    result = ingest(file(data[: second + 80]), keep_partial=True)
    assert result.source.partial == "the object is cut off"
    assert rows(f"SELECT {FIELD}/id\"' FROM objects") == [("1",), ("2",)]
    assert rows("SELECT count(*) FROM rejects") == [(0,)]
    after_images = data.index(b'], "licenses"')
    with pytest.raises(BrokenSource):
        ingest(file(data[: after_images + 9]), replace=True)


def test_bytes_after_the_end_are_told(
    file: Callable[..., Path], ingest: Ingest, rows: Rows
) -> None:
    ingest(file(dump(document([annotation(1)])) + b" \n lost"))
    assert rows("SELECT code, message, raw FROM rejects") == [
        ("trailing-bytes", "4 bytes after the end of the object", b"lost")
    ]


def test_what_the_dataset_has_already_is_a_duplicate(
    file: Callable[..., Path], ingest: Ingest, rows: Rows, run: Run
) -> None:
    ingest(file(document([annotation(1), annotation(2)]), "one.json"))
    more = [annotation(1), annotation(3), annotation(3), annotation(2, area=1)]
    ledger = ingest(file(document(more, [image(9), image(9, width=7)]), "two.json")).source.ledger
    assert ledger.records == {
        "total": 6,
        "rows": 2,
        "duplicates": 4,
        "rejected": 0,
        "forgotten": 0,
    }
    assert ledger.conflicts == 1
    found = rows(f"SELECT object_no, {FIELD}/id\"' FROM objects WHERE source = 'two.json'")
    assert found == [(1, "3"), (3, "2")]
    assert run("check")[0] == 0


def test_a_dataset_of_the_other_tool_is_refused(file: Callable[..., Path], ingest: Ingest) -> None:
    with pytest.raises(WrongTool):
        ingest(file(document([annotation(1)])), dataset="imagenet-ab")


def test_a_file_without_pictures_is_an_error(file: Callable[..., Path], ingest: Ingest) -> None:
    with pytest.raises(NothingReadable):
        ingest(file(document([], [])))


def test_a_limit_is_of_elements(file: Callable[..., Path], ingest: Ingest) -> None:
    result = ingest(file(document([annotation(1)], [image(9), image(10)])), limit=2)
    assert (result.rows["images"], result.rows["objects"]) == (2, 0)


sides = st.floats(-1e6, 1e6) | st.integers(-(10**6), 10**6)
odd: st.SearchStrategy[Any] = (
    st.none() | st.text(max_size=3) | st.booleans() | st.integers() | st.just([])
)


@st.composite
def elements(draw: st.DrawFn) -> Object:
    found = annotation(draw(st.integers(0, 10**12)), draw(st.integers(1, 9)))
    found["bbox"] = draw(st.lists(sides, min_size=4, max_size=4))
    found["area"] = draw(sides)
    found["category_id"] = draw(st.integers(0, 95))
    if draw(st.booleans()):
        found["segmentation"] = {"counts": draw(st.text(max_size=5)), "size": [1, 2]}
    if draw(st.sampled_from([False, False, True])):
        found[draw(st.sampled_from([*found, "new"]))] = draw(odd)
    return found


@settings(max_examples=40, deadline=None)
@given(
    st.permutations(["info", "images", "licenses", "annotations", "categories"]),
    st.lists(elements(), max_size=6),
    st.sampled_from([None, 1]),
    st.sampled_from([600, 1 << 16]),
)
def test_neither_order_nor_blocks_nor_the_fast_way_change_the_rows(
    order: list[str], annotations: list[Object], indent: int | None, size: int
) -> None:
    whole = document(annotations, [image(i) for i in range(1, 4)])
    data = dump({name: whole[name] for name in order}, indent)
    usual, strict = read(data), read(data, fast=False)
    small = read(data, size)
    for table in ("objects", "images", "rejects"):
        assert rows_of(usual, table) == rows_of(strict, table) == rows_of(small, table)
    assert sum(len(rows_of(usual, t)) for t in ("objects", "rejects")) == len(annotations)
    assert len(rows_of(usual, "images")) == 3


@settings(max_examples=40, deadline=None)
@given(st.lists(elements(), min_size=1, max_size=5))
def test_the_annotations_can_be_rebuilt(annotations: list[Object]) -> None:
    batches = read(dump(document(annotations)))
    if rows_of(batches, "rejects"):
        return
    for found, row in zip(annotations, rows_of(batches, "objects"), strict=True):
        extra = {"fields": {}, "null": []} | json.loads(row["extra"])
        other = {name.removeprefix("/"): value for name, value in extra["fields"].items()}
        other |= dict.fromkeys(name.removeprefix("/") for name in extra["null"])
        low, high = (row["xmin"], row["ymin"]), (row["xmax"], row["ymax"])
        box = low[0] is None or [*low, high[0] - low[0], high[1] - low[1]]
        said = {
            "segmentation": row["mask"] and json.loads(row["mask"]),
            "area": row["area"],
            "iscrowd": row["iscrowd"],
            "image_id": int(row["image_id"]),
            "bbox": box,
            "category_id": row["category_id"],
        }
        assert said | other == found


def test_the_padding_of_a_block_is_not_read() -> None:
    data = dump(annotation(1)) + b", "
    block = JsonBlock(
        Buffer(bytearray(b"]" + data + b"{" * PADDING)), 1, 1 + len(data), 7, INSTANCES
    )
    assert parse(block).tables["objects"].num_rows == 1


@pytest.mark.parametrize(("data", "rejects"), [(b'{"images":[', []), (b"]]>", [b"]]>"])])
def test_a_block_may_hold_no_element(data: bytes, rejects: list[bytes]) -> None:
    buffer = Buffer(bytearray(data + b"{" * PADDING))
    batch = parse(JsonBlock(buffer, 0, len(data), 7, INSTANCES))
    assert [row["raw"] for row in rows_of([batch], "rejects")] == rejects
