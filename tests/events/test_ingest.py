from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import abpipe
from abpipe.errors import SameName, SeveralDatasets

Ingest = Callable[..., Any]
Pack = Callable[..., Path]
Rows = Callable[[str], list[tuple[Any, ...]]]
Run = Callable[..., tuple[int, str, str]]
Xml = Callable[..., bytes]


def test_files_of_the_users_own_stay_in_the_folder_of_a_store(
    store: Path, ingest: Ingest, pack: Pack, real: bytes
) -> None:
    store.mkdir()
    (store / "notes.tmp").write_text("mine")
    (store / "old.tmp").mkdir()
    ingest(pack("one.xml", [("one.xml", real)]))
    assert (store / "notes.tmp").read_text() == "mine"
    assert (store / "old.tmp").is_dir()


def test_two_sources_of_one_name_are_refused(tmp_path: Path, store: Path, real: bytes) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "one.xml").write_bytes(real)
    with pytest.raises(SameName) as caught:
        abpipe.ingest(tmp_path / "a/one.xml", tmp_path / "b/one.xml", store=store)
    assert str(caught.value) == (
        "two sources are called one.xml, and imagenet-ab can hold one of that name. "
        "Rename one of the files or folders, or ingest it with another `--dataset`"
    )
    assert not store.exists()


def test_a_source_in_two_datasets_is_forgotten_in_the_one_that_is_named(
    store: Path, ingest: Ingest, pack: Pack, real: bytes, rows: Rows
) -> None:
    source = pack("one.xml", [("one.xml", real)])
    ingest(source)
    ingest(source, dataset="mine")
    with pytest.raises(SeveralDatasets) as caught:
        abpipe.forget(store, source="one.xml")
    assert str(caught.value) == (
        "one.xml is in several datasets: imagenet-ab, mine. Name one: `--dataset NAME`"
    )
    abpipe.forget(store, source="one.xml", dataset="mine")
    assert rows("SELECT dataset FROM annotations") == [("imagenet-ab",)]


def test_a_record_that_stands_twice_in_its_file_is_one_row(
    ingest: Ingest, pack: Pack, xml: Xml, rows: Rows, run: Run
) -> None:
    worker = "47DBDD543E"
    result = ingest(pack("one.xml", [("one.xml", xml(workers=[worker, worker]))]))
    assert result.source.ledger.records["duplicates"] == 1
    assert rows("SELECT n_annotations FROM images") == [(1,)]
    assert run("check")[0] == 0


def test_a_conflict_with_an_earlier_source_is_counted(
    ingest: Ingest, pack: Pack, xml: Xml, rows: Rows
) -> None:
    ingest(pack("one.xml", [("one.xml", xml())]))
    other = xml(("<estimateTime>341", "<estimateTime>342"))
    result = ingest(pack("two.xml", [("two.xml", other)]))
    assert result.source.ledger.conflicts == 1
    assert rows("SELECT source FROM conflicts ORDER BY source") == [("one.xml",), ("two.xml",)]


def test_what_a_replaced_source_had_for_another_is_named(
    store: Path, ingest: Ingest, pack: Pack, xml: Xml
) -> None:
    ingest(pack("a.tar", [("a.xml", xml(name="n01440764_1"))]))
    ingest(pack("b.tar", [("a.xml", xml(name="n01440764_1"))]))
    changed = pack("a.tar", [("a.xml", xml(name="n01440764_2"))])
    assert ingest(changed, replace=True).short == ("b.tar",)


def test_a_large_file_does_not_keep_the_only_buffer(
    store: Path, pack: Pack, xml: Xml, rows: Rows
) -> None:
    large = xml(("<folder>", f"<!--{'x' * (5 << 20)}--><folder>"), name="n01440764_1")
    sources = pack("large.xml", [("", large)]), pack("small.xml", [("", xml(name="n01440764_2"))])
    abpipe.ingest(*sources, store=store, jobs=1)
    assert rows("SELECT count(*) FROM annotations") == [(2,)]


def test_of_several_statements_the_last_is_answered(
    ingest: Ingest, pack: Pack, real: bytes, run: Run
) -> None:
    ingest(pack("one.xml", [("one.xml", real)]))
    assert run("sql", "SELECT 1; SELECT 2 AS b;", "--format", "csv") == (0, "b\n2\n", "")


def test_a_table_is_not_written_to_a_file(
    ingest: Ingest, pack: Pack, real: bytes, run: Run, tmp_path: Path
) -> None:
    ingest(pack("one.xml", [("one.xml", real)]))
    file = tmp_path / "answer.txt"
    assert run("sql", "SELECT 1", "-o", file) == (
        1,
        "",
        f"error: a table shows the first rows only: choose a format for {file}, "
        "as in `--format csv`\n",
    )
    nowhere = tmp_path / "no" / "answer.csv"
    assert run("sql", "SELECT 1", "--format", "csv", "-o", nowhere) == (
        1,
        "",
        f"error: {nowhere} cannot be written: No such file or directory. "
        "Choose another place: `-o FILE`\n",
    )
