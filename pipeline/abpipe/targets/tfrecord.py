"""TFRecord: a `tf.train.Example` for each picture. Needs `tfrecord`, and no TensorFlow."""

from __future__ import annotations

from pathlib import Path
from struct import pack
from typing import Any

import numpy as np
from tfrecord import example_pb2
from tfrecord.writer import TFRecordWriter

from abpipe.targets.memmap import Array
from abpipe.targets.samples import Sample, fields, write_shards
from abpipe.targets.selection import Progress, Selection

__all__ = ["fields", "write"]


def write(
    selection: Selection, folder: Path, progress: Progress | None = None
) -> dict[str, dict[str, Any]]:
    """Write shards into a folder; what targets.json is to say of each."""
    return write_shards(selection, folder, ".tfrecord", _Shard, progress)


class _Shard:
    """A file of records; the library's own writer puts features in an order of chance."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def write(self, sample: Sample) -> None:
        record = _example(sample).SerializeToString(deterministic=True)
        for part in (pack("<Q", len(record)), record):
            self._file.write(part + TFRecordWriter.masked_crc(part))

    def close(self) -> None:
        self._file.close()


def _example(sample: Sample) -> Any:
    """A sample's targets, each as a flat list of floats or integers, and its id and picture."""
    features = {name: _feature(values) for name, values in sample.targets.items()}
    features["image_id"] = _bytes(sample.image_id.encode())
    if (picture := sample.picture()) is not None:
        features["image"] = _bytes(picture)
    return example_pb2.Example(features=example_pb2.Features(feature=features))


def _feature(values: Array) -> Any:
    flat = np.ravel(values)
    if flat.dtype.kind == "f":
        return example_pb2.Feature(float_list=example_pb2.FloatList(value=flat.astype("f4")))
    return example_pb2.Feature(int64_list=example_pb2.Int64List(value=flat.astype("i8")))


def _bytes(value: bytes) -> Any:
    return example_pb2.Feature(bytes_list=example_pb2.BytesList(value=[value]))
