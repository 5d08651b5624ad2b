"""Results in a real Chromium: checks, parts, and all models together; readable and accessible in every size and colour."""

import csv
import re
import secrets

import pytest
from playwright.sync_api import expect

from components._session import COOKIE
from tests.browser.person import in_colours, too_wide
from tests.browser.test_looks import ALL, COLOURS, SMALL_TEXT, violations
from tests.ranked import MODELS, QUERIES, add_league
from tests.servers import QuickApp
from tests.workspace import add_comparison, add_model, open_workspace, person

pytestmark = pytest.mark.browser
TOKEN = "c" * 64


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """Three models, compared and judged by four people; Ada has opened two of these comparisons."""
    home = tmp_path_factory.mktemp("results") / "home"
    services = open_workspace(home)
    ada = services.store.members.by_token(TOKEN)
    sets = add_league(services, [ada, *(person(services, name) for name in ("Bo", "Cy", "Dee"))])
    for set_id in sets[:2]:
        services.comparisons.reveal(set_id, ada)
    # Two more that Ada has not opened: their names must not come up.
    add_comparison(services, (add_model(services, "zq-hidden-one"), add_model(services, "zq-hidden-two")), [("a", "b")])
    services.close()
    with QuickApp(home, PAIRLOOP_EXAMPLE="0") as process:
        yield process


@pytest.fixture
def comes(running, stays):
    """Let somebody look at the results, told apart by the browser's cookie, on one page for all tests."""

    def comes_(token):
        person = stays(running.url, color_scheme="light", accept_downloads=True)
        in_colours(person.page, "light")
        person.page.set_viewport_size({"width": 1440, "height": 1000})
        person.go("Start")
        person.context.add_cookies([{"name": COOKIE, "value": token, "url": running.url}])
        person.go("Results")
        return person

    return comes_


def test_results_of_one_comparison_and_of_all_models(comes):
    ada = comes(TOKEN)
    # The last one is closed: all models are ranked all the same, over the two that are open.
    ada.sees("#results-models", f"3 models, {2 * 4 * QUERIES} votes on {QUERIES} queries, from 2 comparisons")
    ada.sees("#results-models", "2 more comparisons are left out until you open their results")
    ada.sees("#results-leaderboard", MODELS[2])
    expect(ada.page.locator("#results-heat td[style]")).to_have_count(4)
    ada.sees("#results-heat", "48 votes, 12 queries")

    ada.choose("results-chosen", "both by name")
    ada.sees("#results-checks", re.compile(r"If both answers were equally long|Too few votes to adjust"))
    ada.sees("#results-checks", "Dee agrees with the majority of the others on")
    ada.sees("#results-checks", f"{QUERIES} of {4 * QUERIES} votes took under 2 s (Dee {QUERIES} of {QUERIES})")
    ada.choose("results-slice-by", "By topic")
    ada.sees("#results-slices", "2 parts were looked at")

    # Seen a second time, the part shows what it showed before: nothing that is kept for the page's script.
    ada.go("Compare")
    ada.go("Results")
    expect(ada.page.locator("#results-heat-png-svg:visible")).to_have_count(0)

    before = ada.find("#results-leaderboard").inner_text()
    ada.settles()
    ada.find("#results-ties").get_by_text("an outcome of their own").click()
    ada.sees("#results-leaderboard", "Two models of equal strength tie")
    assert ada.find("#results-leaderboard").inner_text() != before

    with ada.page.expect_download() as made:
        ada.press("results-counted-csv")
    with open(made.value.path(), encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 2 * 4 * QUERIES

    for summary in ada.page.locator("#results-screen summary:visible").all():
        summary.click()
    ada.settles()
    problems = []
    for look, wanted in (("light", ALL), ("dark", COLOURS)):
        in_colours(ada.page, look)
        for width in (1440, 390):
            ada.page.set_viewport_size({"width": width, "height": 844})
            problems += too_wide(ada.page, width)
            problems += [f"{look}, {width}: small text {text}" for text in ada.page.evaluate(SMALL_TEXT)]
            problems += [f"{look}, {width}: {found}" for found in violations(ada, wanted)]
    assert problems == []
    assert "zq-hidden" not in ada.page.content()


def test_opening_results_ranks_the_models_at_once(comes):
    visitor = comes(secrets.token_hex(32))
    visitor.sees("#results-models", "you have opened none yet")
    assert not visitor.find("#results-leaderboard").is_visible()
    visitor.choose("results-chosen", re.compile("Comparison 1 "))
    visitor.sees("#results-screen", f"{QUERIES} of {QUERIES} pairs left to judge")
    visitor.press("results-reveal")
    visitor.sees("#results-leaderboard", MODELS[0])
    visitor.sees("#results-models", "2 models, ")
