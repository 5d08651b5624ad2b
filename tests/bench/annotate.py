"""Submit and next over HTTP with 10,000 records, beside a bare Gradio event in the same run: ``python -m tests.bench.annotate``.

One round: every client works through its share with a submit that brings the next record, as the page does; then as many echo
events of a bare Gradio app. A submit is on the disk when it is answered. Both are asked over connections that stay open.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from components._session import COOKIE
from pipeline.annotation.plain import from_plain
from pipeline.records import Suggestion
from pipeline.store import open_store
from pipeline.store.datasets import NewRecord
from tests.bench.start import BARE, first_page
from tests.bench.workload import PASSAGE, TEXT
from tests.servers import AppProcess, free_port
from tests.workspace import open_workspace

RECORDS, EVENTS, CLIENTS = 10_000, 200, (1, 10)
SETTINGS = {
    "fields": [{"name": "query", "type": "text"}, {"name": "contexts", "type": "contexts"}],
    "questions": [
        {"name": "query_rating", "type": "rating", "values": [1, 2, 3, 4, 5], "required": False},
        {"name": "answer", "type": "text"},
    ],
}


class Connection:
    """One connection that stays open."""

    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.cookie = f"{COOKIE}={secrets.token_hex(32)}"

    def post(self, path: str, body: dict) -> dict:
        """Send JSON and return the JSON that is answered."""
        headers = {"Content-Type": "application/json", "X-Pairloop": "1", "Cookie": self.cookie}
        self._http.request("POST", path, json.dumps(body), headers)
        answer = self._http.getresponse()
        read = answer.read()
        assert answer.status == 200, read
        return json.loads(read)

    def get(self, path: str) -> dict:
        """Return the JSON that is answered."""
        self._http.request("GET", path, headers={"Cookie": self.cookie})
        return json.loads(self._http.getresponse().read())

    def events(self, path: str) -> Iterator[dict]:
        """Read a stream of events until the server closes it."""
        self._http.request("GET", path, headers={"Cookie": self.cookie})
        for line in self._http.getresponse():
            if line.startswith(b"data:"):
                yield json.loads(line[5:])


def annotator(port: int, dataset: str) -> Callable[[], None]:
    """Return what submits the record on the screen and gets the next one."""
    connection = Connection(port)
    opened = connection.post("/annotate/open", {"dataset": dataset})
    shown, following = opened["card"], opened["next"]

    def submit() -> None:
        nonlocal shown, following
        body = {"action": "submit", "record": shown["id"], "showing": following["id"], "version": shown["version"]}
        answer = connection.post("/annotate/end", {**body, "values": {"query_rating": 4, "answer": TEXT}, "seconds": 1})
        assert answer["place"]
        shown, following = following, answer["next"]

    return submit


def opener(port: int, dataset: str) -> Callable[[], None]:
    """Return what opens the dataset at the next record, as whoever comes to it does."""
    connection = Connection(port)
    return lambda: connection.post("/annotate/open", {"dataset": dataset})


def echoer(port: int) -> Callable[[], None]:
    """Return what sends one event to a bare Gradio app and waits for its end."""
    asking, reading, session = Connection(port), Connection(port), secrets.token_hex(6)

    def echo() -> None:
        body = {"data": ["hello"], "fn_index": 0, "session_hash": session}
        asking.post("/gradio_api/queue/join", body)
        for message in reading.events(f"/gradio_api/queue/data?session_hash={session}"):
            if message["msg"] == "process_completed":
                assert message["success"]

    return echo


def measure(make: Callable[[], Callable[[], None]], clients: int) -> list[float]:
    """Let clients act at the same time; return the seconds of every act."""
    acts, seconds = [make() for _ in range(clients)], []
    for act in acts:
        act()

    def work(act: Callable[[], None]) -> None:
        for _ in range(EVENTS // clients):
            begun = time.perf_counter()
            act()
            seconds.append(time.perf_counter() - begun)

    threads = [threading.Thread(target=work, args=(act,)) for act in acts]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return seconds


def report(name: str, clients: int, seconds: list[float], took: float, base: float) -> None:
    """Print one line."""
    p50, p95 = statistics.median(seconds), statistics.quantiles(seconds, n=20)[-1]
    rate = len(seconds) / took
    print(
        f"{name:28} {clients:2} clients  p50 {p50 * 1000:6.1f} ms  p95 {p95 * 1000:6.1f} ms  {rate:6.1f}/s  {p50 / base:5.2f} x"
    )


@contextlib.contextmanager
def bare_app() -> Iterator[int]:
    """Run a bare Gradio app; yield its port."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", BARE, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    first_page(f"http://127.0.0.1:{port}/")
    try:
        yield port
    finally:
        process.kill()
        process.wait()


def prepare(home: Path) -> str:
    """Make a workspace with one large dataset; return its id."""
    services = open_workspace(home)
    dataset = services.datasets.create("Large", from_plain(SETTINGS))
    contexts = [{"text": PASSAGE} for _ in range(4)]
    rows = [
        NewRecord(
            {"query": f"What is said in place {n}?", "contexts": contexts},
            suggestions=[Suggestion("answer", TEXT, "m")],
        )
        for n in range(RECORDS)
    ]
    services.datasets.add_records(dataset.id, rows)
    services.close()
    return dataset.id


def main() -> None:
    """Print p50, p95 and rates, and their ratio to a bare event with as many clients."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        dataset = prepare(home)
        with AppProcess(home, PAIRLOOP_EXAMPLE="0") as app, bare_app() as port:
            for clients in CLIENTS:
                makers = {
                    "bare Gradio event": lambda: echoer(port),
                    "next (open)": lambda: opener(app.port, dataset),
                    "submit and next": lambda: annotator(app.port, dataset),
                }
                base = 0.0
                for name, make in makers.items():
                    begun = time.perf_counter()
                    seconds = measure(make, clients)
                    base = base or statistics.median(seconds)
                    report(name, clients, seconds, time.perf_counter() - begun, base)
        store = open_store(home / "pairloop.db")
        counts = Counter(response.record_id for response in store.responses.of_dataset(dataset))
        print(f"{len(counts):,} records answered, {sum(n > 1 for n in counts.values())} of them more than once")
        store.close()


if __name__ == "__main__":
    main()
