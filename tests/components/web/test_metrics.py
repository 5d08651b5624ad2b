"""What a scraper and a supervisor are told, by a running app and about it."""

import json
import logging
import urllib.error
import urllib.request
from types import SimpleNamespace

import gradio as gr
import pytest
from prometheus_client.parser import text_string_to_metric_families

import app
from components.web import mounting
from components.web.metrics import route
from components.web.watching import COSTLY, UNFORESEEN, watch
from pipeline.annotation.plain import from_plain
from pipeline.records import ResponseStatus
from pipeline.store.datasets import NewRecord
from pipeline.version import VERSION
from tests.servers import QuickApp
from tests.test_docs import PROJECT
from tests.visitor import Visitor
from tests.workspace import add_comparison, add_model, open_workspace, person, respond

TOKEN = "scraper-token-0123456789"
SETTINGS = from_plain(
    {
        "fields": [{"name": "text", "type": "text"}],
        "questions": [{"name": "kind", "type": "label", "options": ["a", "b"]}],
    }
)
STATUSES = ("submitted", "draft", "discarded")


@pytest.fixture(scope="module")
def used(tmp_path_factory):
    """A running app over a workspace with three records, a submit, a draft, a discard, two votes and six completions."""
    folder = tmp_path_factory.mktemp("metrics")
    services = open_workspace(folder / "home")
    dataset = services.datasets.create("Secret plans", SETTINGS)
    services.datasets.add_records(dataset.id, [NewRecord({"text": f"Letter {n}."}) for n in range(3)])
    ada = person(services, "Ada Lovelace")
    for record_id, status in zip(services.store.datasets.record_ids(dataset.id), STATUSES, strict=True):
        respond(services.store, record_id, ada, ResponseStatus(status), {})
    models = (add_model(services, "model-one"), add_model(services, "model-two"))
    set_id = add_comparison(services, models, [("A.", "B.")] * 3)
    services.close()
    with QuickApp(folder / "home", PAIRLOOP_METRICS_TOKEN=TOKEN, PAIRLOOP_EXAMPLE="0", PAIRLOOP_LOG="json") as running:
        yield SimpleNamespace(url=running.url, log=running.log, dataset=dataset.id, comparison=set_id)


def ask(url, path, token=None):
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url + path, headers=headers), timeout=30) as answer:
            return answer.status, dict(answer.headers), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read().decode()


def samples(text):
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_without_the_right_token_nothing_is_told(used):
    for token in (None, "", "wrong", TOKEN[:-1], TOKEN + "x", "ü"):
        status, headers, text = ask(used.url, "/metrics", token)
        assert status == 401 and "pairloop_" not in text and headers["www-authenticate"] == "Bearer"


def test_without_a_token_in_the_settings_there_is_no_such_page(tmp_path):
    with QuickApp(tmp_path / "home", PAIRLOOP_EXAMPLE="0") as running:
        assert ask(running.url, "/metrics", TOKEN)[0] == 404
        assert ask(running.url, "/metrics", "")[0] == 404


def test_totals_are_those_of_the_store(used):
    status, headers, text = ask(used.url, "/metrics", TOKEN)
    assert status == 200 and headers["content-type"].startswith("text/plain; version=")
    found = samples(text)
    assert {status: found["pairloop_responses", status] for status in STATUSES} == dict.fromkeys(STATUSES, 1)
    assert found["pairloop_completions", "answered"] == 6 and found["pairloop_completions", "failed"] == 0
    assert found["pairloop_votes",] == 0 and found["pairloop_at_work", "run"] == 0
    assert found["pairloop_queue_pairs", used.comparison] == 3
    assert found["pairloop_queue_records", used.dataset] == 2
    assert found["pairloop_info", VERSION] == 1


def test_no_name_and_no_text_is_in_them(used):
    text = ask(used.url, "/metrics", TOKEN)[2]
    for word in ("Ada", "Secret plans", "model-one", TOKEN):
        assert word not in text


