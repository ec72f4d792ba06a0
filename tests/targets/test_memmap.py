from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
import pytest
import shapely

import abpipe
from abpipe.contracts import classes
from abpipe.synth import synth
from abpipe.targets import memmap
from abpipe.targets.reader import Targets

Export = Callable[..., Targets]
Ingest = Callable[..., Any]
Pack = Callable[..., Path]
Rows = Callable[..., list[tuple[Any, ...]]]
Xml = Callable[..., bytes]

NAMES = [row["class_id"] for row in classes("coco")]


def names(targets: Targets) -> list[str]:
    return [name.decode() for name in targets["image_ids"].tolist()]


def close(found: Any, expected: Any) -> bool:
    return bool(np.allclose(found, np.array(expected, float), rtol=0, atol=1e-6, equal_nan=True))


def test_the_arrays_are_those_of_the_interface(export: Export) -> None:
    found = {name: (a.dtype.str, a.shape[1:]) for name, a in export().arrays.items()}
    shared = {
        "image_ids": ("|S13", ()),
        "click_xy": ("<f4", (2,)),
        "click_valid": ("|b1", ()),
        "class_index": ("<i4", ()),
        "box_xyxy": ("<f4", (4,)),
        "size_wh": ("<i4", (2,)),
        "weight": ("<f4", ()),
        "trace_xyt": ("<f4", (3,)),
        "trace_record": ("<i4", ()),
        "trace_offsets": ("<i8", ()),
        "hull_xy": ("<f4", (2,)),
        "hull_offsets": ("<i8", ()),
    }
    assert found == shared
    coco = {
        name: (a.dtype.str, a.shape[1:]) for name, a in export(dataset="coco-ab").arrays.items()
    }
    assert coco == shared | {
        "image_ids": ("|S6", ()),
        "click_xy": ("<f4", (80, 2)),
        "click_valid": ("|b1", (80,)),
        "label": ("|b1", (80,)),
    }


def test_every_picture_has_a_row_in_the_order_of_the_bytes(
    export: Export, rows: Rows, samples: Path
) -> None:
    for dataset in ("imagenet-ab", "coco-ab"):
        found = names(export(dataset=dataset))
        query = f"SELECT DISTINCT image_id FROM images WHERE dataset = '{dataset}'"
        assert found == sorted(name for (name,) in rows(query, samples))


def test_imagenet_clicks_are_those_of_image_targets(
    export: Export, rows: Rows, samples: Path
) -> None:
    query = """
        SELECT x, y, weight, class_index, stored_width, stored_height,
            [box_xmin / stored_width, box_ymin / stored_height,
             box_xmax / stored_width, box_ymax / stored_height]
        FROM image_targets AS t
        JOIN classes AS c ON (class_id, c.dataset) = (label, t.dataset)
        JOIN image_sizes AS s ON (s.image_id, s.dataset) = (t.image_id, t.dataset)
        WHERE t.dataset = 'imagenet-ab' ORDER BY t.image_id
    """
    found = rows(query, samples)
    targets = export()
    x, y, weight, index, width, height, boxes = zip(*found, strict=True)
    assert close(targets["click_xy"], np.stack([np.array(x, float), np.array(y, float)], 1))
    assert targets["click_valid"].tolist() == [place is not None for place in x]
    assert 0.5 < targets["click_valid"].mean() < 1
    assert close(targets["weight"], weight)
    assert close(targets["box_xyxy"], boxes)
    assert 0.5 < (targets["box_xyxy"][:, 2] > targets["box_xyxy"][:, 0]).mean() < 1
    assert targets["class_index"].tolist() == list(index)
    assert targets["size_wh"].tolist() == [list(size) for size in zip(width, height, strict=True)]


def test_coco_clicks_stand_in_the_columns_of_their_classes(
    export: Export, rows: Rows, samples: Path
) -> None:
    targets = export(dataset="coco-ab")
    expected = np.full(targets["click_xy"].shape, np.nan)
    row = {name: i for i, name in enumerate(names(targets))}
    query = "SELECT image_id, label, x, y FROM image_targets WHERE dataset = 'coco-ab'"
    for image, label, x, y in rows(query, samples):
        if x is not None and 0 <= x <= 1 and 0 <= y <= 1:
            expected[row[image], NAMES.index(label)] = x, y
    assert close(targets["click_xy"], expected)
    assert np.array_equal(targets["click_valid"], ~np.isnan(expected[..., 0]))
    assert (targets["class_index"] == -1).all()


