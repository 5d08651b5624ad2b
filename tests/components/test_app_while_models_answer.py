"""The app over HTTP while models are asked: who leaves takes the request along, and a long run holds up no click."""

import json
import statistics
import time
import urllib.request

import pytest

from components._session import COOKIE
from pipeline.store import open_store
from tests.material import add_manual, add_queries, finished
from tests.openai_server import OpenAIServer
from tests.servers import QuickApp
from tests.visitor import Visitor
from tests.workspace import open_workspace

CLICKS = 25


@pytest.fixture(scope="module")
def working(tmp_path_factory):
    """An endpoint, the app that asks it, its model, and the id of a list of 500 queries; there are records to review."""
    folder = tmp_path_factory.mktemp("working")
    with OpenAIServer() as server:
        services = open_workspace(folder / "home", openai_base_url=server.base_url, openai_model="test-model")
        add_manual(services, folder)
        short = add_queries(services, [f"Where is pier number {n} of the harbour?" for n in range(70)], (), "Short")
        run = finished(services, services.generation.start_run(services.registry.all()[0].id, short))
        services.datasets.create_of_run(run.id, "answer-review")
        model = services.registry.all()[-1].id
        long = add_queries(services, [f"Is pier number {n} in the harbour?" for n in range(500)], (), "Long")
        services.close()
        environment = {"OPENAI_BASE_URL": server.base_url, "OPENAI_MODEL": "test-model", "PAIRLOOP_CONCURRENCY": "32"}
        with QuickApp(folder / "home", **environment) as app:
            yield server, app, model, long


@pytest.mark.parametrize(
    "fault", [{"stall": 60}, {"stall": 60, "stall_after": 2}], ids=["no text yet", "in the middle"]
)
def test_who_leaves_takes_the_request_along(working, fault):
    server, app, model, _ = working
    server.requests.clear()
    server.fail(times=1, **fault)
    visitor = Visitor(app.url)
    session = f"leaving{len(fault)}"
    body = {"data": ["Where is diesel sold?", model], "fn_index": visitor._numbers["ask"], "session_hash": session}
    visitor.open("/gradio_api/queue/join", body).read()
    request = urllib.request.Request(
        f"{app.url}/gradio_api/queue/data?session_hash={session}", headers={"Cookie": f"{COOKIE}={visitor.token}"}
    )
    with urllib.request.urlopen(request, timeout=30) as stream:
        for line in stream:
            message = json.loads(line[5:]) if line.startswith(b"data:") else {}
            if message.get("msg") == "process_generating" and (server.chats or "stall_after" not in fault):
                break
        while not server.chats:
            time.sleep(0.01)
    # The page is gone.
    left = time.monotonic()
    while not server.chats[0].gone:
        assert time.monotonic() - left < 10, "the endpoint still works for somebody who has left"
        time.sleep(0.02)
    print(f"given up after {time.monotonic() - left:.2f} s")


def clicks(visitor: Visitor, card: dict) -> tuple[dict, list[float]]:
    """Submit records one after another; return the card that is next, and the seconds of each click."""
    seconds = []
    for _ in range(CLICKS):
        values = {"query_rating": 4, "context_rating": 5, "answer": f"Answer to {card['id']}."}
        begun = time.perf_counter()
        ended = visitor.annotate("end", action="submit", record=card["id"], values=values, version=card["version"])
        seconds.append(time.perf_counter() - begun)
        card = ended["card"]
    return card, seconds


def test_a_run_at_full_width_holds_up_no_click(working):
    server, app, model, long = working
    server.recover()
    server.requests.clear()
    server.latency = 0.2
    visitor = Visitor(app.url)
    card, before = clicks(visitor, visitor.annotate("open")["card"])
    visitor.call("start_run", long, model, "")
    begun = time.monotonic()
    while server.most_at_once < 32:
        assert time.monotonic() - begun < 20
        time.sleep(0.01)
    _, during = clicks(visitor, card)
    assert len(server.chats) < 500, "the run was over before the clicks were"
    visitor.call("cancel_run", None)
    middle = statistics.median(before), statistics.median(during)
    print(f"clicks: median {middle[0]:.3f} s before, {middle[1]:.3f} s during, at most {max(during):.3f}")
    # A click that had to wait for a wave of answers would take longer.
    assert middle[1] < 2 * middle[0] + 0.1
    assert sorted(during)[-2] < 1
    store = open_store(app.home / "pairloop.db")
    assert len(store.responses.of_dataset(store.datasets.all()[0].id)) == 2 * CLICKS
    store.close()
