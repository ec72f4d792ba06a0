"""Charts of the report: matplotlib's SVG, in colours that follow the page's theme."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, NullLocator, PercentFormatter

from abpipe.view import style

Row = Mapping[str, Any]

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_WIDTH_IN = 4.6  # of the narrowest phone: letters keep their size there
_SETTINGS = style.SETTINGS | {
    "font.size": 10,
    "axes.axisbelow": True,
    "axes.grid": True,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.facecolor": "none",
    "grid.color": style.LIGHT["line"],
    "grid.linewidth": 0.6,
    "image.interpolation": "none",
    "legend.fontsize": 9,
}
_KINDS = {"trace": style.ORANGE, "core": style.LIGHT["accent"]}  # a hull's box is the trace's
_DENSITY = LinearSegmentedColormap.from_list("density", [(0.9, 0.6, 0, 0.0), (0.84, 0.37, 0, 1.0)])


@contextmanager
def _axes(
    height_in: float = 2.5, is_bare: bool = False
) -> Iterator[tuple[Axes, Callable[[str, str], Markup]]]:
    """Axes to draw on, and what makes an SVG of them: of an id of its own, and a title."""
    with mpl.rc_context(_SETTINGS):
        figure = Figure((_WIDTH_IN, height_in), layout=None if is_bare else "constrained")
        room = {"left": 0.01, "right": 0.99, "bottom": 0.01, "top": 0.99} if is_bare else None
        yield figure.subplots(gridspec_kw=room), lambda name, title: _svg(figure, name, title)


def histogram(name: str, spread: Row, title: str, unit: str) -> Markup:
    """How often a measure takes which values: steps of a decade, or of a share."""
    per_decade, steps = spread["per_decade"], spread["steps"] or []
    first = min((s["step"] for s in steps), default=0)
    last = max((s["step"] for s in steps), default=0)
    counts = np.zeros(last - first + 1)
    for s in steps:
        counts[s["step"] - first] = s["n"]
    edges = np.arange(first, last + 2)
    with _axes() as (axes, svg):
        if per_decade:
            axes.set_xscale("log")
            axes.stairs(counts, 10.0 ** (edges / per_decade), fill=True, color=_accent())
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _ticked(value)))
            axes.xaxis.set_minor_locator(NullLocator())
        else:
            axes.stairs(counts, edges / 20, fill=True, color=_accent())
            axes.xaxis.set_major_formatter(PercentFormatter(1))
        if spread["p50"]:
            axes.axvline(spread["p50"], color=style.LIGHT["bad"], linewidth=1.2)
        axes.set_xlabel(unit)
        axes.set_ylabel("records")
        _count(axes)
        return svg(name, title)


def places(name: str, cells: Sequence[Row], title: str) -> Markup:
    """A map of a picture: the more answers in a cell, the darker."""
    counts = np.zeros((40, 40))
    for cell in cells:
        counts[cell["row"], cell["column"]] = cell["n"]
    with _axes(3.4) as (axes, svg):
        image = axes.imshow(counts, cmap=_DENSITY, extent=(0, 1, 1, 0), aspect="auto", vmin=0)
        axes.figure.colorbar(image, ax=axes, label="answers in a cell of 2.5 %", drawedges=False)
        axes.set_xlabel("from the left edge")
        axes.set_ylabel("from the top edge")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1))
        return svg(name, title)


def ranked(name: str, series: Mapping[str, Sequence[float]], title: str, what: str) -> Markup:
    """Classes from the one with most to the one with least."""
    with _axes() as (axes, svg):
        colours = (style.LIGHT["line"], style.LIGHT["accent"])
        for (label, values), colour in zip(series.items(), colours, strict=False):
            axes.stairs(sorted(values, reverse=True), fill=True, label=label, color=colour)
        axes.set_xlabel("classes, from most to least")
        axes.set_ylabel(what)
        axes.set_ylim(bottom=0)
        axes.legend()
        _count(axes)
        return svg(name, title)


def shares(name: str, rows: Sequence[tuple[str, float, str]], title: str) -> Markup:
    """A bar for each share: its label, the share, and a colour of the theme."""
    labels, values, colours = zip(*reversed(rows), strict=True)
    with _axes(0.8 + 0.42 * len(rows)) as (axes, svg):
        bars = axes.barh(labels, values, color=[style.LIGHT[colour] for colour in colours])
        axes.bar_label(bars, [f"{value:.2%}" for value in values], padding=3)
        axes.set_xlim(0, max(values) * 1.25 or 1)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(axis="y", visible=False)
        return svg(name, title)


def crowd(name: str, rates: Sequence[Row], limits: Mapping[str, float], title: str) -> Markup:
    """A box for each rate of annotators, with whoever is far from it, and the limit of its flag."""
    stats = [
        {
            "label": rate["rate"].removesuffix("_rate").replace("_", " "),
            "q1": rate["q1"],
            "med": rate["median"],
            "q3": rate["q3"],
            "whislo": rate["low"],
            "whishi": rate["high"],
            "fliers": [outlier["value"] for outlier in rate["outliers"]],
        }
        for rate in reversed(rates)
    ]
    dots = {"marker": "o", "markersize": 3, "alpha": 0.6, "markeredgecolor": "none"}
    with _axes(0.9 + 0.36 * len(rates)) as (axes, svg):
        axes.bxp(
            stats,
            orientation="horizontal",
            widths=0.5,
            patch_artist=True,
            boxprops={"facecolor": style.LIGHT["panel"], "edgecolor": style.LIGHT["muted"]},
            medianprops={"color": _accent(), "linewidth": 2},
            whiskerprops={"color": style.LIGHT["muted"]},
            capprops={"color": style.LIGHT["muted"]},
            flierprops=dots | {"markerfacecolor": style.LIGHT["bad"]},
        )
        for place, rate in enumerate(reversed(rates), 1):
            if limit := limits.get(rate["rate"]):
                axes.plot([limit] * 2, [place - 0.4, place + 0.4], color=style.LIGHT["bad"])
        axes.set_xlim(-0.02, 1.02)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(axis="y", visible=False)
        return svg(name, title)


def ious(name: str, steps: Sequence[Row], title: str) -> Markup:
    """How much each kind of box overlaps with its object."""
    with _axes() as (axes, svg):
        for kind, colour in _KINDS.items():
            counts = np.zeros(20)
            for step in steps:
                if step["what"] == kind:
                    counts[step["step"]] = step["n"]
            if counts.any():
                shares_of = counts / counts.sum()
                axes.stairs(shares_of, np.arange(21) / 20, label=kind, color=colour, linewidth=2)
        axes.axvline(0.5, color=style.LIGHT["muted"], linestyle=":")
        axes.set_xlabel("IoU of the box with its object")
        axes.set_ylabel("share of the boxes")
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.legend()
        return svg(name, title)


def record(name: str, one: Row, title: str) -> Markup:
    """One record: the frame of its picture, its trace, clicks, objects and core box."""
    width, height = one["width"], one["height"]
    with _axes(_WIDTH_IN * min(height / width, 1), is_bare=True) as (axes, svg):
        axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal", xticks=[], yticks=[])
        for side in axes.spines.values():
            side.set_visible(True)
        for boxes, colour, line in (("truth", style.GREEN, "-"), ("core", _accent(), "--")):
            for xmin, ymin, xmax, ymax in one[boxes] or []:
                size = xmax - xmin, ymax - ymin
                box = Rectangle((xmin, ymin), *size, fill=False, ec=colour, ls=line, lw=2.5)
                axes.add_patch(box)
        for visit in one["visits"] or []:
            axes.plot(visit["x"], visit["y"], color=style.ORANGE, lw=2, marker=".", ms=6)
        for click in one["clicks"] or []:
            if click["x"] is not None:
                own = click["label"] == one["label"]
                colour = style.CLICK if own else style.LIGHT["muted"]
                axes.plot(click["x"], click["y"], color=colour, marker="X", ms=14 if own else 8)
        return svg(name, title)


def _ticked(value: float) -> str:
    """A number at a logarithmic axis: 0.01, 100, 10,000, 1 M."""
    if value < 1e6:
        return f"{value:,.0f}" if value >= 1 else f"{value:g}"
    return f"{value / 1e6:,.0f} M" if value < 1e9 else f"{value / 1e9:,.0f} G"


def _accent() -> str:
    return style.LIGHT["accent"]


def _count(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _svg(figure: Figure, name: str, title: str) -> Markup:
    """A figure as an SVG to put into a page: the theme's colours by name, ids of its own."""
    written = io.BytesIO()
    figure.savefig(written, format="svg", metadata={"Date": None})
    ElementTree.register_namespace("", _SVG)
    root = ElementTree.fromstring(written.getvalue())
    for parent in root.iter():
        for child in [child for child in parent if child.tag.endswith("metadata")]:
            parent.remove(child)
    used = {*re.findall(rb"#(\w+)", written.getvalue())}
    for element in root.iter():
        if (ident := element.attrib.pop("id", None)) and ident.encode() in used:
            element.set("id", f"{name}-{ident}")
        if target := element.attrib.pop(f"{{{_XLINK}}}href", None):
            element.set("href", target.replace("#", f"#{name}-", 1) if target[0] == "#" else target)
        for key, value in element.attrib.items():
            element.set(key, value.replace("url(#", f"url(#{name}-"))
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-labelledby": f"{name}-title",
    }
    label = ElementTree.Element(f"{{{_SVG}}}title", {"id": f"{name}-title"})
    label.text = title
    root.insert(0, label)
    text = ElementTree.tostring(root, "unicode")
    for variable, colour in style.LIGHT.items():
        text = text.replace(colour, f"var(--{variable})")
    return Markup(re.sub(r"\s*\n\s*", "\n", text))
