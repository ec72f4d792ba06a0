"""Who annotated: people of very different diligence, and the tasks that they took."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from random import Random
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from abpipe.synth.motion import Floats, Ints

CAPITALS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
HEX = b"0123456789abcdef"

#: Pictures a person, by normal quantiles: the median 199, the mean 649, the most 13,628.
RANKS = (-1.95, 0.0, 1.57, 3.44)
PICTURES = (7, 199, 2943, 13_628)

#: Ways not to do the work: click every picture at one spot; without a look; anywhere; by a
#: program that draws straight lines, or jumps; without a move.
CHEATS = ("copy", "hurried", "random", "straight", "teleport", "traceless")
HONEST = "honest"
#: So many times faster than the crowd is who is hurried, however slow otherwise.
HURRY = 8

Ids = npt.NDArray[np.bytes_]


@dataclass(frozen=True)
class Crowd:
    """The people: how many pictures each annotates, how slowly, how precisely."""

    ids: Ids
    share: Floats
    slowness: Floats
    """Factor on every time."""
    precision: Floats
    """Standard deviation of a click around the object's centre, in objects."""
    manner: Ids
    """HONEST, or one of CHEATS."""


@dataclass(frozen=True)
class Work:
    """Which tasks there are to take, and how their pictures are shown."""

    pages: int
    slots: int
    published: int
    """How many of a task's pictures reach the archive, at most."""

    @property
    def places(self) -> int:
        """Pictures of a task."""
        return self.pages * self.slots


@dataclass(frozen=True)
class Schedule:
    """For each record its person, task and place; for each task its ids."""

    person: Ints
    task: Ints
    place: Ints
    assignment_id: Ids
    hit_id: Ids
    tool_hit_id: Ids

    @cached_property
    def first(self) -> Ints:
        """The first record of each task; the records of a task are neighbours."""
        found: Ints = np.flatnonzero(np.diff(self.task, prepend=-1))
        return found


def identifiers(rng: np.random.Generator, alphabet: bytes, n: int, length: int) -> Ids:
    """`n` random words of `length` letters."""
    letters = np.frombuffer(alphabet, np.uint8)[rng.integers(0, len(alphabet), (n, length))]
    words: Ids = np.ascontiguousarray(letters).view(f"S{length}")[:, 0]
    return words


def crowd(rng: np.random.Generator, n: int, cheats: float = 0) -> Crowd:
    """`n` people; of ImageNet-AB's 1,705 the top 100 did 41 %, the last one 7 pictures.

    A share of them `cheats`, in all ways in turn; the others stay who they are without them.
    """
    normal = NormalDist()
    rank = np.array([normal.inv_cdf((i + 0.5) / n) for i in range(n)])
    share = np.exp(np.interp(rank, RANKS, np.log(PICTURES)))
    # who does much is quick
    pace = rng.normal(0.0, 0.52, n) - 0.2 * rank
    # a median picture is annotated in the same time, whoever the most diligent are
    slowness = np.exp(pace - (pace * share).sum() / share.sum())
    order = rng.permutation(n)
    manner = _manners(rng.spawn(1)[0], n, round(cheats * n))
    return Crowd(
        identifiers(rng, HEX.upper(), n, 10),
        (share / share.sum())[order],
        np.where(manner == b"hurried", 1 / HURRY, slowness[order]),
        rng.lognormal(np.log(0.13), 0.4, n),
        manner,
    )


def _manners(rng: np.random.Generator, n: int, cheats: int) -> Ids:
    manner = np.full(n, HONEST, "S9")
    manner[rng.choice(n, cheats, replace=False)] = np.resize(CHEATS, cheats)
    return manner


def spot(person: bytes) -> tuple[float, float]:
    """Where somebody who clicks every picture at one spot does so, as fractions."""
    random = Random(person)
    return random.uniform(0.2, 0.8), random.uniform(0.2, 0.8)


def schedule(rng: np.random.Generator, n: int, people: Crowd, work: Work) -> Schedule:
    """Hand out `n` records in order: to people by their shares, to each in tasks."""
    ends = np.rint(np.cumsum(people.share) * n).astype(np.int64)
    sizes = np.diff(ends, prepend=0)
    person = np.repeat(np.arange(len(sizes)), sizes)
    number = np.arange(n) - np.repeat(ends - sizes, sizes)
    tasks = -(-sizes // work.published)
    task = np.repeat(np.cumsum(tasks) - tasks, sizes) + number // work.published
    n_tasks = int(tasks.sum())
    stride = work.places / np.bincount(task, minlength=n_tasks)
    start = rng.random(n_tasks) * stride
    place = np.floor(number % work.published * stride[task] + start[task]).astype(np.int64)
    first = np.full((n_tasks, 1), b"3", "S1")
    return Schedule(
        person,
        task,
        np.minimum(place, work.places - 1),
        np.strings.add(first[:, 0], identifiers(rng, CAPITALS, n_tasks, 29)),
        np.strings.add(first[:, 0], identifiers(rng, CAPITALS, n_tasks, 29)),
        identifiers(rng, HEX, n_tasks, 32),
    )
