"""Google's storage, on loopback: sources are read, and stores written as on S3."""

from __future__ import annotations

import base64
import re
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import orjson
import pytest

import abpipe
from abpipe.catalog import commit
from abpipe.errors import LostRace, MissingSource, Refused
from abpipe.manifest import Manifest
from abpipe.raw.sources import find
from abpipe.store import Store, open_store

pytestmark = pytest.mark.beyond


@dataclass
class Service:
    """Objects by their names, each with its generation: what the JSON API does, as gcsfs asks it.

    The next `unheard` puts on condition are done, and answered with an error.
    """

    objects: dict[str, tuple[int, bytes, str]] = field(default_factory=dict)
    generations: Iterator[int] = field(default_factory=lambda: count(1))
    is_closed: bool = False
    unheard: int = 0

    def put(self, name: str, content: bytes, generation: str | None) -> tuple[int, Any]:
        now = self.objects.get(name, (0,))[0]
        if generation is not None and int(generation) != now:
            return 412, {"error": {"message": "conditionNotMet"}}
        since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self.objects[name] = next(self.generations), content, since
        if generation is not None and self.unheard:
            self.unheard -= 1
            return 503, {"error": {"message": "try again"}}
        return 200, self.about(name)

    def about(self, name: str) -> dict[str, Any]:
        generation, content, since = self.objects[name]
        bucket, _, key = name.partition("/")
        return {
            "kind": "storage#object",
            "bucket": bucket,
            "name": key,
            "size": str(len(content)),
            "generation": str(generation),
            "etag": str(generation),
            "updated": since,
            "md5Hash": base64.b64encode(md5(content).digest()).decode(),
            "crc32c": base64.b64encode(zlib.crc32(content).to_bytes(4, "big")).decode(),
        }

    def listed(self, bucket: str, asked: dict[str, str]) -> dict[str, Any]:
        prefix, delimiter = asked.get("prefix", ""), asked.get("delimiter")
        items, folders = [], set()
        for name in sorted(self.objects):
            own, _, key = name.partition("/")
            if own != bucket or not key.startswith(prefix):
                continue
            inside, found, _ = key.removeprefix(prefix).partition(delimiter or "\0")
            if found:
                folders.add(f"{prefix}{inside}{delimiter}")
            else:
                items.append(self.about(name))
        return {"kind": "storage#objects", "items": items, "prefixes": sorted(folders)}


