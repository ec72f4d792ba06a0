from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import orjson
import pytest

from abpipe.errors import (
    BadQuery,
    NoPage,
    NoSize,
    NotFound,
    NothingChosen,
    SeveralDatasets,
)
from abpipe.view.records import Source, page, picture, sheet

Ingest: TypeAlias = Callable[..., Any]
Pack: TypeAlias = Callable[..., Path]
Rows: TypeAlias = Callable[..., list[tuple[Any, ...]]]
Xml: TypeAlias = Callable[..., bytes]

#: A COCO record: an icon that is moved, one that is taken back, and one without a place.
COCO = {
    "image_id": 9,
    "hit_id": "94c49a4ea144419c87bc7c201600aff9",
    "page_id": 7,
    "worker_id": "00AA3B5E80",
    "originalImageHeight": 200,
    "originalImageWidth": 400,
    "imageHeight": 450,
    "imageWidth": 450,
    "timeSpent": 9000,
    "actionHistories": [
        {"actionType": "add", "iconType": "cake", "pointTo": {"x": 0.5, "y": 0.5}, "timeAt": 1000},
        {"actionType": "add", "iconType": "cup", "pointTo": {"x": 0.1, "y": 0.1}, "timeAt": 2000},
        {
            "actionType": "move",
            "iconType": "cake",
            "pointFrom": {"x": 0.5, "y": 0.5},
            "pointTo": {"x": 0.75, "y": 0.5},
            "timeAt": 3000,
        },
        {
            "actionType": "remove",
            "iconType": "cup",
            "pointFrom": {"x": 0.1, "y": 0.1},
            "timeAt": 4000,
        },
    ],
    "categoryHistories": [],
    "mouseTracking": [
        {"x": 0.2, "y": 0.5, "timeAt": 500},
        {"x": 0.25, "y": 0.5, "timeAt": 517},
        {"x": 0.9, "y": 0.1, "timeAt": 5000},
    ],
}


@pytest.fixture
def coco(ingest: Ingest, tmp_path: Path) -> None:
    (tmp_path / "coco.json").write_bytes(orjson.dumps([COCO]))
    ingest(tmp_path / "coco.json")


def test_the_real_record_is_in_pixels_and_ms_since_it_began(
    ingest: Ingest, pack: Pack, real: bytes, store: Path
) -> None:
    ingest(pack("one.xml", [("one.xml", real)]))
    scene = picture(Source(store), "n01440764_105")
    assert (scene.kind, scene.name) == ("record", "n01440764_105")
    assert scene.title == "n01440764_105, tench, Tinca tinca"
    (panel,) = scene.panels
    assert panel.title == "annotator 47DBDD543E · selected · 0.34 s"
    assert (panel.width, panel.height, panel.picture) == (500, 375, None)
    (visit,) = panel.visits
    assert visit.t_ms.tolist() == [0, 52, 75, 112, 145, 176]
    assert visit.x[1] == pytest.approx(0.44135802469135804 * 500)
    assert visit.y[1] == pytest.approx(0.6008230452674898 * 375)
    _, _, since, stayed = visit.rests()
    assert (since.tolist(), stayed.tolist()) == ([176], [168])
    (click,), (answer,) = panel.actions, panel.answers
    assert (click.kind, click.t_ms) == ("click", 344)
    assert (answer.x, answer.y, answer.is_final) == (click.x, click.y, True)
    assert {box.kind for box in panel.boxes} == {"truth", "core", "trace"}
    truth = next(box for box in panel.boxes if box.kind == "truth")
    assert (truth.xmin, truth.ymin, truth.xmax, truth.ymax) == (43, 88, 499, 295)
    assert panel.hull[:, 0].min() == pytest.approx(visit.x.min())
    assert panel.dwell is not None and panel.dwell.sum() == pytest.approx(1)


