from __future__ import annotations

import ctypes
import gzip
import hashlib
import os
import resource
import signal
import subprocess
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

import abpipe
from abpipe.errors import (
    BadName,
    WrongFormat,
    WrongTool,
)

Faults = Callable[..., list[Any]]
Ingest = Callable[..., Any]
Pack = Callable[..., Path]
Rows = Callable[..., list[tuple[Any, ...]]]
Run = Callable[..., tuple[int, str, str]]
Start = Callable[..., subprocess.Popen[str]]
Contents = Callable[[], dict[str, str]]
Tar = Callable[..., bytes]
Xml = Callable[..., bytes]
Members = list[tuple[str, bytes]]

AS_IT_WAS = (
    "Nothing of it was stored. Fetch the file again, or keep what was readable: `--keep-partial`"
)
TABLES = ("images", "annotations", "events", "objects", "rejects", "classes", "pictures")
KEPT_OUT = {"classes": "", "events": "", "rejects": "EXCLUDE (source, member)", "pictures": ""}


@pytest.fixture
def few(xml: Xml) -> Members:
    """Some pictures of two annotators each, in sorted order."""
    workers = ("47DBDD543E", "0000000002")
    return [
        (f"train_xml/n{n}.xml", xml(name=f"n01440764_{n}", workers=workers)) for n in range(10, 40)
    ]


@pytest.fixture
def full(ingest: Ingest, pack: Pack, xml: Xml, contents: Contents) -> dict[str, str]:
    """A store that holds a source already; its content."""
    ingest(pack("before.tar", [("a.xml", xml(name="n01440764_1"))]))
    return contents()


def sums(ledger: Any) -> None:
    """A ledger's sums add up."""
    for kinds in (ledger.members, ledger.records):
        assert kinds["total"] == sum(n for kind, n in kinds.items() if kind != "total")


