"""Three replicas behind a real proxy, as the guide sets it up: people stay with one, and go on when it is gone."""

import functools
import json
import re
import secrets
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace

import gradio_client
import httpx2
import pytest
from sqlalchemy import func, select

from pipeline.annotation.settings import DatasetSettings, Distribution, Field, Question, QuestionKind
from pipeline.auth import names
from pipeline.records import ResponseStatus, Role
from pipeline.settings import Entry, SignIn
from pipeline.store import Server, open_store
from pipeline.store.datasets import NewRecord
from pipeline.store.schema import response_history
from tests import people
from tests.material import add_manual
from tests.openai_server import OpenAIServer
from tests.postgres import POSTGRES
from tests.proxy import Caddy
from tests.servers import QuickApp, free_port
from tests.workers import VOTES, is_balanced
from tests.workspace import add_comparison, add_model, open_workspace

RECORDS, PAIRS = 400, 60
SCRAPER = "a-token-for-the-metrics-of-tests"
ANNOTATORS, VOTERS = 4, 2
WORDS = "A lantern of seven colours shines at dawn."
# What a proxy says when a replica is gone in the middle of a request.
GONE = (502, 503, 504)


class Lost(Exception):
    """The replica was gone before it had answered: nobody knows whether it did what was asked."""


class Browser:
    """Somebody's browser at the proxy, with its cookies. What was not answered is asked once more, as the page does."""

    def __init__(self, url: str, name: str, code: str) -> None:
        self.name = name
        self._http = httpx2.Client(base_url=url, timeout=30, follow_redirects=True)
        came = self._http.post("/sign-in", data={"name": name, "code": code}, headers={"Origin": url})
        assert (came.status_code, came.url.path) == (200, "/"), came.text[:500]
        config = self._http.get("/config").json()
        self._numbers = {entry["api_name"]: entry["id"] for entry in config["dependencies"]}
        self._session = secrets.token_hex(6)

    @property
    def who(self) -> str:
        """The id of whom the browser is signed in as."""
        return people.id_of_name(self.name)

    def annotate(self, route: str, **body: object) -> dict:
        """Ask a route of the Annotate panel until it answers."""
        return self._until_answered(lambda: self._post(f"/annotate/{route}", body).json())

    def call(self, listener: str, *values: object) -> list:
        """Call a listener until it answers; return its outputs."""
        return self._until_answered(lambda: self._outputs(listener, values))

    def events(self, listener: str, *values: object) -> Iterator[dict]:
        """Call a listener once, and give what comes of it as it comes."""
        body = {"data": list(values), "fn_index": self._numbers[listener], "session_hash": self._session}
        self._post("/gradio_api/queue/join", body)
        address = f"/gradio_api/queue/data?session_hash={self._session}"
        with self._http.stream("GET", address) as stream:
            if stream.status_code in GONE:
                raise Lost
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    yield json.loads(line[5:])

    def _outputs(self, listener: str, values: tuple) -> list:
        for message in self.events(listener, *values):
            if message["msg"] == "process_completed":
                assert message["success"], message
                return message["output"]["data"]
        raise Lost

    def _post(self, path: str, body: dict) -> httpx2.Response:
        answer = self._http.post(path, json=body, headers={"X-Pairloop": "1"})
        if answer.status_code in GONE:
            raise Lost
        assert answer.status_code == 200, (answer.status_code, answer.text[:500])
        return answer

    def _until_answered(self, ask: Callable):
        deadline = time.monotonic() + 60
        while True:
            try:
                return ask()
            except (Lost, httpx2.TransportError):
                assert time.monotonic() < deadline, "nobody answers any more"


@dataclass
class Worker:
    """Somebody who works in a browser until it is enough, and remembers what they were told was done."""

    browser: Browser
    enough: threading.Event
    done: list[tuple[str, str]] = field(default_factory=list)


def annotates(worker: Worker, dataset: str) -> None:
    """Answer one record after the other."""
    card = worker.browser.annotate("open", dataset=dataset)["card"]
    while not worker.enough.is_set():
        answer = f"What {worker.browser.name} says of {card['id']}."
        given = {"action": "submit", "record": card["id"], "values": {"answer": answer}, "version": card["version"]}
        ended = worker.browser.annotate("end", **given)
        worker.done.append((card["id"], answer))
        card = ended["card"]


