"""What `abpipe check` says of a store that was tampered with, in one list.

It sees what went wrong by accident, and what was edited in one place. It is no seal: whoever edits
a table and has the manifest say so is told of only where rows break a promise or put others out of
date.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import abpipe

Xml = Callable[..., bytes]
Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def sound(tar: Callable[..., bytes], xml: Xml, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of two sources of two records each, and of one derived table."""
    folder = tmp_path_factory.mktemp("sound")
    for name, numbers in (("a.tar", (1, 2)), ("b.tar", (3, 4))):
        members = [(f"{n}.xml", xml(name=f"n01440764_{n}")) for n in numbers]
        (folder / name).write_bytes(tar(members))
        abpipe.ingest(folder / name, store=folder / "store", jobs=1)
    abpipe.derive("clicks", store=folder / "store", jobs=1)
    return folder / "store"


@pytest.fixture
def tampered(sound: Path, tmp_path: Path) -> Path:
    """The same store in another place, with catalogs of its own."""
    store = Path(shutil.copytree(sound, tmp_path / "store"))
    abpipe.connect(store).close()
    return store


def told(store: Path, edit: Callable[[Manifest], object]) -> None:
    """Edit the manifest."""
    manifest = orjson.loads((store / "manifest.json").read_bytes())
    edit(manifest)
    (store / "manifest.json").write_bytes(orjson.dumps(manifest))


def entries(manifest: Manifest, table: str) -> list[Manifest]:
    """The files of a table, by their sources."""
    found = [entry for entry in manifest["files"] if entry["table"] == table]
    return sorted(found, key=lambda entry: entry["source_no"] or 0)


def path(store: Path, table: str, number: int = 0) -> Path:
    """A table's file of the first or second source."""
    manifest = orjson.loads((store / "manifest.json").read_bytes())
    return store / str(entries(manifest, table)[number]["path"])


def gone(store: Path, table: str, *numbers: int, is_kept: bool = False) -> None:
    """Remove files and their entries, or the entries alone."""
    paths = [path(store, table, number) for number in numbers]
    for one in () if is_kept else paths:
        one.unlink()
    names = {one.relative_to(store).as_posix() for one in paths}
    told(store, lambda m: m.update(files=[f for f in m["files"] if f["path"] not in names]))


def edited(
    store: Path, table: str, column: str, value: Callable[[Any], Any], is_told: bool = True
) -> None:
    """Edit a column of a file, and have the manifest say so or not."""
    at = path(store, table)
    rows = pq.read_table(at)
    new = pc.cast(value(rows[column]), rows.schema.field(column).type)
    field = rows.schema.field(column)  # with whether it may be NULL
    pq.write_table(rows.set_column(rows.column_names.index(column), field, new), at)
    data = at.read_bytes()
    if is_told:
        now = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        told(store, lambda m: entries(m, table)[0].update(now))


def swapped(store: Path, table: str, is_told: bool = False) -> None:
    """Have the two sources' files of a table change places, or owners."""
    if is_told:
        told(store, partial(_other_owners, table=table))
        return
    one, other = path(store, table), path(store, table, 1)
    before = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(before)


def _other_owners(manifest: Manifest, table: str) -> None:
    one, other = entries(manifest, table)
    one["source_no"], other["source_no"] = other["source_no"], one["source_no"]


def renumbered(store: Path) -> None:
    """Have a file belong to a source that there is not."""
    told(store, lambda m: entries(m, "events")[1].update(source_no=7))


def stray(store: Path, name: str) -> None:
    """Put a copy of a file somewhere in the store."""
    (store / name).parent.mkdir(parents=True, exist_ok=True)
    (store / name).write_bytes(path(store, "events").read_bytes())


def viewed(store: Path) -> None:
    """Edit a view in the catalog."""
    with duckdb.connect(store / "catalog.duckdb") as connection:
        connection.execute("CREATE OR REPLACE VIEW clicks AS SELECT 1 AS x")


