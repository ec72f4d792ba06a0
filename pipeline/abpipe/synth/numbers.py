"""Fractions as text: a whole displayed pixel over the display's size, as the tools compute it."""

from __future__ import annotations

from functools import cache

#: How far beyond an edge a pixel may lie.
BEYOND = 4


@cache
def fractions(size: int, whole: bool = True) -> list[str]:
    """The text of k / size at index k + BEYOND; 0 and 1 are integers if `whole`.

    A display of size 0 divides by zero, which JavaScript's serialiser writes as null.
    """
    if not size:
        return ["null"] * 1000
    texts = [repr(k / size) for k in range(-BEYOND, size + BEYOND + 1)]
    if whole:
        texts[BEYOND], texts[BEYOND + size] = "0", "1"
    return texts
