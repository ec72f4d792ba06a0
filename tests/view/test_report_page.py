"""The report as a browser shows it; what the file says, `test_report.py` tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from tests.view.conftest import screen

PEOPLE = "imagenet-ab-people"


@pytest.fixture
def shown(window: Chrome, written: Path) -> Chrome:
    """The report, opened from disk."""
    messages(window, "performance")
    window.get(written.as_uri())
    return window


def column(shown: Chrome, title: str, table: str = PEOPLE) -> list[str]:
    """What the visible rows of a table say in a column."""
    script = """
        const table = document.getElementById(arguments[0]);
        const heads = [...table.tHead.rows[0].cells];
        const at = heads.findIndex((head) => head.textContent === arguments[1]);
        return [...table.tBodies[0].rows].filter((row) => row.checkVisibility())
            .map((row) => row.cells[at].textContent);
    """
    found: list[str] = shown.execute_script(script, table, title)
    return found


def head(shown: Chrome, title: str, table: str = PEOPLE) -> WebElement:
    """The head of a column."""
    return shown.find_element(By.XPATH, f"//table[@id='{table}']//th[button[.='{title}']]")


def tools(shown: Chrome, table: str = PEOPLE) -> WebElement:
    """What stands above a table: filter, box, count."""
    place = f"//table[@id='{table}']/parent::div/preceding-sibling::div[1]"
    return shown.find_element(By.XPATH, place)


def numbers(cells: list[str]) -> list[float]:
    return [float(cell.replace(",", "").rstrip("%")) for cell in cells if cell != "\N{EN DASH}"]


def test_it_asks_for_nothing_and_complains_of_nothing(shown: Chrome, written: Path) -> None:
    events = [orjson.loads(text)["message"] for text in messages(shown, "performance")]
    asked = {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert {url for url in asked if not url.startswith("data:")} == {written.as_uri()}
    assert messages(shown, "browser") == []


def messages(browser: Chrome, log: str) -> list[str]:
    """What a browser has put down since it was asked last."""
    return [entry["message"] for entry in browser.get_log(log)]  # type: ignore[no-untyped-call]


def test_columns_sort_both_ways_and_say_so(shown: Chrome) -> None:
    first = column(shown, "records")
    button = head(shown, "records").find_element(By.TAG_NAME, "button")
    button.click()
    assert head(shown, "records").get_attribute("aria-sort") == "descending"
    assert numbers(column(shown, "records")) == sorted(numbers(first), reverse=True)
    button.click()
    assert head(shown, "records").get_attribute("aria-sort") == "ascending"
    assert numbers(column(shown, "records")) == sorted(numbers(first))
    head(shown, "annotator").find_element(By.TAG_NAME, "button").click()
    assert head(shown, "records").get_attribute("aria-sort") is None
    names = column(shown, "annotator")
    assert names == sorted(names)
    assert head(shown, "annotator").get_attribute("aria-sort") == "ascending"


def test_what_says_nothing_comes_last_whichever_way(shown: Chrome) -> None:
    button = head(shown, "median ms").find_element(By.TAG_NAME, "button")
    for _ in range(2):
        button.click()
        cells = column(shown, "median ms")
        empty = [cell == "\N{EN DASH}" for cell in cells]
        assert any(empty) and empty == sorted(empty)


def test_rows_are_filtered_by_words_and_by_flags_and_counted(shown: Chrome) -> None:
    everybody = column(shown, "annotator")
    field, box = tools(shown).find_elements(By.TAG_NAME, "input")
    status = tools(shown).find_element(By.CSS_SELECTOR, "[role=status]")
    assert status.text == f"{len(everybody)} of {len(everybody)} rows"
    box.click()
    flagged = column(shown, "annotator")
    assert 0 < len(flagged) < len(everybody)
    assert all(column(shown, "flags and reasons"))
    field.send_keys(flagged[0].lower())
    assert column(shown, "annotator") == flagged[:1]
    assert status.text == f"1 of 1 rows, {len(everybody)} without the filter"
    field.send_keys(" nobody")
    assert column(shown, "annotator") == []


def test_long_tables_show_a_hundred_rows_until_all_are_asked_for(
    window: Chrome, large: Path
) -> None:
    window.get(large.as_uri())
    assert len(column(window, "annotator")) == 100
    status = tools(window).find_element(By.CSS_SELECTOR, "[role=status]")
    assert status.text == "100 of 5,000 rows"
    head(window, "records").find_element(By.TAG_NAME, "button").click()
    assert len(column(window, "annotator")) == 100
    button = tools(window).find_element(By.TAG_NAME, "button")
    button.click()
    assert len(column(window, "annotator")) == 5000
    assert not button.is_displayed()


def test_everything_can_be_done_by_keyboard(shown: Chrome) -> None:
    press(shown, Keys.TAB)
    skip = shown.switch_to.active_element
    assert skip.text == "To the figures" and skip.location["x"] >= 0
    press(shown, Keys.ENTER)
    assert shown.execute_script("return location.hash") == "#main"
    tools(shown).find_element(By.TAG_NAME, "input").send_keys(Keys.TAB)
    press(shown, " ")
    assert all(column(shown, "flags and reasons"))
    press(shown, Keys.TAB)  # the table itself, which scrolls
    assert shown.switch_to.active_element.get_attribute("role") == "region"
    press(shown, Keys.TAB)
    press(shown, Keys.ENTER)
    assert head(shown, "annotator").get_attribute("aria-sort") == "ascending"
    outline = shown.switch_to.active_element.value_of_css_property("outline-style")
    assert outline == "solid"


def press(shown: Chrome, key: str) -> None:
    shown.switch_to.active_element.send_keys(key)


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
def test_the_page_is_never_wider_than_the_screen(shown: Chrome, width: int) -> None:
    screen(shown, width, 800)
    assert shown.execute_script("return document.documentElement.scrollWidth") <= width


def test_night_is_dark_and_its_charts_are_light(shown: Chrome) -> None:
    day = colours(shown)
    screen(shown, 1280, 900, dark=True)
    night = colours(shown)
    assert lightness(day["page"]) > 200 > 60 > lightness(night["page"])
    assert lightness(day["label"]) < 120 < lightness(night["label"])
    assert day["bar"] != night["bar"]


def colours(shown: Chrome) -> dict[str, Any]:
    """The colours of the page, of a chart's label and of its bars."""
    script = """
        const chart = document.querySelector("[aria-labelledby=imagenet-ab-moves-title]");
        const of = (element, what) => getComputedStyle(element)[what];
        return {
            page: of(document.body, "backgroundColor"),
            label: of(chart.querySelector("text"), "fill"),
            bar: [...chart.querySelectorAll("path")].map((path) => of(path, "fill")).join(),
        };
    """
    found: dict[str, Any] = shown.execute_script(script)
    return found


def lightness(colour: str) -> float:
    """The mean of a colour's parts, of rgb(r, g, b)."""
    parts = [int(part) for part in colour.strip("rgb()").split(",")]
    return sum(parts) / len(parts)
