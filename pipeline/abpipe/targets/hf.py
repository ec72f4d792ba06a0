"""Hugging Face: a folder that `datasets.load_dataset` loads. Needs `datasets`."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import ClassLabel, Features, Image, List, Value
from huggingface_hub import DatasetCardData

from abpipe.contracts import classes
from abpipe.targets.memmap import Spec
from abpipe.targets.samples import Sample, arrays, fields, write_shards
from abpipe.targets.selection import Progress, Selection

__all__ = ["fields", "write"]

ROWS = 4096  # of a row group
ROWS_OF_PICTURES = 100
CARD = "README.md"


def write(
    selection: Selection, folder: Path, progress: Progress | None = None
) -> dict[str, dict[str, Any]]:
    """Write Parquet files and a dataset card into a folder; what targets.json is to say of each."""
    features = _features(selection)
    files = write_shards(
        selection, folder, ".parquet", partial(_Shard, features=features), progress
    )
    (folder / CARD).write_text(_card(selection, features, folder, files), "utf-8")
    return files | {"card": {"file": CARD, "shape": ()}}


class _Shard:
    """A Parquet file whose schema says what features its columns are."""

    def __init__(self, path: Path, features: Features) -> None:
        self._schema, self._rows = features.arrow_schema, list[dict[str, Any]]()
        self._most = ROWS_OF_PICTURES if "image" in features else ROWS
        self._file = pq.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, sample: Sample) -> None:
        row = {name: values.tolist() for name, values in sample.targets.items()}
        if "image" in self._schema.names and sample.file:
            row["image"] = {"bytes": sample.picture(), "path": sample.file.name}
        self._rows.append({"image_id": sample.image_id} | row)
        if len(self._rows) == self._most:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        if self._rows:
            self._file.write_table(pa.Table.from_pylist(self._rows, self._schema))
            self._rows.clear()


def _features(selection: Selection) -> Features:
    """The features of a row."""
    made = {"image_id": Value("string")}
    if selection.options.images:
        made["image"] = Image()
    made |= {spec.name: _feature(spec) for spec in arrays(selection)}
    if not selection.is_coco:
        made["class_index"] = ClassLabel(names=_names(selection))
    return Features(made)


def _feature(spec: Spec) -> Any:
    dtype = np.dtype(spec.dtype).name
    feature = Value(dtype)
    for length in reversed(spec.shape):
        feature = List(feature, length=length)
    return List(feature) if spec.offsets else feature


def _names(selection: Selection) -> list[str]:
    """The classes, each by a name that no other has."""
    key = "name" if selection.is_coco else "class_id"
    return [str(row[key]) for row in classes(selection.about["tool"])]


def _card(
    selection: Selection, features: Features, folder: Path, files: dict[str, dict[str, Any]]
) -> str:
    """The dataset card: YAML for machines, then text for people."""
    about, name = selection.about, selection.options.dataset
    rows, size = Counter[str](), Counter[str]()
    for entry in files.values():
        rows[entry["part"]] += entry["shape"][0]
        size[entry["part"]] += _bytes(folder / entry["file"])
    parts = list(dict.fromkeys([*selection.options.split, *rows]))
    parts = [part for part in parts if part in rows]  # one without pictures has no file
    data = DatasetCardData(
        license=_licence(selection),
        pretty_name=about.get("title", name),
        tags=["annotation-byproducts", "abpipe"],
        configs=[
            {
                "config_name": "default",
                "data_files": [{"split": part, "path": f"{part}-*.parquet"} for part in parts],
            }
        ],
        dataset_info={
            "features": features._to_yaml_list(),
            "splits": [
                {"name": part, "num_bytes": size[part], "num_examples": rows[part]}
                for part in parts
            ],
        },
    )
    lines = [
        f"# {about.get('title', name)}",
        f"{selection.rows:,} pictures, each with what its annotators' mouse tells, exported by "
        "abpipe. `targets.json` says where it comes from, and how.",
        f'```python\nfrom datasets import load_dataset\n\ndata = load_dataset("{name}")'
        '.with_format("numpy")\n```',
        "## Columns",
        "\n".join(_columns(selection)),
    ]
    if selection.is_coco:
        names = ", ".join(f"{i} {name}" for i, name in enumerate(_names(selection)))
        lines += ["## Classes", names]
    lines += [f"## {head}\n\n{about[key]}" for head, key in _ABOUT.items() if key in about]
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(lines) + "\n"


def _bytes(path: Path) -> int:
    """How large the rows of a file are, decompressed."""
    about = pq.read_metadata(path)
    return sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))


def _licence(selection: Selection) -> str:
    """The licence by the hub's name for it; pictures have terms of their own."""
    if selection.options.images:
        return "other"
    is_apache = selection.about.get("licence", "").startswith("Apache-2.0")
    return "apache-2.0" if is_apache else "unknown"


_ABOUT = {"Licence": "licence", "Citation": "citation", "Source": "homepage"}


def _columns(selection: Selection) -> list[str]:
    rows = ["| column | unit | meaning |", "| --- | --- | --- |", "| image_id | | The picture |"]
    if selection.options.images:
        rows.append("| image | | The picture itself, as it is stored; NULL where it was missing |")
    rows += [f"| {spec.name} | {spec.unit} | {spec.doc} |" for spec in arrays(selection)]
    return rows
