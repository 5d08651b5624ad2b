"""Several workspaces in one server over HTTP: nothing that is worth something in one is worth anything in another."""

import gc
import http.client
import threading
import time
import weakref
from contextlib import nullcontext, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import gradio as gr
import httpx2
import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from components import _building as building
from components._guard import ASKER, Asker
from components._session import SIGN_IN, of_workspace
from components.team.workspaces import NOWHERE, WorkspacesHandlers
from components.web.hosting import UNFORESEEN
from components.web.workspace_pages import FAILED, NOTHING
from pipeline.auth import passwords
from pipeline.records import Role, id_of
from pipeline.services import open_services
from pipeline.settings import Entry, SignIn
from pipeline.store.schema import metadata
from tests.annotating import add_every_kind
from tests.components.screens import event
from tests.hub_server import HubServer
from tests.identity_provider import CLIENT, SECRET, IdentityProvider
from tests.listening import listening
from tests.people import add, open_team, team
from tests.postgres import POSTGRES
from tests.sites import ServedSite
from tests.workspace import add_comparison, add_model, open_workspace

GOOD = "four words nobody expects"
TOKEN = "hf_write_token"


@pytest.fixture(autouse=True, scope="module")
def _quick_hashes():
    before, passwords._hasher = passwords._hasher, lambda: PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    yield
    passwords._hasher = before


class Three:
    """A server whose people are in three workspaces: the main one, red and blue. Anna is an annotator, and an owner of red."""

    def __init__(self, home: Path) -> None:
        self.site = ServedSite(open_team(home, SignIn.ACCOUNTS))
        self.people = {"": team(self.site.services)}
        self.olga = self.people[""][Role.OWNER].id
        self.services = {"": self.site.services}
        for slug in ("red", "blue"):
            self.services[slug] = self.site.make(self.olga, slug.title())
            self.people[slug] = team(self.services[slug])
        self.screens = self.site.site._main.routes[-1].app.get_blocks()
        self.anna = {slug: found[Role.ANNOTATOR].cookie for slug, found in self.people.items()}
        red = self.services["red"]
        anna = id_of("member", "test", "Anna")
        red.people.set_role(self.people["red"][Role.OWNER].id, anna, Role.OWNER)
        self.clients = {slug: self.site.client(slug) for slug in self.services}
        self.owners = {slug: self.site.client(slug, found[Role.OWNER].cookie) for slug, found in self.people.items()}

    def rows(self, slug: str) -> dict[str, list]:
        """Return everything that a workspace holds, but when somebody was last here."""
        kept = [table for table in metadata.sorted_tables if table.name not in ("last_seen", "failed_sign_ins")]
        with self.services[slug].store.database.read() as connection:
            return {table.name: sorted(map(repr, connection.execute(select(table)))) for table in kept}


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    found = Three(tmp_path_factory.mktemp("three") / "home")
    yield found
    for client in (*found.clients.values(), *found.owners.values()):
        client.close()
    found.site.close()


PAIRS = [(mine, other) for mine in ("", "red", "blue") for other in ("", "red", "blue") if mine != other]


@pytest.mark.parametrize(("mine", "other"), PAIRS)
def test_what_lets_somebody_in_to_one_lets_nobody_in_to_another(three, mine, other):
    before = three.rows(other)
    services, elsewhere = three.services[mine], three.clients[other]
    olga = three.people[mine][Role.OWNER]
    assert three.owners[mine].get("/backup").status_code == 200
    for name in (of_workspace(SIGN_IN, mine), of_workspace(SIGN_IN, other)):
        assert elsewhere.get("/backup", headers={"Cookie": f"{name}={olga.cookie}"}).status_code == 401
    token = services.tokens.make(olga.id, "a program").value
    bearer = {"Authorization": f"Bearer {token}"}
    assert three.clients[mine].get("/api/v1/me", headers=bearer).status_code == 200
    assert elsewhere.get("/api/v1/me", headers=bearer).status_code == 401
    assert elsewhere.get("/config", headers=bearer).status_code == 401
    code = services.people.invite(olga.id, Role.OWNER).code
    assert three.clients[mine].get(f"/join?code={code}").status_code == 200
    assert elsewhere.get(f"/join?code={code}").status_code == 403
    sent = {"code": code, "name": "Mallory", "new": GOOD, "again": GOOD}
    answer = elsewhere.post("/join", data=sent, headers={"Origin": three.site.url})
    assert answer.status_code == 403 and "set-cookie" not in answer.headers
    assert three.rows(other) == before


