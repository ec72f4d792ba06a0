"""Defects of ImageNet-AB's files: broken, odd, or no XML at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from abpipe.synth.defects import Level, Registry
from abpipe.synth.defects_members import MEMBERS
from abpipe.synth.tar import Member
from abpipe.synth.xml_edits import before, cut, element, put, rich, span

Edit = Callable[[Random, str], str | bytes]

#: All defects of ImageNet-AB: of its files, below, and of its members.
IMAGENET: Registry[Member, list[Member]] = Registry(MEMBERS)


def edit(
    code: str, level: Level, message: str, intact: bool | None = None
) -> Callable[[Edit], Edit]:
    """Register a defect that is a change of a file's text."""

    def register(function: Edit) -> Edit:
        def plant(random: Random, good: Member) -> list[Member]:
            bad = function(random, good.data.decode())
            return [good.but(bad.encode() if isinstance(bad, str) else bad)]

        IMAGENET.add(code, level, message, intact)(plant)
        return function

    return register


#: A value that is not what it should be: code, level, element, value, what to do.
_REJECT = "reject the record, keep the picture and its other records"
_NULL = "read the value as missing"
_KEEP = "read the value as it stands"
_VALUES: tuple[tuple[str, Level, str, str, str], ...] = (
    ("x-nan", "record", "metadata/mouseTracking/x", "NaN", _REJECT),
    ("x-inf", "record", "metadata/mouseTracking/x", "inf", _REJECT),
    ("x-minus-infinity", "record", "metadata/mouseTracking/x", "-Infinity", _REJECT),
    ("x-overflow", "record", "metadata/mouseTracking/y", "1e400", _REJECT),
    ("x-hex", "record", "metadata/selectedRecord/x", "0x1F", _REJECT),
    ("x-underscore", "record", "metadata/mouseTracking/x", "0_1.5", _REJECT),
    ("x-comma", "record", "metadata/mouseTracking/x", "0,5", _REJECT),
    ("x-word", "record", "metadata/selectedRecord/y", "undefined", _REJECT),
    ("x-arabic-digits", "record", "metadata/mouseTracking/x", "٠.٥", _REJECT),  # noqa: RUF001
    ("x-blank", "none", "metadata/mouseTracking/x", "", _NULL),
    ("x-spaces-only", "none", "metadata/mouseTracking/y", "   ", _NULL),
    ("x-exponent", "none", "metadata/mouseTracking/x", "5e-1", _KEEP),
    ("x-outside", "none", "metadata/mouseTracking/x", "-0.0164", _KEEP),
    ("x-beyond", "none", "metadata/mouseTracking/y", "1.0123456790123457", _KEEP),
    ("time-fraction", "record", "metadata/mouseTracking/time", "1641425051975.5", _REJECT),
    ("time-exponent", "record", "metadata/hoveredRecord/time", "1e13", _REJECT),
    ("time-overflow", "record", "metadata/mouseTracking/time", "9223372036854775808", _REJECT),
    ("time-endless", "record", "metadata/selectedRecord/time", "9" * 400, _REJECT),
    ("time-underscore", "record", "metadata/selectedRecord/time", "1_641_425_051_975", _REJECT),
    ("time-largest", "none", "metadata/mouseTracking/time", "9223372036854775807", _KEEP),
    ("time-negative", "none", "metadata/mouseTracking/time", "-1", _KEEP),
    ("estimate-huge", "none", "metadata/estimateTime", "18675205", _KEEP),
    ("estimate-fraction", "record", "metadata/estimateTime", "12.5", _REJECT),
    ("estimate-blank", "none", "metadata/estimateTime", "", _NULL),
    ("count-disagrees", "none", "metadata/selectedCount", "7", _KEEP),
    ("selected-number", "record", "metadata/selected", "1", _REJECT),
    ("selected-lower", "record", "metadata/selected", "true", _REJECT),
    ("selected-blank", "none", "metadata/selected", "", _NULL),
    ("image-id-disagrees", "none", "metadata/imageID", "n09999999/n09999999_1", "say so"),
    ("slot-outside", "none", "metadata/image_idx", "48", _KEEP),
    ("worker-blank", "none", "metadata/worker_id", "", _NULL),
    ("worker-unicode", "none", "metadata/worker_id", "Ünïcödé 鼠标", _KEEP),
    ("worker-entity", "none", "metadata/worker_id", "A&amp;B &lt;&#67;&#x44;&gt;", "resolve it"),
    ("worker-cdata", "none", "metadata/worker_id", "<![CDATA[A<B>&C]]>", "resolve it"),
    ("worker-markup", "record", "metadata/worker_id", "A&nbsp;B", _REJECT),
    ("worker-control", "record", "metadata/worker_id", "A\x01B", _REJECT),
    ("width-word", "field", "size/width", "wide", "keep the picture, its width is missing"),
    ("width-fraction", "field", "size/width", "500.5", "keep the picture, its width is missing"),
    ("height-overflow", "field", "size/height", "1" + "0" * 30, "keep all but the height"),
    ("height-zero", "none", "size/height", "0", _KEEP),
    ("width-blank", "none", "size/width", "", _NULL),
    ("filename-blank", "member", "filename", "", "reject the file: no picture is named"),
    ("folder-blank", "none", "folder", "", "the class is missing"),
)


