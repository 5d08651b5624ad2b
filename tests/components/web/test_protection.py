"""What every answer says to a browser: pages, the API, files, refusals and errors, whoever asks and in whatever mode."""

import asyncio

import httpx2
import pytest

from components.web.protection import protecting
from pipeline.records import Role
from pipeline.settings import Entry, SignIn
from tests.people import Served, open_team, team

# What is asked, with the status for an owner and what the policy of the answer begins with.
NOTHING, PAGE, SANDBOX = "default-src 'none'", "default-src 'self'", "sandbox; default-src 'none'"
ASKED = [
    ("GET", "/", 200, PAGE),
    ("GET", "/config", 200, NOTHING),
    ("GET", "/gradio_api/info", 200, NOTHING),
    ("GET", "/theme.css", 200, NOTHING),
    ("GET", "/healthz", 200, NOTHING),
    ("GET", "/readyz", 200, NOTHING),
    ("GET", "/metrics", 404, NOTHING),
    ("GET", "/backup", 200, NOTHING),
    ("GET", "/backup?zone=noon", 422, NOTHING),
    ("GET", "/team/numbers", 200, PAGE),
    ("GET", "/sign-in", 303, NOTHING),
    ("GET", "/join?code=x", 303, NOTHING),
    ("GET", "/new-password", 200, NOTHING),
    ("GET", "/sign-in/style.css", 200, NOTHING),
    ("GET", "/sign-in/script.js", 200, PAGE),
    ("GET", "/results/nowhere", 404, NOTHING),
    ("GET", "/api/v1", 200, NOTHING),
    ("GET", "/api/v1/me", 401, NOTHING),
    ("GET", "/api/v1/nowhere", 404, NOTHING),
    ("POST", "/annotate/open", 200, NOTHING),
    ("GET", "/gradio_api/vibe-edit", 404, NOTHING),
    ("GET", "/gradio_api/file=/etc/passwd", 403, SANDBOX),
    ("GET", "/nowhere", 404, NOTHING),
    ("POST", "/gradio_api/queue/join", 422, NOTHING),
]  # fmt: skip
# What the same for everybody may be kept by.
SHARED = ("/theme.css", "/sign-in/style.css", "/sign-in/script.js")


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    services = open_team(tmp_path_factory.mktemp("protected") / "home")
    people = team(services)
    served = Served(services)
    yield served, people
    served.close()


@pytest.fixture(scope="module")
def owner(members):
    served, people = members
    headers = {"Cookie": f"pairloop_sign_in={people[Role.OWNER].cookie}"}
    with httpx2.Client(base_url=served.url, headers=headers, timeout=60) as client:
        yield client


def ask(client, method, path):
    sent = {"json": {}, "headers": {"X-Pairloop": "1"}} if method == "POST" else {}
    return client.request(method, path, **sent)


@pytest.mark.parametrize(("method", "path", "status", "policy"), ASKED, ids=[path for _, path, *_ in ASKED])
def test_every_answer_is_protected(owner, method, path, status, policy):
    answer = ask(owner, method, path)
    said = answer.headers
    assert answer.status_code == status, answer.text[:200]
    (rules,) = said.get_list("content-security-policy")
    assert rules.startswith(policy) and "frame-ancestors" in rules and "*" not in rules.replace("'*'", "")
    assert said["x-content-type-options"] == "nosniff"
    assert said["referrer-policy"] in ("same-origin", "no-referrer")
    assert "camera=()" in said["permissions-policy"] and "microphone=()" in said["permissions-policy"]
    assert said["cross-origin-opener-policy"] == said["cross-origin-resource-policy"] == "same-origin"
    if path not in SHARED:
        assert said["cache-control"] == "no-store"
    assert "server" not in said or "uvicorn" in said["server"]
    assert "access-control-allow-origin" not in said


def test_the_page_loads_from_and_sends_to_this_app_alone(owner):
    rules = dict(rule.strip().split(" ", 1) for rule in owner.get("/").headers["content-security-policy"].split(";"))
    places = {word for rule in rules.values() for word in rule.split() if not word.startswith("'")}
    assert places == {"data:", "blob:"}
    for kind in ("default-src", "connect-src", "form-action", "base-uri"):
        assert "'self'" in rules[kind] and "http" not in rules[kind]
    assert rules["object-src"] == rules["frame-src"] == "'none'"
    assert "data:" not in rules["script-src"] and "blob:" not in rules["script-src"]


def test_those_who_are_refused_are_told_as_much(members):
    served, people = members
    with httpx2.Client(base_url=served.url) as nobody:
        for path in ("/", "/config", "/backup", "/team/numbers", "/gradio_api/file=/x"):
            answer = nobody.get(path)
            assert answer.status_code in (303, 401) and answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["referrer-policy"]
        foreign = nobody.get("/config", headers={"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"})
        assert foreign.status_code == 403 and "default-src 'none'" in foreign.headers["content-security-policy"]


def test_where_nobody_signs_in_it_is_the_same(tmp_path):
    served = Served(open_team(tmp_path / "home", SignIn.OPEN))
    with httpx2.Client(base_url=served.url, timeout=60) as client:
        for path in ("/", "/config", "/nowhere"):
            said = client.get(path).headers
            assert said["cache-control"] == "no-store" and said["cross-origin-opener-policy"] == "same-origin"
        asset = client.get("/static/img/undo-solid.svg")
        strange = client.get("/", headers={"Host": "evil.example"})
        assert strange.status_code == 421 and strange.headers["x-content-type-options"] == "nosniff"
        assert asset.headers["x-content-type-options"] == "nosniff"
    served.close()


def test_a_space_is_framed_and_opened_by_the_pages_of_the_hub_alone():
    entry, sent = Entry(space_id="acme/pairloop"), []

    async def keep(message):
        sent.append(message)

    protect = protecting(keep, entry, "/", False)
    begins = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]}
    asyncio.run(protect(begins))
    said = {name: value.decode() for name, value in sent[0]["headers"]}
    assert said[b"content-security-policy"].endswith("frame-ancestors 'self' https://huggingface.co")
    assert b"cross-origin-opener-policy" not in said and b"cross-origin-resource-policy" not in said
