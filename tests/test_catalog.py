from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

import abpipe
from abpipe.contracts import contracts
from abpipe.errors import NoStore

ROOT = Path(__file__).parents[1]
COUNT = "SELECT count(*) FROM events"

#: Opens a database as the duckdb shell does, in a process of its own; shows the last answer.
SHELL = """
import duckdb, sys
con = duckdb.connect(sys.argv[1], read_only=sys.argv[1] != ":memory:")
print([con.execute(query).fetchall() for query in sys.argv[2:]][-1])
"""


@pytest.fixture
def both(store: Path) -> Path:
    """A store of both samples."""
    samples = (ROOT / "data/imagenet/imagenet_ab.tar.gz", ROOT / "data/coco/coco_ab.json")
    abpipe.ingest(*samples, store=store, jobs=1)
    return store


def shell(folder: Path, *arguments: str) -> str:
    line = [sys.executable, "-c", SHELL, *arguments]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, check=True).stdout


def events(store: Path) -> str:
    with abpipe.connect(store) as connection:
        return f"{connection.execute(COUNT).fetchall()}\n"


def test_both_catalogs_open_from_another_folder(both: Path, tmp_path: Path) -> None:
    assert shell(tmp_path, str(both / "catalog.duckdb"), COUNT) == events(both)
    script = (both / "catalog.sql").read_text("utf-8")
    told = f"SET VARIABLE abstore = '{both}'"
    assert shell(tmp_path, ":memory:", told, script, COUNT) == events(both)
    assert shell(both, ":memory:", script, COUNT) == events(both)


def test_both_catalogs_open_after_the_store_has_moved(both: Path, tmp_path: Path) -> None:
    before, moved = events(both), tmp_path / "elsewhere" / "it's here"
    moved.parent.mkdir()
    both.rename(moved)
    told = "SET VARIABLE abstore = '" + str(moved).replace("'", "''") + "'"
    assert shell(tmp_path, str(moved / "catalog.duckdb"), told, COUNT) == before
    assert shell(moved, ":memory:", (moved / "catalog.sql").read_text("utf-8"), COUNT) == before
    assert events(moved) == before  # connecting writes the catalog anew
    assert shell(tmp_path, str(moved / "catalog.duckdb"), COUNT) == before


def test_every_table_and_view_has_the_declared_columns(both: Path) -> None:
    with abpipe.connect(both) as connection:
        for contract in contracts().values():
            found = [row[0] for row in connection.execute(f"DESCRIBE {contract.name}").fetchall()]
            assert found == [column.name for column in contract.columns] + ["dataset"]


def test_every_key_is_unique_and_never_null(both: Path) -> None:
    with abpipe.connect(both) as connection:
        for contract in contracts().values():
            key = ", ".join(f'"{name}"' for name in contract.key)
            nulls = " OR ".join(f'"{name}" IS NULL' for name in contract.key)
            twice = f"SELECT {key} FROM {contract.name} GROUP BY dataset, {key} HAVING count(*) > 1"
            assert connection.execute(twice).fetchall() == []
            empty = f"SELECT {key} FROM {contract.name} WHERE {nulls}"
            assert connection.execute(empty).fetchall() == []


def test_a_dataset_whose_name_looks_like_a_number_stays_a_word(
    ingest: Callable[..., Any],
    rows: Callable[[str], list[Any]],
    pack: Callable[..., Path],
    real: bytes,
) -> None:
    ingest(pack("one.xml", [("one.xml", real)]), dataset="e5")
    assert rows("SELECT dataset, typeof(dataset) FROM images") == [("e5", "VARCHAR")]


def test_the_timeline_puts_all_kinds_in_one_order(
    ingest: Callable[..., Any],
    rows: Callable[[str], list[Any]],
    pack: Callable[..., Path],
    real: bytes,
) -> None:
    ingest(pack("one.xml", [("one.xml", real)]))
    assert rows("SELECT position, t_rel_ms, kind, seq FROM timeline ORDER BY position") == [
        (0, 0, "enter", 0),
        (1, 0, "move", 0),
        (2, 52, "move", 1),
        (3, 75, "move", 2),
        (4, 112, "move", 3),
        (5, 145, "move", 4),
        (6, 176, "move", 5),
        (7, 344, "click", 0),
        (8, 765, "leave", 1),
    ]


def test_trace_lists_are_equally_long_and_empty_without_moves(both: Path) -> None:
    with abpipe.connect(both) as connection:
        odd = "SELECT count(*) FROM trace_lists WHERE len(x) <> len(t_ms) OR len(y) <> len(t_ms)"
        assert connection.execute(odd).fetchall() == [(0,)]
        (n_records,) = connection.execute("SELECT count(*) FROM annotations").fetchone() or (0,)
        (n_lists,) = connection.execute("SELECT count(x) FROM trace_lists").fetchone() or (0,)
        assert n_records == n_lists


def test_a_connection_cannot_change_the_store(both: Path, contents: Callable[[], Any]) -> None:
    before = contents()
    with abpipe.connect(both) as connection, pytest.raises(duckdb.Error):
        connection.execute("DELETE FROM events")
    assert contents() == before


def test_a_folder_without_a_store_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NoStore) as caught:
        abpipe.connect(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} holds no store. Make one: `abpipe ingest SOURCE -s {tmp_path}`"
    )