def _register(code: str, level: Level, path: str, value: str, message: str) -> None:
    @edit(code, level, message, intact=False)
    def _(random: Random, text: str) -> str:
        return put(rich(text), path, value)


for _row in _VALUES:
    _register(*_row)

_ABSENT: tuple[tuple[str, Level, str], ...] = (
    ("no-filename", "member", "filename"),
    ("no-folder", "none", "folder"),
    ("no-size", "none", "size"),
    ("no-source", "none", "source"),
    ("no-worker", "none", "metadata/worker_id"),
    ("no-assignment", "none", "metadata/assignment_id"),
    ("no-selected", "none", "metadata/selected"),
    ("no-estimate", "none", "metadata/estimateTime"),
    ("no-position", "none", "metadata/imagePosition"),
    ("no-x", "none", "metadata/mouseTracking/x"),
    ("no-time", "none", "metadata/mouseTracking/time"),
    ("no-action", "none", "metadata/hoveredRecord/action"),
    ("no-click", "none", "metadata/selectedRecord"),
)


def _register_absent(code: str, level: Level, path: str) -> None:
    message = "reject the file: no picture is named" if level == "member" else _NULL

    @edit(code, level, message, intact=False)
    def _(random: Random, text: str) -> str:
        return cut(rich(text), path)


for _gone in _ABSENT:
    _register_absent(*_gone)


# -- files that are no whole XML --------------------------------------------------------------


@edit("truncated", "record", "reject the record that breaks off, keep what is before it")
def _truncated(random: Random, text: str) -> str:
    text = rich(text)
    return text[: random.randint(span(text, "metadata")[0] + 40, text.rindex("</metadata>") - 1)]


@edit("truncated-head", "member", "reject the file: it breaks off before any record")
def _truncated_head(random: Random, text: str) -> str:
    return text[: span(text, "source/database")[0]]


@edit("mismatched-tag", "record", _REJECT)
def _mismatched(random: Random, text: str) -> str:
    """Two records, of which the first is broken."""
    text = rich(text)
    begin, end = element(text, "metadata")
    other = put(text[begin:end], "metadata/worker_id", "FFFFFFFFFF")
    broken = text[begin:end].replace("</estimateTime>", "</estimatedTime>", 1)
    return text[:begin] + broken + other + text[end:]


@edit("mismatched-head", "member", "reject the file: its head is no XML")
def _mismatched_head(random: Random, text: str) -> str:
    return text.replace("</folder>", "</folders>", 1)


@edit("invalid-utf8", "record", _REJECT)
def _invalid_utf8(random: Random, text: str) -> bytes:
    return put(rich(text), "metadata/worker_id", "@@@@").encode().replace(b"@@@@", b"A\xff\xfeB")


@edit("empty-file", "member", "reject the file: it is empty")
def _empty(random: Random, text: str) -> str:
    return ""


@edit("blank-file", "member", "reject the file: it holds no element")
def _blank(random: Random, text: str) -> str:
    return "\n\n  \n"


