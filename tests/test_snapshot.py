from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import abpipe
from abpipe import snapshot
from abpipe.errors import BrokenStore
from abpipe.snapshot import Snapshot
from abpipe.store import Store

Xml = Callable[..., bytes]


@pytest.fixture
def one(ingest: Callable[..., Any], pack: Callable[..., Path], xml: Xml, store: Path) -> Store:
    ingest(pack("a.tar", [("1.xml", xml())]))
    return Store(store)


def test_files_that_are_held_have_a_name_when_they_are_gone(one: Store) -> None:
    taken = Snapshot.of(one)
    shutil.rmtree(one.folder)
    for file, name in taken.names.items():
        assert len(Path(name).read_bytes()) == file.bytes
    taken.held.close()
    assert not any(Path(name).exists() for name in taken.names.values())


def test_a_store_of_more_files_than_may_be_open_is_read_by_its_paths(
    one: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "_SHARE", 1 << 30)
    assert Snapshot.of(one).names == {}
    with abpipe.connect(one.folder) as connection:
        assert connection.execute("SELECT count(*) FROM images").fetchall() == [(1,)]


def test_files_are_let_go_with_the_connection(one: Store) -> None:
    def held() -> int:
        links = (path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink())
        return sum(one.folder in link.parents for link in links)

    before = held()
    connection = abpipe.connect(one.folder)
    assert held() > before
    del connection
    assert held() == before


def test_a_file_that_is_missing_is_an_error(one: Store) -> None:
    path = one.folder / one.manifest().files[0].path
    path.unlink()
    with pytest.raises(BrokenStore) as caught:
        abpipe.connect(one.folder)
    assert str(caught.value) == (
        f"{one.folder}: {path}: No such file or directory. "
        f"See what else is wrong: `abpipe check -s {one.folder}`"
    )
