"""Where a model may be asked: no redirect is followed, no address of a cloud's own services is dialled, no answer is endless."""

import asyncio
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.background import Background
from pipeline.errors import ModelError, RetrievalError
from pipeline.models.clients import is_kept_off
from pipeline.models.embedders import Embedders
from pipeline.models.gguf_hub import ModelHub
from pipeline.models.openai_chat import ChatModel, close_clients
from pipeline.prompts import get_template
from pipeline.retrieval_settings import Embedding
from pipeline.settings import Settings
from tests.openai_server import OpenAIServer

KEY = "sk-test-0123456789"


class Elsewhere:
    """A server that sends every request on, or answers it without an end."""

    def __init__(self, to: str = "", status: int = 307) -> None:
        asked = self.asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked.append(self.path)
                self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response(status if to else 200)
                if to:
                    self.send_header("Location", to + self.path)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                piece = b" " * 100_000
                try:
                    while True:
                        self.wfile.write(piece)
                except OSError:
                    self.close_connection = True

            do_GET = do_POST

            def log_message(self, *_) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()


def chat(base_url, **more) -> ChatModel:
    settings = {"api_key": KEY, "model_id": "test-model", "timeout": 5.0, "max_retries": 0}
    return ChatModel(base_url=base_url, template=get_template("answer-review"), **{**settings, **more})


def refusal(model, listing=False) -> str:
    async def asked():
        try:
            await (model.list_models() if listing else model.chat([{"role": "user", "content": "A secret query"}]))
        finally:
            await close_clients()

    with pytest.raises(ModelError) as caught:
        asyncio.run(asked())
    return str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("version", ["", "2024-10-21"])
def test_a_redirect_takes_neither_query_nor_key_elsewhere(status, version):
    with OpenAIServer() as target, Elsewhere(target.base_url, status) as server:
        said = refusal(chat(server.base_url, api_version=version))
        assert f"sends on to another address ({status}), which is not followed" in said
        assert target.base_url in said and KEY not in said and "put it into OPENAI_BASE_URL" in said
        assert target.requests == [] and len(server.asked) == 1
        assert "not followed" in refusal(chat(server.base_url, api_version=version), listing=True)
        assert target.requests == []


def test_embeddings_follow_no_redirect_either(tmp_path):
    background = Background()
    with OpenAIServer() as target, Elsewhere(target.base_url) as server:
        embedders = Embedders(Settings(home=tmp_path), background)
        embedder = embedders.open(Embedding("endpoint", "test-model", base_url=server.base_url))
        with pytest.raises(RetrievalError, match="not followed"):
            embedder.passages(["A secret passage"])
        assert target.requests == []
    background.close()


KEPT_OFF = [
    "169.254.169.254", "169.254.170.2", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "100.100.100.200", "168.63.129.16",
    "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "192.0.0.192",
]  # fmt: skip
ASKED = [
    "127.0.0.1",
    "::1",
    "10.0.0.5",
    "192.168.1.5",
    "172.16.0.1",
    "8.8.8.8",
    "2001:db8::1",
    "fd12:3456::1",
    "localhost",
    "",
]


def test_which_addresses_are_kept_off():
    assert [address for address in KEPT_OFF if not is_kept_off(address)] == []
    # A model may well run in the network of a firm, or on this machine.
    assert [address for address in ASKED if is_kept_off(address)] == []


@pytest.mark.parametrize(
    "base_url",
    [
        "http://169.254.169.254/v1", "http://169.254.169.254./v1", "https://169.254.169.254:443/latest/meta-data",
        "http://[fe80::1]/v1", "http://[::ffff:169.254.169.254]/v1", "http://[fd00:ec2::254]/v1",
        "http://METADATA.google.internal/computeMetadata/v1", "http://metadata/v1", "http://user:pass@169.254.169.254/v1",
    ],
)  # fmt: skip
def test_the_services_of_a_cloud_are_asked_nothing(base_url):
    said = refusal(chat(base_url))
    assert "no model is asked there" in said and KEY not in said


@pytest.mark.parametrize("base_url", ["http://2852039166/v1", "http://0xa9fea9fe/v1", "http://0251.0376.0251.0376/v1"])
def test_an_address_in_another_spelling_leads_there_neither(base_url, monkeypatch):
    dialled = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: dialled.append(address))
    assert refusal(chat(base_url, timeout=2.0))
    assert dialled == []


def test_a_name_that_leads_there_is_not_dialled(monkeypatch):
    found = socket.getaddrinfo

    def lookup(host, port, *rest, **more):
        if host in ("inside.example", "turns.example"):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", port))]
        return found(host, port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    said = refusal(chat("http://inside.example/v1"))
    assert (
        "The place that http://inside.example/v1 leads to is of the cloud" in said and "no model is asked there" in said
    )


def test_an_answer_without_an_end_is_given_up():
    with Elsewhere() as server:
        said = refusal(chat(server.base_url, timeout=30.0))
        assert "sent more than 20 MB in one answer" in said


@pytest.mark.parametrize(
    "file", ["../../../etc/passwd", "/etc/passwd", "..\\..\\x.gguf", "C:\\x.gguf", "a/../../x.gguf"]
)
def test_a_file_of_the_hub_lies_in_the_folder_of_its_repo(file):
    hub = ModelHub("http://127.0.0.1:9")
    for asked in (
        lambda: hub.fetch("owner/name", file),
        lambda: hub.cached("owner/name", file, "main"),
        lambda: hub.cached("owner/name", "x.gguf", file),
        lambda: hub.cached(file, "x.gguf", "main"),
    ):
        with pytest.raises(ModelError, match="lead out of its folder"):
            asked()
