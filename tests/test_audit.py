from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import abpipe
from abpipe.errors import BrokenStore, MissingSource, NoStore
from abpipe.store import Store

Ingest = Callable[..., Any]
Pack = Callable[..., Path]
Run = Callable[..., tuple[int, str, str]]
Contents = Callable[[], dict[str, str]]
Xml = Callable[..., bytes]
Found = list[tuple[str, str, str, int]]
Change = Callable[[pa.Table], pa.Table]

#: What is said of the catalogs where the manifest names other files than they do.
OTHER_CATALOGS = [
    (
        "note",
        name,
        "missing, edited, or from before the store moved: whoever reads the store next makes it "
        "anew",
        1,
    )
    for name in ("catalog.sql", "catalog.duckdb")
]


@pytest.fixture
def some(pack: Pack, xml: Xml, ingest: Ingest) -> None:
    ingest(pack("a.tar", [(f"{n}.xml", xml(name=f"n01440764_{n}")) for n in range(3)]))


@pytest.fixture
def found(store: Path) -> Callable[..., Found]:
    """What a check finds, but for what records say of themselves: level, where, what, count."""

    def check(*sources: Path) -> Found:
        findings = abpipe.check(*sources, store=store, jobs=1)
        return [(f.level, f.where, f.what, f.count) for f in findings if f.share is None]

    return check


def file_of(store: Path, table: str) -> Path:
    (file,) = Store(store).manifest().files_of(table)
    return store / file.path


def forge(store: Path, table: str, change: Change) -> None:
    """Rewrite a table's file, and the manifest as if it had always been so."""
    path = file_of(store, table)
    old = pq.read_table(path)
    new = change(old)
    pq.write_table(new.cast(old.schema) if new.schema.names == old.schema.names else new, path)
    manifest = orjson.loads((store / "manifest.json").read_bytes())
    for entry in manifest["files"]:
        if entry["table"] == table:
            data = path.read_bytes()
            entry |= {
                "rows": new.num_rows,
                "bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
            }
    (store / "manifest.json").write_bytes(orjson.dumps(manifest))


def edited(column: str, values: list[Any]) -> Change:
    def change(table: pa.Table) -> pa.Table:
        at = table.column_names.index(column)
        return table.set_column(at, column, pa.array(values, table.schema.field(at).type))

    return change


def test_a_sound_store_has_no_findings_and_a_check_changes_nothing(
    some: None, found: Callable[..., Found], contents: Contents, run: Run
) -> None:
    before = contents()
    assert found() == []
    assert run("check")[0] == 0
    assert contents() == before


