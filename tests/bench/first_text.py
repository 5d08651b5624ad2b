"""How much later the first text of an answer is there than at the endpoint itself: ``python -m tests.bench.first_text``.

Measured in turns, so that all meet the same machine, as medians over 30: a bare socket that sends the same request to the
endpoint and gets its first bytes; the step of Pairloop's generation that has the first text; and the app over HTTP, from the
press on Ask to the event with the first text, as a browser gets it from Gradio's queue. In each the query is new, so that its
passages are looked for and stored before the model is asked.
"""

from __future__ import annotations

import json
import secrets
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from tests.bench.endpoint import endpoint
from tests.material import add_manual
from tests.servers import AppProcess
from tests.visitor import Visitor
from tests.workspace import open_workspace

LATENCY, PACE, ROUNDS = 0.2, 0.3, 30
_NUMBERS = count()


def fresh() -> str:
    """Return a query that was not asked yet."""
    return f"Where is diesel sold on day {next(_NUMBERS)}?"


def direct(port: int) -> float:
    """Return the seconds until a bare socket has the first bytes of an answer."""
    body = json.dumps({"model": "test-model", "stream": True, "messages": [{"role": "user", "content": fresh() * 60}]})
    request = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    start = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request)
        while b"Six" not in connection.recv(65536):
            pass
        return time.perf_counter() - start


def over_http(visitor: Visitor, number: int, model: str) -> float:
    """Return the seconds from the press on Ask to the event that has the first text."""
    session = secrets.token_hex(6)
    body = {"data": [fresh(), model], "fn_index": number, "session_hash": session, "event_data": None}
    start = time.perf_counter()
    visitor.open("/gradio_api/queue/join", body).read()
    with visitor.open(f"/gradio_api/queue/data?session_hash={session}") as stream:
        for line in stream:
            if b"process_generating" in line and b"Six" in line:
                return time.perf_counter() - start
    raise SystemExit("no text came")


def main() -> None:
    """Print the medians and what is over the endpoint's own."""
    with tempfile.TemporaryDirectory() as folder, endpoint(LATENCY, PACE) as served:
        home = Path(folder) / "home"
        services = open_workspace(home, openai_base_url=served.base_url, openai_model="test-model")
        add_manual(services, Path(folder))
        model = services.registry.all()[-1].id

        def generation() -> float:
            start = time.perf_counter()
            steps = services.generation.ask(fresh(), model)
            first = next(time.perf_counter() - start for step in steps if step.text)
            steps.close()
            return first

        ways: dict[str, Callable[[], float]] = {
            "bare socket": lambda: direct(served.port),
            "Pairloop's generation": generation,
        }
        _measure(ways)
        services.close()
        with AppProcess(home, OPENAI_BASE_URL=served.base_url, OPENAI_MODEL="test-model") as app:
            visitor = Visitor(app.url)
            number = visitor._numbers["ask"]
            _measure(
                {
                    "bare socket": lambda: direct(served.port),
                    "the app over HTTP": lambda: over_http(visitor, number, model),
                }
            )


def _measure(ways: dict[str, Callable[[], float]]) -> None:
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for name, way in ways.items():
        way()
        taken[name].clear()
    for _ in range(ROUNDS):
        for name, way in ways.items():
            taken[name].append(way())
    own = statistics.median(taken["bare socket"])
    for name, seconds in taken.items():
        middle = statistics.median(seconds)
        print(f"{name:22} first text after {middle * 1000:4.0f} ms, {(middle - own) * 1000:4.0f} ms over its own")


if __name__ == "__main__":
    main()
