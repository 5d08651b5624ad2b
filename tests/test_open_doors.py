"""What Gradio leaves open by default, each shut: asked for over a socket, as the most powerful person there is.

Who gets to what is in tests/test_roles.py, what no path leads to in tests/components/web/test_hostile_requests.py.
"""

import json

import gradio as gr
import httpx2
import pytest
from starlette.middleware.sessions import SessionMiddleware

from components.api.client import ClientHandlers
from components.web.mounting import PAGES, QUEUE
from pipeline.settings import SignIn
from tests.people import Served, open_team

MARK = "zq-marked-secret"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    served = Served(open_team(tmp_path_factory.mktemp("doors") / "home", SignIn.OPEN, client_secret=MARK))
    yield served
    served.close()


@pytest.fixture(scope="module")
def client(served):
    with httpx2.Client(base_url=served.url, timeout=60) as client:
        client.get("/")
        yield client


def number_of(served, name):
    return next(number for number, fn in served.screens.fns.items() if fn.fn and fn.api_name == name)


GONE = [
    "/docs", "/redoc", "/openapi.json", "/gradio_api/docs", "/monitoring", "/monitoring/summary",
    "/gradio_api/monitoring/summary",
    "/gradio_api/runs", "/gradio_api/runs/x", "/gradio_api/deep_link", "/gradio_api/deep_link?session_hash=x", "/gradio_api/mcp",
    "/gradio_api/mcp/sse", "/gradio_api/mcp/http", "/login", "/logout", "/login/huggingface", "/login/callback", "/token",
    "/gradio_api/user", "/gradio_api/login_check", "/gradio_api/stream/x/x/x/playlist.m3u8", "/gradio_api/process_recording",
    "/gradio_api/component_server", "/gradio_api/custom_component/x/x/x/x", "/gradio_api/dev/reload", "/gradio_api/vibe-code",
    "/gradio_api/proxy=http://127.0.0.1", "/gradio_api/agent",
]  # fmt: skip


@pytest.mark.parametrize("path", GONE)
def test_addresses_that_no_page_needs_are_gone(client, path):
    for method in ("GET", "POST", "PUT", "DELETE"):
        assert client.request(method, path, json=None if method == "GET" else {}).status_code in (404, 405), method


def test_only_the_endpoints_for_programs_are_listed(served, client):
    programs = {name for name in vars(ClientHandlers) if not name.startswith("_")}
    listed = client.get("/gradio_api/info").json()["named_endpoints"]
    assert {name.strip("/") for name in listed} == programs
    everything = client.get("/gradio_api/info?all_endpoints=true").json()
    assert {name.strip("/") for name in everything["named_endpoints"]} == programs and not everything[
        "unnamed_endpoints"
    ]
    described = client.get("/gradio_api/openapi.json")
    assert described.status_code in (200, 404)
    # Also none that Gradio makes by itself, as it does of a State that is filled by a function.
    public = {fn.api_name for fn in served.screens.fns.values() if fn.fn and fn.api_visibility == "public"}
    assert public == programs


def test_an_error_that_nobody_foresaw_is_told_without_its_words(served, client, monkeypatch):
    number = number_of(served, "list_documents")
    fn = served.screens.fns[number]
    before = fn.fn

    def broken(*_):
        raise KeyError(MARK)

    monkeypatch.setattr(fn, "fn", broken)
    body = {"data": [None] * len(fn.inputs), "fn_index": number, "session_hash": "page"}
    answer = client.post("/gradio_api/run/predict", json=body)
    assert answer.status_code == 500 and MARK not in answer.text and "KeyError" not in answer.text
    assert client.post("/gradio_api/queue/join", json=body).status_code == 200
    with client.stream("GET", "/gradio_api/queue/data?session_hash=page") as stream:
        told = "".join(stream.iter_lines())
    assert '"success":false' in told.replace(" ", "") and MARK not in told and "KeyError" not in told
    monkeypatch.setattr(fn, "fn", before)


def test_what_the_page_is_made_of_holds_no_secret_and_nothing_of_the_work(served, client):
    for path in ("/", "/config"):
        text = client.get(path).text
        assert MARK not in text and str(served.services.settings.home) not in text
    config = client.get("/config").json()
    assert config["footer_links"] == [] and not config.get("analytics_enabled") and not config.get("enable_monitoring")
    # A State's value stays on the server; what a browser keeps would come with the key that it is locked with.
    kinds = {component["type"] for component in config["components"]}
    assert "browserstate" not in kinds and "loginbutton" not in kinds
    for component in config["components"]:
        assert component["type"] != "state" or not component["props"].get("value")


def test_a_state_that_a_request_brings_along_counts_for_nothing(served, client):
    fn = next(
        fn for fn in served.screens.fns.values() if fn.fn and any(isinstance(block, gr.State) for block in fn.inputs)
    )
    number = next(number for number, other in served.screens.fns.items() if other is fn)
    kept = served.screens.state_holder if hasattr(served.screens, "state_holder") else None
    data = [MARK if isinstance(block, gr.State) else None for block in fn.inputs]
    client.post("/gradio_api/run/predict", json={"data": data, "fn_index": number, "session_hash": "forged"})
    states = kept["forged"].state_data if kept else {}
    assert MARK not in json.dumps(list(states.values()), default=str)


def test_uploads_end_at_the_limit(served, client):
    large = bytes(served.services.settings.max_upload_mb * 1_000_000 + 10)
    answer = client.post("/gradio_api/upload", files={"files": ("large.bin", large)})
    assert answer.status_code == 413


def test_no_session_is_signed_with_a_key_that_everybody_knows(served):
    kinds = {middleware.cls for middleware in served.mounted.user_middleware}
    for route in served.mounted.routes:
        kinds |= {middleware.cls for middleware in getattr(getattr(route, "app", None), "user_middleware", [])}
    assert SessionMiddleware not in kinds
    assert not any(isinstance(block, gr.LoginButton) for block in served.screens.blocks.values())


def test_what_is_remembered_and_what_waits_has_an_end(served):
    gradio = served.mounted.routes[-1].app
    assert gradio.state_holder.capacity == PAGES <= 500
    assert served.screens._queue.max_size == QUEUE
    assert all(fn.concurrency_limit for fn in served.screens.fns.values() if fn.fn and fn.queue)
    assert served.screens.delete_cache
