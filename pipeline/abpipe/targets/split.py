"""Splits: every picture is in one part, which its id alone decides."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from abpipe.errors import BadSplit


def parse(told: str) -> dict[str, float]:
    """The shares of `train=0.9,val=0.1`. Raises BadSplit."""
    try:
        pairs = [part.split("=") for part in told.split(",")]
        shares = {name.strip(): float(share) for name, share in pairs}
    except ValueError:
        raise BadSplit(told) from None
    if len(shares) < len(pairs):
        raise BadSplit(told)
    return checked(shares)


def checked(shares: dict[str, float]) -> dict[str, float]:
    """The shares, if they are some. Raises BadSplit."""
    well = all(re.fullmatch(r"\w+", name) and 0 < share <= 1 for name, share in shares.items())
    if not well or abs(sum(shares.values()) - 1) > 1e-9 or len(shares) > 100:
        raise BadSplit(",".join(f"{name}={share:g}" for name, share in shares.items()))
    return shares


def parts(ids: Sequence[bytes], shares: dict[str, float]) -> npt.NDArray[np.int8]:
    """The number of the part of each picture [n].

    The BLAKE2b hash of an id to 8 bytes, as a number over 2^64, is a place between 0 and 1,
    and the parts share that range in their order: other pictures change nothing for this one.
    """
    places = np.array([int.from_bytes(blake2b(one, digest_size=8).digest()) for one in ids], "u8")
    edges = np.cumsum(list(shares.values()))[:-1]
    return np.searchsorted(edges, places / 2.0**64, "right").astype(np.int8)