def votes(worker: Worker, set_id: str) -> None:
    """Judge one pair after the other."""
    pair = worker.browser.call("show_next", set_id)[0]
    while not worker.enough.is_set():
        button = list(VOTES)[len(worker.done) % 4]
        following = worker.browser.call(button, set_id, pair, None, f"because of {pair}", "", "")[0]
        worker.done.append((pair, button))
        pair = following


@pytest.fixture(scope="module")
def endpoint():
    with OpenAIServer(answer=lambda messages: WORDS) as server:
        yield server


@pytest.fixture(scope="module")
def behind(tmp_path_factory, endpoint):
    """The replicas, where their proxy is, and what is in their workspace."""
    folder, url, code = tmp_path_factory.mktemp("replicas"), POSTGRES.bare(), names.typed_code()
    services = open_workspace(folder / "first", database_url=url, entry=Entry(mode=SignIn.NAME))
    add_manual(services, folder)
    answer = Question("answer", QuestionKind.TEXT)
    settings = DatasetSettings(fields=(Field("text"),), questions=(answer,), distribution=Distribution(1))
    dataset = services.datasets.create("Piers", settings).id
    services.datasets.add_records(dataset, [NewRecord({"text": f"Pier {n} is here."}) for n in range(RECORDS)])
    texts = [(f"Pier {n} is here.", f"You find pier {n} over there.") for n in range(PAIRS)]
    set_id = add_comparison(services, (add_model(services, "one"), add_model(services, "two")), texts)
    program = people.add(services, "Program", Role.ANNOTATOR).id
    token = services.tokens.make(program, "tests").value
    services.store.invitations.add(Role.ANNOTATOR, program, code=code, days=None, most=None)
    services.close()
    port = free_port()
    environment = {
        "DATABASE_URL": url, "PAIRLOOP_EXAMPLE": "0", "PAIRLOOP_SIGN_IN": "name", "PAIRLOOP_METRICS_TOKEN": SCRAPER,
        "PAIRLOOP_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "OPENAI_BASE_URL": endpoint.base_url, "OPENAI_MODEL": "test-model",
    }  # fmt: skip
    apps = [QuickApp(folder / name, **environment) for name in ("first", "second", "third")]
    with apps[0], apps[1], apps[2], Caddy(folder, [f"127.0.0.1:{app.port}" for app in apps], port) as proxy:
        yield SimpleNamespace(
            apps=apps, url=proxy.url, store=url, dataset=dataset, set_id=set_id, code=code, token=token
        )


def answered(app: QuickApp) -> int:
    """Return how many requests of pages and programs a replica has answered, which it tells itself."""
    asked = urllib.request.Request(f"{app.url}/metrics", headers={"Authorization": f"Bearer {SCRAPER}"})
    with urllib.request.urlopen(asked, timeout=30) as told:
        text = told.read().decode()
    routes = re.findall(r'^pairloop_request_seconds_count\{.*route="(\S+?)".*\} (\S+)$', text, re.M)
    return sum(int(float(count)) for route, count in routes if route == "/annotate" or "/queue" in route)


def where(behind, act: Callable[[], object], dead: tuple[QuickApp, ...] = ()) -> QuickApp:
    """Return which replica is asked by something that is done; all of it must go to one."""
    living = [app for app in behind.apps if app not in dead]
    before = [answered(app) for app in living]
    act()
    (found,) = [app for app, count in zip(living, before, strict=True) if answered(app) > count]
    return found


