"""Files elsewhere: URLs that fsspec and its plug-ins read, here with pathlib's few words.

Reading goes forward in pieces of bounded memory. Where a connection is lost, reading goes on at the
byte where it stopped; what cannot be had is one of `Missing`, `Refused` or `LostConnection`.
"""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import RawIOBase
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from abpipe.errors import (
    AbpipeError,
    ChangedMeanwhile,
    LostConnection,
    MissingSource,
    NeedsPlugin,
    Refused,
    Unreachable,
)

T = TypeVar("T")

PIECE = 8 << 20  # bytes asked for at once; the next piece is fetched while one is read
TRIES = 6  # a second of waiting after the first failure, twice as much after each other
PAUSE_S = 1.0

_URL = re.compile(r"([a-z][a-z0-9+.-]+)(?:::.+)?://", re.IGNORECASE)
#: fsspec's words for a server that sends all of a file, whatever part is asked for.
_WHOLE = re.compile(r"Got more bytes|support range requests")

#: What file systems tell of a file that is another one for another content.
_VERSION = ("size", "ETag", "etag", "Last-Modified", "LastModified", "mtime", "updated")


@dataclass(frozen=True)
class Url:
    """A file or a folder elsewhere; `size` in bytes, where a listing has told it."""

    url: str
    size: int | None = field(default=None, compare=False)

    @property
    def scheme(self) -> str:
        """The protocol, as s3 or https."""
        return self.url.partition("://")[0].partition("::")[0].lower()

    @property
    def name(self) -> str:
        """The last part of the path."""
        if self.scheme in ("http", "https"):
            return unquote(urlsplit(self.url).path.rstrip("/").rpartition("/")[2])
        return self.url.rstrip("/").rpartition("/")[2]

    def __str__(self) -> str:
        return self.url

    def absolute(self) -> Url:
        """Itself, which means the same from anywhere."""
        return self

    def exists(self) -> bool:
        """Whether it is there. Raises Refused or Unreachable where that cannot be told."""
        try:
            self.info()
        except FileNotFoundError:
            return False
        return True

    def is_dir(self) -> bool:
        """Whether other files are under it."""
        return self.info().get("type") == "directory"

    def info(self) -> dict[str, Any]:
        """What the file system tells of it. Raises FileNotFoundError if it is not there."""
        fs, path = self.at()
        with told(self.url):
            return cast("dict[str, Any]", fs.info(path))

    def walk(self) -> Iterator[tuple[str, Url]]:
        """All files under it, sorted by the parts of their path: (path inside, URL)."""
        fs, path = self.at()
        with told(self.url):
            found = fs.find(path, detail=True)
        root = path.rstrip("/") + "/"
        inside = {name.removeprefix(root): about for name, about in found.items()}
        for name in sorted(inside, key=lambda name: name.split("/")):
            yield name, Url(fs.unstrip_protocol(root + name), inside[name].get("size"))

    def glob(self) -> list[Url]:
        """What a pattern names, sorted."""
        fs, path = self.at()
        with told(self.url):
            return [Url(fs.unstrip_protocol(found)) for found in sorted(fs.glob(path))]

    def open(self, piece: int | None = None) -> Reader:
        """The file, to be read forward; or anywhere, if the other side serves parts of files."""
        return Reader(self, piece or PIECE)

    def at(self) -> tuple[Any, str]:
        """The file system, and the path in it. Raises NeedsPlugin if nothing reads such URLs."""
        try:
            from fsspec.core import url_to_fs
        except ImportError:
            raise NeedsPlugin(self.url, self.scheme, "fsspec is not installed") from None
        try:
            return cast("tuple[Any, str]", url_to_fs(self.url, **_options(self.scheme)))
        except (ImportError, ValueError) as err:
            raise NeedsPlugin(self.url, self.scheme, str(err)) from None


#: Where a source is.
Place: TypeAlias = Path | Url


def is_url(text: str) -> bool:
    """Whether a text is a URL, not a path."""
    return _URL.match(text) is not None


def is_folded_url(path: Path) -> bool:
    """Whether a path was a URL, of which paths keep one slash."""
    return re.match(r"[a-z][a-z0-9+.-]+:/", str(path), re.IGNORECASE) is not None


def place(text: str) -> Place:
    """The path or URL that a text names; `file://` is a path."""
    if not is_url(text):
        return Path(text)
    if text.lower().startswith("file://"):
        return Path(url2pathname(urlsplit(text).path))
    return Url(text)


def opened(file: Place | str, piece: int | None = None) -> RawIOBase:
    """A file for reading, unbuffered; a text is a path. Of a URL, `piece` bytes come at once."""
    if isinstance(file, Url):
        return file.open(piece)
    return open(file, "rb", buffering=0)  # noqa: PTH123 (a Path for each of a million files)


def register(connection: Any, where: Place) -> None:
    """Have a DuckDB connection read the files of a store that lies there, also when replaced."""
    if isinstance(where, Url) and where.scheme not in connection.list_filesystems():
        fs, path = where.at()
        from abpipe.kept import Lasting

        connection.register_filesystem(Lasting(fs, path))


def size_of(file: RawIOBase) -> int | None:
    """Bytes of an open file; None if nobody tells."""
    return file.size if isinstance(file, Reader) else os.fstat(file.fileno()).st_size


