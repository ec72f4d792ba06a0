"""Defects of COCO-AB: elements of the array that are broken, odd, or no records at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from abpipe.synth.defects import Level, Registry

Edit = Callable[[Random, str], str | bytes]

COCO: Registry[bytes, bytes] = Registry()

_NUMBER = r"-?[0-9][0-9.eE+-]*"


def edit(
    code: str, level: Level, message: str, intact: bool | None = None
) -> Callable[[Edit], Edit]:
    """Register a defect that is a change of a record's text."""

    def register(function: Edit) -> Edit:
        def plant(random: Random, good: bytes) -> bytes:
            bad = function(random, good.decode())
            return bad if isinstance(bad, bytes) else bad.encode()

        COCO.add(code, level, message, intact)(plant)
        return function

    return register


def put(text: str, path: str, value: str) -> str:
    """The text with another scalar; `a/b` is the first b within a."""
    begin, end = scalar(text, path)
    return text[:begin] + value + text[end:]


def scalar(text: str, path: str) -> tuple[int, int]:
    """Where a scalar stands."""
    place = 0
    for key in path.split("/"):
        place = text.index(f'"{key}": ', place) + len(key) + 4
    found = re.compile(rf'{_NUMBER}|"[^"]*"|null|true|false').match(text, place)
    if not found:
        raise ValueError(f"{path} is no scalar")
    return found.span()


def lists(text: str, key: str) -> tuple[int, int]:
    """Where a list stands, with its brackets."""
    begin = text.index(f'"{key}": [') + len(key) + 4
    return begin, text.index("]", begin) + 1


def replaced(text: str, key: str, value: str) -> str:
    """The text with another value for a list."""
    begin, end = lists(text, key)
    return text[:begin] + value + text[end:]


def without(text: str, key: str) -> str:
    """The text without one of the record's own keys."""
    found = re.search(rf'"{key}": (\[[^\]]*\]|"[^"]*"|{_NUMBER})(, )?', text)
    if not found:
        raise ValueError(f"there is no {key}")
    rest = text[: found.start()] + text[found.end() :]
    return rest.replace(", }", "}") if rest.endswith(", }") else rest


def more(text: str, pairs: str) -> str:
    """The text with more pairs at the end."""
    return f"{text[:-1]}, {pairs}}}"


