"""The pages of sign-in over HTTP: forms, cookies, where they lead, and what they refuse."""

import re
from http.cookies import SimpleCookie
from types import SimpleNamespace

import gradio as gr
import httpx2
import pytest
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.testclient import TestClient

import app
from components._guard import ASKER, Asker
from components._session import COOKIE, SIGN_IN
from components.address import TABS, OwnTabs
from components.web.signing import FLIGHT, local
from pipeline.auth import passwords
from pipeline.auth.hub import HubPerson
from pipeline.entrance import Guest
from pipeline.records import Role
from pipeline.settings import SignIn
from tests.identity_provider import CLIENT, SECRET, IdentityProvider, org
from tests.people import open_team, team

GOOD = "four words nobody expects"
HOST = "http://127.0.0.1:8000"


class Browser(TestClient):
    """A browser at the app, which says where its forms come from, and follows no redirect by itself."""

    def fill(self, path, origin=HOST, **fields):
        headers = {} if origin is None else {"Origin": origin}
        return self.post(path, data=fields, headers=headers)

    @property
    def in_(self) -> bool:
        return self.get("/backup").status_code == 200


@pytest.fixture(autouse=True, scope="module")
def _quick_hashes():
    """Hash with argon2 as always, and with less work than it takes to guess."""
    before, passwords._hasher = passwords._hasher, lambda: PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    yield
    passwords._hasher = before


def served(home, mode, **entry):
    """Return the server of a new workspace, and its services."""
    services = open_team(home, mode, **entry)
    return app.build_server(services), services


@pytest.fixture(scope="module")
def accounts(tmp_path_factory):
    server, services = served(tmp_path_factory.mktemp("accounts") / "home", SignIn.ACCOUNTS)
    first = Browser(server, base_url=HOST, follow_redirects=False)
    first.fill("/join", code=services.entrance.owner_code(), name="Olga", new=GOOD, again=GOOD)
    yield server, services
    services.close()


@pytest.fixture
def browser(accounts):
    return Browser(accounts[0], base_url=HOST, follow_redirects=False)


@pytest.fixture
def owner(accounts):
    return next(member.member_id for member in accounts[1].people.members() if member.name == "Olga")


def cookies(answer):
    return {
        name: value for header in answer.headers.get_list("set-cookie") for name, value in SimpleCookie(header).items()
    }


def test_whoever_is_not_signed_in_is_led_to_the_sign_in_and_back_to_where_they_wanted(browser):
    sent = browser.get("/?tab=compare")
    assert (sent.status_code, sent.headers["location"]) == (303, "/sign-in?next=%2F%3Ftab%3Dcompare")
    page = browser.get(sent.headers["location"])
    assert page.status_code == 200 and 'value="/?tab=compare"' in page.text
    into = browser.fill("/sign-in", name="Olga", password=GOOD, next="/?tab=compare")
    assert (into.status_code, into.headers["location"]) == (303, "/?tab=compare")
    assert browser.get("/").status_code == 200 and browser.get("/sign-in").headers["location"] == "/"


def test_the_cookie_is_new_at_every_sign_in_and_scripts_cannot_read_it(browser):
    planted = "e" * 64
    browser.cookies.set(SIGN_IN, planted, domain="127.0.0.1", path="/")
    first = cookies(browser.fill("/sign-in", name="Olga", password=GOOD))[SIGN_IN]
    assert len(first.value) == 64 and first.value != planted
    assert (first["httponly"], first["samesite"], first["path"], first["domain"]) == (True, "Lax", "/", "")
    # The row of the sign-in ends it earlier where it is not used.
    assert first["max-age"] == str(180 * 86400)
    second = cookies(browser.fill("/sign-in", name="Olga", password=GOOD))[SIGN_IN]
    assert second.value not in (first.value, planted) and browser.in_
    # Whoever was signed in in this browser before is not any more.
    browser.cookies.clear()
    browser.cookies.set(SIGN_IN, first.value, domain="127.0.0.1", path="/")
    assert not browser.in_


