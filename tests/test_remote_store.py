"""Stores behind URLs: the files of a local one, whatever races and crashes come."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import pytest

import abpipe
from abpipe import kept, remote, remote_store
from abpipe.catalog import commit
from abpipe.derived import derive
from abpipe.errors import CannotExport, LostRace, NoStore, NotWritable
from abpipe.manifest import Manifest
from abpipe.remote import Url
from abpipe.store import Store, open_store

SAMPLES = ("data/imagenet/imagenet_ab.tar.gz", "data/coco/coco_ab.json")
ROOT = Path(__file__).parents[1]


def files(manifest: Manifest) -> list[tuple[str, str, int, str]]:
    """What the files of a store are, but for their names."""
    return [(file.table, file.dataset, file.rows, file.sha256) for file in manifest.files]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of both samples, derived."""
    store = tmp_path_factory.mktemp("local") / "store"
    abpipe.ingest(*(ROOT / sample for sample in SAMPLES), store=store, jobs=1)
    abpipe.derive("clicks", "image_targets", store=store, jobs=1)
    return store


@pytest.fixture
def copied(local: Path) -> str:
    """A copy of it in fsspec's memory."""
    fs = fsspec.filesystem("memory")
    for path in local.rglob("*"):
        if path.is_file():
            fs.pipe_file(f"/copy/{path.relative_to(local)}", path.read_bytes())
    return "memory://copy"


def test_a_store_is_read_from_anywhere(copied: str, local: Path, run: Any) -> None:
    with abpipe.connect(copied) as there, abpipe.connect(local) as here:
        for table in ("events", "clicks", "traces"):
            query = f"FROM {table} ORDER BY ALL"
            assert there.sql(query).fetchall() == here.sql(query).fetchall()
    assert [f for f in abpipe.check(store=copied) if f.level == "error"] == []


def test_damage_is_told_there_too(copied: str) -> None:
    fs, damaged = fsspec.filesystem("memory"), open_store(copied).manifest().files
    one, other, third = (f"/copy/{file.path}" for file in damaged[:3])
    fs.rm(one)
    fs.pipe_file(other, fs.cat_file(other)[:-1])
    content = bytearray(fs.cat_file(third))
    content[10] ^= 1
    fs.pipe_file(third, bytes(content))
    fs.pipe_file("/copy/events/dataset=x/stray.parquet", b"")
    found = [f.what for f in abpipe.check(store=copied)]
    assert found[:4] == [
        "the manifest names this file, and it is missing",
        f"{damaged[1].bytes - 1:,} bytes, written {damaged[1].bytes:,}",
        "its bytes have changed since it was written",
        "no manifest names this file; the next write removes it",
    ]


def test_only_where_a_replacement_can_be_conditional_is_written(copied: str) -> None:
    with pytest.raises(NotWritable) as error:
        abpipe.derive("traces", store=copied)
    assert error.value.scheme == "memory"
    assert str(error.value) == (
        "memory://copy: stores are read from memory://, and written in folders, on S3 (s3://) and "
        "on Google's storage (gs://) only. Write it in a folder, and copy that"
    )


def test_where_there_is_none_it_says_so() -> None:
    with pytest.raises(NoStore) as error:
        abpipe.connect("memory://nothing")
    assert str(error.value) == (
        "memory://nothing holds no store. Make one: `abpipe ingest SOURCE -s memory://nothing`"
    )


def test_an_export_goes_to_a_folder(local: Path) -> None:
    with pytest.raises(CannotExport, match="a folder of this machine, not to a URL"):
        abpipe.export("s3://bucket/targets", store=local, dataset="coco-ab")


