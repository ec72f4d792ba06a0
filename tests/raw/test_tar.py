from __future__ import annotations

import io
import tarfile
from collections import Counter, deque
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abpipe.errors import BrokenSource
from abpipe.raw.block import XmlBlock
from abpipe.raw.buffer import Buffer
from abpipe.raw.streams import Plain
from abpipe.raw.tar import TarReader, looks_like_tar
from abpipe.rows import Batch

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
SMALL = 1024

Tar = Callable[..., bytes]


class Walk:
    """What a walk over an archive finds, with a single buffer of some size, as one process has."""

    def __init__(self, data: bytes, size: int = 1 << 16) -> None:
        self.members: list[tuple[str, bytes]] = []
        self.counts: Counter[str] = Counter()
        self.rejects: list[tuple[str, str, str]] = []
        self.error: BrokenSource | None = None
        self._slot = Buffer.private(size)
        self._free = deque([self._slot])
        stream = Plain(io.BytesIO(data), "a.tar")
        try:
            for block in TarReader(stream, "a.tar", self._free.popleft).blocks():
                self._take(block)
        except BrokenSource as err:
            self.error = err

    def _take(self, block: object) -> None:
        if isinstance(block, Batch):
            self.counts += block.counts
            found = block.tables["rejects"].to_pylist() if block.tables else []
            self.rejects += [(row["member"], row["code"], row["message"]) for row in found]
            return
        assert isinstance(block, XmlBlock)
        for name, start, end in zip(block.members, block.starts, block.ends, strict=True):
            self.members.append((name, bytes(block.buffer.view[start:end])))
        if block.buffer is self._slot:
            self._free.append(self._slot)

    def complete(self) -> Walk:
        assert self.error is None, self.error
        return self


