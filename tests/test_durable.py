from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from abpipe import durable


def test_two_folders_swap_their_names(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not durable.exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this system or file system cannot")
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("?/?"))] == [
        "a/b",
        "b/a",
    ]


def test_what_is_not_there_cannot_be_swapped(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(FileNotFoundError):
        durable.exchange(tmp_path / "a", tmp_path / "b")


def test_where_no_call_can_swap_names_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "_EXCHANGE", 1 << 30)  # flags that no kernel knows
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert not durable.exchange(tmp_path / "a", tmp_path / "b")


def test_a_new_folder_is_to_be_synced_where_its_name_stands(tmp_path: Path) -> None:
    made = durable.make_folder(tmp_path / "a" / "b")
    assert made == {tmp_path, tmp_path / "a"}
    assert durable.make_folder(tmp_path / "a" / "b") == set()


def test_a_lock_that_is_held_is_not_waited_for_if_told_so(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from abpipe.durable import locked\n"
        "with locked(Path(sys.argv[1]), 'it', wait=False): print('mine')"
    )
    line = [sys.executable, "-c", code, str(tmp_path / ".lock")]
    with durable.locked(tmp_path / ".lock", "it"):
        refused = subprocess.run(line, capture_output=True, text=True)
        assert refused.stderr.splitlines()[-1].startswith("BlockingIOError")
    assert subprocess.run(line, capture_output=True, text=True).stdout == "mine\n"


def test_a_lock_that_its_holder_removes_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "new" / ".lock"
    with durable.locked(path, "it"):
        path.unlink()
        path.parent.rmdir()
        with durable.locked(path, "it"):  # another one of that name
            assert path.exists()


def test_a_lock_that_is_gone_every_time_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "_take", lambda *_: (tmp_path / ".lock").unlink())
    with (
        pytest.raises(OSError, match="No locks available") as caught,
        durable.locked(tmp_path / ".lock", "it"),
    ):
        pass
    assert caught.value.errno == errno.ENOLCK


def test_a_folder_is_synced_with_all_that_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").touch()
    synced = []
    monkeypatch.setattr(
        os, "fsync", lambda fd: synced.append(Path(f"/proc/self/fd/{fd}").readlink())
    )
    durable.sync_all(tmp_path)
    assert synced == [tmp_path / "a" / "b", tmp_path / "a", tmp_path]
