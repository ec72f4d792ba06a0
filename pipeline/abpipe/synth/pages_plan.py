"""A collection of page records as a whole: which pictures, who saw them, on which pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from abpipe.synth import coco_plan, imagenet_plan
from abpipe.synth.imagenet_plan import Slots, clocks, numbers, paces
from abpipe.synth.people import CAPITALS, HEX, Schedule, crowd, identifiers
from abpipe.synth.truth import Annotator

PICTURES = 100_000
CLASSES = imagenet_plan.CLASSES
SLOTS, PAGES = imagenet_plan.WORK.slots, imagenet_plan.WORK.pages


@dataclass(frozen=True)
class Plan:
    """Half of the pictures are shown by the ImageNet tool, 48 a page, half by the COCO tool."""

    imagenet: imagenet_plan.Plan
    coco: coco_plan.Plan

    @property
    def people(self) -> list[Annotator]:
        """Who took part, and how each works."""
        return [*self.imagenet.people, *self.coco.people]

    def chunks(self, size: int) -> Iterator[Plan]:
        """Plans for about `size` pictures each: whole pages."""
        n, boards = size // 2 // SLOTS * SLOTS, size // 2
        for i in range(max(-(-len(self.imagenet.number) // n), -(-len(self.coco.page) // boards))):
            begin, end = i * n, min((i + 1) * n, len(self.imagenet.number))
            pages = imagenet_plan.Plan(
                self.imagenet.class_index[begin:end],
                self.imagenet.number[begin:end],
                self.imagenet.slots.slice(i * n, (i + 1) * n, begin),
            )
            yield Plan(pages, self.coco.cut(i * boards, (i + 1) * boards))


def plan(rng: np.random.Generator, count: int, cheats: float = 0) -> Plan:
    """Plan the pages of `count` pictures; a share of the people `cheats`."""
    return Plan(_slots(rng, count // 2, cheats), coco_plan.plan(rng, count - count // 2, cheats))


def _slots(rng: np.random.Generator, n: int, cheats: float) -> imagenet_plan.Plan:
    """The pages of the ImageNet tool; the last one is filled up with pictures that it has."""
    pages = -(-n // SLOTS)
    people = crowd(rng, max(4, round(pages**0.5)), cheats)
    of_page = np.sort(rng.choice(len(people.ids), pages, p=people.share))
    rank = np.arange(pages) - np.searchsorted(of_page, of_page)
    task = np.cumsum(rank % PAGES == 0) - 1
    n_tasks = int(task.max(initial=-1)) + 1
    record = np.arange(pages * SLOTS)
    page = record // SLOTS
    work = Schedule(
        of_page[page],
        task[page],
        rank[page] % PAGES * SLOTS + record % SLOTS,
        identifiers(rng, CAPITALS, n_tasks, 30),
        identifiers(rng, CAPITALS, n_tasks, 30),
        identifiers(rng, HEX, n_tasks, 32),
    )
    pace = paces(rng, people.slowness[work.person])
    start, submit = clocks(rng, pace, work) if n else (record, record)
    last = n - (n - 1) % SLOTS - 1
    picture = np.where(record < n, record, last + (record - n) % max(1, n - last))
    class_index = np.sort(rng.integers(0, CLASSES, n // SLOTS + 1)[np.arange(n) // SLOTS])
    slots = Slots(
        picture,
        people.ids[work.person],
        people.precision[work.person],
        people.manner[work.person],
        work.assignment_id[work.task],
        work.hit_id[work.task],
        work.tool_hit_id[work.task],
        work.place // SLOTS,
        work.place % SLOTS,
        start,
        pace,
        submit[work.task] if n else record,
    )
    return imagenet_plan.Plan(class_index, numbers(rng, class_index), slots)
