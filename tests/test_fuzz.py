"""Whatever bytes a reader is given, it says what they are, or what is wrong: in time and in bounds.

Each kind of file is changed at random for a while: `ABPIPE_FUZZ_SECONDS` for each, or a second.
That fast paths and strict parsers agree is tested beside them, in `events/`.
"""

from __future__ import annotations

import gzip
import io
import os
import random
import resource
import shutil
import signal
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import orjson
import pytest
import zstandard
from PIL import Image

import abpipe
from abpipe.errors import AbpipeError

pytestmark = pytest.mark.fuzz

DATA = Path(__file__).parents[1] / "data"
SECONDS = float(os.environ.get("ABPIPE_FUZZ_SECONDS", "1"))
PATIENCE_S = 20  # of processor time, for one file of some kB: others may be at work, too
WAIT_S = 600  # until it does nothing at all
MEMORY = 1 << 30  # bytes that the process may grow by

#: What makes readers stumble.
TOKENS = (
    b"", b"\0", b"\xff", b"-1", b"0", b"1e999", b"NaN", b"null", b"[]", b"{}", b'"', b"<", b">",
    b"]]>", b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"&a;", b"\\ud800", b"../../../x", b"/etc/passwd",
    b"99999999999999999999", b"[" * 2000, b"{" * 2000, b"\xff\xff\xff\x7f", b"\0" * 512, b"\n",
)  # fmt: skip


def changed(data: bytes, pick: random.Random) -> bytes:
    """Bytes of which some were changed, added, removed, moved or cut off."""
    made = bytearray(data)
    for _ in range(pick.choice([1, 1, 2, 4, 16])):
        at = pick.randrange(len(made) + 1)
        size = min(pick.choice([1, 1, 4, 30, 600]), len(made) - at)
        match pick.randrange(7):
            case 0 if size:
                made[at] = pick.randrange(256)
            case 1 if size:
                made[at] ^= 1 << pick.randrange(8)
            case 2:
                del made[at : at + size]
            case 3:
                made[at:at] = made[at : at + size]
            case 4:
                made[at : at + size] = pick.choice(TOKENS)
            case 5:
                other = pick.randrange(len(made) + 1)
                made[at : at + size] = made[other : other + size]
            case _ if pick.random() < 0.2:
                del made[at:]
    return bytes(made)


@contextmanager
def bounded() -> Iterator[None]:
    """Fail where something takes too long, or too much memory."""

    def late(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"more than {PATIENCE_S} s of work, or {WAIT_S} s of waiting")

    timers = {signal.SIGPROF: signal.ITIMER_PROF, signal.SIGALRM: signal.ITIMER_REAL}
    before = {number: signal.signal(number, late) for number in timers}
    signal.setitimer(signal.ITIMER_PROF, PATIENCE_S)
    signal.setitimer(signal.ITIMER_REAL, WAIT_S)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        yield
    finally:
        for number, timer in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) << 10 < MEMORY


def fuzz(data: bytes, read: Callable[[bytes], object], least: int = 10) -> None:
    """Have changed bytes read until time is up: only errors of abpipe's own may come of it."""
    began, seed = time.process_time(), 0
    while time.process_time() - began < SECONDS or seed < least:
        tried = changed(data, random.Random(seed))
        try:
            with bounded(), suppress(AbpipeError):
                read(tried)
        except Exception as err:
            err.add_note(f"seed {seed}: {tried[:200]!r}")
            raise
        seed += 1


# -- sources -------------------------------------------------------------------------------------


def packed(members: list[tuple[str, bytes]]) -> bytes:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return memory.getvalue()


def zipped(members: list[tuple[str, bytes]]) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return memory.getvalue()


@pytest.fixture(scope="module")
def seeds(real: bytes) -> dict[str, bytes]:
    """A small file of each kind."""
    files = [("x/a.xml", real), ("x/" + "b" * 120 + ".xml", real), ("x/._a.xml", b"\0"), ("é", b"")]
    coco = orjson.loads((DATA / "coco/coco_ab.json").read_bytes())[:2]
    page = {"page": {"id": "p", "pageno": 1, "annotation": {
        "imageURL": "COCO_train2014_000000000009.jpg", "imageWidth": 450, "imageHeight": 450,
        "originalImageWidth": 640, "originalImageHeight": 480, "timeSpend": 5000,
        "mouseTracking": [{"x": 0.5, "y": 0.5, "timeAt": 10}], "categoryHistories": [],
        "actionHistories": [{"actionType": "add", "iconType": "dog", "timeAt": 11,
                             "pointTo": {"x": 0.5, "y": 0.5}}]}},
        "endedAt": "2022-01-01T00:00:00.000Z", "isDone": False}  # fmt: skip
    instances = {
        "images": [{"id": 9, "width": 640, "height": 480, "file_name": "COCO_train2014_9.jpg"}],
        "annotations": [
            {"id": 1, "image_id": 9, "category_id": 18, "bbox": [1, 2, 30, 40], "area": 5.5,
             "iscrowd": 1, "segmentation": {"counts": [5, 20, 30], "size": [480, 640]}},
            {"id": 2, "image_id": 9, "category_id": 18, "bbox": [1, 2, 30, 40], "area": 5.5,
             "iscrowd": 0, "segmentation": [[1, 2, 3, 4, 5, 6]]},
        ],
        "categories": [{"id": 18, "name": "dog", "supercategory": "animal"}],
    }  # fmt: skip
    tar = packed(files)
    return {
        "xml": real,
        "tar": tar,
        "tar.gz": gzip.compress(tar, mtime=0),
        "tar.zst": zstandard.compress(tar),
        "zip": zipped(files),
        "coco.json": orjson.dumps(coco),
        "coco.jsonl": b"\n".join(orjson.dumps(one) for one in coco),
        "coco.json.gz": gzip.compress(orjson.dumps(coco), mtime=0),
        "page.json": orjson.dumps(page),
        "instances.json": orjson.dumps(instances),
    }


