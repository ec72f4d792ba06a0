"""Records: scenes out of a store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import numpy as np

from abpipe.catalog import connect
from abpipe.contracts import contracts
from abpipe.errors import BadQuery, NoPage, NoSize, NotFound, NothingChosen, SeveralDatasets
from abpipe.image_ids import image_id
from abpipe.lineage import needed, sql, text
from abpipe.view import pictures
from abpipe.view.scene import Action, Answer, Box, Kind, Panel, Scene, Visit, seconds

DRAWN = ("clicks", "ground_truth", "icons", "traces")  # and what they read
GRID = {"rows": 48, "columns": 48}  # of a dwell map
SLOTS, SLOTS_A_ROW = 48, 8  # of a page
ABREAST = 3  # annotators
PIXELS = {"record": 1600, "sheet": 480, "page": 320}  # that a panel's picture has at most
BLANK = 4, 3  # where there is no picture

#: Pictures and records to be drawn: (image_id, dataset, annotation_id or None).
Wanted: TypeAlias = Sequence[tuple[str, str, int | None]]


@dataclass(frozen=True)
class Source:
    """Where scenes come from: a store, one of its datasets, and a folder of pictures."""

    store: Path | str = "abstore"
    dataset: str | None = None
    images: Path | None = None


def picture(source: Source, name: str, annotator: str | None = None) -> Scene:
    """The scene of a picture: a panel for each of its annotators, or for one of them.

    Raises NotFound, SeveralDatasets, NoSize, and what `pictures` does.
    """
    with connect(source.store, source.dataset) as connection:
        wanted = _records(connection, name, annotator)
        panels = _panels(connection, wanted, source.images, "record")
    found, dataset, _ = wanted[0]
    if not panels[0].has_size:
        raise NoSize(found, dataset)
    title = found if panels[0].class_name is None else f"{found}, {panels[0].class_name}"
    titled = tuple(replace(panel, title=_said(panel)) for panel in panels)
    return Scene("record", found, title, titled, min(len(panels), ABREAST))


def page(source: Source, name: str, annotator: str | None = None) -> Scene:
    """The scene of the page that a picture was shown on: a panel for each slot, on one clock.

    Raises what `picture` does, and NoPage for a picture that was alone on its page.
    """
    with connect(source.store, source.dataset) as connection:
        (found, _, record), *_ = _records(connection, name, annotator)
        query, told = text("view", "page.sql"), {"annotation_id": record}
        if not (wanted := connection.execute(query, told).fetchall()):
            raise NoPage(found)
        drawn = _panels(connection, wanted, source.images, "page")
    by_slot = _by_slot(drawn)
    slots = range(max(SLOTS, *(slot + 1 for slot in by_slot)))
    panels = tuple(by_slot.get(slot, Panel(str(slot), *BLANK)) for slot in slots)
    title = f"Page {drawn[0].page}, {_who(drawn[0])}: slot ▸ which in the order of visits"
    return Scene("page", f"{found}-page", title, panels, SLOTS_A_ROW)


def sheet(source: Source, sample: int, where: str | None = None) -> Scene:
    """The scene of some pictures that meet a condition, a panel for one record of each.

    The same store gives the same pictures: they are in the order of a hash of their ids. Raises
    BadQuery, NothingChosen, and what `pictures` does.
    """
    with connect(source.store, source.dataset) as connection:
        condition = f"WHERE (\n{where}\n)" if where else ""
        query = (
            "SELECT image_id, dataset, min(annotation_id) AS annotation_id FROM (\n"
            f"{text('targets', 'selected.sql')}\n) {condition} GROUP BY image_id, dataset "
            "ORDER BY md5(image_id), dataset LIMIT $sample"
        )
        try:
            wanted = connection.execute(query, {"sample": sample}).fetchall()
        except duckdb.Error as err:
            raise BadQuery(str(err)) from None
        if not wanted:
            raise NothingChosen(source.dataset or "the store", where)
        drawn = _panels(connection, wanted, source.images, "sheet")
    panels = tuple(replace(panel, title=panel.image_id) for panel in drawn)
    columns = max(1, round((len(panels) * 1.5) ** 0.5))
    title = "1 picture" if len(panels) == 1 else f"{len(panels)} pictures"
    title += f" where {' '.join(where.split())}" if where else ""
    return Scene("sheet", "sample", title, panels, columns)


def _who(panel: Panel) -> str:
    return f"annotator {panel.annotator}" if panel.annotator else "annotator unknown"


def _said(panel: Panel) -> str:
    """Who it was, what they did, and how long it took."""
    if panel.annotation_id is None:
        return "no annotator was shown this picture"
    done = {True: "selected", False: "not selected", None: ""}[panel.is_selected]
    if panel.is_selected is None:
        final = sum(icon.is_final for icon in panel.icons)
        done = f"{final} icon{'' if final == 1 else 's'}"
    return f"{_who(panel)} · {done} · {seconds(panel.end_ms)}"


def _by_slot(panels: list[Panel]) -> dict[int, Panel]:
    """The panels of a page by slot, which is in the title with the place in the order of visits."""
    slots = {panel.slot: panel for panel in panels if panel.slot is not None}
    visited = [slot for slot, panel in slots.items() if panel.visits]
    order = sorted(visited, key=lambda slot: slots[slot].visits[0].t_ms[0])
    came = {slot: f" ▸ {number}" for number, slot in enumerate(order, 1)}
    return {
        slot: replace(panel, title=f"{slot}{came.get(slot, '')}") for slot, panel in slots.items()
    }


def _records(connection: duckdb.DuckDBPyConnection, name: str, annotator: str | None) -> Wanted:
    """The records of a picture, in order; the picture alone if it has none."""
    found = image_id(name)
    known = "SELECT image_id, dataset FROM images UNION SELECT image_id, dataset FROM pictures"
    query = (
        f"SELECT image_id, dataset, annotation_id, annotator_id FROM ({known}) "
        "LEFT JOIN annotations USING (image_id, dataset) WHERE image_id = ? ORDER BY annotation_id"
    )
    rows = connection.execute(query, [found]).fetchall()
    if not rows:
        raise NotFound("picture", name, _examples(connection))
    if len(datasets := sorted({row[1] for row in rows})) > 1:
        raise SeveralDatasets(found, datasets)
    if annotator is None:
        return [row[:3] for row in rows]
    if not (theirs := [row[:3] for row in rows if row[3] == annotator]):
        people = ", ".join(row[3] for row in rows if row[3]) or "nobody who is known"
        raise NotFound("annotator", annotator, f"Who was shown {found}: {people}")
    return theirs


def _examples(connection: duckdb.DuckDBPyConnection) -> str:
    query = "SELECT min(image_id) FROM images GROUP BY dataset ORDER BY dataset"
    some = " or ".join(name for (name,) in connection.execute(query).fetchall())
    return f"It holds pictures such as {some}: `abpipe sql 'SELECT image_id FROM images'`"


def _panels(
    connection: duckdb.DuckDBPyConnection, wanted: Wanted, images: Path | None, kind: Kind
) -> list[Panel]:
    """The panels of what is wanted, in order. On a page, all have one clock."""
    connection.execute(
        "CREATE TEMP TABLE wanted "
        "(place INTEGER, image_id VARCHAR, dataset VARCHAR, annotation_id BIGINT)"
    )
    rows = [(place, *row) for place, row in enumerate(wanted)]
    connection.executemany("INSERT INTO wanted VALUES (?, ?, ?, ?)", rows)
    _derive(connection)
    found = connection.execute(text("view", "panels.sql"), GRID)
    names = [column[0] for column in found.description or ()]
    records = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    begins = [row["begin_ms"] for row in records if row["begin_ms"] is not None]
    files = pictures.find(images, (row[0] for row in wanted)) if images else {}
    return [
        _panel(
            row,
            begin=min(begins, default=0) if kind == "page" else row["begin_ms"] or 0,
            file=files.get(row["image_id"]),
            most=PIXELS[kind],
        )
        for row in records
    ]


def _derive(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables that are drawn, of the wanted pictures alone, whatever the store has derived.

    Temporary tables hide those of the store. Records come with all others of their picture, for
    these say how it was turned.
    """
    for name in needed(DRAWN):
        contract = contracts()[name]
        columns = {column.name for column in contract.columns}
        if not contract.is_raw:
            query = sql(name)
        elif "annotation_id" in columns and name != "annotations":
            query = f"FROM main.{name} SEMI JOIN annotations USING (annotation_id)"
        elif "image_id" in columns:
            query = f"FROM main.{name} SEMI JOIN wanted USING (image_id, dataset)"
        else:
            continue
        connection.execute(f"CREATE TEMP TABLE {name} AS {query}")


