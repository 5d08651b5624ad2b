"""The app below a path of a proxy: every address that it names has the path, whether the proxy takes it away or not."""

import re

import pytest
from argon2 import PasswordHasher

from components._session import SIGN_IN
from components.web.workspaces import placed
from pipeline.auth import passwords
from pipeline.records import Role
from pipeline.settings import Entry, SignIn
from tests.people import add, team
from tests.sites import ServedSite
from tests.workspace import add_comparison, add_model, open_workspace

BASE = "/feedback"
GOOD = "four words nobody expects"


@pytest.fixture(autouse=True, scope="module")
def _quick_hashes():
    before, passwords._hasher = passwords._hasher, lambda: PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    yield
    passwords._hasher = before


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    entry = Entry(SignIn.ACCOUNTS, public_url=f"https://acme.org{BASE}", base=BASE)
    serving = ServedSite(open_workspace(tmp_path_factory.mktemp("based") / "home", entry=entry))
    serving.people = team(serving.services)
    red = serving.make(serving.people[Role.OWNER].id, "Red")
    serving.red = add(red, "Rita", Role.OWNER).cookie
    yield serving
    serving.close()


# A proxy that takes the path away, and one that does not.
@pytest.fixture(params=["", BASE], ids=["taken-away", "left"])
def under(request, site):
    def client(cookie="", slug="", **headers):
        made = site.client(slug, cookie, **headers)
        made.base_url = f"{site.url}{request.param}{f'/w/{slug}' if slug else ''}"
        return made

    return client


def test_pages_and_what_they_lead_to_are_below_the_path(site, under):
    nobody = under()
    assert nobody.get("/?tab=edit").headers["location"] == f"{BASE}/sign-in?next=%2F%3Ftab%3Dedit"
    page = nobody.get("/sign-in").text
    assert f'action="{BASE}/sign-in"' in page and not re.search(r'(href|src|action)="/(?!feedback/)', page)
    assert nobody.get("/sign-in/style.css").headers["content-type"].startswith("text/css")
    code = site.services.people.invite(site.people[Role.OWNER].id, Role.VIEWER).code
    assert f'action="{BASE}/join"' in nobody.get(f"/join?code={code}").text
    sent = {"code": code, "name": f"Bo {under.__name__} {nobody.base_url.path}", "new": GOOD, "again": GOOD}
    into = nobody.post("/join", data=sent, headers={"Origin": "https://acme.org"})
    assert (into.status_code, into.headers["location"]) == (303, f"{BASE}/")
    assert "; Path=/;" in into.headers["set-cookie"]
    assert (
        nobody.get("/sign-in", headers={"Cookie": into.headers["set-cookie"].partition(";")[0]}).headers["location"]
        == f"{BASE}/"
    )


def test_gradio_is_told_where_it_is(site, under):
    olga = site.people[Role.OWNER].cookie
    for cookie, slug, path in ((olga, "", BASE), (site.red, "red", f"{BASE}/w/red")):
        plain = under(cookie, slug)
        assert plain.get("/config").json()["root"] == f"{site.url}{path}"
        forwarded = {"X-Forwarded-Host": "acme.org", "X-Forwarded-Proto": "https"}
        with under("", slug, **forwarded, Cookie=f"__Host-{SIGN_IN}{f'.{slug}' if slug else ''}={cookie}") as secure:
            assert secure.get("/config").json()["root"] == f"https://acme.org{path}"
            page = secure.get("/")
            assert page.status_code == 200
            assets = re.findall(r'(?:src|href)="(\./assets/[^"]+)"', page.text)
            assert assets and all(secure.get(asset[1:]).status_code == 200 for asset in assets)
            uploaded = secure.post("/gradio_api/upload", files={"files": ("a.txt", b"x")}).json()[0]
            assert secure.get(f"/gradio_api/file={uploaded}").content == b"x"


def test_programs_and_links_are_below_the_path(site, under):
    services, olga = site.services, site.people[Role.OWNER]
    bearer = {"Authorization": f"Bearer {services.tokens.make(olga.id, 'asks').value}"}
    index = under().get("/api/v1").json()
    assert {endpoint["path"].startswith(f"{BASE}/api/v1") for endpoint in index["endpoints"]} == {True}
    assert under().get("/api/v1/me", headers=bearer).json()["name"] == "Olga"
    assert f"{BASE}/api/v1" in [place["url"] for place in under().get("/api/v1/openapi.json").json()["servers"]]
    set_id = add_comparison(services, [add_model(services, "a"), add_model(services, "b")], [("x", "y")])
    services.comparisons.reveal(set_id, olga.id)
    link = services.shared_results.make(set_id, olga.id)
    assert under().get(f"/results/{link}").status_code == 200
    assert under().get("/healthz").text == "ok"
    assert under(olga.cookie).get("/backup").status_code == 200
    assert under(olga.cookie).post("/annotate/open", json={}, headers={"X-Pairloop": "1"}).status_code not in (401, 404)
    leaving = under(services.store.sign_ins.begin(olga.id, "account"))
    left = leaving.post("/sign-out", headers={"Origin": "https://acme.org"})
    assert left.headers["location"] == f"{BASE}/sign-in"


def test_the_path_alone_leads_to_the_page(site):
    assert site.client().get(BASE).headers["location"] == f"{BASE}/"
    assert site.client().get(f"{BASE}/w/red?x=1").headers["location"] == f"{BASE}/w/red/?x=1"
    assert site.client().get(f"{BASE}x/").status_code == 404


@pytest.mark.parametrize(
    ("path", "base", "found"),
    [
        ("/", "", "/"), ("/", "/a", "/a/"), ("/a", "/a", "/a"), ("/a/", "/a", "/a/"), ("/ab", "/a", "/a/ab"),
        ("/a/b", "/a", "/a/b"), ("/w/x/", "/a", "/a/w/x/"), ("//a", "/a", "/a//a"),
    ],
)  # fmt: skip
def test_a_request_is_placed_below_the_path(path, base, found):
    scope = placed({"type": "http", "path": path}, base)
    assert (scope["path"], scope.get("root_path", "")) == (found, base)


def test_without_a_path_nothing_is_placed():
    scope = {"type": "lifespan"}
    assert placed(scope, "/a") is scope
