"""Defects: what is wrong with real archives, and what a right reader does about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Generic, Literal, TypeVar

Good = TypeVar("Good")
Bad = TypeVar("Bad")

#: What a right reader rejects: a whole member, a record, a field of a picture's row, or nothing.
Level = Literal["member", "record", "field", "none"]


@dataclass(frozen=True)
class Defect(Generic[Good, Bad]):
    """One kind of defect; `plant` makes what stands in the good thing's place."""

    code: str
    level: Level
    message: str
    """What a right reader does."""
    plant: Callable[[Random, Good], Bad]
    intact: bool
    """Whether the truth still tells what a right reader finds of the picture."""

    @property
    def told(self) -> tuple[str, Level, str, bool]:
        """What the truth says of it."""
        return self.code, self.level, self.message, self.intact


class Registry(dict[str, Defect[Good, Bad]]):
    """Defects by code, filled by decorated functions."""

    def add(
        self, code: str, level: Level, message: str, intact: bool | None = None
    ) -> Callable[[Callable[[Random, Good], Bad]], Callable[[Random, Good], Bad]]:
        """Register the decorated function; what costs nothing is `intact` unless said otherwise."""
        if code in self:
            raise ValueError(f"the defect {code} is registered twice")

        def register(function: Callable[[Random, Good], Bad]) -> Callable[[Random, Good], Bad]:
            sound = level == "none" if intact is None else intact
            self[code] = Defect(code, level, message, function, sound)
            return function

        return register


def choose(
    random: Random,
    codes: Iterable[str],
    suitable: list[int],
    registry: Registry[Good, Bad],
) -> Iterator[tuple[int, Defect[Good, Bad]]]:
    """A suitable picture for each code, each picture once; ends when none are left."""
    places = random.sample(suitable, len(suitable))
    for place, code in zip(places, codes, strict=False):
        yield place, registry[code]
