from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import abpipe
from abpipe.errors import NoStore, NotFound

Faults = Callable[..., list[Any]]
Ingest = Callable[..., Any]
Pack = Callable[..., Path]
Rows = Callable[..., list[tuple[Any, ...]]]
Run = Callable[..., tuple[int, str, str]]
Contents = Callable[[], dict[str, str]]
Xml = Callable[..., bytes]

ONE, TWO = "47DBDD543E", "0000000002"


@pytest.fixture
def both(pack: Pack, xml: Xml, ingest: Ingest) -> None:
    """A store with two sources and two annotators, one of whom is in a reject, too."""
    bad = xml((">True<", ">maybe<"), name="n01440764_3")
    ingest(
        pack(
            "a.tar",
            [("1.xml", xml(workers=[ONE, TWO])), ("2.xml", xml(name="n01440764_2", workers=[TWO]))],
        )
    )
    ingest(pack("b.tar", [("3.xml", bad), ("4.xml", xml(name="n01440764_4", workers=[TWO]))]))


def traces(store: Path, text: str) -> list[str]:
    """The cells of all tables, and the files, that hold a text."""
    with abpipe.connect(store) as connection:
        tables = [name for (name,) in connection.execute("SHOW TABLES").fetchall()]
        found = [
            f"{table}: {row}"
            for table in tables
            for row in connection.execute(f"SELECT * FROM {table}").fetchall()
            if text in str(row)
        ]
    return found + [
        file.name for file in store.rglob("*.parquet") if text.encode() in file.read_bytes()
    ]


def test_every_trace_of_an_annotator_goes_from_tables_and_files(
    both: None, rows: Rows, store: Path
) -> None:
    assert traces(store, ONE)
    done = abpipe.forget(store, annotator=ONE)
    assert (done.records, done.rejects, done.sources, done.mentions) == (
        1,
        1,
        ["a.tar", "b.tar"],
        0,
    )
    assert traces(store, ONE) == []
    assert rows("SELECT image_id, n_annotations FROM images ORDER BY ALL") == [
        ("n01440764_105", 1), ("n01440764_2", 1), ("n01440764_3", 0), ("n01440764_4", 1),
    ]  # fmt: skip
    assert rows("SELECT count(*), count(DISTINCT annotation_id) FROM events") == [(27, 3)]


def test_the_store_stays_sound_and_its_ledgers_say_forgotten(
    both: None, rows: Rows, store: Path
) -> None:
    abpipe.forget(store, annotator=TWO)
    assert [f for f in abpipe.check(store=store) if f.level == "error"] == []
    sources = orjson.loads((store / "manifest.json").read_bytes())["sources"]
    assert [source["ledger"]["records"] for source in sources] == [
        {"total": 3, "rows": 1, "duplicates": 0, "rejected": 0, "forgotten": 2},
        {"total": 2, "rows": 0, "duplicates": 0, "rejected": 1, "forgotten": 1},
    ]
    assert rows("SELECT count(*) FROM classes") == [(1000,)]


def test_forgetting_in_the_only_source_keeps_the_classes(
    pack: Pack, xml: Xml, ingest: Ingest, rows: Rows, store: Path
) -> None:
    ingest(pack("a.tar", [("1.xml", xml(workers=[ONE, TWO]))]))
    abpipe.forget(store, annotator=ONE)
    assert rows("SELECT count(*) FROM classes") == [(1000,)]
    assert rows("SELECT annotator_id FROM annotations") == [(TWO,)]


def test_sources_that_brought_no_rows_of_a_table_are_no_obstacle(
    pack: Pack, xml: Xml, ingest: Ingest, rows: Rows, store: Path
) -> None:
    files = [("1.xml", xml(workers=[ONE, TWO]))]
    ingest(pack("a.tar", files))
    ingest(pack("again", files))  # duplicates only
    bare = xml(name="n01440764_5")
    bare = bare[: bare.index(b"  <metadata>")] + b"</annotation>\n"
    ingest(pack("bare.tar", [("5.xml", bare)]))  # a picture without annotators
    assert abpipe.forget(store, annotator=ONE).records == 1
    assert rows("SELECT annotator_id FROM annotations") == [(TWO,)]
    assert [f for f in abpipe.check(store=store) if f.level == "error"] == []


def test_an_annotator_who_is_named_by_others_is_counted(
    pack: Pack, xml: Xml, ingest: Ingest, store: Path
) -> None:
    seen = f"<seen_by>{ONE}</seen_by><worker_id>"
    ingest(
        pack(
            "a.tar",
            [("1.xml", xml()), ("2.xml", xml(("<worker_id>", seen), name="n_2", workers=[TWO]))],
        )
    )
    done = abpipe.forget(store, annotator=ONE)
    assert (done.records, done.mentions) == (1, 1)