@pytest.mark.usefixtures("coco")
def test_icons_move_and_are_taken_back(store: Path) -> None:
    (panel,) = picture(Source(store), "9").panels
    assert panel.title == "annotator 00AA3B5E80 · 1 icon · 4.50 s"
    assert [(a.kind, a.label, a.t_ms) for a in panel.actions] == [
        ("add", "cake", 500),
        ("add", "cup", 1500),
        ("drag", "cake", 2500),
        ("remove", "cup", 3500),
    ]
    assert (panel.actions[2].x_from, panel.actions[2].x) == (200, 300)
    assert [(i.label, i.x, i.y, i.is_final) for i in panel.icons] == [
        ("cake", 300, 100, True),
        ("cup", 40, 20, False),
    ]
    assert [visit.t_ms.tolist() for visit in panel.visits] == [[0, 17], [4500]]


@pytest.mark.usefixtures("coco")
def test_what_had_happened_by_a_time(store: Path) -> None:
    (panel,) = picture(Source(store), "9").panels
    early, later = panel.until(10), panel.until(2000)
    assert [visit.t_ms.tolist() for visit in early.visits] == [[0]]
    assert (early.actions, early.answers) == ((), ())
    assert [(i.label, i.x) for i in later.icons] == [("cake", 200), ("cup", 40)]
    assert [i.label for i in panel.until(4000).icons] == ["cake"]


def test_names_of_any_form_are_the_same_picture(samples: Path) -> None:
    for name in ("37467", "COCO_train2014_000000037467.jpg", "train/000000037467.png", "a/37467"):
        assert picture(Source(samples), name).name == "37467"


def test_a_panel_for_each_annotator_or_for_one(
    ingest: Ingest, pack: Pack, xml: Xml, store: Path
) -> None:
    ingest(pack("two.xml", [("two.xml", xml(workers=("AAAAAAAAAA", "BBBBBBBBBB")))]))
    source = Source(store)
    assert [p.annotator for p in picture(source, "n01440764_105").panels] == [
        "AAAAAAAAAA",
        "BBBBBBBBBB",
    ]
    (panel,) = picture(source, "n01440764_105", "BBBBBBBBBB").panels
    assert panel.annotator == "BBBBBBBBBB"
    with pytest.raises(NotFound) as error:
        picture(source, "n01440764_105", "nobody")
    assert str(error.value) == (
        "the store holds no annotator 'nobody'. Who was shown n01440764_105: AAAAAAAAAA, BBBBBBBBBB"
    )


def test_a_turned_picture_is_drawn_as_it_is_stored(
    ingest: Ingest, pack: Pack, xml: Xml, rows: Rows, store: Path
) -> None:
    """Browsers showed it upright, 500 x 375; the file is 375 x 500."""
    turned = xml(("<width>500<", "<width>375<"), ("<height>375<", "<height>500<"))
    ingest(pack("one.xml", [("one.xml", turned)]))
    (panel,) = picture(Source(store), "n01440764_105").panels
    assert (panel.width, panel.height) == (375, 500)
    ((x, y),) = rows("SELECT x_px, y_px FROM clicks")
    assert [(a.x, a.y) for a in panel.actions] == [(x, y)] == [(a.x, a.y) for a in panel.answers]
    assert np.column_stack([panel.visits[0].x, panel.visits[0].y]).max(axis=0)[1] <= 500


def test_a_page_is_a_grid_of_its_slots_in_the_order_of_visits(
    ingest: Ingest, pack: Pack, xml: Xml, store: Path
) -> None:
    """Slot 17 was visited before slot 3; another page of the same task is another page."""
    later = ("16414250", "16414350")
    members = [
        ("a.xml", xml(name="n01440764_1")),
        ("b.xml", xml(("<image_idx>17<", "<image_idx>3<"), later, name="n01440764_2")),
        ("c.xml", xml(("<page_idx>9<", "<page_idx>8<"), name="n01440764_3")),
    ]
    ingest(pack("some.tar", members))
    scene = page(Source(store), "n01440764_2")
    assert (scene.kind, scene.name, scene.columns) == ("page", "n01440764_2-page", 8)
    assert scene.title == "Page 9, annotator 47DBDD543E: slot ▸ which in the order of visits"
    assert len(scene.panels) == 48
    assert {i: p.title for i, p in enumerate(scene.panels) if p.image_id} == {
        3: "3 ▸ 2",
        17: "17 ▸ 1",
    }
    assert scene.panels[3].visits[0].t_ms[0] - scene.panels[17].visits[0].t_ms[0] == 10_000_000
    assert (scene.panels[0].title, scene.panels[0].visits) == ("0", ())


