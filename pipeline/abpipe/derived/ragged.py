"""Lists of unequal lengths as flat arrays: what the functions over traces share."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]


def lengths(column: pa.Array) -> Ints:
    """How long each list is; 0 for one that is NULL."""
    found: Ints = np.diff(column.offsets.to_numpy()).astype(np.int64)
    if column.null_count:
        found[column.is_null().to_numpy(zero_copy_only=False)] = 0
    return found


def values(column: pa.Array) -> npt.NDArray[Any]:
    """The items of all lists, end to end; NULL is NaN."""
    return numbers(column.flatten())


def numbers(column: pa.Array) -> npt.NDArray[Any]:
    """A column as NumPy has it; NULL is NaN."""
    found: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return found


def offsets(counts: Ints) -> Ints:
    """Where each list begins among the items, and after the last where it ends."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


def owners(counts: Ints) -> Ints:
    """The list that each item belongs to."""
    return np.repeat(np.arange(len(counts)), counts)


def places(counts: Ints) -> Ints:
    """The place of each item in its own list, from 0."""
    if len(counts) and (counts == counts[0]).all():
        return np.tile(np.arange(counts[0]), len(counts))
    return np.arange(counts.sum()) - np.repeat(offsets(counts)[:-1], counts)


def ends(counts: Ints) -> tuple[Ints, Ints]:
    """The first and the last item of each list; of one without items, neither is its own."""
    cuts = offsets(counts)
    return cuts[:-1], cuts[1:] - 1


def lists(flat: pa.Array, counts: Ints, missing: Bools | None = None) -> pa.Array:
    """Items as lists again; those that are `missing`, without items, are NULL."""
    mask = None if missing is None else pa.array(missing)
    return pa.ListArray.from_arrays(pa.array(offsets(counts).astype(np.int32)), flat, mask=mask)


def column(flat: npt.NDArray[Any], missing: Bools | None = None) -> pa.Array:
    """A column of numbers; what is `missing`, or NaN, is NULL."""
    return pa.array(flat, from_pandas=True, mask=missing)


def struct(fields: dict[str, pa.Array], missing: Bools | None = None) -> pa.Array:
    """Columns as one; the rows that are `missing` are NULL."""
    mask = None if missing is None else pa.array(missing)
    return pa.StructArray.from_arrays([*fields.values()], [*fields], mask=mask)


def chosen(flat: npt.NDArray[Any], rows: Bools, counts: Ints) -> npt.NDArray[Any]:
    """The items of some lists."""
    return flat[np.repeat(rows, counts)]


def first(flat: npt.NDArray[Any], counts: Ints) -> npt.NDArray[Any]:
    """The first item of each list; 0 where there is none."""
    return np.where(counts > 0, np.append(flat, 0)[ends(counts)[0]], 0)


def last(flat: npt.NDArray[Any], counts: Ints) -> npt.NDArray[Any]:
    """The last item of each list; 0 where there is none."""
    return np.where(counts > 0, np.append(flat, 0)[ends(counts)[1]], 0)


def largest(flat: Floats, owner: Ints, n: int) -> tuple[Floats, Ints]:
    """The largest item of each of `n` lists, and which item it is first; NaN and -1 without any."""
    counts = np.bincount(owner, minlength=n)
    found = np.full(n, np.nan)
    has = counts > 0
    if has.any():
        found[has] = np.maximum.reduceat(flat, ends(counts)[0][has])
    return found, first_where(flat == found[owner], owner, n)


def first_where(marked: Bools, owner: Ints, n: int) -> Ints:
    """The first marked item of each of `n` lists; -1 where none is."""
    at = np.full(n, -1)
    hits = np.flatnonzero(marked)[::-1]
    at[owner[hits]] = hits  # of equal places, the last written stays
    return at
