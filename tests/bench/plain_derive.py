"""The core answers with pandas and a loop over shapely: what a user would write, on a part.

Prints how many records it read and its seconds, by the clock and of the processor, without the
reading of the tables.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from shapely import MultiPoint


def answer(events: pd.DataFrame, records: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Final clicks, traces with their hulls and boxes, and the mean click of each picture."""
    chosen = records[records["selected"].eq(True)]
    clicks = events[events["kind"] == "click"].sort_values(["annotation_id", "seq"])
    clicks = clicks.groupby("annotation_id").tail(1).merge(chosen, on="annotation_id")
    clicks = clicks.assign(x_px=clicks.x * clicks.width, y_px=clicks.y * clicks.height)
    targets = clicks.groupby("image_id").agg(
        x=("x", "mean"), y=("y", "mean"), n_annotators=("annotation_id", "size")
    )
    moves = events[events["kind"] == "move"].merge(records, on="annotation_id")
    traces = [trace(rows) for _, rows in moves.groupby("annotation_id")]
    return {"clicks": clicks, "image_targets": targets, "traces": pd.DataFrame(traces)}


def trace(moves: pd.DataFrame) -> dict[str, object]:
    """The hull, the box and a few measures of one trace."""
    moves = moves.sort_values("seq")
    x, y = moves["x"] * moves["width"], moves["y"] * moves["height"]
    hull = MultiPoint([*zip(x, y, strict=True)]).convex_hull
    steps = np.hypot(x.diff(), y.diff())
    gaps = moves["t_ms"].diff()
    return {
        "annotation_id": moves["annotation_id"].iloc[0],
        "n_moves": len(moves),
        "total_dist": steps.sum(),
        "duration": moves["t_ms"].max() - moves["t_ms"].min(),
        "vel_max": (steps / gaps).max(),
        "hover_time": gaps[gaps > 250].sum(),
        "hull": hull.wkb,
        "hull_area_px": hull.area,
        "box": hull.bounds,
    }


def main() -> None:
    """Read the first records of a store, and take the time of the rest."""
    store, count = Path(sys.argv[1]), int(sys.argv[2])
    with duckdb.connect() as connection:
        tables = {
            name: f"read_parquet('{store}/{name}/dataset=imagenet-ab/*.parquet')"
            for name in ("annotations", "events", "images")
        }
        records = connection.execute(
            f"SELECT annotation_id, a.image_id, selected, width, height FROM"
            f" (FROM {tables['annotations']} ORDER BY annotation_id LIMIT {count}) AS a"
            f" JOIN {tables['images']} AS i USING (image_id, source)"
        ).df()
        events = connection.execute(
            f"SELECT annotation_id, kind, seq, t_ms, x, y FROM {tables['events']}"
            f" WHERE annotation_id <= {records['annotation_id'].max()}"
        ).df()
    begin, cpu = time.perf_counter(), time.process_time()
    answer(events, records)
    took = time.perf_counter() - begin, time.process_time() - cpu
    sys.stdout.write(f"{len(records)} {took[0]} {took[1]}\n")


if __name__ == "__main__" and "--help" not in sys.argv:
    main()
