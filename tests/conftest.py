from __future__ import annotations

import gzip
import hashlib
import io
import logging
import os
import pickle  # noqa: TID251 (what executors send)
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TypeAlias

import psutil
import pytest
import zstandard
from hypothesis import settings

import abpipe
import abpipe.errors
from abpipe.__main__ import main
from abpipe.audit import Finding

Row: TypeAlias = tuple[Any, ...]
Member: TypeAlias = tuple[str | tarfile.TarInfo, bytes]

WORKER = b"47DBDD543E"
NAME = b"n01440764_105"

# a shell has what it starts in the background ignore Ctrl-C, and what that starts would, too
signal.signal(signal.SIGINT, signal.default_int_handler)
if "ABPIPE_FUZZ_EXAMPLES" not in os.environ:  # who fuzzes wants others each time, nobody else does
    settings.register_profile("same", derandomize=True)
    settings.load_profile("same")
os.environ.pop("COLUMNS", None)  # pytest-xdist's: tables are to be as wide as they would be


@pytest.fixture(scope="session", autouse=True)
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for what is otherwise in the user's own: the key of pseudonyms."""
    folder = tmp_path_factory.mktemp("config")
    before = os.environ.get("XDG_CONFIG_HOME")
    os.environ["XDG_CONFIG_HOME"] = str(folder)
    yield folder
    os.environ.pop("XDG_CONFIG_HOME")
    if before is not None:
        os.environ["XDG_CONFIG_HOME"] = before


@pytest.fixture(scope="session")
def real_records() -> Path:
    """The folder of the real records, which are no part of the repository."""
    told = os.environ.get("ABPIPE_REAL")
    folder = Path(told or Path(__file__).resolve().parents[2] / "shared" / "real")
    if not folder.is_dir():
        why = f"{folder} is missing: set ABPIPE_REAL to the folder of the real records"
        pytest.fail(why) if told else pytest.skip(why)
    return folder


@pytest.fixture(scope="session")
def real(real_records: Path) -> bytes:
    """The real record, as published."""
    return (real_records / "n01440764_105.xml").read_bytes()


@pytest.fixture(scope="session")
def xml(real: bytes) -> Callable[..., bytes]:
    """Makes a file of the published shape from the real one.

    `workers` gives one record each, `edits` are (old, new) texts to replace throughout.
    """
    at, end = real.index(b"  <metadata>"), real.index(b"</annotation>")

    def make(
        *edits: tuple[str, str],
        name: str = "n01440764_105",
        workers: Iterable[str] = (WORKER.decode(),),
    ) -> bytes:
        records = (real[at:end].replace(WORKER, worker.encode()) for worker in workers)
        made = (real[:at] + b"".join(records) + real[end:]).replace(NAME, name.encode())
        for old, new in edits:
            assert old.encode() in made, f"{old!r} is not in the file"
            made = made.replace(old.encode(), new.encode())
        return made

    return make


@pytest.fixture(scope="session")
def tar() -> Callable[..., bytes]:
    """Makes a tar archive of (name or TarInfo, content)."""

    def make(members: Iterable[Member], form: int = tarfile.GNU_FORMAT) -> bytes:
        memory = io.BytesIO()
        with tarfile.open(fileobj=memory, mode="w", format=form) as archive:
            for member, content in members:
                info = tarfile.TarInfo(member) if isinstance(member, str) else member
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return memory.getvalue()

    return make


@pytest.fixture
def pack(tmp_path: Path, tar: Callable[..., bytes]) -> Callable[..., Path]:
    """Writes members to a source whose form its name says: .tar.gz, .zip, .xml, a folder."""

    def write(name: str, members: Iterable[tuple[str, bytes]]) -> Path:
        path, members = tmp_path / name, list(members)
        if name.endswith(".zip"):
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                for member, content in members:
                    archive.writestr(member, content)
        elif name.endswith(".xml"):
            path.write_bytes(members[0][1])
        elif ".tar" not in name:
            for member, content in members:
                (path / member).parent.mkdir(parents=True, exist_ok=True)
                (path / member).write_bytes(content)
        else:
            path.write_bytes(compressed(name, tar(members)))
        return path

    return write


def compressed(name: str, content: bytes) -> bytes:
    if name.endswith(".gz"):
        return gzip.compress(content, 1, mtime=0)
    return zstandard.compress(content) if name.endswith(".zst") else content


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def ingest(store: Path) -> Callable[..., Any]:
    """`abpipe.ingest` into the test's store, in one process; the last source's result."""

    def run(*sources: Path, **options: Any) -> Any:
        defaults: dict[str, Any] = {"jobs": 1, "store": store}
        return abpipe.ingest(*sources, **defaults | options)[-1]

    return run