def expected(data: bytes) -> list[tuple[str, bytes]]:
    """The XML files that Python's own reader finds."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = [
            (info.name, file.read())
            for info in archive
            if info.isreg() and (file := archive.extractfile(info)) is not None
        ]
    base = [(name, name.rpartition("/")[2], content) for name, content in found]
    return [
        (name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"), content)
        for name, file, content in base
        if file.lower().endswith(".xml") and not file.startswith("._")
    ]


def resealed(header: bytes) -> bytes:
    """A header with the checksum that its bytes have."""
    blank = bytearray(header)
    blank[148:156] = b" " * 8
    blank[148:156] = b"%06o\0 " % sum(blank[:512])
    return bytes(blank)


sizes = st.sampled_from([0, 1, 511, 512, 513, 1024, 1500, 4000])
steps = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=90)
paths = st.lists(steps, min_size=1, max_size=4).map("/".join)
kinds = st.sampled_from(
    [tarfile.REGTYPE] * 6 + [tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.AREGTYPE]
)


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    form = draw(st.sampled_from(FORMATS))
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w", format=form) as archive:
        for number in range(draw(st.integers(0, 6))):
            info = tarfile.TarInfo(
                draw(paths) + draw(st.sampled_from([".xml", ".XML", ".txt", ""]))
            )
            info.type, info.linkname = draw(kinds), draw(st.sampled_from(["to", "to/" * 60]))
            info.size = draw(sizes) if info.isreg() else 0
            try:
                archive.addfile(info, io.BytesIO(bytes([65 + number]) * info.size))
            except ValueError:  # ustar takes no such long name
                continue
    return memory.getvalue()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(archives(), st.sampled_from([512, 1024, 1536, 4096, 1 << 16]))
def test_the_walk_finds_what_tarfile_finds_with_any_buffer(data: bytes, size: int) -> None:
    assert Walk(data, size).complete().members == expected(data)


@pytest.mark.parametrize("form", FORMATS)
def test_names_longer_than_a_header_are_read_in_every_format(tar: Tar, form: int) -> None:
    name = f"train_xml/{'n' * 80}/{'x' * 60}.xml"  # ustar splits it at a slash
    data = tar([(name, b"<a/>"), ("b.xml", b"<b/>")], form)
    assert Walk(data, SMALL).complete().members == [(name, b"<a/>"), ("b.xml", b"<b/>")]


def test_names_that_are_no_utf_8_are_spelled_out(tar: Tar) -> None:
    name = b"n\xff\xe9.xml".decode("utf-8", "surrogateescape")
    data = tar([(name, b"<a/>")])
    assert Walk(data).complete().members == [("n\\xff\\xe9.xml", b"<a/>")]


def test_names_are_only_names(tar: Tar) -> None:
    names = [
        "../../etc/passwd.xml",
        "/etc/passwd.xml",
        "a\nb.xml",
        "c" * 3000 + ".xml",
        "\x1b[2J.xml",
    ]
    data = tar([(name, b"<a/>") for name in names])
    assert [name for name, _ in Walk(data, SMALL).complete().members] == names


def test_junk_is_counted_by_its_reason_and_directories_are_no_files(tar: Tar) -> None:
    folder, link = tarfile.TarInfo("train_xml"), tarfile.TarInfo("link.xml")
    folder.type, link.type, link.linkname = tarfile.DIRTYPE, tarfile.SYMTYPE, "a.xml"
    data = tar(
        [
            (folder, b""),
            ("train_xml/._a.xml", b"junk"),
            ("a.xml", b"<a/>"),
            (link, b""),
            ("README", b""),
        ]
    )
    found = Walk(data, SMALL).complete()
    assert found.members == [("a.xml", b"<a/>")]
    assert found.counts == {
        "members.junk": 3,
        "junk.appledouble": 1,
        "junk.link-or-device": 1,
        "junk.not-xml": 1,
    }


@pytest.mark.parametrize(
    "kind", [tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE]
)
def test_what_is_no_file_has_no_content_whatever_its_size_says(tar: Tar, kind: bytes) -> None:
    data = tar([("d", b""), ("a.xml", b"<a/>")])
    header = bytearray(data[:512])
    header[124:136], header[156:157] = b"00000000700\0", kind
    data = resealed(bytes(header)) + data[512:]
    assert Walk(data).complete().members == [("a.xml", b"<a/>")] == expected(data)


@pytest.mark.parametrize(
    "size",
    [
        b"00000000004\0",
        b"          4 ",
        b"4\0\0\0\0\0\0\0\0\0\0\0",
        b"000000000004",
        b"\x80" + b"\0" * 10 + b"\x04",
    ],
    ids=["usual", "blanks", "short", "twelve digits", "base 256"],
)
def test_sizes_are_read_however_they_are_written(tar: Tar, size: bytes) -> None:
    data = tar([("a.xml", b"<a/>"), ("b.xml", b"<bb/>")])
    data = resealed(data[:124] + size + data[136:512]) + data[512:]
    assert Walk(data).complete().members == [("a.xml", b"<a/>"), ("b.xml", b"<bb/>")]


@pytest.mark.parametrize(
    "size", [b"-0000001000\0", b"0000_000004\0", b"00000000zzz\0", b"\xff" * 12, b"0o000000004\0"]
)
def test_sizes_that_are_no_numbers_are_damage_even_under_a_right_checksum(
    tar: Tar, size: bytes
) -> None:
    data = tar([("a.xml", b"<a/>"), ("b.xml", b"<b/>")])
    bad = resealed(data[1024:1148] + size + data[1160:1536])
    found = Walk(data[:1024] + bad + data[1536:])
    assert found.members == [("a.xml", b"<a/>")]
    assert found.error is not None
    assert (found.error.offset, found.error.member) == (1024, "a.xml")


def test_sparse_members_are_rejected(tar: Tar) -> None:
    sparse = tarfile.TarInfo("a.xml")
    sparse.type = tarfile.GNUTYPE_SPARSE
    found = Walk(tar([(sparse, b"<a/>"), ("b.xml", b"<b/>")])).complete()
    assert found.members == [("b.xml", b"<b/>")]
    assert found.rejects == [("a.xml", "sparse", "sparse tar members are not supported")]


def test_a_pax_header_gives_name_and_size_to_the_next_member_only(tar: Tar) -> None:
    info = tarfile.TarInfo("short.xml")
    info.pax_headers = {"path": "long é.xml", "size": "5"}
    data = tar([(info, b"<aa/>"), ("b.xml", b"<b/>")], tarfile.PAX_FORMAT)
    assert Walk(data, SMALL).complete().members == [("long é.xml", b"<aa/>"), ("b.xml", b"<b/>")]


def test_large_junk_of_growing_size_costs_no_buffer(tar: Tar) -> None:
    junk = [(f"{n}.bin", b"x" * n) for n in (3000, 6000, 9000)]
    files = [(f"{n}.xml", b"y" * 900) for n in range(30)]
    assert Walk(tar([*junk, *files]), 2048).complete().members == files


def test_members_too_large_to_hold_are_rejected_and_the_next_one_is_found(
    tar: Tar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("abpipe.raw.tar.MAX_MEMBER", 4096)
    big = [
        ("a.xml", b"<a/>"),
        ("big.xml", b"x" * 9000),
        ("big.bin", b"x" * 9000),
        ("b.xml", b"<b/>"),
    ]
    for size in (SMALL, 1 << 16):
        found = Walk(tar(big), size).complete()
        assert {("a.xml", b"<a/>"), ("b.xml", b"<b/>")} <= {*found.members}
    found = Walk(tar(big), SMALL)
    assert found.rejects == [("big.xml", "too-large", "9,000 bytes; a member may have 67,108,864")]
    assert found.counts["junk.not-xml"] == 1


THREE = [("a.xml", b""), ("b.xml", b"<b/>" * 150), ("c.xml", b"<c/>")]


@pytest.mark.parametrize("form", FORMATS)
def test_a_cut_at_any_byte_gives_the_members_before_it_and_an_error(tar: Tar, form: int) -> None:
    members = [*THREE[:2], ("n" * 120 + "/c.xml", b"<c/>")] if form else THREE
    data = tar(members, form)
    whole = data.rstrip(b"\0")
    end = -(-len(whole) // 512) * 512
    bounds = list(_ends(data, members))
    for cut in range(end + 1):
        found = Walk(data[:cut], SMALL)
        n = sum(bound <= cut for bound in bounds)
        assert found.members == members[:n]
        assert found.error is not None
        assert found.error.why == "the archive is cut off: it has no end marker"
        assert found.error.offset <= cut
    assert Walk(data[: end + 512], SMALL).complete().members == members


def _ends(data: bytes, members: list[tuple[str, bytes]]) -> Iterator[int]:
    """Where each member's last record ends."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for info, (_, content) in zip(archive, members, strict=True):
            yield info.offset_data + -(-len(content) // 512) * 512


def test_a_changed_byte_in_a_header_is_damage_there(tar: Tar) -> None:
    data = tar(THREE)
    at = data.index(b"c.xml")
    for place in range(at, at + 512):
        if at + 148 <= place < at + 156:
            continue  # the checksum may be written in several ways
        for size in (SMALL, 1 << 16):
            changed = bytearray(data)
            changed[place] ^= 0x15
            found = Walk(bytes(changed), size)
            assert found.members == THREE[:2], place
            assert found.error is not None
            assert found.error.why == "a tar header is damaged: its checksum is wrong"
            assert (found.error.offset, found.error.member) == (at, "b.xml")


def test_the_error_says_how_far_the_archive_was_readable(tar: Tar) -> None:
    data = bytearray(tar(THREE))
    data[data.index(b"c.xml")] = ord("d")
    assert str(Walk(bytes(data)).error) == (
        "a.tar: a tar header is damaged: its checksum is wrong (readable up to byte 2,048, "
        "in b.xml). Nothing of it was stored. "
        "Fetch the file again, or keep what was readable: `--keep-partial`"
    )


def test_an_archive_is_known_by_its_first_header_even_a_damaged_one(tar: Tar) -> None:
    data = tar(THREE)
    assert looks_like_tar(data)
    assert looks_like_tar(b"z" + data[1:])
    assert looks_like_tar(bytes(1024))
    assert not looks_like_tar(data[:511])
    assert not looks_like_tar(b"<annotation>" * 100)
