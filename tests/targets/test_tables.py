from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest

import abpipe
from abpipe.contracts import contracts
from abpipe.errors import NoTargets

Rows = Callable[..., list[tuple[Any, ...]]]

READ = {
    "csv": "read_csv('{}', types = {{'image_id': 'VARCHAR'}})",
    "jsonl": "read_json('{}', format = 'newline_delimited')",
    "parquet": "'{}'",
}
OWN = "label, x, y, spread, n_annotators, agreement, weight"


@pytest.mark.parametrize("form", READ)
def test_every_label_has_a_row_and_so_has_a_picture_without_any(
    form: str, samples: Path, rows: Rows, tmp_path: Path
) -> None:
    out, split = tmp_path / "out", {"train": 0.5, "val": 0.5}
    done = abpipe.export(out, form=form, store=samples, dataset="coco-ab", split=split)
    written = out / f"targets.{form}"
    whole, source = written.read_bytes(), READ[form].format(written)
    query = f"SELECT image_id, {OWN} FROM image_targets WHERE dataset = 'coco-ab' ORDER BY 1, 2"
    expected = rows(query, samples)
    all_rows = duckdb.sql(f"SELECT image_id::VARCHAR, {OWN} FROM {source}").fetchall()
    found = [row for row in all_rows if row[1] is not None]
    assert found == expected
    counts = "count(DISTINCT image_id), count(class_index), count(DISTINCT split), min(width) > 0"
    numbers = duckdb.sql(f"SELECT {counts} FROM {source}").fetchall()
    assert numbers == [(60, len(expected), 2, True)]
    columns = [name for name, *_ in duckdb.sql(f"DESCRIBE FROM {source}").fetchall()]
    entry = orjson.loads((out / "targets.json").read_bytes())["arrays"]["targets"]
    assert columns == list(entry["columns"])
    assert {column.name for column in contracts()["image_targets"].columns} < {*columns}
    assert done.arrays == {"targets": (len(all_rows), len(columns))}
    abpipe.export(out, form=form, store=samples, dataset="coco-ab", split=split)
    assert written.read_bytes() == whole


def test_a_table_is_not_opened_as_arrays(samples: Path, tmp_path: Path) -> None:
    abpipe.export(tmp_path / "out", form="csv", store=samples, dataset="imagenet-ab")
    with pytest.raises(NoTargets) as error:
        abpipe.open_targets(tmp_path / "out")
    assert error.value.why == "it was exported as csv"
