from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import orjson
import pytest

import abpipe
from abpipe.errors import BadOutput, NeedsExtra, NoStore, NotFound
from abpipe.store import Store
from abpipe.synth import synth
from abpipe.view import report
from abpipe.view.report import Reported

Run: TypeAlias = Callable[..., tuple[int, str, str]]

VOID = {"br", "img", "input", "link", "meta"}


class Page(HTMLParser):
    """A page, closed as it was opened: its elements, each as (tag, attributes, text)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[int] = []
        self.found: list[tuple[str, dict[str, str], str]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.found.append((tag, {name: value or "" for name, value in attrs}, ""))
        if tag not in VOID:
            self.open.append(len(self.found) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.found[self.open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for at in self.open:
            tag, attributes, text = self.found[at]
            self.found[at] = tag, attributes, text + data

    def all(self, *tags: str) -> list[tuple[dict[str, str], str]]:
        return [(attributes, text.strip()) for tag, attributes, text in self.found if tag in tags]

    def table(self, ident: str) -> list[dict[str, str]]:
        """The rows of a table, by its column's titles."""
        (at,) = (
            n for n, (tag, a, _) in enumerate(self.found) if (tag, a.get("id")) == ("table", ident)
        )
        cells, heads = [], 0
        for tag, attributes, text in self.found[at + 1 :]:
            if tag in ("th", "td"):
                cells.append(text.strip())
                heads += attributes.get("scope") == "col"
            elif tag not in ("caption", "thead", "tbody", "tr"):
                break
        head, *rows = (cells[i : i + heads] for i in range(0, len(cells), heads))
        return [dict(zip(head, row, strict=True)) for row in rows]


@pytest.fixture(scope="session")
def text(written: Path) -> str:
    return written.read_text("utf-8")


@pytest.fixture(scope="session")
def parsed(text: str) -> Page:
    return Page(text)


def test_the_page_is_one_file_that_asks_for_nothing(parsed: Page, text: str) -> None:
    for _, attributes, _ in parsed.found:
        for name in ("href", "src", "action", "srcset", "poster", "data"):
            assert attributes.get(name, "#").startswith(("#", "data:")), attributes
    assert not re.search(r"@import|\bfetch\b|XMLHttpRequest|import\(|url\((?!#)", text)
    assert set(re.findall(r"https?://[^\"'\s<]*", text)) <= {"http://www.w3.org/2000/svg"}


def test_every_name_is_given_once_and_every_reference_has_its_name(parsed: Page, text: str) -> None:
    names = [a["id"] for _, a, _ in parsed.found if "id" in a]
    assert len(names) == len({*names})
    for _, attributes, _ in parsed.found:
        referred = attributes.get("aria-labelledby", "").split()
        if attributes.get("href", "").startswith("#"):
            referred.append(attributes["href"][1:])
        assert {*referred} <= {*names}
    assert {*re.findall(r"url\(#([^)]*)\)", text)} <= {*names}


