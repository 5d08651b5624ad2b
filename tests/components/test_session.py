"""Who a browser is: the cookie that it is given once, and what is made of cookies that it sends."""

import asyncio
import hashlib
from http.cookies import SimpleCookie
from types import SimpleNamespace

import gradio as gr
import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

import app
from components._session import COOKIE, PersonCookie, person
from pipeline.errors import PipelineError
from pipeline.store.members import AUTOMATIC

TOKEN = "0123456789abcdef" * 4
MALFORMED = [
    "",
    "abc",
    TOKEN[:-1],
    TOKEN + "0",
    TOKEN.upper(),
    TOKEN[:-1] + "g",
    f'"{TOKEN}"x',
    "' OR 1=1 --" + TOKEN[11:],
    "../" + TOKEN[3:],
    "０" * 64,
]


async def page(scope, receive, send):
    headers = [(b"content-type", b"text/html"), (b"set-cookie", b"other=1")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"page"})


def visit(cookie=None, path="/", method="GET", scheme="http", headers=()):
    """Send a request through the middleware and return the cookies that it set."""
    sent = [(b"host", b"localhost"), *headers]
    sent += [] if cookie is None else [(b"cookie", cookie.encode("utf-8"))]
    scope = {"type": "http", "method": method, "path": path, "scheme": scheme, "headers": sent}
    messages = []

    async def send(message):
        messages.append(message)

    asyncio.run(PersonCookie(page)(scope, None, send))
    assert messages[1] == {"type": "http.response.body", "body": b"page"}
    assert messages[0]["headers"][:2] == [(b"content-type", b"text/html"), (b"set-cookie", b"other=1")]
    return [value.decode() for name, value in messages[0]["headers"][2:] if name == b"set-cookie"]


def test_a_new_browser_is_given_a_cookie_that_scripts_cannot_read():
    (cookie,) = visit()
    ((name, found),) = SimpleCookie(cookie).items()
    assert name == COOKIE and len(found.value) == 64 and set(found.value) <= set("0123456789abcdef")
    assert (found["path"], found["max-age"], found["httponly"], found["domain"]) == ("/", "31536000", True, "")


def test_every_browser_is_given_another_one():
    assert len({visit()[0] for _ in range(20)}) == 20


@pytest.mark.parametrize("cookie", [f"{COOKIE}={TOKEN}", f"a=b; {COOKIE}={TOKEN}", f"{COOKIE}={TOKEN}; c=d; e=f"])
def test_a_browser_that_has_one_is_given_no_other(cookie):
    assert visit(cookie) == []


@pytest.mark.parametrize("value", MALFORMED)
def test_a_malformed_cookie_is_replaced(value):
    assert len(visit(f"{COOKIE}={value}")) == 1


@pytest.mark.parametrize("cookie", [f"x{COOKIE}={TOKEN}", f"a={COOKIE}={TOKEN}", f"{COOKIE}2={TOKEN}", TOKEN])
def test_a_cookie_of_another_name_does_not_count(cookie):
    assert len(visit(cookie)) == 1


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/"), ("HEAD", "/"), ("GET", "/config"), ("GET", "/gradio_api/queue/data")]
)
def test_only_the_page_brings_a_cookie(method, path):
    assert visit(method=method, path=path) == []


def test_what_is_no_request_passes_through():
    seen = []

    async def inner(scope, receive, send):
        seen.append(scope["type"])

    for kind in ("lifespan", "websocket"):
        asyncio.run(PersonCookie(inner)({"type": kind}, None, None))
    assert seen == ["lifespan", "websocket"]


@pytest.mark.parametrize(
    ("scheme", "headers", "same_site", "secure"),
    [
        ("http", [], "Lax", ""),
        ("http", [(b"x-forwarded-proto", b"http")], "Lax", ""),
        ("https", [], "None", True),
        ("http", [(b"x-forwarded-proto", b"https")], "None", True),
        ("http", [(b"x-forwarded-proto", b"https,http")], "None", True),
    ],
)
def test_inside_the_frame_of_a_space_the_cookie_is_sent_too(scheme, headers, same_site, secure):
    (found,) = SimpleCookie(visit(scheme=scheme, headers=headers)[0]).values()
    assert (found["samesite"], found["secure"]) == (same_site, secure)


def request(**cookies):
    return SimpleNamespace(cookies=cookies)


def test_the_same_cookie_is_the_same_person_and_another_one_is_not(services):
    ada = person(services, request(**{COOKIE: TOKEN}))
    assert person(services, request(**{COOKIE: TOKEN, "other": "1"})) == ada
    assert person(services, request(**{COOKIE: "f" * 64})) != ada


@pytest.mark.parametrize("value", MALFORMED)
def test_a_malformed_cookie_is_nobody(services, value):
    before = services.store.members.names()
    with pytest.raises(PipelineError, match="Allow cookies and reload"):
        person(services, request(**{COOKIE: value}))
    assert services.store.members.names() == before


def test_a_request_without_a_cookie_or_no_request_at_all_is_nobody(services):
    for nothing in (None, request(), request(other=TOKEN)):
        with pytest.raises(PipelineError, match="Allow cookies and reload"):
            person(services, nothing)


def test_a_forged_cookie_is_a_new_guest_and_never_somebody_who_is_there(services):
    ada = person(services, request(**{COOKIE: TOKEN}))
    services.store.members.rename(ada, "Ada")
    forged = ["f" * 64, hashlib.sha256(TOKEN.encode()).hexdigest(), TOKEN[::-1]]
    people = [person(services, request(**{COOKIE: token})) for token in forged]
    assert ada not in people and AUTOMATIC not in people and len(set(people)) == 3
    assert [services.store.members.name(who) for who in people] == ["Guest 2", "Guest 3", "Guest 4"]
    for known in (ada, AUTOMATIC):
        with pytest.raises(PipelineError):
            person(services, request(**{COOKIE: known}))


@pytest.mark.parametrize("other", ["", "; get=1", "; keys=1; items=2; values=3"])
def test_gradios_own_request_tells_the_person_whatever_other_cookies_there_are(services, other):
    scope = {"type": "http", "headers": [(b"cookie", f"{COOKIE}={TOKEN}{other}".encode())]}
    assert person(services, gr.Request(Request(scope))) == services.store.members.by_token(TOKEN)
    with pytest.raises(PipelineError):
        person(services, gr.Request(Request({"type": "http", "headers": []})))


def test_the_served_page_brings_the_cookie_once_and_nothing_else_does(services):
    with TestClient(app.build_server(services), base_url="http://127.0.0.1") as client:
        assert "set-cookie" not in client.get("/healthz").headers
        assert "set-cookie" not in client.get("/config").headers
        first = client.get("/?tab=compare")
        assert first.status_code == 200 and first.headers["set-cookie"].startswith(f"{COOKIE}=")
        assert "set-cookie" not in client.get("/").headers
        assert first.cookies[COOKIE] not in client.get("/").text
