"""A real Chromium, and the app as a real process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.browser.person import Person
from tests.run import installed
from tests.servers import QuickApp

PICTURES = Path(__file__).parent / "screenshots"
# Every context has a window, and every window would load the pop-ups of its address bar, which are more work than the window.
# This list takes the place of Playwright's: what of that one matters here stands in it too.
NOT_WANTED = (
    "WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "SpareRendererForSitePerProcess",
    "AimEnabled", "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades", "LensOverlay", "MediaRouter", "OptimizationHints", "PaintHolding", "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
)  # fmt: skip


@pytest.fixture(scope="package")
def chromium():
    """One browser for all tests of the folder; not longer, since no event loop of anybody else runs beside Playwright's."""
    from playwright.sync_api import sync_playwright

    path = installed()
    assert path, "The browser tests need Chromium: start the tests with python3 tests/run.py, which finds or gets it."
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        arguments.append(f"--disable-features={','.join(NOT_WANTED)}")
        # Pages come and go too fast for a heap that grows step by step: a seventh of the work was to tidy it up.
        arguments.append("--js-flags=--min-semi-space-size=64")
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def app(tmp_path):
    """The app with the bundled example over an empty folder."""
    with QuickApp(tmp_path / "home") as process:
        yield process


@pytest.fixture
def open_person(chromium):
    """Open the app as a person with a browser of their own; closed at the end, and no page may have failed."""
    people: list[Person] = []

    def open_(url: str, **options) -> Person:
        people.append(Person(chromium, url, **options))
        return people[-1]

    yield open_
    failures = [failure for person in people for failure in person.close()]
    assert failures == []


@pytest.fixture
def picture():
    """Return where a screenshot for the README goes, or None where they are not regenerated."""
    if not os.environ.get("PAIRLOOP_SCREENSHOTS"):
        return lambda name: None
    PICTURES.mkdir(exist_ok=True)
    return lambda name: PICTURES / f"{name}.png"