@pytest.mark.beyond
class TestS3:
    """Against an S3-compatible server."""

    def test_all_verbs_do_what_they_do_in_a_folder(
        self, bucket: str, local: Path, tmp_path: Path
    ) -> None:
        store = f"{bucket}/ab"
        for sample in SAMPLES:
            abpipe.ingest(ROOT / sample, store=store, jobs=1)
        abpipe.derive("clicks", "image_targets", store=store, jobs=1)
        assert files(open_store(store).manifest()) == files(Store(local).manifest())
        assert not abpipe.ingest(ROOT / SAMPLES[0], store=store, jobs=1)[0].is_new
        assert [f for f in abpipe.check(store=store) if f.level in ("error", "warning")] == [
            f for f in abpipe.check(store=local) if f.level in ("error", "warning")
        ]
        abpipe.export(tmp_path / "there", store=store, dataset="coco-ab")
        abpipe.export(tmp_path / "here", store=local, dataset="coco-ab")
        assert (tmp_path / "there/targets.json").read_bytes() == (
            tmp_path / "here/targets.json"
        ).read_bytes()

    def test_a_cluster_reads_and_writes_it(
        self, bucket: str, local: Path, executor: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = f"{bucket}/ab"
        sources = [ROOT / sample for sample in SAMPLES]
        abpipe.ingest(*sources, store=store, cluster=executor)
        assert {*executor.tasks} == {"parse"}  # each source is read here
        monkeypatch.setattr(derive, "PIECE_BYTES", dict.fromkeys(derive.PIECE_BYTES, 1 << 14))
        abpipe.derive("clicks", "image_targets", store=store, cluster=executor)
        assert "_work_elsewhere" in executor.tasks
        assert f"{tempfile.gettempdir()}/abpipe-".encode() not in b"".join(executor.sent)
        assert files(open_store(store).manifest()) == files(Store(local).manifest())

    def test_the_command_takes_a_url(self, bucket: str, process: Callable[..., Any]) -> None:
        store = f"{bucket}/ab"
        for line in (("ingest", ROOT / SAMPLES[1]), ("derive", "clicks"), ("info",)):
            ran = process(*line, at=store)
            assert (ran.communicate(), ran.returncode)[1] == 0
        ran = process("sql", "SELECT count(*) AS n FROM annotations", "--format", "csv", at=store)
        assert ran.communicate()[0] == "n\n60\n"

    def test_what_is_replaced_or_forgotten_is_gone(self, bucket: str) -> None:
        store = f"{bucket}/ab"
        abpipe.ingest(ROOT / SAMPLES[0], store=store, jobs=1)
        abpipe.ingest(ROOT / SAMPLES[0], store=store, jobs=1, replace=True)
        with abpipe.connect(store) as connection:
            query = "SELECT annotator_id FROM annotations LIMIT 1"
            ((person,),) = connection.execute(query).fetchall()
        assert abpipe.forget(store, annotator=person).records > 0
        opened = open_store(store)
        assert {*opened.found()} == {file.path for file in opened.manifest().files}
        assert Url(f"{store}/{kept.FOLDER}").glob() == []
        with abpipe.connect(store) as connection:
            query = "SELECT count(*) FROM annotations WHERE annotator_id = ?"
            assert connection.execute(query, [person]).fetchall() == [(0,)]

    def test_whoever_reads_goes_on_reading_what_is_replaced(
        self, bucket: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store, query = f"{bucket}/ab", "SELECT count(*), sum(x) FROM events"
        abpipe.ingest(ROOT / SAMPLES[1], store=store, jobs=1)
        with abpipe.connect(store) as reader:
            for _ in range(2):
                abpipe.ingest(ROOT / SAMPLES[1], store=store, jobs=1, replace=True, limit=10)
            opened = open_store(store)
            named = {file.path for file in opened.manifest().files}
            assert {*opened.found()} == named  # a glob over the tables sees nothing twice
            old = reader.execute(query).fetchall()
            with abpipe.connect(store) as later:
                assert later.execute(query).fetchall() < old
            monkeypatch.setattr(remote_store, "ABANDONED", timedelta(days=-1))
            abpipe.derive("clicks", store=store, jobs=1)
            with pytest.raises(duckdb.Error):
                reader.execute("SELECT sum(t_ms) FROM events").fetchall()

    def test_a_file_is_read_to_its_end_when_it_goes_meanwhile(
        self, s3: Callable[[str, bytes], str]
    ) -> None:
        content = bytes(range(256)) * 1000
        fs, path = Url(s3("ab/events/a.parquet", content)).at()
        root = path.removesuffix("/events/a.parquet")
        with kept.Lasting(fs, root).open(path, block_size=1000, cache_type="none") as file:
            begun = file.read(1000)
            fs.mv(path, kept.aside(root, "events/a.parquet"))
            assert begun + file.read() == content

    def test_who_loses_the_race_leaves_nothing(self, bucket: str) -> None:
        store = f"{bucket}/ab"
        for first in (ROOT / SAMPLES[0], ROOT / SAMPLES[1]):  # a new store; one that is there
            opened = open_store(store)
            with pytest.raises(LostRace) as error, opened.transaction() as transaction:
                new = transaction.writer("classes", "other", None).finish()
                abpipe.ingest(first, store=store, jobs=1)
                commit(transaction, transaction.manifest.with_files([new]))
            found = open_store(store)
            assert {*found.found()} == {file.path for file in found.manifest().files}
        assert len(found.manifest().sources) == 2
        assert str(error.value) == (
            f"{store}: another process has written to this store meanwhile. "
            "Nothing of it was stored. Run it again"
        )

    def test_what_a_crash_left_goes_with_a_later_commit(
        self, bucket: str, s3: Callable[[str, bytes], str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = f"{bucket}/ab"
        stray = s3("ab/events/dataset=coco-ab/0001-dead-0.parquet", b"")
        abpipe.ingest(ROOT / SAMPLES[1], store=store, jobs=1)
        assert Url(stray).exists()  # it may be of a process that is about to name it
        monkeypatch.setattr(remote_store, "ABANDONED", timedelta(days=-1))
        abpipe.derive("clicks", store=store, jobs=1)
        assert not Url(stray).exists()

    def test_the_catalog_makes_the_tables_in_any_duckdb(self, bucket: str) -> None:
        store = f"{bucket}/ab"
        abpipe.ingest(ROOT / SAMPLES[1], store=store, jobs=1)
        with Url(f"{store}/catalog.sql").open() as file, duckdb.connect() as connection:
            remote.register(connection, Url(store))
            connection.execute(file.readall().decode())
            query = "SELECT count(*) FROM annotations"
            assert connection.execute(query).fetchall() == [(60,)]
