"""The plain way: tarfile, ElementTree, pyarrow, to the same tables."""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq

FIELDS = {
    "worker_id": "annotator_id",
    "assignment_id": "assignment_id",
    "hit_id": "hit_id",
    "imagenet_hit_id": "tool_hit_id",
}
NUMBERS = {
    "page_idx": "page",
    "image_idx": "slot",
    "hit_submit_time": "submitted_s",
    "imageWidth": "display_width",
    "imageHeight": "display_height",
    "originalImageWidth": "natural_width",
    "originalImageHeight": "natural_height",
    "selectedCount": "select_count",
    "hoveredCount": "hover_count",
    "estimateTime": "estimate_ms",
}


def ingest(archive: Path, out: Path) -> None:
    """Parse every file of an archive and write four tables."""
    out.mkdir(parents=True, exist_ok=True)
    tables: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("images", "annotations", "events", "objects")
    }
    writers: dict[str, pq.ParquetWriter] = {}
    with tarfile.open(archive, "r|*") as tar:
        for info in tar:
            tar.members = []  # type: ignore[attr-defined]
            file = tar.extractfile(info)
            if file and info.name.endswith(".xml"):
                parse(ElementTree.fromstring(file.read()), info.name, tables)
            if len(tables["events"]) > 200_000:
                flush(tables, writers, out)
    flush(tables, writers, out)
    for writer in writers.values():
        writer.close()


def parse(root: ElementTree.Element, member: str, tables: dict[str, list[dict[str, Any]]]) -> None:
    """Add the rows of one file."""
    image_id = root.findtext("filename")
    records = root.findall("metadata")
    tables["images"].append(
        {
            "image_id": image_id,
            "class_id": root.findtext("folder"),
            "width": int(root.findtext("size/width", "")),
            "height": int(root.findtext("size/height", "")),
            "depth": int(root.findtext("size/depth", "")),
            "segmented": int(root.findtext("segmented", "")),
            "n_annotations": len(records),
            "member": member,
        }
    )
    for number, box in enumerate(root.findall("object")):
        corners = {
            c: float(box.findtext(f"bndbox/{c}", "")) for c in ("xmin", "ymin", "xmax", "ymax")
        }
        flags = {f: int(box.findtext(f, "")) for f in ("truncated", "difficult")}
        named = {"class_id": box.findtext("name"), "pose": box.findtext("pose")}
        tables["objects"].append(
            {"image_id": image_id, "object_no": number} | named | corners | flags
        )
    for record in records:
        annotation_id = len(tables["annotations"])
        row: dict[str, Any] = {
            "annotation_id": annotation_id,
            "image_id": image_id,
            "member": member,
        }
        row |= {column: record.findtext(tag) for tag, column in FIELDS.items()}
        row |= {column: int(record.findtext(tag, "")) for tag, column in NUMBERS.items()}
        row |= {f"page_{c}": float(record.findtext(f"imagePosition/{c}", "")) for c in "xy"}
        row["selected"] = record.findtext("selected") == "True"
        tables["annotations"].append(row)
        for tag, kind in (
            ("hoveredRecord", None),
            ("mouseTracking", "move"),
            ("selectedRecord", "click"),
        ):
            for seq, item in enumerate(record.findall(tag)):
                time = item.findtext("time")
                if time is None:
                    continue
                x, y = item.findtext("x"), item.findtext("y")
                tables["events"].append(
                    {
                        "annotation_id": annotation_id,
                        "image_id": image_id,
                        "kind": kind or item.findtext("action"),
                        "seq": seq,
                        "t_ms": int(time),
                        "x": float(x) if x else None,
                        "y": float(y) if y else None,
                    }
                )


def flush(
    tables: dict[str, list[dict[str, Any]]], writers: dict[str, pq.ParquetWriter], out: Path
) -> None:
    """Write the rows so far."""
    for name, rows in tables.items():
        if rows:
            table = pa.Table.from_pylist(rows, writers[name].schema if name in writers else None)
            if name not in writers:
                path = out / f"{name}.parquet"
                writers[name] = pq.ParquetWriter(path, table.schema, compression="zstd")
            writers[name].write_table(table)
            rows.clear()


if __name__ == "__main__":
    ingest(Path(sys.argv[1]), Path(sys.argv[2])) if "--help" not in sys.argv else None