def test_the_page_can_be_heard(parsed: Page) -> None:
    levels = [int(tag[1]) for tag, _, _ in parsed.found if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    tags = [tag for tag, _, _ in parsed.found]
    assert tags.count("main") == tags.count("header") == tags.count("footer") == 1
    assert tags.count("table") == tags.count("caption") > 10
    for attributes, _ in parsed.all("nav"):
        assert attributes["aria-label"]
    for attributes, drawn in parsed.all("svg"):
        assert attributes["role"] == "img"
        assert drawn
    for attributes, _ in parsed.all("th"):
        assert attributes["scope"] in ("col", "row")
    (html,) = parsed.all("html")
    assert html[0] == {"lang": "en"}


def test_the_first_screen_says_what_is_there_and_what_is_wrong(
    done: Reported, stored: Path, text: str
) -> None:
    with abpipe.connect(stored, "imagenet-ab") as connection:
        ((records, moves, people),) = connection.execute(
            "SELECT (SELECT count(*) FROM annotations),"
            " (SELECT count(*) FROM events WHERE kind = 'move' AND x + y + t_ms IS NOT NULL),"
            " (SELECT count(DISTINCT annotator_id) FROM annotations)"
        ).fetchall()
        ((rejects,),) = connection.execute("SELECT count(*) FROM rejects").fetchall()
    figures = done.figures["imagenet-ab"]
    assert (figures["records"], figures["moves"], figures["annotators"]) == (records, moves, people)
    told = {(one.level, one.unit): one.count for one in done.concerns["imagenet-ab"]}
    assert told["warning", "rejects"] == rejects > 0
    assert figures["flagged"] > 0
    levels = [one.level for one in done.concerns["imagenet-ab"]]
    assert levels == sorted(levels, key=("error", "warning", "note").index)
    assert f"<dd>{moves:,}</dd>" in text


def test_the_same_store_gives_the_same_page(stored: Path, written: Path) -> None:
    again = stored.parent / "again.html"
    abpipe.report(again, stored)
    assert again.read_bytes() == written.read_bytes()


def test_sums_add_up_and_are_those_of_the_ledger(parsed: Page, stored: Path) -> None:
    for source in Store(stored).manifest().sources:
        (row,) = (
            row for row in parsed.table(f"{source.dataset}-records") if row["source"] == source.name
        )
        total, *parts = (int(cell.replace(",", "")) for cell in [*row.values()][1:])
        assert total == sum(parts) == source.ledger.records["total"]


def test_histograms_and_quantiles_count_every_record(stored: Path) -> None:
    with abpipe.connect(stored, "imagenet-ab") as connection:
        spreads = {row["measure"]: row for row in answer(connection, "spreads")}
        moves = connection.execute("SELECT n_moves FROM traces").fetchnumpy()["n_moves"]
    assert sum(step["n"] for step in spreads["moves"]["steps"]) == (moves > 0).sum()
    assert spreads["moves"]["zero"] == (moves == 0).sum()
    assert [*spreads] == ["time", "moves", "duration", "way", "hull", "visits"]
    assert (spreads["moves"]["lowest"], spreads["moves"]["highest"]) == (moves.min(), moves.max())
    for spread in spreads.values():
        assert spread["n"] + spread["missing"] == len(moves)
        assert spread["p10"] <= spread["p50"] <= spread["p90"]
        drawn = sum(step["n"] for step in spread["steps"])
        assert drawn + (spread["zero"] if spread["per_decade"] else 0) == spread["n"]


def test_classes_and_places_count_every_answer(stored: Path) -> None:
    with abpipe.connect(stored, "coco-ab") as connection:
        ((answers, inside),) = connection.execute(
            "SELECT count(*), count(*) FILTER (inside) FROM clicks"
        ).fetchall()
        connection.execute("CREATE TEMP TABLE localization_scores AS FROM localization_scores")
        classes, absent = answer(connection, "classes"), answer(connection, "absent")
        assert sum(row["n"] for row in answer(connection, "places")) == inside > 0
    assert sum(row["answers"] for row in classes) == answers
    assert len(classes) + len(absent) == 80


def test_the_worst_examples_lie_off_their_object_and_the_best_fit(stored: Path) -> None:
    with abpipe.connect(stored, "imagenet-ab") as connection:
        examples = answer(connection, "examples")
        ((best,),) = connection.execute(
            "SELECT max(iou) FROM localization WHERE what = 'core'"
        ).fetchall()
    assert [row["which"] for row in examples][:5] == ["best"] * 4 + ["worst"]
    assert examples[0]["iou"] == best
    assert len({row["annotator_id"] for row in examples[:4]}) == 4
    worst = examples[4]
    (click,) = worst["clicks"]
    for xmin, ymin, xmax, ymax in worst["truth"]:
        assert not (xmin <= click["x"] <= xmax and ymin <= click["y"] <= ymax)


def answer(connection: duckdb.DuckDBPyConnection, section: str) -> list[dict[str, Any]]:
    return report._rows(connection, report._query(section))


def test_outliers_lie_three_box_lengths_out_and_a_tenth() -> None:
    rates = [0.1 + 0.001 * n for n in range(40)] + [0.2, 0.9]
    people = ", ".join(f"('p{n}', {rate}::DOUBLE)" for n, rate in enumerate(rates))
    names = ("hurried", "spot", "no_trace", "straight", "jump", "far", "miss", "edge")
    columns = ", ".join(f"rate AS {name}_rate" for name in names)
    with duckdb.connect() as connection:
        connection.execute(
            f"CREATE TABLE annotators AS SELECT *, {columns}, 0.0 AS pace_z, 30 AS n_answered"
            f" FROM (VALUES {people}) AS people (annotator_id, rate)"
        )
        crowd = {row["rate"]: row for row in answer(connection, "crowd")}
    assert crowd["spot_rate"]["outliers"] == [{"annotator_id": "p41", "value": 0.9}]
    assert crowd["spot_rate"]["high"] == pytest.approx(0.139)
    assert crowd["pace_z"]["outliers"] == []


def test_a_page_holds_five_thousand_annotators_those_flagged_first() -> None:
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE annotators AS SELECT range::VARCHAR AS annotator_id, range AS n_records,"
            " if(range < 10, ['hurried'], []) AS flags FROM range(6000)"
        )
        rows = answer(connection, "annotators")
    assert len(rows) == 5000
    assert [row["annotator_id"] for row in rows[:11]] == [*"9876543210", "5999"]


