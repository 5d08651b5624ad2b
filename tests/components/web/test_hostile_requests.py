"""Requests as no browser makes them: paths that climb, names that forge a line of the log, headers that inject headers.

The app is a real process, and its log is what it wrote.
"""

import re
import socket
from urllib.parse import quote

import httpx2
import pytest

from tests.payloads import PAYLOADS
from tests.servers import QuickApp

LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ [\w.]+: |    \| |Pairloop: |$)")
FORGED = "2026-11-26 08:00:00,000 WARNING pipeline: forged"
CLIMBS = [
    "../../../../etc/passwd", "..%2f..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "....//....//....//etc/passwd", "..%252f..%252f..%252fetc%252fpasswd", "..\\..\\..\\etc\\passwd", "..%5c..%5cetc%5cpasswd",
    "%00/etc/passwd", "/etc/passwd", "//etc/passwd", "x/../../../../../etc/passwd", "..;/..;/etc/passwd",
    "%c0%ae%c0%ae/etc/passwd",
    "/proc/self/environ", "/proc/self/cwd/app.py", "~/.ssh/id_rsa",
]  # fmt: skip
PREFIXES = [
    "/", "/static/", "/assets/", "/svelte/", "/gradio_api/file=", "/gradio_api/file/", "/gradio_api/call/",
    "/gradio_api/heartbeat/", "/results/", "/annotate/", "/sign-in/", "/api/v1/", "/api/v1/datasets/",
    "/api/v1/comparisons/", "/team/",
]  # fmt: skip


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    home = tmp_path_factory.mktemp("hostile") / "home"
    with QuickApp(home, PAIRLOOP_EXAMPLE="0", PAIRLOOP_LOG="text", PAIRLOOP_METRICS_TOKEN="m" * 20) as process:
        (home / "secret.txt").write_text("root:x:0:0 of this workspace")
        yield process