def test_over_https_no_other_host_can_set_the_cookie_and_the_frame_of_a_space_gets_it(accounts):
    safe = Browser(accounts[0], base_url="https://127.0.0.1:8000", follow_redirects=False)
    found = cookies(safe.fill("/sign-in", origin="https://127.0.0.1:8000", name="Olga", password=GOOD))
    cookie = found[f"__Host-{SIGN_IN}"]
    assert (cookie["samesite"], cookie["secure"], cookie["path"], cookie["domain"]) == ("None", True, "/", "")
    plain = Browser(accounts[0], base_url="https://127.0.0.1:8000", follow_redirects=False)
    plain.cookies.set(SIGN_IN, cookie.value, domain="127.0.0.1", path="/")
    assert safe.in_ and not plain.in_


def test_signing_out_ends_the_sign_in_and_not_only_the_cookie(browser):
    token = cookies(browser.fill("/sign-in", name="Olga", password=GOOD))[SIGN_IN].value
    assert browser.in_ and browser.fill("/sign-out").headers["location"] == "/sign-in"
    browser.cookies.set(SIGN_IN, token, domain="127.0.0.1", path="/")
    assert not browser.in_


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/join", "/new-password"])
@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:8001", "null", None])
def test_a_form_of_another_site_is_refused(browser, path, origin):
    browser.fill("/sign-in", name="Olga", password=GOOD)
    sent = browser.fill(
        path, origin, name="Olga", password=GOOD, code="x", new="some other words", again="some other words"
    )
    assert sent.status_code == 403 and "set-cookie" not in sent.headers and browser.in_
    assert "Only Pairloop's own page" in sent.json()["error"]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_a_browser_says_of_another_site_is_believed_for_every_address(browser, site):
    browser.fill("/sign-in", name="Olga", password=GOOD)
    told = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "cors", "Origin": HOST}
    for path in ("/config", "/backup", "/gradio_api/info", "/gradio_api/queue/data?session_hash=x"):
        answer = browser.get(path, headers=told)
        assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers
    assert browser.post("/gradio_api/queue/join", json={}, headers=told).status_code == 403
    assert browser.options("/gradio_api/queue/join", headers=told).status_code == 403
    # Whoever follows a link comes in.
    assert browser.get("/", headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"}).status_code == 200


WAYS_OUT = [
    "https://evil.example/", "//evil.example/", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "javascript:alert(1)",
    "/%0d%0aSet-Cookie:x=1\r\n", " //evil.example", "", "sign-in", "http:/evil.example", "/sign-out", "/join?code=x", "/ä",
]  # fmt: skip


@pytest.mark.parametrize("address", WAYS_OUT)
def test_the_way_back_leads_nowhere_else(browser, address):
    assert local(address) == "/"
    assert browser.fill("/sign-in", name="Olga", password=GOOD, next=address).headers["location"] == "/"
    assert browser.get("/sign-in", params={"next": address}).headers["location"] == "/"


def test_addresses_of_the_app_are_kept():
    for address in ("/", "/?tab=edit&record=01", "/results/abc", "/?a=%2F%2Fevil.example"):
        assert local(address) == address


def test_what_was_wrong_is_said_alike_and_nothing_typed_comes_back_as_markup(browser):
    wrong = browser.fill("/sign-in", name="Olga", password="not this one at all")
    unknown = browser.fill("/sign-in", name='"><script>alert(1)</script>', password="not this one at all")
    said = [re.search(r'role="alert">([^<]+)<', answer.text)[1] for answer in (wrong, unknown)]
    assert said == ["The name or the password is not right."] * 2 and {wrong.status_code, unknown.status_code} == {403}
    assert "<script>" not in unknown.text and "not this one" not in wrong.text + unknown.text
    assert "set-cookie" not in wrong.headers
    # Whoever has typed the name goes on with the password.
    assert re.search(r'name="password"[^>]* autofocus', wrong.text) and not re.search(
        r'name="name"[^>]* autofocus', wrong.text
    )


def test_the_icon_that_every_page_asks_for_is_no_error_to_whoever_is_not_signed_in(browser):
    assert browser.get("/favicon.ico").status_code == 200
    assert browser.post("/favicon.ico", headers={"origin": HOST}).status_code == 401


def test_the_pages_need_no_script_and_nothing_from_elsewhere_and_are_kept_nowhere(browser):
    for path in ("/sign-in", "/new-password", "/join?code=x"):
        page = browser.get(path)
        rules = page.headers["content-security-policy"]
        assert "default-src 'none'" in rules and "frame-ancestors 'self'" in rules and "unsafe" not in rules
        assert page.headers["cache-control"] == "no-store" and page.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r'(src|href|action)="(?!/)', page.text) and "<script" not in page.text
        assert "style=" not in page.text and "<style" not in page.text
    assert browser.get("/sign-in/style.css").headers["content-type"].startswith("text/css")


