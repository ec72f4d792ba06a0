"""A store as it is at one moment: what a reader has begun to read stays readable to its end."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from abpipe.errors import BrokenStore
from abpipe.manifest import File, Manifest
from abpipe.store import Store

_OPEN = Path("/proc/self/fd")  # of Linux: a name for a file that is open, also once it has no other
_SHARE = 8  # of the files that a process may have open, one in so many are for a reader


@dataclass(frozen=True)
class Snapshot:
    """A manifest, and names of its files that nobody removes until `held` is closed.

    A store of many files, or another system than Linux, gives no such names: `names` is empty, and
    files may be replaced while they are read.
    """

    manifest: Manifest
    names: dict[File, str]
    held: ExitStack

    @classmethod
    def of(cls, store: Store, dataset: str | None = None) -> Snapshot:
        """The store, or one dataset of it, as it is now.

        Raises BrokenStore if a file cannot be opened, NoStore or NotFound if there is none.
        """
        while True:
            whole = store.manifest()
            manifest = whole.only(dataset)
            try:
                return cls(manifest, *_hold(store, manifest))
            except OSError as err:
                if store.manifest() == whole:  # else somebody has written meanwhile
                    raise BrokenStore(store.folder, f"{err.filename}: {err.strerror}") from None


def _hold(store: Store, manifest: Manifest) -> tuple[dict[File, str], ExitStack]:
    """Names of all files, and what keeps them."""
    if not isinstance(store.place, Path) or not _OPEN.is_dir():
        return {}, ExitStack()
    if len(manifest.files) > os.sysconf("SC_OPEN_MAX") // _SHARE:
        return {}, ExitStack()
    with ExitStack() as stack:
        names = {}
        for file in manifest.files:
            descriptor = os.open(store.folder / file.path, os.O_RDONLY)
            stack.callback(os.close, descriptor)
            names[file] = str(_OPEN / str(descriptor))
        return names, stack.pop_all()
