"""ImageNet-AB as text: one XML file a picture, to the byte as published."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from abpipe.synth.imagenet import Record
from abpipe.synth.imagenet_picture import Picture
from abpipe.synth.numbers import BEYOND, fractions

COLUMNS, PITCH_PX = 3, 344  # of a page of pictures


@dataclass(frozen=True)
class Task:
    """Where a record stands in its annotator's task."""

    worker_id: str
    assignment_id: str
    hit_id: str
    tool_hit_id: str
    page: int
    slot: int
    submit_s: int


def document(random: Random, picture: Picture, shown: Iterable[tuple[Record, Task]]) -> str:
    """The XML of a picture and of everyone who was shown it."""
    objects = "".join(
        f"""  <object>
    <name>{picture.wnid}</name>
    <pose>Unspecified</pose>
    <truncated>{int(box.xmin == 0 or box.ymin == 0)}</truncated>
    <difficult>0</difficult>
    <bndbox>
      <xmin>{box.xmin}</xmin>
      <ymin>{box.ymin}</ymin>
      <xmax>{box.xmax}</xmax>
      <ymax>{box.ymax}</ymax>
    </bndbox>
  </object>
"""
        for box in picture.objects
        if picture.published
    )
    return f"""<annotation>
  <folder>{picture.wnid}</folder>
  <filename>{picture.image_id}</filename>
  <source>
    <database>ILSVRC_2012</database>
  </source>
  <size>
    <width>{picture.width}</width>
    <height>{picture.height}</height>
    <depth>{picture.depth}</depth>
  </size>
  <segmented>0</segmented>
{objects}{"".join(_metadata(random, record, task) for record, task in shown)}</annotation>
"""


def _metadata(random: Random, record: Record, task: Task) -> str:
    """One annotator's element, its children in alphabetical order."""
    picture, mouse = record.picture, record.mouse
    # an edge is mostly an integer, as JavaScript wrote it; some passed through a float
    whole = random.random() < 0.8
    # a list that was empty is mostly absent
    empty = random.random() < 0.15
    fx, fy = fractions(mouse.width, whole), fractions(mouse.height, whole)
    loaded = record.style != "unloaded"
    x, y = position(random, mouse.width, task.slot)
    hovered = "".join(
        f"""    <hoveredRecord>
      <action>{action}</action>
      <time>{time}</time>
    </hoveredRecord>
"""
        for action, time in mouse.hovered
    )
    tracked = "".join(
        f"""    <mouseTracking>
      <time>{time}</time>
      <x>{fx[px + BEYOND]}</x>
      <y>{fy[py + BEYOND]}</y>
    </mouseTracking>
"""
        for time, px, py in zip(*record.moves, strict=True)
    )
    selected = "".join(
        f"""    <selectedRecord>
      <time>{time}</time>
      <x>{fx[px + BEYOND]}</x>
      <y>{fy[py + BEYOND]}</y>
    </selectedRecord>
"""
        for time, px, py in mouse.clicks
    )
    if empty:
        hovered = hovered or "    <hoveredRecord/>\n"
        tracked = tracked or "    <mouseTracking/>\n"
        selected = selected or "    <selectedRecord/>\n"
    return f"""  <metadata>
    <assignment_id>{task.assignment_id}</assignment_id>
    <estimateTime>{record.estimate_ms}</estimateTime>
    <hit_id>{task.hit_id}</hit_id>
    <hit_submit_time>{task.submit_s}</hit_submit_time>
    <hoveredCount>{mouse.visits}</hoveredCount>
{hovered}    <imageHeight>{mouse.height}</imageHeight>
    <imageID>{picture.wnid}/{picture.image_id}</imageID>
    <imagePosition>
      <x>{x}</x>
      <y>{y}</y>
    </imagePosition>
    <imageWidth>{mouse.height}</imageWidth>
    <image_idx>{task.slot}</image_idx>
    <imagenet_hit_id>{task.tool_hit_id}</imagenet_hit_id>
{tracked}    <originalImageHeight>{picture.height * loaded}</originalImageHeight>
    <originalImageWidth>{picture.width * loaded}</originalImageWidth>
    <page_idx>{task.page}</page_idx>
    <selected>{mouse.selected}</selected>
    <selectedCount>{len(mouse.clicks)}</selectedCount>
{selected}    <worker_id>{task.worker_id}</worker_id>
  </metadata>
"""


def position(random: Random, width: int, slot: int) -> tuple[int, int]:
    """Where the tool says the picture lies: x holds, y was frozen while others still loaded."""
    window = random.choice((1280, 1366, 1366, 1440, 1536, 1920, 1920))
    row, column = divmod(slot, COLUMNS)
    x = (window - 15) / 2 + (column - 1) * PITCH_PX - width / 2
    loaded = random.random() ** 0.3
    return int(x + 0.5), int(370 + row * loaded * random.uniform(320, 360))
