from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import orjson
import pyarrow.compute as pc
import pytest

import abpipe
from abpipe import catalog, contracts, lineage
from abpipe.contracts import derived_tables
from abpipe.derived import derive as module
from abpipe.derived import registry
from abpipe.derived.explain import explain
from abpipe.errors import NotDerived, NotFound, TooLittleMemory
from abpipe.store import Store

ROOT = Path(__file__).parents[2]
CLICKS = ("image_sizes", "clicks")  # with what it reads

Contents = Callable[[], dict[str, str]]
Faults = Callable[..., list[Any]]
Ingest = Callable[..., Any]
Pack = Callable[..., Path]
Rows = Callable[..., list[tuple[Any, ...]]]
Run = Callable[..., tuple[int, str, str]]
Xml = Callable[..., bytes]


@pytest.fixture
def one(ingest: Ingest, pack: Pack, xml: Xml, store: Path) -> Path:
    """A store of one source with one record each of two annotators."""
    ingest(pack("a.tar", [("1.xml", xml(workers=["0000000001", "0000000002"]))]))
    return store


def content(
    store: Path, names: tuple[str, ...] = ("image_sizes", "clicks", "icons")
) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of derived tables, in the order of their keys."""
    with abpipe.connect(store) as connection:
        return {
            name: connection.execute(
                f"SELECT * FROM {name}"
                f" ORDER BY dataset, {', '.join(contracts.contracts()[name].key)}"
            ).fetchall()
            for name in names
        }


def made(store: Path) -> set[tuple[str, str]]:
    """The derived tables that have a file, and of which dataset."""
    files = Store(store).manifest().files
    return {(file.table, file.dataset) for file in files if file.table in derived_tables()}


def new(done: list[Any]) -> dict[tuple[str, str], bool]:
    return {(one.table, one.dataset): one.is_new for one in done}


def change(monkeypatch: pytest.MonkeyPatch, file: str, edit: Callable[[str], str]) -> None:
    """Have one of the SQL files read otherwise."""
    read = lineage.text

    def text(stage: str, name: str) -> str:
        return edit(read(stage, name)) if name == file else read(stage, name)

    monkeypatch.setattr(lineage, "text", text)


def test_a_table_holds_what_its_view_answers(both: Path) -> None:
    before = content(both, derived_tables())
    assert all(len(rows) for rows in before.values())
    done = abpipe.derive(store=both, jobs=1)
    assert made(both) == {(t, d) for t in derived_tables() for d in ("coco-ab", "imagenet-ab")}
    assert content(both, derived_tables()) == before
    counted = {name: sum(one.rows for one in done if one.table == name) for name in before}
    assert counted == {name: len(rows) for name, rows in before.items()}


def test_neither_pieces_nor_workers_nor_memory_change_a_byte(
    both: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def derived(**options: Any) -> list[tuple[str, str, int, str]]:
        abpipe.derive(store=both, **options)
        files = Store(both).manifest().files
        with Store(both).transaction() as transaction:  # forget the tables for the next time
            raw = tuple(file for file in files if not file.digest)
            catalog.commit(transaction, replace(transaction.manifest, files=raw))
        return [(f.table, f.dataset, f.rows, f.sha256) for f in files if f.digest]

    whole = derived(jobs=1)
    monkeypatch.setattr(module, "PIECE_BYTES", dict.fromkeys(module.PIECE_BYTES, 10_000))
    assert derived(jobs=3, memory_mb=1024) == whole


def test_what_is_up_to_date_is_left_alone(both: Path, contents: Contents) -> None:
    abpipe.derive("clicks", store=both, jobs=1)
    before = contents()
    assert not any(new(abpipe.derive("clicks", store=both, jobs=1)).values())
    assert contents() == before


def test_one_table_comes_with_what_it_reads_and_no_more(both: Path) -> None:
    done = new(abpipe.derive("clicks", store=both, dataset="coco-ab", jobs=1))
    assert done == {("image_sizes", "coco-ab"): True, ("clicks", "coco-ab"): True}
    assert made(both) == done.keys()


def test_tables_and_views_of_datasets_stand_side_by_side(both: Path) -> None:
    before = content(both)
    abpipe.derive("clicks", store=both, dataset="coco-ab", jobs=1)
    assert content(both) == before


def test_new_rows_turn_tables_into_views_at_once(
    one: Path, ingest: Ingest, pack: Pack, xml: Xml, rows: Rows
) -> None:
    count = "SELECT count(*) FROM clicks"
    assert rows(count) == [(2,)]
    abpipe.derive("clicks", store=one, jobs=1)
    done = ingest(pack("b.tar", [("2.xml", xml(name="n01440764_2"))]))
    assert (rows(count), done.stale, made(one)) == ([(3,)], CLICKS, set())
    assert not list(one.glob("clicks/**/*.parquet"))
    assert all(new(abpipe.derive("clicks", store=one, jobs=1)).values())
    assert rows(count) == [(3,)]


def test_only_the_tables_of_a_changed_dataset_are_made_anew(
    both: Path, ingest: Ingest, pack: Pack, xml: Xml
) -> None:
    abpipe.derive("clicks", store=both, jobs=1)
    ingest(pack("b.tar", [("2.xml", xml(name="n01440764_2"))]))
    done = new(abpipe.derive("clicks", store=both, jobs=1))
    assert {dataset for (_, dataset), is_new in done.items() if is_new} == {"imagenet-ab"}


def test_the_same_source_again_changes_no_table(both: Path, contents: Contents) -> None:
    abpipe.derive("clicks", store=both, jobs=1)
    before = contents()
    abpipe.ingest(ROOT / "data/coco/coco_ab.json", store=both, jobs=1)
    assert contents() == before


def test_forgetting_takes_rows_out_of_derived_tables_and_says_so(
    one: Path, run: Run, rows: Rows
) -> None:
    abpipe.derive("clicks", store=one, jobs=1)
    code, _, said = run("forget", "--annotator", "0000000001")
    assert (code, said) == (
        0,
        "forgotten: 1 records and 0 rejects of a.tar\n"
        f"views again, until `abpipe derive` makes them tables: {', '.join(CLICKS)}\n",
    )
    assert rows("SELECT annotator_id FROM clicks") == [("0000000002",)]
    assert not list(one.glob("clicks/**/*.parquet"))


def test_another_query_makes_its_table_anew_and_what_reads_it(
    one: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    abpipe.derive("clicks", store=one, jobs=1)
    before = lineage.digests(Store(one).manifest(), "imagenet-ab")
    change(monkeypatch, "clicks.sql", lambda text: text + " AND annotator_id = '0000000001'")
    assert len(content(one)["clicks"]) == 1, "the files of the old query are not read"
    what = "made of other rows or by another version, and not read; anew: `abpipe derive`"
    assert [f.where.split("/")[0] for f in abpipe.check(store=one) if f.what == what] == ["clicks"]
    done = new(abpipe.derive("clicks", store=one, jobs=1))
    assert done == {("image_sizes", "imagenet-ab"): False, ("clicks", "imagenet-ab"): True}
    after = lineage.digests(Store(one).manifest(), "imagenet-ab")
    assert before["visits"] == after["visits"]
    assert before["image_targets"] != after["image_targets"], "it reads clicks"
    assert len(content(one)["clicks"]) == 1


def test_a_store_whose_tables_are_derived_is_sound(both: Path, faults: Faults) -> None:
    abpipe.derive(store=both, jobs=1)
    assert faults(both) == []


def test_a_broken_promise_of_a_derived_table_is_found(
    one: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(
        monkeypatch,
        "clicks.sql",
        lambda text: text.replace("n_clicks,\n", "0 AS n_clicks,\n"),
    )
    abpipe.derive("clicks", store=one, jobs=1)
    (found,) = (f for f in abpipe.check(store=one) if f.level == "error")
    assert (found.where, found.what, found.count) == (
        "clicks", "breaks its promise: n_clicks: n_clicks > 0", 2,
    )  # fmt: skip


def test_an_error_leaves_the_store_as_it_was(
    one: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents()
    change(
        monkeypatch, "clicks.sql", lambda text: text.replace("last.t_ms,", "error('no') AS t_ms,")
    )
    with pytest.raises(Exception, match="no"):
        abpipe.derive("clicks", store=one, jobs=1)
    assert contents() == before


def test_a_kill_leaves_the_store_as_it_was(
    both: Path, process: Callable[..., subprocess.Popen[str]]
) -> None:
    manifest, before = (both / "manifest.json").read_bytes(), content(both)
    started = process("derive", "-q")
    while started.poll() is None and not list(both.glob("*/dataset=*/*.tmp")):
        time.sleep(0.001)
    started.kill()
    started.wait()
    assert (both / "manifest.json").read_bytes() == manifest
    assert content(both) == before
    abpipe.derive("icons", "clicks", store=both, jobs=1)
    assert not [*both.rglob("*.tmp"), *both.glob(".spill")]
    assert content(both) == before


def test_a_table_of_its_own_functions_says_so_outside_and_works_within(
    one: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that calls a function: in any shell once it is derived, in abpipe's own before."""
    halved = registry.Function("test_derive_functions", ("DOUBLE",), "DOUBLE")
    module = ModuleType("test_derive_functions")
    module.halved = lambda column: pc.divide(column, 2)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "test_derive_functions", module)
    monkeypatch.setitem(registry.FUNCTIONS, "halved", halved)
    monkeypatch.setattr(lineage, "_source", lambda _module: "")
    clicks = replace(contracts.contracts()["clicks"], functions=("halved",))
    monkeypatch.setitem(contracts.contracts(), "clicks", clicks)
    change(
        monkeypatch,
        "clicks.sql",
        lambda text: text.replace("last.t_ms, n_", "halved(last.t_ms)::BIGINT AS t_ms, n_"),
    )

    def shell(query: str) -> list[Any]:
        with duckdb.connect(one / "catalog.duckdb", read_only=True) as connection:
            found: list[Any] = connection.execute(query).fetchall()
            return found

    query = "SELECT t_ms FROM clicks"
    with abpipe.connect(one) as connection:
        within = connection.execute(query).fetchall()
    for asked in (query, "SELECT count(*) FROM clicks", query + " WHERE dataset = 'x'"):
        with pytest.raises(duckdb.Error) as caught:
            shell(asked)
        assert str(caught.value) == (
            "Invalid Input Error: clicks needs abpipe's own functions. Query it by `abpipe sql`, "
            "or make it a table: `abpipe derive clicks`"
        )
    with pytest.raises(duckdb.Error, match="Error: image_targets needs"):
        shell("SELECT x FROM image_targets")  # which reads clicks
    abpipe.derive("clicks", store=one, jobs=1)
    assert shell(query) == within


