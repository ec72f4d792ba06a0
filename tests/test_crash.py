"""Whatever stops a write at whatever step, a store is as before or as after, and so is an export.

By default some steps are drawn by chance, the same ones every time; `make crash` tries all,
and kills hundreds of processes at any moment.
"""

from __future__ import annotations

import errno
import hashlib
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

import abpipe
from abpipe import durable
from abpipe.errors import AbpipeError, CannotExport, Storage, Unconfirmed
from abpipe.store import Store
from abpipe.targets import export as export_module

Members = list[tuple[str, bytes]]
Pack = Callable[..., Path]
Start = Callable[..., subprocess.Popen[str]]
Xml = Callable[..., bytes]

SOME = 3  # steps of each write, drawn by chance
KILLS = int(os.environ.get("ABPIPE_CRASH_KILLS", "2"))  # of processes, for each kind of write
IS_THOROUGH = "ABPIPE_CRASH_KILLS" in os.environ


# -- steps: whatever changes what is on the disk ------------------------------------------------


class Killed(BaseException):
    """Stands for the end of the process: nothing that it does to the disk counts any more."""


@dataclass
class Steps:
    """What is done to the disk below a folder; a step may fail, or be the last one."""

    root: Path
    fails_at: int | None = None
    is_kill: bool = False
    done: list[tuple[str, str]] = field(default_factory=list)
    is_over: bool = False
    thread: int = field(default_factory=threading.get_ident)

    def take(self, what: str, path: str) -> None:
        if not path.startswith(str(self.root)) or path.endswith(".lock"):
            return
        if self.is_over and self.is_kill:
            raise Killed
        self.done.append((what, path))
        if len(self.done) - 1 == self.fails_at:
            self.is_over = True
            if self.is_kill:
                raise Killed
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)


WATCHED: list[Steps] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not WATCHED or event not in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"):
        return
    path = arguments[1] if event == "os.rename" else arguments[0]
    if event == "open" and (isinstance(path, int) or not arguments[2] & (os.O_WRONLY | os.O_RDWR)):
        return
    if event == "os.mkdir" and Path(path).exists():  # and so it does nothing
        return
    WATCHED[0].take(event.removeprefix("os."), os.fsdecode(path))


sys.addaudithook(_hook)  # there is no way to take it off again


