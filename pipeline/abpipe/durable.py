"""Files that are there whole or not at all, also after the machine itself has stopped.

A name that is given to a file may reach the disk before what the file holds. So the order is, and
the tests hold all writers to it: the file's bytes, `fsync` of the file, its name, `fsync` of the
folder that the name stands in; only then is anything removed that it replaces.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import logging
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_EXCHANGE = 2  # RENAME_EXCHANGE of Linux
_HERE = -100  # AT_FDCWD
_TRIES = 1000  # to lock a file that others remove


def sync(path: Path) -> None:
    """Have the disk keep a file's bytes, or the names in a folder, before anything else happens."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_all(folder: Path) -> None:
    """Have the disk keep all that is in a folder, at any depth."""
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync(Path(place, name))
        sync(Path(place))


def write(path: Path, content: bytes) -> None:
    """Write a file for good; its name is not yet."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def make_folder(folder: Path) -> set[Path]:
    """Make a folder, and those that it is in; the folders to sync, for their names to be kept."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return {place.parent for place in missing}


def exchange(one: Path, other: Path) -> bool:
    """Have two files or folders swap their names in one step; False where no system call can."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    found = ctypes.get_errno()
    if found in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(found, os.strerror(found), str(one), None, str(other))


@contextmanager
def locked(path: Path, what: object, wait: bool = True) -> Iterator[None]:
    """Hold a lock file, whose folder is made for it; wait while another process does, and say so.

    The lock ends with the process, however that ends. `what` is said to be locked. Raises
    BlockingIOError instead of waiting if told so.
    """
    descriptors = (_lock(path, what, wait) for _ in range(_TRIES))
    descriptor = next((found for found in descriptors if found is not None), None)
    if descriptor is None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK), str(path))
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(path: Path, what: object, wait: bool) -> int | None:
    """The descriptor of a file that is locked; None if its last holder has removed it meanwhile."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except FileNotFoundError:
        return None
    try:
        _take(descriptor, what, wait)
        if path.stat().st_ino == os.fstat(descriptor).st_ino:
            return descriptor
    except FileNotFoundError:
        pass
    except BaseException:  # such as Ctrl-C while it waits
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _take(descriptor: int, what: object, wait: bool) -> None:
    """Take a lock, and leave word of who has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not wait:
            raise
        holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "another process"
        logging.getLogger("abpipe").warning("%s is held by %s: waiting for it", what, holder)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    with suppress(OSError):  # on a full disk
        os.ftruncate(descriptor, 0)
        who = f"process {os.getpid()} on {platform.node()} since {time.strftime('%H:%M:%S')}"
        os.pwrite(descriptor, who.encode(), 0)
