from __future__ import annotations

import gzip
import hashlib
import io
import json  # noqa: TID251 - the archive was written by json.dump
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from abpipe.errors import BrokenSource
from abpipe.events import coco
from abpipe.raw import json_records
from abpipe.raw.block import JsonBlock
from abpipe.raw.buffer import Buffer
from abpipe.raw.json_shapes import COCO_AB
from abpipe.raw.streams import open_plain
from abpipe.rows import RAW_LIMIT, Batch

Record: TypeAlias = dict[str, Any]
#: Ids of the records, rejects as (offset, code, raw), and counts.
Read: TypeAlias = tuple[list[str], list[tuple[int, str, bytes]], Counter[str]]


def record(image_id: int, moves: int = 2) -> Record:
    track = [{"x": 0.25, "y": 1, "timeAt": 15725 + i} for i in range(moves)]
    step = {"categoryIndex": 1, "categoryName": "Animal", "timeAt": 3, "usingKeyboard": False}
    return {"image_id": image_id, "mouseTracking": track, "categoryHistories": [step]}


def batches(stream: Any, size: int) -> Iterator[Batch]:
    """Rows of each block; the blocks must follow one another."""
    at = 0
    for block in json_records.framed(stream, "coco.json", lambda: Buffer.private(size)):
        assert isinstance(block, JsonBlock | Batch)
        if isinstance(block, JsonBlock):
            assert block.offset >= at
            at = block.offset + block.end - block.start
        yield coco.parse(block) if isinstance(block, JsonBlock) else block


def read(data: bytes, size: int = 1 << 16) -> Read:
    found, _ = outcome(data, size, whole=True)
    return found


def outcome(data: bytes, size: int, whole: bool = False) -> tuple[Read, tuple[str, int] | None]:
    """What was read, and, unless the source must be whole, why and where it breaks."""
    ids: list[str] = []
    rejects: list[tuple[int, str, bytes]] = []
    counts: Counter[str] = Counter()
    end = None
    try:
        for batch in batches(io.BytesIO(data), size):
            ids += batch.tables["annotations"]["image_id"].to_pylist()
            rows = batch.tables["rejects"].to_pylist()
            rejects += [(row["offset"], row["code"], row["raw"]) for row in rows]
            counts += batch.counts
    except BrokenSource as err:
        if whole:
            raise
        end = err.why, err.offset
    assert counts["records.total"] == len(ids) + len(rejects)
    assert counts["records.rejected"] == len(rejects)
    return (ids, rejects, counts), end


def broken(data: bytes, size: int = 1 << 16) -> tuple[list[str], str, int]:
    """The records before the source breaks, why it does, and after how many bytes."""
    (ids, rejects, _), end = outcome(data, size)
    assert end and not rejects
    return ids, *end


THREE = [record(1), record(2, moves=9), record(3, moves=0)]
COMPACT = json.dumps(THREE).encode()
LINES = b"".join(json.dumps(r).encode() + b"\n" for r in THREE)
FORMS = {
    "json.dump": COMPACT,
    "compact": json.dumps(THREE, separators=(",", ":")).encode(),
    "pretty": json.dumps(THREE, indent=2).encode(),
    "tabs and returns": json.dumps(THREE, indent="\t").replace("\n", "\r\n").encode(),
    "blank around": b"\n\n \t" + COMPACT + b"\r\n\n",
    "much blank before": b" " * 1000 + COMPACT,
    "byte order mark": b"\xef\xbb\xbf" + COMPACT,
    "mark and blank": b"\xef\xbb\xbf\n" + b" " * 300 + COMPACT,
    "lines": LINES,
    "lines without the last end": LINES[:-1],
    "lines with a mark": b"\xef\xbb\xbf" + LINES.replace(b"\n", b"\r\n"),
    "one object": json.dumps(THREE[0]).encode(),
}


@pytest.mark.parametrize("size", [64, 200, 333, 1 << 16])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read(form: str, size: int) -> None:
    ids, rejects, _ = read(FORMS[form], size)
    assert (ids, rejects) == ((["1"] if form == "one object" else ["1", "2", "3"]), [])


@pytest.mark.parametrize("data", [b"[]", b"[ ]\n", b" [\n]", b"", b" \n", b"\xef\xbb\xbf[]"])
def test_an_empty_source_has_no_blocks(data: bytes) -> None:
    assert (
        list(json_records.framed(io.BytesIO(data), "coco.json", lambda: Buffer.private(64))) == []
    )


