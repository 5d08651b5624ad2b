"""The door over a socket: what other sites, strange addresses and files of elsewhere get, and what the app itself still gets."""

import json
import re
import socket
from dataclasses import replace
from urllib.parse import quote

import gradio as gr
import httpx2
import pytest

from components.web import door, workspace_pages
from components.web.door import STRANGE_HOST, is_own_host, names_of, role_for
from components.web.protection import frame_rule
from pipeline.errors import StoreError
from pipeline.records import Role
from pipeline.settings import Entry, Settings, SignIn
from tests.people import Served, open_team, team

MARK = {"_type": "gradio.FileData"}
FAR = "https://evil.example/x.png"
FULL = "Nothing could be kept: the disk is full."


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    served = Served(open_team(tmp_path_factory.mktemp("opened") / "home", SignIn.OPEN))
    yield served
    served.close()


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    services = open_team(tmp_path_factory.mktemp("members") / "home")
    people = team(services)
    served = Served(services)
    clients = {role: httpx2.Client(base_url=served.url, headers=_cookie(person)) for role, person in people.items()}
    yield served, clients
    for client in clients.values():
        client.close()
    served.close()


@pytest.fixture
def client(opened):
    with httpx2.Client(base_url=opened.url) as client:
        yield client


@pytest.fixture
def fetched(monkeypatch):
    """Everything that Gradio would fetch from elsewhere."""
    asked = []

    async def fetch(address, *_, **__):
        asked.append(address)
        raise ConnectionError("nothing is fetched in a test")

    monkeypatch.setattr("gradio.processing_utils.async_ssrf_protected_download", fetch)
    monkeypatch.setattr("gradio.routes.secure_url_stream_response", fetch)
    return asked


def _cookie(person):
    return {"Cookie": f"pairloop_sign_in={person.cookie}"}


def listener_of_files(opened):
    """Return the number and the inputs of a listener that takes one uploaded file."""
    for number, fn in opened.screens.fns.items():
        if fn.fn and any(isinstance(block, gr.File) for block in fn.inputs):
            return number, fn.inputs
    raise AssertionError("no listener takes a file")


def body_with(opened, file):
    number, inputs = listener_of_files(opened)
    data = [file if isinstance(block, gr.File) else None for block in inputs]
    return {"data": data, "fn_index": number, "session_hash": "page", "event_data": None}


def upload(client):
    return client.post("/gradio_api/upload", files={"files": ("page.html", b"<script>alert(1)</script>")}).json()[0]


# Files by their address

AWAY = [
    FAR, "http://127.0.0.1:1/x", "HTTPS://evil.example/", "ftp://evil.example/x", "file:///etc/passwd", "javascript:x",
    "https:/evil.example", "//evil.example/x", "\\\\evil.example\\x", " https://evil.example", "data:text/html,x",
]  # fmt: skip


@pytest.mark.parametrize("address", AWAY)
def test_no_address_of_elsewhere_is_handed_out_as_a_file(client, fetched, address):
    encoded = quote(address, safe="")
    for path in (f"file={encoded}", f"file={quote(encoded, safe='')}", f"file={quote(address, safe=':/')}"):
        answer = client.get(f"/gradio_api/{path}")
        assert answer.status_code == 404, path
        assert client.head(f"/gradio_api/{path}").status_code == 404
    if not address.startswith("//"):
        # What follows a slash begins with one where it is a path of this machine.
        assert client.get(f"/gradio_api/file/{encoded}").status_code == 404
    assert fetched == []


def test_a_file_of_this_machine_has_its_address_whatever_it_is_called():
    names = (
        "/tmp/a b/50%25.pdf",
        "C:\\Users\\x.png",
        "C:/Users/x.png",
        "/tmp/https://x",
        "/tmp/a:b",
        "a/b",
        "%" * 60_000,
    )
    for name in names:
        assert role_for(f"/gradio_api/file={name}") is Role.VIEWER
    assert role_for("/gradio_api/file//tmp/x.png") is Role.VIEWER


