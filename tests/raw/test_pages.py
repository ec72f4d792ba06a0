from __future__ import annotations

import gzip
import json  # noqa: TID251 - the tools write it
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from abpipe.errors import BrokenSource, NoPages, NothingReadable, SeveralContents, WrongTool
from abpipe.raw.sources import find

Ingest = Callable[..., Any]
Pack = Callable[..., Path]
Rows = Callable[..., list[tuple[Any, ...]]]
Run = Callable[..., tuple[int, str, str]]
Xml = Callable[..., bytes]

ABOUT = {"id": "one", "annotatorID": "", "workerID": "WORKERONE", "assignmentID": "ASGA"}
BOARD = {
    "imageURL": "https://x.org/COCO_train2014_000000000009.jpg?of=1",
    "mouseTracking": [],
    "actionHistories": [],
    "categoryHistories": [],
}


def slots(number: int = 1, **more: Any) -> dict[str, Any]:
    shown = {"imageID": f"n01440764/n01440764_{number}", "selected": False, "hoveredRecord": []}
    return {"imageNetAnnotationID": "one", "pageno": number, "annotations": [shown | more]}


def board(number: int = 1, **more: Any) -> dict[str, Any]:
    return {"cocoAnnotationID": "one", "pageno": number, "annotation": BOARD | more}


def dump(*records: Any) -> bytes:
    return b"\n".join(json.dumps(record).encode() for record in records)


@pytest.mark.parametrize("name", ["folder", "a.tar.gz", "a.zip", "a.jsonl"])
def test_pages_of_both_tools_are_two_sources(
    name: str, pack: Pack, ingest: Ingest, rows: Rows, tmp_path: Path
) -> None:
    content = dump(slots(), board(), ABOUT, board(2))
    path = tmp_path / name
    if name == "a.jsonl":
        path.write_bytes(content)
    else:
        pack(name, [("a.jsonl", content)])
    found = [source.content.name for source in find(str(path))]
    assert found == ["imagenet-pages", "coco-pages"]
    ingest(path)
    counts = (
        "SELECT dataset, count(*), count(annotator_id) FROM annotations GROUP BY ALL ORDER BY 1"
    )
    assert rows(counts) == [("coco-pages", 2, 2), ("imagenet-pages", 1, 1)]
    assert rows("SELECT DISTINCT image_id FROM annotations ORDER BY 1") == [
        ("9",),
        ("n01440764_1",),
    ]


def test_pages_of_both_tools_are_not_one_dataset(pack: Pack, ingest: Ingest, store: Path) -> None:
    source = pack("both", [("a.json", dump(slots())), ("b.json", dump(board()))])
    with pytest.raises(SeveralContents) as caught:
        ingest(source, dataset="mine")
    assert str(caught.value) == (
        "both holds imagenet-pages and coco-pages, each a dataset of its own, so not all of it is "
        "mine. Leave out `--dataset`, or put them into folders of their own"
    )
    assert not store.exists()
    ingest(pack("one", [("a.json", dump(slots()))]), dataset="mine")
    with pytest.raises(WrongTool):
        ingest(pack("other", [("a.json", dump(board()))]), dataset="mine")


def test_beside_xml_pages_are_skipped_and_beside_pages_pictures_are(
    pack: Pack, ingest: Ingest, real: bytes
) -> None:
    result = ingest(pack("old", [("a.json", dump(slots())), ("b.xml", real)]))
    assert (result.source.content, result.source.ledger.junk) == ("imagenet-ab", {"not-xml": 1})
    result = ingest(pack("new", [("a.json", dump(slots())), ("b.jpg", b""), ("._a.json", b"")]))
    assert result.source.content == "imagenet-pages"
    assert result.source.ledger.junk == {"appledouble": 1, "not-json": 1}


def test_annotation_records_may_be_sources_of_the_same_call(
    pack: Pack, ingest: Ingest, rows: Rows, tmp_path: Path
) -> None:
    (tmp_path / "pages.jsonl").write_bytes(dump(slots(), slots(2)))
    (tmp_path / "who.jsonl").write_bytes(dump(ABOUT))
    result = ingest(tmp_path / "who.jsonl", tmp_path / "pages.jsonl", keep_ids=True)
    assert result.source.name == "pages.jsonl"
    assert result.source.ledger.members["ok"] == 2
    assert rows("SELECT DISTINCT annotator_id, assignment_id FROM annotations") == [
        ("WORKERONE", "ASGA")
    ]
    assert not ingest(tmp_path / "pages.jsonl", tmp_path / "who.jsonl", keep_ids=True).is_new
    with pytest.raises(
        Exception, match=r"pages\.jsonl is in the store already, with other content"
    ):
        ingest(tmp_path / "pages.jsonl", keep_ids=True)


def test_annotation_records_alone_are_no_source(pack: Pack, ingest: Ingest, run: Run) -> None:
    source = pack("who", [("a.json", dump(ABOUT))])
    with pytest.raises(NoPages) as caught:
        ingest(source)
    assert str(caught.value) == (
        "who holds annotation records and no page. Name the pages with it: "
        "`abpipe ingest PAGES who`"
    )
    assert run("check", source)[0] == 0


def test_a_folder_of_coco_ab_is_told_to_name_the_file(tmp_path: Path, ingest: Ingest) -> None:
    sample = Path(__file__).parents[2] / "data/coco/coco_ab.json"
    (tmp_path / "coco").mkdir()
    (tmp_path / "coco/coco_ab.json").write_bytes(sample.read_bytes())
    with pytest.raises(NothingReadable) as caught:
        ingest(tmp_path / "coco")
    assert str(caught.value) == (
        "coco: no record could be read (60 rejected; the first: coco_ab.json, byte 1: it is a "
        "record of COCO-AB, which is read from its file alone: name that). Nothing of it was stored"
    )


