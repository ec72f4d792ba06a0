"""A file elsewhere that comes once: its hash is taken of the bytes that are read anyway."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from abpipe import remote
from abpipe.errors import ChangedMeanwhile
from abpipe.remote import Reader, Url


@dataclass
class _Heard:
    """The hash of a file's beginning, as far as it was read."""

    digest: Any = field(default_factory=hashlib.sha256)
    upto: int = 0
    is_whole: bool = False
    version: dict[str, Any] | None = None

    def take(self, at: int, data: memoryview) -> None:
        """Hear of bytes that were read; only what comes next counts, or an end."""
        if at <= self.upto:
            self.digest.update(data[self.upto - at :])
            self.upto = max(self.upto, at + len(data))
            self.is_whole = self.is_whole or (at == self.upto and not data)


@dataclass(frozen=True)
class Once(Url):
    """A file elsewhere; other processes get it as any other URL."""

    heard: _Heard = field(default_factory=_Heard, compare=False, repr=False)

    def open(self, piece: int | None = None) -> Reader:
        """The file; what is read counts for its hash."""
        return _Listening(self, piece or remote.PIECE)

    def identity(self) -> tuple[int, str]:
        """Its size and its SHA-256: what nobody has read yet is read now."""
        if not self.heard.is_whole:
            with self.open() as file:
                file.seek(self.heard.upto)
                while file.read(1 << 16):
                    pass
        return self.heard.upto, self.heard.digest.hexdigest()

    def __reduce__(self) -> tuple[type[Url], tuple[str, int | None]]:
        return Url, (self.url, self.size)


class _Listening(Reader):
    def __init__(self, file: Once, piece: int) -> None:
        super().__init__(file, piece)
        self._heard = file.heard
        if self._heard.version and self._version and self._heard.version != self._version:
            raise ChangedMeanwhile(file.url)
        self._heard.version = self._version

    def readinto(self, view: memoryview, /) -> int:  # type: ignore[override]
        at = self._at
        n = super().readinto(view)
        if len(view):
            self._heard.take(at, memoryview(view)[:n])
        return n
