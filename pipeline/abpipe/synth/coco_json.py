"""COCO-AB as text: one JSON object a record, as Python's `json.dump` writes it."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from abpipe.synth.coco import GROUPS, Action, Record
from abpipe.synth.numbers import BEYOND, fractions


@dataclass(frozen=True)
class Task:
    """Where a record stands in its annotator's task."""

    worker_id: str
    tool_hit_id: str
    page: int


def element(random: Random, record: Record, task: Task) -> str:
    """The JSON object of one record; keys come in any order."""
    board, loaded = record.board, record.loaded
    # some rows spell out a missing point, some leave it out
    null = random.random() < 0.9
    names = list(GROUPS)
    fx, fy = displayed(record)
    tracking = ", ".join(
        f'{{"x": {fx[x + BEYOND]}, "y": {fy[y + BEYOND]}, "timeAt": {t}}}'
        for t, x, y in zip(*record.moves, strict=True)
    )
    browsed = ", ".join(
        f'{{"categoryIndex": {b.group}, "categoryName": "{names[b.group]}", "timeAt": {b.t}, '
        f'"usingKeyboard": {"true" if b.keyboard else "false"}}}'
        for b in board.browses
    )
    acted = ", ".join(_action(record, action, null) for action in board.actions)
    pairs = [
        f'"image_id": {record.image_id}',
        f'"hit_id": "{task.tool_hit_id}"',
        f'"page_id": {task.page}',
        f'"worker_id": "{task.worker_id}"',
        f'"originalImageHeight": {record.height * loaded}',
        f'"originalImageWidth": {record.width * loaded}',
        f'"imageHeight": {board.height * loaded}',
        f'"imageWidth": {board.height * loaded}',
        f'"timeSpent": {record.time_spent}',
        f'"actionHistories": [{acted}]',
        f'"categoryHistories": [{browsed}]',
        f'"mouseTracking": [{tracking}]',
    ]
    random.shuffle(pairs)
    return f"{{{', '.join(pairs)}}}"


def displayed(record: Record) -> tuple[list[str], list[str]]:
    """The text of every fraction of the displayed width and height."""
    board, loaded = record.board, record.loaded
    return fractions(board.width * loaded), fractions(board.height * loaded)


def _action(record: Record, action: Action, null: bool) -> str:
    fx, fy = displayed(record)

    def point(key: str, place: tuple[int, int] | None) -> str:
        if place is None:
            return f'"{key}": null, ' if null else ""
        return f'"{key}": {{"x": {fx[place[0] + BEYOND]}, "y": {fy[place[1] + BEYOND]}}}, '

    return (
        f'{{"actionType": "{action.kind}", "iconType": "{action.icon}", '
        f"{point('pointFrom', action.source)}{point('pointTo', action.target)}"
        f'"timeAt": {action.t}}}'
    )