def test_a_sheet_has_the_same_pictures_each_time(samples: Path) -> None:
    source = Source(samples, "imagenet-ab")
    scene = sheet(source, 5, "selected AND class_id = 'n02086910'")
    assert scene.title == "5 pictures where selected AND class_id = 'n02086910'"
    assert (len(scene.panels), scene.columns) == (5, 3)
    assert all(p.is_selected and p.image_id.startswith("n02086910") for p in scene.panels)
    assert scene.panels[:3] != sheet(source, 3).panels
    again = [p.image_id for p in sheet(source, 3, "selected AND class_id = 'n02086910'").panels]
    assert again == [p.image_id for p in scene.panels[:3]]


def test_a_picture_that_nobody_was_shown_has_an_empty_panel(
    ingest: Ingest, pack: Pack, xml: Xml, store: Path
) -> None:
    ingest(pack("some.tar", [("a.xml", xml(workers=(), name="n01440764_1")), ("b.xml", xml())]))
    (panel,) = picture(Source(store), "n01440764_1").panels
    assert panel.title == "no annotator was shown this picture"
    assert (panel.visits, panel.actions, panel.end_ms) == ((), (), 0)


def test_an_unknown_picture_is_told(samples: Path) -> None:
    with pytest.raises(NotFound) as error:
        picture(Source(samples), "n00000000_1.JPEG")
    assert str(error.value) == (
        "the store holds no picture 'n00000000_1.JPEG'. It holds pictures such as 107330 or "
        "n01817953_105: `abpipe sql 'SELECT image_id FROM images'`"
    )


def test_a_picture_of_two_datasets_needs_one_named(
    ingest: Ingest, pack: Pack, real: bytes, store: Path
) -> None:
    ingest(pack("one.xml", [("one.xml", real)]))
    ingest(pack("same.xml", [("same.xml", real)]), dataset="other")
    with pytest.raises(SeveralDatasets) as error:
        picture(Source(store), "n01440764_105")
    assert str(error.value) == (
        "n01440764_105 is in several datasets: imagenet-ab, other. Name one: `--dataset NAME`"
    )
    assert picture(Source(store, "other"), "n01440764_105").panels


def test_a_picture_of_unknown_size_cannot_be_drawn(
    ingest: Ingest, tmp_path: Path, store: Path
) -> None:
    lost = COCO | {"originalImageHeight": 0, "originalImageWidth": 0}
    (tmp_path / "coco.json").write_bytes(orjson.dumps([lost]))
    ingest(tmp_path / "coco.json")
    with pytest.raises(NoSize) as error:
        picture(Source(store), "9")
    assert str(error.value) == (
        "9: nothing tells how large this picture is, and so where anything is on it. "
        "Ingest its file: `abpipe ingest FOLDER --dataset coco-ab`"
    )


@pytest.mark.usefixtures("coco")
def test_a_picture_that_was_alone_on_its_page_has_no_page(store: Path) -> None:
    with pytest.raises(NoPage) as error:
        page(Source(store), "9")
    assert str(error.value) == (
        "9: no page of several pictures is known that it was shown on. Leave out `--page`"
    )


@pytest.mark.usefixtures("coco")
def test_a_sheet_of_nothing_and_a_bad_condition_are_told(store: Path) -> None:
    with pytest.raises(NothingChosen) as nothing:
        sheet(Source(store), 3, "page = 99")
    assert str(nothing.value) == (
        "the store: no picture meets the condition page = 99. Nothing was written"
    )
    with pytest.raises(BadQuery, match="nowhere"):
        sheet(Source(store), 3, "nowhere = 1")
