"""The Hugging Face Hub, on loopback: sources are read from it, stores are not written there."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson
import pytest

import abpipe
from abpipe.errors import MissingSource, NotWritable
from abpipe.raw.sources import find

pytestmark = pytest.mark.beyond

REPO = "people/byproducts"
SHA = "0" * 40


class Handler(BaseHTTPRequestHandler):
    """One dataset's files, by the few endpoints that reading needs."""

    files: dict[str, bytes]

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = unquote(self.path.partition("?")[0])
        api, file = f"/api/datasets/{REPO}", path.removeprefix(f"/datasets/{REPO}/resolve/main/")
        if path in (api, f"{api}/revision/main"):
            self.tell({"id": REPO, "sha": SHA, "siblings": []})
        elif path.startswith(f"{api}/tree/main"):
            self.tell(self.listed(path.removeprefix(f"{api}/tree/main").strip("/")))
        elif file in self.files:
            content = self.files[file]
            if part := re.match(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
                content = content[int(part[1]) : int(part[2]) + 1]
            self.answer(206 if part else 200, content)
        else:
            self.tell({"error": "not found"}, 404)

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        wanted = [value for key, value in parse_qsl(asked) if key == "paths"]
        self.tell([self.about(name) for name in wanted if name in self.files])

    def listed(self, folder: str) -> list[dict[str, Any]]:
        """The files of a folder, and the folders in it."""
        root = f"{folder}/" if folder else ""
        inside = [name.removeprefix(root) for name in self.files if name.startswith(root)]
        folders = {name.partition("/")[0] for name in inside if "/" in name}
        found = [self.about(root + name) for name in inside if "/" not in name]
        return [*found, *({"type": "directory", "path": root + f, "oid": SHA} for f in folders)]

    def about(self, name: str) -> dict[str, Any]:
        return {"type": "file", "path": name, "size": len(self.files[name]), "oid": SHA}

    def tell(self, answer: Any, status: int = 200) -> None:
        self.answer(status, orjson.dumps(answer))

    def answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        if status == 404:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """The files of the dataset."""
    pytest.importorskip("huggingface_hub")
    from fsspec.config import conf

    files: dict[str, bytes] = {}
    handler = type("Own", (Handler,), {"files": files})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        at = f"http://127.0.0.1:{server.server_port}"
        # as HF_ENDPOINT, which is read once, on import
        monkeypatch.setitem(conf, "hf", {"endpoint": at, "token": False})
        yield files
        server.shutdown()
        thread.join()


def test_sources_are_read(
    hub: dict[str, bytes], pack: Callable[..., Path], xml: Any, ingest: Any, rows: Any
) -> None:
    for i in range(2):
        path = pack(f"{i}.tar.gz", [(f"n01440764_{i}.xml", xml(name=f"n01440764_{i}"))])
        hub[f"data/{i}.tar.gz"] = path.read_bytes()
    ingest(f"hf://datasets/{REPO}/data/*.tar.gz")
    done = ingest(f"hf://datasets/{REPO}/data/1.tar.gz")
    assert not done.is_new
    assert (done.source.size, done.source.sha256) == find(str(path))[0].identity()
    assert rows("SELECT source, image_id FROM images ORDER BY ALL") == [
        ("0.tar.gz", "n01440764_0"),
        ("1.tar.gz", "n01440764_1"),
    ]


def test_what_is_not_there_is_missing(hub: dict[str, bytes]) -> None:
    with pytest.raises(MissingSource):
        find(f"hf://datasets/{REPO}/gone.tar.gz")


def test_stores_are_not_written_there(
    hub: dict[str, bytes], pack: Callable[..., Path], xml: Any
) -> None:
    archive = pack("a.tar", [("n01440764_1.xml", xml())])
    with pytest.raises(NotWritable, match=r"stores are read from hf://, and written in folders,"):
        abpipe.ingest(archive, store=f"hf://datasets/{REPO}/ab", jobs=1)
    assert hub == {}