def test_a_source_goes_with_all_its_rows_and_files(both: None, rows: Rows, store: Path) -> None:
    done = abpipe.forget(store, source="a.tar")
    assert (done.records, done.rejects, done.sources) == (3, 0, ["a.tar"])
    assert rows("SELECT DISTINCT source FROM images") == [("b.tar",)]
    assert traces(store, "a.tar") == []
    assert not any("/0001-" in file.as_posix() for file in store.rglob("*.parquet"))
    assert [f for f in abpipe.check(store=store) if f.level == "error"] == []


def test_the_number_of_a_forgotten_source_is_not_given_again(
    both: None, pack: Pack, xml: Xml, ingest: Ingest, store: Path
) -> None:
    abpipe.forget(store, source="b.tar")
    assert ingest(pack("c.tar", [("1.xml", xml(name="n_9"))])).source.source_no == 3


def test_the_last_source_leaves_an_empty_store(
    both: None, store: Path, pack: Pack, ingest: Ingest, xml: Xml, faults: Faults
) -> None:
    abpipe.forget(store, source="a.tar")
    abpipe.forget(store, source="b.tar")
    assert list(store.rglob("*.parquet")) == []
    assert ingest(pack("c.tar", [("1.xml", xml())])).rows["images"] == 1
    assert faults() == []


@pytest.mark.parametrize(
    ("option", "name", "message"),
    [
        ("--annotator", "nobody", "the store holds no annotator 'nobody'. "
         "List them: `abpipe sql 'SELECT DISTINCT annotator_id FROM annotations'`"),
        ("--annotator", "", "the store holds no annotator ''. "
         "List them: `abpipe sql 'SELECT DISTINCT annotator_id FROM annotations'`"),
        ("--source", "c.tar", "the store holds no source 'c.tar'. It holds: a.tar, b.tar"),
    ],
)  # fmt: skip
def test_what_the_store_does_not_hold_is_an_error_that_changes_nothing(
    both: None, run: Run, contents: Contents, option: str, name: str, message: str
) -> None:
    before = contents()
    assert run("forget", option, name) == (1, "", f"error: {message}\n")
    assert contents() == before


def test_other_datasets_are_left_alone_if_one_is_named(
    both: None, store: Path, pack: Pack, ingest: Ingest, xml: Xml, rows: Rows
) -> None:
    ingest(pack("c.tar", [("1.xml", xml())]), dataset="mine")
    abpipe.forget(store, annotator=ONE, dataset="mine")
    assert rows(
        "SELECT dataset, count(*) FROM annotations WHERE annotator_id = '47DBDD543E' GROUP BY 1"
    ) == [("imagenet-ab", 1)]
    with pytest.raises(NotFound):
        abpipe.forget(store, annotator=ONE, dataset="mine")
    assert abpipe.forget(store, source="c.tar", dataset="mine").sources == ["c.tar"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda t: t.rename_columns({"annotation_id": "annotation_ie"}),
         "its column annotation_id is not of type int64"),
        (lambda t: t.set_column(t.column_names.index("x"), "x", t["x"].cast("string")),
         "its column x is not of type double"),
    ],
    ids=["a name", "a type"],
)  # fmt: skip
def test_a_file_with_other_columns_is_an_error_that_changes_nothing(
    change: Callable[[pa.Table], pa.Table], why: str, both: None, store: Path, run: Run,
    contents: Contents,
) -> None:  # fmt: skip
    path = next(iter(sorted(store.glob("events/*/0001-*.parquet"))))
    pq.write_table(change(pq.read_table(path)), path)
    before = contents()
    assert run("forget", "--annotator", ONE) == (1, "", (
        f"error: {store}: events/{path.parent.name}/{path.name} cannot be read: {why}. "
        f"See what else is wrong: `abpipe check -s {store}`\n"
    ))  # fmt: skip
    assert contents() == before


def test_no_store_is_an_error_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(NoStore) as error:
        abpipe.forget(tmp_path / "none", annotator=ONE)
    store = tmp_path / "none"
    assert (
        str(error.value) == f"{store} holds no store. Make one: `abpipe ingest SOURCE -s {store}`"
    )
    assert not store.exists()


def test_one_of_annotator_and_source_is_named(both: None, store: Path, run: Run) -> None:
    for arguments in ([], ["--annotator", ONE, "--source", "a.tar"]):
        code, out, err = run("forget", *arguments)
        assert (code, out) == (2, "")
        assert "name one of --annotator and --source" in err
    with pytest.raises(ValueError, match="either an annotator or a source"):
        abpipe.forget(store)
