"""Sources behind URLs, on loopback: a plain HTTP server that can misbehave, and an S3 service."""

from __future__ import annotations

import gzip
import hashlib
import random
import re
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest
import zstandard
from botocore.exceptions import NoCredentialsError

from abpipe import remote
from abpipe.errors import (
    ChangedMeanwhile,
    LostConnection,
    MissingSource,
    NeedsParts,
    NeedsPlugin,
    Refused,
    Unreachable,
)
from abpipe.once import Once
from abpipe.raw.sources import find
from abpipe.raw.streams import open_plain
from abpipe.remote import Url, is_url, opened, place, told

Pack = Callable[..., Path]
XML = Callable[..., bytes]
S3 = Callable[[str, bytes], str]


@dataclass
class Site:
    """A server's files by path, and how it misbehaves.

    After `good` answers, the next `cuts` end after `cut_after` bytes. `asked` counts requests.
    """

    at: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    has_parts: bool = True
    has_size: bool = True
    status: dict[str, int] = field(default_factory=dict)
    cut_after: int | None = None
    cuts: int = 0
    good: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    tags: dict[str, str] = field(default_factory=dict)
    sent: int = 0

    def __call__(self, path: str, content: bytes) -> str:
        self.files[path] = content
        return f"{self.at}/{path}"

    def cut(self, n: int) -> int:
        """How many of `n` bytes are sent."""
        if self.cut_after is None or n <= self.cut_after or self.asked.total() <= self.good:
            return n
        self.cuts -= 1
        return n if self.cuts < 0 else self.cut_after