def wait_for(said: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not said():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def test_an_answer_comes_through_the_proxy_while_the_model_still_writes(behind, endpoint):
    query, somebody = "When does the harbour open?", Browser(behind.url, "Asker", behind.code)
    model = next(value for name, value in somebody.call("load_models", None)[0]["choices"] if name == "test-model")
    *_, last = somebody.events("ask", query, model)
    assert last["msg"] == "close_stream" and len(endpoint.chats) == 1
    # It stands still in the middle, longer than anybody here waits.
    endpoint.fail(when="harbour", stall_after=3, stall=300)
    asked = somebody.events("ask", query, model)
    begun = next(text for text in map(json.dumps, asked) if "A lantern" in text)
    assert "dawn" not in begun and endpoint.chats[-1].ended is None
    asked.close()


def test_a_program_stays_with_a_replica_by_its_token_and_goes_on_elsewhere(behind):
    headers = {"Authorization": f"Bearer {behind.token}"}
    program = gradio_client.Client(behind.url, headers=headers, verbose=False, analytics_enabled=False)

    def ask() -> str:
        return program.predict(dataset=behind.dataset, api_name="/next_task")["record"]["id"]

    offered = []
    homes = [where(behind, lambda: offered.append(ask())) for _ in range(3)]
    assert len(set(homes)) == 1
    homes[0].kill()
    # Its cookies are those of the first answer; the record that was kept for it is kept.
    after = [where(behind, lambda: offered.append(ask()), (homes[0],)) for _ in range(3)]
    assert len(set(after)) == 1 and len(set(offered)) == 1
    homes[0].start()
    program.close()


def test_people_stay_with_one_replica_and_a_kill_loses_and_doubles_nothing(behind):
    everybody = [Browser(behind.url, f"Person {n}", behind.code) for n in range(ANNOTATORS + VOTERS)]

    def homes(*dead: QuickApp) -> list[QuickApp]:
        reads = [functools.partial(one.annotate, "guidelines", dataset=behind.dataset) for one in everybody]
        return [where(behind, read, dead) for read in reads]

    first, enough = homes(), threading.Event()
    assert homes() == first
    workers = [Worker(one, enough) for one in everybody]
    works: list[Future] = []

    def has_each_done(more: list[int]) -> bool:
        # It raises what went wrong.
        assert [work.result() for work in works if work.done()] == []
        return all(len(worker.done) >= count for worker, count in zip(workers, more, strict=True))

    with ThreadPoolExecutor(len(workers)) as pool:
        works += [pool.submit(annotates, worker, behind.dataset) for worker in workers[:ANNOTATORS]]
        works += [pool.submit(votes, worker, behind.set_id) for worker in workers[ANNOTATORS:]]
        try:
            wait_for(lambda: has_each_done([2] * len(workers)))
            first[0].kill()
            at_the_kill = [len(worker.done) for worker in workers]
            wait_for(lambda: has_each_done([count + 3 for count in at_the_kill]))
        finally:
            enough.set()
        assert [work.result(30) for work in works] == [None] * len(works)
    # Who was elsewhere stayed there; who was here is now somewhere else, and stays.
    second = homes(first[0])
    assert homes(first[0]) == second
    assert all(now is before for before, now in zip(first, second, strict=True) if before is not first[0])

    somebody = everybody[0]
    kept = somebody.annotate("open", dataset=behind.dataset)["card"]
    second[0].kill()
    back = somebody.annotate("open", dataset=behind.dataset)["card"]
    others = [one.annotate("open", dataset=behind.dataset)["card"]["id"] for one in everybody[1:]]
    assert back["id"] == kept["id"] and len({kept["id"], *others}) == len(everybody)
    for app in (first[0], second[0]):
        app.start()
    check(behind, workers)


def check(behind, workers: list[Worker]) -> None:
    """Compare what people were told with what the store holds."""
    store = open_store(behind.apps[0].home, server=Server(behind.store, ""))
    given = store.responses.of_dataset(behind.dataset)
    kept = [(r.annotator_id, r.record_id, r.values["answer"]) for r in given if r.status is ResponseStatus.SUBMITTED]
    said = [(w.browser.who, *one) for w in workers[:ANNOTATORS] for one in w.done]
    assert sorted(kept) == sorted(said) and len({record for _, record, _ in kept}) == len(kept) == len(given)
    cast = [(v.annotator_id, v.comparison_id, v.outcome) for v in store.votes.of_set(behind.set_id)]
    assert sorted(cast) == sorted((w.browser.who, p, VOTES[b]) for w in workers[ANNOTATORS:] for p, b in w.done)
    assert is_balanced(store)
    with store.database.read() as connection:
        # A submit that was sent again, because its answer was lost with the replica, is not written again.
        assert connection.scalar(select(func.count()).select_from(response_history)) == 0
    store.close()