def test_many_records_are_compared_with_their_events_once_that_is_derived(
    some: None, found: Callable[..., Found], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("abpipe.audit.DERIVED_HERE", 2)
    what = "compare records with their events, in less memory: `abpipe derive audit traces`"
    assert found() == [("note", "annotations", what, 3)]
    abpipe.derive("audit", "traces", store=store, jobs=1)
    assert found() == []


def test_a_missing_file_is_an_error(
    some: None, found: Callable[..., Found], store: Path, run: Run
) -> None:
    path = file_of(store, "events")
    path.unlink()
    where = path.relative_to(store).as_posix()
    assert found() == [("error", where, "the manifest names this file, and it is missing", 1)]
    code, out, err = run("check")
    assert (code, err) == (1, "")
    assert "the manifest names this file, and it is missing" in out


def test_a_file_of_another_size_is_an_error(
    some: None, found: Callable[..., Found], store: Path
) -> None:
    path = file_of(store, "images")
    size = path.stat().st_size
    os.truncate(path, 100)
    where = path.relative_to(store).as_posix()
    assert found() == [("error", where, f"100 bytes, written {size:,}", 1)]


def test_a_changed_byte_is_an_error(some: None, found: Callable[..., Found], store: Path) -> None:
    path = file_of(store, "images")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    where = path.relative_to(store).as_posix()
    assert found() == [("error", where, "its bytes have changed since it was written", 1)]


def test_a_stray_file_is_a_warning(some: None, found: Callable[..., Found], store: Path) -> None:
    (store / "images/dataset=imagenet-ab/stray.parquet").touch()
    where = "images/dataset=imagenet-ab/stray.parquet"
    assert found() == [
        ("warning", where, "no manifest names this file; the next write removes it", 1)
    ]


@pytest.mark.parametrize(
    ("table", "change", "where", "what", "count"),
    [
        ("images", edited("image_id", ["n01440764_0"] * 3), "images",
         'its key ("dataset", "image_id", "source") is not unique', 1),
        ("images", edited("n_annotations", [1, 1, 2]), "images",
         "pictures whose n_annotations is not the number of their records", 1),
        ("annotations", edited("image_id", ["n01440764_0", "n01440764_1", "gone"]), "annotations",
         "records whose picture is not in images", 1),
        ("annotations", edited("tool", ["imagenet", "paint", "paint"]), "annotations",
         "breaks its promise: tool: tool IN ('imagenet', 'coco')", 2),
        ("events", edited("annotation_id", [(1 << 32) + 7] * 27), "events",
         "events whose record is not in annotations", 27),
        ("events", lambda t: t.drop_columns(["x"]), "events/",
         "its columns are not those that its schema declares", 1),
        ("annotations", lambda t: t.slice(1), "a.tar", "2 annotations, 3 in the ledger", 1),
    ],
    ids=["key", "count", "picture", "values", "record", "schema", "ledger"],
)  # fmt: skip
def test_rows_that_break_a_promise_are_errors(
    some: None, found: Callable[..., Found], store: Path,
    table: str, change: Change, where: str, what: str, count: int,
) -> None:  # fmt: skip
    forge(store, table, change)
    findings = found()
    assert ("error", what, count) in [
        (level, said, n) for level, place, said, n in findings if place.startswith(where)
    ]


def test_files_that_were_swapped_are_two_errors(
    some: None, found: Callable[..., Found], store: Path
) -> None:
    one, other = file_of(store, "images"), file_of(store, "objects")
    sizes = {path: path.stat().st_size for path in (one, other)}
    one.rename(store / "between")
    other.rename(one)
    (store / "between").rename(other)
    assert found() == [
        (
            "error",
            path.relative_to(store).as_posix(),
            f"{sizes[was]:,} bytes, written {sizes[path]:,}",
            1,
        )
        for path, was in ((one, other), (other, one))
    ]


def test_a_file_of_another_table_is_an_error_also_where_the_manifest_says_so(
    some: None, found: Callable[..., Found], store: Path
) -> None:
    other = pq.read_table(file_of(store, "objects"))
    forge(store, "images", lambda _: other)
    where = file_of(store, "images").relative_to(store).as_posix()
    assert found() == [("error", where, "its columns are not those that its schema declares", 1)]


def test_rows_and_bytes_that_the_manifest_tells_wrong_are_errors(
    some: None, found: Callable[..., Found], store: Path
) -> None:
    manifest = orjson.loads((store / "manifest.json").read_bytes())
    for entry in manifest["files"]:
        entry["rows"] += entry["table"] == "images"
        entry["bytes"] += entry["table"] == "events"
    (store / "manifest.json").write_bytes(orjson.dumps(manifest))
    events, images = file_of(store, "events"), file_of(store, "images")
    size = events.stat().st_size
    assert found() == [
        ("error", events.relative_to(store).as_posix(), f"{size:,} bytes, written {size + 1:,}", 1),
        ("error", images.relative_to(store).as_posix(), "3 rows, written 4", 1),
        ("error", "a.tar", "its files hold 4 rows of images, and 3 were written", 1),
    ]


def test_a_file_that_the_manifest_no_longer_names_is_told_of(
    some: None, found: Callable[..., Found], store: Path
) -> None:
    gone = file_of(store, "annotations").relative_to(store).as_posix()
    manifest = orjson.loads((store / "manifest.json").read_bytes())
    manifest["files"] = [f for f in manifest["files"] if f["table"] != "annotations"]
    (store / "manifest.json").write_bytes(orjson.dumps(manifest))
    assert found() == [
        ("warning", gone, "no manifest names this file; the next write removes it", 1),
        ("error", "imagenet-ab", "the manifest names no file of annotations", 1),
        ("error", "a.tar", "its files hold 0 rows of annotations, and 3 were written", 1),
        ("error", "a.tar", "0 annotations, 3 in the ledger", 1),
        *OTHER_CATALOGS,
    ]


def test_a_derived_table_that_is_out_of_step_is_told_of_and_not_read(
    some: None, found: Callable[..., Found], store: Path
) -> None:
    abpipe.derive("clicks", store=store, jobs=1)
    manifest = orjson.loads((store / "manifest.json").read_bytes())
    for entry in manifest["files"]:
        if entry["table"] == "clicks":
            entry["digest"] = "0" * 64
    (store / "manifest.json").write_bytes(orjson.dumps(manifest))
    where = file_of(store, "clicks").relative_to(store).as_posix()
    what = "made of other rows or by another version, and not read; anew: `abpipe derive`"
    assert found() == [("note", where, what, 1), *OTHER_CATALOGS]
    abpipe.derive("clicks", store=store, jobs=1)
    assert found() == []


def test_derived_rows_that_were_edited_are_errors_where_they_break_a_promise(
    some: None, found: Callable[..., Found], store: Path
) -> None:
    abpipe.derive("clicks", store=store, jobs=1)
    forge(store, "clicks", edited("n_clicks", [0, 1, 1]))
    assert found() == [("error", "clicks", "breaks its promise: n_clicks: n_clicks > 0", 1)]


def test_a_ledger_that_does_not_add_up_is_an_error(
    some: None, found: Callable[..., Found], store: Path
) -> None:
    manifest = orjson.loads((store / "manifest.json").read_bytes())
    manifest["sources"][0]["ledger"]["members"]["ok"] = 2
    (store / "manifest.json").write_bytes(orjson.dumps(manifest))
    sums = "{'total': 3, 'ok': 2, 'junk': 0, 'rejected': 0}"
    assert found() == [("error", "a.tar", f"the ledger's members do not add up: {sums}", 1)]


def test_rejects_are_warnings_and_unknown_fields_notes(
    pack: Pack, xml: Xml, ingest: Ingest, found: Callable[..., Found]
) -> None:
    ingest(
        pack(
            "a.tar", [("1.xml", xml(("<worker_id>", "<zoom>2</zoom><worker_id>"))), ("2.xml", b"")]
        )
    )
    assert found() == [
        ("warning", "a.tar", "rejected: empty", 1),
        ("note", "a.tar", "field without a column, kept in extra: zoom", 1),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            b"",
            "manifest.json is no JSON: "
            "Input is a zero-length, empty document: line 1 column 1 (char 0)",
        ),
        (b'{"format": 1}', "manifest.json misses or adds a field: 'sources'"),
    ],
)
def test_a_damaged_manifest_is_a_clear_error(
    some: None, run: Run, store: Path, text: bytes, why: str
) -> None:
    (store / "manifest.json").write_bytes(text)
    message = f"error: {store}: {why}. See what else is wrong: `abpipe check -s {store}`\n"
    assert run("check") == (1, "", message)
    with pytest.raises(BrokenStore):
        abpipe.connect(store)


