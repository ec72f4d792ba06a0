"""How ImageNet-AB's files look when they look as published: their parts, line by line."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from abpipe.events.imagenet_strict import DATABASE
from abpipe.events.lines import Bools, Ints, Segment

#: The parts of a file. The last three are empty lists, spelled as an empty element.
SEGMENTS = {
    "head": Segment(
        "<annotation>",
        "  <folder>%s</folder>",
        "  <filename>%s</filename>",
        "  <source>",
        f"    <database>{DATABASE}</database>",
        "  </source>",
        "  <size>",
        "    <width>%d</width>",
        "    <height>%d</height>",
        "    <depth>%d</depth>",
        "  </size>",
        "  <segmented>%d</segmented>",
    ),
    "object": Segment(
        "  <object>",
        "    <name>%s</name>",
        "    <pose>%s</pose>",
        "    <truncated>%d</truncated>",
        "    <difficult>%d</difficult>",
        "    <bndbox>",
        "      <xmin>%d</xmin>",
        "      <ymin>%d</ymin>",
        "      <xmax>%d</xmax>",
        "      <ymax>%d</ymax>",
        "    </bndbox>",
        "  </object>",
    ),
    "task": Segment(
        "  <metadata>",
        "    <assignment_id>%s</assignment_id>",
        "    <estimateTime>%d</estimateTime>",
        "    <hit_id>%s</hit_id>",
        "    <hit_submit_time>%t</hit_submit_time>",
        "    <hoveredCount>%d</hoveredCount>",
    ),
    "hoveredRecord": Segment(
        "    <hoveredRecord>",
        "      <action>%enter|leave</action>",
        "      <time>%t</time>",
        "    </hoveredRecord>",
    ),
    "place": Segment(
        "    <imageHeight>%d</imageHeight>",
        "    <imageID>%s</imageID>",
        "    <imagePosition>",
        "      <x>%d</x>",
        "      <y>%d</y>",
        "    </imagePosition>",
        "    <imageWidth>%d</imageWidth>",
        "    <image_idx>%d</image_idx>",
        "    <imagenet_hit_id>%s</imagenet_hit_id>",
    ),
    "mouseTracking": Segment(
        "    <mouseTracking>",
        "      <time>%t</time>",
        "      <x>%f</x>",
        "      <y>%f</y>",
        "    </mouseTracking>",
    ),
    "state": Segment(
        "    <originalImageHeight>%d</originalImageHeight>",
        "    <originalImageWidth>%d</originalImageWidth>",
        "    <page_idx>%d</page_idx>",
        "    <selected>%True|False</selected>",
        "    <selectedCount>%d</selectedCount>",
    ),
    "selectedRecord": Segment(
        "    <selectedRecord>",
        "      <time>%t</time>",
        "      <x>%f</x>",
        "      <y>%f</y>",
        "    </selectedRecord>",
    ),
    "worker": Segment("    <worker_id>%s</worker_id>", "  </metadata>"),
    "tail": Segment("</annotation>"),
    "no hoveredRecord": Segment("    <hoveredRecord/>"),
    "no mouseTracking": Segment("    <mouseTracking/>"),
    "no selectedRecord": Segment("    <selectedRecord/>"),
}

#: Which line may follow which, by the first eight bytes; `|` stands between alternatives.
FLOW = """
<annotat:  <folde:  <filen:  <sourc:    <dat:  </sour:  <size>:    <wid:    <hei:    <dep
    <dep:  </size:  <segme
  <segme|  </obje|  </meta:  <objec|  <metad|</annota
  <objec:    <nam:    <pos:    <tru:    <dif:    <bnd:      <x:      <y:      <x
      <y:    </bn:  </obje
  <metad:    <ass:    <est:    <hit:    <hit:    <hov
    <hit:    <hov
    <hov:    <hov|    <ima|      <a
      <a:      <t:    </ho:    <hov|    <ima
    <ima:    <ima|      <x|    <mou|    <ori
      <y:    </im|    </mo|    </se
    </im:    <ima
    <mou:      <t|    <ori
      <t:      <x
    </mo:    <mou|    <ori
    <ori:    <ori|    <pag
    <pag:    <sel
    <sel:    <sel|      <t|    <wor
    </se:    <sel|    <wor
    <wor:  </meta
</annota:<annotat
"""


def line_codes(data: npt.NDArray[np.uint8], begin: Ints) -> npt.NDArray[np.uint8]:
    """A number for each kind of line, from three of its bytes: it tells the kinds above apart.

    Any other line may have such a number, too. It will differ when all its bytes are compared.
    """
    code = data[6:].take(begin)
    code *= np.uint8(14)
    code += data[7:].take(begin)
    code += data.take(begin)
    return code


def _compile(flow: str) -> tuple[dict[str, int], Bools]:
    """The code of each kind of line, and which steps are allowed: the next code * 256 + a code."""
    steps = [[c.split("|") for c in line.split(":")] for line in flow.strip("\n").split("\n")]
    names = list(dict.fromkeys(name for step in steps for choice in step for name in choice))
    data = np.frombuffer("".join(names).encode(), np.uint8)
    codes = dict(zip(names, line_codes(data, np.arange(0, len(data), 8)).tolist(), strict=True))
    assert len({0, *codes.values()}) == len(names) + 1, "another factor is needed"
    allowed = np.zeros((256, 256), bool)
    for step in steps:
        for before, after in pairwise(step):
            allowed[np.ix_([codes[n] for n in after], [codes[n] for n in before])] = True
    return codes, allowed.ravel()


CODES, ALLOWED = _compile(FLOW)
