from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
import pytest

from abpipe import check
from abpipe.audit import Finding

Ingest = Callable[..., Any]
Pack = Callable[..., Path]
Rows = Callable[[str], list[tuple[Any, ...]]]
Run = Callable[..., tuple[int, str, str]]
Xml = Callable[..., bytes]

RULES = {
    file.name.removesuffix(".sql"): file.read_text("utf-8")
    for file in files("abpipe").joinpath("findings").iterdir()
}
FIRST = 1 << 32
ROOT = Path(__file__).resolve().parents[1]
PAGES = Path(os.environ.get("ABPIPE_REAL") or ROOT.parent / "shared" / "real") / "tool_pages"


def found(findings: Iterable[Finding]) -> dict[str, Finding]:
    """The findings about records, by the rule that they come from."""
    names = {text.splitlines()[0].partition(": ")[2]: name for name, text in RULES.items()}
    return {names[finding.what]: finding for finding in findings if finding.what in names}


@pytest.mark.parametrize("name", RULES)
def test_every_rule_says_what_it_finds_and_how_bad_that_is(name: str) -> None:
    level, _, what = RULES[name].splitlines()[0].partition(": ")
    assert level in ("-- note", "-- warning")
    assert what


def test_the_published_width_that_repeats_the_height_is_found(
    ingest: Ingest, pack: Pack, real: bytes, store: Path
) -> None:
    ingest(pack("one.xml", [("one.xml", real)]))
    what = "the stored width is not the one that the picture was shown with"
    assert check(store=store) == [Finding("warning", "imagenet-ab", what, 1, 1.0, (FIRST,))]


WIDTH = ("<imageWidth>243<", "<imageWidth>324<")
#: Edits of the real record, whose width is right, and the rule that finds each.
EDITS = {
    "display_width": ("<imageWidth>324<", "<imageWidth>320<"),
    "display_height": ("<imageHeight>243<", "<imageHeight>242<"),
    "not_loaded": ("<originalImageHeight>375<", "<originalImageHeight>0<"),
    "outside": ("<x>0.0030864197530864196<", "<x>-0.0030864197530864196<"),
    "far_outside": ("<x>0.0030864197530864196<", "<x>-0.30864197530864196<"),
    "clock_back": ("<time>1641425052027<", "<time>1641425051974<"),
    "clock_jump": ("<time>1641425052027<", "<time>1641435052027<"),
    "hover_count": ("<hoveredCount>1<", "<hoveredCount>2<"),
    "select_count": ("<selectedCount>1<", "<selectedCount>0<"),
    "estimate": ("<estimateTime>", "<estimateTime>9"),
}


def test_nothing_is_found_in_a_record_that_is_as_it_should_be(
    ingest: Ingest, pack: Pack, xml: Xml, store: Path
) -> None:
    ingest(pack("one.xml", [("one.xml", xml(WIDTH))]))
    assert check(store=store) == []


@pytest.mark.parametrize("rule", EDITS)
def test_each_rule_finds_what_it_is_for(
    rule: str, ingest: Ingest, pack: Pack, xml: Xml, store: Path
) -> None:
    good = xml(WIDTH, name="n01440764_1")
    bad = xml(WIDTH, EDITS[rule], name="n01440764_2")
    ingest(pack("both", [("n01440764_1.xml", good), ("n01440764_2.xml", bad)]))
    finding = found(check(store=store))[rule]
    assert (finding.where, finding.count, finding.share) == ("imagenet-ab", 1, 0.5)
    assert finding.examples == (FIRST + 1,)


def coco(*icons: str, at: int = 7, **other: Any) -> dict[str, Any]:
    point = {"x": 53 / 880, "y": 0.5}
    actions = [
        {"actionType": "add", "iconType": icon, "pointFrom": None, "pointTo": point, "timeAt": at}
        for icon in icons
    ]
    record = {"image_id": 9, "hit_id": "a" * 32, "page_id": 1, "worker_id": "a", "imageWidth": 880}
    record |= {"originalImageHeight": 450, "originalImageWidth": 2400, "imageHeight": 450}
    record |= {"timeSpent": 99, "actionHistories": actions}
    return record | {"categoryHistories": [], "mouseTracking": []} | other


def test_a_board_that_shrank_and_events_outside_the_page_are_found(
    tmp_path: Path, ingest: Ingest, store: Path
) -> None:
    icons = [f"icon {n}" for n in range(11)]
    records = [coco(*icons), coco(*icons[:3], image_id=10, at=100), coco(image_id=11)]
    (tmp_path / "coco.json").write_bytes(orjson.dumps(records))
    ingest(tmp_path / "coco.json")
    findings = found(check(store=store))
    assert findings["board_shrank"].examples == (FIRST,)
    assert findings["outside_page"].examples == (FIRST + 1,)
    assert findings["outside_page"].level == "warning"
    assert findings["board_shrank"].count == 1


@pytest.mark.usefixtures("real_records")
def test_on_the_tools_own_pages_only_what_is_known_is_found(
    ingest: Ingest, store: Path, rows: Rows
) -> None:
    for tool in ("coco", "imagenet"):
        ingest(PAGES / f"{tool}_stored.jsonl")
    findings = check(store=store)
    told = {(finding.where, name) for finding in findings for name in found([finding])}
    assert told == {
        ("coco-pages", "board_shrank"),
        ("coco-pages", "outside"),
        ("imagenet-pages", "not_loaded"),
        ("imagenet-pages", "outside"),
    }
    (shrank,) = found(findings)["board_shrank"].examples
    query = f"SELECT page FROM annotations WHERE annotation_id = {shrank}"
    assert rows(query) == [(12,)]  # page 13: pages are counted from 0


def test_findings_are_shown_with_shares_and_examples(
    ingest: Ingest, pack: Pack, real: bytes, run: Run
) -> None:
    ingest(pack("one.xml", [("one.xml", real)]))
    code, shown, _ = run("check")
    assert code == 0
    assert shown.splitlines()[1].split()[-3:] == ["1", "100.00%", str(FIRST)]
    _, written, _ = run("check", "--json")
    (finding,) = orjson.loads(written)
    assert (finding["share"], finding["examples"]) == (1.0, [FIRST])


def test_one_dataset_can_be_queried_shown_and_checked(
    ingest: Ingest, pack: Pack, real: bytes, xml: Xml, run: Run
) -> None:
    ingest(pack("one.xml", [("one.xml", real)]))
    ingest(pack("two.xml", [("two.xml", xml(WIDTH))]), dataset="mine")
    for options, expected in (((), "2"), (("--dataset", "mine"), "1")):
        query = "SELECT count(*) AS n FROM annotations"
        assert run("sql", query, "--format", "csv", *options) == (0, f"n\n{expected}\n", "")
    _, shown, _ = run("info", "--dataset", "mine", "--json")
    summary = orjson.loads(shown)
    assert [source["name"] for source in summary["sources"]] == ["two.xml"]
    assert list(summary["datasets"]) == list(summary["rows"]) == ["mine"]
    assert run("check", "--dataset", "mine") == (0, "", "everything is as it should be\n")
    assert run("check")[1]


@pytest.mark.parametrize("command", [("sql", "SELECT 1"), ("info",), ("check",)])
def test_a_dataset_that_is_not_there_is_named(
    command: tuple[str, ...], ingest: Ingest, pack: Pack, real: bytes, run: Run
) -> None:
    ingest(pack("one.xml", [("one.xml", real)]))
    message = "error: the store holds no dataset 'other'. It holds: imagenet-ab\n"
    assert run(*command, "--dataset", "other") == (1, "", message)
