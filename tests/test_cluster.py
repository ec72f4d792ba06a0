"""The seam to other machines: the content is that of a local run, whoever does the work."""

from __future__ import annotations

import pickle  # noqa: TID251 (what executors send errors with)
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import abpipe
from abpipe import cluster
from abpipe.contracts import raw_tables
from abpipe.derived import derive
from abpipe.errors import BrokenSource, LostCluster, NoCluster, NotShared, TooManyRejects
from abpipe.manifest import Manifest
from abpipe.store import Store
from abpipe.synth import synth
from abpipe.targets import samples

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "data/imagenet/images"
TABLES = ("boxes", "clicks", "image_targets", "traces", "visits")


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries run in pieces of a few kilobytes, so that there are many."""
    monkeypatch.setattr(derive, "PIECE_BYTES", dict.fromkeys(derive.PIECE_BYTES, 1 << 18))


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Shards of a few blocks: ImageNet-AB in three, and COCO-AB."""
    folder = tmp_path_factory.mktemp("archives")
    shards = []
    for seed, count in enumerate((2400, 400, 400)):  # the first one has three blocks
        made = synth(folder / str(seed), count=count, seed=seed, jobs=1).archive
        shards.append(made.rename(folder / f"shard-{seed}.tar.gz"))
    coco = synth(folder / "coco", kind="coco", count=150, jobs=1).archive
    return [*shards, coco]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of the sample."""
    folder = tmp_path_factory.mktemp("place")
    abpipe.ingest(ROOT / "data/imagenet/imagenet_ab.tar.gz", store=folder / "abstore", jobs=1)
    abpipe.derive("image_targets", store=folder / "abstore", jobs=1)
    return folder


@pytest.fixture(scope="session")
def local(archives: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a local run."""
    store = tmp_path_factory.mktemp("local") / "store"
    abpipe.ingest(*archives, store=store, jobs=1)
    abpipe.derive(*TABLES, store=store, jobs=1)
    return store


def files(store: Path) -> list[tuple[str, str, int | None, int, str]]:
    """What the files of the tables are, but for their names."""
    return [
        (file.table, file.dataset, file.source_no, file.rows, file.sha256)
        for file in Store(store).manifest().files
    ]


def raw(store: Path) -> list[tuple[str, str, int | None, int, str]]:
    """The same of raw tables only."""
    return [file for file in files(store) if file[0] in raw_tables()]


def test_blocks_of_one_archive_are_parsed_elsewhere(
    archives: list[Path], local: Path, store: Path, executor: Any
) -> None:
    for archive in archives:
        abpipe.ingest(archive, store=store, cluster=executor)
    assert raw(store) == raw(local)
    assert "stage" not in executor.tasks
    assert len(executor.tasks) == 3 + 1 + 1 + 1


