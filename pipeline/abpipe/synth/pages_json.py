"""Page records as the front-ends write them, and the annotation records that they name."""

from __future__ import annotations

import json  # noqa: TID251 - the tools write what json.dump writes
from hashlib import blake2b
from random import Random
from typing import Any, NamedTuple

from abpipe.synth import coco
from abpipe.synth.coco import Action
from abpipe.synth.imagenet import Record
from abpipe.synth.imagenet_plan import EPOCH_MS
from abpipe.synth.imagenet_xml import position

Object = dict[str, Any]

LINKS = {"imagenet": "imageNetAnnotationID", "coco": "cocoAnnotationID"}
KNOWN = 0.9
"""Share of tasks that have an annotation record: after a reload there is none."""
BARE = 0.1
"""Share of pages of which only the tool's request is there, which names nobody."""
PICTURE = "https://pictures.invalid/train2014/COCO_train2014_{:012d}.jpg?size=full"


class Task(NamedTuple):
    """The pages that one person did in one go."""

    tool: str
    worker_id: str
    assignment_id: str
    hit_id: str
    tool_hit_id: str

    @property
    def id(self) -> str:
        """The annotation's id."""
        return _uuid(word(self.tool_hit_id, 32))

    @property
    def is_known(self) -> bool:
        """Whether there is an annotation record."""
        return Random(self.id).random() < KNOWN

    def record(self) -> Object:
        """The annotation record."""
        version = {"version": "NO_POINTER_ORIGINAL"} if self.tool == "imagenet" else {}
        return {
            "id": self.id,
            "annotatorID": "",
            **version,
            "assignmentID": self.assignment_id,
            "hitID": self.hit_id,
            "workerID": self.worker_id,
            "startedAt": EPOCH_MS + int(word(self.id, 8), 16),
            "isDone": True,
        }


def word(said: str, length: int) -> str:
    """So many hex digits, always the same for what is said."""
    return blake2b(said.encode(), digest_size=16).hexdigest()[:length]


def line(record: Object) -> bytes:
    """A record as text."""
    return json.dumps(record, ensure_ascii=False).encode()


def page(
    random: Random, task: Task, number: int, content: Object, times: tuple[int, int]
) -> Object:
    """A page: as the backend keeps it, or as it was sent."""
    began, ended = times
    inner = {"id": _uuid(f"{random.getrandbits(128):032x}"), "pageno": number, "startedAt": began}
    if random.random() < BARE:
        ends = {"endedAt": ended} if task.tool == "imagenet" else {}
        return {"page": inner | content | ends, "endedAt": ended, "isDone": False}
    return {LINKS[task.tool]: task.id} | inner | content | {"endedAt": ended}


def slot(random: Random, record: Record, place: int) -> Object:
    """One picture of a page of the ImageNet tool."""
    picture, mouse, loaded = record.picture, record.mouse, record.style != "unloaded"
    x, y = position(random, mouse.width, place)
    width, height = mouse.width, mouse.height

    def at(time: int, px: int, py: int) -> Object:
        return {"x": fraction(px, width), "y": fraction(py, height), "time": time}

    return {
        "selected": mouse.selected,
        "selectedCount": len(mouse.clicks),
        "selectedRecord": [at(*click) for click in mouse.clicks],
        "hoveredCount": mouse.visits,
        "hoveredRecord": [{"action": action, "time": time} for action, time in mouse.hovered],
        "imagePosition": {"x": x, "y": y},
        "imageWidth": width,
        "imageHeight": height,
        "originalImageWidth": picture.width * loaded,
        "originalImageHeight": picture.height * loaded,
        "estimateTime": record.estimate_ms,
        "mouseTracking": [at(*move) for move in zip(*record.moves, strict=True)],
        "imageID": f"{picture.wnid}/{picture.image_id}",
    }


def board(record: coco.Record) -> Object:
    """The picture of a page of the COCO tool."""
    width, height = record.board.width * record.loaded, record.board.height * record.loaded
    names = list(coco.GROUPS)

    def point(key: str, place: tuple[int, int] | None) -> Object:
        if place is None:
            return {}
        return {key: {"x": fraction(place[0], width), "y": fraction(place[1], height)}}

    def acted(action: Action) -> Object:
        points = point("pointFrom", action.source) | point("pointTo", action.target)
        return {"actionType": action.kind, "iconType": action.icon, **points, "timeAt": action.t}

    return {
        "actionHistories": [acted(action) for action in record.board.actions],
        "categoryHistories": [
            {
                "categoryIndex": browse.group,
                "categoryName": names[browse.group],
                "usingKeyboard": browse.keyboard,
                "timeAt": browse.t,
            }
            for browse in record.board.browses
        ],
        "imageHeight": height,
        "imageWidth": width,
        "originalImageWidth": record.width * record.loaded,
        "originalImageHeight": record.height * record.loaded,
        "imageURL": PICTURE.format(record.image_id),
        "mouseTracking": [
            {"x": fraction(x, width), "y": fraction(y, height), "timeAt": t}
            for t, x, y in zip(*record.moves, strict=True)
        ],
        "timeSpend": record.time_spent,
    }


def fraction(px: int, size: int) -> float | int | None:
    """A displayed pixel over the display's size, as JavaScript writes it."""
    if not size:
        return None
    return px // size if px % size == 0 else px / size


def _uuid(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