def test_functions_that_nobody_closed_leave_no_complaint(one: Path) -> None:
    code = (
        f"import abpipe; connection = abpipe.connect({str(one)!r}); connection.sql('FROM clicks')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_connecting_imports_no_shapely(one: Path) -> None:
    code = f"import abpipe, sys; abpipe.connect({str(one)!r}); assert 'shapely' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_table_that_no_query_makes_is_refused(one: Path) -> None:
    for refuse in (abpipe.derive, explain):
        with pytest.raises(NotDerived) as caught:
            refuse("events", store=one)
        assert caught.value.table == "events"
        assert str(caught.value) == (
            f"events is no derived table. Choose among: {', '.join(derived_tables())}"
        )


def test_an_unknown_dataset_is_refused(one: Path) -> None:
    with pytest.raises(NotFound) as caught:
        abpipe.derive(store=one, dataset="x")
    assert str(caught.value) == "the store holds no dataset 'x'. It holds: imagenet-ab"
    line = [sys.executable, "-m", "abpipe", "derive", "--dataset", "x", "-s", str(one)]
    done = subprocess.run(line, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {caught.value}\n"  # and no word about leaked semaphores


@pytest.mark.parametrize(("jobs", "memory_mb"), [(1, 64), (2, 512)], ids=["here", "elsewhere"])
def test_too_little_memory_is_an_error_that_says_what_to_do(
    one: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch, jobs: int, memory_mb: int
) -> None:
    before = contents()
    monkeypatch.setattr(module, "PIECE_BYTES", dict.fromkeys(module.PIECE_BYTES, 10_000))
    hungry = "(SELECT len(list(range)) FROM range(60000000)) AS t_ms, n_"
    change(
        monkeypatch,
        "clicks.sql",
        lambda text: text.replace("last.t_ms, n_", hungry),
    )
    with pytest.raises(TooLittleMemory) as caught:
        abpipe.derive("clicks", store=one, jobs=jobs, memory_mb=memory_mb)
    assert (caught.value.table, caught.value.memory_mb) == ("clicks", memory_mb)
    assert str(caught.value) == (
        f"clicks cannot be derived in {memory_mb} MiB. Nothing was stored. "
        "Allow more, or run fewer queries at once: `--memory`, `--jobs`"
    )
    assert contents() == before


def test_the_way_is_shown(one: Path, run: Run) -> None:
    code, out, _ = run("derive", "clicks", "--explain")
    doc = contracts.contracts()["clicks"].doc
    begin = f"clicks: {doc}\nKey: annotation_id, label. Now: imagenet-ab: view\n"
    assert (code, out[: len(begin)]) == (0, begin)
    for name in ("annotations", "image_sizes", "pictures"):
        assert f"\n{name}  " in out
    assert out.endswith(lineage.sql("clicks") + "\n")
    abpipe.derive("clicks", store=one, jobs=1)
    (shown,) = orjson.loads(run("derive", "clicks", "--explain", "--json")[1])
    assert shown["state"] == {"imagenet-ab": "table"}


def test_the_command_says_what_it_made(one: Path, run: Run) -> None:
    code, out, said = run("derive")
    rows = [line.split()[:3] for line in out.splitlines()[1:]]
    assert (code, rows) == (0, [[name, "imagenet-ab", "made"] for name in derived_tables()])
    told = said.splitlines()
    assert sorted(told) == sorted(f"imagenet-ab: {name}: done" for name in derived_tables())
    assert told.index("imagenet-ab: traces: done") > told.index("imagenet-ab: visits: done")
    (first, *_) = orjson.loads(run("derive", "--json")[1])
    assert (first["table"], first["is_new"]) == (derived_tables()[0], False)


def test_info_tells_tables_from_views(one: Path, run: Run) -> None:
    assert ["clicks", "view", "0.0", "kB"] in [line.split() for line in run("info")[1].splitlines()]
    abpipe.derive("clicks", store=one, jobs=1)
    (line,) = (line for line in run("info")[1].splitlines() if line.startswith("clicks "))
    assert line.split()[:2] == ["clicks", "2"]
