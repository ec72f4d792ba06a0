from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abpipe.events import imagenet
from abpipe.events.imagenet_strict import parse_file
from abpipe.raw.block import XmlBlock
from abpipe.raw.buffer import PADDING, Buffer
from abpipe.rows import Batch, Rows, schema

Xml = Callable[..., bytes]

SECONDS = float(os.environ.get("ABPIPE_FUZZ_SECONDS", "3"))
LISTS = ("hoveredRecord", "mouseTracking", "selectedRecord")


def block(files: list[bytes], gap: int = 512) -> XmlBlock:
    """Files as they lie in a buffer, with other bytes between them."""
    data, starts, ends = b"", [], []
    for file in files:
        data += b"\n" * gap
        starts.append(len(data))
        data += file
        ends.append(len(data))
    names = [f"{i}.xml" for i in range(len(files))]
    buffer = Buffer(bytearray(data + b"\n" * PADDING))
    return XmlBlock(buffer, names, np.array(starts, np.int64), np.array(ends, np.int64))


def tables(batch: Batch) -> dict[str, pa.Table]:
    """A batch's tables with all columns, and doubles as their bits."""
    made = {}
    for name, table in batch.tables.items():
        columns = []
        for field in schema(name):
            if field.name not in table.column_names:
                column = pa.chunked_array([pa.nulls(table.num_rows, field.type)])
            else:
                column = table[field.name].cast(field.type)
            if field.type == pa.float64():
                bits = column.combine_chunks().fill_null(0).view(pa.int64())
                column = pa.chunked_array([pa.array(bits, mask=column.is_null().to_numpy())])
            columns.append(column)
        made[name] = pa.table(columns, names=schema(name).names)
    return made


def strictly(files: list[bytes]) -> Batch:
    rows = Rows()
    for i, file in enumerate(files):
        parse_file(file, f"{i}.xml", rows)
    return rows.batch()


def assert_same(files: list[bytes], gap: int = 512) -> None:
    """Both parsers say the same of files, to the last bit."""
    fast, strict = imagenet.parse(block(files, gap)), strictly(files)
    assert +fast.counts == +strict.counts
    found, expected = tables(fast), tables(strict)
    for name, table in expected.items():
        assert found[name].equals(table), (name, found[name].to_pylist(), table.to_pylist())


def n_fast(files: list[bytes]) -> int:
    """How many of the files the fast path read."""
    return int(imagenet._Scan(block(files)).good.sum())


def without(name: str, file: bytes, instead: str = "") -> bytes:
    """A file whose list of that name is gone, or spelled otherwise."""
    text = re.sub(rf"(    <{name}>.*</{name}>\n)", instead, file.decode(), flags=re.S)
    return text.encode()


@pytest.fixture(scope="module")
def published(xml: Xml) -> list[bytes]:
    """Files of every shape that the archive has."""
    usual, two = xml(), xml(workers=("47DBDD543E", "0000000002"), name="n01440764_2")
    no_object = re.sub(rb"  <object>.*</object>\n", b"", usual, flags=re.S)
    no_record = re.sub(rb"  <metadata>.*</metadata>\n", b"", usual, flags=re.S)
    objects = usual.replace(no_object.join([]), b"")
    at, end = usual.index(b"  <object>"), usual.index(b"  <metadata>")
    objects = usual[:end] + usual[at:end] * 2 + usual[end:]
    unselected = without("selectedRecord", xml((">True<", ">False<")), "    <selectedRecord/>\n")
    empty = [without(name, usual, f"    <{name}/>\n") for name in LISTS]
    absent = [without(name, usual) for name in LISTS]
    bare = usual
    for name in LISTS:
        bare = without(name, bare)
    edges = xml(
        ("0.0030864197530864196", "-0.0044"),
        ("0.6296296296296297", "1"),
        ("0.44135802469135804", "0"),
    )
    return [usual, two, no_object, no_record, objects, unselected, *empty, *absent, bare, edges]


def test_published_files_are_read_fast(published: list[bytes]) -> None:
    assert n_fast(published) == len(published)


