"""Files of Gradio's own, answered from memory: the same bytes for whoever may have them, and nothing else is kept."""

import asyncio
import gzip
from pathlib import Path

import brotli
import gradio
import httpx2
import pytest

from components.web import gradio_files
from components.web.gradio_files import LATELY_SECONDS, GradioFiles, Lately, wanted_in
from pipeline.records import Role
from pipeline.settings import SignIn
from tests.people import Served, add, open_team, team
from tests.sites import ServedSite

FRONTEND = Path(gradio.__file__).parent / "templates" / "frontend"
BUILT = sorted((FRONTEND / "assets").glob("Index-*"), key=lambda file: file.stat().st_size)
FOR_EVER = "public, max-age=31536000, immutable"
UNPACKED = {"br": brotli.decompress, "gzip": gzip.decompress, None: bytes}
# Of each kind one, from as small that it is not compressed to as large that Gradio sends it in parts.
FILES = [f"/assets/{BUILT[0].name}", f"/assets/{BUILT[-1].name}", "/static/img/logo.svg"]
FILES += [
    f"/static/fonts/{file.parent.name}/{file.name}" for file in sorted(FRONTEND.glob("static/fonts/*/*.woff2"))[:1]
]


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    served = Served(open_team(tmp_path_factory.mktemp("files") / "home", SignIn.OPEN))
    yield served
    served.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    serving = ServedSite(open_team(tmp_path_factory.mktemp("members") / "home", base="/team/loop"))
    serving.people = team(serving.services)
    yield serving
    serving.close()


def raw(client, path, coding="", **headers):
    """Return the answer, and its bytes as they came."""
    headers = {"Accept-Encoding": coding or "identity", **headers}
    with client.stream("GET", path, headers=headers) as answer:
        return answer, b"".join(answer.iter_raw())


@pytest.mark.parametrize("path", FILES, ids=["small", "large", "picture", "font"])
def test_it_is_the_file_of_the_library_however_often_and_however_compressed(opened, path):
    file = FRONTEND / path[1:]
    with httpx2.Client(base_url=opened.url) as client:
        for coding in ("", "br", "gzip", "gzip, deflate, br, zstd"):
            answers = [raw(client, path, coding) for _ in range(3)]
            for answer, body in answers:
                said = answer.headers
                assert answer.status_code == 200
                assert UNPACKED[said.get("content-encoding")](body) == file.read_bytes()
                assert said["vary"] == "Accept-Encoding" and said["etag"] and said["last-modified"]
                assert said["content-security-policy"] and said["x-content-type-options"] == "nosniff"
                assert said.get("cache-control") == (FOR_EVER if path.startswith("/assets/") else None)
            first, again = answers[0][0].headers, answers[-1][0].headers
            assert int(again["content-length"]) == len(answers[-1][1])
            for name in ("content-type", "etag", "last-modified", "content-encoding", "content-security-policy"):
                assert first.get(name) == again.get(name)


def test_what_the_browser_has_is_not_sent_again(opened):
    with httpx2.Client(base_url=opened.url) as client:
        whole, body = raw(client, FILES[1], "br")
        for known in (whole.headers["etag"], f'"other", W/{whole.headers["etag"]}', "*"):
            answer, nothing = raw(client, FILES[1], "br", **{"If-None-Match": known})
            assert (answer.status_code, nothing) == (304, b"")
            assert answer.headers["content-security-policy"] == whole.headers["content-security-policy"]
            assert answer.headers["cache-control"] == FOR_EVER
        answer, again = raw(client, FILES[1], "br", **{"If-None-Match": '"other"'})
        assert (answer.status_code, again) == (200, body)


def test_parts_and_other_methods_are_gradios_as_before(opened):
    file = (FRONTEND / FILES[1][1:]).read_bytes()
    with httpx2.Client(base_url=opened.url) as client:
        raw(client, FILES[1])
        part, body = raw(client, FILES[1], Range="bytes=10-19")
        assert part.status_code == 206 and body == file[10:20]
        assert part.headers["content-range"] == f"bytes 10-19/{len(file)}"
        assert client.post(FILES[1]).status_code == 405


def test_the_origin_of_the_page_itself_changes_nothing_and_another_one_gets_nothing(opened):
    file = FRONTEND / "assets" / BUILT[1].name
    with httpx2.Client(base_url=opened.url) as client:
        for _ in range(2):
            answer, body = raw(client, f"/assets/{file.name}", Origin=opened.url)
            assert answer.status_code == 200 and body == file.read_bytes()
            assert not [name for name in answer.headers if name.startswith("access-control-")]
            assert raw(client, f"/assets/{file.name}", Origin="https://evil.example")[0].status_code == 403


@pytest.mark.parametrize(
    "path",
    ["/assets/nothing-12345678.js", "/assets/%2e%2e/index.html", "/assets/..%2findex.html", "/static/%2e%2e%2f%2e%2e%2f",
     "/assets/", "/static/img", "/assets/%00", "/svelte/x.js", "/assets/C:/x", "/assets//etc/passwd"],
)  # fmt: skip
def test_nothing_else_is_there(opened, path):
    with httpx2.Client(base_url=opened.url) as client:
        for _ in range(2):
            assert client.get(path).status_code in (403, 404)