def _panel(row: dict[str, Any], begin: int, file: Path | None, most: int) -> Panel:
    width, height = row["stored_width"], row["stored_height"]
    corners = [row["hull_x"] or [], row["hull_y"] or []]
    dwell = row["dwell"] and np.array(row["dwell"], np.float32).reshape(*GRID.values())
    return Panel(
        "",
        width or BLANK[0],
        height or BLANK[1],
        image_id=row["image_id"],
        annotation_id=row["annotation_id"],
        class_name=row["class_name"],
        annotator=row["annotator_id"],
        page=row["page"],
        slot=row["slot"],
        is_selected=row["selected"],
        has_size=width is not None,
        picture=pictures.read(file, row["dataset"], width, height, most)
        if file and width
        else None,
        visits=tuple(_visit(visit, begin) for visit in row["visits"] or ()),
        actions=tuple(_action(action, begin) for action in row["actions"] or ()),
        answers=tuple(Answer(**answer) for answer in row["answers"] or ()),
        boxes=tuple(Box(**box) for box in (row["truth"] or []) + (row["boxes"] or [])),
        hull=np.array(corners, float).T,
        dwell=None if dwell is None or np.isnan(dwell).any() else dwell,
    )


def _visit(visit: dict[str, Any], begin: int) -> Visit:
    t_ms, *others = (np.array(visit[name], float) for name in ("t_ms", "x", "y", "dwell_ms"))
    return Visit(t_ms - begin, *others)


def _action(action: dict[str, Any], begin: int) -> Action:
    places = ("x", "y", "x_from", "y_from")
    known = {name: np.nan if action[name] is None else action[name] for name in places}
    return Action(action["kind"], action["label"] or "", action["t_ms"] - begin, **known)