def test_the_blocks_hold_many_records_each() -> None:
    data = json.dumps([record(n) for n in range(500)]).encode()
    found = list(json_records.framed(io.BytesIO(data), "coco.json", lambda: Buffer.private(4096)))
    assert len(found) <= len(data) // 3500


def test_no_block_holds_on_to_shared_memory() -> None:
    data = json.dumps([record(n) for n in range(50)]).encode()
    buffers: list[Buffer] = []

    def take() -> Buffer:
        buffers.append(Buffer.private(2000))
        return buffers[-1]

    with pytest.raises(BrokenSource) as err:
        list(json_records.framed(io.BytesIO(data[:-1]), "coco.json", take))
    for buffer in buffers:
        buffer.release()
    assert err.value.source == "coco.json"


@pytest.mark.parametrize("size", [100, 400, 1 << 16])
@pytest.mark.parametrize("lost", [1, 2, 3, 10, 57, 100])
def test_an_array_that_is_cut_off_keeps_its_whole_records(lost: int, size: int) -> None:
    whole = COMPACT.rindex(b', {"image_id"')
    expected = (["1", "2", "3"], len(COMPACT) - 1) if lost == 1 else (["1", "2"], whole)
    ids, why, offset = broken(COMPACT[:-lost], size)
    assert (ids, offset, why) == (*expected, "the array is cut off")


def test_an_array_cut_off_behind_the_end_of_a_list_is_not_taken_for_whole() -> None:
    end = COMPACT.rindex(b"]}]")
    assert broken(COMPACT[: end + 1])[0] == ["1", "2"]


@pytest.mark.parametrize("data", [b"[", b"[  ", b'[{"im'])
def test_an_array_without_a_whole_record_is_cut_off(data: bytes) -> None:
    ids, why, offset = broken(data)
    assert (ids, why, offset) == ([], "the array is cut off", 1)


@pytest.mark.parametrize("size", [100, 1 << 16])
def test_bytes_after_the_array_are_rejected(size: int) -> None:
    data = COMPACT + b"\n oops ]\n"
    ids, rejects, counts = read(data, size)
    assert ids == ["1", "2", "3"]
    assert rejects == [(len(COMPACT) + 2, "trailing-bytes", b"oops ]")]
    assert counts["rejects.trailing-bytes"] == 1


@pytest.mark.parametrize("size", [100, 1 << 16])
@pytest.mark.parametrize(
    ("last", "why"),
    [
        ('{"image_id": 4, "page_id": }', "no value"),
        ('{"image_id": 4, "page_id": 5', "lost brace"),
        ('{"image_id": 4, "mouseTracking": [}', "lost bracket"),
        ('{"image_id": 4, "hit_id: "5"}', "lost quote"),
        ("hello", "no object"),
    ],
)
def test_a_damaged_last_record_does_not_make_the_array_look_cut_off(
    last: str, why: str, size: int
) -> None:
    data = COMPACT[:-1] + b", " + last.encode() + b"]"
    ids, rejects, _ = read(data, size)
    assert (ids, rejects) == (["1", "2", "3"], [(len(COMPACT) + 1, "bad-json", last.encode())]), why


def test_a_line_that_is_cut_off_is_rejected() -> None:
    ids, rejects, _ = read(LINES[:-20])
    begin = LINES.index(b'{"image_id": 3')
    assert (ids, rejects) == (["1", "2"], [(begin, "bad-json", LINES[begin:-20])])


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """The size of the largest record, much reduced."""
    monkeypatch.setattr(json_records, "LARGEST", 1 << 15)
    monkeypatch.setattr(json_records, "_CHUNK", 1 << 12)
    return 1 << 15