def test_an_uploaded_file_is_handed_out_and_runs_nothing(client):
    answer = client.get(f"/gradio_api/file={upload(client)}")
    assert answer.status_code == 200 and answer.content == b"<script>alert(1)</script>"
    rules = answer.headers.get_list("content-security-policy")
    assert rules == ["sandbox; default-src 'none'; frame-ancestors 'self'"]
    assert answer.headers["content-disposition"].startswith("attachment")
    part = client.get(
        f"/gradio_api/file={upload(client)}", headers={"Range": "bytes=0-4", "Content-Security-Policy": "x"}
    )
    assert part.status_code == 206 and part.headers.get_list("content-security-policy") == rules
    assert "sandbox" not in client.get("/config").headers["content-security-policy"]


def test_a_refusal_where_a_file_was_asked_for_is_a_page_that_leads_to_the_way_in(members):
    served, clients = members
    looks = {"Accept": "text/html"}
    refused = httpx2.get(f"{served.url}/gradio_api/file=x.png", headers=looks)
    assert refused.status_code == 401 and '<a href="/sign-in">Sign in</a>' in refused.text
    nowhere = clients[Role.OWNER].get("/gradio_api/file=https%3A%2F%2Fx.example", headers=looks)
    assert nowhere.status_code == 404 and '<a href="/">' in nowhere.text
    for page in (refused, nowhere):
        (rules,) = page.headers.get_list("content-security-policy")
        assert rules == f"{workspace_pages.PLAIN}; frame-ancestors 'self'" and "<style>" in page.text
        assert page.headers["cache-control"] == "no-store"
    # What Gradio answers stays a file.
    strange = clients[Role.OWNER].get("/gradio_api/file=/etc/passwd", headers=looks)
    assert strange.status_code == 403 and "sandbox" in strange.headers["content-security-policy"]


# Files in bodies

OF_ELSEWHERE = [
    {"path": FAR}, {"path": "http://169.254.169.254/"}, {"path": "ftp://x/y"}, {"path": "file:///etc/passwd"},
    {"path": "//x/y"}, {"path": "/tmp/x", "url": FAR}, {"url": FAR}, {"path": None, "url": FAR}, {"path": FAR, "url": None},
    {"url": "https://evil.example/gradio_api/file=/tmp/x"}, {"path": "/x", "url": "file:///etc/passwd"},
    {"path": "/x", "url": f"http://x/gradio_api/file={FAR}"}, {"path": "/x", "url": "//evil.example/x"},
    {"path": FAR, "url": "http://x/gradio_api/file=/tmp/x"}, {"path": "/x", "url": f"{FAR}?/gradio_api/file=/tmp/x"},
]  # fmt: skip


@pytest.mark.parametrize("file", OF_ELSEWHERE)
def test_no_file_is_fetched_for_a_body(opened, client, members, fetched, file):
    file = {**file, "meta": MARK}
    for held in (file, [file], {"value": [{"deep": [[file]]}]}, {"path": "/x", "meta": MARK, "more": file}):
        body = body_with(opened, held)
        for path in ("queue/join", "run/predict", "api/predict", "call/predict", "call/v2/predict"):
            answer = client.post(f"/gradio_api/{path}", json=body)
            assert (answer.status_code, answer.json()["error"]) == (422, door.NOT_UPLOADED), path
    assert client.post("/gradio_api/call/v2/predict", json={"file": file}).status_code == 422
    refused = members[1][Role.VIEWER].post("/gradio_api/queue/join", json={**body, "session_hash": "veras"})
    assert refused.status_code == 422 and fetched == []


def test_that_gradio_would_fetch_it_is_so_still(opened, client, fetched, monkeypatch):
    monkeypatch.setattr(door, "_has_file_of_elsewhere", lambda sent: False)
    monkeypatch.setattr(door, "_paths_in", lambda sent: [])
    client.post("/gradio_api/run/predict", json=body_with(opened, {"path": FAR, "meta": MARK}))
    client.post("/gradio_api/run/predict", json=body_with(opened, {"path": "/tmp/x", "url": FAR, "meta": MARK}))
    # Of the two it is the path.
    assert fetched == [FAR]


