"""Files of a store behind a URL that were replaced: kept aside for whoever reads them still.

They get other names, so that a plain glob over the tables finds what is there now, and only that.
"""

from __future__ import annotations

from typing import Any

from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

FOLDER = ".replaced"


def aside(root: str, name: str) -> str:
    """Where a file of the store at `root` is, once it was replaced."""
    return f"{root}/{FOLDER}/{name}.old"


class Lasting(AbstractFileSystem):  # type: ignore[misc]
    """A file system for reading a store: what was replaced is read where it went."""

    cachable = False

    def __init__(self, fs: Any, root: str) -> None:
        super().__init__()
        self._fs, self._root, self.protocol = fs, root.rstrip("/"), fs.protocol

    def _strip_protocol(self, path: str) -> Any:
        return self._fs._strip_protocol(path)

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        """What is in a folder."""
        return self._fs.ls(path, detail=detail, **options)

    def info(self, path: str, **options: Any) -> Any:
        """What is told of a file."""
        return self._either("info", path, **options)

    def modified(self, path: str) -> Any:
        """When a file was written."""
        return self._either("modified", path)

    def cat_file(self, path: str, start: Any = None, end: Any = None, **options: Any) -> Any:
        """A part of a file."""
        return self._either("cat_file", path, start=start, end=end, **options)

    def _open(self, path: str, mode: str = "rb", **options: Any) -> _File:
        return _File(self, path, mode, **options)

    def _either(self, what: str, path: str, **options: Any) -> Any:
        path = self._fs._strip_protocol(path)
        try:
            return getattr(self._fs, what)(path, **options)
        except FileNotFoundError:
            name = path.removeprefix(f"{self._root}/")
            return getattr(self._fs, what)(aside(self._root, name), **options)


class _File(AbstractBufferedFile):  # type: ignore[misc]
    """A file that may be replaced while it is read."""

    def _fetch_range(self, start: int, end: int) -> Any:
        return self.fs.cat_file(self.path, start=start, end=end)