class Handler(BaseHTTPRequestHandler):
    """Serves a site."""

    site: Site
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(has_body=False)

    def do_GET(self) -> None:
        self.site.asked[self.path] += 1
        self.answer(has_body=True)

    def answer(self, has_body: bool) -> None:
        path = self.path.strip("/")
        status = self.site.status.get(path, 200 if path in self.site.files else 404)
        body = self.site.files[path] if status == 200 else b""
        part = re.match(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if self.site.has_parts and part:
            body, status = body[int(part[1]) : int(part[2]) + 1], 206
        self.send_response(status)
        self.send_header("ETag", self.site.tags.get(path, "same"))
        self.send_header("Connection", "close")
        if self.site.has_size:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if has_body:
            n = self.site.cut(len(body))
            self.wfile.write(body[:n])
            self.site.sent += n
            self.wfile.flush()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(remote, "PAUSE_S", 0.001)
    made = Site()
    handler = type("Own", (Handler,), {"site": made})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        made.at = f"http://127.0.0.1:{server.server_port}"
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> int:
    """Files come in pieces of a few kilobytes, so that small ones have many."""
    monkeypatch.setattr(remote, "PIECE", 4096)
    return 4096


CONTENT = bytes(range(256)) * 200


def test_a_url_is_told_from_a_path() -> None:
    assert [is_url(text) for text in ("s3://b/k", "hf://a", "simplecache::s3://b/k")] == [True] * 3
    assert [is_url(text) for text in ("C://x", "a/b", "./s3:/b", "*.tar")] == [False] * 4
    assert place("file:///a%20b/c.tar") == Path("/a b/c.tar")
    assert place("s3://b/k") == Url("s3://b/k")


def test_the_name_of_a_url_is_that_of_its_file() -> None:
    assert Url("https://host/a/my%20file.tar.gz?download=1#x").name == "my file.tar.gz"
    assert Url("s3://bucket/a/b%20c.tar").name == "b%20c.tar"
    assert Url("s3://bucket/pages/").name == "pages"


@pytest.mark.parametrize("has_parts", [True, False])
@pytest.mark.parametrize("has_size", [True, False])
def test_a_file_reads_as_it_is(
    site: Site, small_pieces: int, has_parts: bool, has_size: bool
) -> None:
    site.has_parts, site.has_size = has_parts, has_size
    with opened(Url(site("a", CONTENT))) as file:
        assert file.read(10) == CONTENT[:10]
        file.seek(0)
        assert file.read(len(CONTENT) + 1) == CONTENT
        assert file.read(1) == b""


@pytest.mark.parametrize("has_parts", [True, False])
def test_a_lost_connection_is_taken_up_where_it_was_lost(
    site: Site, small_pieces: int, has_parts: bool
) -> None:
    site.has_parts, site.cut_after, site.cuts = has_parts, 3000 if has_parts else 30_000, 4
    with opened(Url(site("a", CONTENT))) as file:
        assert file.read(len(CONTENT)) == CONTENT
    assert site.cuts <= 0


def test_a_connection_that_stays_lost_says_how_far_it_was_read(
    site: Site, small_pieces: int
) -> None:
    site.good, site.cut_after, site.cuts = 6, 100, 1000
    url = site("a.tar", CONTENT)
    with opened(Url(url)) as file, pytest.raises(LostConnection) as error:
        while file.read(1000):
            pass
    told = error.value
    assert (told.url, told.size) == (url, len(CONTENT))
    assert 4096 <= told.offset <= 6 * 4096
    assert str(told) == (
        f"{url}: the connection was lost at byte {told.offset:,} of 51,200, and could not be had "
        f"again: {told.why}. Nothing of it was stored. Try again when the network is back"
    )


@pytest.mark.parametrize("pack", [zstandard.compress, gzip.compress])
def test_a_lost_connection_is_not_taken_for_damage(
    site: Site, small_pieces: int, pack: Callable[[bytes], bytes]
) -> None:
    url = site("a", pack(random.Random(0).randbytes(100_000)))
    site.good, site.cut_after, site.cuts = 6, 100, 1000
    buffer = memoryview(bytearray(1000))
    with open_plain(Url(url), "a") as stream, pytest.raises(LostConnection):
        while stream.readinto(buffer):
            pass


def test_memory_is_a_place_too(pack: Pack) -> None:
    content = pack("a.tar", [("a.xml", b"<a/>")]).read_bytes()
    fsspec.filesystem("memory").pipe_file("/x/a.tar", content)
    (source,) = find("memory://x/*.tar")
    assert source.identity() == (len(content), hashlib.sha256(content).hexdigest())


def test_a_file_that_changes_is_not_two_halves(site: Site, small_pieces: int) -> None:
    url = site("a", CONTENT)
    site.tags["a"] = "one"
    with opened(Url(url)) as file:
        file.read(10)
        site.tags["a"], site.cut_after, site.cuts = "two", 100, 1
        with pytest.raises(ChangedMeanwhile) as error:
            file.read(len(CONTENT))
    assert str(error.value) == (
        f"{url} changed while it was read. Nothing of it was stored. Read it again"
    )


def test_what_is_not_there_is_missing(site: Site) -> None:
    with pytest.raises(MissingSource, match="gone does not exist"):
        find(f"{site.at}/gone")


def test_a_refusal_says_so(site: Site) -> None:
    site.status["secret"] = 403
    with pytest.raises(Refused) as error:
        find(f"{site.at}/secret")
    assert error.value.url == f"{site.at}/secret"
    assert str(error.value) == (
        f"{site.at}/secret: access is refused: {error.value.why}. Give the credentials that its "
        "tools take, as AWS_PROFILE; for a public bucket, FSSPEC_S3_ANON=true"
    )
    assert "403" in error.value.why


@pytest.mark.parametrize("err", [PermissionError("Access Denied"), NoCredentialsError()])
def test_so_does_a_file_system(err: Exception) -> None:
    with pytest.raises(Refused), told("s3://bucket/a"):
        raise err


def test_a_server_that_fails_is_out_of_reach(site: Site) -> None:
    site.status["a"] = 503
    with pytest.raises(Unreachable, match="cannot be reached: 503"):
        find(f"{site.at}/a")
    with pytest.raises(Unreachable) as error:
        find("http://127.0.0.1:9/a")
    assert str(error.value) == (
        f"http://127.0.0.1:9/a cannot be reached: {error.value.why}. Check the URL and the network"
    )


def test_a_url_that_nothing_reads_says_what_to_install() -> None:
    with pytest.raises(NeedsPlugin) as error:
        find("az://bucket/a.tar")
    assert error.value.scheme == "az"
    assert str(error.value) == (
        f"az://bucket/a.tar: nothing that is installed reads az://: {error.value.why}. For s3 and "
        "http: `pip install 'abpipe[remote]'`; for gs: `pip install 'abpipe[gs]'`; for hf: "
        "`pip install 'abpipe[hf]'`; for others, fsspec's plug-in, as adlfs for az"
    )
    with pytest.raises(NeedsPlugin, match="Protocol not known: nothing"):
        find("nothing://a")


def test_without_fsspec_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(NeedsPlugin, match="fsspec is not installed"):
        find("s3://bucket/a.tar")


@pytest.mark.parametrize(
    ("name", "has_parts"),
    [("a.tar.gz", False), ("a.tar.gz", True), ("a.tar.zst", True), ("n01440764_105.xml", True)],
)
def test_rows_are_those_of_the_file(
    site: Site, pack: Pack, xml: XML, ingest: Any, rows: Any, name: str, has_parts: bool
) -> None:
    site.has_parts = has_parts
    path = pack(name, [("n01440764_105.xml", xml())])
    local = find(str(path))[0].identity()
    done = ingest(site(name, path.read_bytes()))
    assert (done.source.size, done.source.sha256) == local
    assert rows("SELECT source, image_id FROM images") == [(name, "n01440764_105")]
    assert not ingest(path).is_new  # it is the same, wherever it lies


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tar.zst"])
def test_a_file_comes_once(
    site: Site,
    pack: Pack,
    xml: XML,
    ingest: Any,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote, "PIECE", 1 << 18)
    noise = random.Random(0).randbytes(8_000_000)  # what does not shrink
    members = [("n01440764_1.xml", xml(name="n01440764_1")), ("readme.txt", noise)]
    path = pack(name, members)
    url, whole = site(name, path.read_bytes()), path.stat().st_size
    local = find(str(path))[0].identity()
    for options in ({}, {"replace": True}, {"replace": True, "limit": 1}):
        site.sent = 0
        done = ingest(url, **options)
        assert (done.source.size, done.source.sha256) == local
        assert whole <= site.sent < 1.25 * whole
    site.sent = 0
    assert not ingest(url, limit=1).is_new
    assert whole <= site.sent < 1.25 * whole


def test_a_file_that_changes_after_it_was_read_is_no_source(
    site: Site, pack: Pack, xml: XML
) -> None:
    url = site("a.tar", pack("a.tar", [("n01440764_1.xml", xml())]).read_bytes())
    file = Once(url)
    with file.open() as begun:
        begun.read(100)
    site.tags["a.tar"] = "other"
    with pytest.raises(ChangedMeanwhile):
        file.identity()


def test_a_zip_is_read_where_the_server_serves_parts(
    site: Site, small_pieces: int, pack: Pack, xml: XML, ingest: Any
) -> None:
    members = [(f"n01440764_{i}.xml", xml(name=f"n01440764_{i}")) for i in range(40)]
    url = site("a.zip", pack("a.zip", members).read_bytes())
    assert ingest(url).rows["images"] == 40
    site.has_parts = False
    with pytest.raises(NeedsParts) as error:
        ingest(url, replace=True)
    assert str(error.value) == (
        f"{url}: the server sends whole files only, and a zip is read from its end. "
        "Download it first, or pack it as a tar"
    )


def test_memory_does_not_grow_with_the_file(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PIECE", 1 << 16)
    url, peaks = Url(site("a", bytes(8 << 20))), []
    for size in (1 << 20, 8 << 20):
        view = memoryview(bytearray(1 << 16))
        with opened(url) as file:
            tracemalloc.start()
            while file.tell() < size:
                file.readinto(view)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < peaks[0] + (1 << 19)


def test_a_lost_connection_leaves_the_store_as_it_was(
    site: Site, small_pieces: int, pack: Pack, xml: XML, ingest: Any, contents: Any
) -> None:
    ingest(pack("b.tar", [("n01440764_1.xml", xml(name="n01440764_1"))]))
    before = contents()
    members = [(f"n01440764_{i}.xml", xml(name=f"n01440764_{i}")) for i in range(40)]
    url = site("a.tar", pack("a.tar", members).read_bytes())
    whole = len(site.files["a.tar"])
    assert whole > 2 * small_pieces
    site.cut_after, site.cuts = 10, 10_000
    with pytest.raises(LostConnection):
        ingest(url, keep_partial=True)
    assert contents() == before


@pytest.mark.beyond
class TestS3:
    """Against an S3-compatible server."""

    def test_rows_are_those_of_the_file(
        self, s3: S3, pack: Pack, xml: XML, ingest: Any, rows: Any
    ) -> None:
        for name in ("a.tar.gz", "b.zip"):
            path = pack(name, [("n01440764_105.xml", xml(name=f"n01440764_{ord(name[0])}"))])
            done = ingest(s3(f"in/{name}", path.read_bytes()), jobs=2)
            assert (done.source.size, done.source.sha256) == find(str(path))[0].identity()
        found = rows("SELECT source, image_id FROM images ORDER BY ALL")
        assert found == [("a.tar.gz", "n01440764_97"), ("b.zip", "n01440764_98")]

    def test_a_glob_and_a_folder_name_what_is_under_them(
        self, s3: S3, pack: Pack, xml: XML, ingest: Any, rows: Any
    ) -> None:
        for i in range(3):
            tar = pack(f"{i}.tar", [("a.xml", xml(name=f"n01440764_{i}"))])
            url = s3(f"shards/{i}.tar", tar.read_bytes())
            s3(f"files/n01440764/n01440764_{i}.xml", xml(name=f"n01440764_{i}"))
        root = url.removesuffix("shards/2.tar")
        names = [source.name for source in find(f"{root}shards/*.tar")]
        assert names == ["0.tar", "1.tar", "2.tar"]
        (folder,) = find(f"{root}files")
        assert (folder.name, folder.container) == ("files", "folder")
        ingest(f"{root}shards/[01].tar")
        assert ingest(f"{root}files").source.ledger.records["duplicates"] == 2
        assert rows("SELECT count(*) FROM annotations") == [(3,)]

    def test_what_is_not_there_is_missing(self, s3: S3) -> None:
        bucket = s3("a", b"").removesuffix("/a")
        for url in (f"{bucket}/gone.tar", f"{bucket}/*.zip", "s3://no-such-bucket/a"):
            with pytest.raises(MissingSource, match="does not exist"):
                find(url)
