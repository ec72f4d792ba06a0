"""Pseudonyms: ids of people replaced by keyed hashes, wherever they stand.

The key stays outside of any store. Whoever has it can tell a person's pseudonym from the id, to
honour a withdrawal; nobody else can, not even by trying out all ids.
"""

from __future__ import annotations

import os
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from abpipe.durable import sync, write
from abpipe.errors import NoKey

if TYPE_CHECKING:
    import pyarrow as pa

    from abpipe.rows import Batch

KEY_BYTES = 32
_ID_COLUMNS = ("annotator_id", "assignment_id", "hit_id", "tool_hit_id")
#: Columns of words of abpipe's own.
_OWN_WORDS = ("code", "kind", "level", "raw_sha256", "tool")
#: What a message quotes from a record: strings, and integers beyond 64 bits.
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|-?[0-9]{19,}""")


@dataclass(frozen=True)
class Key:
    """A secret that makes pseudonyms."""

    secret: bytes = field(repr=False)

    @classmethod
    def load(cls, path: Path | None = None, *, make: bool = True) -> Key:
        """The key in a file, by default the user's own; made on first use, for the user only.

        Raises NoKey if there is none and none can be made, or if the file holds something else.
        """
        path = path or own_key()
        try:
            if make and not path.exists():
                _make(path)
            secret = bytes.fromhex(path.read_text("ascii"))
        except OSError as err:
            raise NoKey(path, err.strerror or str(err)) from err
        except ValueError as err:
            raise NoKey(path, "it holds something else than a key") from err
        if len(secret) != KEY_BYTES:
            raise NoKey(path, "it holds something else than a key")
        return cls(secret)

    @classmethod
    def at_hand(cls, path: Path | None) -> Key | None:
        """The key in a file; None if the user has no own one. Raises NoKey for another file."""
        return cls.load(path, make=False) if path or own_key().exists() else None

    @property
    def id(self) -> str:
        """Which key it is, without a way back to it."""
        return self._hash("key", "", 8)

    def pseudonym(self, original: str) -> str:
        """What stands for an id: 32 hex digits."""
        return self._hash("id", original, 16)

    def _hash(self, tag: str, said: str, size: int) -> str:
        data = said.encode("utf-8", "surrogatepass")
        return blake2b(data, digest_size=size, key=self.secret, person=tag.encode()).hexdigest()


@dataclass(frozen=True)
class Gone:
    """Leaves out the records of people who are to stay forgotten.

    `people` are blinded pseudonyms; `key` makes the pseudonyms, where ids are as they were.
    """

    people: frozenset[str] = frozenset()
    key: Key | None = None

    def __call__(self, tables: dict[str, pa.Table], counts: Counter[str]) -> dict[str, pa.Table]:
        """The rows of one block without theirs, which are counted as forgotten."""
        import pyarrow as pa
        import pyarrow.compute as pc

        from abpipe.rows import with_fewer, without

        if not self.people or "annotations" not in tables:
            return tables
        annotators = tables["annotations"]["annotator_id"]
        known = annotators.drop_null().unique().to_pylist()
        gone = [one for one in known if self._is_forgotten(one)]
        theirs = tables["annotations"].filter(pc.is_in(annotators, pa.array(gone, pa.string())))
        counts["records.forgotten"] += theirs.num_rows
        ids = theirs["annotation_id"].to_numpy()
        edited = {name: without(tables[name], ids) for name in ("annotations", "events")}
        return tables | edited | {"images": with_fewer(tables["images"], theirs["image_id"])}

    def _is_forgotten(self, annotator: str) -> bool:
        return blind(self.key.pseudonym(annotator) if self.key else annotator) in self.people


def blind(pseudonym: str) -> str:
    """What is kept of somebody who is forgotten: enough to know a pseudonym when it comes again."""
    return blake2b(pseudonym.encode(), digest_size=16, person=b"forgotten").hexdigest()


def own_key() -> Path:
    """Where the user's own key lies, or will."""
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "abpipe" / "pseudonym.key"