def test_coco_labels_are_coco_s_own_where_they_are_known(
    export: Export, rows: Rows, samples: Path
) -> None:
    targets = export(dataset="coco-ab")
    expected = np.zeros(targets["label"].shape, bool)
    query = "SELECT image_id, class_id FROM objects WHERE dataset = 'coco-ab'"
    for image, label in rows(query, samples):
        expected[targets.rows([image])[0], NAMES.index(label)] = True
    assert np.array_equal(targets["label"], expected)
    assert "COCO's own annotations" in targets.about["arrays"]["label"]["doc"]


def test_without_coco_s_own_annotations_a_placed_icon_is_a_label(
    ingest: Ingest, store: Path, tmp_path: Path
) -> None:
    ingest(Path(__file__).parents[2] / "data/coco/coco_ab.json")
    abpipe.export(tmp_path / "out", store=store)
    targets = abpipe.open_targets(tmp_path / "out")
    assert (targets["label"] | ~targets["click_valid"]).all()
    assert "its icon was placed" in targets.about["arrays"]["label"]["doc"]


@pytest.mark.parametrize("dataset", ["imagenet-ab", "coco-ab"])
def test_traces_are_the_moves_of_each_picture_in_order(
    dataset: str, export: Export, rows: Rows, samples: Path
) -> None:
    targets = export(dataset=dataset)
    query = (
        "SELECT image_id, list({x: x, y: y, t: t_rel_ms} ORDER BY annotation_id, seq) "
        f"FROM timeline WHERE dataset = '{dataset}' AND kind = 'move' GROUP BY image_id"
    )
    expected: dict[str, Any] = dict(rows(query, samples))
    assert len(expected) > 50
    for row, name in enumerate(names(targets)):
        trace = targets.ragged("trace_xyt", row)
        assert close(trace, [[m["x"], m["y"], m["t"]] for m in expected.get(name, [])] or trace)
        assert len(trace) == len(expected.get(name, []))


def test_a_trace_says_which_record_each_move_is_of(
    pack: Pack, xml: Xml, ingest: Ingest, store: Path, tmp_path: Path
) -> None:
    content = xml(workers=["47DBDD543E", "0000000002"])
    ingest(pack("a.tar", [("1.xml", content), ("2.xml", xml(name="n01440764_2"))]))
    abpipe.export(tmp_path / "out", store=store)
    targets = abpipe.open_targets(tmp_path / "out")
    n = len(targets.ragged("trace_record", 1))
    assert targets.ragged("trace_record", 0).tolist() == [0] * n + [1] * n
    assert targets.ragged("trace_record", 1).tolist() == [0] * n


def test_hulls_hold_the_moves_that_are_in_the_picture(export: Export) -> None:
    targets = export()
    sizes = set()
    for row in range(len(targets)):
        moves = targets.ragged("trace_xyt", row)[:, :2].astype(float)
        corners = targets.ragged("hull_xy", row).astype(float)
        sizes.add(min(len(corners), 3))
        hull = shapely.convex_hull(shapely.multipoints(corners)).buffer(1e-6)
        inside = moves[((moves >= 0) & (moves <= 1)).all(1)]
        assert shapely.covers(hull, shapely.points(inside)).all()
        assert ((corners >= 0) & (corners <= 1)).all()
        whole = shapely.convex_hull(shapely.multipoints(moves)).buffer(1e-6)
        assert shapely.covers(whole, shapely.points(corners)).all()
    assert sizes >= {0, 3}


