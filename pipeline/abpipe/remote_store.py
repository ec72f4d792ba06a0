"""Stores behind URLs: read by any of fsspec's file systems, written on S3 and on Google's storage.

New files are written on this machine first and uploaded under names that are never used again; the
commit is a conditional put of `manifest.json`: it replaces the one that was read, or none, else
another process was first. There is no lock. Nobody reads what no manifest names: what a crash
leaves behind goes with a commit a day later, when no other process can be about to name it. What is
replaced is copied aside, for those who read it still, and goes then, too; what is to be forgotten
goes at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from abpipe import kept
from abpipe.conditional import REPLACEMENTS
from abpipe.contracts import derived_tables, raw_tables
from abpipe.errors import LostRace, MissingSource, NoStore, NotWritable
from abpipe.manifest import File, Manifest
from abpipe.remote import Url, told
from abpipe.store import CATALOGS, MANIFEST, Store, Transaction

#: How old a file is that no manifest names and nobody will name any more.
ABANDONED = timedelta(days=1)
_TRIES = 5  # to read a manifest that others replace meanwhile


class RemoteStore(Store):
    """A store behind a URL; `folder` is where new files are until they are uploaded."""

    def __init__(self, url: Url) -> None:
        super().__init__(".")
        self.url = Url(url.url.rstrip("/"))
        self._fs, self._path = self.url.at()
        self._replacement = REPLACEMENTS.get(self.url.scheme)

    @property
    def place(self) -> Url:
        """Where it is."""
        return self.url

    def manifest(self) -> Manifest:
        """What the store holds. Raises NoStore if there is none."""
        found, tag = self._read()
        if tag is None:
            raise NoStore(self.url)
        return found

    def path(self, file: File) -> Url:
        """Where a file of the manifest is."""
        return Url(f"{self.url}/{file.path}")

    def found(self) -> dict[str, datetime]:
        """The Parquet files that lie in the store, named by a manifest or not, and since when."""
        files: dict[str, datetime] = {}
        for table in (*raw_tables(), *derived_tables()):
            files |= self.under(table, ".parquet")
        return files

    def under(self, folder: str, suffix: str) -> dict[str, datetime]:
        """The files of a folder in the store, and since when they are there."""
        listed: dict[str, Any] = {}
        with suppress(FileNotFoundError), told(str(self.url)):
            listed = self._fs.find(f"{self._path}/{folder}", detail=True)
        return {
            name.removeprefix(self._path).lstrip("/"): about.get("LastModified")
            or about.get("mtime")
            or datetime.now(UTC)
            for name, about in listed.items()
            if name.endswith(suffix)
        }

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """The store for writing: nothing is visible before the commit.

        Raises LostRace if another process committed meanwhile, NotWritable where no file can be
        replaced on condition.
        """
        if self._replacement is None:
            raise NotWritable(self.url, self.url.scheme)
        with TemporaryDirectory(prefix="abpipe-") as folder:
            self.folder = Path(folder)
            manifest, tag = self._read()
            transaction = RemoteTransaction(self, manifest, tag)
            try:
                yield transaction
            finally:
                transaction.close()

    def upload(self, file: Path, name: str) -> None:
        """Put a file into the store."""
        with told(f"{self.url}/{name}"):
            self._fs.put_file(str(file), f"{self._path}/{name}")

    def remove(self, names: list[str]) -> None:
        """Remove files of the store; what cannot be removed stays, and harms nobody."""
        with suppress(Exception):
            self._fs.rm([f"{self._path}/{name}" for name in names])

    def set_aside(self, names: list[str]) -> None:
        """Move files of the store to where only those find them who read them already."""
        for name in names:
            with suppress(Exception):  # it stays, and goes with a later commit
                self._fs.cp_file(f"{self._path}/{name}", kept.aside(self._path, name))
                self.remove([name])

    def put_manifest(self, manifest: Manifest, tag: str | None) -> str:
        """Replace the manifest with that tag, or none; the tag of the new one.

        Raises LostRace if it is another one by now.
        """
        if self._replacement is None:
            raise NotWritable(self.url, self.url.scheme)
        content = manifest.json()
        with told(f"{self.url}/{MANIFEST}"):
            try:
                return self._replacement.put(self._fs, f"{self._path}/{MANIFEST}", content, tag)
            except FileExistsError as err:
                found, new = self._read()
                # a plug-in that did not hear the answer to its put has put it again
                if new is not None and found.json() == content:
                    return new
                raise LostRace(self.url) from err

    def _read(self) -> tuple[Manifest, str | None]:
        """The manifest and its tag; an empty one, and None, if there is none."""
        url = Url(f"{self.url}/{MANIFEST}")
        for _ in range(_TRIES):
            try:
                before = url.info()
                with url.open() as file:
                    content = file.read()
                if url.info() == before:
                    tag = before.get(self._replacement.tag, "") if self._replacement else ""
                    return Manifest.parse(content, self.url), tag
            except (FileNotFoundError, MissingSource):
                return Manifest(), None
        raise LostRace(self.url)


class RemoteTransaction(Transaction):
    """New files of a store behind a URL."""

    store: RemoteStore

    def __init__(self, store: RemoteStore, manifest: Manifest, tag: str | None) -> None:
        super().__init__(store, manifest)
        self._tag = tag
        self._uploaded: list[str] = []
        self._gone: list[str] = []
        self._doomed: list[str] = []

    def name_files(self, manifest: Manifest) -> None:
        """Upload the new files that a manifest names: the last step before its commit."""
        for file in manifest.files:
            self.staged_path(file)

    def commit(self, manifest: Manifest) -> None:
        """Make the store hold exactly what the manifest names."""
        # who is about to name one of these loses the race
        doomed = [*self.store.found()] if self.is_forgetting else []
        try:
            self._tag = self.store.put_manifest(manifest, self._tag)
        except LostRace:
            raise
        except BaseException:
            self._uploaded.clear()  # the manifest may have arrived: what it names stays
            raise
        named = {file.path for file in manifest.files}
        self._gone = [file.path for file in self.manifest.files if file.path not in named]
        self._uploaded = [name for name in self._uploaded if name not in named]
        self._doomed, self.manifest = doomed, manifest

    def staged_path(self, file: File) -> Url:
        """Where a file is now, for any machine: a new one is uploaded first."""
        if file.path not in self._uploaded and (part := self._waiting().get(file.path)):
            self._uploaded.append(file.path)
            self.store.upload(part, file.path)
        return self.store.path(file)

    def sweep(self) -> None:
        """Remove what was not committed, what a crash left long ago, and what was replaced then.

        What was replaced now is set aside; of one that forgets, nothing is kept.
        """
        named = {file.path for file in self.manifest.files}
        old = datetime.now(UTC) - ABANDONED
        aside = self.store.under(kept.FOLDER, ".old")
        if self._doomed:
            left = [*self._doomed, *aside]
        else:
            self.store.set_aside(self._gone)
            lying = self.store.found() | aside
            left = [name for name, since in lying.items() if since < old]
        self.store.remove([*self._uploaded, *(name for name in left if name not in named)])

    def close(self) -> None:
        """Drop whatever was not committed, and what the commit made superfluous."""
        catalog = self.store.folder / CATALOGS[0]
        if catalog.exists():
            self.store.upload(catalog, catalog.name)
        super().close()

    def _waiting(self) -> dict[str, Path]:
        """The new files, by the paths that they will have in the store."""
        folder = self.store.folder
        return {part.path.relative_to(folder).as_posix(): part.temporary for part in self._writers}