class Handler(BaseHTTPRequestHandler):
    """The part of the JSON API that reading, writing, listing, copying and deleting need."""

    service: Service

    def log_message(self, *_: object) -> None:
        pass

    def answer(self) -> None:
        url = urlsplit(self.path)
        asked = {key: values[0] for key, values in parse_qs(url.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        place, _, target = url.path.partition("/rewriteTo")
        bucket, name = _names(place)
        if self.service.is_closed:
            self.tell(403, {"error": {"message": "no access"}})
        elif self.command == "POST" and url.path.startswith("/upload/"):
            key, content = asked.get("name", ""), body
            if asked["uploadType"] == "multipart":
                about, content = _parts(body)
                key = about["name"]
            self.tell(*self.service.put(f"{bucket}/{key}", content, asked.get("ifGenerationMatch")))
        elif name is None:
            self.tell(200, self.service.listed(bucket, asked))
        elif name not in self.service.objects:
            self.tell(404, {"error": {"message": "not found"}})
        elif self.command == "POST":
            self.service.put(_names(target)[1] or "", self.service.objects[name][1], None)
            self.tell(200, {"done": True})
        elif self.command == "DELETE":
            del self.service.objects[name]
            self.tell(204, None)
        elif asked.get("alt") == "media":
            self.send(name)
        else:
            self.tell(200, self.service.about(name))

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name in ("do_GET", "do_POST", "do_DELETE"):
            return self.answer
        raise AttributeError(name)

    def send(self, name: str) -> None:
        content = self.service.objects[name][1]
        part = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if part:
            content = content[int(part[1]) : int(part[2] or len(content)) + 1]
        self.raw(206 if part else 200, content)

    def tell(self, status: int, answer: Any) -> None:
        self.raw(status, b"" if answer is None else orjson.dumps(answer))

    def raw(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with suppress(ConnectionError):  # gcsfs asks two questions at once, and hears one answer
            self.wfile.write(content)


def _names(path: str) -> tuple[str, str | None]:
    """The bucket that a path names, and the object with it."""
    bucket, found, key = path.partition("/b/")[2].partition("/o/")
    bucket = bucket.removesuffix("/o")
    return bucket, f"{bucket}/{unquote(key)}" if found else None


def _parts(body: bytes) -> tuple[dict[str, Any], bytes]:
    """What an upload in two parts holds: about the object, and the object."""
    _, about, content = body.split(b"--==0==", 2)
    told = about.split(b"\n\n", 1)[1]
    return orjson.loads(told), content.split(b"\n\n", 1)[1].removesuffix(b"\n--==0==--")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # it asks by gRPC
    pytest.importorskip("gcsfs", reason="gcsfs is not installed: `make test-all` does it")
    from fsspec.config import conf

    made = Service()
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Own", (Handler,), {"service": made})
    ) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        at = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setitem(conf, "gs", {"token": "anon", "endpoint_url": at})
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture
def archive(pack: Callable[..., Path], xml: Callable[..., bytes]) -> Path:
    members = [(f"n01440764_{i}.xml", xml(name=f"n01440764_{i}")) for i in range(3)]
    return pack("a.tar.gz", members)


def files(manifest: Manifest) -> list[tuple[str, str, int, str]]:
    """What the files of a store are, but for their names."""
    return [(file.table, file.dataset, file.rows, file.sha256) for file in manifest.files]


def test_sources_are_read(service: Service, archive: Path, ingest: Any, rows: Any) -> None:
    service.put("bucket/in/a.tar.gz", archive.read_bytes(), None)
    done = ingest("gs://bucket/in/*.tar.gz")
    assert (done.source.size, done.source.sha256) == find(str(archive))[0].identity()
    assert rows("SELECT count(*) FROM images") == [(3,)]
    with pytest.raises(MissingSource):
        find("gs://bucket/in/gone.tar.gz")


def test_a_store_holds_what_one_in_a_folder_does(
    service: Service, archive: Path, ingest: Any, store: Path
) -> None:
    there = "gs://bucket/ab"
    for place in (str(store), there):
        ingest(archive, store=place)
        abpipe.derive("clicks", store=place, jobs=1)
    opened = open_store(there)
    assert files(opened.manifest()) == files(Store(store).manifest())
    assert {*opened.found()} == {file.path for file in opened.manifest().files}
    assert not ingest(archive, store=there).is_new
    with abpipe.connect(there) as far, abpipe.connect(store) as near:
        ingest(archive, store=there, replace=True)  # whoever reads goes on
        query = "FROM clicks ORDER BY ALL"
        assert far.sql(query).fetchall() == near.sql(query).fetchall() != []


def test_who_loses_the_race_leaves_nothing(service: Service, archive: Path, ingest: Any) -> None:
    there = "gs://bucket/ab"
    opened = open_store(there)
    with pytest.raises(LostRace), opened.transaction() as transaction:
        new = transaction.writer("classes", "other", None).finish()
        ingest(archive, store=there)
        commit(transaction, transaction.manifest.with_files([new]))
    found = open_store(there)
    assert {*found.found()} == {file.path for file in found.manifest().files}
    assert len(found.manifest().sources) == 1


def test_a_put_whose_answer_was_lost_is_no_race(
    service: Service, archive: Path, ingest: Any
) -> None:
    service.unheard = 1
    ingest(archive, store="gs://bucket/ab")
    assert service.unheard == 0
    assert [f for f in abpipe.check(store="gs://bucket/ab") if f.level == "error"] == []


def test_a_refusal_says_so(service: Service) -> None:
    service.is_closed = True
    with pytest.raises(Refused, match="no access"):
        find("gs://bucket/a.tar.gz")