def test_the_largest_page_stays_small(large: Path) -> None:
    text = large.read_text("utf-8")
    assert text.count("<tr") > 6000
    assert len(text.encode()) < 2_500_000


def test_before_derive_the_page_says_the_same_and_that_it_took_longer(
    stored: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "store"
    synth(tmp_path / "made", count=60, seed=3, jobs=1)
    abpipe.ingest(tmp_path / "made/imagenet_ab.tar.gz", store=source, jobs=1)
    before = abpipe.report(tmp_path / "before.html", source)
    made = {file.table for file in Store(source).manifest().files}
    assert "clicks" not in made
    monkeypatch.setattr("abpipe.view.report.DERIVED_HERE", 59)
    where = ("report", "-o", tmp_path / "before.html")
    assert run(*where, "--quiet")[1:] == ("", "")
    assert run(*where)[2].startswith(
        "63 records are derived for this page alone, which may take minutes. "
        "To have it done for good, interrupt, and first: `abpipe derive`\n"
    )
    abpipe.derive(store=source, jobs=1)
    assert "derived for this page" not in run("report", "-o", tmp_path / "after.html")[2]
    after = abpipe.report(tmp_path / "after.html", source)
    assert before.figures == after.figures
    assert before.concerns == after.concerns
    told = "Derived for this page alone: "
    assert told in (tmp_path / "before.html").read_text("utf-8")
    assert told not in (tmp_path / "after.html").read_text("utf-8")


def test_what_a_store_holds_is_shown_as_text(
    ingest: Callable[..., Any], pack: Callable[..., Path], xml: Callable[..., bytes], store: Path
) -> None:
    ingest(pack("one.xml", [("one.xml", xml(workers=["&lt;script&gt;x"]))]))
    page = store.parent / "page.html"
    abpipe.report(page, store)
    text = page.read_text("utf-8")
    assert "&lt;script&gt;x" in text and "<script>x" not in text
    assert Page(text).table("imagenet-ab-people")[0]["annotator"] == "<script>x"


def test_one_dataset_and_a_store_of_none(stored: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = abpipe.report(page, stored, "coco-ab")
    assert [*done.figures] == ["coco-ab"]
    assert "imagenet" not in page.read_text("utf-8").lower().replace("imagenet-ab", "imagenet")
    synth(tmp_path / "made", count=5, jobs=1)
    abpipe.ingest(tmp_path / "made/imagenet_ab.tar.gz", store=tmp_path / "store", jobs=1)
    abpipe.forget(tmp_path / "store", source="imagenet_ab.tar.gz")
    assert abpipe.report(page, tmp_path / "store").figures == {}
    assert "The store is empty" in page.read_text("utf-8")


def test_the_command_says_where_the_page_is_and_what_it_warns_of(
    stored: Path, tmp_path: Path, run: Run
) -> None:
    page = tmp_path / "page.html"
    (tmp_path / "store").symlink_to(stored)
    code, out, err = run("report", "-o", page)
    assert (code, out) == (0, f"{page}\n")
    assert "imagenet-ab: warning: could not be read (rejects: " in err
    code, out, err = run("report", "-o", page, "--json", "--dataset", "coco-ab")
    told = orjson.loads(out)
    assert (code, err, told["page"]) == (0, "", str(page))
    assert told["bytes"] == page.stat().st_size
    assert told["figures"]["coco-ab"]["records"] == 150
    assert told["concerns"]["coco-ab"][0]["level"] == "warning"


def test_what_cannot_be_done_is_told(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NoStore):
        abpipe.report(tmp_path / "page.html", tmp_path / "nowhere")
    with pytest.raises(NotFound):
        abpipe.report(tmp_path / "page.html", stored, "other")
    with pytest.raises(BadOutput) as refused:
        abpipe.report(tmp_path, stored, "coco-ab")
    assert refused.value.output == str(tmp_path)
    assert [*tmp_path.iterdir()] == []
    monkeypatch.setattr("abpipe.view.report.find_spec", lambda name: None)
    with pytest.raises(NeedsExtra) as missing:
        abpipe.report(tmp_path / "page.html", stored)
    missed = missing.value
    assert (missed.what, missed.library, missed.extra) == ("the report", "matplotlib", "view")
