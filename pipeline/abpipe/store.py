"""The store: the only code that spells a path in it, and writes to it.

A commit runs in this order, so that a crash at any moment leaves the store as before or as after:
write new files under temporary names and fsync them; give them their names; fsync their folders;
write the catalogs aside and fsync them, and the new manifest, too; replace `manifest.json`, which
is the commit; fsync the store's folder; put the catalogs in place; remove the files that the
manifest no longer names. Of a new folder, the one that it is in is synced, too, before the commit.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cached_property
from itertools import count, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from abpipe.contracts import contracts, raw_tables
from abpipe.durable import locked, make_folder, sync, write
from abpipe.errors import AbpipeError, BrokenStore, NoStore, NotShared, Storage, Unconfirmed
from abpipe.manifest import File, Manifest
from abpipe.remote import Place, Url
from abpipe.remote import place as named

if TYPE_CHECKING:
    import pyarrow.parquet as pq

TEMPORARY = ".tmp"
MANIFEST = "manifest.json"
CATALOGS = ("catalog.sql", "catalog.duckdb")
LOCK = ".lock"
SPILL = ".spill"  # where DuckDB puts what does not fit its memory
ROW_GROUP_BYTES = 8 << 20  # of Arrow memory; about half a megabyte on disk

#: Errors of the file system that are the user's to mend.
_STORAGE = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EEXIST,
    errno.EFBIG,
    errno.EIO,
    errno.EMFILE,
    errno.ENAMETOOLONG,
    errno.ENOLCK,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}

#: What DuckDB says when it cannot write.
_NO_ROOM = tuple(map(os.strerror, _STORAGE))


def open_store(place: Path | str) -> Store:
    """The store in a folder, or behind a URL."""
    if isinstance(where := named(str(place)), Url):
        from abpipe.remote_store import RemoteStore

        return RemoteStore(where)
    return Store(where)


class Store:
    """A folder with a manifest. Readers take no lock: the files that it names never change."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    @property
    def place(self) -> Place:
        """Where it is, from anywhere."""
        return self.folder.resolve()

    @property
    def manifest_path(self) -> Path:
        """The file whose replacement is a commit."""
        return self.folder / MANIFEST

    def manifest(self) -> Manifest:
        """What the store holds. Raises NoStore if the folder holds none."""
        if not self.manifest_path.exists():
            raise NoStore(self.folder)
        return Manifest.read(self.manifest_path)

    def path(self, file: File) -> Place:
        """Where a file of the manifest is."""
        return self.folder / file.path

    def found(self) -> Iterable[str]:
        """The Parquet files that lie in the store, named by a manifest or not."""
        for table in contracts():
            for path in (self.folder / table).rglob("*.parquet"):
                yield path.relative_to(self.folder).as_posix()

    def failed(self, why: str) -> AbpipeError:
        """The error of a query that could not be answered: no room, or files that were damaged."""
        where = self.folder if isinstance(self.place, Path) else self.place
        if any(said in why for said in _NO_ROOM):
            return Storage(where, why)
        return BrokenStore(where, f"its files cannot be read: {why}")

    def temporary(self, name: str) -> Path:
        """A name of its own for a file that will replace another."""
        return self.folder / f"{name}.{secrets.token_hex(4)}{TEMPORARY}"

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """The store for writing: one writer at a time, nothing visible before its commit.

        Another process that writes is waited for. Raises Storage if the file system refuses.
        """
        try:
            around = make_folder(self.folder)
            with self.lock():
                transaction = Transaction(self, Manifest.read(self.manifest_path), around)
                transaction.sweep()
                try:
                    yield transaction
                finally:
                    transaction.close()
                    self._leave_no_ruin()
        except OSError as err:
            if err.errno in _STORAGE:
                raise Storage(self.folder, os.strerror(err.errno)) from err
            raise

    @contextmanager
    def staging(self, manifest: Manifest) -> Iterator[Transaction]:
        """New files for another process, which holds the store for writing, to adopt and commit.

        Raises NotShared if the folder is not the one that it holds.
        """
        if not (self.folder / LOCK).exists():
            raise NotShared(self.folder)
        transaction = Transaction(self, manifest)
        try:
            yield transaction
            transaction.hand_over()
        finally:
            transaction.drop()

    def lock(self, wait: bool = True) -> AbstractContextManager[None]:
        """Keep all other processes from writing; raises BlockingIOError if it is not to wait."""
        return locked(self.folder / LOCK, self.folder, wait)

    def _leave_no_ruin(self) -> None:
        """Remove the folder again if no store came of it."""
        if not self.manifest_path.exists():
            with suppress(OSError):
                (self.folder / LOCK).unlink(missing_ok=True)
            for folder in (*(self.folder / table for table in contracts()), self.folder):
                with suppress(OSError):  # only an empty folder goes
                    folder.rmdir()