def test_what_is_in_one_cannot_be_had_from_another_by_its_id_or_link(three):
    blue = three.services["blue"]
    olga = three.people["blue"][Role.OWNER]
    set_id = add_comparison(blue, [add_model(blue, "a"), add_model(blue, "b")], [("x", "y")])
    blue.comparisons.reveal(set_id, olga.id)
    link = blue.shared_results.make(set_id, olga.id)
    dataset = add_every_kind(blue)
    record = blue.store.datasets.records(dataset.id)[0].id
    sent = {"json": {"record": record}, "headers": {"X-Pairloop": "1"}}
    opened = three.owners["blue"].post(
        "/annotate/open", json={"dataset": dataset.id, "record": record}, headers=sent["headers"]
    )
    assert opened.status_code == 200 and record in opened.text
    for slug in ("", "red"):
        assert three.clients[slug].get(f"/results/{link}").status_code == 404
        answer = three.owners[slug].post("/annotate/open", **sent)
        assert record not in answer.text or answer.status_code != 200
        token = three.services[slug].tokens.make(three.people[slug][Role.OWNER].id, "asks").value
        headers = {"Authorization": f"Bearer {token}"}
        for path in (f"/datasets/{dataset.id}", f"/comparisons/{set_id}"):
            assert three.clients[slug].get(f"/api/v1{path}", headers=headers).status_code == 404, path
    assert three.clients["blue"].get(f"/results/{link}").status_code == 200


def test_a_file_that_was_uploaded_to_one_is_none_of_another(three):
    answer = three.owners["blue"].post("/gradio_api/upload", files={"files": ("plan.txt", b"of blue alone")})
    (path,) = answer.json()
    assert three.owners["blue"].get(f"/gradio_api/file={path}").content == b"of blue alone"
    number = next(n for n, fn in three.screens.fns.items() if fn.fn and len(fn.inputs) == 1 and fn.queue)
    file = {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "plan.txt"}
    for slug in ("", "red"):
        assert three.owners[slug].get(f"/gradio_api/file={path}").status_code == 403
        body = {"data": [[file]], "fn_index": number, "session_hash": f"page-{slug}", "event_data": {}}
        for address in ("/gradio_api/queue/join", "/gradio_api/run/predict"):
            answer = three.owners[slug].post(address, json=body)
            assert answer.status_code == 422 and "uploaded" in answer.json()["error"]


def told_of(client, page: str) -> str:
    """Return what is told of a page's events; a page that is not known has its connection cut."""
    told = []
    with (
        suppress(httpx2.RemoteProtocolError),
        client.stream("GET", f"/gradio_api/queue/data?session_hash={page}") as stream,
    ):
        told += [line for line in stream.iter_lines() if line.startswith("data:")]
    return "".join(told)


def test_a_page_of_one_is_no_page_of_another(three):
    number = next(n for n, fn in three.screens.fns.items() if fn.fn and fn.name == "show_header")
    body = {"data": [], "fn_index": number, "session_hash": "page-of-blue", "event_data": {}}
    joined = three.owners["blue"].post("/gradio_api/queue/join", json=body)
    assert joined.status_code == 200
    heard = {slug: told_of(three.owners[slug], "page-of-blue") for slug in ("", "red", "blue")}
    assert heard[""] == heard["red"] == "" and joined.json()["event_id"] in heard["blue"]
    assert "process_completed" in heard["blue"]


def test_one_name_has_in_each_the_role_that_it_has_there(three):
    status = {
        slug: three.site.client(slug, cookie).get("/team/numbers").status_code for slug, cookie in three.anna.items()
    }
    assert status == {"": 403, "red": 200, "blue": 403}


