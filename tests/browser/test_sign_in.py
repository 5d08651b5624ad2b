"""People sign in in a real Chromium: by a link, with a password, by name, and on the Hub, within the frame of a Space too."""

import itertools
import re

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from components._session import SIGN_IN
from pipeline.records import Role
from pipeline.settings import SignIn
from tests.browser.person import UNDER_WAY, in_colours, settles, too_wide
from tests.identity_provider import CLIENT, SECRET, IdentityProvider, org
from tests.people import Served, open_team, team
from tests.servers import free_port

pytestmark = pytest.mark.browser
GOOD = "four words nobody expects"


class Visitor:
    """A browser that may be anywhere, with one page.

    ``failures`` are errors of the page's scripts, ``refused`` the addresses that somebody of this role may not ask at.
    """

    def __init__(self, chromium, **context) -> None:
        self.context = chromium.new_context(viewport={"width": 1280, "height": 900}, **context)
        self.context.add_init_script(UNDER_WAY)
        self.page = self.context.new_page()
        self.failures: list[str] = []
        self.page.on("pageerror", lambda error: self.failures.append(str(error)))
        self.refused: list[str] = []
        self.page.on("response", lambda answer: self.refused.append(answer.url) if answer.status == 403 else None)

    def heading(self, text: str) -> None:
        """Wait for a page of sign-in."""
        expect(self.page.get_by_role("heading", name=text, exact=True)).to_be_visible()


@pytest.fixture
def visitor(chromium):
    people: list[Visitor] = []

    def open_(**context) -> Visitor:
        people.append(Visitor(chromium, **context))
        return people[-1]

    yield open_
    failures = [failure for person in people for failure in person.failures]
    for person in people:
        person.context.close()
    assert failures == []


@pytest.fixture(scope="module")
def accounts(tmp_path_factory):
    served = Served(open_team(tmp_path_factory.mktemp("accounts") / "home"))
    yield served
    served.close()


@pytest.fixture(scope="module")
def people(accounts):
    return team(accounts.services)


def test_the_first_owner_comes_by_the_link_signs_out_and_in_again(accounts, visitor):
    """By keyboard alone, as the fields are meant to be filled."""
    code = accounts.services.entrance.owner_code()
    person, page = (one := visitor()), one.page
    page.goto(f"{accounts.url}/join?code={code}")
    person.heading("Join")
    expect(page.get_by_label("User name")).to_be_focused()
    for text in ("Ada", GOOD, GOOD):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".pl-role")).to_have_text("owner")
    expect(page.locator("[data-name]")).to_have_value("Ada")
    page.get_by_role("button", name="Sign out").click()
    person.heading("Sign in")
    page.goto(f"{accounts.url}/?tab=results")
    person.heading("Sign in")
    expect(page.get_by_label("User name")).to_be_focused()
    for text in ("ada", "not this one"):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("The name or the password is not right.")
    page.get_by_label("Password").fill(GOOD)
    page.keyboard.press("Enter")
    expect(page.locator("#results-screen")).to_be_visible()
    assert page.url == f"{accounts.url}/?tab=results"


def test_the_pages_are_easy_to_read_and_to_use(accounts, visitor):
    code, page = accounts.services.entrance.owner_code() or _invited(accounts), visitor().page
    for path in ("/sign-in", f"/join?code={code}", "/new-password", "/join?code=wrong"):
        page.goto(accounts.url + path)
        for width, look in itertools.product((1440, 390), ("light", "dark")):
            page.set_viewport_size({"width": width, "height": 800})
            in_colours(page, look)
            found = Axe().run(page).response["violations"]
            assert [(problem["id"], path, width, look) for problem in found] == []
            assert too_wide(page, width) == []


def _invited(served) -> str:
    owner = served.services.store.memberships.owners()[0]
    return served.services.people.invite(owner, Role.ANNOTATOR).code


SEEN = {
    Role.VIEWER: {"Start", "Results", "Settings"},
    Role.ANNOTATOR: {"Start", "Ask", "Edit", "Compare", "Results", "Settings"},
    Role.ADMIN: {"Start", "Ask", "Edit", "Tune", "Compare", "Results", "Team", "Settings"},
}


def sees_the_tabs_of(person: Visitor, role: Role) -> None:
    """See that the page shows the tabs of a role, and on none of them asks for what is refused."""
    page = person.page
    expect(page.locator(".pl-role")).to_have_text(role)
    bar = page.locator("#tabs > .tab-wrapper").first
    if role is not Role.ADMIN:
        expect(bar.get_by_role("tab", name="Tune", exact=True)).to_have_count(0)
    settles(page)
    assert set(bar.get_by_role("tab").all_inner_texts()) == SEEN[role]
    for name in sorted(SEEN[role]):
        bar.get_by_role("tab", name=name, exact=True).click()
        settles(page)
        # What an event was refused is said in one.
        expect(page.locator(".toast-body")).to_have_count(0)
    assert person.refused == []


def test_an_admin_sees_all_tabs_and_no_page_asks_for_what_is_refused(accounts, people, visitor):
    person = visitor()
    person.context.add_cookies([{"name": SIGN_IN, "value": people[Role.ADMIN].cookie, "url": accounts.url}])
    person.page.goto(accounts.url)
    sees_the_tabs_of(person, Role.ADMIN)