def ledger(manifest: Manifest) -> Manifest:
    found: Manifest = manifest["sources"][0]["ledger"]["records"]
    return found


CHANGED = "its bytes have changed since it was written"
OTHER_ROWS = "made of other rows or by another version, and not read; anew: `abpipe derive`"
CATALOG = (
    "missing, edited, or from before the store moved: whoever reads the store next makes it anew"
)
SWEPT = "no manifest names this file; the next write removes it"
FOREIGN = "no manifest names this file; who reads whole folders reads it"

#: What is done to a store; and of what table, source or file check says what.
DONE: dict[str, tuple[Callable[[Path], object], list[tuple[str, str, str]]]] = {
    "nothing": (lambda s: None, []),
    # files
    "a file removed": (
        lambda s: path(s, "events").unlink(),
        [("error", "events/", "the manifest names this file, and it is missing")],
    ),
    "a file and its entry removed": (
        lambda s: gone(s, "events", 1),
        [("error", "b.tar", "its files hold 0 rows of events, and 18 were written"),
         ("note", "clicks/", OTHER_ROWS)],
    ),
    "a table's files and entries removed": (
        lambda s: gone(s, "events", 0, 1),
        [("error", "a.tar", "its files hold 0 rows of events, and 18 were written"),
         ("error", "b.tar", "its files hold 0 rows of events, and 18 were written"),
         ("error", "imagenet-ab", "the manifest names no file of events"),
         ("note", "clicks/", OTHER_ROWS)],
    ),
    "classes and their entry removed": (
        lambda s: gone(s, "classes", 0),
        [("error", "imagenet-ab", "the manifest names no file of classes"),
         ("note", "clicks/", OTHER_ROWS),
         ("note", "image_sizes/", OTHER_ROWS)],
    ),
    "an entry removed": (
        lambda s: gone(s, "events", 1, is_kept=True),
        [("error", "b.tar", "its files hold 0 rows of events, and 18 were written"),
         ("note", "clicks/", OTHER_ROWS),
         ("warning", "events/", SWEPT)],
    ),
    "a derived table and its entry removed": (lambda s: gone(s, "clicks", 0), []),  # it is a view
    "files of equal rows swapped": (
        lambda s: swapped(s, "images"), [("error", "images/", CHANGED)] * 2
    ),
    "events given to each other's source": (
        lambda s: swapped(s, "events", is_told=True),
        [("error", "events/", "it holds rows of other sources than b.tar"),
         ("error", "events/", "it holds rows of other sources than a.tar")],
    ),
    "pictures given to each other's source": (
        lambda s: swapped(s, "images", is_told=True),
        [("error", "images/", "it holds rows of other sources than b.tar"),
         ("error", "images/", "it holds rows of other sources than a.tar")],
    ),
    "a file given to no source": (
        renumbered,
        [("error", "b.tar", "its files hold 0 rows of events, and 18 were written"),
         ("error", "events/", "the manifest names no source that it is of")],
    ),
    "a file added": (
        lambda s: stray(s, "events/dataset=imagenet-ab/more.parquet"),
        [("warning", "events/", SWEPT)],
    ),
    "a file added where no table is": (
        lambda s: stray(s, "events/more/more.parquet"), [("warning", "events/more/", FOREIGN)]
    ),
    "a file added beside the tables": (lambda s: stray(s, "notes/mine.parquet"), []),
    # values
    "values edited": (
        lambda s: edited(s, "events", "x", lambda x: pc.add(x, 0.1), is_told=False),
        [("error", "events/", "")],
    ),
    "values edited and the manifest, too": (
        lambda s: edited(s, "events", "x", lambda x: pc.add(x, 0.1)),
        [("note", "clicks/", OTHER_ROWS)],
    ),
    "values edited that break a promise, and the manifest, too": (
        lambda s: edited(s, "events", "kind", lambda x: pa.array(["nod", *x.to_pylist()[1:]])),
        [("error", "events", "breaks its promise: kind: "), ("note", "clicks/", OTHER_ROWS)],
    ),
    "sizes of pictures edited and the manifest, too": (
        lambda s: edited(s, "images", "width", lambda x: pc.add(x, 1)),
        [("note", "clicks/", OTHER_ROWS), ("note", "image_sizes/", OTHER_ROWS)],
    ),
    "a derived table edited": (
        lambda s: edited(s, "clicks", "x", lambda x: pc.add(x, 0.1), is_told=False),
        [("error", "clicks/", "")],
    ),
    "a derived table edited and the manifest, too": (
        lambda s: edited(s, "clicks", "x", lambda x: pc.add(x, 0.1)), []
    ),
    # figures
    "a file's rows": (
        lambda s: told(s, lambda m: entries(m, "images")[0].update(rows=3)),
        [("error", "a.tar", "its files hold 3 rows of images, and 2 were written"),
         ("error", "images/", "2 rows, written 3")],
    ),
    "a file's bytes": (
        lambda s: told(s, lambda m: entries(m, "images")[0].update(bytes=7)),
        [("error", "images/", "")],
    ),
    "a file's hash": (
        lambda s: told(s, lambda m: entries(m, "images")[0].update(sha256="0" * 64)),
        [("error", "images/", CHANGED),
         ("note", "clicks/", OTHER_ROWS),
         ("note", "image_sizes/", OTHER_ROWS)],
    ),
    "a sum of the ledger": (
        lambda s: told(s, lambda m: ledger(m).update(duplicates=1)),
        [("error", "a.tar", "the ledger's records do not add up: ")],
    ),
    "two sums of the ledger": (
        lambda s: told(s, lambda m: ledger(m).update(duplicates=1, rows=1)),
        [("error", "a.tar", "2 annotations, 1 in the ledger")],
    ),
    "all sums of the ledger": (
        lambda s: told(s, lambda m: ledger(m).update(duplicates=1, total=3)), []
    ),
    # catalogs
    "a catalog removed": (
        lambda s: (s / "catalog.duckdb").unlink(), [("note", "catalog.duckdb", CATALOG)]
    ),
    "both catalogs removed": (
        lambda s: [shutil.move(s / f"catalog.{kind}", s.parent) for kind in ("sql", "duckdb")],
        [("note", "catalog.duckdb", CATALOG), ("note", "catalog.sql", CATALOG)],
    ),
    "the text of a catalog edited": (
        lambda s: (s / "catalog.sql").write_text("SELECT 1;"), [("note", "catalog.sql", CATALOG)]
    ),
    "a view of a catalog edited": (viewed, [("note", "catalog.duckdb", CATALOG)]),
}  # fmt: skip


@pytest.mark.parametrize(("done", "expected"), DONE.values(), ids=DONE)
def test_check_tells_what_was_done_to_a_store(
    done: Callable[[Path], object], expected: list[tuple[str, str, str]], tampered: Path
) -> None:
    done(tampered)
    found = [f for f in abpipe.check(store=tampered, jobs=1) if f.share is None]
    said = sorted((finding.level, finding.where, finding.what) for finding in found)
    if not any(what == CATALOG for _, _, what in expected):
        said = [one for one in said if one[2] != CATALOG]  # they are of the manifest before
    assert len(said) == len(expected)
    for (level, where, what), (its_level, its_where, its_what) in zip(said, expected, strict=True):
        assert (level, where[: len(its_where)], what[: len(its_what)]) == (
            its_level, its_where, its_what
        )  # fmt: skip


def test_catalogs_that_were_edited_are_made_anew(tampered: Path) -> None:
    sql = tampered / "catalog.sql"
    before = sql.read_text()
    sql.write_text("SELECT 1;")
    viewed(tampered)
    with abpipe.connect(tampered):
        assert sql.read_text() == before
    assert [f for f in abpipe.check(store=tampered, jobs=1) if f.share is None] == []
