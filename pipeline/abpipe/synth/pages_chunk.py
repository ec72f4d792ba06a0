"""One chunk of page records: pages of both tools, annotation records, truth and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

import numpy as np

from abpipe.synth import coco, coco_chunk, imagenet, imagenet_chunk
from abpipe.synth.chunk import Chunk, Made
from abpipe.synth.defects import choose
from abpipe.synth.defects_pages import PAGES
from abpipe.synth.imagenet_plan import DAY_MS, EPOCH_MS
from abpipe.synth.pages_json import Task, board, line, page, slot, word
from abpipe.synth.pages_plan import SLOTS, Plan
from abpipe.synth.truth import Planted, Truth

#: EXIF orientations of the pictures, and how many of 100 have them. Browsers follow them.
ORIENTATIONS = {1: 90, 3: 4, 6: 4, 8: 2}


class Page(NamedTuple):
    """A page to be written, the task that it belongs to, and its first picture."""

    task: Task
    text: bytes
    image_id: str


def make(chunk: Chunk[Plan]) -> Made:
    """Make the pages of one chunk, in order."""
    random, truth = Random(repr(chunk.entropy)), Truth()
    pages = [*_slots(random, chunk, truth), *_boards(random, chunk, truth)]
    texts = [one.text for one in pages]
    for i, defect in choose(random, chunk.defects, [*range(len(pages))], PAGES):
        texts[i] = defect.plant(random, texts[i])
        truth.defects.append(Planted(_stored(pages[i]), pages[i].image_id, *defect.told))
    files: dict[str, bytes] = {}
    for one, text in zip(pages, texts, strict=True):
        files[_stored(one)] = files.get(_stored(one), b"") + text + b"\n"
    # a task that goes on in another chunk brings its annotation record there again
    for task in dict.fromkeys(one.task for one in pages if one.task.is_known):
        name = f"{task.tool}_annotations.jsonl"
        files[name] = files.get(name, b"") + line(task.record()) + b"\n"
    return Made(b"", 0, 0, truth.tables(), len(truth.images), 0, files)


def _stored(one: Page) -> str:
    return f"{one.task.tool}_stored.jsonl"


def _slots(random: Random, chunk: Chunk[Plan], truth: Truth) -> Iterator[Page]:
    """The pages of the ImageNet tool."""
    plan = chunk.plan.imagenet
    pictures, acted = imagenet.records(np.random.default_rng(chunk.entropy), plan, chunk.motion)
    places = imagenet_chunk.tasks(plan.slots)
    shown: list[imagenet_chunk.Shown] = [[] for _ in pictures]
    for i, record, place in zip(plan.slots.picture.tolist(), acted, places, strict=True):
        shown[i].append((record, place))
    for begin in range(0, len(acted), SLOTS):
        records, place = acted[begin : begin + SLOTS], places[begin]
        ids = place.worker_id, place.assignment_id, place.hit_id, place.tool_hit_id
        task = Task("imagenet", *ids)
        content = {"annotations": [slot(random, record, i) for i, record in enumerate(records)]}
        began = int(plan.slots.start_ms[begin]) - random.randint(200, 2000)
        ended = max(record.mouse.t for record in records) + random.randint(500, 5000)
        made = page(random, task, place.page + 1, content, (began, ended))
        yield Page(task, line(made), records[0].picture.image_id)
    for picture, seen in zip(pictures, shown, strict=True):
        exif = _orientation(picture.image_id)
        imagenet_chunk.tell(truth, picture, seen)
        _turn(truth, exif)
        if chunk.pictures:
            imagenet_chunk.draw(chunk.pictures, chunk.entropy, picture, exif)


def _boards(random: Random, chunk: Chunk[Plan], truth: Truth) -> Iterator[Page]:
    """The pages of the COCO tool."""
    plan = chunk.plan.coco
    acted = coco.records(np.random.default_rng([*chunk.entropy, 1]), plan, chunk.motion)
    for record, place in zip(acted, coco_chunk.tasks(plan), strict=True):
        assignment, hit = (f"3{word(place.tool_hit_id + s, 29).upper()}" for s in "ah")
        task = Task("coco", place.worker_id, assignment, hit, place.tool_hit_id)
        began = EPOCH_MS + random.randrange(DAY_MS) + place.page * DAY_MS
        times = began, began + record.time_spent
        made = page(random, task, place.page + 1, {"annotation": board(record)}, times)
        yield Page(task, line(made), str(record.image_id))
        exif = _orientation(str(record.image_id))
        coco_chunk.tell(truth, record, place, coco.icons())
        _turn(truth, exif)
        if chunk.pictures:
            coco_chunk.draw(chunk.pictures, chunk.entropy, record, exif)


def _orientation(image_id: str) -> int:
    return Random(image_id).choices([*ORIENTATIONS], [*ORIENTATIONS.values()])[0]


def _turn(truth: Truth, exif: int) -> None:
    """Have the truth tell the size of the last picture as it is stored."""
    if exif > 4:
        last = truth.images[-1]
        truth.images[-1] = last._replace(width=last.height, height=last.width)
