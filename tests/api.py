"""The app on a real port, its people with a role each, and programs that speak to its API with their tokens."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx2
import uvicorn

import app
from pipeline.annotation.settings import DatasetSettings, Field, Question, QuestionKind
from pipeline.records import Role
from pipeline.services import Services
from tests.annotating import VALUES
from tests.people import team

LINES = DatasetSettings((Field("text"),), (Question("better", QuestionKind.TEXT),))
ANSWERS = {name: VALUES[name] for name in ("quality", "verdict", "order", "better")}
JSON = {"Content-Type": "application/json"}


class Program:
    """Sends requests to the API of an app; ``token`` "" is one that has none."""

    def __init__(self, url: str, token: str = "") -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.token = token
        self.http = httpx2.Client(base_url=f"{url}/api/v1", headers=headers, timeout=30)

    def send(self, method: str, path: str, **more: object) -> httpx2.Response:
        """Return the answer."""
        return self.http.request(method, path, **more)

    def get(self, path: str, **params: object) -> dict:
        """Return the JSON of an answer that must be one."""
        return self._good(self.send("GET", path, params=params))

    def post(self, path: str, body: object = None) -> dict:
        """Send JSON and return that of an answer that must be one."""
        return self._good(self.send("POST", path, json=body))

    def refused(self, method: str, path: str, **more: object) -> tuple[int, str]:
        """Return the status of a refusal and its sentence."""
        answer = self.send(method, path, **more)
        assert answer.status_code >= 400, answer.text[:500]
        said = answer.json()["error"]
        assert said and said[0].isprintable() and len(said) <= 1000
        return answer.status_code, said

    @staticmethod
    def _good(answer: httpx2.Response) -> dict:
        assert answer.status_code == 200, answer.text[:500]
        return answer.json()


@contextmanager
def served(services: Services) -> Iterator[str]:
    """Serve the app of these services on a real port; give its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app.build_server(services), log_level="critical", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


def programs(services: Services, url: str) -> dict[Role | None, Program]:
    """Return a program for each role, and one of nobody."""
    found: dict[Role | None, Program] = {None: Program(url)}
    for role, somebody in team(services).items():
        found[role] = Program(url, services.tokens.make(somebody.id, "tests").value)
    return found


def everything(services):
    """Return what must not change when a request is refused."""
    store = services.store
    counted = [(item.id, item.name, item.size) for item in services.datasets.all()]
    return store.outbox.newest(), counted, len(store.documents.summaries())


def wired(url, path, token="", more=""):
    """Send the head of a large request and nothing of its body; return the connection."""
    host, port = urlsplit(url).netloc.split(":")
    wire = socket.create_connection((host, int(port)), timeout=10)
    sign = f"Authorization: Bearer {token}\r\n" if token else ""
    more = more or "Content-Type: application/json\r\nContent-Length: 20000000\r\n"
    wire.sendall(f"POST /api/v1{path} HTTP/1.1\r\nHost: x\r\n{sign}{more}\r\n".encode())
    return wire


def wait_for(done):
    until = time.monotonic() + 60
    while not done():
        assert time.monotonic() < until
        time.sleep(0.02)
