from __future__ import annotations

import pytest

from abpipe.view import style


def luminance(colour: str) -> float:
    """WCAG's relative luminance of #rrggbb."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted(luminance(colour) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [style.LIGHT, style.DARK], ids=["light", "dark"])
@pytest.mark.parametrize("text", ["ink", "muted", "accent", "good", "bad"])
@pytest.mark.parametrize("surface", ["paper", "panel"])
def test_every_text_can_be_read(colours: dict[str, str], text: str, surface: str) -> None:
    assert contrast(colours[text], colours[surface]) >= 4.5


def test_the_ramp_grows_lighter_all_the_way() -> None:
    steps = [luminance(colour) for colour in style.RAMP]
    assert steps == sorted(steps) and len({*steps}) == len(steps)


def test_the_page_has_its_colours_by_day_and_by_night() -> None:
    day, night = style.css().split("@media (prefers-color-scheme:dark)")
    assert f"--ink:{style.LIGHT['ink']}" in day and f"--ink:{style.DARK['ink']}" in night
