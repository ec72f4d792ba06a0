from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

import abpipe
from abpipe.store import Store
from abpipe.synth import synth
from abpipe.view import layout, report
from abpipe.view.report import Reported

DATA = Path(__file__).parents[2] / "data"

OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of both tools, with defects, cheats and ground truth; derived."""
    folder = tmp_path_factory.mktemp("reported")
    store = folder / "store"
    synth(folder / "imagenet", count=300, seed=1, defects=True, cheats=0.3, jobs=1)
    synth(folder / "coco", kind="coco", count=150, seed=2, cheats=0.3, jobs=1)
    truth = folder / "coco/truth/instances_train2014.json"
    sources = folder / "imagenet/imagenet_ab.tar.gz", folder / "coco/coco_ab.json", truth
    abpipe.ingest(*sources, store=store, jobs=1)
    abpipe.derive(store=store, jobs=1)
    return store


@pytest.fixture(scope="session")
def done(stored: Path) -> Reported:
    """What came of reporting that store."""
    return abpipe.report(stored.parent / "report.html", stored)


@pytest.fixture(scope="session")
def written(done: Reported) -> Path:
    """The report of that store."""
    return Path(done.page)


@pytest.fixture(scope="session")
def large(stored: Path) -> Path:
    """A page about a dataset as large as one may be: its rows are repeated."""
    manifest = Store(stored).manifest().only("imagenet-ab")
    about = report._about(stored, manifest, None)
    many = {"annotators": 5000, "classes": 1000, "rejects": 100}
    rows = {name: (about.answers[name] * n)[:n] for name, n in many.items()}
    page = stored.parent / "large.html"
    page.write_text(layout.page([replace(about, answers=about.answers | rows)], manifest), "utf-8")
    return page


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser without a window, and without a past; the tests that need one are skipped else."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no browser: install chromium and chromium-driver to look at pages, too")
    options = ChromeOptions()
    options.binary_location = chromium
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = Chrome(options, Service(driver))
    yield started
    started.quit()


@pytest.fixture
def window(browser: Chrome, tmp_path: Path) -> Iterator[Chrome]:
    """The browser at an empty page, as large as a desk's, in light colours."""
    browser.get("about:blank")
    screen(browser, 1280, 900)
    yield browser


def screen(browser: Chrome, width: int, height: int, dark: bool = False) -> None:
    """Have the browser look through a screen of a size, by day or by night."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of both samples with COCO's objects, and tables of all answers."""
    store = tmp_path_factory.mktemp("samples") / "store"
    abpipe.ingest(DATA / "imagenet/imagenet_ab.tar.gz", store=store, jobs=1)
    coco = (DATA / "coco/coco_ab.json", DATA / "coco/truth/instances_train2014.json")
    abpipe.ingest(*coco, store=store, dataset="coco-ab", jobs=1)
    abpipe.derive(store=store, jobs=1)
    return store
