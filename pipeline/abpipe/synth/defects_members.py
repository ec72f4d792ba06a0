"""Defects of ImageNet-AB's archive: members that are not files like the others."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from abpipe.synth.defects import Registry
from abpipe.synth.tar import Member
from abpipe.synth.xml_edits import before, element, put, rich

MEMBERS: Registry[Member, list[Member]] = Registry()
_APPLE_DOUBLE = b"\0\5\x16\7\0\2\0\0Mac OS X        \0\2\0\0\0\x09\0\0\0\x32\0\0\0\xb0"


@MEMBERS.add("apple-double", "none", "skip it as junk, and count it")
def _apple_double(random: Random, good: Member) -> list[Member]:
    folder, name = good.name.rsplit("/", 1)
    content = _APPLE_DOUBLE + random.randbytes(180)
    return [Member(f"{folder}/._{name}", content), good]


@MEMBERS.add("ds-store", "none", "skip it as junk, and count it")
def _ds_store(random: Random, good: Member) -> list[Member]:
    folder = good.name.rsplit("/", 1)[0]
    return [Member(f"{folder}/.DS_Store", b"\0\0\0\1Bud1" + random.randbytes(400)), good]


@MEMBERS.add("readme", "none", "skip it as junk, and count it")
def _readme(random: Random, good: Member) -> list[Member]:
    return [Member("train_xml/README.txt", b"Annotation byproducts.\n"), good]


@MEMBERS.add("directory", "none", "it is no file")
def _directory(random: Random, good: Member) -> list[Member]:
    return [Member(good.name.rsplit("/", 1)[0] + "/", type=b"5"), good]


@MEMBERS.add("symlink", "none", "it is no file: skip it, and count it")
def _symlink(random: Random, good: Member) -> list[Member]:
    link = Member(good.name.replace(".xml", "_link.xml"), type=b"2", link="../../../etc/hostname")
    return [link, good]


@MEMBERS.add("hard-link", "none", "it is no file of its own: skip it, and count it")
def _hard_link(random: Random, good: Member) -> list[Member]:
    return [good, Member(good.name.replace(".xml", "_link.xml"), type=b"1", link=good.name)]


@MEMBERS.add("long-name-pax", "none", "the pax record holds the name")
def _long_pax(random: Random, good: Member) -> list[Member]:
    return [_deeper(good)]


@MEMBERS.add("long-name-gnu", "none", "the member before holds the name")
def _long_gnu(random: Random, good: Member) -> list[Member]:
    return [replace(_deeper(good), long_names="gnu")]


@MEMBERS.add("unicode-name", "none", "read on")
def _unicode_name(random: Random, good: Member) -> list[Member]:
    return [replace(good, name=good.name.replace("train_xml", "train_xml/größe 画像"))]


def _deeper(good: Member) -> Member:
    return replace(good, name=good.name.replace("train_xml", "train_xml/" + "very/long/" * 20))


@MEMBERS.add("leading-dot-slash", "none", "read on")
def _dot_slash(random: Random, good: Member) -> list[Member]:
    return [replace(good, name=f"./{good.name}")]


@MEMBERS.add("traversal", "none", "read it where it is: a name is never a path to write to")
def _traversal(random: Random, good: Member) -> list[Member]:
    return [replace(good, name=f"../../{good.name}")]


@MEMBERS.add("same-file-twice", "none", "drop and count the second of equal records")
def _twice(random: Random, good: Member) -> list[Member]:
    return [good, good]


@MEMBERS.add("same-image-changed", "none", "keep both records, and flag them", intact=False)
def _twice_changed(random: Random, good: Member) -> list[Member]:
    changed = put(rich(good.data.decode()), "metadata/estimateTime", "424242").encode()
    return [good, replace(good, name=good.name.replace(".xml", " (1).xml"), data=changed)]


@MEMBERS.add("huge-file", "none", "read on: a trace of thousands of moves", intact=False)
def _huge(random: Random, good: Member) -> list[Member]:
    text = rich(good.data.decode())
    begin, end = element(text, "metadata/mouseTracking")
    return [good.but(before(text, "metadata/mouseTracking", text[begin:end] * 2_000).encode())]
