from __future__ import annotations

import gzip
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from abpipe.contents import CONTENTS
from abpipe.errors import BrokenSource, MissingSource, UnknownSource
from abpipe.raw.sources import Container, Source, find

Pack = Callable[..., Path]
ONE = [("a.xml", b"<annotation/>")]


def refusal(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(UnknownSource) as error:
        find(str(path))
    return error.value.found


@pytest.mark.parametrize(
    ("name", "container"),
    [
        ("a.tar", "tar"),
        ("a.tar.gz", "tar"),
        ("a.tar.zst", "tar"),
        ("a.zip", "zip"),
        ("a.xml", "file"),
        ("folder", "folder"),
    ],
)
def test_the_container_is_told_from_the_bytes_not_the_name(
    pack: Pack, name: str, container: Container
) -> None:
    path = pack(name, ONE)
    other = path.rename(path.with_name("other.bin"))
    assert find(str(other)) == [Source(other, "other.bin", container, CONTENTS["imagenet-ab"])]


@pytest.mark.parametrize("text", [b"[]", b'\xef\xbb\xbf [{"image_id": 1}]', b'{"page_id": 1}\n'])
def test_json_is_told_by_its_first_bracket(tmp_path: Path, text: bytes) -> None:
    for name, content in {"a.json": text, "a.json.gz": gzip.compress(text)}.items():
        (tmp_path / name).write_bytes(content)
        (source,) = find(str(tmp_path / name))
        assert (source.container, source.content) == ("file", CONTENTS["coco-ab"])


def test_a_tar_that_ends_with_a_zip_is_a_tar(pack: Pack) -> None:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr("b.xml", "<annotation/>")
    path = pack("a.tar", [*ONE, ("b.zip", memory.getvalue())])
    assert zipfile.is_zipfile(path)
    assert find(str(path))[0].container == "tar"


def test_a_zip_without_its_end_is_a_broken_zip(pack: Pack) -> None:
    path = pack("a.zip", ONE)
    path.write_bytes(path.read_bytes()[:-5])
    (source,) = find(str(path))
    with pytest.raises(BrokenSource) as error:
        list(source.blocks(lambda: pytest.fail("nothing can be read")))
    assert error.value.why == "the zip archive is cut off or damaged: File is not a zip file"


def test_an_html_page_is_a_failed_download(tmp_path: Path) -> None:
    page = b"\n<!DOCTYPE HTML><html><head><title>404</title></head></html>"
    said = "it is an HTML page, as a failed download leaves it. Fetch it again"
    assert refusal(tmp_path / "imagenet_ab_v1_0.tar.gz", page) == said
    assert refusal(tmp_path / "imagenet_ab_v1_0.tar.gz", gzip.compress(page)) == said
    assert refusal(tmp_path / "imagenet_ab_v1_0.tar.gz", b'<?xml version="1.0"?><html>') == said


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "the file is empty"),
        (gzip.compress(b""), "the file is empty"),
        (b"GIF89a\0\1", "it is no tar, zip, XML or JSON file; it begins with 'GIF89a\\x00\\x01'"),
        (b"\xff\xd8", "it is no tar, zip, XML or JSON file; it begins with '\\xff\\xd8'"),
    ],
    ids=["empty", "gzip of nothing", "picture", "other picture"],
)
def test_what_is_no_source_says_what_was_found(tmp_path: Path, content: bytes, found: str) -> None:
    assert refusal(tmp_path / "a", content) == found


def test_the_error_says_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(UnknownSource) as error:
        find(str(tmp_path / "a"))
    assert str(error.value) == (
        "a: the file is empty. Expected ImageNet-AB (XML files in a folder, tar or zip), "
        "COCO-AB (JSON), page records (JSON, also in a folder, tar or zip), all compressed or not, "
        "or a folder of pictures"
    )


def test_a_folder_without_xml_is_no_source(pack: Pack) -> None:
    with pytest.raises(UnknownSource) as error:
        find(str(pack("folder", [("README", b""), ("a/b.txt", b"")])))
    assert error.value.found == "the folder holds neither XML files nor page records nor pictures"


def test_a_gzip_cut_off_at_once_is_broken_not_empty(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"<annotation/>")[:12])
    with pytest.raises(BrokenSource, match=r"a\.gz: the compressed data is cut off"):
        find(str(tmp_path / "a.gz"))


@pytest.mark.parametrize("name", ["gone.tar", "no/such/folder", "*.none", "x" * 300, "a\0b", "**x"])
def test_a_path_or_glob_that_names_nothing_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingSource) as error:
        find(name)
    assert str(error.value) == f"{name} does not exist. Check the path, or quote a glob"


def test_an_empty_path_is_not_the_folder_one_stands_in(
    pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pack("folder", ONE))
    with pytest.raises(MissingSource, match="'' does not exist"):
        find("")


def test_a_glob_names_sources_in_order_and_a_literal_name_comes_first(pack: Pack) -> None:
    paths = [pack(name, ONE) for name in ("b.tar", "a.tar", "[ab].tar")]
    folder = paths[0].parent
    assert [source.name for source in find(str(folder / "?.tar"))] == ["a.tar", "b.tar"]
    assert [source.name for source in find(str(folder / "[ab].tar"))] == ["[ab].tar"]


def test_a_link_has_the_name_of_what_it_leads_to(pack: Pack) -> None:
    path = pack("a.tar", ONE)
    (path.parent / "link").symlink_to(path)
    assert find(str(path.parent / "link"))[0].name == "a.tar"


def test_names_that_are_no_utf_8_are_spelled_out(pack: Pack) -> None:
    path = pack("a.tar", ONE)
    other = path.rename(os.fsdecode(bytes(path.parent) + b"/\xe9.tar"))
    assert find(str(other))[0].name == "\\xe9.tar"


def test_a_pipe_is_refused_with_a_reason(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_RDWR)
    os.write(writer, b"<annotation/>")
    with pytest.raises(BrokenSource) as error:
        find(str(tmp_path / "pipe"))
    os.close(writer)
    assert error.value.why.startswith("it cannot be read: ")


def test_a_folder_is_known_by_its_paths_sizes_and_hashes(pack: Pack) -> None:
    def identity(name: str, files: list[tuple[str, bytes]]) -> tuple[int, str]:
        return find(str(pack(name, files)))[0].identity()

    files = [("a/1.xml", b"<a/>"), ("b.xml", b"<bb/>")]
    known = identity("one", files)
    assert known[0] == 9
    assert identity("two", files[::-1]) == known
    assert identity("three", [("a/2.xml", b"<a/>"), ("b.xml", b"<bb/>")]) != known
    assert identity("four", [("a/1.xml", b"<z/>"), ("b.xml", b"<bb/>")]) != known


def test_a_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes(b"<a/>")
    sha256 = "29114363f749a0226b6988dda3ca2492a954117ab6b5f382706c20300dabc079"
    assert find(str(tmp_path / "a.xml"))[0].identity() == (4, sha256)