KINDS = ("xml", "tar", "tar.gz", "tar.zst", "zip", "coco.json", "coco.jsonl", "coco.json.gz",
         "page.json", "instances.json")  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_fuzzed_sources_are_read_or_refused(
    kind: str, seeds: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    path = tmp_path / f"source.{kind}"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        abpipe.check(path, jobs=1)

    fuzz(seeds[kind], read)
    assert {p.name for p in tmp_path.rglob("*")} == {"cwd", path.name}


@pytest.mark.parametrize("kind", ["tar", "zip", "coco.json", "page.json", "instances.json"])
def test_fuzzed_sources_make_sound_stores_or_none(
    kind: str, seeds: dict[str, bytes], tmp_path: Path
) -> None:
    path, store = tmp_path / f"source.{kind}", tmp_path / "store"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        shutil.rmtree(store, ignore_errors=True)
        try:
            abpipe.ingest(path, store=store, jobs=1, keep_partial=True)
        except AbpipeError:
            assert not store.exists()
            return
        assert [f for f in abpipe.check(store=store) if f.level == "error"] == []
        abpipe.derive("clicks", "visits", store=store, jobs=1)

    fuzz(seeds[kind], read, least=3)
    assert {p.name for p in tmp_path.iterdir()} <= {path.name, "store"}


@pytest.mark.parametrize("form", ["jpeg", "png", "gif", "webp", "bmp", "tiff"])
def test_fuzzed_pictures_have_a_size_or_a_reject(form: str, tmp_path: Path) -> None:
    memory, exif = io.BytesIO(), Image.Exif()
    exif[0x112] = 6
    Image.new("RGB", (64, 48)).save(
        memory, form, **({} if form in ("gif", "bmp") else {"exif": exif})
    )
    (tmp_path / "images").mkdir()

    def read(data: bytes) -> None:
        (tmp_path / "images" / f"n01440764_1.{form}").write_bytes(data)
        abpipe.check(tmp_path / "images", jobs=1)

    fuzz(memory.getvalue(), read)


# -- what abpipe itself wrote --------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(seeds: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    (folder / "a.tar").write_bytes(seeds["tar"])
    abpipe.ingest(folder / "a.tar", store=folder / "store", jobs=1)
    abpipe.derive("clicks", store=folder / "store", jobs=1)
    abpipe.export(folder / "out", store=folder / "store")
    return folder


def test_fuzzed_manifests_are_read_or_refused(made: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(made / "store", tmp_path / "store"))
    files = set(store.rglob("*.parquet"))

    def read(data: bytes) -> None:
        (store / "manifest.json").write_bytes(data)
        abpipe.check(store=store)

    fuzz((made / "store/manifest.json").read_bytes(), read, least=20)
    assert files == set(store.rglob("*.parquet"))
    assert {path.name for path in tmp_path.iterdir()} == {"store"}


@pytest.mark.parametrize("name", ["catalog.sql", "catalog.duckdb"])
def test_fuzzed_catalogs_are_made_anew(name: str, made: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(made / "store", tmp_path / "store"))

    def read(data: bytes) -> None:
        (store / name).write_bytes(data)
        with abpipe.connect(store) as connection:
            assert connection.execute("SELECT count(*) FROM images").fetchall() == [(1,)]

    fuzz((made / "store" / name).read_bytes(), read, least=3)


def test_fuzzed_tables_are_told_of(made: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(made / "store", tmp_path / "store"))
    (path,) = store.glob("events/*/*.parquet")
    whole = path.read_bytes()

    def read(data: bytes) -> None:
        path.write_bytes(data)
        found = [f.level for f in abpipe.check(store=store)]
        assert ("error" in found) == (data != whole)
        for change in (
            lambda: abpipe.derive("visits", store=store, jobs=1),
            lambda: abpipe.forget(store, annotator="47DBDD543E"),
        ):
            with suppress(AbpipeError):
                change()
        shutil.rmtree(store)
        shutil.copytree(made / "store", store)

    fuzz(whole, read, least=3)


@pytest.mark.parametrize(
    "name", ["targets.json", "click_xy.npy", "image_ids.npy", "trace_offsets.npy"]
)
def test_fuzzed_targets_are_opened_or_refused(name: str, made: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(made / "out", tmp_path / "out"))

    def read(data: bytes) -> None:
        (out / name).write_bytes(data)
        targets = abpipe.open_targets(out)
        with suppress(AbpipeError):
            targets.verify()
        if len(targets):
            assert set(targets[0]) <= set(targets.arrays)

    fuzz((made / "out" / name).read_bytes(), read, least=30)