def test_uploads_reach_the_app_as_a_browser_and_a_program_send_them(opened, client, fetched):
    path = upload(client)
    shown = f"gradio_api/file={quote(path)}"
    addresses = (None, "blob:x", f"/{shown}", f"{opened.url}/{shown}", f"https://team.example/tools/{shown}")
    for address in addresses:
        file = {"path": path, "orig_name": "page.html", "size": 1, "meta": MARK, "url": address}
        answer = client.post("/gradio_api/queue/join", json=body_with(opened, file))
        assert answer.status_code == 200, answer.text
        assert client.post("/gradio_api/queue/join", json=body_with(opened, [file])).status_code == 200
    assert fetched == []


def test_what_only_looks_like_a_file_is_let_pass(opened, client):
    for value in (
        {"path": FAR},
        {"path": FAR, "meta": {"_type": "other"}},
        {"path": FAR, "meta": "x"},
        FAR,
        {"url": FAR},
    ):
        assert client.post("/gradio_api/queue/join", json=body_with(opened, value)).status_code == 200


def test_bodies_that_cannot_be_read_are_refused_and_nothing_breaks(client, opened):
    for body in (b"", b"{", b"\xff\xfe", b"[" * 200_000, b"[" * 200_000 + b"]" * 200_000):
        sent = client.post("/gradio_api/queue/join", content=body, headers={"Content-Type": "application/json"})
        assert sent.status_code in (400, 422), body[:3]
    wide = json.dumps(body_with(opened, {"path": FAR, "meta": MARK})).encode("utf-16")
    sent = client.post("/gradio_api/queue/join", content=wide, headers={"Content-Type": "application/json"})
    assert sent.status_code == 422 and sent.json()["error"] == door.NOT_UPLOADED


LOOKS = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_whoever_looks_at_a_wrong_address_gets_a_page_and_a_program_gets_json(client):
    page = client.get("/nonsense", headers=LOOKS)
    assert page.status_code == 404 and page.headers["content-type"].startswith("text/html")
    assert "There is nothing at this address." in page.text and '<a href="/">Go to the start page</a>' in page.text
    rules = page.headers["content-security-policy"]
    assert "script-src" not in rules and "default-src 'none'" in rules and "frame-ancestors 'self'" in rules
    strange = client.get("/", headers={**LOOKS, "Host": "evil.example"})
    assert strange.status_code == 421 and "set PAIRLOOP_PUBLIC_URL" in strange.text and "<a " not in strange.text
    for answer in (client.get("/nonsense"), client.post("/nonsense", headers=LOOKS)):
        assert (answer.status_code, answer.json()["error"]) == (404, "There is nothing at this address.")