def raw(app, request: bytes) -> bytes:
    """Send bytes as they are, and return what comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", app.port), timeout=20) as connection:
        connection.sendall(request)
        received = b""
        while piece := connection.recv(65536):
            received += piece
            if len(received) > 2_000_000:
                break
        return received


def get(app, path: str, *headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{app.port}", "Connection: close", *headers]
    return raw(app, ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("prefix", PREFIXES)
def test_no_path_climbs_out_of_where_it_may_lead(app, prefix):
    climbs = [*CLIMBS, f"{app.home}/secret.txt", f"{app.home}/pairloop.db"]
    for climb in climbs:
        answer = get(app, prefix + climb)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"root:" not in body and b"SQLite format" not in body and b"PAIRLOOP_" not in body, climb
        assert b"from components" not in body
        status = int(head.split(b" ", 2)[1])
        assert status in (303, 307, 400, 401, 403, 404, 405, 421, 422), (climb, status)


def test_an_uploaded_file_is_kept_in_its_own_folder_whatever_it_is_called(app):
    with httpx2.Client(base_url=app.url) as client:
        for name in (
            "../../../../tmp/climbed.txt",
            "/etc/climbed",
            "..\\..\\climbed",
            "a/../../climbed.md",
            ".",
            "..",
            "x" * 5_000,
        ):
            answer = client.post("/gradio_api/upload", files={"files": (name, b"climbs")})
            assert answer.status_code in (200, 400, 413, 422), name[:50]
            for path in answer.json() if answer.status_code == 200 else []:
                folder, _, last = path.rpartition("/")
                assert re.search(r"/[0-9a-f]{64}$", folder) and "/../" not in path and len(last) <= 255, path


def test_names_of_downloads_are_ours_and_their_header_is_one(app):
    with httpx2.Client(base_url=app.url) as client:
        for name in ('x"\r\nSet-Cookie: a=b\r\n.txt', "a;b=c.html", "\u202etxt.exe"):
            (path,) = client.post("/gradio_api/upload", files={"files": (name, b"<script>")}).json()
            answer = client.get(f"/gradio_api/file={quote(path)}")
            assert answer.status_code == 200 and "a=b" not in answer.headers.get("set-cookie", "")
            assert re.match(r"(attachment|inline); filename", answer.headers["content-disposition"])
            assert "sandbox" in answer.headers["content-security-policy"]


def test_no_address_puts_headers_or_another_site_into_an_answer(app):
    for path in (
        "/sign-in?next=//evil.example", "/sign-in?next=https://evil.example", "/sign-in?next=/\\evil.example",
        "/sign-in?next=/%0d%0aSet-Cookie:%20a=b", "/sign-in?next=javascript:alert(1)", "/sign-in?next=/%09/evil.example",
        "/join?code=%0d%0aSet-Cookie:%20a=b", "/?tab=%0d%0aSet-Cookie:%20a=b", "/results/%0d%0aSet-Cookie:%20a=b",
        "/sign-in/callback?error=x%0d%0aSet-Cookie:%20a=b&state=%3Cscript%3E",
    ):  # fmt: skip
        head = get(app, path).partition(b"\r\n\r\n")[0].decode("latin-1").lower()
        assert "a=b" not in head, path
        for line in head.splitlines():
            assert not line.startswith("location:") or line.removeprefix("location:").strip() in ("/", "/sign-in"), line


def test_what_an_error_repeats_is_no_markup(app):
    texts = [quote(text, safe="") for text in PAYLOADS.values() if len(text) < 500 and text.isprintable()]
    with httpx2.Client(base_url=app.url) as client:
        for text in texts:
            for begin in ("/", "/results/", "/api/v1/datasets/", "/api/v1/", "/backup?zone=", "/join?code="):
                path = begin + text
                answer = client.get(path)
                kind = answer.headers.get("content-type", "")
                assert "window.__pwned" not in answer.text or "html" not in kind, path
                assert kind.startswith(("application/json", "text/html", "text/plain")) or not answer.content, (
                    path,
                    kind,
                )
                assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_log_has_lines_of_the_app_alone_and_no_secret(app):
    forged = quote(f"\r\n{FORGED}\n\x1b[2J\u2028{FORGED}", safe="")
    before = len(app.log.read_text())
    for path in (
        f"/{forged}",
        f"/results/{forged}",
        f"/api/v1/{forged}",
        f"/gradio_api/file={forged}",
        f"/?tab={forged}",
    ):
        get(
            app,
            path,
            f"Cookie: pairloop_person={'a' * 64}; x={forged}",
            f"Authorization: Bearer pl_{'s' * 43}",
            "User-Agent: \x1b[31m",
        )
    raw(app, f"GET /\n{FORGED} HTTP/1.1\r\n\r\n".encode())
    raw(app, b"\x16\x03\x01\x02\x00" + FORGED.encode() + b"\r\n\r\n")
    raw(app, f"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-A: y\n {FORGED}\r\n\r\n".encode())
    with httpx2.Client(base_url=app.url) as client:
        client.post("/gradio_api/upload", files={"files": (f"\n{FORGED}.txt", b"x")})
        body = {
            "data": [f"\n{FORGED}"],
            "fn_index": 1,
            "session_hash": f"\n{FORGED}",
            "event_data": {"x": f"\n{FORGED}"},
        }
        client.post("/gradio_api/run/predict", json=body)
        client.post("/gradio_api/queue/join", json=body)
        client.post("/api/v1/ask", json={"query": f"\n{FORGED}"}, headers={"Authorization": f"Bearer pl_{FORGED}"})
    lines = app.log.read_text()[before:].split("\n")
    assert [line for line in lines if not LINE.match(line)] == []
    for line in lines:
        assert not line.startswith(FORGED) and line.isprintable(), line
        assert "a" * 64 not in line and "s" * 43 not in line and "m" * 20 not in line
