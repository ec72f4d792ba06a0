from __future__ import annotations

import json  # noqa: TID251 - the tools write it
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

import abpipe
from abpipe.errors import LostKey, NoKey, OtherIds
from abpipe.privacy import Key, Veil, own_key

Ingest = Callable[..., Any]
Pack = Callable[..., Path]
Rows = Callable[..., list[tuple[Any, ...]]]
Run = Callable[..., tuple[int, str, str]]
Xml = Callable[..., bytes]

WORKER, ASSIGNMENT, HIT = "A2SUAM7ILNEM3V", "3IRIK4HM3DHYAEW8QIO9A5HQ2YPC6P", "3UQ1LLR2" + "7" * 22
OTHER, THIRD = "A1OTHERWORKER9", "17"
ANNOTATION, PAGE = "81162cd2-777f-4b49-b3d9-db19cad795b0", "b5b7f417-3fc8-47e8-a94c-30328fa20f31"
TASK = "94c49a4ea144419c87bc7c201600aff9"
IDS = (WORKER, ASSIGNMENT, HIT, OTHER, ANNOTATION, PAGE, TASK)


def about(worker: str = WORKER, **more: Any) -> dict[str, Any]:
    return {
        "id": ANNOTATION,
        "annotatorID": "",
        "assignmentID": ASSIGNMENT,
        "hitID": HIT,
        "workerID": worker,
        "imageNetHitID": TASK,
        "isDone": True,
        **more,
    }


def page(number: int = 1, annotation: Any = ANNOTATION, **more: Any) -> dict[str, Any]:
    shown = {
        "selected": True,
        "selectedCount": 1,
        "selectedRecord": [{"x": 0.5, "y": 0.25, "time": 9}],
        "hoveredRecord": [{"action": "enter", "time": 5}],
        "mouseTracking": [],
        "imageID": f"n01440764/n01440764_{number}",
    }
    return {
        "imageNetAnnotationID": annotation,
        "id": PAGE if number == 1 else f"page-{number}",
        "pageno": number,
        "startedAt": 1,
        "annotations": [shown | more],
    }


def dump(*records: Any) -> bytes:
    return b"\n".join(json.dumps(record).encode() for record in records)


def texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Every text in a store: names of files, decoded columns, all other content."""
    for path in sorted(folder.rglob("*")):
        yield "name", path.relative_to(folder).as_posix()
        if path.suffix == ".parquet":
            table = pq.read_table(path, partitioning=None)
            for name in table.column_names:
                for value in {str(value) for value in table[name].to_pylist()}:
                    yield f"{path.parent.parent.name}.{name}", value
        elif path.is_file():
            yield path.name, path.read_bytes().decode("latin-1")
    with duckdb.connect(folder / "catalog.duckdb", read_only=True) as connection:
        for (table,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            yield "catalog", str(connection.execute(f'FROM "{table}"').fetchall())
        for row in connection.execute("SELECT sql FROM duckdb_views()").fetchall():
            yield "catalog", str(row)


def leaks(folder: Path, ids: tuple[str, ...] = IDS) -> list[tuple[str, str]]:
    return [(place, one) for place, text in texts(folder) for one in ids if one in text]


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Page records with ids in every place that one can think of."""
    folder = tmp_path / f"pages of {WORKER}"
    broken, odd = page(5), {f"of {WORKER}": {HIT: [OTHER, {"deep": f"[{HIT}]"}]}}
    broken["annotations"][0]["selected"] = WORKER
    files = {
        f"{WORKER}/{ASSIGNMENT}_1.json": dump(page()),
        f"by-{OTHER}.jsonl": dump(
            page(2, "other", note=f"{WORKER}, and https://x.org/?a={ASSIGNMENT}&w={THIRD}"),
            page(3, **odd),
            page(4) | {"turk": {"workerId": "A3UNKNOWNFIELD"}, f"seen-{WORKER}": WORKER},
        ),
        "annotations.json": json.dumps(
            [
                about(startedAt=1, comment=f"asked {WORKER} twice", version=HIT),
                about(OTHER) | {"id": "other", "annotatorID": OTHER},
                about(THIRD) | {"id": "third", "annotatorID": "4"},
                about(OTHER) | {"id": ANNOTATION},
                about() | {"id": 5, "hitID": [HIT]},
            ]
        ).encode(),
        f"{HIT}.json": dump(broken) + dump(page(6))[:-40] + WORKER.encode(),
        f"{THIRD}/{THIRD}_7.json": dump(page(7, "third")),
        "latin.json": dump(page(8)).replace(b"n01440764_8", b"\xff" + WORKER.encode()),
        f"{WORKER}.json.gz": b"\x1f\x8b" + WORKER.encode(),
        f"readme {WORKER}.txt": WORKER.encode(),
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_no_id_is_anywhere_in_the_store(
    collection: Path, store: Path, run: Run, rows: Rows
) -> None:
    code, out, err = run("ingest", collection)
    assert code == 0
    assert err.startswith(f"ids of people became pseudonyms. Keep their key: {own_key()}\n")
    assert "Keep" not in run("ingest", collection)[2]  # it was said once
    assert run("derive")[0] == 0
    ids = (*IDS, "A3UNKNOWNFIELD")
    assert leaks(store, ids) == []
    said = [*run("info"), *run("info", "--json"), *run("check"), out, err]
    assert [one for one in ids for text in said if one in str(text)] == []
    found = rows(
        "SELECT page, count(DISTINCT annotator_id) FROM annotations GROUP BY ALL ORDER BY 1"
    )
    assert found == [(0, 1), (1, 1), (2, 1), (3, 1), (6, 1)]
    assert rows("SELECT count(*) FROM rejects WHERE raw IS NOT NULL") == [(0,)]
    assert rows("SELECT bool_and(raw_bytes > 0 OR level = 'member') FROM rejects") == [(True,)]


def test_the_search_for_ids_finds_them(collection: Path, store: Path, ingest: Ingest) -> None:
    ingest(collection, keep_ids=True)
    places = {place for place, _ in leaks(store)}
    assert {"annotations.annotator_id", "annotations.extra", "annotations.member"} <= places
    assert {"rejects.raw", "rejects.message", "manifest.json"} <= places


def test_short_ids_go_where_they_are_words_and_nothing_else_does(
    collection: Path, ingest: Ingest, rows: Rows
) -> None:
    ingest(collection)
    ((member, who, extra),) = rows(
        "SELECT member, annotator_id, extra FROM annotations WHERE page = 6"
    )
    assert member == f"{who}/{who}_7.json"
    assert f'"{THIRD}"' not in extra
    ((extra,),) = rows("SELECT extra FROM annotations WHERE page = 1")
    assert json.loads(extra)["fields"]["/annotations/0/note"].endswith(f"&w={who}")


def test_pseudonyms_are_the_same_wherever_the_key_is(
    collection: Path, tmp_path: Path, config: Path, ingest: Ingest, rows: Rows
) -> None:
    who = "SELECT DISTINCT annotator_id FROM annotations ORDER BY 1"
    ingest(collection)
    ingest(collection, store=tmp_path / "second")
    assert rows(who) == rows(who, tmp_path / "second")
    ingest(collection, store=tmp_path / "third", pseudonym_key=tmp_path / "key")
    assert not {*rows(who)} & {*rows(who, tmp_path / "third")}
    for key in (config / "abpipe" / "pseudonym.key", tmp_path / "key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert len(key.read_text()) == 65


def test_the_manifest_tells_which_key_it_was_and_not_the_key(
    store: Path, pack: Pack, ingest: Ingest, tmp_path: Path
) -> None:
    key = Key(bytes(range(32)))
    (tmp_path / "key").write_text(key.secret.hex())
    ingest(pack("a.json", [("a.json", dump(page(), about()))]), pseudonym_key=tmp_path / "key")
    text = (store / "manifest.json").read_text()
    assert json.loads(text)["sources"][0]["options"] == {"pseudonyms": "dee37aec713e3848"}
    assert key.secret.hex() not in text
    assert "00" not in repr(key)


def test_a_second_key_in_a_dataset_is_refused(
    pack: Pack, ingest: Ingest, tmp_path: Path, rows: Rows
) -> None:
    for name, secret in {"one": 1, "two": 2}.items():
        (tmp_path / name).write_text(bytes([secret] * 32).hex())
    ingest(pack("a", [("a.json", dump(page()))]), pseudonym_key=tmp_path / "one")
    other = pack("b", [("b.json", dump(page(2)))])
    with pytest.raises(OtherIds) as caught:
        ingest(other, pseudonym_key=tmp_path / "two")
    has, given = Key(bytes([1] * 32)).id, Key(bytes([2] * 32)).id
    assert (caught.value.has, caught.value.given) == (has, given)
    assert str(caught.value) == (
        f"imagenet-pages holds pseudonyms of the key {has}, and this would add pseudonyms of the "
        f"key {given}: nobody could be told to be the same. Use the same key "
        "(`--pseudonym-key FILE`) and options, or another `--dataset`"
    )
    with pytest.raises(OtherIds, match="would add ids as they are"):
        ingest(other, keep_ids=True)
    ingest(other, pseudonym_key=tmp_path / "two", dataset="others")
    assert rows("SELECT count(*) FROM annotations") == [(2,)]


@pytest.mark.parametrize(
    ("content", "why"), [(None, "Is a directory"), ("short", "it holds something else than a key")]
)
def test_a_key_that_is_none_is_refused(
    pack: Pack, ingest: Ingest, tmp_path: Path, store: Path, content: str | None, why: str
) -> None:
    key = tmp_path / "key"
    key.write_text(content) if content else key.mkdir()
    with pytest.raises(NoKey) as caught:
        ingest(pack("a", [("a.json", dump(page()))]), pseudonym_key=key)
    assert str(caught.value) == (
        f"{key}: no key for pseudonyms: {why}. Name another file: `--pseudonym-key FILE`. "
        "Without one, ids can only be kept as they are: `--keep-ids`"
    )
    assert not store.exists()


def test_published_ids_stay_unless_they_are_to_be_hidden(
    pack: Pack, ingest: Ingest, xml: Xml, rows: Rows, store: Path, tmp_path: Path
) -> None:
    source = pack("a.tar.gz", [("a.xml", xml()), ("b.xml", xml(name="n01440764_1")[:2000])])
    ingest(source)
    assert rows("SELECT DISTINCT annotator_id FROM annotations") == [("47DBDD543E",)]
    hidden = tmp_path / "hidden"
    result = ingest(source, store=hidden, pseudonymize=True)
    ids = rows("SELECT annotator_id, assignment_id, hit_id, tool_hit_id FROM annotations")[0]
    assert leaks(store, ids)
    assert leaks(hidden, ids) == []
    assert result.source.ledger.rejects == {"bad-xml": 1}
    with pytest.raises(OtherIds):
        ingest(pack("c.tar", [("c.xml", xml())]), store=hidden)


@pytest.mark.parametrize("known_as", ["id", "pseudonym"])
def test_whoever_is_forgotten_stays_forgotten(
    known_as: str, collection: Path, store: Path, ingest: Ingest, rows: Rows, run: Run
) -> None:
    ledger = ingest(collection).source.ledger.records
    pseudonym = Key.load().pseudonym(WORKER)
    who = "SELECT count(*) FROM annotations WHERE annotator_id = ?"
    theirs = rows(who.replace("?", f"'{pseudonym}'"))[0][0]
    assert theirs == 3
    assert run("forget", "--annotator", WORKER if known_as == "id" else pseudonym)[0] == 0
    assert leaks(store) == []
    places = {place for place, _ in leaks(store, (pseudonym,))}
    in_its_name = {f"{table}.source" for table in ("annotations", "images", "rejects")}
    assert places == in_its_name | {"annotations.extra", "manifest.json"}  # of others
    again = ingest(collection, replace=True).source.ledger.records
    assert rows(who.replace("?", f"'{pseudonym}'")) == [(0,)]
    assert again == ledger | {"rows": ledger["rows"] - 3, "forgotten": 3}
    assert run("check")[0] == 0
    assert rows("SELECT count(*) FROM images WHERE n_annotations = 0") == [(3,)]


def test_people_of_published_archives_stay_forgotten_with_the_same_key(
    pack: Pack, ingest: Ingest, xml: Xml, rows: Rows, store: Path, tmp_path: Path
) -> None:
    source = pack("a.tar", [("a.xml", xml(workers=["AAAAAAAAA1", "BBBBBBBBB2"]))])
    ingest(source)
    abpipe.forget(store, annotator="AAAAAAAAA1", pseudonym_key=tmp_path / "key")
    assert leaks(store, ("AAAAAAAAA1",)) == []
    key = Key.load(tmp_path / "key").id
    with pytest.raises(LostKey) as caught:
        ingest(source, replace=True)
    assert str(caught.value) == (
        f"imagenet-ab: people were forgotten with the key {key}, and only that key tells who is to "
        "stay out. Name its file: `--pseudonym-key FILE`"
    )
    result = ingest(source, replace=True, pseudonym_key=tmp_path / "key")
    assert result.source.ledger.records == {
        "total": 2, "rows": 1, "duplicates": 0, "rejected": 0, "forgotten": 1
    }  # fmt: skip
    assert rows(
        "SELECT annotator_id, n_annotations FROM annotations JOIN images USING (image_id)"
    ) == [("BBBBBBBBB2", 1)]


def test_an_id_is_not_found_without_the_key(
    collection: Path, ingest: Ingest, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(collection, pseudonym_key=tmp_path / "key")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nowhere"))
    code, _, err = run("forget", "--annotator", WORKER)
    assert (code, err) == (
        1,
        f"error: the store holds no annotator '{WORKER}'. List them: `abpipe sql 'SELECT DISTINCT "
        "annotator_id FROM annotations'`. They are pseudonyms: to find an id, name their key: "
        "`--pseudonym-key FILE`\n",
    )
    assert run("forget", "--annotator", WORKER, "--pseudonym-key", tmp_path / "key")[0] == 0
    assert not (tmp_path / "nowhere").exists()


def test_a_veil_hides_the_longest_id_first_and_keeps_json() -> None:
    key = Key(bytes(32))
    veil = Veil(key, ["WORKER", "WORKER-2", "12", 'qu"ote', "1234567890123"])
    long, short = key.pseudonym("WORKER-2"), key.pseudonym("WORKER")
    assert veil.text("aWORKER-2b, WORKERS") == f"a{long}b, {short}S"
    assert veil.text("112, 12") == f"112, {key.pseudonym('12')}"
    said = json.dumps({"/list/12": 12, 'a qu"ote': "WORKER", "t": 1234567890123})
    hidden = json.loads(veil.json(said))
    assert hidden == {
        "/list/12": 12,
        f"a {key.pseudonym('qu' + chr(34) + 'ote')}": short,
        "t": 1234567890123,
    }


def test_keys_stay_out_of_reach_of_others(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Key.load(tmp_path / "deep" / "key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "deep" / "key").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["key"]
