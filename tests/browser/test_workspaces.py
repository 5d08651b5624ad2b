"""An owner makes a workspace in a real Chromium, goes there and votes in it: the main one sees nothing of that."""

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.person import too_wide
from tests.browser.test_looks import violations
from tests.sites import ServedSite
from tests.workspace import add_comparison, add_model, open_workspace

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    serving = ServedSite(open_workspace(tmp_path_factory.mktemp("site") / "home"))
    yield serving
    serving.close()


def test_a_workspace_is_made_and_worked_in_apart_from_the_main_one(site, open_person):
    owner = open_person(site.url, path="/?tab=team", color_scheme="light")
    owner.open_panel("All workspaces")
    owner.sees("#team-workspaces-list", "Only the main workspace")
    owner.type_into("team-workspaces-name", "Support bot")
    owner.press("team-workspaces-make")
    owner.sees("#team-workspaces-said", f"Support bot is open at {site.url}/w/support-bot/")
    owner.sees("#team-workspaces-list", "/w/support-bot/")
    assert violations(owner) == [] and too_wide(owner.page, 1440) == []
    owner.page.set_viewport_size({"width": 390, "height": 900})
    assert too_wide(owner.page, 390) == []
    owner.page.set_viewport_size({"width": 1440, "height": 1000})
    child = site.opened(site.at("support-bot"))
    add_comparison(child, [add_model(child, "zebra-one"), add_model(child, "zebra-two")], [("Soon.", "Later.")] * 2)

    asked, broken = [], []
    page = owner.page
    page.on("request", lambda request: asked.append(request.url))
    # The page that is left asks for its back-up until the next one is there.
    page.once("framenavigated", lambda _: asked.clear())
    page.on("response", lambda answer: answer.status >= 400 and broken.append((answer.status, answer.url)))
    page.on("console", lambda said: said.type == "error" and broken.append((0, said.text)))
    page.goto(f"{site.url}/w/support-bot/?tab=compare")
    owner.settles()
    owner.sees("#header .pl-switch summary", "Support bot")
    owner.sees("#compare-progress", "0 of 2")
    owner.looks()
    owner.press("vote-a")
    owner.sees("#compare-progress", "1 of 2")
    fits_a_phone(owner)
    expect(page.get_by_role("tab", name="All workspaces", exact=True)).to_have_count(0)
    # What is typed in one is kept in the browser apart from the other.
    page.evaluate("localStorage.setItem('pairloop-x', 'of support')")
    assert page.evaluate("[localStorage.getItem('pairloop-x'), Object.keys(localStorage)]") == [
        "of support",
        ["pairloop-x"],
    ]
    begins_with_the_example(owner)
    own = [url for url in asked if url.startswith(site.url)]
    assert len(own) > 50 and all(urlsplit(url).path.startswith("/w/support-bot/") for url in own)
    assert broken == []

    owner.click("#header .pl-switch summary")
    page.get_by_role("link", name="Main workspace").click()
    page.wait_for_url(f"{site.url}/")
    owner.settles()
    assert page.evaluate("localStorage.getItem('pairloop-x')") is None
    owner.go("Compare")
    assert "Asked twice" not in page.content() and "zebra" not in page.content()
    assert site.services.store.comparisons.sets() == [] and len(child.store.comparisons.sets()) == 1
    assert broken == []


def fits_a_phone(person):
    """Look at every screen on a phone, with next to nothing on it."""
    person.page.set_viewport_size({"width": 390, "height": 844})
    for tab in ("Start", "Ask", "Edit", "Tune", "Results", "Settings", "Team"):
        person.go(tab)
        assert too_wide(person.page, 390) == []
    person.page.set_viewport_size({"width": 1440, "height": 1000})


def begins_with_the_example(person):
    """Go from Start to the first record of the example, as somebody does who has nothing yet."""
    person.go("Start")
    person.press("start-review")
    person.press("edit-example")
    person.sees("#edit-record", "Record 1 of 24")


def test_the_opening_page_goes_on_to_the_workspace_by_itself(site, chromium):
    me = site.services.store.members.by_token("b" * 64)
    made = site.services.workspaces.create(me, "Slow one")
    context = chromium.new_context()
    try:
        page = context.new_page()
        page.goto(f"{site.url}/w/{made.slug}/")
        expect(page.locator("#start-screen, .pl-screen").first).to_be_visible()
        assert urlsplit(page.url).path == f"/w/{made.slug}/"
    finally:
        context.close()
