from __future__ import annotations

import gzip
import json  # noqa: TID251 - the tools write it
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abpipe.contents import CONTENTS
from abpipe.events.parse import parser
from abpipe.raw.buffer import BLOCK_BYTES, Buffer
from abpipe.raw.sources import find
from abpipe.rows import Batch

from .rebuild_pages import rebuild

ROOT = Path(__file__).resolve().parents[2]
REAL = Path(os.environ.get("ABPIPE_REAL") or ROOT.parent / "shared" / "real") / "tool_pages"

pytestmark = pytest.mark.usefixtures("real_records")

Ingest = Callable[..., Any]
fuzz = settings(
    max_examples=int(os.environ.get("ABPIPE_FUZZ_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

Object = dict[str, Any]
Pack = Callable[..., Path]
Rows = Callable[..., list[tuple[Any, ...]]]
Run = Callable[..., tuple[int, str, str]]


def stored(tool: str) -> list[Object]:
    return lines(f"{tool}_stored.jsonl")


def people(tool: str) -> list[Object]:
    return lines(f"{tool}_annotations.jsonl")


def lines(name: str) -> list[Object]:
    return [json.loads(line) for line in (REAL / name).read_bytes().splitlines()]


def sent(tool: str) -> list[Object]:
    n = {"imagenet": 3, "coco": 16}[tool]
    return [json.loads((REAL / f"{tool}_page_{i}.json").read_bytes()) for i in range(1, n + 1)]


def dump(*records: Object) -> bytes:
    return b"\n".join(json.dumps(record).encode() for record in records)


class Told:
    """What a source tells: the rows of its blocks, as in a store, but with ids as they are."""

    def __init__(self, path: Path, content: str = "") -> None:
        sources = [s for s in find(str(path)) if content in s.content.name]
        (self.source,) = sources
        self.annotations: list[Object] = []
        self.events: list[Object] = []
        self.rejects: list[Object] = []
        self.counts: Counter[str] = Counter()
        parse = parser(self.source).parse
        for block in self.source.blocks(lambda: Buffer.private(BLOCK_BYTES)):
            batch = block if isinstance(block, Batch) else parse(block)
            self.counts += batch.counts
            first = len(self.annotations)
            for name, table in batch.tables.items():
                for row in table.to_pylist():
                    if "annotation_id" in row:
                        row["annotation_id"] += first
                    getattr(self, name, []).append(row)

    def rebuilt(self) -> tuple[list[Object], list[Object]]:
        return rebuild(self.annotations, self.events)

    def same(self) -> tuple[list[Object], list[Object]]:
        """The rows, wherever they come from and in whatever order."""
        numbers = {row["annotation_id"]: row["started_ms"] for row in self.annotations}
        rows = [row | {"member": 0, "annotation_id": 0} for row in self.annotations]
        events = [e | {"annotation_id": numbers[e["annotation_id"]]} for e in self.events]
        return sorted(rows, key=repr), sorted(events, key=repr)

    def reasons(self) -> list[tuple[str, str, int]]:
        return [(row["code"], row["message"], row["offset"]) for row in self.rejects]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    """By tool: what its stored pages tell, with the annotation records in the same file."""
    made = {}
    for tool in ("imagenet", "coco"):
        path = tmp_path_factory.mktemp(tool) / "pages.jsonl"
        path.write_bytes(dump(*stored(tool), *people(tool)))
        made[tool] = Told(path)
    return made


@pytest.mark.parametrize("tool", ["imagenet", "coco"])
def test_every_real_page_can_be_rebuilt_from_its_rows(
    tool: str, pack: Pack, expected: dict[str, Told]
) -> None:
    assert expected[tool].rebuilt() == (stored(tool), people(tool))
    told = Told(pack("folder", [(f"{i:02}.json", dump(one)) for i, one in enumerate(sent(tool))]))
    assert told.rebuilt() == (sent(tool), [])
    assert told.rejects == expected[tool].rejects == []


FORMS: dict[str, Callable[[list[Object], list[Object]], dict[str, bytes]]] = {
    "lines": lambda told, who: {"a.jsonl": dump(*told, *who)},
    "people first": lambda told, who: {"a.jsonl": dump(*who, *told)},
    "array": lambda told, who: {"a.json": json.dumps(told + who).encode()},
    "pretty array": lambda told, who: {"a.json": json.dumps(who + told, indent=4).encode()},
    "one a file": lambda told, who: {
        f"{i}/a.json": json.dumps(record, indent=1).encode() for i, record in enumerate(told + who)
    },
    "compressed files": lambda told, who: {
        "a.json.gz": gzip.compress(dump(*told)),
        "b.jsonl.zst": zstandard.compress(dump(*who)),
    },
}


@pytest.mark.parametrize("tool", ["imagenet", "coco"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["folder", "a.tar.gz", "a.zip"])
def test_pages_read_alike_in_every_form(
    name: str, form: str, tool: str, pack: Pack, expected: dict[str, Told]
) -> None:
    told = Told(pack(name, FORMS[form](stored(tool), people(tool)).items()))
    assert told.source.content is CONTENTS[f"{tool}-pages"]
    assert told.same() == expected[tool].same()
    assert (told.rejects, told.counts["records.total"]) == ([], len(told.annotations))


@pytest.mark.parametrize("tool", ["imagenet", "coco"])
@pytest.mark.parametrize("form", ["lines", "people first", "array", "pretty array"])
@pytest.mark.parametrize("pack_file", [bytes, gzip.compress, zstandard.compress])
def test_pages_read_alike_in_a_file_of_any_name(
    pack_file: Callable[[bytes], bytes],
    form: str,
    tool: str,
    tmp_path: Path,
    expected: dict[str, Told],
) -> None:
    (content,) = FORMS[form](stored(tool), people(tool)).values()
    (tmp_path / "any").write_bytes(pack_file(content))
    assert Told(tmp_path / "any").same() == expected[tool].same()


@pytest.mark.parametrize("tool", ["imagenet", "coco"])
def test_real_records_fit_the_schema(tool: str) -> None:
    declared = json.loads((ROOT / "schemas" / "raw" / "tool_pages.schema.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(declared)
    validator = jsonschema.Draft202012Validator(declared)
    for record in sent(tool) + stored(tool) + people(tool):
        validator.validate(record)
    broken: list[Object] = [{}, {"page": {}}, sent(tool)[0] | {"endedAt": None}, {"id": "only"}]
    for record in broken:
        assert not validator.is_valid(record)


def test_a_page_has_the_people_of_the_annotation_that_it_names(expected: dict[str, Told]) -> None:
    names = ("page", "annotator_id", "assignment_id", "hit_id", "started_ms", "ended_ms")
    found = [tuple(row[name] for name in names) for row in expected["coco"].annotations]
    who = ("WORKERONE", "ASGA", "MTURKA")
    assert found[0] == (0, *who, 1795254248542, 1795254260574)
    assert [row[1:4] for row in found] == 11 * [who] + 5 * [(None, None, None)]
    assert [row[0] for row in found] == list(range(16))


def test_values_reach_their_columns(expected: dict[str, Told]) -> None:
    page = stored("imagenet")[0]["annotations"]
    rows = expected["imagenet"].annotations[:48]
    for row, shown in zip(rows, page, strict=True):
        assert row["image_id"] == shown["imageID"].rpartition("/")[2]
        assert (row["page_x"], row["page_y"]) == (*shown["imagePosition"].values(),)
        assert row["selected"] is shown["selected"]
        assert (row["display_width"], row["natural_width"], row["estimate_ms"]) == (
            shown["imageWidth"],
            shown["originalImageWidth"],
            shown["estimateTime"],
        )
    board = stored("coco")[0]["annotation"]
    first = expected["coco"].annotations[0]
    assert (first["image_id"], first["slot"], first["selected"]) == ("9", None, None)
    assert first["time_spent_ms"] == board["timeSpend"]
    drawn = [e for e in expected["coco"].events if e["annotation_id"] == 0 and e["kind"] == "add"]
    assert [(e["label"], e["x"], e["y"], e["t_ms"]) for e in drawn] == [
        (a["iconType"], a["pointTo"]["x"], a["pointTo"]["y"], a["timeAt"])
        for a in board["actionHistories"]
        if a["actionType"] == "add"
    ]


def small(tool: str) -> Object:
    """A short page that has all fields."""
    page = json.loads(json.dumps(stored(tool)[0]))
    if tool == "imagenet":
        del page["annotations"][2:]
        for shown in page["annotations"]:
            del shown["mouseTracking"][2:]
    else:
        del page["annotation"]["mouseTracking"][2:], page["annotation"]["categoryHistories"][2:]
    return dict(page)


def test_a_point_without_a_place_keeps_what_else_it_says(tmp_path: Path) -> None:
    page = small("coco")
    page["annotation"]["actionHistories"][0]["pointTo"] = {"odd": 1}
    (tmp_path / "a.json").write_bytes(dump(page, stored("coco")[-1]))
    assert Told(tmp_path / "a.json").rebuilt()[0][0] == page


def test_a_page_whose_number_is_the_least_of_all_is_a_reject_of_its_own(tmp_path: Path) -> None:
    page = small("coco") | {"pageno": -(1 << 63)}
    (tmp_path / "a.json").write_bytes(dump(page, stored("coco")[-1]))
    told = Told(tmp_path / "a.json")
    assert [reject["message"] for reject in told.rejects] == [
        "/pageno: integer -9223372036854775809 does not fit 64 bits"
    ]
    assert len(told.annotations) == 1


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 63), (1 << 63) - 1), st.text(max_size=3),
    st.floats(allow_nan=False, allow_infinity=False), st.just([]), st.just({}),
    st.just({"odd": [1, {"x": None}]}),
)  # fmt: skip


@pytest.mark.parametrize("tool", ["imagenet", "coco"])
@pytest.mark.fuzz
@given(data=st.data())
@fuzz
def test_a_changed_page_comes_back_as_it_was_or_is_rejected(
    tool: str, tmp_path: Path, data: st.DataObject
) -> None:
    page = small(tool)
    spots: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key in value if isinstance(value, dict) else range(len(value)):
            spots.append((value, key))
            if isinstance(value[key], dict | list):
                walk(value[key])

    walk(page)
    holder, key = data.draw(st.sampled_from(spots), label="spot")
    what = data.draw(st.sampled_from(["drop", "change", "add"]), label="what")
    if what == "drop":
        del holder[key]
    elif what == "change":
        holder[key] = data.draw(VALUES, label="value")
    elif isinstance(holder, dict):
        holder[data.draw(st.sampled_from(["new", "a/b~c", "ü"]))] = data.draw(VALUES, label="value")
    (tmp_path / "a.json").write_bytes(dump(page, stored(tool)[-1]))
    told = Told(tmp_path / "a.json")
    if told.rejects:
        assert told.annotations[-1]["page"] == len(stored(tool)) - 1
    else:
        assert told.rebuilt()[0] == [page, stored(tool)[-1]]