def test_no_store_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoStore):
        abpipe.check(store=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_sources_are_looked_through_without_a_store(
    pack: Pack, xml: Xml, found: Callable[..., Found], store: Path
) -> None:
    odd = xml(("<worker_id>", "<zoom>2</zoom><worker_id>"), (">enter<", ">?<"))
    source = pack(
        "a.tar",
        [("1.xml", xml()), ("2.xml", odd), ("._1.xml", b""), ("3.xml", b""), ("4.xml", b"")],
    )
    assert found(source) == [
        ("note", "a.tar", "field without a column, kept in extra: hoveredRecord", 1),
        ("note", "a.tar", "field without a column, kept in extra: zoom", 1),
        ("note", "a.tar", "skipped as junk: appledouble", 1),
        ("warning", "a.tar", "rejected: empty", 2),
        ("note", "a.tar", "records that read well", 2),
    ]
    assert not store.exists()


def test_a_broken_source_is_an_error_that_says_how_far_it_goes(
    pack: Pack, xml: Xml, found: Callable[..., Found], run: Run
) -> None:
    source = pack("a.tar", [("1.xml", xml()), ("2.xml", xml(name="n_2"))])
    os.truncate(source, 5000)
    assert found(source) == [
        (
            "error",
            "a.tar",
            "the archive is cut off: it has no end marker (readable up to byte 3,072)",
            1,
        ),
        ("note", "a.tar", "records that read well", 1),
    ]
    assert run("check", source)[0] == 1


def test_a_source_of_pictures_without_annotators_is_no_error(
    pack: Pack, xml: Xml, found: Callable[..., Found]
) -> None:
    bare = xml()
    bare = bare[: bare.index(b"  <metadata>")] + b"</annotation>\n"
    assert found(pack("a.xml", [("a.xml", bare)])) == [
        ("note", "a.xml", "records that read well", 0)
    ]


def test_a_source_without_anything_good_is_an_error(
    pack: Pack, found: Callable[..., Found]
) -> None:
    assert found(pack("a.tar", [("1.xml", b"")])) == [
        ("warning", "a.tar", "rejected: empty", 1),
        ("error", "a.tar", "records that read well", 0),
    ]


def test_a_source_that_is_not_there_is_an_error(found: Callable[..., Found]) -> None:
    with pytest.raises(MissingSource):
        found(Path("gone.tar"))
