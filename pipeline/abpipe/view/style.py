"""Colours that all pictures and pages share, told apart without colour vision, too.

The hues are Okabe and Ito's (Color Universal Design, 2008). Pages have the colours as CSS,
figures as matplotlib's settings.
"""

from __future__ import annotations

from typing import Any

BLACK, WHITE = "#000000", "#ffffff"
BLUE, SKY, GREEN = "#0072b2", "#56b4e9", "#009e73"
YELLOW, ORANGE, VERMILION, PURPLE = "#f0e442", "#e69f00", "#d55e00", "#cc79a7"

#: For what has no order, as annotators or classes; the first ones stand out most.
CATEGORIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION)

#: From early to late, or from few to many: lightness grows all the way.
RAMP = ("#16085c", "#5302a3", "#8b0aa5", "#b93289", "#db5c68", "#f48849", "#febd2a")

#: What each kind of mark on a picture is drawn in.
CLICK, HULL, CORE, BOX, TRUTH, DWELL = VERMILION, SKY, BLUE, PURPLE, GREEN, ORANGE

#: A page's surfaces and texts, by day and by night; every text has a contrast of at least 4.5.
LIGHT = {
    "paper": "#ffffff",
    "panel": "#f4f6f8",
    "line": "#d5dae0",
    "ink": "#1c2127",
    "muted": "#59626d",
    "accent": "#00629a",
    "good": "#00704f",
    "bad": "#a84300",
}
DARK = {
    "paper": "#14171b",
    "panel": "#1f242a",
    "line": "#3a424c",
    "ink": "#e9ecf0",
    "muted": "#a3adb8",
    "accent": "#7cc6f2",
    "good": "#4fc8a0",
    "bad": "#f29a5a",
}

#: All that marks and texts on a figure are drawn in.
MARKS = (CLICK, HULL, CORE, BOX, TRUTH, BLACK, WHITE, LIGHT["ink"], LIGHT["muted"], LIGHT["panel"])

FONT = ("DejaVu Sans", "sans-serif")
PAGE_FONT = 'system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif'

#: matplotlib's settings, for `matplotlib.rc_context(SETTINGS)`.
SETTINGS: dict[Any, Any] = {
    "font.family": list(FONT),
    "font.size": 8,
    "text.color": LIGHT["ink"],
    "axes.edgecolor": LIGHT["line"],
    "axes.labelcolor": LIGHT["ink"],
    "axes.titlecolor": LIGHT["ink"],
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "xtick.color": LIGHT["muted"],
    "ytick.color": LIGHT["muted"],
    "legend.frameon": False,
    "figure.facecolor": LIGHT["paper"],
    "savefig.facecolor": LIGHT["paper"],
    "svg.hashsalt": "abpipe",  # the same picture has the same bytes
    "svg.fonttype": "none",
}


def css() -> str:
    """The page's colours as CSS variables (`--ink`), by day, and by night where that is wished."""
    light, dark = (
        "".join(f"--{name}:{colour};" for name, colour in colours.items())
        for colours in (LIGHT, DARK)
    )
    return (
        f":root{{color-scheme:light dark;{light}--font:{PAGE_FONT}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"
    )