def test_many_archives_are_a_task_each(
    archives: list[Path],
    local: Path,
    store: Path,
    executor: Any,
    faults: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    monkeypatch.chdir(store.parent)  # where machines are, a relative path means nothing
    done = abpipe.ingest(
        *archives, store=store.name, cluster=executor, progress=lambda name, *_: told.append(name)
    )
    assert executor.tasks == ["stage"] * 4
    assert told == [archive.name for archive in archives]
    assert raw(store) == raw(local)
    assert Store(store).manifest().sources == Store(local).manifest().sources
    assert [result.is_new for result in done] == [True] * 4
    again = abpipe.ingest(*archives, store=store, cluster=executor)
    assert [result.is_new for result in again] == [False] * 4
    assert [f for f in faults() if f.level == "error"] == []


def test_a_broken_archive_stops_there_and_leaves_nothing(
    archives: list[Path], store: Path, executor: Any, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(archives[1].read_bytes()[:100_000])
    with pytest.raises(BrokenSource) as error:
        abpipe.ingest(archives[0], cut, archives[2], store=store, cluster=executor)
    assert error.value.source == "cut.tar.gz"
    assert [source.name for source in Store(store).manifest().sources] == ["shard-0.tar.gz"]
    named = {Store(store).path(file) for file in Store(store).manifest().files}
    assert {*store.rglob("*.parquet*")} == named


@pytest.mark.usefixtures("small_pieces")
def test_queries_run_elsewhere(
    archives: list[Path],
    local: Path,
    store: Path,
    executor: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    abpipe.ingest(*archives, store=store, jobs=1)
    monkeypatch.chdir(store.parent)  # where machines are, a relative path means nothing
    abpipe.derive(*TABLES, store=store.name, cluster=executor)
    assert {*executor.tasks} == {"_work_elsewhere"}
    assert files(store) == files(local)


@pytest.mark.parametrize("form", ["webdataset", "hf", "tfrecord"])
def test_files_of_samples_are_written_elsewhere(
    place: Path, executor: Any, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(samples, "SHARD", 25)
    monkeypatch.chdir(place)

    def each(self: Any, work: Any, shards: Any) -> Any:
        """As it is, with what a lost worker has left."""
        for task in (*shards,):
            task[1].with_name(".unfinished-0").touch()
            yield self.submit(work, *task).result()

    monkeypatch.setattr(cluster.Cluster, "each", each)
    told: dict[str, Any] = {"form": form, "dataset": "imagenet-ab", "images": IMAGES}
    told["split"] = {"train": 0.7, "val": 0.3}
    here = abpipe.export(f"here-{form}", **told)
    there = abpipe.export(f"there-{form}", **told, cluster=executor)
    assert executor.tasks == ["_write_shard"] * 6
    assert here.rows == there.rows == 120
    names = {path.name for path in Path(f"here-{form}").iterdir()}
    assert names == {path.name for path in Path(f"there-{form}").iterdir()}
    for name in names:
        assert Path(f"here-{form}", name).read_bytes() == Path(f"there-{form}", name).read_bytes()


def test_sources_with_ids_of_people_never_leave_as_a_whole(
    store: Path, executor: Any, tmp_path: Path
) -> None:
    folders = []
    for seed in range(2):
        made = synth(tmp_path / str(seed), kind="pages", count=40, seed=seed, jobs=1).archive
        folders.append(made.rename(tmp_path / f"pages-{seed}"))
    abpipe.ingest(*folders, store=store, cluster=executor)
    assert "stage" not in executor.tasks  # the key stays here


def test_a_cluster_that_ends_leaves_what_was_committed(
    archives: list[Path], store: Path, contents: Any
) -> None:
    abpipe.ingest(archives[1], store=store, jobs=1)
    before = contents()

    class Ended(Executor):
        def submit(self, *_: Any, **__: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(BrokenProcessPool("a process ended"))
            return future

        def __str__(self) -> str:
            return "ended"

    with pytest.raises(LostCluster) as error:
        abpipe.ingest(*archives[2:], store=store, cluster=Ended())
    assert str(error.value) == (
        "ended: the cluster was lost: a process ended. What was not committed was not stored. "
        "Run it again: what is in the store already is left alone"
    )
    assert contents() == before


def test_a_machine_that_does_not_see_the_store_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotShared) as error, Store(tmp_path / "elsewhere").staging(Manifest()):
        pass
    assert str(error.value) == (
        f"{tmp_path / 'elsewhere'}: a machine of the cluster does not see this store. Its folder "
        "must be on a file system that all machines share, at the same path: `--store`"
    )


def test_errors_come_back_from_other_machines_as_they_are() -> None:
    for err in (BrokenSource("a.tar", "it ends", 5, "b.xml"), TooManyRejects("a", 3, 2, "x")):
        back = pickle.loads(pickle.dumps(err))
        assert (type(back), str(back), vars(back)) == (type(err), str(err), vars(err))


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("spark://host:7077", "this is no address of one"),
        ("dask://", "this is no address of one"),
        ("mpi://host", "this is no address of one"),
    ],
)
def test_what_is_no_cluster_says_what_is_expected(run: Any, address: str, why: str) -> None:
    code, out, _ = run("derive", "--cluster", address)
    assert (code, out) == (1, "")
    with pytest.raises(NoCluster) as error, cluster.at(address):
        pass
    assert error.value.why == why
    assert str(error.value) == (
        f"{address}: no cluster: {why}. Expected dask://HOST:PORT "
        "(`pip install 'abpipe[cluster]'`) or mpi:// (`pip install 'abpipe[mpi]'`)"
    )


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(NoCluster, match="distributed is not installed"), cluster.at("dask://a:1"):
        pass


Dask = tuple[str, list[subprocess.Popen[bytes]]]


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Dask]:
    """A scheduler and two workers on loopback, each a process: its address, and the workers."""
    file = tmp_path / "scheduler.json"
    with ExitStack() as stack:

        def start(command: str, *options: str) -> subprocess.Popen[bytes]:
            line = [sys.executable, "-m", f"distributed.cli.dask_{command}"]
            line += ["--host", "127.0.0.1", "--scheduler-file", str(file), "--no-dashboard"]
            log = stack.enter_context((tmp_path / f"{command}.log").open("ab"))
            run = subprocess.Popen([*line, *options], cwd=tmp_path, stdout=log, stderr=log)
            stack.enter_context(run)
            stack.callback(run.kill)
            return run

        start("scheduler", "--port", "0")
        _wait(file.exists)
        workers = [start("worker", "--no-nanny", "--nthreads", "1") for _ in range(2)]
        from distributed import Client

        with Client(scheduler_file=str(file), set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
            address = client.scheduler_info()["address"].replace("tcp://", "dask://")
        yield address, workers


def _wait(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < end, "it took more than a minute"
        time.sleep(0.05)


@pytest.mark.beyond
@pytest.mark.usefixtures("small_pieces")
class TestDask:
    """Two workers in processes of their own."""

    def test_the_content_is_that_of_a_local_run(
        self, dask: Dask, archives: list[Path], local: Path, store: Path
    ) -> None:
        abpipe.ingest(*archives, store=store, cluster=dask[0])
        assert raw(store) == raw(local)
        abpipe.derive(*TABLES, store=store, cluster=dask[0])
        assert files(store) == files(local)
        exported: dict[str, Any] = {"dataset": "imagenet-ab", "form": "webdataset"}
        abpipe.export(store.parent / "here", store=local, **exported)
        abpipe.export(store.parent / "there", store=store, **exported, cluster=dask[0])
        for path in (store.parent / "here").iterdir():
            assert path.read_bytes() == (store.parent / "there" / path.name).read_bytes()

    def test_a_worker_lost_while_blocks_are_parsed_costs_nothing(
        self, dask: Dask, archives: list[Path], local: Path, store: Path
    ) -> None:
        address, (first, _) = dask
        for archive in archives:
            abpipe.ingest(archive, store=store, cluster=address, progress=_killing(first, 0.3))
        assert raw(store) == raw(local)

    def test_a_worker_lost_between_archives_costs_nothing(
        self, dask: Dask, archives: list[Path], local: Path, store: Path
    ) -> None:
        address, (first, _) = dask
        abpipe.ingest(*archives, store=store, cluster=address, progress=_killing(first, 1))
        assert raw(store) == raw(local)
        named = {Store(store).path(file) for file in Store(store).manifest().files}
        assert {*store.rglob("*.parquet*")} == named

    def test_a_worker_lost_while_queries_run_costs_nothing(
        self, dask: Dask, archives: list[Path], local: Path, store: Path
    ) -> None:
        address, (first, _) = dask
        abpipe.ingest(*archives, store=store, jobs=1)
        progress = _killing(first, 0.3)
        abpipe.derive(*TABLES, store=store, cluster=address, progress=progress)
        assert files(store) == files(local)

    @pytest.mark.parametrize("form", ["webdataset", "tfrecord"])
    def test_a_worker_lost_while_files_of_samples_are_written_costs_nothing(
        self, dask: Dask, place: Path, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        address, (first, _) = dask
        monkeypatch.setattr(samples, "SHARD", 10)
        each = cluster.Cluster.each

        def killing(self: Any, work: Any, tasks: Any) -> Iterator[Any]:
            for done in each(self, work, tasks):
                if first.poll() is None:
                    first.kill()
                    first.wait()
                yield done

        told: dict[str, Any] = {"form": form, "dataset": "imagenet-ab", "images": IMAGES}
        told["store"] = place / "abstore"
        here = abpipe.export(tmp_path / "here", **told)
        monkeypatch.setattr(cluster.Cluster, "each", killing)
        there = abpipe.export(tmp_path / "there", **told, cluster=address)
        assert first.poll() is not None
        assert here.rows == there.rows == 120
        names = {path.name for path in (tmp_path / "here").iterdir()}
        assert names == {path.name for path in (tmp_path / "there").iterdir()}
        assert len(names) > 12
        for name in names:
            ours, theirs = tmp_path / "here" / name, tmp_path / "there" / name
            assert ours.read_bytes() == theirs.read_bytes()


def _killing(worker: subprocess.Popen[bytes], share: float) -> Callable[[str, int, int], None]:
    """Kills a worker when a share of the first work is done."""

    def told(_name: str, total: int, done: int) -> None:
        if done >= share * total and worker.poll() is None:
            worker.kill()
            worker.wait()

    return told


@pytest.mark.beyond
def test_mpi_does_the_work_too(archives: list[Path], local: Path, store: Path) -> None:
    pytest.importorskip("mpi4py")
    start = [str(Path(sys.executable).with_name("mpiexec")), "-n", "3", sys.executable]
    command = [*start, "-m", "mpi4py.futures", "-m", "abpipe"]
    options = ["--cluster", "mpi://", "-q", "-s", str(store)]
    subprocess.run([*command, "ingest", *map(str, archives), *options], check=True)
    subprocess.run([*command, "derive", *TABLES, *options], check=True)
    assert files(store) == files(local)