@pytest.fixture
def rows(store: Path) -> Callable[..., list[Row]]:
    """Queries the test's store, or another."""

    def query(sql: str, at: Path = store) -> list[Row]:
        with abpipe.connect(at) as connection:
            found: list[Row] = connection.execute(sql).fetchall()
            return found

    return query


@pytest.fixture
def run(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs a command on the test's store, in this process: exit code, stdout, stderr."""

    def command(name: str, *arguments: object) -> tuple[int, str, str]:
        line = ["abpipe", name, *map(str, arguments), "-s", str(store)]
        monkeypatch.setattr(sys, "argv", line)
        pipe = signal.getsignal(signal.SIGPIPE)
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        finally:
            signal.signal(signal.SIGPIPE, pipe)
        out, err = capsys.readouterr()
        return code, out, err

    return command


@pytest.fixture
def process(store: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a command on the test's store in a process of its own."""
    with ExitStack() as stack:

        def command(
            name: str, *arguments: object, at: Path = store, **options: Any
        ) -> subprocess.Popen[str]:
            line = [sys.executable, "-m", "abpipe", name, *map(str, arguments), "-s", str(at)]
            pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
            started = subprocess.Popen(line, stdin=subprocess.DEVNULL, text=True, **pipes | options)
            stack.enter_context(started)
            stack.callback(started.kill)
            return started

        yield command


@pytest.fixture
def shared_memory() -> Callable[[int], set[Path]]:
    """The files of shared memory that a process has mapped."""

    def mapped(pid: int) -> set[Path]:
        with suppress(psutil.Error):
            found = psutil.Process(pid).memory_maps()
            return {Path(part.path) for part in found if part.path.startswith("/dev/shm/")}
        return set()

    return mapped


@pytest.fixture
def faults(store: Path) -> Callable[..., list[Finding]]:
    """What is wrong with a store; the test's records say nothing true of their display."""

    def find(at: Path = store) -> list[Finding]:
        return [finding for finding in abpipe.check(store=at) if finding.share is None]

    return find


class Pickling(ThreadPoolExecutor):
    """Two threads that get and give what other machines would; keeps the names of its tasks."""

    def __init__(self) -> None:
        super().__init__(2)
        self.tasks: list[str] = []
        self.sent: list[bytes] = []

    def submit(self, work: Any, /, *arguments: Any, **_: Any) -> Future[Any]:
        self.sent.append(pickle.dumps((work, arguments)))
        self.tasks.append(getattr(work, "__name__", "parse"))
        return super().submit(_done, self.sent[-1])


def _done(sent: bytes) -> Any:
    work, arguments = pickle.loads(sent)
    try:
        return pickle.loads(pickle.dumps(work(*arguments)))
    except abpipe.errors.AbpipeError as err:
        raise pickle.loads(pickle.dumps(err)) from None


@pytest.fixture
def executor() -> Iterator[Pickling]:
    """An executor that behaves as if other machines were behind it."""
    with Pickling() as pool:
        yield pool


@pytest.fixture(scope="session")
def s3_service() -> Iterator[str]:
    """An S3-compatible server on loopback, which the environment leads to; its address."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", port=0)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server.start()
    host, port = server.get_host_and_port()
    own = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in own.items():
            patch.setenv(name, value)
        yield own["AWS_ENDPOINT_URL"]
    server.stop()


@pytest.fixture
def bucket(s3_service: str) -> str:
    """A bucket of the test's own, as a URL."""
    import s3fs

    name = f"test-{os.urandom(4).hex()}"
    s3fs.S3FileSystem().mkdir(name)
    return f"s3://{name}"


@pytest.fixture
def s3(bucket: str) -> Callable[[str, bytes], str]:
    """Puts a file into the test's bucket; its URL."""
    import s3fs

    def put(key: str, content: bytes) -> str:
        s3fs.S3FileSystem().pipe_file(f"{bucket}/{key}", content)
        return f"{bucket}/{key}"

    return put


@pytest.fixture
def contents(store: Path) -> Callable[[], dict[str, str]]:
    """Every file of the test's store but its lock, and the hash of its bytes."""

    def read() -> dict[str, str]:
        return {
            file.relative_to(store).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(store.rglob("*"))
            if file.is_file() and file.name != ".lock"
        }

    return read