@contextmanager
def steps(root: Path, **options: Any) -> Iterator[Steps]:
    """Watch what is done to the disk below a folder."""
    watched, fsync, exchange = Steps(root, **options), os.fsync, durable.exchange

    def watched_fsync(descriptor: int) -> None:
        watched.take("fsync", str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    def watched_exchange(one: Path, other: Path) -> bool:
        watched.take("rename", str(other))
        return exchange(one, other)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", watched_fsync)
        patch.setattr(export_module, "exchange", watched_exchange)
        WATCHED.append(watched)
        try:
            yield watched
        finally:
            WATCHED.clear()


def test_a_step_that_is_to_fail_fails(tmp_path: Path) -> None:
    with steps(tmp_path, fails_at=1) as watched:
        (tmp_path / "a").mkdir()
        with pytest.raises(OSError, match="Input/output error"):
            (tmp_path / "b").mkdir()
        (tmp_path / "c").write_bytes(b"1")
    assert watched.done == [(what, str(tmp_path / name)) for what, name in
                            [("mkdir", "a"), ("mkdir", "b"), ("open", "c")]]  # fmt: skip
    assert not (tmp_path / "b").exists()


def test_nothing_happens_after_a_kill(tmp_path: Path) -> None:
    with steps(tmp_path, fails_at=0, is_kill=True):
        for _ in range(2):
            with pytest.raises(Killed):
                (tmp_path / "a").mkdir()
    assert not (tmp_path / "a").exists()


# -- writes: each leaves the store as before or as after ----------------------------------------

State = list[tuple[Any, ...]]


def state(store: Path) -> State:
    """The content of a store, whole: what its manifest names, each file with its true hash."""
    if not (store / "manifest.json").exists():
        return []
    manifest = Store(store).manifest()
    for file in manifest.files:
        path = store / file.path
        assert (file.path, sha256(path)) == (file.path, file.sha256)
    told = [(f.table, f.dataset, f.source_no or 0, f.rows, f.sha256) for f in manifest.files]
    return [*sorted(told), *sorted((s.source_no, s.sha256) for s in manifest.sources)]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def leftovers(store: Path) -> list[Path]:
    named = {store / file.path for file in Store(store).manifest().files}
    spare = [p for p in store.glob("*/*/*.parquet") if p not in named]
    return [*store.rglob("*.tmp"), *store.glob(".spill"), *spare]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of sources, and of a store that has some of them."""
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def sources(place: Path, xml: Xml, tar: Callable[..., bytes]) -> dict[str, Path]:
    """Sources: one that a store has, another with some of its records, a changed one."""
    made = {
        "a.tar": [(f"{n}.xml", xml(name=f"n01440764_{n}", workers=["A", "B"])) for n in range(4)],
        "b.tar": [
            (f"{n}.xml", xml(name=f"n01440764_{n}", workers=["B", "C"])) for n in range(3, 6)
        ],
        "changed/a.tar": [(f"{n}.xml", xml(name=f"n01440764_{n}")) for n in range(3)],
    }
    for name, members in made.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(tar(members))
    return {name: place / name for name in made}


@pytest.fixture(scope="module")
def held(place: Path, sources: dict[str, Path]) -> Path:
    """A store of one source, with derived tables, and an export of it beside it."""
    store = place / "held" / "store"
    abpipe.ingest(sources["a.tar"], store=store, jobs=1)
    abpipe.derive("image_targets", store=store, jobs=1)
    abpipe.export(place / "held" / "out", store=store)
    return store


WRITES: dict[str, Callable[[Path, dict[str, Path]], object]] = {
    "ingest": lambda store, sources: abpipe.ingest(sources["b.tar"], store=store, jobs=1),
    "replace": lambda store, sources: abpipe.ingest(
        sources["changed/a.tar"], store=store, jobs=1, replace=True
    ),
    "derive": lambda store, _: abpipe.derive("clicks_published", store=store, jobs=1),
    "forget an annotator": lambda store, _: abpipe.forget(store, annotator="A"),
    "forget a source": lambda store, _: abpipe.forget(store, source="a.tar"),
}


def chosen(n: int, name: str) -> list[int]:
    """All of the numbers below n, or some."""
    if IS_THOROUGH:
        return list(range(n))
    return sorted(random.Random(name).sample(range(n), min(SOME, n)))


def attempt(write: Callable[[], object], root: Path, step: int, *, is_kill: bool) -> str:
    """What becomes of a write of which a step fails: done, an error, or killed."""
    with steps(root, fails_at=step, is_kill=is_kill) as watched:
        try:
            write()
        except Killed:
            return "killed"
        except (Storage, Unconfirmed, CannotExport) as err:
            return type(err).__name__
    assert watched.is_over, "no step failed"
    return "done"


#: Whoever is killed closes nothing.
UNCLOSED = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)


@UNCLOSED
@pytest.mark.parametrize("is_kill", [False, True], ids=["failing", "killed"])
@pytest.mark.parametrize("name", WRITES)
def test_a_store_is_as_before_or_as_after_whichever_step_is_the_last(
    name: str, is_kill: bool, held: Path, sources: dict[str, Path], tmp_path: Path
) -> None:
    before = state(held)

    def copy() -> Path:
        shutil.rmtree(tmp_path / "s", ignore_errors=True)
        return Path(shutil.copytree(held, tmp_path / "s"))

    whole = copy()
    with steps(whole) as watched:
        WRITES[name](whole, sources)
    after, committed = state(whole), watched.done.index(("rename", str(whole / "manifest.json")))
    assert before != after
    for step in chosen(len(watched.done), name):
        store = copy()
        ended = attempt(lambda: WRITES[name](store, sources), store, step, is_kill=is_kill)  # noqa: B023
        note = f"step {step}, {watched.done[step]}: {ended}"
        is_after = ended in ("done", "Unconfirmed") or (ended == "killed" and step > committed)
        assert state(store) == (after if is_after else before), note
        if ended == "Unconfirmed":
            assert watched.done[step] == ("fsync", str(store)), note
        with suppress(AbpipeError):  # what was to be forgotten may be gone already
            WRITES[name](store, sources)
        Store(store).transaction().__enter__().close()
        assert (state(store), leftovers(store)) == (after, []), note


def test_a_first_source_makes_a_store_or_leaves_none(
    sources: dict[str, Path], tmp_path: Path
) -> None:
    def place(name: str) -> tuple[Path, Path]:
        (folder := tmp_path / name).mkdir()  # what is done to it counts: a store makes its own
        return folder, folder / "s"

    def write(store: Path) -> object:
        return abpipe.ingest(sources["a.tar"], store=store, jobs=1)

    folder, whole = place("whole")
    with steps(folder) as watched:
        write(whole)
    after = state(whole)
    for step in chosen(len(watched.done), "first"):
        folder, store = place(f"step {step}")
        ended = attempt(lambda: write(store), folder, step, is_kill=False)  # noqa: B023
        assert state(store) == ([] if ended == "Storage" else after)
        write(store)
        assert (state(store), leftovers(store)) == (after, [])


# -- the order in which the disk keeps things ----------------------------------------------------


def kept_in_order(done: list[tuple[str, str]], commit: str, files: set[str]) -> None:
    """Whatever a commit names is on the disk for good before it, and nothing goes until it is."""
    at = done.index(("rename", commit))
    before, after = done[:at], done[at + 1 :]
    for what, path in before:
        if what == "mkdir":
            assert ("fsync", str(Path(path).parent)) in before[before.index((what, path)) :], path
        assert what != "remove" or not path.endswith(".parquet"), path
    for path in files:
        named = before.index(("rename", path))
        written = max(i for i, (w, p) in enumerate(before) if w == "open" and p == path + ".tmp")
        assert ("fsync", path + ".tmp") in before[written:named], path
        assert ("fsync", str(Path(path).parent)) in before[named:], path
    (temporary,) = {p for w, p in before if w == "open" and p.startswith(commit + ".")}
    assert ("fsync", temporary) in before
    assert after[0] == ("fsync", str(Path(commit).parent))
    assert {w for w, _ in after} <= {"fsync", "rename", "remove", "rmdir"}


@pytest.mark.parametrize("name", [*WRITES, "first"])
def test_nothing_is_named_before_the_disk_has_it_nor_removed_before_it_has_what_is_new(
    name: str, held: Path, sources: dict[str, Path], tmp_path: Path
) -> None:
    store = tmp_path / "new" / "s"
    if name != "first":
        shutil.copytree(held, store)
    known = {str(store / file.path) for file in Store(held).manifest().files}
    with steps(tmp_path) as watched:
        if name == "first":
            abpipe.ingest(sources["a.tar"], store=store, jobs=1)
        else:
            WRITES[name](store, sources)
    new = {str(store / file.path) for file in Store(store).manifest().files} - known
    done = [step for step in watched.done if "/.spill" not in step[1]]
    kept_in_order(done, str(store / "manifest.json"), new)


def test_what_the_disk_does_not_confirm_is_an_error_that_says_so(
    held: Path, sources: dict[str, Path], tmp_path: Path
) -> None:
    store, old = Path(shutil.copytree(held, tmp_path / "s")), Store(held).manifest()
    with steps(store) as watched:
        WRITES["replace"](store, sources)
    store = Path(shutil.copytree(held, tmp_path / "t"))
    at = watched.done.index(("rename", str(tmp_path / "s/manifest.json"))) + 1
    with steps(store, fails_at=at), pytest.raises(Unconfirmed) as caught:
        WRITES["replace"](store, sources)
    assert (caught.value.store, caught.value.why) == (store, "Input/output error")
    assert str(caught.value) == (
        f"{store}: all was written, but the disk does not confirm it: Input/output error. "
        f"Look after the disk, then see what is there: `abpipe check -s {store}`"
    )
    assert all((store / file.path).exists() for file in old.files)  # it may come back


# -- exports -----------------------------------------------------------------------------------


def exported(out: Path) -> list[tuple[str, str]]:
    """An export, whole: its files and their hashes; nothing if there is none."""
    if not out.exists():
        return []
    abpipe.open_targets(out).verify()
    return sorted((path.name, sha256(path)) for path in out.iterdir())


@UNCLOSED
@pytest.mark.parametrize("can_exchange", [True, False], ids=["exchange", "two steps"])
@pytest.mark.parametrize("is_kill", [False, True], ids=["failing", "killed"])
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "again"])
def test_an_export_is_as_before_or_as_after_whichever_step_is_the_last(
    is_first: bool, is_kill: bool, can_exchange: bool, held: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def write(out: Path) -> object:
        return abpipe.export(out, store=held, where="annotator_id = 'A'")

    def begin(name: str) -> Path:
        out = tmp_path / name / "out"
        out.parent.mkdir()
        return out if is_first else Path(shutil.copytree(held.parent / "out", out))

    if not can_exchange:
        monkeypatch.setattr(durable, "exchange", lambda _one, _other: False)
    out = begin("whole")
    before = exported(out)
    with steps(out.parent) as watched:
        write(out)
    after = exported(out)
    for name in dict(after):
        synced = ("fsync", str(out.parent / ".out.tmp/made" / name))
        assert watched.done.index(synced) < watched.done.index(("rename", str(out)))
    for step in chosen(len(watched.done), "export"):
        out = begin(str(step))
        ended = attempt(lambda: write(out), out.parent, step, is_kill=is_kill)  # noqa: B023
        note = f"step {step}, {watched.done[step]}: {ended}"
        if ended == "killed" and not can_exchange and not out.exists():
            assert exported(out.parent / ".out.tmp/before") == before, note
        else:
            assert exported(out) in (before, after), note
        if ended == "done":
            assert exported(out) == after, note
        write(out)
        assert exported(out) == after, note
        assert [path.name for path in out.parent.iterdir()] == ["out"], note


def test_an_export_that_is_replaced_while_it_is_opened_is_opened_anew(
    held: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(shutil.copytree(held.parent / "out", tmp_path / "out"))
    from abpipe.targets import reader

    load, times = reader._array, iter([True])

    def replaced(folder: Path, entry: dict[str, Any]) -> Any:
        if next(times, False):
            abpipe.export(out, store=held, where="image_id = 'n01440764_1'")
        return load(folder, entry)

    monkeypatch.setattr(reader, "_array", replaced)
    targets = abpipe.open_targets(out)
    assert targets["image_ids"].tolist() == [b"n01440764_1"]
    assert targets.about["rows"] == 1


# -- full disks ----------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_a_disk_that_is_full_at_any_moment_leaves_all_as_before_or_as_after(
    held: Path, sources: dict[str, Path], tmp_path: Path
) -> None:
    disk, before = tmp_path / "disk", state(held)
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("this machine lets nobody mount")
    store, out, filler = disk / "s", disk / "out", disk / "filler"
    writes: dict[str, Callable[[], object]] = {
        name: partial(WRITES[name], store, sources) for name in ("ingest", "replace", "derive")
    } | {"export": lambda: abpipe.export(out, store=store, where="true")}
    ended = Counter[str]()
    try:
        for name, write in writes.items():
            for pages in chosen(100, name):
                shutil.copytree(held, store)
                filler.write_bytes(bytes(shutil.disk_usage(disk).free - pages * 4096))
                try:
                    write()
                    ended["done"] += 1
                except (Storage, CannotExport) as err:
                    assert "No space left on device" in str(err)
                    assert state(store) == before
                    assert leftovers(store) == []
                    ended["full"] += 1
                exported(out)
                for path in (store, out):
                    shutil.rmtree(path, ignore_errors=True)
                filler.unlink()
    finally:
        subprocess.run(["umount", disk], check=True)
    assert len(ended) == 2, ended


# -- processes: killed at any moment, lost, waited for ------------------------------------------


@pytest.fixture(scope="module")
def large(place: Path, xml: Xml, tar: Callable[..., bytes]) -> Path:
    """A source that two processes have to do with for a while."""
    path = place / "large.tar"
    path.write_bytes(tar([(f"{n}.xml", xml(name=f"n01440764_{n}")) for n in range(4000)]))
    return path


COMMANDS: dict[str, list[str]] = {
    "ingest": ["ingest", "large.tar", "b.tar", "--jobs", "2"],
    "derive": ["derive", "--jobs", "2"],
    "forget": ["forget", "--annotator", "A"],
    "export": ["export", "out2"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_kill_at_any_moment_leaves_the_store_as_before_or_as_after(
    name: str, held: Path, sources: dict[str, Path], large: Path, tmp_path: Path, process: Start,
    shared_memory: Callable[[int], set[Path]],
) -> None:  # fmt: skip
    pick = random.Random(name)

    def start(store: Path, at: str) -> subprocess.Popen[str]:
        (tmp_path / at).mkdir(exist_ok=True)
        line = [str(large.parent / word) if ".tar" in word else word for word in COMMANDS[name]]
        return process(*line, at=store, cwd=tmp_path / at)

    store = Path(shutil.copytree(held, tmp_path / "whole" / "s"))
    begin = time.monotonic()
    ended = start(store, "whole")
    ended.communicate()
    took = time.monotonic() - begin
    states = [state(held), state(store)]
    if name == "ingest":  # the first of its two sources is a transaction of its own
        one = Path(shutil.copytree(held, tmp_path / "one"))
        abpipe.ingest(large, store=one, jobs=1)
        states.insert(1, state(one))
    for i in range(KILLS):
        store = Path(shutil.copytree(held, tmp_path / str(i) / "s"))
        started = start(store, str(i))
        time.sleep(pick.uniform(0.3, 1) * took)
        mapped = shared_memory(started.pid)
        started.kill()
        started.communicate()
        assert state(store) in states
        exported(tmp_path / str(i) / "out2")
        assert start(store, str(i)).wait() in ((0, 1) if name == "forget" else (0,))
        assert (state(store), leftovers(store)) == (states[-1], [])
        assert (
            sorted(path.name for path in (tmp_path / str(i)).iterdir() if path.name[0] == ".") == []
        )
        gone(mapped)


def gone(files: set[Path]) -> None:
    """Wait until files are gone."""
    for _ in range(100):
        if not any(file.exists() for file in files):
            return
        time.sleep(0.05)
    raise AssertionError(f"left behind: {files}")


def child(started: subprocess.Popen[str]) -> psutil.Process:
    """A worker of a process, once it works."""
    while started.poll() is None:
        for found in psutil.Process(started.pid).children():
            with suppress(psutil.Error):
                if "spawn_main" in " ".join(found.cmdline()):
                    return found
        time.sleep(0.01)
    raise AssertionError(started.communicate())


def test_a_lost_worker_is_an_error_and_the_store_as_before(
    held: Path, large: Path, tmp_path: Path, process: Start
) -> None:
    store = Path(shutil.copytree(held, tmp_path / "s"))
    started = process("ingest", *[large], "--jobs", 2, "-q", at=store)
    worker = child(started)
    while started.poll() is None and not list(store.rglob("*.tmp")):
        time.sleep(0.01)
    worker.kill()
    out, err = started.communicate()
    assert (started.returncode, out) == (1, "")
    assert err == (
        "error: a worker process has ended, as if killed (by the system, if memory ran out). "
        "Nothing of its source was stored. Run it again, with fewer processes: `--jobs 1`\n"
    )
    assert (state(store), leftovers(store)) == (state(held), [])


def test_a_query_s_lost_process_is_done_without(
    held: Path, sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    from abpipe.derived import derive, engines

    monkeypatch.setattr(derive, "PIECE_BYTES", dict.fromkeys(derive.PIECE_BYTES, 1000))
    store, whole = (Path(shutil.copytree(held, tmp_path / name)) for name in "sw")
    monkeypatch.setattr(engines, "_work", _leave)
    abpipe.derive(store=store, jobs=2, memory_mb=1024)
    monkeypatch.undo()
    abpipe.derive(store=whole, jobs=1)
    assert caplog.messages == ["a process was killed: going on with one"]
    assert state(store) == state(whole)


def _leave(_query: object) -> None:
    os._exit(9)


def test_a_second_process_waits_and_says_for_whom(
    held: Path, sources: dict[str, Path], tmp_path: Path, process: Start
) -> None:
    store = Path(shutil.copytree(held, tmp_path / "s"))
    with Store(store).transaction():
        started = process("ingest", sources["b.tar"], at=store, stderr=subprocess.PIPE)
        assert started.stderr
        said = started.stderr.readline()
        assert started.poll() is None
    started.communicate()
    assert said.startswith(f"{store} is held by process {os.getpid()} on ")
    assert said.endswith(": waiting for it\n")
    assert (started.returncode, len(Store(store).manifest().sources)) == (0, 2)


# -- readers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITES)
def test_a_reader_sees_the_store_as_it_was_when_it_connected(
    name: str, held: Path, sources: dict[str, Path], tmp_path: Path
) -> None:
    store = Path(shutil.copytree(held, tmp_path / "s"))

    def seen(connection: Any) -> list[Any]:
        tables = ("images", "events", "annotations", "clicks", "traces", "icons")
        found = [connection.execute(f"FROM {table} ORDER BY ALL").fetchall() for table in tables]
        return [sorted(map(str, rows)) for rows in found]

    with abpipe.connect(store) as connection:
        with abpipe.connect(store) as other:
            before = seen(other)
        WRITES[name](store, sources)
        assert seen(connection) == before
    with abpipe.connect(store) as connection:
        assert (seen(connection) == before) == (name == "derive")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_readers_are_never_disturbed_while_others_write(
    held: Path, sources: dict[str, Path], tmp_path: Path
) -> None:
    store, found, stop = Path(shutil.copytree(held, tmp_path / "s")), set[int](), threading.Event()
    failed = []

    def read() -> None:
        while not stop.is_set():
            try:
                with abpipe.connect(store) as connection:
                    ((n,),) = connection.execute("SELECT count(*) FROM events").fetchall()
                    found.add(n)
            except Exception as err:  # noqa: BLE001 - whatever it is, it is told
                failed.append(err)
                return

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(2 * KILLS):
        abpipe.ingest(sources["a.tar" if i % 2 else "changed/a.tar"], store=store, jobs=1,
                      replace=True)  # fmt: skip
    stop.set()
    reader.join()
    assert failed == []
    assert len(found) == 2