_REJECT = "reject the record, keep the rest"
_NULL = "read the value as missing"
_KEEP = "read the value as it stands"
_MOVE = "mouseTracking"
_ACT = "actionHistories"
_BROWSE = "categoryHistories"
_VALUES: tuple[tuple[str, Level, str, str, str], ...] = (
    ("x-nan", "record", f"{_MOVE}/x", "NaN", _REJECT),
    ("x-infinity", "record", f"{_MOVE}/x", "-Infinity", _REJECT),
    ("x-overflow", "record", f"{_MOVE}/y", "1e400", _REJECT),
    ("x-hex", "record", f"{_MOVE}/x", "0x1F", _REJECT),
    ("x-plus", "record", f"{_MOVE}/x", "+0.5", _REJECT),
    ("x-leading-zero", "record", f"{_MOVE}/y", "00.5", _REJECT),
    ("x-bare-point", "record", f"{_MOVE}/x", ".5", _REJECT),
    ("x-string", "record", f"{_MOVE}/x", '"0.5"', _REJECT),
    ("x-bool", "record", f"{_ACT}/pointTo/x", "true", _REJECT),
    ("x-list", "record", f"{_ACT}/pointTo/y", "[0.5]", _REJECT),
    ("x-null", "none", f"{_MOVE}/x", "null", _NULL),
    ("x-exponent", "none", f"{_MOVE}/x", "5E-1", _KEEP),
    ("x-outside", "none", f"{_MOVE}/y", "-0.0044444444444444444", _KEEP),
    ("x-far-outside", "none", f"{_MOVE}/x", "17.25", _KEEP),
    ("x-many-digits", "none", f"{_MOVE}/x", "0." + "3" * 300, "read the nearest double"),
    ("x-denormal", "none", f"{_MOVE}/x", "5e-324", _KEEP),
    ("time-fraction", "record", f"{_MOVE}/timeAt", "5273.5", _REJECT),
    ("time-exponent", "record", f"{_BROWSE}/timeAt", "1e13", _REJECT),
    ("time-overflow", "record", f"{_MOVE}/timeAt", "9223372036854775808", _REJECT),
    ("time-endless", "record", f"{_ACT}/timeAt", "9" * 400, _REJECT),
    ("time-string", "record", f"{_ACT}/timeAt", '"155755"', _REJECT),
    ("time-null", "none", f"{_MOVE}/timeAt", "null", _NULL),
    ("time-whole-float", "record", f"{_MOVE}/timeAt", "5273.0", "reject the record, or read 5273"),
    ("time-negative", "none", f"{_MOVE}/timeAt", "-3", _KEEP),
    ("time-largest", "none", f"{_MOVE}/timeAt", "9223372036854775807", _KEEP),
    ("spent-huge", "none", "timeSpent", "8260000", _KEEP),
    ("spent-null", "none", "timeSpent", "null", _NULL),
    ("size-string", "record", "originalImageWidth", '"640"', _REJECT),
    ("size-fraction", "none", "imageHeight", "450.5", _KEEP),
    ("page-outside", "none", "page_id", "20", _KEEP),
    ("page-overflow", "record", "page_id", "-9223372036854775809", _REJECT),
    ("image-id-null", "record", "image_id", "null", _REJECT),
    ("image-id-fraction", "record", "image_id", "12.5", _REJECT),
    ("image-id-object", "record", "image_id", '{"id": 9}', _REJECT),
    ("worker-null", "none", "worker_id", "null", _NULL),
    ("worker-number", "record", "worker_id", "12345", _REJECT),
    ("worker-unicode", "none", "worker_id", '"Ünïcödé 鼠标 🐭"', _KEEP),
    ("worker-escapes", "none", "worker_id", r'"\u00dc\ud83d\udc2d\n\"\\\/"', "resolve them"),
    ("worker-brackets", "none", "worker_id", '"}]}, {\\"image_id\\": 1"', "they are text"),
    ("worker-surrogate", "record", "worker_id", r'"A\ud800B"', _REJECT),
    ("worker-escape-unknown", "record", "worker_id", r'"A\qB"', _REJECT),
    ("worker-control", "record", "worker_id", '"A\nB"', _REJECT),
    ("worker-nul", "none", "worker_id", r'"A\u0000B"', _KEEP),
    ("icon-unknown", "none", f"{_ACT}/iconType", '"unicorn"', "keep it: it is no COCO category"),
    ("icon-null", "none", f"{_ACT}/iconType", "null", _NULL),
    ("action-unknown", "none", f"{_ACT}/actionType", '"rotate"', "keep it as extra, count it"),
    ("action-null", "none", f"{_ACT}/actionType", "null", "keep it as extra, count it"),
    ("group-unknown", "none", f"{_BROWSE}/categoryName", '"Plants"', _KEEP),
    ("keyboard-string", "record", f"{_BROWSE}/usingKeyboard", '"false"', _REJECT),
    ("keyboard-null", "none", f"{_BROWSE}/usingKeyboard", "null", _NULL),
)


def _register(code: str, level: Level, path: str, value: str, message: str) -> None:
    @edit(code, level, message, intact=False)
    def _(random: Random, text: str) -> str:
        return put(text, path, value)


for _row in _VALUES:
    _register(*_row)

_KEYS = ("hit_id", "page_id", "worker_id", "timeSpent", "imageWidth", "originalImageHeight")


def _register_absent(code: str, level: Level, key: str) -> None:
    message = _NULL if level == "none" else _REJECT

    @edit(code, level, message, intact=False)
    def _(random: Random, text: str) -> str:
        return without(text, key)


_register_absent("no-image-id", "record", "image_id")
for _key in (*_KEYS, _MOVE, _ACT, _BROWSE):
    _register_absent(f"no-{_key}", "none", _key)