def test_below_a_path_and_in_every_workspace_they_are_for_those_who_are_signed_in(site):
    file, olga = (FRONTEND / FILES[1][1:]).read_bytes(), site.people[Role.OWNER]
    red = site.make(olga.id, "Red")
    for services, cookie, slug in (
        (site.services, site.people[Role.VIEWER].cookie, ""),
        (red, add(red, "Rita", Role.VIEWER).cookie, "red"),
    ):
        with site.client(slug, cookie) as known, site.client(slug, "0" * 64) as unknown, site.client(slug) as nobody:
            for _ in range(2):
                answer, body = raw(known, FILES[1], "br")
                assert (answer.status_code, brotli.decompress(body)) == (200, file)
                assert answer.headers["cache-control"] == FOR_EVER
                assert nobody.get(FILES[1]).status_code == unknown.get(FILES[1]).status_code == 401
            assert known.get(FILES[1], headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
            # Somebody who was signed out gets no page, and is then remembered no longer.
            services.store.sign_ins.end(cookie)
            assert known.get("/config").status_code == known.get(FILES[1]).status_code == 401


def test_somebody_is_remembered_for_a_moment_only():
    now = [100.0]
    lately = Lately(lambda: now[0])
    lately.add("a")
    assert lately.has("a") and not lately.has("b")
    now[0] += LATELY_SECONDS
    assert not lately.has("a")
    lately.add("a")
    lately.drop("a")
    assert not lately.has("a")


# What is kept


class Gradio:
    """An app that answers with as many bytes as the name says, and counts how often."""

    def __init__(self):
        self.asked = []

    async def __call__(self, scope, receive, send):
        self.asked.append(scope["path"])
        size = int(scope["path"].rpartition("/")[2].partition(".")[0])
        status = 404 if size == 0 else 200
        await send({"type": "http.response.start", "status": status, "headers": [(b"etag", b'"x"')]})
        for _ in range(size - 1):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        if size != 13:
            await send({"type": "http.response.body", "body": b"x"})


def get(files, app, path, **headers):
    scope = {"method": "GET", "path": path, "query_string": b"", "headers": []}
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(files.answer(wanted_in(scope, path, headers), app, scope, None, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def test_those_asked_for_least_lately_go_when_they_are_too_many():
    files, app = GradioFiles(most=20), Gradio()
    for path in ("/assets/8.js", "/assets/9.js", "/assets/8.js", "/assets/7.js", "/assets/8.js", "/assets/9.js"):
        assert get(files, app, path) == (200, b"x" * int(path[8]))
    assert app.asked == ["/assets/8.js", "/assets/9.js", "/assets/7.js", "/assets/9.js"]
    # One that is larger than all of them is not kept.
    assert [len(get(files, app, "/assets/30.js")[1]) for _ in range(2)] == [30, 30]
    assert app.asked[-2:] == ["/assets/30.js"] * 2


def test_neither_errors_nor_halves_are_kept():
    files, app = GradioFiles(), Gradio()
    for path in ("/assets/0.js", "/assets/13.js"):
        for _ in range(2):
            get(files, app, path)
    assert len(app.asked) == 4


def test_only_plain_names_are_looked_up():
    def wanted(path, method="GET", query=b"", **headers):
        return wanted_in({"method": method, "query_string": query}, path, headers)

    assert wanted("/assets/a.js").coding == "" and wanted("/static/img/a-b_c.svg", **{"accept-encoding": "gzip"}).coding
    for path in (
        "/assets/../x",
        "/assets/.env",
        "/assets/a/../b",
        "/assets/a b",
        "/assets/a\n",
        "/assets/é",
        "/asset/a",
        "/",
    ):
        assert wanted(path) is None, path
    assert wanted("/assets/a.js", "HEAD") is wanted("/assets/a.js", query=b"session_hash=x") is None
    assert wanted("/assets/a.js", range="bytes=0-1") is None


def test_every_file_that_is_built_has_a_name_for_ever_and_no_other_has():
    names = [f"/assets/{file.name}" for file in (FRONTEND / "assets").iterdir() if file.is_file()]
    named = [name for name in names if gradio_files._HASHED.fullmatch(name)]
    assert len(named) > 0.95 * len(names)
    for name in (
        "/static/img/arrow-download.svg",
        "/assets/arrow-download.svg",
        "/assets/index.js",
        "/static/a-B1swpn2y.js",
    ):
        assert not gradio_files._HASHED.fullmatch(name)


# What else Gradio does for each page


def test_nothing_is_counted_up_for_a_page_that_is_not_there(opened):
    queue, name = (
        opened.screens._queue,
        next(fn.api_name for fn in opened.screens.fns.values() if fn.fn and not fn.inputs),
    )
    with httpx2.Client(base_url=opened.url, timeout=60) as client:
        for _ in range(3):
            event = client.post(f"/gradio_api/call/{name}", json={"data": []}).json()["event_id"]
            with client.stream("GET", f"/gradio_api/call/{name}/{event}") as stream:
                assert "event: " in "".join(stream.iter_text())
    assert queue.events_recorded == 3
    assert queue.cached_event_analytics_summary == {"functions": {}} and len(queue.event_analytics) <= 1
