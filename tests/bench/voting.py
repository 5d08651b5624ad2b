"""Vote and next pair over HTTP, beside a bare Gradio event in the same run: ``python -m tests.bench.voting``.

Every client votes on what is on its screen by the listener that the page calls, and gets the next pair; then as many echo events
of a bare Gradio app. A vote is on the disk when it is answered. 2,000 queries, two models, 1 and 20 voters at the same time.
"""

from __future__ import annotations

import json
import secrets
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pipeline.store import open_store
from tests.bench.annotate import Connection, bare_app, echoer, measure, report
from tests.servers import AppProcess
from tests.workspace import add_comparison, add_model, open_workspace

QUERIES, CLIENTS = 2_000, (1, 20)
ANSWER = "The onboarding process takes one business day after the contract is signed, says passage {n}. " * 4


def voter(port: int, set_id: str) -> Callable[[], None]:
    """Return what votes on the pair on the screen and gets the next one."""
    asking, reading, session = Connection(port), Connection(port), secrets.token_hex(6)
    asking.cookie = reading.cookie
    config = asking.get("/config")
    numbers = {entry["api_name"]: entry["id"] for entry in config["dependencies"]}

    def call(listener: str, *values: object) -> list:
        body = {"data": list(values), "fn_index": numbers[listener], "session_hash": session}
        asking.post("/gradio_api/queue/join", body)
        # Read to its end: the connection is used again.
        messages = list(reading.events(f"/gradio_api/queue/data?session_hash={session}"))
        (done,) = [message for message in messages if message["msg"] == "process_completed"]
        assert done["success"], json.dumps(done)[:500]
        return done["output"]["data"]

    waiting = call("show_next", set_id)[0]

    def vote() -> None:
        nonlocal waiting
        before, waiting = waiting, call("vote_a", set_id, waiting, None, "", "", "")[0]
        assert waiting and waiting != before

    return vote


def main() -> None:
    """Print p50, p95 and rates, and their ratio to a bare event with as many clients."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        services = open_workspace(home)
        texts = [(ANSWER.format(n=n), ANSWER.format(n=f"{n} too")) for n in range(QUERIES)]
        set_id = add_comparison(services, [add_model(services, name) for name in ("one", "two")], texts)
        services.close()
        with AppProcess(home, PAIRLOOP_EXAMPLE="0") as app, bare_app() as port:
            for clients in CLIENTS:
                makers = {"bare Gradio event": lambda: echoer(port), "vote and next": lambda: voter(app.port, set_id)}
                base = 0.0
                for name, make in makers.items():
                    begun = time.perf_counter()
                    seconds = measure(make, clients)
                    base = base or statistics.median(seconds)
                    report(name, clients, seconds, time.perf_counter() - begun, base)
        store = open_store(home / "pairloop.db")
        counts = Counter((vote.annotator_id, vote.comparison_id) for vote in store.votes.of_set(set_id))
        print(f"{counts.total():,} votes, {sum(n > 1 for n in counts.values())} of them twice by one person")
        store.close()


if __name__ == "__main__":
    main()