def test_a_browser_is_signed_in_to_several_at_once_and_out_of_one_alone(three):
    with httpx2.Client(base_url=three.site.url, headers={"Origin": three.site.url}) as browser:
        for slug in ("red", "blue"):
            code = three.services[slug].people.invite(three.people[slug][Role.OWNER].id, Role.VIEWER).code
            into = browser.post(f"/w/{slug}/join", data={"code": code, "name": "Bea", "new": GOOD, "again": GOOD})
            assert (into.status_code, into.headers["location"]) == (303, f"/w/{slug}/")
            assert f"{SIGN_IN}.{slug}=" in into.headers["set-cookie"] and "; Path=/;" in into.headers["set-cookie"]
        assert browser.get("/backup").status_code == 401
        assert [browser.get(f"/w/{slug}/backup").status_code for slug in ("red", "blue")] == [200, 200]
        places = three.site.hosting.places("; ".join(f"{k}={v}" for k, v in browser.cookies.items()), False, "red")
        assert [(place.name, place.address, place.here) for place in places] == [
            ("Red", "/w/red/", True),
            ("Blue", "/w/blue/", False),
        ]
        out = browser.post("/w/red/sign-out")
        assert out.headers["location"] == "/w/red/sign-in" and f"{SIGN_IN}.red=;" in out.headers["set-cookie"]
        assert [browser.get(f"/w/{slug}/backup").status_code for slug in ("red", "blue")] == [401, 200]


def test_pages_lead_within_their_own_workspace(three):
    first = three.clients["red"].get("/?tab=compare")
    assert first.headers["location"] == "/w/red/sign-in?next=%2F%3Ftab%3Dcompare"
    page = three.clients["red"].get("/sign-in").text
    assert 'action="/w/red/sign-in"' in page and 'href="/w/red/sign-in/style.css"' in page
    assert 'href="/w/red/new-password"' in page and '"/sign-in' not in page
    assert "Pairloop · Red</p>" in page and "<title>Sign in · Red · Pairloop</title>" in page
    code = three.services["red"].people.invite(three.people["red"][Role.OWNER].id, Role.VIEWER).code
    assert "Pairloop · Red</p>" in three.clients["red"].get(f"/join?code={code}").text
    assert three.clients["red"].get("/sign-in/style.css").status_code == 200
    assert three.clients[""].get("/w/red?tab=edit").headers["location"] == "/w/red/?tab=edit"
    config = three.owners["red"].get("/config").json()
    assert config["root"] == f"{three.site.url}/w/red"
    cookie = f"__Host-{SIGN_IN}.red={three.people['red'][Role.OWNER].cookie}"
    forwarded = {"X-Forwarded-Host": "acme.org", "X-Forwarded-Proto": "https", "Cookie": cookie}
    behind = three.clients["red"].get("/config", headers=forwarded)
    assert behind.json()["root"] == "https://acme.org/w/red"
    index = three.clients["red"].get("/api/v1").json()
    assert all(endpoint["path"].startswith("/w/red/api/v1") for endpoint in index["endpoints"])
    assert three.clients["red"].get("/healthz").text == "ok" and three.clients["red"].get("/readyz").json()["ready"]