@pytest.mark.parametrize("dataset", ["imagenet-ab", "coco-ab"])
def test_pieces_change_nothing_and_the_same_store_gives_the_same_bytes(
    dataset: str, export: Export, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    asked: dict[str, Any] = {"dataset": dataset, "split": {"train": 0.9, "val": 0.1}, "heatmap": 8}
    whole = read(export(**asked).folder)
    monkeypatch.setattr(memmap, "PIECE_PICTURES", 7)
    monkeypatch.setattr(memmap, "PIECE_CELLS", 5 * 8 * 8)
    monkeypatch.setattr(memmap, "PIECE_MOVES", 90)
    abpipe.export(tmp_path / "again", store=samples, **asked)
    assert read(tmp_path / "again") == whole


def test_a_condition_chooses_pictures_by_class(export: Export, rows: Rows, samples: Path) -> None:
    query = "SELECT DISTINCT image_id FROM images WHERE class_id = 'n02086910' ORDER BY image_id"
    assert names(export(where="class_id = 'n02086910'")) == [n for (n,) in rows(query, samples)]


def test_a_condition_chooses_records_and_only_theirs_count(
    pack: Pack, xml: Xml, ingest: Ingest, store: Path, tmp_path: Path, rows: Rows
) -> None:
    one, two = xml(), xml((">0.", ">1."), workers=["0000000002"])
    merged = one.replace(b"</annotation>", two[two.index(b"  <metadata>") :])
    ingest(pack("a.tar", [("1.xml", merged), ("2.xml", xml(name="n01440764_2"))]))
    abpipe.export(tmp_path / "out", store=store, where="annotator_id = '47DBDD543E'")
    targets = abpipe.open_targets(tmp_path / "out")
    ((x, y),) = rows(
        "SELECT x, y FROM clicks WHERE annotator_id = '47DBDD543E' AND image_id LIKE '%5'"
    )
    assert names(targets) == ["n01440764_105", "n01440764_2"]
    assert targets["click_xy"][0].tolist() == pytest.approx([x, y])
    assert set(targets.ragged("trace_record", 0)) == {0}
    abpipe.export(tmp_path / "out", store=store, where="annotator_id = '0000000002'")
    assert names(abpipe.open_targets(tmp_path / "out")) == ["n01440764_105"]


def test_the_published_reading_takes_the_first_click(
    export: Export, rows: Rows, samples: Path
) -> None:
    targets, final = export(reading="published"), export(reading="final")
    found: dict[str, Any] = dict(
        rows(
            "SELECT image_id, {x: avg(x ORDER BY annotation_id), y: avg(y ORDER BY annotation_id)} "
            "FROM clicks_published WHERE dataset = 'imagenet-ab' GROUP BY image_id",
            samples,
        )
    )
    expected = [
        [found[n]["x"], found[n]["y"]] if n in found else [np.nan] * 2 for n in names(targets)
    ]
    assert np.array_equal(targets["published_xy"], expected, equal_nan=True)  # to the last bit
    assert close(targets["click_xy"], expected)
    assert not np.array_equal(targets["click_xy"], final["click_xy"], equal_nan=True)


def test_the_published_reading_cuts_coco_s_pixels_off_and_keeps_removed_icons(
    export: Export, rows: Rows, samples: Path
) -> None:
    targets, final = export(dataset="coco-ab", reading="published"), export(dataset="coco-ab")
    expected = np.zeros((len(targets), 80, 2), int)
    query = (
        "SELECT image_id, e.label, trunc(arg_max(x, seq) * any_value(natural_width)), "
        "trunc(arg_max(y, seq) * any_value(natural_height)) "
        "FROM events AS e JOIN annotations USING (annotation_id, image_id) "
        "WHERE kind = 'add' GROUP BY ALL"
    )
    for image, label, x, y in rows(query, samples):
        expected[targets.rows([image])[0], NAMES.index(label)] = x, y
    assert np.array_equal(targets["published_px"], expected)
    assert (targets["click_valid"] | ~final["click_valid"]).all()
    assert (targets["click_valid"] & ~final["click_valid"]).any()


@pytest.mark.parametrize("dataset", ["imagenet-ab", "coco-ab"])
def test_heatmaps_are_largest_where_the_mouse_stayed(dataset: str, export: Export) -> None:
    targets = export(dataset=dataset, heatmap=24)
    maps, valid = targets["heatmap"], targets["heatmap_valid"]
    assert (maps.dtype.str, maps.shape) == ("<f2", (len(targets), 24, 24))
    assert np.isnan(maps[~valid]).all()
    assert (maps[valid].max((1, 2)) == 1).all()
    assert (maps[valid] >= 0).all()
    assert valid.mean() > 0.5
    for row in np.flatnonzero(valid)[:20]:
        y, x = np.unravel_index(maps[row].argmax(), (24, 24))
        trace = targets.ragged("trace_xyt", row)[:, :2]
        middle = [(x + 0.5) / 24, (y + 0.5) / 24]
        assert np.abs(trace - middle).max(1).min() < 0.05  # some move is near


def test_a_map_of_a_picture_of_unknown_size_is_not_valid() -> None:
    dwells = {"row": np.array([0, 1]), "x": np.ones(2), "y": np.ones(2), "dwell": np.ones(2)}
    found = memmap._heatmaps(dwells, np.array([[4, 4], [0, 0], [4, 4]]), 8)
    assert found["heatmap_valid"].tolist() == [True, False, False]


def test_the_published_reading_keeps_the_last_record_of_a_coco_picture(
    ingest: Ingest, store: Path, tmp_path: Path
) -> None:
    """As the loader's dict does, even where that record has other icons."""

    def record(worker: str, icon: str, x: float) -> dict[str, Any]:
        sizes = dict.fromkeys(("originalImageHeight", "originalImageWidth"), 100)
        shown = dict.fromkeys(("imageHeight", "imageWidth"), 450)
        add = {"actionType": "add", "iconType": icon, "pointTo": {"x": x, "y": 0.5}, "timeAt": 5}
        lists: dict[str, Any] = {"categoryHistories": [], "mouseTracking": []}
        about = {"image_id": 9, "worker_id": worker, "page_id": 1, "hit_id": "0" * 32}
        return about | sizes | shown | lists | {"timeSpent": 9000, "actionHistories": [add]}

    (tmp_path / "ab.json").write_bytes(
        orjson.dumps([record("A", "cat", 0.25), record("B", "dog", 0.999)])
    )
    image = {"id": 9, "width": 100, "height": 100, "file_name": "COCO_train2014_000000000009.jpg"}
    found = {"id": 1, "image_id": 9, "category_id": 17, "bbox": [0, 0, 1, 1], "area": 1}
    found |= {"iscrowd": 0, "segmentation": []}
    (tmp_path / "instances.json").write_bytes(
        orjson.dumps(
            {
                "images": [image],
                "annotations": [found],
                "categories": [{"id": 17, "name": "cat"}],
            }
        )
    )
    for source in ("ab.json", "instances.json"):
        ingest(tmp_path / source, dataset="mine")
    abpipe.export(tmp_path / "out", store=store, reading="published")
    targets = abpipe.open_targets(tmp_path / "out")
    assert [NAMES[k] for k in np.flatnonzero(targets["click_valid"][0])] == ["dog"]
    assert targets["published_px"][0, NAMES.index("dog")].tolist() == [99, 50]
    assert [NAMES[k] for k in np.flatnonzero(targets["label"][0])] == ["cat"]


@pytest.mark.parametrize("kind", ["imagenet", "coco"])
def test_planted_defects_do_no_harm(
    kind: Literal["imagenet", "coco"], ingest: Ingest, store: Path, tmp_path: Path
) -> None:
    ingest(synth(tmp_path / "raw", kind=kind, count=120, defects=True).archive)
    abpipe.export(tmp_path / "out", store=store, heatmap=4)
    targets = abpipe.open_targets(tmp_path / "out")
    xy, hulls = targets["click_xy"], targets["hull_xy"]
    assert ((xy >= 0) & (xy <= 1)).all(-1).tolist() == targets["click_valid"].tolist()
    assert ((hulls >= 0) & (hulls <= 1)).all()
    assert np.isfinite(targets["trace_xyt"][:, :2]).all()


def test_an_anonymous_export_has_coarse_times_and_no_annotator(
    export: Export, rows: Rows, samples: Path
) -> None:
    targets = export(anonymous=True)
    assert (targets["trace_xyt"][:, 2] % memmap.COARSE_MS == 0).all()
    assert not (export()["trace_xyt"][:, 2] % memmap.COARSE_MS == 0).all()
    written = b"".join(path.read_bytes() for path in targets.folder.iterdir())
    for (annotator,) in rows("SELECT DISTINCT annotator_id FROM annotations", samples):
        assert annotator.encode() not in written


def test_a_picture_without_records_has_a_row(
    pack: Pack, xml: Xml, ingest: Ingest, store: Path, tmp_path: Path
) -> None:
    ingest(pack("a.tar", [("1.xml", xml()), ("2.xml", xml(name="n01440764_2", workers=[]))]))
    abpipe.export(tmp_path / "out", store=store)
    targets = abpipe.open_targets(tmp_path / "out")
    assert targets["click_valid"].tolist() == [True, False]
    assert np.isnan(targets["click_xy"][1]).all()
    assert targets["class_index"].tolist() == [0, 0]
    assert targets.ragged("trace_xyt", 1).shape == (0, 3)
    assert targets.ragged("hull_xy", 1).shape == (0, 2)