def test_requests_and_handlers_are_timed_and_costly_ones_logged(used):
    Visitor(used.url).call("show_header")
    ask(used.url, f"/{'x' * 300}?a=b")
    ask(used.url, "/backup")
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{used.url}/api/v1/ask", data=b"{}", timeout=30)
    Visitor(used.url).call("add_example")
    found = samples(ask(used.url, "/metrics", TOKEN)[2])
    assert found["pairloop_handler_seconds_count", "ok", "show_header"] >= 1
    assert found["pairloop_request_seconds_count", "/gradio_api/queue", "2xx", "POST"] >= 2
    assert found["pairloop_request_seconds_count", "4xx", "GET", "other"] == 1
    assert [key for key in found if key[0] == "pairloop_request_seconds_count" and "/backup" in key]
    events = [json.loads(line) for line in used.log.read_text().splitlines() if line.startswith("{")]
    assert [(event["path"], event["status"]) for event in events if event["event"] == "request"] == [
        ("/api/v1/ask", 401)
    ]
    added = [event for event in events if event.get("name") == "add_example"]
    assert [(event["event"], event["ended"]) for event in added] == [("handler", "ok")] and added[0]["seconds"] > 0


def test_ready_tells_version_store_and_back_up_and_no_place(used):
    status, headers, text = ask(used.url, "/readyz")
    assert status == 200 and headers["cache-control"] == "no-store"
    said = json.loads(text)
    assert (said["ready"], said["store"], said["version"]) == (True, "ok", VERSION)
    assert said["backup"] == {"state": "local", "waiting": 0, "waiting_seconds": 0, "warnings": 0}
    assert ask(used.url, "/healthz")[2] == "ok"


def test_it_is_not_ready_when_the_store_cannot_be_read(services, monkeypatch):
    from components.web.health import readiness

    services.store.database.engine.dispose()
    file = services.settings.home / "pairloop.db"
    for name in (file, *file.parent.glob("pairloop.db-*")):
        name.unlink()
    file.mkdir()
    said = readiness(services, 0.0)
    assert (said["ready"], said["store"], said["backup"]) == (False, "failing", None)
    file.rmdir()


def test_the_version_is_that_of_the_package():
    assert PROJECT["project"]["version"] == VERSION


def test_paths_of_visitors_make_no_labels_of_their_own():
    paths = (
        "/",
        "/annotate/open",
        "/gradio_api/queue/join",
        "/gradio_api/file=/x",
        "/gradio_api/zzz",
        "/assets/a.js",
        "/zzz",
    )
    assert [route(path, frozenset({"annotate"})) for path in paths] == [
        *("/", "/annotate", "/gradio_api/queue", "/gradio_api/file", "/gradio_api/other", "/assets", "other"),
    ]


def test_every_costly_handler_is_one_of_the_app_and_its_queue_is_long_on_zero_gpu_too(services, monkeypatch):
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    screens = app.build_app(services)
    assert {function.name for function in screens.fns.values()} >= COSTLY
    # Gradio's own limit there is one event.
    assert screens._queue.max_size == 1
    mounting.mount(screens, services)
    assert screens._queue.max_size == mounting.QUEUE


def test_an_error_that_nobody_foresaw_is_logged_and_told_in_a_sentence(caplog):
    def fails():
        raise ZeroDivisionError("a secret of somebody")

    def streams():
        yield 1
        fails()

    def refuses():
        raise gr.Error("Choose a model.")

    seen = []
    handlers = {name.__name__: SimpleNamespace(fn=name, name=name.__name__) for name in (fails, streams, refuses)}
    watch(SimpleNamespace(fns=handlers), lambda *call: seen.append((call[0], call[2])))
    with caplog.at_level(logging.INFO, "pipeline.events"):
        for name in ("fails", "streams"):
            with pytest.raises(gr.Error) as error:
                list(handlers[name].fn() or ())
            assert error.value.message == UNFORESEEN and not error.value.print_exception
        with pytest.raises(gr.Error, match="Choose a model"):
            handlers["refuses"].fn()
    assert seen == [("fails", "failed"), ("streams", "failed"), ("refuses", "refused")]
    assert [record.message for record in caplog.records] == [
        *("The handler fails failed.", "handler", "The handler streams failed.", "handler"),
    ]