def ask_as_written(url: str, path: str) -> tuple[int, str]:
    """Return the answer to a path that no client makes tidy before it is sent."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        connection.putrequest("GET", path, skip_accept_encoding=True)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_where_there_is_no_workspace_the_same_sentence_stands(three):
    odd = (
        "nope",
        "..",
        "%2e%2e",
        "%2e%2e%2f%2e%2e",
        "RED",
        "r%C3%A9d",
        "r" * 200,
        "red%00",
        "red%20",
        "-red",
        "",
        "red.",
    )
    for slug in odd:
        for rest in ("/", "/sign-in", "/gradio_api/info", "/healthz"):
            assert ask_as_written(three.site.url, f"/w/{slug}{rest}") == (404, NOTHING), (slug, rest)
    assert ask_as_written(three.site.url, "/w/../red/")[0] == 404
    for path in ("/W/red/", "/w", "//w/red/"):
        assert ask_as_written(three.site.url, path)[0] in (401, 404), path
    page = three.clients[""].get("/w/nope/", headers={"Accept": "text/html"})
    assert page.status_code == 404 and NOTHING in page.text and "script" not in page.text
    assert '<a href="/">Go to the start page</a>' in page.text
    assert three.clients[""].post("/w/nope/sign-in").json()["error"] == NOTHING


def test_each_line_of_the_log_says_of_which_workspace_it_is(three):
    with listening() as heard:
        for slug in ("red", "", "blue"):
            owner = three.owners[slug]
            number = next(d["id"] for d in owner.get("/config").json()["dependencies"] if d["api_name"] == "sync_now")
            body = {"data": [], "fn_index": number, "session_hash": f"log-{slug}"}
            # In the queue, whose tasks are no request's; directly; and a program.
            owner.post("/gradio_api/queue/join", json=body).raise_for_status()
            owner.get("/gradio_api/queue/data", params={"session_hash": f"log-{slug}"})
            owner.post("/gradio_api/run/predict", json=body)
            token = three.services[slug].tokens.make(three.people[slug][Role.OWNER].id, "writes").value
            three.clients[slug].post("/api/v1/ask", json={}, headers={"Authorization": f"Bearer {token}"})
    said = [
        (line["event"], line.get("workspace", "")) for line in heard.lines if line["event"] in ("handler", "request")
    ]
    assert said == [(event, slug) for slug in ("red", "", "blue") for event in ("handler", "handler", "request")]


def test_another_site_asks_nothing_of_any_workspace(three):
    answer = three.owners["red"].post("/gradio_api/queue/join", json={}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403 and "own page" in answer.json()["error"]


def test_a_closed_workspace_serves_nothing_and_comes_back_as_it_was(three):
    site = three.site
    green = site.make(three.olga, "Green")
    member = add(green, "Gil", Role.ADMIN)
    made = site.at("green")
    gil = site.client("green", member.cookie)
    assert gil.get("/backup").status_code == 200
    screens = weakref.ref(site.hosting.room(made).app.state.screens)
    with gil.stream("GET", "/gradio_api/heartbeat/page-of-gil") as stream:
        beats = stream.iter_bytes()
        assert b"ALIVE" in next(beats)
        site.services.workspaces.close(three.olga, made.id)
        # Whoever listens to it hears its end, and not a cut.
        assert all(b"ALIVE" in beat for beat in beats)
    for path in ("/", "/sign-in", "/backup", "/healthz", "/api/v1", "/gradio_api/info", "/config"):
        answer = gil.get(path)
        assert (answer.status_code, answer.json()["error"] if "/api/" in path else answer.text) == (404, NOTHING), path
    assert three.owners["red"].get("/backup").status_code == 200
    site.until("green")
    site.services.workspaces.reopen(three.olga, made.id)
    site.opened(site.at("green"))
    # Nothing of what was closed stays in memory, or goes on working there.
    deadline = time.monotonic() + 60
    while screens() is not None and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.05)
    assert screens() is None
    assert gil.get("/backup").status_code == 200
    site.services.workspaces.close(three.olga, made.id)
    site.until("green")


def test_one_that_cannot_be_opened_says_so_and_harms_no_other(three):
    site = three.site
    (site.services.settings.home / "workspaces" / "broken").write_text("no folder")
    made = site.services.workspaces.create(three.olga, "Broken")
    assert site.hosting.room(made).settled.wait(60)
    answer = site.client("broken").get("/")
    assert (answer.status_code, answer.text) == (503, FAILED) and answer.headers["retry-after"]
    assert site.hosting.standing(made).word == "failed" and "cannot be used" in site.hosting.standing(made).problem
    assert three.owners["red"].get("/backup").status_code == three.owners[""].get("/backup").status_code == 200
    (site.services.settings.home / "workspaces" / "broken").unlink()
    site.hosting.again(made)
    site.opened(made)
    assert site.client("broken").get("/healthz").text == "ok"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_one_that_fails_as_nobody_foresaw_says_so_and_is_opened_later(three, monkeypatch):
    site = three.site
    monkeypatch.setattr(site.hosting, "_build", lambda services: {}["nobody foresaw this"])
    made = site.services.workspaces.create(three.olga, "Odd")
    assert site.hosting.room(made).settled.wait(60)
    assert (site.hosting.standing(made).word, site.hosting.standing(made).problem) == ("failed", UNFORESEEN)
    assert site.client("odd").get("/").text == FAILED and three.owners["red"].get("/backup").status_code == 200
    monkeypatch.undo()
    site.hosting.again(made)
    site.opened(made)
    site.services.workspaces.close(three.olga, made.id)
    site.until("odd")


def test_one_whose_store_breaks_while_it_is_open_harms_no_other(three):
    site = three.site
    grey = site.make(three.olga, "Grey")
    grey.store.database.engine.dispose()
    for file in grey.settings.home.glob("pairloop.db*"):
        file.write_bytes(b"no store " * 10_000)
    cookies = f"{SIGN_IN}={three.people[''][Role.OWNER].cookie}; {SIGN_IN}.grey={'a' * 64}"
    assert [place.name for place in site.hosting.places(cookies, False, "")] == ["Main workspace"]
    made = site.at("grey")
    assert site.hosting.standing(made).word == "failed"
    assert "cannot be opened: Its store cannot be read" in WorkspacesHandlers(site.services).show_workspaces()[0]
    site.services.workspaces.close(three.olga, made.id)
    site.until("grey")


class Request:
    """A request of somebody who is signed in to the main workspace, for calling a handler directly."""

    def __init__(self, three, role):
        self.cookies, self.headers = {}, {"origin": three.site.url}
        self.scope = {ASKER: Asker(three.services[""], three.people[""][role].cookie), "headers": [], "scheme": "http"}


def test_whoever_makes_one_gets_the_link_of_its_first_owner(three):
    handlers, olga = WorkspacesHandlers(three.site.services), Request(three, Role.OWNER)
    shown = handlers.create("Yellow <b>", "", NOWHERE, "", False, olga)
    assert (shown.name, shown.slug) == ("", "") and "Yellow &lt;b&gt;" in shown.listed and "<b>" not in shown.listed
    link = shown.said.partition('value="')[2].partition('"')[0]
    assert link.startswith(f"{three.site.url}/w/yellow-b/join?code=")
    code = parse_qs(urlsplit(link).query)["code"][0]
    with httpx2.Client(base_url=three.site.url, headers={"Origin": three.site.url}) as browser:
        assert browser.get(link).status_code == 200
        into = browser.post("/w/yellow-b/join", data={"code": code, "name": "Yves", "new": GOOD, "again": GOOD})
        assert into.headers["location"] == "/w/yellow-b/"
        assert browser.get("/w/yellow-b/team/numbers").status_code == 200
        assert browser.get("/team/numbers").status_code == 401
    made = three.site.at("yellow-b")
    assert three.site.hosting.standing(made).people == 1
    again = handlers.manage(olga, event(workspace=made.id, what="link"))
    assert "join?code" not in again.said and "is open at" in again.said
    asked = handlers.manage(olga, event(workspace=made.id, what="close"))
    assert "What is in it is kept" in asked.confirm_text and asked.chosen == made.id
    closed = handlers.close(made.id, olga)
    assert "is closed" in closed.said and "Open again" in closed.listed


def unserved(main, actor: str, name: str):
    """Make a workspace and return its services, without the seconds that its screens take."""
    return open_services(main.workspaces.settings_of(main.workspaces.create(actor, name)))


def test_a_restart_keeps_workspaces_people_and_sign_ins(tmp_path):
    first = open_team(tmp_path / "home", SignIn.ACCOUNTS)
    olga = team(first)[Role.OWNER]
    red = unserved(first, olga.id, "Red")
    cookie = add(red, "Rita", Role.OWNER).cookie
    for services in (red, first):
        services.close()
    second = ServedSite(open_team(tmp_path / "home", SignIn.ACCOUNTS))
    try:
        second.opened(second.at("red"))
        assert second.client("red", cookie).get("/backup").status_code == 200
        assert second.client("", olga.cookie).get("/backup").status_code == 200
    finally:
        second.close()


def test_a_lost_disk_comes_back_from_the_dataset_repo_of_each(tmp_path):
    with HubServer() as hub:
        settings = {"dataset_repo": "team/main", "hf_token": TOKEN, "hf_endpoint": hub.url, "sync_seconds": 1.0}
        first = open_workspace(tmp_path / "one", **settings)
        red = unserved(first, first.store.members.by_token("a" * 64), "Red")
        for services, name in ((red, "red"), (first, "main")):
            services.start_backup()
            services.store.queries.add_set(f"Only of {name}", [])
            services.close()
        assert {"datasets/team/main", "datasets/team/main-red"} <= hub.repos.keys()
        second = ServedSite(open_workspace(tmp_path / "two", **settings))
        try:
            red = second.opened(second.at("red"))
            assert [found.name for found in red.store.queries.sets()] == ["Only of red"]
            assert [found.name for found in second.services.store.queries.sets()] == ["Only of main"]
            assert red.store.values.workspace_name() == "Red"
        finally:
            second.close()


def test_the_hub_leads_back_to_the_workspace_that_was_wanted(tmp_path):
    with IdentityProvider() as provider:
        provider.add("mia")
        entry = {"client_id": CLIENT, "client_secret": SECRET, "provider": provider.url}
        site = ServedSite(open_team(tmp_path / "home", SignIn.HUGGINGFACE, **entry))
        try:
            olga = team(site.services)[Role.OWNER]
            red = site.make(olga.id, "Red")
            owner = add(red, "Rita", Role.OWNER)
            red.people.invite(owner.id, Role.ANNOTATOR, hub_name="mia")
            with httpx2.Client(base_url=site.url) as browser:
                away = browser.get("/w/red/sign-in/hub?next=/?tab=edit")
                assert parse_qs(urlsplit(away.headers["location"]).query)["redirect_uri"] == [
                    f"{site.url}/sign-in/callback"
                ]
                back = browser.get(away.headers["location"])
                assert back.headers["location"].startswith(f"{site.url}/sign-in/callback?")
                into = browser.get(back.headers["location"])
                assert (into.status_code, into.headers["location"]) == (303, "/w/red/?tab=edit")
                assert browser.get("/w/red/backup").status_code == 200 and browser.get("/backup").status_code == 401
                # Whoever is led there by another's answer has begun no such sign-in.
                with httpx2.Client(base_url=site.url) as other:
                    assert other.get(back.headers["location"]).status_code == 403
        finally:
            site.close()


def test_one_replica_serves_what_another_has_made_and_closed(tmp_path):
    url = POSTGRES.bare()
    opened = [
        open_workspace(tmp_path / name, database_url=url, entry=Entry(SignIn.ACCOUNTS)) for name in ("one", "two")
    ]
    one, two = opened[0], ServedSite(opened[1])
    try:
        olga = team(one)[Role.OWNER]
        opened.append(unserved(one, olga.id, "Red"))
        cookie = add(opened[-1], "Rita", Role.OWNER).cookie
        # Its first request there finds it, and it is opened.
        assert two.client("red", Accept="text/html").get("/").status_code in (303, 503)
        two.opened(two.at("red"))
        assert two.client("red", cookie).get("/backup").status_code == 200
        assert two.client("", cookie).get("/backup").status_code == 401
        one.workspaces.close(olga.id, two.at("red").id)
        two.until("red")
        assert two.client("red", cookie).get("/backup").text == NOTHING
    finally:
        two.close()
        for services in (opened[-1], one):
            services.close()


@pytest.mark.parametrize("kept_apart", [True, False])
def test_what_a_handler_makes_meanwhile_is_no_part_of_screens_that_are_built(kept_apart):
    made = []
    with building.alone() if kept_apart else nullcontext(), gr.Blocks() as screens:
        thread = threading.Thread(target=lambda: made.append(gr.Column(visible=False)))
        thread.start()
        thread.join()
        own = gr.HTML("")
    # Without that it is: Gradio knows for the whole process what is being built.
    assert (screens.children == [own]) is kept_apart and (made[0]._id in screens.blocks) is not kept_apart
