"""COCO-AB as a whole: which pictures, who saw them, in which task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from abpipe.synth.motion import Floats, Ints
from abpipe.synth.people import Ids, Work, crowd, schedule
from abpipe.synth.truth import Annotator, annotators

PICTURES = 82_765
PEOPLE = 600
#: COCO's picture numbers end here.
LAST_ID = 581_929
WORK = Work(pages=20, slots=1, published=20)


@dataclass(frozen=True)
class Plan:
    """The records of the archive, or of a chunk, in order."""

    image_id: Ints
    worker_id: Ids
    slowness: Floats
    precision: Floats
    manner: Ids
    """How the person works, as in people.Crowd."""
    tool_hit_id: Ids
    page: Ints

    @property
    def people(self) -> list[Annotator]:
        """Who took part, and how each works."""
        return annotators(self.worker_id, self.manner)

    def chunks(self, size: int) -> Iterator[Plan]:
        """Plans for `size` records each."""
        for begin in range(0, len(self.image_id), size):
            yield self.cut(begin, begin + size)

    def cut(self, begin: int, end: int) -> Plan:
        """The records from `begin` to `end`."""
        return Plan(**{f.name: getattr(self, f.name)[begin:end] for f in fields(self)})


def plan(rng: np.random.Generator, count: int, cheats: float = 0) -> Plan:
    """Plan an archive of `count` records; a share of the people `cheats`."""
    n_people = int(np.clip(round(PEOPLE * (count / PICTURES) ** 0.5), 4, PEOPLE))
    people = crowd(rng, n_people, cheats)
    work = schedule(rng, count, people, WORK)
    order = rng.permutation(count)
    person, task, page = work.person[order], work.task[order], work.place[order]
    return Plan(
        rng.choice(LAST_ID, count, replace=False) + 1,
        people.ids[person],
        people.slowness[person],
        people.precision[person],
        people.manner[person],
        work.tool_hit_id[task],
        page,
    )