class Transaction:
    """New files that become part of the store all at once, or not at all."""

    def __init__(self, store: Store, manifest: Manifest, around: Iterable[Path] = ()) -> None:
        self.store, self.manifest = store, manifest
        self._to_sync = {*around}  # folders that others were made in
        self._token = secrets.token_hex(4)
        self._writers: list[Part] = []
        self._numbers = count()
        self._encoder = ThreadPoolExecutor(1)
        self._is_sure = True
        self.is_forgetting = False  # whether nothing of what is replaced may stay anywhere

    def writer(self, table: str, dataset: str, source_no: int | None) -> TableWriter:
        """A new file of a table."""
        folder = f"{table}/dataset={dataset}"
        self._to_sync |= make_folder(self.store.folder / folder)
        owner = "all" if source_no is None else f"{source_no:04d}"
        name = f"{folder}/{owner}-{self._token}-{next(self._numbers)}.parquet"
        path = self.store.folder / name
        writer = TableWriter(path, name, table, dataset, source_no, self._encoder)
        self._writers.append(writer)
        return writer

    def adopt(self, file: File) -> Part:
        """Take over a file that another process wrote under its temporary name."""
        part = Part(self.store.folder / file.path, file)
        self._to_sync |= {part.path.parents[1], part.path.parents[2]}  # it may have made folders
        self._writers.append(part)
        return part

    def name_files(self, manifest: Manifest) -> None:
        """Give the new files that a manifest names their names: the last step before its commit."""
        paths = {self.store.path(file) for file in manifest.files}
        for writer in self._writers:
            if writer.path in paths:
                writer.temporary.replace(writer.path)
        for folder in sorted({writer.path.parent for writer in self._writers} | self._to_sync):
            sync(folder)

    def commit(self, manifest: Manifest) -> None:
        """Make the store hold exactly what the manifest names.

        Raises Unconfirmed if the disk does not say that it keeps it.
        """
        temporary = self.store.temporary(MANIFEST)
        write(temporary, manifest.json())
        temporary.replace(self.store.manifest_path)
        self.manifest = manifest
        self._writers.clear()
        try:
            sync(self.store.folder)
        except OSError as err:
            self._is_sure = False  # the manifest before may come back: its files stay
            raise Unconfirmed(self.store.folder, err.strerror or str(err)) from err

    def staged_path(self, file: File) -> Place:
        """Where a file is now: it may not have its name yet."""
        waiting: dict[Place, Path] = {part.path: part.temporary for part in self._writers}
        path = self.store.path(file)
        return waiting.get(path, path)

    def complete(self, manifest: Manifest) -> Manifest:
        """The manifest with a file without rows for each raw table that a dataset lacks."""
        empty = []
        for dataset in manifest.datasets:
            have = {file.table for file in manifest.files if file.dataset == dataset}
            empty += [
                self.writer(table, dataset, None).finish()
                for table in raw_tables()
                if table not in have
            ]
        return manifest.with_files(empty)

    def sweep(self) -> None:
        """Remove what no manifest names: left by a crash, replaced, or forgotten."""
        folder = self.store.folder  # which may hold files of the user's
        left = [
            path for one in (MANIFEST, *CATALOGS) for path in folder.glob(f"{one}.*{TEMPORARY}*")
        ]
        named = {self.store.path(file) for file in self.manifest.files}
        homes = [home for table in contracts() for home in (folder / table).glob("dataset=*")]
        for path in (path for home in homes for path in home.iterdir()):
            if path not in named and path.suffix in (".parquet", TEMPORARY):
                left.append(path)
        if left:
            sync(folder)  # the manifest is there for good before what it does not name goes
        for path in left:
            path.unlink()
        shutil.rmtree(folder / SPILL, ignore_errors=True)
        for home in homes:
            with suppress(OSError):  # only an empty folder goes
                home.rmdir()

    def close(self) -> None:
        """Drop whatever was not committed, and what the commit made superfluous.

        What cannot be removed is nothing to fail for: the next write sweeps it up.
        """
        self.drop()
        if self._is_sure:
            with suppress(OSError):
                self.sweep()

    def hand_over(self) -> None:
        """Leave the new files to the process that adopts them."""
        self._writers.clear()

    def drop(self) -> None:
        """Remove the new files, unless they were committed or handed over."""
        for writer in self._writers:
            writer.abandon()
        self._writers.clear()
        self._encoder.shutdown()


