"""What a record's events say of what is stored beside them: the size it was shown in, its clock.

Fractions are whole pixels divided by a whole size, so that they tell the size.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]

#: Kinds of events by their first letter; those of one list as one: enter, leave; add, drag, remove.
_LISTS = np.arange(256, dtype=np.uint8)
_LISTS[ord("l")] = ord("e")
_LISTS[[ord("d"), ord("r")]] = ord("a")

LARGEST = 4096  # CSS pixels: no board or page is wider
_STEPS = 20  # of a continued fraction; the denominators below LARGEST take 17 at most


def pixel_grid(fractions: pa.Array) -> pa.Array:
    """The smallest number of pixels in which all fractions of each list are whole; int32.

    The size of the picture is a multiple of it. NULL where there is no fraction, or no such number
    up to LARGEST: other divisions, or rounded values.
    """
    flat = fractions.flatten().to_numpy(zero_copy_only=False)
    offsets = fractions.offsets.to_numpy()
    offsets = offsets - offsets[0]
    grids = np.zeros(len(fractions), np.int64)
    filled = np.flatnonzero(np.diff(offsets))
    if len(filled):
        smallest = denominators(flat)
        found = np.lcm.reduceat(smallest, offsets[filled])  # of a 0 and anything: 0
        # what overflows is no common multiple
        size = np.repeat(found, np.diff(offsets)[filled])
        whole = (smallest > 0) & (size % np.maximum(smallest, 1) == 0)
        fits = np.logical_and.reduceat(whole, offsets[filled])
        grids[filled] = np.where(fits & (found <= LARGEST), found, 0)
    return pa.array(grids, pa.int32(), mask=grids <= 0)


def denominators(fractions: Floats) -> Ints:
    """The smallest n up to LARGEST for which each fraction is the double of some k / n; else 0."""
    smallest = np.zeros(len(fractions), np.int64)
    at = np.flatnonzero(np.abs(fractions) < LARGEST)  # no NaN either
    x = np.abs(fractions[at])
    whole = np.floor(x)
    rest = x - whole
    above, below = (np.ones_like(x), whole), (np.zeros_like(x), np.ones_like(x))
    for _ in range(_STEPS):
        small = below[1] <= LARGEST
        exact = small & (above[1] / below[1] == x)
        smallest[at[exact]] = below[1][exact]
        left = small & ~exact & (rest > 0.5 / LARGEST)
        if not left.any():
            break
        at, x = at[left], x[left]
        next_whole = 1 / rest[left]
        whole = np.floor(next_whole)
        rest = next_whole - whole
        above = above[1][left], whole * above[1][left] + above[0][left]
        below = below[1][left], whole * below[1][left] + below[0][left]
    return smallest


def steps_back(kinds: pa.Array, seqs: pa.Array, times: pa.Array) -> pa.Array:
    """How often the clock goes back within the lists of each record; int32.

    `kinds` holds the first letter of each event's kind. NULL where no event has a time.
    """
    owner = np.repeat(np.arange(len(kinds)), np.diff(kinds.offsets.to_numpy()))
    lists = _LISTS[kinds.flatten().to_numpy()].astype(np.int64)
    place = (owner << 40) + (lists << 32) + seqs.flatten().to_numpy()
    time = times.flatten().to_numpy()
    if (np.diff(place) < 0).any():  # usually they come in their order
        order = np.argsort(place)
        place, time = place[order], time[order]
    back = (np.diff(time) < 0) & (np.diff(place >> 32) == 0)
    counts = np.bincount(place[1:][back] >> 40, minlength=len(kinds))
    return pa.array(counts, pa.int32(), mask=np.diff(kinds.offsets.to_numpy()) == 0)
