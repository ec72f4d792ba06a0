from __future__ import annotations

from pathlib import Path

import orjson
import pytest

import abpipe
from abpipe.synth import synth
from abpipe.synth.shapes import Shape, outline


def test_the_annotation_file_tells_the_truth_as_coco_does(tmp_path: Path) -> None:
    synth(tmp_path / "coco", kind="coco", count=40, seed=1)
    truth = tmp_path / "coco/truth"
    (result,) = abpipe.ingest(truth / "instances_train2014.json", store=tmp_path / "store")
    ledger = result.source.ledger
    assert ledger.records["total"] == ledger.records["rows"] == sum(result.rows.values())
    assert ledger.extra == {}
    box = "xmin, ymin, round(xmax, 2), round(ymax, 2)"
    with abpipe.connect(tmp_path / "store") as con:
        found = con.execute(f"SELECT image_id, class_id, {box} FROM objects ORDER BY ALL")
        told = f"SELECT image_id, label, {box} FROM read_parquet(?) ORDER BY ALL"
        rows = found.fetchall()
        assert rows == con.execute(told, [str(truth / "objects.parquet")]).fetchall()
        assert len(rows) > 40
        sizes = con.execute("SELECT image_id, width, height FROM images").fetchall()
        told = "SELECT image_id, width, height FROM read_parquet(?)"
        assert sizes == con.execute(told, [str(truth / "images.parquet")]).fetchall()


def test_its_polygons_are_as_large_as_their_boxes(tmp_path: Path) -> None:
    synth(tmp_path, kind="coco", count=40, seed=1)
    whole = orjson.loads((tmp_path / "truth/instances_train2014.json").read_bytes())
    assert list(whole) == ["info", "images", "licenses", "annotations", "categories"]
    assert len(whole["categories"]) == 80
    for annotation in whole["annotations"]:
        (polygon,) = annotation["segmentation"]
        (x, y, width, height), across, down = annotation["bbox"], polygon[::2], polygon[1::2]
        assert (min(across), min(down)) == pytest.approx((x, y), abs=0.01)
        assert (max(across), max(down)) == pytest.approx((x + width, y + height), abs=0.02)
        assert 0.3 * width * height < annotation["area"] <= width * height


def test_a_shape_fills_its_box() -> None:
    for index in range(5):
        across, down = zip(*outline(Shape(index, (1, 2, 11, 22))), strict=True)
        assert (min(across), max(across), min(down), max(down)) == pytest.approx((1, 11, 2, 22))