def size_at(file: Place | str) -> int:
    """Bytes of a file, as a listing tells them."""
    return (file.size or 0) if isinstance(file, Url) else os.stat(file).st_size  # noqa: PTH116


@contextmanager
def told(url: str) -> Iterator[None]:
    """Have a plug-in's own errors say what to do: Refused, Unreachable, or FileNotFoundError."""
    try:
        yield
    except AbpipeError:
        raise
    except Exception as err:
        # HTTP's "not found" stands for any failure, which is its cause
        cause, http = err.__cause__ or err, type(err.__cause__).__module__.startswith("aiohttp")
        status = getattr(cause, "status", None) or getattr(cause, "code", None)
        # botocore and Google have an error of such a name each, and no common one
        is_refused = isinstance(err, PermissionError) or "Credential" in type(err).__name__
        is_refused = is_refused or str(err).startswith("Forbidden: ")  # gcsfs
        if is_refused or status in (401, 403):
            raise Refused(url, _said(cause if http else err)) from err
        if status in (404, 410) or (isinstance(err, FileNotFoundError) and not http):
            raise FileNotFoundError(url) from err
        raise Unreachable(url, _said(cause if http else err)) from err


def _said(err: BaseException) -> str:
    return str(err).strip(". \n") or type(err).__name__


def _options(scheme: str) -> dict[str, Any]:
    """Options of a file system: no listing is remembered, and a long file may take its time."""
    if scheme not in ("http", "https"):
        return {"use_listings_cache": False}
    from aiohttp import ClientTimeout
    from fsspec.config import conf

    # aiohttp gives a whole file five minutes unless told
    timeout = ClientTimeout(total=None, sock_connect=30, sock_read=60)
    own = conf.get(scheme, {}).get("client_kwargs", {})
    return {"client_kwargs": {"timeout": timeout, **own}}


class Reader(RawIOBase):
    """A file elsewhere, which is opened again, at the same byte, when the connection is lost."""

    def __init__(self, url: Url, piece: int) -> None:
        self._url, self._at, self._size, self._piece = url.url, 0, url.size, piece
        self._fs, self._path = url.at()
        self._has_parts = True  # the other side serves any part of a file
        self._file: Any = None
        self._file_at = 0
        self._version: dict[str, Any] | None = None
        self._tried(self._open)

    @property
    def size(self) -> int | None:
        """Bytes of the file; None if nobody tells."""
        return self._size

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def read(self, n: int = -1, /) -> bytes:
        """So many bytes; fewer at the end only."""
        data = bytearray(n if n >= 0 else 0)
        filled = 0
        while filled < n and (got := self.readinto(memoryview(data)[filled:])):
            filled += got
        return bytes(data[:filled]) if n >= 0 else self.readall()

    def seekable(self) -> bool:
        """Whether any part can be read."""
        return self._has_parts

    def tell(self) -> int:
        """Where it is read next."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Read elsewhere next."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base is None:
            raise io.UnsupportedOperation("the size of the file is not known")
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, view: memoryview, /) -> int:  # type: ignore[override]
        """Bytes into memory of the caller; how many."""
        data = self._tried(lambda: self._read(len(view)))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        """Let go of the connection."""
        self._drop()
        super().close()

    def _tried(self, work: Callable[[], T]) -> T:
        """What some work gives; it is done again after a failure that may pass."""
        tries = 0
        while True:
            try:
                with told(self._url):
                    return work()
            except FileNotFoundError as err:
                raise MissingSource(self._url) from err
            except Unreachable as err:
                self._drop()
                if self._has_parts and _WHOLE.search(err.why):
                    self._has_parts = False
                    continue
                tries += 1
                if tries == TRIES:
                    raise LostConnection(self._url, self._at, self._size, err.why) from err
                time.sleep(PAUSE_S * 2 ** (tries - 1))

    def _open(self) -> None:
        """Open the file at its beginning. Raises ChangedMeanwhile if it is another one now."""
        if self._size is not None and self._size <= self._piece:  # one request instead of two
            self._file = io.BytesIO(self._fs.cat_file(self._path))
        else:
            about = self._fs.info(self._path)
            version = {word: about[word] for word in _VERSION if about.get(word)}
            if (self._version or version) != version:
                raise ChangedMeanwhile(self._url)
            block = self._piece if self._has_parts else 0
            ahead = {"cache_type": "background", "cache_options": {"maxblocks": 3}}
            self._file = self._fs.open(self._path, "rb", block_size=block, **ahead)
            self._version, self._size = version, about.get("size")
            self._has_parts = self._has_parts and self._file.seekable()
        self._file_at = 0

    def _read(self, n: int) -> bytes:
        if self._size is not None and self._at >= self._size:
            return b""
        if not self._has_parts and self._file_at > self._at:
            self._drop()
        if self._file is None:
            self._open()
        if self._has_parts and self._file_at != self._at:
            self._file.seek(self._at)
            self._file_at = self._at
        while self._file_at < self._at:  # a stream that began anew
            self._more(min(PIECE, self._at - self._file_at))
        return self._more(n)

    def _more(self, n: int) -> bytes:
        data: bytes = self._file.read(n)
        if not data and (self._size is not None or self._file_at < self._at):
            raise EOFError("the other side ended too early")
        self._file_at += len(data)
        return data

    def _drop(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(Exception):
                file.close()
