"""The Team tab as people use it: numbers that stay true, a sprint where people work, members and invitations."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from components._session import SIGN_IN
from pipeline.records import Role
from tests import people
from tests.browser.person import too_wide
from tests.people import open_team
from tests.servers import QuickApp
from tests.workspace import add_comparison, add_model

pytestmark = pytest.mark.browser
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
EVIL = "<img src=x onerror=\"document.title='run'\"><b>Mallory</b>"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """An app with accounts, somebody of each role, and a comparison to judge."""
    home = tmp_path_factory.mktemp("team") / "home"
    services = open_team(home)
    known = people.team(services) | {"Mallory": people.add(services, EVIL, Role.ANNOTATOR)}
    add_comparison(services, (add_model(services, "One"), add_model(services, "Two")), [("One.", "Two.")] * 4)
    services.close()
    with QuickApp(home, PAIRLOOP_SIGN_IN="accounts", PAIRLOOP_EXAMPLE="0") as process:
        yield process, known


def come(running, open_person, who, path="/", **window):
    process, known = running
    cookie = {"name": SIGN_IN, "value": known[who].cookie, "domain": "127.0.0.1", "path": "/"}
    cookie |= {"expires": -1, "httpOnly": True, "secure": False, "sameSite": "Lax"}
    return open_person(process.url, path=path, storage_state={"cookies": [cookie], "origins": []}, **window)


def violations(person) -> list[str]:
    found = Axe().run(person.page, options={"runOnly": RULES, "resultTypes": ["violations"]}).response["violations"]
    return [f"{item['id']}: {node['html'][:200]}" for item in found for node in item["nodes"]]


def test_a_sprint_is_seen_where_people_work_and_numbers_stay_true(running, open_person):
    olga = come(running, open_person, Role.OWNER, "/?tab=team")
    olga.sees("#team-numbers", "0 votes on 4 pairs")
    olga.open_panel("Sprints")
    olga.type_into("team-sprint-name", EVIL)
    olga.press("team-sprint-start")
    olga.sees("#team-sprint-list", "0 of 100 votes")
    mallory = come(running, open_person, "Mallory", "/?tab=compare")
    mallory.sees("#compare-sprint", "0 of 100 votes · 0 by you")
    olga.open_panel("Progress")
    # A keyboard that stands somewhere in the table stays there when the numbers change.
    region = olga.page.get_by_role("region", name="People")
    region.focus()
    mallory.press("vote-a")
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


def test_a_viewer_is_shown_no_sprint_and_the_page_asks_for_none(running, open_person):
    for who, asks in ((Role.VIEWER, False), (Role.ANNOTATOR, True)):
        page = come(running, open_person, who).page
        seen = []
        page.on("response", lambda answer, seen=seen: seen.append((answer.url.partition("?")[0], answer.status)))
        page.reload()
        expect(page.locator("#header [data-name]")).to_be_enabled()
        # What the page does each second, at once; a request that it sends comes before this one.
        page.evaluate(
            "document.dispatchEvent(new Event('visibilitychange')); fetch('/healthz').then((answer) => answer.text())"
        )
        of_sprints = [status for url, status in seen if url.endswith("/team/sprints")]
        assert bool(of_sprints) is asks and set(of_sprints) <= {200}
        assert 403 not in [status for _, status in seen]


def test_an_owner_invites_and_removes_somebody(running, open_person):
    olga = come(running, open_person, Role.OWNER, "/?tab=team")
    olga.open_panel("People")
    olga.press("team-invite-make")
    link = olga.find("#team-invite-new input")
    expect(link).to_have_value(re.compile(rf"^{re.escape(running[0].url)}/join\?code=\S{{43}}$"))
    olga.sees("#team-invitations", "0 of 1")
    olga.click("#team-people-list [aria-label='Manage Vera']")
    olga.sees("#team-member", "Signs in as Vera")
    olga.press("team-member-remove")
    olga.sees("#team-member-confirm", "under a pseudonym")
    olga.press("team-member-confirmed")
    olga.sees("#team-people-list", "1 person was removed")
    expect(olga.page.locator("#team-people-list [aria-label='Manage Vera']")).to_have_count(0)
    olga.open_panel("Activity")
    olga.sees("#team-activity-list", re.compile(r"removed annotator-\w+"))


def test_it_fits_a_phone_and_is_accessible(running, open_person):
    adam = come(running, open_person, Role.ADMIN, "/?tab=team", viewport={"width": 390, "height": 900})
    found = []
    for panel in ("Progress", "Sprints", "People", "Activity", "This workspace"):
        adam.open_panel(panel)
        found += too_wide(adam.page, 390) + [f"{panel}: {line}" for line in violations(adam)]
    assert found == []