class Part:
    """A file that is written, under a temporary name, and not yet part of a store."""

    def __init__(self, path: Path, file: File) -> None:
        self.path, self._finished = path, file
        self.table, self.dataset, self.source_no = file.table, file.dataset, file.source_no
        self.rows = file.rows

    @property
    def temporary(self) -> Path:
        """Where it is until it is committed."""
        return self.path.with_name(self.path.name + TEMPORARY)

    def finish(self) -> File:
        """What the manifest is to say of the file."""
        return self._finished

    def staged(self) -> pa.Table:
        """What has been written, before it is part of the store."""
        import pyarrow.parquet as pq

        return pq.read_table(self.temporary)

    def abandon(self) -> None:
        """Remove the file."""
        with suppress(OSError):
            self.temporary.unlink(missing_ok=True)


class TableWriter(Part):
    """Writes one Parquet file of a table, in row groups of bounded memory.

    The groups are encoded by `encoder` while this thread goes on.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        table: str,
        dataset: str,
        source_no: int | None,
        encoder: Executor,
    ) -> None:
        self._contract = contracts()[table]
        self.path = path
        self.table, self.dataset, self.source_no, self._name = table, dataset, source_no, name
        self._file = self.temporary.open("wb")
        self._encoder, self._encoding = encoder, Future[None]()
        self._encoding.set_result(None)
        self._waiting: list[pa.Table] = []
        self._waiting_bytes = self.rows = 0

    @cached_property
    def _parquet(self) -> pq.ParquetWriter:
        import pyarrow.parquet as pq  # only now: other processes were waiting for blocks

        return pq.ParquetWriter(
            self._file,
            self._contract.memory_schema,
            compression="zstd",
            compression_level=1,
            store_schema=False,  # a dictionary in memory is a plain string to readers
            use_dictionary=self._contract.encoded(None, "dictionary"),
            column_encoding=dict.fromkeys(self._contract.encoded("delta"), "DELTA_BINARY_PACKED"),
        )

    def write(self, table: pa.Table) -> None:
        """Append rows; columns that the table lacks are NULL."""
        if not table.num_rows:
            return
        self.rows += table.num_rows
        self._waiting.append(table)
        self._waiting_bytes += table.nbytes
        if self._waiting_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._encoding.result()  # one group at a time: more would pile up
        self._encoding = self._encoder.submit(self._encode, self._waiting)
        self._waiting = []
        self._waiting_bytes = 0

    def _encode(self, tables: list[pa.Table]) -> None:
        alike = [pa.concat_tables(some) for _, some in groupby(tables, lambda t: t.schema)]
        group = pa.concat_tables([self._full(table) for table in alike]).unify_dictionaries()
        self._parquet.write_table(group, row_group_size=group.num_rows)

    def _full(self, table: pa.Table) -> pa.Table:
        """The table with all columns, as they are held in memory."""
        schema = self._contract.memory_schema
        return pa.Table.from_arrays([_column(table, field) for field in schema], schema=schema)

    def finish(self) -> File:
        """Write the rest to disk, for good; what the manifest is to say of the file."""
        self._encoding.result()
        if self._waiting:
            self._encode(self._waiting)
        self._parquet.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        with self.temporary.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size = self.temporary.stat().st_size
        return File(self.table, self.dataset, self.source_no, self._name, self.rows, size, sha256)

    def abandon(self) -> None:
        """Close and remove the file, whatever state it is in."""
        self._waiting.clear()
        wait([self._encoding])
        with suppress(OSError, pa.ArrowException):
            if "_parquet" in vars(self):
                self._parquet.close()
        with suppress(OSError):
            self._file.close()
        super().abandon()


def read_groups(path: Place) -> Iterator[pa.Table]:
    """The row groups of a file, one after the other. Raises BrokenStore if it is damaged."""
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path.open() if isinstance(path, Url) else path)
    except (OSError, pa.ArrowException) as err:
        raise _damaged(path, err) from err
    with file:
        found = {field.name: field.type for field in file.schema_arrow}
        for field in contracts()[_named(path)[1]].schema:
            if found.get(field.name) != field.type:
                raise _damaged(path, f"its column {field.name} is not of type {field.type}")
        for i in range(file.num_row_groups):
            try:
                group = file.read_row_group(i)
            except (OSError, pa.ArrowException) as err:
                raise _damaged(path, err) from err
            yield group


def _damaged(path: Place, why: object) -> BrokenStore:
    folder, *place = _named(path)
    return BrokenStore(folder, f"{'/'.join(place)} cannot be read: {why}")


def _named(path: Place) -> tuple[str, str, str, str]:
    """The store, the table, the dataset and the name that the path of a file tells."""
    *folders, table, dataset, name = str(path).split("/")
    return "/".join(folders), table, dataset, name


def _column(table: pa.Table, field: pa.Field) -> Any:
    if field.name not in table.column_names:
        return pa.nulls(table.num_rows, field.type)
    column = table[field.name]
    if column.type == field.type:
        return column
    if pa.types.is_dictionary(field.type):
        return column.dictionary_encode()
    return column.cast(field.type)