@pytest.mark.parametrize("place", [0, 1, 3])
@pytest.mark.parametrize("form", ["array", "lines"])
def test_a_record_beyond_all_bounds_is_passed_over(small: int, form: str, place: int) -> None:
    huge = {"image_id": 4, "foo": "x" * (RAW_LIMIT + 5 * small)}
    texts = [json.dumps(r).encode() for r in [*THREE[:place], huge, *THREE[place:]]]
    data = b"[" + b", ".join(texts) + b"]\n" if form == "array" else b"\n".join(texts)
    raw = json.dumps(huge).encode()
    (batch,) = [b for b in batches(io.BytesIO(data), 4096) if b.tables["rejects"].num_rows]
    assert read(data, 4096)[0] == ["1", "2", "3"]
    assert batch.tables["rejects"].to_pylist() == [
        {
            "member": None,
            "offset": data.index(raw),
            "level": "record",
            "code": "too-large",
            "message": f"no record starts within {len(raw)} bytes",
            "raw": raw[:RAW_LIMIT],
            "raw_bytes": len(raw),
            "raw_sha256": hashlib.sha256(raw).hexdigest(),
        }
    ]


def test_a_record_larger_than_a_buffer_is_read() -> None:
    large = record(4, moves=5000)
    data = json.dumps([*THREE, large, *THREE]).encode()
    assert read(data, 1000)[:2] == (["1", "2", "3", "4", "1", "2", "3"], [])


def test_endless_bytes_after_the_array_cost_no_record(small: int) -> None:
    data = COMPACT + b"\n" + b"\0" * (4 * small)
    ids, rejects, _ = read(data, 1000)
    assert ids == ["1", "2", "3"]
    assert rejects == [(len(COMPACT) + 1, "trailing-bytes", b"\0" * (4 * small))]


def test_memory_does_not_grow_with_the_source() -> None:
    class Endless(io.RawIOBase):
        """200 MB of one record that never ends."""

        def __init__(self) -> None:
            self.left = 200 << 20

        def readinto(self, view: Any) -> int:
            if self.left == 200 << 20:
                view[:12] = b'{"image_id":'
                view[12:] = b"1" * (len(view) - 12)
            n = min(len(view), self.left)
            self.left -= n
            return n

    tracemalloc.start()
    try:
        (only,) = json_records.framed(Endless(), "coco.json", lambda: Buffer.private(1 << 20))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(only, Batch)
    assert only.tables["rejects"]["raw_bytes"].to_pylist() == [200 << 20]
    assert peak < 5 * json_records.LARGEST


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_compressed_data_that_is_cut_off_keeps_its_whole_records(
    suffix: str, tmp_path: Path
) -> None:
    many = [record(n, moves=n % 40) for n in range(3000)]
    packs: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "zst": zstandard.compress}
    for name, data in (
        ("array", json.dumps(many).encode()),
        ("lines", b"".join(json.dumps(r).encode() + b"\n" for r in many)),
    ):
        packed = packs[suffix](data)
        path = tmp_path / f"{name}.{suffix}"
        path.write_bytes(packed)
        with open_plain(path, "coco") as stream:
            assert sum(b.n_annotations for b in batches(stream, 1 << 16)) == len(many)
        path.write_bytes(packed[: len(packed) * 2 // 3])
        found = 0
        with open_plain(path, "coco") as stream, pytest.raises(BrokenSource) as err:
            for batch in batches(stream, 1 << 16):
                found += batch.n_annotations
                assert batch.tables["rejects"].num_rows == 0
        assert "the compressed data is cut off or damaged" in err.value.why
        assert data[: err.value.offset].count(b'"image_id"') == found


def test_a_record_in_an_unknown_list_is_no_record_of_its_own() -> None:
    data = b'[{"image_id": 1, "foo": [ {"image_id": 2}], "bar":  {"hit_id": ""}}, {"image_id": 3}]'
    assert read(data)[:2] == (["1", "3"], [])
    assert list(COCO_AB.starts(data)) == [1, data.index(b'{"image_id": 3')]


pieces = st.sampled_from(
    [json.dumps(record(n, moves=n)).encode() for n in range(1, 6)]
    + [json.dumps({"foo": n, "image_id": n}).encode() for n in range(2)]
    + [b"garbage", b'{"image_id": ', b"]}", b"[", b'"image_id": 5}', b"", b"null", b"\xff"]
)


@settings(max_examples=150, deadline=2000)
@given(
    st.lists(pieces, max_size=12), st.integers(200, 4000), st.sampled_from([b", ", b"\n", b",\n  "])
)
def test_the_size_of_the_buffers_changes_nothing(
    found: list[bytes], size: int, between: bytes
) -> None:
    for data in (b"[" + between.join(found) + b"]", between.join([b"{}", *found])):
        assert outcome(data, size) == outcome(data, 1 << 16)
