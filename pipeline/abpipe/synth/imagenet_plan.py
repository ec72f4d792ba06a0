"""ImageNet-AB as a whole: which pictures, who saw them, in which task, when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from abpipe.synth.motion import Floats, Ints
from abpipe.synth.people import Ids, Schedule, Work, crowd, schedule
from abpipe.synth.truth import Annotator, annotators

FILES, PEOPLE = 1_274_843, 1_705
CLASSES = 1000
WORK = Work(pages=10, slots=48, published=240)

#: Shares of pictures with 0, 1, 2, 3 annotators.
ANNOTATORS = (0.0025, 0.955, 0.038, 0.0045)
#: Neighbouring pictures of a page show one class.
PAGE = 24

DAY_MS = 86_400_000
EPOCH_MS = 1_638_300_000_000  # 30 November 2021


@dataclass(frozen=True)
class Slots:
    """The records of a chunk, a value for each: ordered by picture."""

    picture: Ints
    worker_id: Ids
    precision: Floats
    manner: Ids
    """How the person works, as in people.Crowd."""
    assignment_id: Ids
    hit_id: Ids
    tool_hit_id: Ids
    page: Ints
    slot: Ints
    start_ms: Ints
    pace_ms: Ints
    """How long the person looks, in all, before deciding."""
    submit_s: Ints

    def slice(self, begin: int, end: int, first_picture: int) -> Slots:
        """Records `begin` to `end`, with pictures counted from `first_picture`."""
        cut = {f.name: getattr(self, f.name)[begin:end] for f in fields(self)}
        return Slots(**{**cut, "picture": cut["picture"] - first_picture})


@dataclass(frozen=True)
class Plan:
    """What a chunk, or the whole archive, is to hold."""

    class_index: Ints
    number: Ints
    slots: Slots

    @property
    def people(self) -> list[Annotator]:
        """Who took part, and how each works."""
        return annotators(self.slots.worker_id, self.slots.manner)

    def chunks(self, size: int) -> Iterator[Plan]:
        """Plans for `size` pictures each."""
        for begin in range(0, len(self.number), size):
            end = min(begin + size, len(self.number))
            first, last = np.searchsorted(self.slots.picture, [begin, end])
            yield Plan(
                self.class_index[begin:end],
                self.number[begin:end],
                self.slots.slice(int(first), int(last), begin),
            )


def plan(rng: np.random.Generator, count: int, cheats: float = 0) -> Plan:
    """Plan an archive of `count` files; a share of the people `cheats`."""
    n_classes = min(CLASSES, max(2, count // 25), count)
    chosen = np.sort(rng.choice(CLASSES, n_classes, replace=False))
    class_index = chosen[np.sort(rng.integers(0, n_classes, count))]
    number = numbers(rng, class_index)
    annotators = rng.choice(len(ANNOTATORS), count, p=ANNOTATORS)
    shown = np.concatenate([_stream(rng, np.flatnonzero(annotators > n)) for n in range(3)])

    n_people = int(np.clip(round(PEOPLE * (count / FILES) ** 0.5), 4, PEOPLE))
    people = crowd(rng, n_people, cheats)
    work = schedule(rng, len(shown), people, WORK)
    pace = paces(rng, people.slowness[work.person])
    start, submit = clocks(rng, pace, work)

    position = np.empty(count, np.int64)  # the archive is not sorted by class
    position[rng.permutation(count)] = np.arange(count)
    picture = position[shown]
    # nobody is shown a picture twice; the records go into the order of the archive
    _, kept = np.unique(picture * n_people + work.person, return_index=True)
    task, place = work.task[kept], work.place[kept]
    slots = Slots(
        picture[kept],
        people.ids[work.person[kept]],
        people.precision[work.person[kept]],
        people.manner[work.person[kept]],
        work.assignment_id[task],
        work.hit_id[task],
        work.tool_hit_id[task],
        place // WORK.slots,
        place % WORK.slots,
        start[kept],
        pace[kept],
        submit[task],
    )
    order = np.argsort(position)
    return Plan(class_index[order], number[order], slots)


def numbers(rng: np.random.Generator, class_index: Ints) -> Ints:
    """Numbers of the pictures, ascending with gaps within each class."""
    number = np.cumsum(rng.integers(1, 17, len(class_index)))
    first = np.searchsorted(class_index, class_index)
    return number - number[first] + 2 + first % 13


def _stream(rng: np.random.Generator, pictures: Ints) -> Ints:
    """The pictures in the order in which they are shown: pages of a class, shuffled."""
    page = np.arange(len(pictures)) // PAGE
    turn = rng.permutation(len(pictures) // PAGE + 1)
    return pictures[np.argsort(turn[page], kind="stable")]


def paces(rng: np.random.Generator, slowness: Floats) -> Ints:
    """Milliseconds that each record's person looks before deciding; a few forget the page."""
    n = len(slowness)
    pace = slowness * rng.lognormal(np.log(550), 0.44, n)
    pace *= np.where(rng.random(n) < 0.004, rng.lognormal(np.log(8), 0.9, n), 1)
    pace /= np.where(rng.random(n) < 0.0005, rng.uniform(5, 60, n), 1)
    away = rng.random(n) < 3e-6
    pace[away] = rng.uniform(6e5, 1.86e7, int(away.sum()))
    return np.maximum(pace, 2).astype(np.int64)


def clocks(rng: np.random.Generator, pace: Ints, work: Schedule) -> tuple[Ints, Ints]:
    """When each record begins, and when each task was submitted by the marketplace's clock.

    Records of one person never overlap: each has room for its visits.
    """
    room = room_ms(pace) + rng.exponential(700, len(pace)).astype(np.int64)
    before: npt.NDArray[np.int64] = np.cumsum(room) - room
    first = work.first
    last = np.append(first[1:], len(pace)) - 1
    within = before - np.repeat(before[first], last - first + 1)
    lasts = within[last] + room[last]
    person = work.person[first]
    breaks = rng.uniform(3e5, 2e7, len(first)).astype(np.int64)
    since = np.cumsum(lasts + breaks) - lasts
    begins = np.searchsorted(person, person)
    arrival = rng.uniform(0, 40 * DAY_MS, int(person.max(initial=0)) + 1).astype(np.int64)
    start = EPOCH_MS + arrival[person] + since - since[begins]
    submit = (start + lasts) // 1000 + rng.integers(30, 1500, len(first))
    return start[work.task] + within, submit


def room_ms(pace: Ints) -> Ints:
    """The most that one record may last, given how long its person looks."""
    return (1.25 * pace).astype(np.int64) + 5000
