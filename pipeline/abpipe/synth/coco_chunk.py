"""One chunk of COCO-AB: JSON objects, truth and pictures."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random

import numpy as np

from abpipe.synth.chunk import Chunk, Made
from abpipe.synth.coco import Record, icons, records
from abpipe.synth.coco_json import Task, displayed, element
from abpipe.synth.coco_plan import Plan
from abpipe.synth.defects import choose
from abpipe.synth.defects_coco import COCO
from abpipe.synth.numbers import BEYOND
from abpipe.synth.shapes import Shape
from abpipe.synth.truth import Annotation, Click, Image, Object, Planted, Truth


def make(chunk: Chunk[Plan]) -> Made:
    """Make the elements of one chunk, in order."""
    plan = chunk.plan
    found = records(np.random.default_rng(chunk.entropy), plan, chunk.motion)
    random = Random(repr(chunk.entropy))
    truth, names = Truth(), icons()
    elements: list[bytes] = []
    for record, task in zip(found, tasks(plan), strict=True):
        elements.append(element(random, record, task).encode())
        tell(truth, record, task, names)
    suitable = [i for i, record in enumerate(found) if _rich(record)]
    for i, defect in choose(random, chunk.defects, suitable, COCO):
        elements[i] = defect.plant(random, elements[i])
        truth.defects.append(Planted(None, str(found[i].image_id), *defect.told))
    if chunk.pictures:
        for record in found:
            draw(chunk.pictures, chunk.entropy, record)
    data = b", ".join(elements)
    return Made(data, len(data), 0, truth.tables(), len(found), 0)


def _rich(record: Record) -> bool:
    """Whether a record holds all that a defect may spoil."""
    return record.loaded and bool(record.board.placed) and len(record.moves[0]) > 3


def tasks(plan: Plan) -> list[Task]:
    """Where each record stands."""
    return [
        Task(*row)
        for row in zip(
            plan.worker_id.astype(str).tolist(),
            plan.tool_hit_id.astype(str).tolist(),
            plan.page.tolist(),
            strict=True,
        )
    ]


def tell(truth: Truth, record: Record, task: Task, names: list[str]) -> None:
    """Add a record's rows to the truth."""
    key, board = str(record.image_id), record.board
    truth.images.append(Image(key, None, record.width, record.height, 1))
    truth.annotations.append(
        Annotation(
            image_id=key,
            annotator_id=task.worker_id,
            assignment_id=None,
            tool_hit_id=task.tool_hit_id,
            page=task.page,
            slot=None,
            selected=None,
            style="loaded" if record.loaded else "unloaded",
            n_moves=len(record.moves[0]),
            n_visits=None,
            n_actions=len(board.actions),
            estimate_ms=None,
            time_spent_ms=record.time_spent,
        )
    )
    fx, fy = displayed(record)
    for icon, stay in board.placed.items():
        x = float(fx[stay.x + BEYOND]) if record.loaded else None
        y = float(fy[stay.y + BEYOND]) if record.loaded else None
        truth.clicks.append(Click(key, task.worker_id, icon, x, y, stay.begin))
    truth.objects += [
        Object(key, names[thing.category], *thing[1:], published=False) for thing in record.things
    ]


def draw(folder: Path, entropy: list[int], record: Record, exif: int = 1) -> None:
    """Draw a picture, stored as its EXIF orientation says."""
    from abpipe.synth.pictures import paint  # Pillow is slow to start

    path = folder / f"COCO_train2014_{record.image_id:012d}.jpg"
    # small things lie on top of large ones
    things = sorted(record.things, key=lambda thing: math.prod(thing.extent))
    shapes = [Shape(thing.category, thing[1:]) for thing in things]
    paint(Random(f"{entropy}{record.image_id}"), path, (record.width, record.height), shapes, exif)
