from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abpipe.events.imagenet_strict import integer, number
from abpipe.events.lines import Bytes, Ints, decimals, either, find_all, integers, ranges, strings
from abpipe.rows import BadRecord

Read = Callable[[Bytes, Ints, Ints], tuple[Any, Any]]


def read(read: Read, texts: list[bytes]) -> list[tuple[Any, bool]]:
    """Each text's value, and whether it is sure, read from the middle of other bytes."""
    data, start, end = b"<annotation><x>", [], []
    for text in texts:
        start.append(len(data))
        data += text
        end.append(len(data))
        data += b"</x>\n<y>"
    buffer = memoryview(bytearray(data + b"9" * 64))
    values, ok = read(Bytes(buffer), np.array(start), np.array(end))
    found = values.to_pylist() if hasattr(values, "to_pylist") else values.tolist()
    return list(zip(found, ok.tolist(), strict=True))


def strictly(convert: Callable[[str], Any], text: bytes) -> Any:
    try:
        return convert(text.decode())
    except (BadRecord, UnicodeDecodeError):
        return None


def same(one: Any, other: Any) -> bool:
    return other is not None and one == other and math.copysign(1, one) == math.copysign(1, other)


odd = st.sampled_from(
    [
        "",
        "-",
        ".",
        "-.",
        "--1",
        "+1",
        " 1",
        "1 ",
        "1_0",
        "0x1F",
        "nan",
        "inf",
        "1e5",
        "1e-5",
        "-0",
        "-0.0",
        "0.",
        ".5",
        "1.5",
        "00.5",
        "0,5",
        "0.5.5",
        "/",
        ":",
        "0.:",
        "é",
        "٣",
        "12345678901234567",
        "9" * 30,
        "0." + "1" * 30,
        "0." + "0" * 23 + "1",
        "-0.1234567890123456789",
        "9223372036854775807",
        "-9223372036854775808",
        "9007199254740993",
        "0.1" + "0" * 21,
    ]
)
digits = st.one_of(
    odd,
    st.integers(-(1 << 64), 1 << 64).map(str),
    st.integers(0, 10**17).map(str),
    st.floats(-2, 2).map(repr),
    st.from_regex(r"-?[0-9]\.[0-9]{1,26}", fullmatch=True).filter(str.isascii),
    st.text(st.sampled_from("0123456789.-+e/: "), max_size=30),
)
texts = st.lists(digits.map(str.encode), min_size=1, max_size=8)


@settings(max_examples=300, deadline=None)
@given(texts, st.sampled_from([8, 16]))
def test_whole_numbers_that_are_sure_are_what_python_reads(texts: list[bytes], most: int) -> None:
    found = read(partial(integers, most=most), texts)
    for text, (value, sure) in zip(texts, found, strict=True):
        assert not sure or same(value, strictly(integer, text)), text
        assert not sure or same(float(value), strictly(number, text)), text  # some become doubles


@settings(max_examples=300, deadline=None)
@given(texts)
def test_decimals_that_are_sure_are_what_python_reads_to_the_last_bit(texts: list[bytes]) -> None:
    for text, (value, sure) in zip(texts, read(decimals, texts), strict=True):
        assert not sure or same(value, strictly(number, text)), text


@pytest.mark.parametrize("text", [b"0", b"7", b"-3", b"99999999", b"-99999999"])
@pytest.mark.parametrize("most", [8, 16])
def test_usual_whole_numbers_are_sure(text: bytes, most: int) -> None:
    assert read(partial(integers, most=most), [text]) == [(int(text), True)]


@pytest.mark.parametrize("text", [b"1641425051975", b"9999999999999999"])
def test_times_are_sure_and_too_long_for_other_numbers(text: bytes) -> None:
    assert read(partial(integers, most=16), [text]) == [(int(text), True)]
    assert [sure for _, sure in read(integers, [text])] == [False]


@pytest.mark.parametrize("piece", [1, 7, 64])
def test_bytes_are_found_across_pieces(monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr("abpipe.events.lines._PIECE", piece)
    data = np.frombuffer(b"\nab\n" * 5 + b"c\n\n", np.uint8)
    assert find_all(data, ord("\n")).tolist() == [i for i, b in enumerate(data) if b == 10]
    assert find_all(data[:0], ord("\n")).tolist() == []


@pytest.mark.parametrize(
    "text", [b"0", b"1", b"-0", b"0.5401234567901234", b"-0.0044", b"1.0", b"0.1234567890123456789"]
)
def test_usual_decimals_are_sure(text: bytes) -> None:
    ((value, sure),) = read(decimals, [text])
    assert sure
    assert same(value, float(text))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=12).map(str.encode), min_size=1, max_size=6))
def test_strings_that_are_sure_are_plain_ascii_without_markup(texts: list[bytes]) -> None:
    for text, (value, sure) in zip(texts, read(strings, texts), strict=True):
        plain = bool(text) and all(32 <= c < 127 and chr(c) not in "<>&" for c in text)
        assert sure == plain
        assert not sure or value == text.decode()


def test_one_of_two_words_is_told_apart_from_any_other() -> None:
    words = [b"True", b"False", b"rue", b"xTrue", b"false", b"", b"TrueFalse"]
    found = read(lambda text, start, end: either(text, start, end, "True|False"), words)
    assert found[:2] == [(True, True), (False, True)]
    assert not any(sure for _, sure in found[2:])


def test_ranges_follow_one_another() -> None:
    assert ranges(np.array([5, 0, 9]), np.array([2, 0, 3])).tolist() == [5, 6, 9, 10, 11]


@pytest.mark.parametrize("function", [integers, decimals, strings])
def test_no_values_are_no_values(function: Read) -> None:
    none = np.array([], np.int64)
    values, ok = function(Bytes(memoryview(bytearray(64))), none, none)
    assert (len(values), len(ok)) == (0, 0)


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(0, 20))
def test_a_byte_is_found_wherever_it_stands(gaps: list[int], rest: int) -> None:
    text = b"".join(b"x" * gap + b"\n" for gap in gaps) + b"x" * rest
    found = find_all(np.frombuffer(text, np.uint8), ord("\n"))
    assert found.tolist() == [i for i, byte in enumerate(text) if byte == ord("\n")]