def test_somebody_joins_by_a_link_once(browser, accounts, owner):
    code = accounts[1].people.invite(owner, Role.ANNOTATOR, most=1).code
    assert "an annotator" in browser.get(f"/join?code={code}").text
    differing = browser.fill("/join", code=code, name="Ida", new=GOOD, again=GOOD + "!")
    assert differing.status_code == 422 and "differ" in differing.text and 'value="Ida"' in differing.text
    taken = browser.fill("/join", code=code, name="olga", new=GOOD, again=GOOD)
    assert taken.status_code == 422 and "taken" in taken.text
    assert browser.fill("/join", code=code, name="Ida", new=GOOD, again=GOOD).headers["location"] == "/"
    assert browser.in_ and browser.get(f"/join?code={code}").headers["location"] == "/"
    other = Browser(accounts[0], base_url=HOST, follow_redirects=False)
    over = other.fill("/join", code=code, name="Eve", new=GOOD, again=GOOD)
    assert over.status_code == 403 and "used up" in over.text and not other.in_


def test_whoever_tried_too_often_is_not_told_that_an_invitation_lets_nobody_in(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.auth.throttle.FREE_FOR_ADDRESS", 1)
    server, services = served(tmp_path / "home", SignIn.ACCOUNTS)
    browser = Browser(server, base_url=HOST, follow_redirects=False)
    sent = {"code": "nonsense", "name": "Eve", "new": GOOD, "again": GOOD}
    wrong, often = browser.get("/join?code=nonsense"), browser.fill("/join", **sent)
    assert (wrong.status_code, often.status_code) == (403, 403)
    assert "<h1>This invitation lets nobody in</h1>" in wrong.text and "is not right" in wrong.text
    assert "<h1>Sign-in failed</h1>" in often.text and "Too many tries have failed" in often.text
    services.close()


def test_a_password_that_an_owner_set_leads_to_choosing_another_one(browser, accounts, owner):
    services = accounts[1]
    code = services.people.invite(owner, Role.VIEWER).code
    browser.fill("/join", code=code, name="Vera", new=GOOD, again=GOOD)
    vera = next(member.member_id for member in services.people.members() if member.name == "Vera")
    given = services.people.reset_password(owner, vera)
    assert not browser.in_
    page = browser.fill("/sign-in", name="Vera", password=given)
    assert "Choose a new password" in page.text and 'value="Vera"' in page.text and "set-cookie" not in page.headers
    assert given not in page.text and not browser.in_
    assert 'href="/sign-in"' in page.text
    new = "words of my own choosing"
    wrong = browser.fill("/new-password", name="Vera", password="not this one", new=new, again=new)
    assert wrong.status_code == 403 and not browser.in_
    assert browser.fill("/new-password", name="Vera", password=given, new=new, again=new).status_code == 303
    assert browser.in_
    again = browser.fill("/new-password", name="Vera", password=given, new=f"{new} again", again=f"{new} again")
    assert again.status_code == 403 and "good for one change, within 7 days" in again.text


def test_what_is_too_long_or_no_form_is_refused(browser):
    assert browser.fill("/sign-in", name="x" * 20_000).status_code == 403
    assert browser.post("/sign-in", json={"name": "Olga"}, headers={"Origin": HOST}).status_code == 403
    assert browser.fill("/sign-in", **{f"field{n}": "x" for n in range(30)}).status_code == 403


# By name


@pytest.fixture(scope="module")
def sprint(tmp_path_factory):
    server, services = served(tmp_path_factory.mktemp("sprint") / "home", SignIn.NAME)
    first = Browser(server, base_url=HOST, follow_redirects=False)
    first.fill("/sign-in", code=services.entrance.owner_code(), name="Olga")
    olga = services.people.members()[0].member_id
    yield server, services, services.people.invite(olga, Role.ANNOTATOR).code
    services.close()


def test_with_the_code_a_name_is_enough_and_the_browser_is_known_afterwards(sprint):
    server, services, code = sprint
    mine, other = (Browser(server, base_url=HOST, follow_redirects=False) for _ in range(2))
    assert COOKIE in cookies(mine.get("/sign-in"))
    planted = mine.cookies[COOKIE]
    assert mine.fill("/sign-in", name="Anna", code="WRONG").status_code == 403
    into = mine.fill("/sign-in", name="Anna", code=code)
    assert into.status_code == 303 and mine.in_ and cookies(into)[COOKIE].value != planted
    mine.fill("/sign-out")
    assert "Go on as Anna" in mine.get("/sign-in").text
    assert mine.fill("/sign-in", name="Anna").status_code == 303 and mine.in_
    other.cookies.set(COOKIE, planted, domain="127.0.0.1", path="/")
    refused = other.fill("/sign-in", name="Anna", code=code)
    assert refused.status_code == 422 and "taken" in refused.text and not other.in_
    assert f'value="{code}"' in other.get(f"/join?code={code}").text


# The Hub


@pytest.fixture(scope="module")
def provider():
    with IdentityProvider() as serving:
        yield serving


@pytest.fixture(scope="module")
def space(tmp_path_factory, provider):
    entry = {"client_id": CLIENT, "client_secret": SECRET, "provider": provider.url, "space_id": "acme/pairloop"}
    hosts = {
        "space_hosts": ("127.0.0.1:8000", "pairloop.acme.example"),
        "space_author": "acme",
        "space_creator": "id-maker",
    }
    server, services = served(tmp_path_factory.mktemp("space") / "home", SignIn.HUGGINGFACE, **entry, **hosts)
    yield server, services
    services.close()


@pytest.fixture
def visitor(space, provider):
    provider.lie, provider.userinfo_lie, provider.down = {}, {}, False
    provider.algorithm, provider.signing_key = "RS256", provider._key
    return Browser(space[0], base_url=HOST, follow_redirects=False)


def ask_hub(address):
    """Follow the browser's way to the Hub, and return the address that it leads back to."""
    return httpx2.get(address).headers["location"]


def through_hub(visitor, path="/sign-in/hub"):
    """Sign in on the Hub and return the answer to whoever comes back."""
    return visitor.get(ask_hub(visitor.get(path).headers["location"]))


def test_the_owner_of_a_space_comes_in_with_their_account_of_the_hub(visitor, provider, space):
    provider.add("acme")
    sent = visitor.get("/sign-in/hub?next=/?tab=settings")
    flight = cookies(sent)[FLIGHT]
    assert (flight["samesite"], flight["httponly"], flight["max-age"]) == ("Lax", True, "600")
    into = visitor.get(ask_hub(sent.headers["location"]))
    assert (into.status_code, into.headers["location"]) == (303, "/?tab=settings")
    assert visitor.in_ and cookies(into)[FLIGHT]["max-age"] == "0"
    asked = provider.asked[-1]
    assert asked["redirect"] == f"{HOST}/sign-in/callback" and asked["scope"] == "openid profile"
    assert [found.role for found in space[1].people.members()] == [Role.OWNER]


def test_whoever_was_not_invited_is_told_whom_to_ask(visitor, provider, space):
    provider.add("eve", org("acme", "read"))
    page = through_hub(visitor)
    assert page.status_code == 403 and "<b>eve</b>" in page.text and "Ask acme on the Hub to invite you" in page.text
    # Where to ask, and how to come as somebody else.
    assert f'href="{provider.url}/spaces/acme/pairloop/discussions"' in page.text
    assert f'<a href="{provider.url}" target="_blank" rel="noopener noreferrer">Sign out on the Hub</a>' in page.text
    assert not visitor.in_ and "eve" not in [member.name.lower() for member in space[1].people.members()]


def test_an_organisation_is_invited_and_who_is_not_through_its_own_door_is_not_in_it(visitor, provider, space):
    services = space[1]
    owner = services.entrance.signed_in(services.entrance.by_hub(_person("acme"), "", Guest())).member_id
    services.people.invite(owner, Role.ANNOTATOR, organisation="Friends")
    provider.add("bo", org("friends", pendingSSO=True))
    assert through_hub(visitor).status_code == 403
    provider.add("bo", org("friends"))
    assert through_hub(visitor).status_code == 303 and visitor.in_


def test_a_link_leads_through_the_hub(visitor, provider, space):
    services = space[1]
    owner = services.entrance.signed_in(services.entrance.by_hub(_person("acme"), "", Guest())).member_id
    code = services.people.invite(owner, Role.VIEWER, most=1).code
    provider.add("vera")
    page = visitor.get(f"/join?code={code}").text
    address = re.search(r'href="(/sign-in/hub[^"]+)"', page)[1].replace("&amp;", "&")
    assert through_hub(visitor, address).status_code == 303 and visitor.in_


def _person(name):
    return HubPerson(f"id-{name}", name, name.title())


LIES = {
    "another app's": {"aud": "another-app"},
    "many apps'": {"aud": ["another-app"]},
    "expired": {"exp": 1_000_000_000},
    "without an end": {"exp": None},
    "of another issuer": {"iss": "https://huggingface.example"},
    "of another sign-in": {"nonce": "another"},
    "of no sign-in": {"nonce": None},
    "from the future": {"iat": 4_000_000_000},
    "of nobody": {"sub": None},
    "of somebody else": {"sub": "id-other"},
    "for another party": {"aud": [CLIENT, "another"], "azp": "another"},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_token_that_is_not_what_it_must_be_lets_nobody_in(visitor, provider, lie):
    provider.add("acme")
    provider.lie = lie
    refused = through_hub(visitor)
    assert refused.status_code == 403 and "could not be trusted" in refused.text and not visitor.in_


@pytest.mark.parametrize(("algorithm", "key"), [("none", None), ("HS256", "x" * 40), ("RS256", "other")])
def test_a_token_with_another_signature_lets_nobody_in(visitor, provider, algorithm, key):
    provider.add("acme")
    provider.algorithm = algorithm
    provider.signing_key = rsa.generate_private_key(public_exponent=65537, key_size=2048) if key == "other" else key
    assert through_hub(visitor).status_code == 403 and not visitor.in_


def test_an_account_that_differs_from_the_one_of_the_token_lets_nobody_in(visitor, provider):
    provider.add("acme")
    provider.userinfo_lie = {"sub": "id-other"}
    assert through_hub(visitor).status_code == 403 and not visitor.in_


def test_an_answer_of_the_hub_for_another_browser_signs_nobody_in(visitor, provider, space):
    provider.add("acme")
    back = ask_hub(Browser(space[0], base_url=HOST, follow_redirects=False).get("/sign-in/hub").headers["location"])
    assert visitor.get(back).status_code == 403
    visitor.get("/sign-in/hub")
    refused = visitor.get(back)
    assert refused.status_code == 403 and "another window" in refused.text and not visitor.in_


def test_an_answer_is_good_once_and_a_forged_flight_not_at_all(visitor, provider):
    provider.add("acme")
    back = ask_hub(visitor.get("/sign-in/hub").headers["location"])
    kept = visitor.cookies[FLIGHT]
    assert visitor.get(back).status_code == 303
    visitor.cookies.set(FLIGHT, kept, domain="127.0.0.1", path="/")
    assert visitor.get(back).status_code == 403
    visitor.cookies.set(FLIGHT, kept[:-1] + ("0" if kept[-1] != "0" else "1"), domain="127.0.0.1", path="/")
    assert visitor.get(back).status_code == 403


def test_a_refusal_on_the_hub_and_a_hub_that_is_down_are_said_plainly(visitor, provider, monkeypatch):
    provider.who = ""
    assert "told not to sign you in" in through_hub(visitor).text
    provider.down = True
    monkeypatch.setattr("pipeline.auth.hub.KEPT_SECONDS", 0.0)
    down = visitor.get("/sign-in/hub")
    assert down.status_code == 503 and "cannot be reached" in down.text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:8000.evil.example", "127.0.0.1:9999"])
def test_the_hub_leads_back_to_no_address_that_a_request_makes_up(visitor, provider, host):
    sent = visitor.get("/sign-in/hub", headers={"Host": host, "X-Forwarded-Host": host})
    assert "redirect_uri=http%3A%2F%2F127.0.0.1%3A8000%2Fsign-in%2Fcallback" in sent.headers["location"]


def test_each_address_of_a_space_leads_back_to_itself(visitor, provider):
    sent = visitor.get("/sign-in/hub", headers={"Host": "pairloop.acme.example"})
    assert "redirect_uri=https%3A%2F%2Fpairloop.acme.example%2Fsign-in%2Fcallback" in sent.headers["location"]


def test_within_the_frame_of_a_space_the_sign_in_opens_in_a_tab_of_its_own(visitor, provider):
    alone, framed = visitor.get("/sign-in"), visitor.get("/sign-in", headers={"Sec-Fetch-Dest": "iframe"})
    assert 'rel="noopener">Sign in' not in alone.text and "<script" not in alone.text
    assert f'For another one, <a href="{provider.url}" target="_blank"' in alone.text
    assert 'target="_blank" rel="noopener">Sign in with Hugging Face' in framed.text
    # The page of the Hub may show it, and no stranger's Space.
    assert framed.headers["content-security-policy"].endswith(f"frame-ancestors 'self' {provider.url}")


def test_nobody_signs_in_where_everybody_is_an_owner(tmp_path):
    server, services = served(tmp_path / "home", SignIn.OPEN)
    browser = Browser(server, base_url=HOST, follow_redirects=False)
    assert browser.get("/").status_code == 200 and browser.get("/sign-in").headers["location"] == "/"
    assert browser.get("/join?code=x").headers["location"] == "/"
    assert browser.fill("/sign-in", name="Olga", password=GOOD).status_code in (303, 403)
    assert browser.fill("/join", code="x", name="Eve", new=GOOD, again=GOOD).status_code == 403
    assert services.store.memberships.all() == []
    services.close()


def test_people_of_each_role_see_their_own_tabs_only(accounts):
    services = accounts[1]
    names = ("start", "ask", "edit", "tune", "compare", "results")
    with gr.Blocks(), gr.Tabs(elem_id="tabs"):
        tabs = {gr.Tab(name, id=name): TABS[name] for name in names}
    own, shown = OwnTabs(services, tabs), {}
    for role, person in team(services).items():
        request = SimpleNamespace(scope={ASKER: Asker(services, person.cookie)}, query_params={"tab": "tune"})
        hidden = re.findall(r'#tabs > .tab-wrapper \[data-tab-id="(\w+)"\]', own.hide_tabs(request))
        shown[role] = [name for name in names if name not in hidden]
        assert (getattr(own.open_tab(request), "selected", None) == "tune") is role.covers(Role.ADMIN)
    assert shown[Role.VIEWER] == ["start", "results"]
    assert shown[Role.ANNOTATOR] == ["start", "ask", "edit", "compare", "results"]
    assert shown[Role.ADMIN] == shown[Role.OWNER] == list(names)