# Hosts


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:7860", "localhost.evil.example", "127.0.0.1.evil.example", "", "[::2]", "0.0.0.0",
        "192.168.1.5", "8.8.8.8:80", "127.0.0.1@evil.example", "localhost, evil.example", "[::1].evil.example",
    ],
)  # fmt: skip
def test_where_nobody_signs_in_no_other_name_leads_to_this_machine(client, host):
    for method, path in (
        ("GET", "/"), ("GET", "/config"), ("GET", "/backup"), ("POST", "/gradio_api/queue/join"), ("GET", "/api/v1"),
    ):  # fmt: skip
        answer = client.request(method, path, headers={"Host": host})
        assert (answer.status_code, answer.json()["error"]) == (421, STRANGE_HOST), path
    for path in ("/healthz", "/readyz", "/metrics"):
        assert client.get(path, headers={"Host": host or "x"}).status_code != 421


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:7860", "127.0.0.1", "127.8.9.1:80", "[::1]:7860", "localhost."]
)
def test_this_machine_is_known_by_its_own_names(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 200


def test_which_hosts_are_the_apps_own(tmp_path):
    def own(host, bound="127.0.0.1", **entry):
        settings = Settings(home=tmp_path, host=bound, entry=Entry(**entry))
        return is_own_host(host, names_of(settings), settings)

    machine = socket.gethostname()
    for host in (machine, f"{machine.removesuffix('.local')}.local:7860", "192.168.1.5:7860", "[fe80::1]", "8.8.8.8"):
        for bound in ("0.0.0.0", "::", "192.168.1.5"):
            assert own(host, bound)
        for bound in ("127.0.0.1", "localhost", "::1", "127.3.3.3"):
            assert not own(host, bound) or host == "localhost"
    assert not own("evil.example", "0.0.0.0")
    assert own("pairs.example", "pairs.example")
    assert own("Team.example:443", public_url="https://team.example") and not own("team.example")
    assert own("127.0.0.1:1", public_url="https://team.example")
    spaces = ("acme-pairloop.hf.space", "pairs.example:8000")
    assert own("acme-pairloop.hf.space", space_hosts=spaces) and own("pairs.example", space_hosts=spaces)
    assert not own("other-pairloop.hf.space", space_hosts=spaces)


def test_where_people_sign_in_a_proxy_may_call_the_app_what_it_likes(members):
    assert members[1][Role.VIEWER].get("/config", headers={"Host": "team.example"}).status_code == 200


# Pages, and what goes wrong


def test_the_end_of_a_calls_address_is_a_page_too(members):
    anna, vera = members[1][Role.ANNOTATOR], members[1][Role.VIEWER]
    number = next(n for n, fn in members[0].screens.fns.items() if fn.fn and not fn.inputs)
    body = {"data": [], "fn_index": number, "session_hash": "annas"}
    assert anna.post("/gradio_api/queue/join", json=body).status_code == 200
    for path in ("call/x/annas", "call/v2/x/annas", "heartbeat/annas"):
        refused = vera.get(f"/gradio_api/{path}")
        assert refused.status_code == 403 and refused.json()["error"] == door.OTHERS_PAGE, path
    with anna.stream("GET", "/gradio_api/queue/data?session_hash=annas") as stream:
        assert "process_completed" in "".join(stream.iter_lines())


def test_a_program_still_gets_the_answer_to_its_call(members):
    served, clients = members
    name = next(fn.api_name for fn in served.screens.fns.values() if fn.fn and fn.api_name and not fn.inputs)
    for way in ("call", "call/v2"):
        event = clients[Role.OWNER].post(f"/gradio_api/call/{name}", json={"data": []}).json()["event_id"]
        with clients[Role.OWNER].stream("GET", f"/gradio_api/{way}/{name}/{event}") as stream:
            assert re.search("event: (complete|error)", "\n".join(stream.iter_lines()))


def test_the_name_of_a_page_is_not_as_long_as_somebody_likes(opened, client, members):
    long = "x" * 101
    body = {**body_with(opened, None), "session_hash": long}
    for asking in (client, members[1][Role.VIEWER]):
        for path in (f"queue/data?session_hash={long}", f"heartbeat/{long}", f"call/x/{long}"):
            assert asking.get(f"/gradio_api/{path}").status_code == 400, path
        assert asking.post("/gradio_api/queue/join", json=body).status_code == 400
    assert client.post("/gradio_api/queue/join", json={**body, "session_hash": long[1:]}).status_code == 200


def test_a_store_that_fails_is_said_in_its_sentence(members, monkeypatch):
    def full(*_):
        raise StoreError(FULL)

    monkeypatch.setattr("pipeline.entrance.Entrance.signed_in", full)
    # Whoever was here a moment ago is known without the store.
    monkeypatch.setattr("pipeline.entrance.Entrance.known", lambda *_: None)
    for path in ("/config", "/", "/gradio_api/info", "/backup"):
        answer = members[1][Role.VIEWER].get(path)
        assert (answer.status_code, answer.json()["error"]) == (503, FULL), path
        assert answer.headers["cache-control"] == "no-store"


def test_no_strangers_space_shows_this_one_in_a_frame():
    entry = replace(Entry(), space_id="acme/pairloop")
    assert frame_rule(entry) == "frame-ancestors 'self' https://huggingface.co"