@pytest.mark.parametrize("gap", [0, 1, 512])
def test_both_parsers_say_the_same_of_published_files(published: list[bytes], gap: int) -> None:
    assert_same(published * 2, gap)
    for file in published:
        assert_same([file], gap)
        assert_same([file] * 3, gap)


ODD = [
    ("<page_idx>9", "<page_idx>-0"),
    ("<x>857", "<x>-0"),
    ("<xmin>43", "<xmin>-0"),
    ("<x>857", "<x>857.5"),
    ("<page_idx>9", "<page_idx> 9 "),
    ("<page_idx>9", "<page_idx>0009"),
    ("<page_idx>9<", "<page_idx><"),
    ("<page_idx>9", "<page_idx>9223372036854775807"),
    ("<page_idx>9", "<page_idx>9223372036854775808"),
    ("<page_idx>9", "<page_idx>1_0"),
    ("<page_idx>9", "<page_idx>0x1F"),
    ("<page_idx>9", "<page_idx>+9"),
    ("<page_idx>9", "<page_idx>٣"),
    ("<page_idx>9", "<page_idx>9<!--a-->"),
    ("<page_idx>9", "<page_idx>&#57;"),
    ("0.5401234567901234", "1e-5"),
    ("0.5401234567901234", "-0"),
    ("0.5401234567901234", "0.5401234567901234567890123456"),
    ("0.5401234567901234", "NaN"),
    ("0.5401234567901234", "Infinity"),
    ("0.5401234567901234", ".5"),
    ("0.5401234567901234", "00.5"),
    ("0.5401234567901234", "1.7976931348623157e309"),
    ("0.5401234567901234", ""),
    ("0.5401234567901234", " 0.5"),
    ("0.5401234567901234", "0.5\t"),
    ("47DBDD543E", "A&amp;B"),
    ("47DBDD543E", "é鼠"),
    ("47DBDD543E", " A B "),
    ("47DBDD543E", ""),
    ("47DBDD543E", "A]]>B"),
    ("47DBDD543E", "A\"B'C"),
    ("47DBDD543E", "<![CDATA[A<B]]>"),
    ("47DBDD543E", "A&nbsp;B"),
    (">True<", ">true<"),
    (">True<", "> True <"),
    (">enter<", ">hover<"),
    (">enter<", "> enter<"),
    ("n01440764/n01440764_105", "n01440764/n01440764_106"),
    ("<filename>n01440764_105</filename>", "<filename/>"),
    ("<folder>n01440764</folder>", "<folder></folder>"),
    ("ILSVRC_2012", "VOC2012"),
    ("\n", "\r\n"),
    ("\n", ""),
    ("</annotation>\n", "</annotation>"),
    ("</annotation>\n", "</annotation>\n\n"),
    ("<annotation>", "\ufeff<annotation>"),
    ("<annotation>", '<?xml version="1.0"?>\n<annotation>'),
    ("<annotation>", "<!DOCTYPE a>\n<annotation>"),
    ("  <metadata>\n", '  <metadata a="1">\n'),
    ("  <metadata>\n", "  <metadata >\n"),
    ("</metadata>", ""),
    ("    <worker_id>", "    <selectedRecord/>\n    <worker_id>"),
    ("    <imageHeight>", "    <hoveredRecord/>\n    <imageHeight>"),
    ("    <originalImageHeight>", "    <mouseTracking/>\n    <originalImageHeight>"),
    (
        "    <originalImageHeight>",
        "    <mouseTracking/>\n    <mouseTracking/>\n    <originalImageHeight>",
    ),
    ("    <worker_id>", "    <zoom>2</zoom>\n    <worker_id>"),
    ("<time>1641425052319</time>", "<time/>"),
    ("      <y>0.4732510288065844</y>\n", ""),
    ("<depth>3</depth>", "<depth>rgb</depth>"),
    ("<width>500</width>", "<width>500</width>\n    <width>500</width>"),
]


