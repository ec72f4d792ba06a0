"""The report's HTML: a template, its style and script, and charts, all in one file."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from abpipe import __version__
from abpipe.contracts import contracts
from abpipe.view import charts, style

if TYPE_CHECKING:
    from abpipe.audit import Finding
    from abpipe.manifest import Manifest
    from abpipe.view.report import About

_LEVEL_COLOURS = {"error": "bad", "warning": "bad", "note": "muted"}
NOTHING = "\N{EN DASH}"


@dataclass(frozen=True)
class Measure:
    """How a measure of records is told: its name, the unit of its axis, and what it is."""

    title: str
    unit: str
    what: str


_MEASURES = {
    "time": Measure("Time", "ms", ""),
    "moves": Measure("Moves", "moves", "mouse moves of a record"),
    "duration": Measure("Duration", "ms", "from the first move of each visit to its last, summed"),
    "way": Measure("Way", "diagonals of the picture", "length of the trace, over the diagonal"),
    "hull": Measure("Hull", "share of the picture", "area of the trace's convex hull"),
    "visits": Measure("Visits", "visits", "stretches in which the mouse was observed"),
    "icons": Measure("Icons", "icons", "icons that lay on the picture in the end"),
}
_TIMES = {
    "imagenet": "estimateTime as stored, of records that ended selected",
    "coco": "timeSpent as stored: how long the page was open",
}


def page(found: list[About], manifest: Manifest) -> str:
    """The whole page about some datasets, whose sources a manifest names."""
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters |= {
        "count": _count,
        "share": _share,
        "number": _number,
        "plain": _plain,
        "finding": _finding,
        "person": _person,
    }
    return environment.from_string(_text("report.html")).render(
        version=__version__,
        found=found,
        sources={
            about.name: [s for s in manifest.sources if s.dataset == about.name] for about in found
        },
        charts={about.name: _charts(about) for about in found},
        measures=_MEASURES,
        times=_TIMES,
        outliers={about.name: _outliers(about) for about in found},
        contracts=contracts(),
        css=Markup(f"{style.css()}\n{_text('report.css')}"),
        script=Markup(_text("report.js")),
    )


def _charts(about: About) -> dict[str, Markup]:
    """The charts of a dataset, by name; without those that have nothing to show."""
    answers, made = about.answers, dict[str, Markup]()

    def name(chart: str) -> str:
        return f"{about.name}-{chart}"

    for spread in answers["spreads"]:
        measure = _MEASURES[spread["measure"]]
        title = f"Histogram of records by {measure.title.lower()}"
        chart = spread["measure"]
        made[chart] = charts.histogram(name(chart), spread, title, measure.unit)
    if answers["places"]:
        title = "Map of answers in the picture"
        made["places"] = charts.places(name("places"), answers["places"], title)
    if classes := answers["classes"]:
        series = {
            "pictures": [row["pictures"] for row in classes],
            "with a place": [row["placed"] for row in classes],
        }
        title = "Pictures of each class, and those with a place that somebody clicked"
        made["classes"] = charts.ranked(name("classes"), series, title, "pictures")
    if about.findings:
        bars = [
            (_wrapped(finding.what), finding.share or 0, _LEVEL_COLOURS[finding.level])
            for finding in about.findings
        ]
        title = "Share of the records that each rule finds"
        made["findings"] = charts.shares(name("findings"), bars, title)
    if rates := [row for row in answers["crowd"] if row["rate"] != "pace_z"]:
        title = "Box plots of the rates of annotators with 30 answers or more"
        made["crowd"] = charts.crowd(name("crowd"), rates, _limits(), title)
    if answers["ious"]:
        title = "Histogram of the IoU of each kind of box with its object"
        made["ious"] = charts.ious(name("ious"), answers["ious"], title)
    for n, one in enumerate(answers["examples"]):
        title = f"Trace, answer and objects of record {one['annotation_id']}"
        made[f"example-{n}"] = charts.record(name(f"example-{n}"), one, title)
    return made


def _limits() -> dict[str, float]:
    """Above which rate a flag is raised, as the dictionary of annotators says."""
    limits = {}
    for column in contracts()["annotators"].columns:
        if limit := re.search(r"Flag: \w+.*above (\d+) %", column.doc):
            limits[column.name] = int(limit[1]) / 100
    return limits


def _outliers(about: About) -> dict[str, list[str]]:
    """For each annotator who is far from the crowd: in which figures."""
    far: dict[str, list[str]] = {}
    for row in about.answers["crowd"]:
        for outlier in row["outliers"]:
            far.setdefault(outlier["annotator_id"], []).append(row["rate"].removesuffix("_rate"))
    return far


def _finding(finding: Finding) -> dict[str, Any]:
    """A row of the table of findings."""
    return asdict(finding) | {"such": ", ".join(map(str, finding.examples))}


def _person(row: dict[str, Any], outliers: dict[str, list[str]]) -> dict[str, Any]:
    """A row of the table of annotators."""
    far = ", ".join(outliers.get(row["annotator_id"], []))
    return row | {"why": "; ".join(row["reasons"]), "far_from": far}


def _wrapped(text: str, width: int = 34) -> str:
    """A label of at most two lines."""
    text = text.partition(":")[0]
    if len(text) <= width:
        return text
    at = text.rfind(" ", 0, width)
    rest = text[at + 1 :]
    return f"{text[:at]}\n{rest if len(rest) <= width else rest[: width - 1] + '…'}"


def _count(n: int | None) -> str:
    return NOTHING if n is None else f"{n:,}"


def _share(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.1%}" if value >= 0.001 or not value else f"{value:.3%}"


def _number(value: float | None, digits: int = 2) -> str:
    return NOTHING if value is None else f"{value:,.{digits}f}"


def _plain(value: object) -> str:
    return NOTHING if value is None else str(value)


def _text(name: str) -> str:
    return files("abpipe").joinpath("view", name).read_text("utf-8")