def _register_list(code: str, level: Level, key: str, value: str) -> None:
    message = _REJECT if level == "record" else "read no events, and say how the list was missing"

    @edit(code, level, message, intact=False)
    def _(random: Random, text: str) -> str:
        return replaced(text, key, value)


for _key in (_MOVE, _ACT, _BROWSE):
    _register_list(f"{_key}-null", "none", _key, "null")
    _register_list(f"{_key}-empty", "none", _key, "[]")
    _register_list(f"{_key}-object", "record", _key, '{"x": 0.5, "y": 0.5, "timeAt": 1}')
    _register_list(f"{_key}-numbers", "record", _key, "[1, 2, 3]")


@edit("point-without-x", "none", _NULL, intact=False)
def _no_x(random: Random, text: str) -> str:
    begin = text.index('"pointTo": {') + len('"pointTo": {')
    return text[:begin] + text[text.index('"y"', begin) :]


@edit("point-empty", "none", _NULL, intact=False)
def _no_point(random: Random, text: str) -> str:
    return re.sub(r'"pointTo": \{[^}]*\}', '"pointTo": {}', text, count=1)


@edit("point-list", "record", _REJECT)
def _point_list(random: Random, text: str) -> str:
    return re.sub(r'"pointTo": \{[^}]*\}', '"pointTo": [0.5, 0.5]', text, count=1)


@edit("not-loaded", "none", "keep the events: the picture had not loaded", intact=False)
def _not_loaded(random: Random, text: str) -> str:
    for key in ("originalImageWidth", "originalImageHeight", "imageWidth", "imageHeight"):
        text = put(text, key, "0")
    return re.sub(rf'"([xy])": {_NUMBER}', r'"\1": null', text)


@edit("unknown-key", "none", "keep it as extra, and count it")
def _unknown(random: Random, text: str) -> str:
    return more(text, '"browser": {"name": "Lynx", "tabs": [1, 2, {"x": 0.5}]}')


@edit("unknown-key-nested", "none", "keep it as extra, and count it")
def _unknown_nested(random: Random, text: str) -> str:
    begin, _ = lists(text, _MOVE)
    return text[: begin + 2] + '"pressure": 0.5, ' + text[begin + 2 :]


@edit("unknown-key-empty", "none", "keep it as extra, and count it")
def _unknown_empty(random: Random, text: str) -> str:
    return more(text, '"": null')


@edit("duplicate-key", "record", _REJECT)
def _duplicate(random: Random, text: str) -> str:
    return more(text, '"page_id": 3')


@edit("duplicate-key-nested", "record", _REJECT)
def _duplicate_nested(random: Random, text: str) -> str:
    begin, _ = lists(text, _MOVE)
    return text[: begin + 2] + '"x": 0.25, ' + text[begin + 2 :]


@edit("duplicate-image-id", "record", _REJECT)
def _duplicate_id(random: Random, text: str) -> str:
    return more(text, '"image_id": 999999')


@edit("duplicate-record", "none", "drop and count the second of two equal records")
def _twice(random: Random, text: str) -> str:
    return f"{text}, {text}"


@edit("duplicate-record-changed", "none", "keep both, and flag them", intact=False)
def _twice_changed(random: Random, text: str) -> str:
    return f"{text}, {put(text, 'timeSpent', '424242')}"


@edit("two-annotators", "none", "keep both: two people saw one picture", intact=False)
def _two_annotators(random: Random, text: str) -> str:
    other = put(text, "worker_id", '"FFFFFFFFFF"')
    return f"{text}, {other}"


@edit("lost-bracket", "record", "reject the record, find the next one again")
def _lost_bracket(random: Random, text: str) -> str:
    _, end = lists(text, random.choice((_MOVE, _ACT, _BROWSE)))
    return text[: end - 1] + text[end:]


@edit("lost-brace", "record", "reject the record, find the next one again")
def _lost_brace(random: Random, text: str) -> str:
    begin, _ = lists(text, _MOVE)
    end = text.index("}", begin)
    return text[:end] + text[end + 1 :]