@edit("zeros", "member", "reject the file: a disk left zeros in its place")
def _zeros(random: Random, text: str) -> str:
    return "\0" * len(text)


@edit("html", "member", "reject the file: it is a server's error page")
def _html(random: Random, text: str) -> str:
    return "<!DOCTYPE html>\n<html><head><title>404</title></head><body>Not Found<br></html>\n"


@edit("other-root", "member", "reject the file: its root is no <annotation>")
def _other_root(random: Random, text: str) -> str:
    return text.replace("<annotation>", "<image>").replace("</annotation>", "</image>")


@edit("trailing-garbage", "member", "reject the file, or its tail: something follows the root")
def _trailing(random: Random, text: str) -> str:
    return text + "<annotation></annotation>\n"


@edit("entity-bomb", "member", "reject the file unread: no DTD is taken")
def _bomb(random: Random, text: str) -> str:
    rounds = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    dtd = f'<!DOCTYPE annotation [<!ENTITY e0 "ha">{rounds}]>\n'
    return dtd + put(rich(text), "metadata/worker_id", "&e11;")


@edit("external-entity", "member", "reject the file unread: no DTD is taken, nothing is fetched")
def _external(random: Random, text: str) -> str:
    dtd = '<!DOCTYPE annotation [<!ENTITY x SYSTEM "file:///etc/hostname">]>\n'
    return dtd + put(rich(text), "metadata/worker_id", "&x;")


@edit("too-deep", "member", "reject the file: elements nest without end")
def _deep(random: Random, text: str) -> str:
    depth = 3000
    return before(rich(text), "metadata", "<a>" * depth + "</a>" * depth + "\n")


@edit("box-word", "field", "keep the object, its edge is missing", intact=False)
def _bad_box(random: Random, text: str) -> str:
    box = "<bndbox><xmin>1</xmin><ymin>here</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    return before(rich(text), "metadata", f"  <object><name>n09999999</name>{box}</object>\n")


# -- files that are in order, but not as usual ------------------------------------------------


@edit("xml-declaration", "none", "read on")
def _declaration(random: Random, text: str) -> str:
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + text


@edit("byte-order-mark", "none", "read on")
def _mark(random: Random, text: str) -> str:
    return "\ufeff" + text


@edit("utf-16", "none", "read on: the declaration names the encoding")
def _utf16(random: Random, text: str) -> bytes:
    return ('<?xml version="1.0" encoding="UTF-16"?>\n' + text).encode("utf-16")


@edit("comments", "none", "pass over them")
def _comments(random: Random, text: str) -> str:
    return before(rich(text), "metadata/estimateTime", "<!-- <metadata> is no element -->\n")


@edit("instruction", "none", "pass over it")
def _instruction(random: Random, text: str) -> str:
    return before(rich(text), "metadata", "<?render fast?>\n")


@edit("compact", "none", "read on: nothing depends on line breaks")
def _compact(random: Random, text: str) -> str:
    return re.sub(r"\n *", "", text)


@edit("crlf", "none", "read on")
def _crlf(random: Random, text: str) -> str:
    return text.replace("\n", "\r\n")


@edit("tabs", "none", "read on")
def _tabs(random: Random, text: str) -> str:
    return text.replace("  ", "\t")


@edit("no-last-newline", "none", "read on")
def _unended(random: Random, text: str) -> str:
    return text.rstrip("\n")


@edit("closed-spaces", "none", "read on: `</x >` closes x")
def _closed(random: Random, text: str) -> str:
    return text.replace("</x>", "</x >").replace("<size>", "<size\n>")


@edit("other-order", "none", "read on: nothing depends on the order of elements")
def _reordered(random: Random, text: str) -> str:
    text = rich(text)
    begin, end = element(text, "metadata")
    blocks = [match.groups() for match in _BLOCK.finditer(text[begin:end].split("\n", 1)[1])]
    # lists keep their order within themselves, and nothing else does
    tags = sorted({tag for _, tag in blocks})
    random.shuffle(tags)
    blocks.sort(key=lambda block: tags.index(block[1]))
    record = "".join(block for block, _ in blocks)
    return f"{text[:begin]}  <metadata>\n{record}  </metadata>\n{text[end:]}"


