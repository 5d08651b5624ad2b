"""The Team tab as people use it: numbers that stay true, a sprint where people work, members and invitations."""

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from components._session import SIGN_IN
from pipeline.records import Role
from tests import people
from tests.browser.person import UNDER_WAY, settles, too_wide
from tests.browser.test_looks import violations
from tests.people import open_team
from tests.servers import QuickApp
from tests.workspace import add_comparison, add_model

pytestmark = pytest.mark.browser
EVIL = "<img src=x onerror=\"document.title='run'\"><b>Mallory</b>"
# Who is removed: no page of theirs is needed by any other test.
LEAVES = "Rita"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """An app with accounts, somebody of each role, and a comparison to judge."""
    home = tmp_path_factory.mktemp("team") / "home"
    services = open_team(home)
    known = people.team(services) | {"Mallory": people.add(services, EVIL, Role.ANNOTATOR)}
    people.add(services, LEAVES, Role.VIEWER)
    add_comparison(services, (add_model(services, "One"), add_model(services, "Two")), [("One.", "Two.")] * 4)
    services.close()
    with QuickApp(home, PAIRLOOP_SIGN_IN="accounts", PAIRLOOP_EXAMPLE="0") as process:
        yield process, known


def signed_in(running, who) -> dict:
    cookie = {"name": SIGN_IN, "value": running[1][who].cookie, "domain": "127.0.0.1", "path": "/"}
    cookie |= {"expires": -1, "httpOnly": True, "secure": False, "sameSite": "Lax"}
    return {"cookies": [cookie], "origins": []}


@pytest.fixture
def olga(running, stays):
    """The owner at the Team tab, on one page for all tests."""
    person = stays(running[0].url, path="/?tab=team", storage_state=signed_in(running, Role.OWNER))
    person.page.set_viewport_size({"width": 1440, "height": 1000})
    return person


def asks_for_sprints(request) -> bool:
    return urlsplit(request.url).path.endswith("/team/sprints")


def test_a_sprint_is_seen_where_people_work_and_numbers_stay_true(running, olga, open_person):
    olga.open_panel("Progress")
    olga.sees("#team-numbers", "0 votes on 4 pairs")
    olga.open_panel("Sprints")
    olga.type_into("team-sprint-name", EVIL)
    olga.press("team-sprint-start")
    olga.sees("#team-sprint-list", "0 of 100 votes")
    mallory = open_person(running[0].url, path="/?tab=compare", storage_state=signed_in(running, "Mallory"))
    mallory.sees("#compare-sprint", "0 of 100 votes · 0 by you")
    olga.open_panel("Progress")
    # A keyboard that stands somewhere in the table stays there when the numbers change.
    region = olga.page.get_by_role("region", name="People")
    region.focus()
    with mallory.page.expect_response(asks_for_sprints) as told:
        mallory.press("vote-a")
    assert told.value.status == 200
    mallory.sees("#compare-sprint", "1 of 100 votes · 1 by you")
    olga.sees("#team-numbers", "1 of 4")
    expect(region).to_be_focused()
    expect(region.locator("tr", has_text="Mallory").locator("td[data-label=Votes]")).to_have_text("1")
    olga.open_panel("Sprints")
    olga.sees("#team-sprint-list .pl-board", "<b>Mallory</b>")
    clock = olga.find("#team-sprint-list [data-left]")
    before = clock.inner_text()
    expect(clock).not_to_have_text(before)
    olga.click("#team-sprint-list [data-end]")
    olga.sees("#team-sprint-confirm", "for everybody")
    olga.press("team-sprint-end")
    olga.sees("#team-sprint-list", "99 votes short of the goal")
    # What somebody does asks anew how far it is.
    mallory.press("vote-undo")
    expect(mallory.page.locator("#compare-sprint .pl-sprint-line")).to_have_count(0)
    assert "run" not in olga.page.title() and olga.page.locator("#team-screen img").count() == 0


def test_a_viewer_is_shown_no_sprint_and_the_page_asks_for_none(running, chromium):
    context = chromium.new_context(storage_state=signed_in(running, Role.VIEWER))
    try:
        context.add_init_script(UNDER_WAY)
        page, asked, refused = context.new_page(), [], []
        page.on("request", lambda request: asked.append(request))
        page.on("response", lambda answer: refused.append(answer.url) if answer.status == 403 else None)
        page.goto(running[0].url)
        expect(page.locator("#header [data-name]")).to_be_enabled()
        # What the page does each second, at once: whatever it asks for then is sent before the last request here.
        with page.expect_request("**/healthz"):
            page.evaluate("document.dispatchEvent(new Event('visibilitychange')); fetch('/healthz')")
        settles(page)
        assert len(asked) > 5 and not any(map(asks_for_sprints, asked))
        assert refused == []
    finally:
        context.close()


def test_an_owner_invites_and_removes_somebody(running, olga):
    olga.open_panel("People")
    olga.press("team-invite-make")
    link = olga.find("#team-invite-new input")
    expect(link).to_have_value(re.compile(rf"^{re.escape(running[0].url)}/join\?code=\S{{43}}$"))
    olga.sees("#team-invitations", "0 of 1")
    olga.click(f"#team-people-list [aria-label='Manage {LEAVES}']")
    olga.sees("#team-member", f"Signs in as {LEAVES}")
    olga.press("team-member-remove")
    olga.sees("#team-member-confirm", "under a pseudonym")
    olga.press("team-member-confirmed")
    olga.sees("#team-people-list", "1 person was removed")
    expect(olga.page.locator(f"#team-people-list [aria-label='Manage {LEAVES}']")).to_have_count(0)
    olga.open_panel("Activity")
    olga.sees("#team-activity-list", re.compile(r"removed annotator-\w+"))


def test_what_was_shown_once_is_gone_for_whoever_comes_back(olga):
    olga.open_panel("People")
    olga.press("team-invite-make")
    olga.click("#team-people-list [aria-label='Manage Adam']")
    olga.press("team-member-reset")
    once = [olga.page.locator(f"#{field} input") for field in ("team-invite-new", "team-member-said")]
    for field in once:
        expect(field).to_have_value(re.compile(r"\S{8}"))
    olga.open_panel("Activity")
    olga.open_panel("People")
    for field in once:
        expect(field).to_have_count(0)


def test_it_fits_a_phone_and_is_accessible(olga):
    olga.page.set_viewport_size({"width": 390, "height": 900})
    found = []
    for panel in ("Progress", "Sprints", "People", "Activity", "This workspace"):
        olga.open_panel(panel)
        found += too_wide(olga.page, 390) + [f"{panel}: {line}" for line in violations(olga)]
    assert found == []