@edit("lost-end", "record", "reject the record, find the next one again")
def _lost_end(random: Random, text: str) -> str:
    return text[:-1]


@edit("extra-bracket", "record", "reject the record, find the next one again")
def _extra_bracket(random: Random, text: str) -> str:
    _, end = lists(text, _MOVE)
    return text[:end] + "]" + text[end:]


@edit("lost-quote", "record", "reject the record, find the next one again")
def _lost_quote(random: Random, text: str) -> str:
    _, end = scalar(text, "worker_id")
    return text[: end - 1] + text[end:]


@edit("lost-comma", "record", _REJECT)
def _lost_comma(random: Random, text: str) -> str:
    return text.replace(", ", " ", 1)


@edit("truncated-record", "record", "reject the record, find the next one again")
def _truncated(random: Random, text: str) -> str:
    return text[: random.randint(40, len(text) - 40)]


@edit("trailing-comma", "record", _REJECT)
def _trailing_comma(random: Random, text: str) -> str:
    return text[:-1] + ", }"


@edit("single-quotes", "record", _REJECT)
def _single_quotes(random: Random, text: str) -> str:
    return text.replace('"', "'")


@edit("python-literals", "record", _REJECT)
def _literals(random: Random, text: str) -> str:
    return more(text, '"a": None, "b": True')


@edit("comment", "record", _REJECT)
def _comment(random: Random, text: str) -> str:
    return text.replace("{", "{ /* picture */ ", 1)


@edit("garbage-between", "record", "report it, keep the record after it", intact=True)
def _garbage(random: Random, text: str) -> str:
    return f"#### disk full ####, {text}"


@edit("null-element", "record", "report it, keep the record after it", intact=True)
def _null(random: Random, text: str) -> str:
    return f"null, {text}"


@edit("number-element", "record", "report it, keep the record after it", intact=True)
def _number(random: Random, text: str) -> str:
    return f"42, {text}"


@edit("list-element", "record", "report the brackets, keep the record in them", intact=True)
def _list(random: Random, text: str) -> str:
    return f"[{text}]"


@edit("empty-element", "record", "report it, keep the record after it", intact=True)
def _empty(random: Random, text: str) -> str:
    return f"{{}}, {text}"


@edit("comma-twice", "none", "read on: no record is lost")
def _comma_twice(random: Random, text: str) -> str:
    return f", {text}"


@edit("invalid-utf8", "record", _REJECT)
def _invalid_utf8(random: Random, text: str) -> bytes:
    return put(text, "worker_id", '"@@@@"').encode().replace(b"@@@@", b"A\xff\xfeB")


@edit("zeros", "record", "reject the record, find the next one again")
def _zeros(random: Random, text: str) -> str:
    return text[:30] + "\0" * (len(text) - 31) + "}"


@edit("too-deep", "record", "reject the record: it nests without end")
def _deep(random: Random, text: str) -> str:
    return more(text, '"deep": ' + "[" * 5000 + "]" * 5000)


@edit("indented", "none", "read on: white space means nothing")
def _indented(random: Random, text: str) -> str:
    return text.replace(", ", ",\r\n\t").replace("{", "{\n ").replace("}", "\n}")


@edit("compact", "none", "read on: white space means nothing")
def _compact(random: Random, text: str) -> str:
    return text.replace(", ", ",").replace('": ', '":')


@edit("escaped-keys", "none", "read on: an escape is the letter")
def _escaped_keys(random: Random, text: str) -> str:
    return text.replace('"image_id"', r'"im\u0061ge_id"').replace('"x"', r'"\u0078"')


@edit("huge-record", "none", "read on: a trace of thousands of moves", intact=False)
def _huge(random: Random, text: str) -> str:
    begin, end = lists(text, _MOVE)
    moves = text[begin + 1 : end - 1]
    return text[:begin] + f"[{', '.join([moves] * 100)}]" + text[end:]