def test_with_a_name_and_a_join_code_an_annotator_comes_in_to_their_tabs_and_goes_on_after_a_sign_out(
    tmp_path, visitor
):
    served = Served(open_team(tmp_path / "home", SignIn.NAME))
    try:
        sent = {"code": served.services.entrance.owner_code(), "name": "Olga"}
        owner = httpx2.post(f"{served.url}/sign-in", data=sent, headers={"Origin": served.url}, timeout=60)
        assert (owner.status_code, owner.headers["location"]) == (303, "/")
        person = visitor()
        page = person.page
        page.goto(served.url)
        person.heading("Come in")
        page.get_by_label("Your name").fill("olga")
        page.get_by_label("Join code").fill(_invited(served).lower())
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("taken")
        # Before they have come in they may be refused.
        person.refused.clear()
        page.get_by_label("Your name").fill("Anna")
        page.keyboard.press("Enter")
        sees_the_tabs_of(person, Role.ANNOTATOR)
        page.get_by_role("tab", name="Edit", exact=True).click()
        expect(page.get_by_role("tab", name="Annotate", exact=True)).to_be_visible()
        for name in ("Review", "Records", "Setup"):
            expect(page.get_by_role("tab", name=name, exact=True)).to_have_count(0)
        expect(page.locator("#edit-new")).to_be_hidden()
        signed_out_elsewhere(served, person)
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("button", name="Go on as Anna").click()
        expect(page.locator(".pl-role")).to_have_text("annotator")
    finally:
        served.close()


def signed_out_elsewhere(served, person) -> None:
    """Sign somebody out whose page stays open: what they have typed is kept, and goes on once they are signed in again."""
    (cookie,) = [cookie for cookie in person.context.cookies() if cookie["name"] == SIGN_IN]
    person.page.get_by_role("tab", name="Ask", exact=True).click()
    query = person.page.locator("#ask-query textarea, #ask-query input").first
    query.fill("What is kept?")
    member_id = served.services.entrance.signed_in(cookie["value"]).member_id
    served.services.entrance.sign_out(cookie["value"])
    query.press("Enter")
    note = person.page.get_by_role("alert").filter(has_text="You are signed out")
    expect(note).to_be_visible()
    expect(query).to_have_value("What is kept?")
    again = served.services.store.sign_ins.begin(member_id, "name")
    person.context.add_cookies([{"name": SIGN_IN, "value": again, "url": served.url}])
    query.press("Enter")
    expect(note).to_be_hidden()


@pytest.fixture(scope="module")
def provider():
    with IdentityProvider() as serving:
        yield serving


@pytest.fixture(scope="module")
def space(tmp_path_factory, provider):
    """The app as on a Space: at another site than the Hub, which shows it within a frame."""
    port = free_port()
    served = Served(
        open_team(
            tmp_path_factory.mktemp("space") / "home", SignIn.HUGGINGFACE, client_id=CLIENT, client_secret=SECRET,
            provider=provider.url, space_id="acme/pairloop", space_hosts=(f"localhost:{port}",), space_author="acme",
        ),
        port,
    )  # fmt: skip
    served.url = provider.framed = f"http://localhost:{port}"
    yield served
    served.close()


# What the proxy of a Space says: people reach it over https. Only then cookies are set that a frame of another site gets.
OVER_HTTPS = {"extra_http_headers": {"X-Forwarded-Proto": "https"}}


def test_within_the_frame_of_a_space_one_signs_in_in_a_tab_of_its_own_and_goes_on_in_the_frame(
    space, provider, visitor
):
    provider.add("acme")
    person = visitor(**OVER_HTTPS)
    page = person.page
    page.goto(f"{provider.url}/spaces/acme/pairloop")
    frame = page.frame_locator("#space")
    with person.context.expect_page() as opened:
        frame.get_by_role("link", name="Sign in with Hugging Face").click()
    tab = opened.value
    expect(tab).to_have_url(re.compile(f"^{space.url}/([?].*)?$"))
    expect(tab.locator(".pl-role")).to_have_text("owner")
    (cookie,) = [cookie for cookie in person.context.cookies() if cookie["name"] == f"__Host-{SIGN_IN}"]
    assert (cookie["sameSite"], cookie["secure"], cookie["httpOnly"]) == ("None", True, True)
    tab.close()
    # This browser keeps frames of other sites from their cookies, as many do, until somebody presses a button within.
    person.context.grant_permissions(["storage-access"])
    frame.get_by_role("button", name="go on here").click()
    expect(frame.locator(".pl-role")).to_have_text("owner")
    expect(frame.locator("[data-name]")).to_have_value("Acme")
    frame.get_by_role("tab", name="Settings", exact=True).click()
    expect(frame.locator("#settings-screen")).to_be_visible()
    frame.get_by_role("button", name="Sign out").click()
    expect(frame.get_by_role("link", name="Sign in with Hugging Face")).to_be_visible()


def test_no_other_site_shows_the_app_within_a_frame(space, provider, visitor):
    person = visitor()
    with IdentityProvider() as other:
        other.framed = space.url
        person.page.goto(f"{other.url}/spaces/acme/pairloop")
        expect(person.page.frame_locator("#space").get_by_text("Sign in with Hugging Face")).to_have_count(0)
        assert "chrome-error" in person.page.frames[1].url


def test_whoever_is_no_member_is_told_so_and_comes_in_once_invited(space, provider, visitor):
    services = space.services
    provider.add("bo", org("friends"))
    person = visitor()
    page = person.page
    page.goto(space.url)
    page.get_by_role("link", name="Sign in with Hugging Face").click()
    person.heading("You are not a member")
    person.refused.clear()
    expect(page.locator("main")).to_contain_text("Ask acme on the Hub to invite you")
    services.people.invite(services.store.memberships.owners()[0], Role.VIEWER, organisation="friends")
    page.get_by_role("link", name="Back to sign-in").click()
    page.get_by_role("link", name="Sign in with Hugging Face").click()
    sees_the_tabs_of(person, Role.VIEWER)
