"""One chunk of ImageNet-AB: tar members, truth and pictures."""

from __future__ import annotations

from pathlib import Path
from random import Random
from zlib import crc32

import numpy as np

from abpipe.synth.archives import deflated
from abpipe.synth.chunk import Chunk, Made
from abpipe.synth.defects import choose
from abpipe.synth.defects_imagenet import IMAGENET
from abpipe.synth.imagenet import Record, records
from abpipe.synth.imagenet_picture import Picture
from abpipe.synth.imagenet_plan import Plan, Slots
from abpipe.synth.imagenet_xml import Task, document
from abpipe.synth.numbers import BEYOND, fractions
from abpipe.synth.shapes import Shape
from abpipe.synth.tar import Member, pack
from abpipe.synth.truth import Annotation, Click, Image, Object, Planted, Truth

Shown = list[tuple[Record, Task]]


def make(chunk: Chunk[Plan]) -> Made:
    """Make the members of one chunk, in order."""
    pictures, acted = records(np.random.default_rng(chunk.entropy), chunk.plan, chunk.motion)
    shown: list[Shown] = [[] for _ in pictures]
    of_records = tasks(chunk.plan.slots)
    for i, record, task in zip(chunk.plan.slots.picture.tolist(), acted, of_records, strict=True):
        shown[i].append((record, task))
    random = Random(repr(chunk.entropy))
    truth = Truth()
    members: list[list[Member]] = []
    for picture, seen in zip(pictures, shown, strict=True):
        name = f"train_xml/{picture.wnid}/{picture.image_id}.xml"
        members.append([Member(name, document(random, picture, seen).encode())])
        tell(truth, picture, seen)
    suitable = [i for i, seen in enumerate(shown) if any(_rich(record) for record, _ in seen)]
    for i, defect in choose(random, chunk.defects, suitable, IMAGENET):
        (good,) = members[i]
        members[i] = defect.plant(random, good)
        names = [member.name for member in members[i]]
        named = next((name for name in names if name != good.name), good.name)
        truth.defects.append(Planted(named, pictures[i].image_id, *defect.told))
    if chunk.pictures:
        for picture in pictures:
            draw(chunk.pictures, chunk.entropy, picture)
    packed = [pack(member) for group in members for member in group]
    data = b"".join(packed)
    squeezed = deflated(data)
    return Made(squeezed, len(data), crc32(data), truth.tables(), len(pictures), len(packed))


def _rich(record: Record) -> bool:
    """Whether a record holds all that a defect may spoil."""
    return record.style == "select" and len(record.moves[0]) > 3 and len(record.mouse.hovered) > 1


def tasks(slots: Slots) -> list[Task]:
    """Where each record stands."""
    words = (slots.worker_id, slots.assignment_id, slots.hit_id, slots.tool_hit_id)
    numbers = (slots.page, slots.slot, slots.submit_s)
    return [
        Task(*row)
        for row in zip(
            *(column.astype(str).tolist() for column in words),
            *(column.tolist() for column in numbers),
            strict=True,
        )
    ]


def tell(truth: Truth, picture: Picture, shown: Shown) -> None:
    """Add a picture's rows to the truth."""
    key, label = picture.image_id, picture.wnid
    truth.images.append(Image(key, label, picture.width, picture.height, len(shown)))
    truth.objects += [Object(key, label, *box, picture.published) for box in picture.objects]
    for record, task in shown:
        mouse = record.mouse
        truth.annotations.append(
            Annotation(
                image_id=key,
                annotator_id=task.worker_id,
                assignment_id=task.assignment_id,
                tool_hit_id=task.tool_hit_id,
                page=task.page,
                slot=task.slot,
                selected=mouse.selected,
                style=record.style,
                n_moves=len(record.moves[0]),
                n_visits=mouse.visits,
                n_actions=len(mouse.clicks),
                estimate_ms=record.estimate_ms,
                time_spent_ms=None,
            )
        )
        if mouse.selected:
            t, px, py = mouse.clicks[-1]
            x = float(fractions(mouse.width)[px + BEYOND])
            y = float(fractions(mouse.height)[py + BEYOND])
            truth.clicks.append(Click(key, task.worker_id, label, x, y, t))


def draw(folder: Path, entropy: list[int], picture: Picture, exif: int = 1) -> None:
    """Draw a picture, stored as its EXIF orientation says."""
    from abpipe.synth.pictures import paint  # Pillow is slow to start

    path = folder / picture.wnid / f"{picture.image_id}.JPEG"
    shapes = [Shape(picture.class_index, box) for box in picture.objects]
    size = picture.width, picture.height
    paint(Random(f"{entropy}{picture.image_id}"), path, size, shapes, exif)
