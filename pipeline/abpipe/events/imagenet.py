"""ImageNet-AB, a block of files at a time: the fast path, which NumPy walks line by line.

Files that look exactly as published (one element a line, two spaces a level, elements in their
alphabetical order) are read here, all files of a block at once. Any other file goes to
`imagenet_strict`, which defines what a file means; tests and a fuzzer hold the two together.

A file is accepted when (1) its lines, by the kind that three bytes of each promise, follow the
order that `FLOW` allows, (2) every line belongs to one of `SEGMENTS`, and the counts of the
segments explain all lines of the file, and (3) each line of a segment is its opening tag, a value
and its closing tag to the last byte, the values being plain digits, plain decimals or plain ASCII.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from abpipe.events import imagenet_strict
from abpipe.events.imagenet_layout import ALLOWED, CODES, SEGMENTS, line_codes
from abpipe.events.lines import (
    Bools,
    Bytes,
    Ints,
    decimals,
    either,
    find_all,
    integers,
    ranges,
    strings,
)
from abpipe.raw.block import XmlBlock
from abpipe.rows import Batch, Extra, Rows, schema

_LISTS = tuple(imagenet_strict.LISTS)
_KINDS = pa.array(["enter", "leave", "move", "click"])
#: The column `extra`, by which of the three lists are spelled as an empty element.
_SPELLED_EMPTY = pa.array(
    [
        Extra(empty=[f"/{name}" for i, name in enumerate(_LISTS) if bits >> i & 1]).json()
        for bits in range(8)
    ]
)

#: Reads values between two places: the values, and which are plain enough to be sure.
Read: TypeAlias = Callable[[Bytes, Ints, Ints], tuple[Any, Bools]]


def parse(block: XmlBlock) -> Batch:
    """The rows of a block of files, in the order of the files."""
    scan = _Scan(block)
    tables, files = scan.tables()
    odd = np.flatnonzero(~scan.good)
    n = tables["annotations"].num_rows
    counts = Counter({"members.ok": int(scan.good.sum()), "records.total": n})
    batch = Batch(tables, counts)
    return _with_odd_files(block, batch, files, odd) if len(odd) else batch


def _with_odd_files(block: XmlBlock, fast: Batch, files: dict[str, Ints], odd: Ints) -> Batch:
    """Read the odd files strictly, and put their rows where they belong."""
    rows = Rows()
    odd_files: dict[str, list[int]] = {name: [] for name in files}
    for i in odd.tolist():
        data = bytes(block.buffer.view[block.starts[i] : block.ends[i]])
        imagenet_strict.parse_file(data, block.members[i], rows)
        for name, numbers in odd_files.items():
            numbers += [i] * (len(rows.tables[name]) - len(numbers))
    strict = rows.batch()
    order = {
        name: np.argsort(np.concatenate([files[name], odd_files[name]]), kind="stable")
        for name in files
    }
    place = np.empty(len(order["annotations"]), np.int64)
    place[order["annotations"]] = np.arange(len(place))
    ids = np.concatenate(
        [
            fast.tables["events"]["annotation_id"].to_numpy(),
            strict.tables["events"]["annotation_id"].to_numpy() + fast.n_annotations,
        ]
    )
    new_ids = {"annotations": np.arange(len(place)), "events": place[ids][order["events"]]}
    tables = {"rejects": strict.tables["rejects"]}
    for name, taken in order.items():
        both = [_decoded(fast.tables[name]), strict.tables[name]]
        tables[name] = pa.concat_tables(both, promote_options="default").take(pa.array(taken))
        if name in new_ids:
            at = tables[name].schema.get_field_index("annotation_id")
            tables[name] = tables[name].set_column(at, "annotation_id", pa.array(new_ids[name]))
    return Batch(tables, fast.counts + strict.counts)


class _Scan:
    """One pass over a block: finds the lines, accepts files, reads their values."""

    def __init__(self, block: XmlBlock) -> None:
        self.block = block
        self.text = Bytes(block.buffer.view)
        self.good = np.ones(len(block.members), bool)
        self._find_lines()
        self._check_flow()
        self._find_segments()
        self.places = {}
        for name, segment in SEGMENTS.items():
            self.places[name] = segment.places(self.begin, self.newline, self.at[name])
            self._drop(name, segment.matches(self.text, self.places[name]))
        self._keep_good()
        self._read_values()

    def _find_lines(self) -> None:
        """Where the lines of the files begin and end, leaving out what is between the files."""
        starts, ends = self.block.starts, self.block.ends
        newline = find_all(self.text.data[: ends[-1]], ord("\n"))
        first, last = np.searchsorted(newline, starts), np.searchsorted(newline, ends)
        self.n_lines = last - first
        if self.n_lines.sum() != len(newline):
            newline = newline[ranges(first, self.n_lines)]
        self.last = np.cumsum(self.n_lines)
        self.first = self.last - self.n_lines
        self.newline, self.begin = newline, np.empty_like(newline)
        self.begin[1:] = newline[:-1] + 1
        self.full = np.flatnonzero(self.n_lines)
        self.begin[self.first[self.full]] = starts[self.full]

    def _check_flow(self) -> None:
        self.code = code = line_codes(self.text.data, self.begin)
        steps: npt.NDArray[np.uint16] = np.ndarray(max(len(code) - 1, 0), "<u2", code, strides=(1,))
        self.good[self._file_of(np.flatnonzero(~ALLOWED.take(steps)) + 1)] = False
        first, last = self.first[self.full], self.last[self.full] - 1
        whole = code[first] == CODES["<annotat"]
        whole &= code[last] == CODES["</annota"]
        whole &= self.newline[last] == self.block.ends[self.full] - 1
        self.good[self.full] &= whole
        self.good[self.n_lines == 0] = False
        for i in np.flatnonzero(~self.good):
            code[self.first[i] : self.last[i]] = 0

    def _find_segments(self) -> None:
        """The first line of each segment; together they must explain every line of a file."""
        self.at = {
            "head": self.first[self.good],
            "tail": self.last[self.good] - 1,
            "object": self._lines("  <objec"),
            "task": self._lines("  <metad"),
            "place": self._lines("    </im") - 5,
            "state": self._lines("    <pag") - 2,
            "worker": self._lines("    <wor"),
        }
        for name, inner in zip(_LISTS, ("      <a", "      <t", "      <t"), strict=True):
            lines = self._lines(f"    <{name[:3]}")
            items = self.code[lines + 1] == CODES[inner]
            empty = self.text.data[self.newline[lines] - 2] == ord("/")
            self.at[name], self.at[f"no {name}"] = lines[items], lines[empty]
        count = {name: self._count(self.at[name]) for name in SEGMENTS}
        explained = sum(count[name] * segment.n_lines for name, segment in SEGMENTS.items())
        self.good &= explained == self.n_lines
        for name in ("place", "state", "worker"):
            self.good &= count[name] == count["task"]

    def _lines(self, prefix: str) -> Ints:
        return np.flatnonzero(self.code == CODES[prefix])

    def _count(self, at: Ints) -> Ints:
        """How many of these lines each file has."""
        bounds = np.searchsorted(at, self.last)
        bounds[1:] -= bounds[:-1].copy()
        return bounds

    def _file_of(self, lines: Ints) -> Ints:
        return np.searchsorted(self.last, lines, side="right")

    def _drop(self, name: str, ok: Bools) -> None:
        """Leave the files whose segments are not in order to the strict parser."""
        if not ok.all():
            self.good[self._file_of(self.at[name][~ok])] = False

    def _keep_good(self) -> None:
        """Forget the segments of the files that the strict parser will read."""
        if not self.good.all():
            for name, at in self.at.items():
                keep = self.good[self._file_of(at)]
                self.at[name], self.places[name] = at[keep], self.places[name][:, keep]

    def _read_values(self) -> None:
        """Read all values; forget those of files in which any value is not plain."""
        self.int = self._read("d", integers)
        self.time = self._read("t", partial(integers, most=16))
        self.float = self._read("f", decimals)
        self.string = self._read("s", strings)
        self.first_word: dict[str, list[Any]] = {}
        for words in ("enter|leave", "True|False"):
            self.first_word |= self._read(words, partial(either, words=words))
        self._check_lists()
        self._check_names()
        if not self.good.all():
            self._keep_good_values()

    def _read(self, kind: str, read: Read) -> dict[str, list[Any]]:
        """All values of one kind: by segment, for each slot an array over the segments."""
        spans = {
            name: segment.values(self.places[name], kind)
            for name, segment in SEGMENTS.items()
            if kind in segment.kinds
        }
        sides = zip(*spans.values(), strict=True)
        start, end = (np.concatenate([s.ravel() for s in side]) for side in sides)
        values, ok = read(self.text, start, end)
        found: dict[str, list[Any]] = {name: [] for name in spans}
        first = 0
        for name, (slots, _) in spans.items():
            for slot in slots:
                part = slice(first, first := first + len(slot))
                found[name].append(values[part])
                self._drop(name, ok[part])
        return found

    def _check_lists(self) -> None:
        """An empty element must be the only one of its list, else it is an item without fields."""
        self.n_items = {name: self._per_record(name) for name in _LISTS}
        self.n_empty = {name: self._per_record(f"no {name}") for name in _LISTS}
        for name in _LISTS:
            empty = self.n_empty[name]
            self._drop("task", (empty == 0) | (empty + self.n_items[name] == 1))

    def _per_record(self, name: str) -> Ints:
        bounds = np.searchsorted(self.at[name], np.append(self.at["task"], len(self.newline)))
        return np.diff(bounds)

    def _check_names(self) -> None:
        """<imageID> has no column: it must say what <folder> and <filename> say."""
        folder, filename = self.string["head"]
        self.file_of_record = self._head_of("task")
        of_record = pa.array(self.file_of_record)
        said = folder.take(of_record), filename.take(of_record)
        same = pc.equal(self.string["place"][0], pc.binary_join_element_wise(*said, "/"))
        self._drop("task", same.to_numpy(zero_copy_only=False))

    def _head_of(self, name: str) -> Ints:
        """For each segment the number of its file among the good ones."""
        file: Ints = np.searchsorted(self.at["head"], self.at[name], side="right") - 1
        return file

    def _keep_good_values(self) -> None:
        keep = {name: self.good[self._file_of(at)] for name, at in self.at.items()}
        for values in (self.int, self.time, self.float, self.first_word):
            for name, columns in values.items():
                values[name] = [column[keep[name]] for column in columns]
        for name, texts in self.string.items():
            self.string[name] = [column.filter(pa.array(keep[name])) for column in texts]
        for counts in (self.n_items, self.n_empty):
            for name in counts:
                counts[name] = counts[name][keep["task"]]
        self._keep_good()
        self.file_of_record = self._head_of("task")

    def tables(self) -> tuple[dict[str, pa.Table], dict[str, Ints]]:
        """The rows of the good files, and for each row the number of its file in the block."""
        good = np.flatnonzero(self.good)
        members = pa.array(self.block.members)
        if len(good) < len(members):
            members = members.take(pa.array(good))
        object_file, event_record = self._head_of("object"), self._record_of_events()
        tables = {
            "images": self._images(members),
            "annotations": self._annotations(members),
            "events": self._events(event_record),
            "objects": self._objects(members, object_file),
            "rejects": schema("rejects").empty_table(),
        }
        files = {
            "images": good,
            "annotations": good[self.file_of_record],
            "events": good[self.file_of_record[event_record]],
            "objects": good[object_file],
        }
        return tables, files

    def _images(self, members: pa.Array) -> pa.Table:
        folder, filename = self.string["head"]
        width, height, depth, segmented = self.int["head"]
        n_annotations = np.bincount(self.file_of_record, minlength=len(filename))
        return _table(
            "images",
            image_id=filename,
            class_id=folder,
            width=width,
            height=height,
            depth=depth,
            segmented=segmented,
            n_annotations=n_annotations,
            member=members,
        )

    def _objects(self, members: pa.Array, file: Ints) -> pa.Table:
        name, pose = self.string["object"]
        truncated, difficult, xmin, ymin, xmax, ymax = self.int["object"]
        first = np.searchsorted(file, file)
        of_file = pa.array(file)
        return _table(
            "objects",
            image_id=self.string["head"][1].take(of_file),
            object_no=np.arange(len(file)) - first,
            class_id=name,
            xmin=xmin.astype(float),
            ymin=ymin.astype(float),
            xmax=xmax.astype(float),
            ymax=ymax.astype(float),
            pose=pose,
            truncated=truncated,
            difficult=difficult,
            member=members.take(of_file),
        )

    def _annotations(self, members: pa.Array) -> pa.Table:
        of_record = pa.array(self.file_of_record)
        n = len(of_record)
        assignment, hit = self.string["task"]
        (estimate, hovered), (submitted,) = self.int["task"], self.time["task"]
        display_height, page_x, page_y, display_width, slot = self.int["place"]
        natural_height, natural_width, page, select_count = self.int["state"]
        spelled_empty = sum(self.n_empty[name] << i for i, name in enumerate(_LISTS))
        return _table(
            "annotations",
            annotation_id=np.arange(n),
            image_id=self.string["head"][1].take(of_record),
            tool=_coded(np.zeros(n), pa.array(["imagenet"])),
            annotator_id=self.string["worker"][0],
            assignment_id=assignment,
            hit_id=hit,
            tool_hit_id=self.string["place"][1],
            page=page,
            slot=slot,
            submitted_s=submitted,
            display_width=display_width.astype(float),
            display_height=display_height.astype(float),
            page_x=page_x.astype(float),
            page_y=page_y.astype(float),
            natural_width=natural_width,
            natural_height=natural_height,
            selected=self.first_word["state"][0],
            select_count=select_count,
            hover_count=hovered,
            estimate_ms=estimate,
            member=members.take(of_record),
            extra=_SPELLED_EMPTY.take(pa.array(spelled_empty)),
        )

    def _record_of_events(self) -> Ints:
        return np.repeat(np.arange(len(self.at["task"])), sum(self.n_items.values()))

    def _events(self, record: Ints) -> pa.Table:
        """All events, by record and within it by list: a place is computed for each, not sorted."""
        n = len(record)
        t_ms, kind, seq = np.empty(n, np.int64), np.empty(n, np.int8), np.empty(n, np.int32)
        x, y, no_xy = np.zeros(n), np.zeros(n), np.ones(n, bool)
        n_items: Ints = np.sum([*self.n_items.values()], axis=0)
        next_place = np.cumsum(n_items) - n_items
        for code, name in enumerate(_LISTS, 1):
            items = self.n_items[name]
            place = ranges(next_place, items)
            seq[place] = place - np.repeat(next_place, items)
            t_ms[place] = self.time[name][0]
            kind[place] = code
            if name in self.float:
                x[place], y[place] = self.float[name]
                no_xy[place] = False
            else:
                kind[place] -= self.first_word[name][0]
            next_place = next_place + items
        return _table(
            "events",
            annotation_id=record,
            image_id=_coded(self.file_of_record[record], self.string["head"][1]),
            kind=_coded(kind, _KINDS),
            seq=seq,
            t_ms=t_ms,
            x=pa.array(x, mask=no_xy),
            y=pa.array(y, mask=no_xy),
        )


def _table(name: str, **columns: Any) -> pa.Table:
    """The named columns in the declared order; the others are NULL and are added by the store."""
    declared = [field for field in schema(name) if field.name in columns]
    arrays = [
        found if isinstance(found := columns[field.name], pa.Array) else pa.array(found, field.type)
        for field in declared
    ]
    return pa.Table.from_arrays(arrays, [field.name for field in declared])


def _decoded(table: pa.Table) -> pa.Table:
    """The table with plain strings, as the strict parser has them."""
    for i, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(i, field.name, table[i].cast(pa.string()))
    return table


def _coded(codes: npt.NDArray[Any], values: pa.Array) -> pa.Array:
    """Strings that repeat, held by number."""
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), values)
