"""A real Chromium, and the app as a real process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pytest_rerunfailures import suspended_finalizers

from tests.browser.person import Person
from tests.browser.records import Records
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try what fails in a browser once more; the summary names it.

    Between a browser, an app and two processors that others use as well, more happens than a test can foresee.
    """
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let the second try begin with everything of its module made anew: the first one has left votes, names or no app at all."""
    if getattr(item, "execution_count", 1) == 1:
        return
    item.stash[FAILED] = False
    # While their app is there. What went wrong on these pages belonged to the first try, which has told it.
    _closed(STAYING)
    state = item.session._setupstate
    # For a second try the plugin keeps aside what is to be ended at the end of the module, the folder and the session.
    state.stack.update(suspended_finalizers)
    suspended_finalizers.clear()
    state.teardown_exact(item.getparent(pytest.Module).parent)


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


FAILED = pytest.StashKey[bool]()


def pytest_runtest_makereport(item, call):
    """Note that a test went wrong, for what would be handed on to the next one."""
    if call.excinfo:
        item.stash[FAILED] = True


# Whose pages stay open, by address and name.
STAYING: dict[tuple[str, str], Person] = {}


@pytest.fixture(scope="module")
def _staying(chromium):
    yield STAYING
    assert _closed(STAYING) == []


@pytest.fixture
def stays(chromium, _staying, request):
    """Open the app as a person whose page stays open for the tests of the module that come after: a page is 2 s of work.

    Each test begins with the tab and with things of its own, whatever was looked at before. Where one went wrong, the next one,
    or its second try, gets a new page.
    """

    def open_(url: str, who: str = "", **options) -> Person:
        if (url, who) not in _staying:
            _staying[url, who] = Person(chromium, url, **options)
        return _staying[url, who]

    yield open_
    failures = [failure for person in _staying.values() for failure in person.failures]
    if failures or request.node.stash.get(FAILED, False):
        _closed(_staying)
    assert failures == []


@pytest.fixture(scope="module")
def records(home):
    """The datasets and comparisons of the module's ``home``, for a test to take one of its own."""
    records = Records(home)
    yield records
    records.close()


def _closed(people: dict[tuple[str, str], Person]) -> list[str]:
    """Close all pages; return what went wrong on them."""
    failures = [failure for person in people.values() for failure in person.close()]
    people.clear()
    return failures


@pytest.fixture
def picture():
    """Return where a screenshot for the README goes, or None where they are not regenerated."""
    if not os.environ.get("PAIRLOOP_SCREENSHOTS"):
        return lambda name: None
    PICTURES.mkdir(exist_ok=True)
    return lambda name: PICTURES / f"{name}.png"