def _make(path: Path) -> None:
    """Write a new key, whole or not at all, that only the user can read."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.touch(0o600, exist_ok=False)
        write(temporary, f"{secrets.token_hex(KEY_BYTES)}\n".encode())
        with suppress(FileExistsError):  # another process was faster
            path.hardlink_to(temporary)
        sync(path.parent)  # a store of pseudonyms is of no use without it
    finally:
        temporary.unlink(missing_ok=True)


class Veil:
    """Puts pseudonyms in the place of ids, in columns and in any text."""

    def __init__(self, key: Key, ids: Iterable[str] = ()) -> None:
        self.key = key
        self._pseudonyms: dict[str, str] = {}
        self._by_length: dict[int, set[str]] = {}
        self._words: re.Pattern[str] | None = None
        self._told = lru_cache(1 << 16)(self._tell)
        self._learn(ids)

    def _learn(self, ids: Iterable[str]) -> None:
        new = {one for one in ids if one} - self._pseudonyms.keys()
        if not new:
            return
        self._pseudonyms |= {one: self.key.pseudonym(one) for one in new}
        for one in new - {one for one in new if _is_word(one)}:
            self._by_length.setdefault(len(one), set()).add(one)
        words = sorted((one for one in self._pseudonyms if _is_word(one)), key=len, reverse=True)
        within = "|".join(map(re.escape, words))
        self._words = re.compile(f"(?<![0-9A-Za-z])(?:{within})(?![0-9A-Za-z])") if words else None
        self._told.cache_clear()

    def text(self, said: str, words: bool = True) -> str:
        """A text without the ids; short ids and numbers only where they stand as words."""
        return self._told(said, words)

    def _tell(self, said: str, words: bool) -> str:
        for length in sorted(self._by_length, reverse=True):
            pieces = {said[at : at + length] for at in range(len(said) - length + 1)}
            for found in pieces & self._by_length[length]:
                said = said.replace(found, self._pseudonyms[found])
        if words and self._words:
            said = self._words.sub(lambda match: self._pseudonyms[match[0]], said)
        return said

    def json(self, said: str) -> str:
        """A JSON text without the ids in its strings; sorted keys stay sorted."""
        return orjson.dumps(self._value(orjson.loads(said)), option=orjson.OPT_SORT_KEYS).decode()

    def _value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self.text(k, words=False): self._value(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self._value(v) for v in value]
        return self.text(value) if isinstance(value, str) else value

    def message(self, said: str) -> str:
        """A message that quotes nothing."""
        return self.text(_QUOTED.sub("…", said))

    def batch(self, batch: Batch) -> Batch:
        """A batch without ids; rejects keep where and how long they were, and their hash."""
        if "annotations" in batch.tables:
            for column in _ID_COLUMNS:
                self._learn(batch.tables["annotations"][column].drop_null().unique().to_pylist())
        tables = {name: self._table(table) for name, table in batch.tables.items()}
        counts = Counter({self.text(name, words=False): n for name, n in batch.counts.items()})
        return type(batch)(tables, counts)

    def _table(self, table: pa.Table) -> pa.Table:
        import pyarrow as pa

        how: dict[str, Callable[[str], str | None]] = {
            **dict.fromkeys(_ID_COLUMNS, self._pseudonyms.get),
            "extra": self.json,
            "mask": self.json,
            "member": self.text,
            "message": self.message,
        }
        for at, column in enumerate(table.schema):
            if pa.types.is_binary(column.type):
                table = table.set_column(at, column, pa.nulls(table.num_rows, column.type))
            elif pa.types.is_string(column.type) and column.name not in _OWN_WORDS:
                change = how.get(column.name, lambda said: self.text(said, words=False))
                table = table.set_column(at, column, _changed(table.column(at), change))
        return table


def _is_word(one: str) -> bool:
    """Whether an id is too plain to be looked for inside of words."""
    return len(one) < 4 or one.isdigit()


def _changed(column: pa.ChunkedArray, change: Callable[[str], str | None]) -> pa.ChunkedArray:
    """A column of texts, each of which is changed once."""
    import pyarrow as pa

    chunks = []
    for chunk in column.chunks:
        coded = chunk.dictionary_encode()
        texts = pa.array([change(said) for said in coded.dictionary.to_pylist()], column.type)
        chunks.append(texts.take(coded.indices))
    return pa.chunked_array(chunks, column.type)
