from __future__ import annotations

import os
import random
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from abpipe.errors import BrokenSource
from abpipe.raw.block import Blocks, XmlBlock
from abpipe.raw.buffer import Buffer
from abpipe.raw.files import file_blocks, folder_blocks, walk, zip_blocks
from abpipe.raw.members import junk
from abpipe.rows import Batch

Pack = Callable[..., Path]
FILES = [("a/1.xml", b"<a/>" * 50), ("a/._1.xml", b"junk"), ("README", b""), ("b.xml", b"<b/>")]


def take() -> Buffer:
    return Buffer.private(256)


def read(
    blocks: Blocks,
) -> tuple[list[tuple[str, bytes]], Counter[str], list[tuple[str, str, str]]]:
    """The members, the counts and the rejects (member, code, message) of blocks."""
    members: list[tuple[str, bytes]] = []
    counts: Counter[str] = Counter()
    rejects: list[dict[str, Any]] = []
    for block in blocks:
        if isinstance(block, Batch):
            counts += block.counts
            rejects += block.tables["rejects"].to_pylist() if block.tables else []
        else:
            assert isinstance(block, XmlBlock)
            view = block.buffer.view
            members += [
                (name, bytes(view[start:end]))
                for name, start, end in zip(block.members, block.starts, block.ends, strict=True)
            ]
    return members, counts, [(row["member"], row["code"], row["message"]) for row in rejects]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a/b.xml", None),
        ("B.XML", None),
        ("._b.xml", "appledouble"),
        ("a/._b.xml", "appledouble"),
        ("._a/b.xml", None),
        ("b.xml.gz", "not-xml"),
        (".xml", None),
        ("", "not-xml"),
        ("a/", "not-xml"),
    ],
)
def test_junk_is_what_is_no_xml_file_and_what_macos_leaves_behind(
    name: str, reason: str | None
) -> None:
    assert junk(name) == reason


@pytest.mark.parametrize("name", ["folder", "a.zip"])
def test_every_file_is_a_member_or_counted_junk(pack: Pack, name: str) -> None:
    source = pack(name, FILES)
    blocks = zip_blocks(source, "a.zip", take) if name == "a.zip" else folder_blocks(source, take)
    members, counts, rejects = read(blocks)
    assert (members, rejects) == ([FILES[0], FILES[3]], [])
    assert counts == {"members.junk": 2, "junk.appledouble": 1, "junk.not-xml": 1}


def test_a_single_file_is_a_member_by_its_name(pack: Pack) -> None:
    assert read(file_blocks(pack("a.xml", FILES), take))[0] == [("a.xml", FILES[0][1])]


def test_files_larger_than_a_buffer_keep_their_order(pack: Pack) -> None:
    files = [(f"{n}.xml", b"x" * size) for n, size in enumerate([10, 300, 200, 200, 1000, 1, 1])]
    assert read(folder_blocks(pack("folder", files), take))[0] == files


def test_a_folder_is_walked_by_the_parts_of_its_paths(pack: Pack) -> None:
    names = ["a/z.xml", "a.xml", "a/b/c.xml", "B.xml", "a-b.xml"]
    folder = pack("folder", [(name, b"") for name in names])
    walked = [path for path, _ in walk(folder)]
    assert walked == ["B.xml", "a/b/c.xml", "a/z.xml", "a-b.xml", "a.xml"]


def test_file_names_that_are_no_utf_8_are_spelled_out(tmp_path: Path) -> None:
    Path(os.fsdecode(bytes(tmp_path) + b"/\xff\xe9.xml")).write_bytes(b"<a/>")
    assert read(folder_blocks(tmp_path, take))[0] == [("\\xff\\xe9.xml", b"<a/>")]


def test_pipes_and_devices_in_a_folder_are_not_waited_for(pack: Pack) -> None:
    folder = pack("folder", FILES)
    os.mkfifo(folder / "pipe.xml")
    assert len(read(folder_blocks(folder, take))[0]) == 2


def test_a_file_that_cannot_be_read_is_a_reject(pack: Pack) -> None:
    folder = pack("folder", FILES)
    (folder / "c.xml").symlink_to("/proc/self/mem")  # opens, and cannot be read at 0, even by root
    members, _, rejects = read(folder_blocks(folder, take))
    assert members == [FILES[0], FILES[3]]
    assert rejects == [("c.xml", "unreadable", "the file cannot be read: Input/output error")]


def test_a_zip_member_with_a_wrong_crc_is_a_reject_and_the_rest_goes_on(pack: Pack) -> None:
    archive = pack("a.zip", FILES)
    with zipfile.ZipFile(archive, "w") as stored:
        for name, content in FILES:
            stored.writestr(name, content)
    data = bytearray(archive.read_bytes())
    data[data.index(b"<a/>")] = ord("z")
    archive.write_bytes(data)
    members, counts, rejects = read(zip_blocks(archive, "a.zip", take))
    assert members == [FILES[3]]
    message = "the member cannot be read: Bad CRC-32 for file 'a/1.xml'"
    assert rejects == [("a/1.xml", "bad-zip-member", message)]
    assert counts["members.rejected"] == 1


def test_an_encrypted_zip_member_is_a_reject(pack: Pack) -> None:
    archive = pack("a.zip", FILES)
    data = bytearray(archive.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(data)
    members, _, rejects = read(zip_blocks(archive, "a.zip", take))
    assert members == [FILES[3]]
    assert [(member, code) for member, code, _ in rejects] == [("a/1.xml", "bad-zip-member")]


def test_members_over_the_limit_are_hashed_whole_and_kept_in_part(
    pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("abpipe.raw.files.MAX_MEMBER", 100)
    files = [("a.xml", b"x" * 101), ("b.xml", b"y" * 100)]
    for blocks in (
        folder_blocks(pack("folder", files), take),
        zip_blocks(pack("a.zip", files), "a.zip", take),
    ):
        members, _, rejects = read(blocks)
        assert members == [files[1]]
        assert rejects == [("a.xml", "too-large", "101 bytes; a member may have 67,108,864")]


@pytest.mark.parametrize(
    "how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_damage_in_a_zip_gives_rejects_or_an_error_and_never_other_content(
    tmp_path: Path, how: int
) -> None:
    archive, rng = tmp_path / "a.zip", random.Random(how)
    files = [(f"é{n}.xml", bytes([65 + n]) * 300) for n in range(3)]
    with zipfile.ZipFile(archive, "w", how) as whole:
        for name, content in files:
            whole.writestr(name, content)
    data = archive.read_bytes()
    for _ in range(400):
        changed = bytearray(data[: rng.choice([len(data), rng.randrange(len(data))])] or b"PK")
        for _ in range(rng.randrange(1, 3)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        archive.write_bytes(changed)
        try:
            members, _, _ = read(zip_blocks(archive, "a.zip", take))
        except BrokenSource as err:
            assert err.why.startswith("the zip archive is cut off or damaged: ")
        else:
            assert {content for _, content in members} <= {content for _, content in files} | {b""}