def everything(store: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of a store but where they came from, in the order they lie in."""
    with abpipe.connect(store) as connection:
        return {
            table: connection.execute(
                f"SELECT * {KEPT_OUT.get(table, 'EXCLUDE (source, member)')} FROM {table}"
            ).fetchall()
            for table in TABLES
        }


# -- broken sources: an error that says how far they were readable; the store is as it was ----


def cut_tar(pack: Pack, few: Members) -> Path:
    path = pack("a.tar", few)
    os.truncate(path, 20_000)
    return path


def cut_gzip(pack: Pack, few: Members) -> Path:
    path = pack("a.tar.gz", few)
    os.truncate(path, path.stat().st_size * 4 // 5)
    return path


def cut_zstd(pack: Pack, few: Members) -> Path:
    path = pack("a.tar.zst", few)
    os.truncate(path, path.stat().st_size - 10)
    return path


def cut_zip(pack: Pack, few: Members) -> Path:
    path = pack("a.zip", few)
    os.truncate(path, path.stat().st_size - 100)
    return path


def bad_checksum(pack: Pack, few: Members) -> Path:
    path = pack("a.tar", few)
    data = bytearray(path.read_bytes())
    data[data.index(b"train_xml/n20.xml") + 5] ^= 1
    path.write_bytes(data)
    return path


def bad_gzip_checksum(pack: Pack, few: Members) -> Path:
    path = pack("a.tar.gz", few)
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    return path


DAMAGE = "the compressed data is cut off or damaged: "
BROKEN = {
    "cut tar": (cut_tar, "the archive is cut off: it has no end marker"),
    "cut gzip": (
        cut_gzip,
        DAMAGE + "Compressed file ended before the end-of-stream marker was reached",
    ),
    "cut zstd": (cut_zstd, DAMAGE + "Truncated compressed stream"),
    "tar header": (bad_checksum, "a tar header is damaged: its checksum is wrong"),
    "gzip checksum": (bad_gzip_checksum, DAMAGE + "CRC check failed"),
}


@pytest.mark.parametrize(("breaks", "why"), BROKEN.values(), ids=BROKEN)
def test_a_broken_archive_leaves_the_store_as_it_was(
    breaks: Callable[..., Path], why: str, pack: Pack, few: Members, full: dict[str, str],
    run: Run, contents: Contents,
) -> None:  # fmt: skip
    code, out, err = run("ingest", breaks(pack, few))
    assert (code, out) == (1, "")
    assert err.startswith(f"error: a.tar{'' if err[12] == ':' else err[12:].split(':')[0]}: {why}")
    assert "(readable up to byte " in err
    assert err.endswith(f"). {AS_IT_WAS}\n")
    assert contents() == full


@pytest.mark.parametrize(("breaks", "why"), BROKEN.values(), ids=BROKEN)
def test_keep_partial_keeps_what_was_readable_and_marks_it(
    breaks: Callable[..., Path], why: str, pack: Pack, few: Members, ingest: Ingest,
    store: Path, tmp_path: Path, faults: Faults) -> None:  # fmt: skip
    found = ingest(breaks(pack, few), keep_partial=True)
    assert found.source.partial.startswith(why)
    sums(found.source.ledger)
    n = found.rows["images"]
    assert 3 <= n <= 30
    ingest(pack("whole.tar", few[:n]), store=tmp_path / "whole")
    assert everything(store) == everything(tmp_path / "whole")
    (finding,) = [f for f in faults() if f.level == "warning"]
    assert finding.what == f"only the readable part was kept: {found.source.partial}"


def test_the_message_says_how_far_a_tar_was_readable(pack: Pack, few: Members, run: Run) -> None:
    assert run("ingest", bad_checksum(pack, few)) == (
        1, "",
        "error: a.tar: a tar header is damaged: its checksum is wrong "
        f"(readable up to byte 51,200, in train_xml/n19.xml). {AS_IT_WAS}\n",
    )  # fmt: skip


def test_a_zip_without_its_directory_is_broken(
    pack: Pack, few: Members, full: dict[str, str], run: Run, contents: Contents
) -> None:
    assert run("ingest", cut_zip(pack, few)) == (
        1, "",
        "error: a.zip: the zip archive is cut off or damaged: File is not a zip file "
        f"(readable up to byte 0). {AS_IT_WAS}\n",
    )  # fmt: skip
    assert contents() == full


def test_a_broken_archive_makes_no_store(pack: Pack, few: Members, run: Run, store: Path) -> None:
    assert run("ingest", cut_tar(pack, few))[0] == 1
    assert not store.exists()


HTML = b"<!doctype html><html><body>404: not found</body></html>"
EXPECTED = (
    "Expected ImageNet-AB (XML files in a folder, tar or zip), COCO-AB (JSON), page records "
    "(JSON, also in a folder, tar or zip), all compressed or not, or a folder of pictures"
)


@pytest.mark.parametrize(
    ("name", "members", "message"),
    [
        ("a.xml", [("a.xml", b"")], f"a.xml: the file is empty. {EXPECTED}"),
        ("a.xml", [("a.xml", HTML)],
         f"a.xml: it is an HTML page, as a failed download leaves it. Fetch it again. {EXPECTED}"),
        ("a", [("README", b"")],
         "a: the folder holds neither XML files nor page records nor pictures. " + EXPECTED),
        ("a.tar", [("a.xml", b"<html/>"), ("b.xml", b"")],
         "a.tar: no record could be read (2 rejected; the first: a.xml, byte 0: "
         "the file holds <html>, not <annotation>). Nothing of it was stored"),
        ("a.xml", [("a.xml", b"<annotation>")],
         "a.xml: no record could be read (1 rejected; the first: a.xml, byte 12: "
         "not well-formed XML: no element found, line 1). Nothing of it was stored"),
    ],
    ids=["empty", "html", "no xml", "nothing good", "one bad file"],
)  # fmt: skip
def test_a_source_without_anything_good_is_an_error(
    name: str, members: Members, message: str, pack: Pack, full: dict[str, str],
    run: Run, contents: Contents,
) -> None:  # fmt: skip
    assert run("ingest", pack(name, members)) == (1, "", f"error: {message}\n")
    assert contents() == full


def test_a_failed_download_is_named_whatever_it_is_called(pack: Pack, run: Run) -> None:
    page = pack("a.xml", [("a.xml", HTML)]).rename(
        pack("b.xml", [("", b"")]).with_name("ab.tar.gz")
    )
    said = "it is an HTML page, as a failed download leaves it. Fetch it again"
    assert run("ingest", page) == (1, "", f"error: ab.tar.gz: {said}. {EXPECTED}\n")


def test_a_path_that_names_nothing_is_an_error(run: Run, store: Path) -> None:
    message = "error: gone.tar does not exist. Check the path, or quote a glob\n"
    assert run("ingest", "gone.tar") == (1, "", message)
    assert not store.exists()


# -- bad members and records: rejects, and the rest goes on ------------------------------------

ENTITIES = "".join(f'<!ENTITY {chr(c)} "{f"&{chr(c - 1)};" * 10}">' for c in range(98, 123))
BOMB = f'<!DOCTYPE l [<!ENTITY a "x">{ENTITIES}]>\n<annotation>&z;'

MEMBERS = {
    "entity bomb": (("<annotation>", BOMB), "doctype"),
    "deep nesting": (("<folder>", "<a>" * 100_000 + "</a>" * 100_000 + "<folder>"), "too-deep"),
    "no id": (("<filename>n01440764_7</filename>", ""), "missing-id"),
    "blank id": (("<filename>n01440764_7<", "<filename><"), "missing-id"),
    "unknown encoding": (
        ("<annotation>", '<?xml version="1.0" encoding="ebcdic-x"?><annotation>'),
        "bad-xml",
    ),
    "no end of the head": (("</folder>", ""), "bad-xml"),
}

RECORDS = {
    "NaN": (("<x>0.5401234567901234<", "<x>NaN<"), "bad-number"),
    "Infinity": (("<y>0.4732510288065844<", "<y>-Infinity<"), "bad-number"),
    "beyond 64 bits": ((">341<", ">9223372036854775808<"), "int-overflow"),
    "duplicate": (
        ("<selected>True", "<selected>False</selected><selected>True"),
        "duplicate-field",
    ),
    "boolean": (("<selected>True", "<selected>1"), "bad-boolean"),
    "structure": (("<page_idx>9", "<page_idx><a>9</a>"), "bad-structure"),
    "broken tag": (("</hit_id>", "</hit>"), "bad-xml"),
}


@pytest.mark.parametrize(("edit", "code"), MEMBERS.values(), ids=MEMBERS)
def test_a_bad_member_is_a_reject_and_the_rest_goes_on(
    edit: tuple[str, str], code: str, pack: Pack, xml: Xml, few: Members, ingest: Ingest,
    rows: Rows,
) -> None:  # fmt: skip
    bad = xml(edit, name="n01440764_7")
    found = ingest(pack("a.tar", [few[0], ("bad.xml", bad), few[1]])).source.ledger
    sums(found)
    assert found.members == {"total": 3, "ok": 2, "junk": 0, "rejected": 1}
    assert found.rejects == {code: 1}
    assert rows("SELECT member, level, code, raw_bytes, raw_sha256 FROM rejects") == [
        ("bad.xml", "member", code, len(bad), hashlib.sha256(bad).hexdigest())
    ]
    assert rows("SELECT image_id FROM images") == [("n01440764_10",), ("n01440764_11",)]


@pytest.mark.parametrize(("edit", "code"), RECORDS.values(), ids=RECORDS)
def test_one_bad_record_beside_a_good_one_is_a_reject(
    edit: tuple[str, str], code: str, pack: Pack, xml: Xml, few: Members, ingest: Ingest,
    rows: Rows,
) -> None:  # fmt: skip
    good, bad = xml(workers=["0000000002"]), xml(edit)
    at, end = bad.index(b"  <metadata>"), bad.index(b"</annotation>")
    both = good.replace(b"</annotation>", bad[at:end] + b"</annotation>")
    found = ingest(pack("a.tar", [few[0], ("bad.xml", both)])).source.ledger
    sums(found)
    assert found.members == {"total": 2, "ok": 2, "junk": 0, "rejected": 0}
    assert found.records == {"total": 4, "rows": 3, "duplicates": 0, "rejected": 1, "forgotten": 0}
    assert rows("SELECT level, code, raw FROM rejects") == [("record", code, bad[at + 2 : end - 1])]
    of = "image_id = 'n01440764_105'"
    assert rows(f"SELECT annotator_id FROM annotations WHERE {of}") == [("0000000002",)]
    assert rows(f"SELECT n_annotations FROM images WHERE {of}") == [(1,)]
    assert rows(f"SELECT count(*), count(DISTINCT annotation_id) FROM events WHERE {of}") == [
        (9, 1)
    ]


def test_invalid_utf_8_costs_the_record_that_it_is_in(
    pack: Pack, xml: Xml, ingest: Ingest, rows: Rows
) -> None:
    data = xml(workers=["A@@B", "0000000002"]).replace(b"@@", b"\xff\xfe")
    assert ingest(pack("a.tar", [("a.xml", data)])).rows["annotations"] == 1
    assert rows("SELECT level, code FROM rejects") == [("record", "bad-xml")]


def test_an_empty_file_is_a_rejected_member(pack: Pack, few: Members, ingest: Ingest) -> None:
    for name in ("a.tar", "b.zip", "c"):
        found = ingest(pack(name, [*few[:2], ("z.xml", b"")])).source.ledger
        assert (found.members["rejected"], found.rejects) == (1, {"empty": 1})


def test_a_zip_member_with_a_wrong_crc_is_a_reject(
    tmp_path: Path, few: Members, ingest: Ingest, rows: Rows
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, content in few[:3]:
            archive.writestr(name, content)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[data.index(b"<database>") + 12] ^= 1
    (tmp_path / "a.zip").write_bytes(data)
    found = ingest(tmp_path / "a.zip")
    assert found.source.ledger.members == {"total": 3, "ok": 2, "junk": 0, "rejected": 1}
    assert rows("SELECT member, level, code, message FROM rejects") == [
        ("train_xml/n10.xml", "member", "bad-zip-member",
         "the member cannot be read: Bad CRC-32 for file 'train_xml/n10.xml'")
    ]  # fmt: skip


def test_rejects_are_a_warning_until_there_are_more_than_allowed(
    pack: Pack, few: Members, full: dict[str, str], run: Run, contents: Contents
) -> None:
    source = pack("a.tar", [few[0], ("bad.xml", b""), ("worse.xml", b"<html/>")])
    assert run("ingest", source, "--max-rejects", 1) == (
        1, "",
        "error: a.tar: 2 rejects, 1 allowed by --max-rejects (the first: bad.xml, byte 0: "
        "the file is empty). Nothing of it was stored\n",
    )  # fmt: skip
    assert contents() == full
    code, out, err = run("ingest", source, "--max-rejects", 2)
    assert (code, err) == (0, "")
    assert "rejected: not-annotation" in out


# -- the same again -----------------------------------------------------------------------------


def test_the_same_source_again_changes_nothing(
    pack: Pack, few: Members, run: Run, contents: Contents
) -> None:
    source = pack("a.tar.gz", few)
    assert run("ingest", source)[0] == 0
    before = contents()
    code, _, err = run("ingest", source)
    assert (code, err) == (0, "a.tar.gz is in the store already: nothing changed\n")
    assert contents() == before


def test_a_changed_source_needs_to_be_replaced_and_keeps_its_number(
    pack: Pack, few: Members, full: dict[str, str], run: Run, ingest: Ingest,
    contents: Contents, rows: Rows,
) -> None:  # fmt: skip
    ingest(pack("a.tar", few[:2]))
    ingest(pack("z.tar", few[10:12]))
    before = contents()
    changed = pack("a.tar", few[:3])
    rest = "Replace it: `--replace`. If it is another source, rename the file or folder\n"
    assert run("ingest", changed) == (
        1, "", f"error: a.tar is in the store already, with other content. {rest}"
    )  # fmt: skip
    assert contents() == before
    found = ingest(changed, replace=True)
    assert (found.source.source_no, found.rows["images"], found.is_new) == (2, 3, True)
    assert run("ingest", changed, "--limit", 1) == (
        1, "", f"error: a.tar is in the store already, with other options. {rest}"
    )  # fmt: skip
    numbers = "SELECT source, count(*), min(annotation_id) >> 32 AS no FROM annotations GROUP BY 1"
    assert rows(f"{numbers} ORDER BY no") == [
        ("before.tar", 1, 1), ("a.tar", 6, 2), ("z.tar", 4, 3),
    ]  # fmt: skip


def test_replacing_the_only_source_keeps_the_classes(
    pack: Pack, few: Members, ingest: Ingest, rows: Rows
) -> None:
    ingest(pack("a.tar", few[:1]))
    ingest(pack("a.tar", few[:2]), replace=True)
    assert rows("SELECT count(*) FROM classes") == [(1000,)]


@pytest.mark.parametrize("second", ["train", "b.zip", "b.tar.zst", "b.tar"])
def test_the_same_content_under_another_name_adds_no_rows(
    second: str, pack: Pack, few: Members, ingest: Ingest, store: Path
) -> None:
    ingest(pack("a.tar.gz", few))
    before = everything(store)
    found = ingest(pack(second, few))
    assert everything(store) == before
    assert found.rows == dict.fromkeys(found.rows, 0)
    assert found.source.ledger.records == {
        "total": 60, "rows": 0, "duplicates": 60, "rejected": 0, "forgotten": 0,
    }  # fmt: skip
    assert found.source.ledger.members["ok"] == 30


def test_the_same_member_twice_is_a_counted_duplicate(
    pack: Pack, few: Members, ingest: Ingest, store: Path, tmp_path: Path
) -> None:
    found = ingest(pack("a.tar", [few[0], few[0], few[1]])).source.ledger
    assert (found.members["ok"], found.records["rows"], found.records["duplicates"]) == (3, 4, 2)
    ingest(pack("b.tar", few[:2]), store=tmp_path / "once")
    twice, once = everything(store), everything(tmp_path / "once")
    for table in ("events", "annotations"):
        place = 0  # annotation_id counts the duplicates, too
        assert [row[place + 1 :] for row in twice[table]] == [
            row[place + 1 :] for row in once[table]
        ]
    assert twice["objects"] == once["objects"]
    assert [row[:7] for row in twice["images"]] == [row[:7] for row in once["images"]]


def test_the_same_picture_with_other_records_keeps_both_and_counts_them(
    pack: Pack, xml: Xml, ingest: Ingest, rows: Rows, store: Path, faults: Faults
) -> None:
    other = xml(("<time>1641425052319</time>", "<time>1641425052320</time>"))
    found = ingest(pack("a.tar", [("a.xml", xml()), ("b.xml", other)])).source.ledger
    assert (found.records["rows"], found.records["duplicates"], found.conflicts) == (2, 0, 2)
    assert rows("SELECT image_id, n_annotations FROM images") == [("n01440764_105", 2)]
    assert rows("SELECT count(*), count(DISTINCT first_annotation_id) FROM conflicts") == [(2, 1)]
    assert [f.level for f in faults()] == ["warning"]


def test_the_same_picture_of_another_annotator_joins_the_first(
    pack: Pack, xml: Xml, ingest: Ingest, rows: Rows
) -> None:
    ingest(pack("a.tar", [("a.xml", xml()), ("b.xml", xml(workers=["0000000002"]))]))
    assert rows("SELECT image_id, n_annotations FROM images") == [("n01440764_105", 2)]
    assert rows("SELECT count(*) FROM objects") == [(1,)]
    assert rows("SELECT count(*) FROM conflicts") == [(0,)]


# -- one content, many containers and workers ---------------------------------------------------


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.zst", "a.zip", "a"])
def test_every_container_gives_the_same_rows(
    name: str, pack: Pack, few: Members, ingest: Ingest, store: Path, tmp_path: Path
) -> None:
    members = [*few, ("train_xml/n50.xml", b"<annotation>"), ("train_xml/x/._n10.xml", b"\0")]
    ingest(pack("b.tar", members))
    found = ingest(pack(name, members), store=tmp_path / "other")
    assert everything(store) == everything(tmp_path / "other")
    assert found.source.ledger.members == {"total": 32, "ok": 30, "junk": 1, "rejected": 1}
    assert found.source.ledger.junk == {"appledouble": 1}


def test_a_single_file_gives_the_same_rows(
    pack: Pack, few: Members, ingest: Ingest, store: Path, tmp_path: Path
) -> None:
    ingest(pack("a.tar", few[:1]))
    ingest(pack("a.xml", few[:1]), store=tmp_path / "other")
    assert everything(store) == everything(tmp_path / "other")


def hashes(store: Path) -> list[tuple[str, str]]:
    """The hash of each table's file, as the manifest names them."""
    files = orjson.loads((store / "manifest.json").read_bytes())["files"]
    return [(file["table"], file["sha256"]) for file in files]


def test_any_number_of_processes_writes_the_same_bytes(
    pack: Pack,
    few: Members,
    ingest: Ingest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("abpipe.parallel.BLOCK_BYTES", 1 << 14)  # many blocks of a small source
    odd = [(f"odd{i}.xml", few[i][1].replace(b">True<", b">true<", 1)) for i in range(10, 20)]
    source = pack("a.tar.gz", [*few, ("README", b"x" * 40_000), *odd, ("empty.xml", b"")])
    written = []
    for jobs in (1, 2, 3):
        ingest(source, jobs=jobs, store=tmp_path / str(jobs))
        written.append(hashes(tmp_path / str(jobs)))
    assert written[0] == written[1] == written[2]


def test_any_number_of_processes_keeps_the_same_part_of_a_broken_source(
    pack: Pack,
    few: Members,
    ingest: Ingest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("abpipe.parallel.BLOCK_BYTES", 1 << 14)
    source, written = cut_gzip(pack, few * 3), []
    for jobs in (1, 3):
        ingest(source, jobs=jobs, store=tmp_path / str(jobs), keep_partial=True)
        written.append(hashes(tmp_path / str(jobs)))
    assert written[0] == written[1]


def test_limit_reads_the_first_files_only_and_is_kept_in_the_manifest(
    pack: Pack, few: Members, ingest: Ingest, rows: Rows
) -> None:
    found = ingest(cut_gzip(pack, few), limit=3)  # what lies behind them does not matter
    assert (found.rows["images"], found.source.options) == (3, {"limit": 3})
    assert rows("SELECT image_id FROM images") == [(f"n01440764_{n}",) for n in (10, 11, 12)]


# -- names ---------------------------------------------------------------------------------------

NAMES = [
    "../../etc/passwd.xml",
    "/etc/passwd.xml",
    "a\nb.xml",
    "c" * 4000 + ".xml",
    "..xml",
    "a/../../../b.xml",
    "\x1b[2J.xml",
    "$(touch x).xml",
    "'; DROP TABLE images;.xml",
    b"\xff\xe9.xml".decode("utf-8", "surrogateescape"),
]


def test_nothing_is_written_outside_the_store_whatever_a_member_is_called(
    tmp_path: Path, pack: Pack, tar: Tar, xml: Xml, ingest: Ingest, rows: Rows, store: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    source = tmp_path / "a.tar"
    source.write_bytes(tar([(name, xml(name=f"n01440764_{i}")) for i, name in enumerate(NAMES)]))
    ingest(source)
    spelled = [*NAMES[:-1], "\\xff\\xe9.xml"]
    assert rows("SELECT member FROM images") == [(name,) for name in spelled]
    outside = {p for p in tmp_path.rglob("*") if not p.is_relative_to(store)}
    assert outside == {source, tmp_path / "cwd"}


def test_identifiers_are_data_not_paths(
    tmp_path: Path, pack: Pack, xml: Xml, ingest: Ingest, rows: Rows, store: Path
) -> None:
    evil = "../../../../etc/passwd"
    ingest(pack("a.tar", [("a.xml", xml(name=evil))]))
    assert rows("SELECT image_id FROM images") == [(evil,)]
    assert {p.name for p in tmp_path.iterdir()} == {"a.tar", "store"}


@pytest.mark.parametrize(
    "name", ["", "-a", "A", "1a", "a_b", "a/b", "../a", "a" * 41, "é", "a\n", "a b"]
)
def test_names_of_datasets_are_plain(name: str, pack: Pack, few: Members, ingest: Ingest) -> None:
    with pytest.raises(BadName) as error:
        ingest(pack("a.tar", few), dataset=name)
    assert str(error.value) == (
        f"{name!r} is no name for a dataset: up to 40 of a-z, 0-9 and -, a letter first, "
        "as in my-pages"
    )


def test_a_dataset_holds_one_tool(pack: Pack, few: Members, ingest: Ingest, tmp_path: Path) -> None:
    ingest(pack("a.tar", few[:1]), dataset="mine")
    (tmp_path / "b.json").write_bytes(b"[]")
    for dataset in ("mine", "imagenet-ab"):
        with pytest.raises(WrongTool) as error:
            ingest(tmp_path / "b.json", dataset=dataset)
        assert str(error.value) == (
            f"b.json: the dataset {dataset} holds records of the imagenet tool only. "
            "Choose another: `--dataset NAME`"
        )


# -- the store ------------------------------------------------------------------------------------


def test_a_store_of_another_format_is_refused(
    full: dict[str, str],
    pack: Pack,
    few: Members,
    store: Path,
    run: Run,
    contents: Contents,
) -> None:
    manifest = store / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"format": 1', b'"format": 2'))
    before = contents()
    message = (
        f"error: {store}: the store has format 2, this abpipe reads 1. Use the abpipe that wrote "
        "it (`written_by` in manifest.json), or ingest the sources again into a new store\n"
    )
    for command in (["ingest", pack("a.tar", few)], ["info"], ["sql", "SELECT 1"], ["check"],
                    ["forget", "--source", "before.tar"]):  # fmt: skip
        assert run(*command) == (1, "", message)
    assert contents() == before
    with pytest.raises(WrongFormat) as error:
        abpipe.connect(store)
    assert (error.value.found, error.value.expected) == (2, 1)


def test_what_a_crash_left_behind_is_swept_by_the_next_write(
    full: dict[str, str],
    pack: Pack,
    few: Members,
    store: Path,
    ingest: Ingest,
    rows: Rows,
    faults: Faults,
) -> None:
    left = [store / "images/dataset=imagenet-ab" / name for name in ("x.parquet", "x.parquet.tmp")]
    left.append(store / "events/dataset=gone/x.parquet.tmp")
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"left behind")
    (store / "images/dataset=imagenet-ab/notes.txt").touch()
    assert rows("SELECT count(*) FROM images") == [(1,)]
    ingest(pack("a.tar", few))
    assert not any(path.exists() for path in left)
    assert not (store / "events/dataset=gone").exists()
    assert (store / "images/dataset=imagenet-ab/notes.txt").exists()
    assert faults() == []


def test_an_open_connection_still_reads_what_it_has_not_read_yet(
    full: dict[str, str], pack: Pack, few: Members, store: Path, ingest: Ingest
) -> None:
    with abpipe.connect(store) as connection:
        count = "SELECT count(*) FROM images"
        assert connection.execute(count).fetchone() == (1,)
        ingest(pack("a.tar", few))
        assert connection.execute(count).fetchone() == (1,)
    with abpipe.connect(store) as connection:
        assert connection.execute(count).fetchone() == (31,)


# -- storage, interrupts, memory -----------------------------------------------------------------


def small_files(limit: int) -> Callable[[], None]:
    """Makes a process that can write files of some bytes only, as on a full disk."""

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return prepare


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def storage(store: Path, why: str) -> str:
    return (
        f"error: {store}: cannot write: {why}. Nothing of it was stored. "
        "Free space or allow writing, or choose another folder: `--store STORE`\n"
    )


def test_no_room_for_a_file_leaves_the_store_as_it_was(
    full: dict[str, str],
    pack: Pack,
    few: Members,
    store: Path,
    process: Start,
    contents: Contents,
) -> None:
    started = process("ingest", pack("a.tar", few), "--jobs", 1, preexec_fn=small_files(4000))
    assert finished(started) == (1, "", storage(store, "File too large"))
    assert contents() == full


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_a_full_disk_leaves_the_store_as_it_was(
    pack: Pack,
    few: Members,
    xml: Xml,
    ingest: Ingest,
    store: Path,
    process: Start,
    contents: Contents,
) -> None:
    store.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", store], check=False
    ).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        ingest(pack("before.tar", [("a.xml", xml())]))
        filler = store / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(4096))
        os.truncate(filler, filler.stat().st_size - 16_384)  # files are begun, none is finished
        before = contents()
        code, out, err = finished(process("ingest", pack("a.tar", few), "--jobs", 1))
        assert (code, out, err) == (1, "", storage(store, "No space left on device"))
        assert contents() == before
    finally:
        subprocess.run(["umount", store], check=True)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everyone may enter, as those of pytest are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def without_privilege() -> None:
    """Makes root subject to permissions: it drops CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in (1, 2):
            assert libc.prctl(24, capability, 0, 0, 0) == 0


def test_no_permission_to_write_is_an_error(
    public: Path, pack: Pack, few: Members, process: Start, ingest: Ingest
) -> None:
    source = pack("a.tar", few).rename(public / "a.tar")
    ingest(source, store=public / "store")
    before = hashes(public / "store")
    other = public / "b.tar"
    other.write_bytes(source.read_bytes())
    for path in (public / "store").rglob("*"):
        path.chmod(path.stat().st_mode & ~0o222)
    (public / "store").chmod(0o555)
    started = process("ingest", other, "-j", 1, at=public / "store", preexec_fn=without_privilege)
    code, out, err = finished(started)
    (public / "store").chmod(0o755)
    assert (code, out) == (1, "")
    assert err.endswith(
        "cannot write: Permission denied. Nothing of it was stored. "
        "Free space or allow writing, or choose another folder: `--store STORE`\n"
    )
    assert hashes(public / "store") == before


def test_no_permission_to_read_is_an_error(
    public: Path, pack: Pack, few: Members, process: Start
) -> None:
    source = pack("a.tar", few).rename(public / "a.tar")
    source.chmod(0)
    code, out, err = finished(process("ingest", source, "-j", 1, preexec_fn=without_privilege))
    assert (code, out) == (1, "")
    assert err.startswith("error: a.tar: it cannot be read: Permission denied")


def test_a_file_that_may_not_be_read_is_a_reject_of_its_folder(
    public: Path, pack: Pack, few: Members, process: Start
) -> None:
    folder = pack("a", few[:3]).rename(public / "a")
    (folder / few[0][0]).chmod(0)
    (public / "out").mkdir(mode=0o777)
    (public / "out").chmod(0o777)
    started = process(
        "ingest", folder, "-j", 1, "--json", at=public / "out/store", preexec_fn=without_privilege
    )
    code, out, err = finished(started)
    assert (code, err) == (0, "")
    ((found,),) = [orjson.loads(out)]
    assert found["source"]["ledger"]["rejects"] == {"unreadable": 1}
    assert found["rows"]["images"] == 2


def repeated(path: Path, head: bytes, body: bytes, n: int, tail: bytes) -> Path:
    """A gzip of which the middle repeats `n` times, without ever being in memory."""
    packed = gzip.compress(body, 1)
    with path.open("wb") as file:
        file.write(gzip.compress(head))
        for _ in range(n):
            file.write(packed)
        file.write(gzip.compress(tail))
    return path


def header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def test_a_member_of_10_gigabytes_of_zeros_costs_no_memory(
    tmp_path: Path, tar: Tar, few: Members, process: Start, rows: Rows
) -> None:
    first, size = tar(few[:1])[:-1024].rstrip(b"\0"), 160 << 26
    first += bytes(-len(first) % 512) + header("zeros.xml", size)
    source = repeated(tmp_path / "a.tar.gz", first, bytes(1 << 26), 160, tar(few[1:2]))
    started = process("ingest", source, "--jobs", 1)
    watched, peak = psutil.Process(started.pid), 0
    while started.poll() is None:  # ru_maxrss would count what this process had when it forked
        with suppress(psutil.Error):
            peak = max(peak, watched.memory_info().rss)
        time.sleep(0.01)
    assert (started.returncode, peak < 500e6) == (0, True)
    assert rows("SELECT image_id FROM images") == [("n01440764_10",), ("n01440764_11",)]
    ((member, code, message, kept, size_told),) = rows(
        "SELECT member, code, message, octet_length(raw), raw_bytes FROM rejects"
    )
    assert (member, code, kept, size_told) == ("zeros.xml", "too-large", 1 << 20, size)
    assert message == "10,737,418,240 bytes; a member may have 67,108,864"


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_leaves_the_store_as_it_was_and_nothing_behind(
    jobs: int, full: dict[str, str], tmp_path: Path, tar: Tar, xml: Xml, process: Start,
    store: Path, contents: Contents, shared_memory: Callable[[int], set[Path]],
) -> None:  # fmt: skip
    files = [(f"{n}.xml", xml(name=f"n01440764_{n}")) for n in range(600)]
    body = tar(files).rstrip(b"\0")
    source = repeated(tmp_path / "a.tar.gz", b"", body + bytes(-len(body) % 512), 3000, bytes(1024))
    started = process("ingest", source, "--jobs", jobs, start_new_session=True)
    try:
        while not list(store.glob("*/*/*.tmp")):
            assert started.poll() is None, started.communicate()
            time.sleep(0.02)
        time.sleep(0.7)
        mapped = shared_memory(started.pid)
        assert bool(mapped) == (jobs > 1)
        os.killpg(started.pid, signal.SIGINT)  # a terminal tells all processes
        assert finished(started) == (130, "", "interrupted: what was not finished was not stored\n")
        assert contents() == full
        assert not any(path.exists() for path in mapped)
        with pytest.raises(ProcessLookupError):
            for _ in range(100):
                os.killpg(started.pid, 0)
                time.sleep(0.02)
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)


@pytest.mark.parametrize("content", [b"<annotation/>", b'{"page": {}}'])
def test_a_zip_member_without_a_name_is_no_crash(
    content: bytes, pack: Pack, few: Members, tmp_path: Path
) -> None:
    members = few if content.startswith(b"<") else [("a.json", content)]
    path = pack("a.zip", members)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x", content)
        archive.infolist()[-1].filename = ""  # as its directory tells
    found = {finding.what: finding.count for finding in abpipe.check(path, jobs=1)}
    assert sum(n for what, n in found.items() if what.startswith(("skipped", "rejected"))) >= 1