@pytest.mark.parametrize("edit", ODD, ids=lambda edit: f"{edit[1]!a}"[:40])
def test_both_parsers_say_the_same_of_odd_files(
    xml: Xml, published: list[bytes], edit: tuple[str, str]
) -> None:
    odd = xml(edit)
    assert_same([odd])
    assert_same([published[1], odd, published[5], odd, odd, published[0]])


@pytest.mark.parametrize(
    "files",
    [
        [b""],
        [b"", b""],
        [b"\n"],
        [b"<annotation>\n"],
        [b"</annotation>\n"],
        [b"<annotation>\n</annotation>\n"],
        [b"x" * 7],
    ],
)
def test_both_parsers_say_the_same_of_tiny_files(
    published: list[bytes], files: list[bytes]
) -> None:
    assert_same(files)
    assert_same([*files, published[0], *files])


TOKENS = [
    b"<",
    b">",
    b"/",
    b"\n",
    b"0",
    b"-",
    b".",
    b"e",
    b" ",
    b"&amp;",
    b"\xff",
    b"nan",
    b"0x1F",
    b"1_0",
    b"<x>",
    b"\r",
    b"\r\n",
    b"\0",
    b"\t",
    b"<!--a-->",
    b"]]>",
    b'"',
    b"12345678901234567",
    b"123456789012345678901",
    b"    <mouseTracking/>\n",
    b"    <hoveredRecord/>\n",
    b"    <selectedRecord/>\n",
    "é".encode(),
    b"-0",
    b"1e-5",
]


def mutated(file: bytes, pick: random.Random) -> bytes:
    """A file with some bytes, tokens or lines changed."""
    for _ in range(pick.choice([0, 1, 1, 1, 2, 4])):
        data, lines = bytearray(file), file.split(b"\n")
        at, one, other = (
            pick.randrange(len(data) + 1),
            pick.randrange(len(lines)),
            pick.randrange(len(lines)),
        )
        match pick.randrange(7):
            case 0 if data:
                data[at - 1] = pick.randrange(256)
            case 1:
                data[at:at] = pick.choice(TOKENS)
            case 2:
                del data[at : at + pick.randrange(1, 5)]
            case 3:
                lines[one], lines[other] = lines[other], lines[one]
                data = bytearray(b"\n".join(lines))
            case 4:
                lines.insert(one, lines[other])
                data = bytearray(b"\n".join(lines))
            case 5:
                del lines[one : one + pick.choice([1, 1, 2, 4, 5])]
                data = bytearray(b"\n".join(lines))
            case _:  # a token in the place of a value
                values = list(re.finditer(rb">([^<>\n]+)<", file))
                if values:
                    start, end = pick.choice(values).span(1)
                    data[start:end] = pick.choice(TOKENS)
        file = bytes(data)
    return file


@pytest.mark.fuzz
def test_both_parsers_say_the_same_of_mutated_files(published: list[bytes]) -> None:
    started, seed = time.monotonic(), 0
    while time.monotonic() - started < SECONDS or seed < 20:
        pick = random.Random(seed)
        files = [mutated(pick.choice(published), pick) for _ in range(8)]
        try:
            assert_same(files, pick.choice([0, 1, 512]))
        except Exception as err:
            err.add_note(f"seed {seed}")
            raise
        seed += 1


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_both_parsers_say_the_same_of_any_values(xml: Xml, data: st.DataObject) -> None:
    text = st.one_of(
        st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Z", "S"]), max_size=24),
        st.floats(-2, 2).map(repr),
        st.integers(-(1 << 65), 1 << 65).map(str),
        st.sampled_from([token.decode() for token in TOKENS if token != b"\xff"]),
    )
    lines = xml().decode().split("\n")
    places = [i for i, line in enumerate(lines) if re.fullmatch(r" *<(\w+)>[^<]+</\1>", line)]
    for place in data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=3)):
        value = data.draw(text)
        opening, closing = re.split(r"(?<=>)[^<]*(?=<)", lines[place], maxsplit=1)
        lines[place] = f"{opening}{value}{closing}"
    assert_same([xml(), "\n".join(lines).encode(), xml()])