_BLOCK = re.compile(r"(    <(\w+)(?:/>|>.*?</\2>)\n)", re.S)


@edit("unknown-element", "none", "keep it as extra, and count it")
def _unknown(random: Random, text: str) -> str:
    return before(rich(text), "metadata/estimateTime", "    <device>trackpad</device>\n")


@edit("unknown-nested", "none", "keep it as extra, and count it")
def _unknown_nested(random: Random, text: str) -> str:
    nested = "    <browser><name>Lynx</name><window><x>1</x><y>2</y></window></browser>\n"
    text = before(rich(text), "metadata/mouseTracking", nested)
    return before(text, "segmented", "  <flickr/>\n")


@edit("unknown-in-list", "none", "keep it as extra, and count it")
def _unknown_in_list(random: Random, text: str) -> str:
    text = rich(text)
    return before(text, "metadata/mouseTracking/x", "      <pressure>0.5</pressure>\n")


@edit("attributes", "none", "keep them as extra, and count them")
def _attributes(random: Random, text: str) -> str:
    text = rich(text).replace("<estimateTime>", '<estimateTime unit="ms">', 1)
    return text.replace("<metadata>", '<metadata version="2">', 1)


@edit("empty-lists", "none", "an empty element is an empty list", intact=False)
def _empty_lists(random: Random, text: str) -> str:
    text = rich(text)
    begin, end = element(text, "metadata")
    record = text[begin:end]
    for tag in ("hoveredRecord", "mouseTracking", "selectedRecord"):
        items = re.compile(rf"(?:    <{tag}>.*?</{tag}>\n)+", re.S)
        record = items.sub(f"    <{tag}></{tag}>\n", record)
    return text[:begin] + record + text[end:]


@edit("empty-record", "none", "a record without a field: everything is missing", intact=False)
def _empty_record(random: Random, text: str) -> str:
    return before(rich(text), "metadata", "  <metadata/>\n")


@edit("unknown-action", "none", "keep it as extra: it is no visit", intact=False)
def _unknown_action(random: Random, text: str) -> str:
    return put(rich(text), "metadata/hoveredRecord/action", "hover")


@edit("duplicate-field", "record", _REJECT)
def _duplicate(random: Random, text: str) -> str:
    text = rich(text)
    return before(text, "metadata/worker_id", "    <worker_id>0000000000</worker_id>\n")


@edit("duplicate-head-field", "field", "keep the picture and its records, note the field")
def _duplicate_head(random: Random, text: str) -> str:
    return before(rich(text), "segmented", "  <segmented>0</segmented>\n")


@edit("duplicate-record", "none", "drop and count the second of two equal records", intact=True)
def _duplicate_record(random: Random, text: str) -> str:
    begin, end = element(rich(text), "metadata")
    return before(rich(text), "metadata", rich(text)[begin:end])


@edit("duplicate-record-changed", "none", "keep both, and flag them", intact=False)
def _duplicate_record_changed(random: Random, text: str) -> str:
    text = rich(text)
    begin, end = element(text, "metadata")
    return before(text, "metadata", put(text[begin:end], "metadata/estimateTime", "424242"))


@edit("rotated", "none", "the point is in the EXIF-rotated frame")
def _rotated(random: Random, text: str) -> str:
    """The browser's size is the swapped `<size>`; the fractions stay."""
    text = rich(text)
    wide = text[slice(*span(text, "size/width"))]
    high = text[slice(*span(text, "size/height"))]
    text = put(text, "metadata/originalImageHeight", wide)
    return put(text, "metadata/originalImageWidth", high)


@edit("times-equal", "none", _KEEP, intact=False)
def _times_equal(random: Random, text: str) -> str:
    text = rich(text)
    time = text[slice(*span(text, "metadata/hoveredRecord/time"))]
    return re.sub(r"(<mouseTracking>\s*<time>)\d+", rf"\g<1>{time}", text)


@edit("times-backwards", "none", "keep the order of the file", intact=False)
def _backwards(random: Random, text: str) -> str:
    return put(rich(text), "metadata/mouseTracking/time", "1641425059999")