def test_one_bad_record_costs_itself(pack: Pack, ingest: Ingest, rows: Rows) -> None:
    two = slots(3)
    two["annotations"] = [*two["annotations"], {"selected": True}, slots(4)["annotations"][0]]
    content = [
        dump(slots())[:-3],
        dump(slots(2), {"id": "x"}, two, ABOUT, ABOUT | {"workerID": "OTHER"}, slots(5)),
        b'{"pageno": NaN, "annotations": []}',
        dump(slots(6, selected="yes")),
    ]
    result = ingest(pack("a", [("a.jsonl", b"\n".join(content))]), keep_ids=True)
    assert rows("SELECT code, message FROM rejects ORDER BY reject_no") == [
        ("bad-json", "Expecting ',' delimiter at byte 137 of the record"),
        ("not-a-page", "it is neither a page nor an annotation record"),
        ("missing-id", "/annotations/1/imageID: nothing names the picture"),
        ("duplicate-id", "/id: an annotation record before it has the same"),
        ("not-a-number", "NaN is not JSON"),
        ("bad-type", "/annotations/0/selected: expected true or false, found 'yes'"),
    ]
    assert result.source.ledger.records == {
        "total": 10, "rows": 4, "duplicates": 0, "rejected": 6, "forgotten": 0
    }  # fmt: skip
    assert rows("SELECT page, slot FROM annotations ORDER BY ALL") == [
        (1, 0),
        (2, 0),
        (2, 2),
        (4, 0),
    ]


@pytest.mark.parametrize("name", ["folder", "a.tar", "a.zip"])
def test_a_broken_file_costs_itself(name: str, pack: Pack, ingest: Ingest, rows: Rows) -> None:
    whole = gzip.compress(dump(*map(slots, range(1, 40))))
    files = {
        "a.json": dump(slots()),
        "b.jsonl.gz": whole[:-9],
        "c.json": b"[" + dump(slots(90)),
        "d.json": b"",
        "e.json": b"[]",
        "f.json": dump(slots(91)),
    }
    result = ingest(pack(name, files.items()))
    assert rows("SELECT member, level, code FROM rejects ORDER BY 1") == [
        ("b.jsonl.gz", "member", "broken"),
        ("c.json", "member", "broken"),
    ]
    assert result.source.ledger.members == {"total": 6, "ok": 4, "junk": 0, "rejected": 2}
    pages = [page for (page,) in rows("SELECT page FROM annotations ORDER BY 1")]
    assert {0, 89, 90} <= {*pages}


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.jsonl.gz", "a.zip"])
def test_a_source_that_is_cut_off_is_an_error_and_kept_in_part_on_demand(
    name: str, pack: Pack, ingest: Ingest, rows: Rows, store: Path, tmp_path: Path
) -> None:
    content = dump(*map(slots, range(1, 3000)))
    path = tmp_path / name
    if name == "a.jsonl.gz":
        path.write_bytes(gzip.compress(content, 1))
    else:
        pack(name, [("a.jsonl", dump(slots(9999))), ("b.jsonl", content)])
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 3])
    with pytest.raises((BrokenSource, NothingReadable)):
        ingest(path)
    assert not store.exists()
    if name != "a.zip":  # its directory is at its end
        assert ingest(path, keep_partial=True).source.partial
        ((n,),) = rows("SELECT count(*) FROM annotations")
        assert 0 < n < 3000


def test_equal_pages_are_duplicates_and_others_of_nobody_are_no_conflicts(
    pack: Pack, ingest: Ingest, rows: Rows
) -> None:
    bare = {"page": slots() | {"id": "p"}, "endedAt": 5, "isDone": False}
    other = {"page": slots(selected=True) | {"id": "q"}, "endedAt": 9, "isDone": True}
    result = ingest(pack("a", [("a.json", dump(bare, other)), ("b.json", dump(bare))]))
    assert result.source.ledger.records["duplicates"] == 1
    assert result.source.ledger.conflicts == 0
    assert rows("SELECT count(*) FROM annotations") == [(2,)]
    assert rows("SELECT count(*) FROM conflicts") == [(0,)]
    assert rows("SELECT image_id, n_annotations, class_id FROM images") == [
        ("n01440764_1", 2, "n01440764")
    ]


def test_limits_count_records(pack: Pack, ingest: Ingest, rows: Rows) -> None:
    ingest(pack("a", [("a.json", dump(*map(slots, range(1, 9))))]), limit=3)
    assert rows("SELECT count(*) FROM annotations") == [(3,)]


def test_a_page_may_begin_with_any_field(tmp_path: Path, ingest: Ingest) -> None:
    (tmp_path / "a.jsonl").write_bytes(dump(*({"owner": 1} | slots(n) for n in range(1, 9))))
    result = ingest(tmp_path / "a.jsonl")
    assert (result.source.content, result.rows["annotations"]) == ("imagenet-pages", 8)
    assert result.source.ledger.extra == {"owner": 8}


def test_ids_are_hidden_or_kept_and_not_both(run: Run, ingest: Ingest, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="choose between pseudonymize and keep_ids"):
        ingest(tmp_path / "a", pseudonymize=True, keep_ids=True)
    code, _, err = run("ingest", tmp_path / "a", "--pseudonymize", "--keep-ids")
    assert code == 2
    assert "choose between --keep-ids and --pseudonymize" in err
