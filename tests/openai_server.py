"""An OpenAI-compatible endpoint on 127.0.0.1, for tests: answers that can be foretold, faults on demand, a request log.

    with OpenAIServer() as server:
        server.fail(status=503, times=2)
        client = OpenAI(base_url=server.base_url, api_key="any")
        ...
        assert len(server.requests) == 3

It checks requests as OpenAI does (key, model, messages, unknown parameters) and answers in OpenAI's shapes, plain and
streamed. Without faults it answers with the first sentence of the first context and cites it.
"""

from __future__ import annotations

import json
import re
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

from tests import embedding_answers

Messages = Sequence[Mapping[str, str]]
_SENTENCE = re.compile(r".+?[.!?](?=\s|$)|.+", re.DOTALL)
_PARAMETERS = {
    *("model", "messages", "stream", "stream_options", "temperature", "top_p", "max_tokens", "max_completion_tokens"),
    *("n", "stop", "seed", "user", "presence_penalty", "frequency_penalty", "response_format", "tools", "tool_choice"),
    "reasoning_effort",
}
_ROLES = {"system", "developer", "user", "assistant", "tool", "function"}


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one chat request.

    ``status`` answers with an error of that status (``code`` and ``message`` go into OpenAI's error object) and with
    ``retry_after``. ``stall`` waits so many seconds before anything is sent, ``stall_after`` waits ``stall`` seconds
    after that many pieces of text instead. ``cut_after`` drops the connection after that many pieces of text;
    ``polite`` ends the response cleanly there instead, without the closing chunk and [DONE]. ``body`` replaces the
    answer, sent as ``content_type``. ``events`` replaces the events of a stream, after which ``cut_after`` drops the
    connection. ``drop`` closes it without a word. With ``when`` only requests whose last message contains that text count.
    """

    status: int = 0
    code: str | None = None
    message: str = ""
    retry_after: str | None = None
    stall: float = 0.0
    stall_after: int | None = None
    cut_after: int | None = None
    polite: bool = False
    body: str | None = None
    content_type: str = "text/html; charset=utf-8"
    events: Sequence[str] | None = None
    drop: bool = False
    when: str = ""


@dataclass
class LoggedRequest:
    """A request as it came in. ``connection`` is the client's port: the same for the same connection.

    ``gone`` tells that the client left before its answer was complete.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: dict[str, object]
    started: float
    connection: int
    status: int = 0
    gone: bool = False
    ended: float | None = None

    @property
    def query(self) -> str:
        """The text of the last message."""
        messages = self.body.get("messages")
        return str(messages[-1].get("content", "")) if messages else ""


def echo_first_context(messages: Messages) -> str:
    """Answer with the first sentence of the first context, as the prompt shows it, and cite it as [1]."""
    prompt = str(messages[-1]["content"])
    numbered = re.search(r"^\[1\][^\n]*\n(.+?)(?=\n\n\[2\]|\n\nQuery:|\Z)", prompt, re.DOTALL | re.MULTILINE)
    ruled = re.search(r"-{5,}\n(.+?)\n-{5,}", prompt, re.DOTALL)
    if numbered:
        return f"{_SENTENCE.match(numbered[1].strip())[0]} [1]"
    if ruled:
        return _SENTENCE.match(ruled[1].strip())[0]
    return f"You said: {prompt}"


@dataclass
class OpenAIServer:
    """The endpoint. All fields may be changed while it runs; ``requests`` grows as requests come in.

    ``api_key`` is what requests must carry, or None for an endpoint without keys. ``answer`` turns messages into the
    text. ``latency`` is waited before each answer, ``pace`` before each piece of a streamed one. ``rejects`` names
    parameters that are answered with 400, mapped to the message. ``window`` is the longest prompt, in words.
    ``streams`` off makes it ignore ``stream`` as some endpoints do; ``port`` 0 takes a free one.
    """

    api_key: str | None = None
    models: Sequence[str] = ("test-model",)
    answer: Callable[[Messages], str] = echo_first_context
    embed: Callable[[str], list[float]] = embedding_answers.vector_of_words
    latency: float = 0.0
    pace: float = 0.0
    rejects: dict[str, str] = field(default_factory=dict)
    window: int = 100_000
    streams: bool = True
    port: int = 0
    requests: list[LoggedRequest] = field(default_factory=list)
    most_at_once: int = 0
    # What answers requests, where another double offers more than this one.
    handler: type | None = None

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[list[object]] = []
        self._at_once = 0
        self._ids = count(1)
        self.stopping = threading.Event()

    def __enter__(self) -> OpenAIServer:
        self._http = _Server(("127.0.0.1", self.port), self)
        self.port = self._http.server_port
        self._thread = threading.Thread(target=lambda: self._http.serve_forever(0.02), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def base_url(self) -> str:
        """What goes into OPENAI_BASE_URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def chats(self) -> list[LoggedRequest]:
        """The logged requests for chat completions."""
        return [request for request in self.requests if request.path == "/v1/chat/completions"]

    def fail(self, times: int | None = 1, **fault: object) -> None:
        """Let the next ``times`` chat requests (None: all) go wrong as :class:`Fault` says."""
        with self._lock:
            self._faults.append([times, Fault(**fault)])

    def recover(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._faults.clear()

    def next_fault(self, text: str) -> Fault:
        with self._lock:
            for entry in self._faults:
                times, fault = entry
                if fault.when in text and (times is None or times > 0):
                    entry[0] = None if times is None else times - 1
                    return fault
        return Fault()

    def log(self, request: LoggedRequest) -> None:
        with self._lock:
            self.requests.append(request)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)

    def end(self, request: LoggedRequest) -> None:
        with self._lock:
            request.ended = time.time()
            self._at_once -= 1

    def next_id(self) -> str:
        return f"chatcmpl-{next(self._ids):08d}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A burst of connections waits in the backlog; the default of 5 would refuse some.
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], owner: OpenAIServer) -> None:
        self.owner = owner
        super().__init__(address, owner.handler or Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent where the client has left; anything else is a mistake in this file."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Refusal(Exception):
    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param


class _Gone(Exception):
    """The client left, or the server stops."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            body = json.loads(raw or b"{}")
        except ValueError:
            body = None
        self._serve(body)

    def _serve(self, body: object) -> None:
        owner = self.server.owner
        headers = {name.lower(): value for name, value in self.headers.items()}
        logged = body if isinstance(body, dict) else {}
        self.request_log = LoggedRequest(self.command, self.path, headers, logged, time.time(), self.client_address[1])
        owner.log(self.request_log)
        try:
            self._route(owner, body)
        except Refusal as refusal:
            kind = "server_error" if refusal.status >= 500 else "invalid_request_error"
            error = {"message": str(refusal), "type": kind, "param": refusal.param, "code": refusal.code}
            self._send(refusal.status, json.dumps({"error": error}, indent=2), "application/json")
        except (_Gone, OSError):
            self.request_log.gone = not owner.stopping.is_set()
            self.close_connection = True
        finally:
            owner.end(self.request_log)

    def _route(self, owner: OpenAIServer, body: object) -> None:
        if self.path not in ("/v1/models", "/v1/chat/completions", "/v1/embeddings"):
            raise Refusal(404, f"Invalid URL ({self.command} {self.path})")
        self.check_key(owner)
        if self.path == "/v1/models":
            made = [{"id": name, "object": "model", "created": 1, "owned_by": "tests"} for name in owner.models]
            self._send(200, json.dumps({"object": "list", "data": made}), "application/json")
        elif self.path == "/v1/embeddings":
            self._embed(owner, body)
        else:
            self._chat(owner, body)

    def _embed(self, owner: OpenAIServer, body: object) -> None:
        fault = owner.next_fault(str(body))
        if fault.drop:
            return self._hang_up()
        self._pause(owner.latency + fault.stall)
        if fault.status:
            return self._send_fault(fault)
        if fault.body is not None:
            return self._send(200, fault.body, fault.content_type)
        if refused := embedding_answers.check(body):
            raise Refusal(400, refused)
        for name in owner.rejects.keys() & {str(value) for value in body.values() if isinstance(value, str)} - {""}:
            raise Refusal(400, owner.rejects[name], "unsupported_value", name)
        if body["model"] not in owner.models:
            raise Refusal(404, f"The model `{body['model']}` does not exist.", "model_not_found")
        return self._send(200, json.dumps(embedding_answers.embeddings(body, owner.embed)), "application/json")

    def check_key(self, owner: OpenAIServer) -> None:
        key = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if owner.api_key is not None and key != owner.api_key:
            shown = f"Incorrect API key provided: {key}." if key else "You didn't provide an API key."
            raise Refusal(401, shown, "invalid_api_key")

    def _chat(self, owner: OpenAIServer, body: object) -> None:
        fault = owner.next_fault(self.request_log.query)
        if fault.drop:
            return self._hang_up()
        self._pause(owner.latency)
        if fault.stall_after is None:
            self._pause(fault.stall)
        if fault.status:
            return self._send_fault(fault)
        _check(owner, body)
        if fault.body is not None:
            return self._send(200, fault.body, fault.content_type)
        if body.get("stream") and owner.streams:
            return self._stream(owner, body, fault)
        return self._send(200, json.dumps(_Completion(owner, body).whole()), "application/json")

    def _send_fault(self, fault: Fault) -> None:
        extra = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
        message = fault.message or f"The server had an error while processing your request ({fault.status})."
        error = json.dumps({"error": {"message": message, "type": "error", "param": None, "code": fault.code}})
        content, kind = (error, "application/json") if fault.body is None else (fault.body, fault.content_type)
        self._send(fault.status, content, kind, extra)

    def _stream(self, owner: OpenAIServer, body: dict[str, object], fault: Fault) -> None:
        completion = _Completion(owner, body)
        self._head(200, {"Content-Type": "text/event-stream; charset=utf-8", "Transfer-Encoding": "chunked"})
        if fault.events is not None:
            self._chunk("".join(fault.events) or ": nothing\n\n")
            return self._chunk("") if fault.cut_after is None else self._hang_up()
        self._event(completion.chunk({"role": "assistant", "content": "", "refusal": None}))
        for number, piece in enumerate(completion.pieces):
            if fault.stall_after == number:
                self._pause(fault.stall)
            if fault.cut_after == number:
                return self._chunk("") if fault.polite else self._hang_up()
            self._pause(owner.pace)
            self._event(completion.chunk({"content": piece}))
        self._event(completion.chunk({}, completion.finish_reason))
        if completion.wants_usage:
            self._event(completion.chunk(None))
        self._chunk("data: [DONE]\n\n")
        return self._chunk("")

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _event(self, content: dict[str, object]) -> None:
        self._chunk(f"data: {json.dumps(content)}\n\n")

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _send(self, status: int, content: str, kind: str, extra: Mapping[str, str] | None = None) -> None:
        data = content.encode()
        self._head(status, {"Content-Type": kind, "Content-Length": str(len(data)), **(extra or {})})
        self.wfile.write(data)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.request_log.status = status
        self.send_response(status)
        for name, value in {**headers, "x-request-id": self.server.owner.next_id()}.items():
            self.send_header(name, value)
        self.end_headers()

    def _pause(self, seconds: float) -> None:
        """Wait, but no longer than the client does."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.server.owner.stopping.wait(min(left, 0.02)):
                raise _Gone
            readable, _, _ = select.select([self.connection], [], [], 0)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                raise _Gone


def _check(owner: OpenAIServer, body: object) -> None:
    if not isinstance(body, dict):
        raise Refusal(400, "We could not parse the JSON body of your request.")
    for name in body:
        if name in owner.rejects:
            raise Refusal(400, owner.rejects[name], "unsupported_parameter", name)
        if name not in _PARAMETERS:
            raise Refusal(400, f"Unrecognized request argument supplied: {name}")
    model = body.get("model")
    if not model:
        raise Refusal(400, "you must provide a model parameter")
    if model not in owner.models:
        raise Refusal(404, f"The model `{model}` does not exist or you do not have access to it.", "model_not_found")
    if body.get("stream_options") is not None and not body.get("stream"):
        raise Refusal(400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    if not 0 <= (body.get("temperature") or 0) <= 2:
        raise Refusal(400, "Invalid 'temperature': expected a value between 0 and 2.", param="temperature")
    _check_messages(owner, body.get("messages"))


def _check_messages(owner: OpenAIServer, messages: object) -> None:
    if not isinstance(messages, list) or not messages:
        raise Refusal(400, "Missing required parameter: 'messages'.", "missing_required_parameter", "messages")
    for number, message in enumerate(messages):
        for key, fits in (("role", _ROLES.__contains__), ("content", lambda content: isinstance(content, str))):
            if not isinstance(message, dict) or not fits(message.get(key)):
                raise Refusal(400, f"Invalid value for 'messages[{number}].{key}'.", param=f"messages[{number}].{key}")
    words = sum(len(message["content"].split()) for message in messages)
    if words > owner.window:
        said = f"This model's maximum context length is {owner.window} tokens. However, your messages resulted in "
        said += f"{words} tokens. Please reduce the length of the messages."
        raise Refusal(400, said, "context_length_exceeded", "messages")


class _Completion:
    """One answer in OpenAI's shapes. A token is a word with the white space before it."""

    def __init__(self, owner: OpenAIServer, body: dict[str, object]) -> None:
        pieces = re.findall(r"\s*\S+", owner.answer(body["messages"]))
        limit = body.get("max_completion_tokens") or body.get("max_tokens") or len(pieces)
        self.pieces = pieces[:limit]
        self.finish_reason = "length" if len(self.pieces) < len(pieces) else "stop"
        self.wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        self._id, self._created, self._model = owner.next_id(), int(time.time()), body["model"]
        prompt, made = sum(len(message["content"].split()) for message in body["messages"]), len(self.pieces)
        self.usage = {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made}

    def whole(self) -> dict[str, object]:
        message = {"role": "assistant", "content": "".join(self.pieces), "refusal": None, "annotations": []}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish_reason}
        return {**self._frame("chat.completion"), "choices": [choice], "usage": self.usage}

    def chunk(self, delta: dict[str, object] | None, finish_reason: str | None = None) -> dict[str, object]:
        """Return a chunk with ``delta``, or the closing chunk of usage for None."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        made = {**self._frame("chat.completion.chunk"), "choices": [] if delta is None else [choice]}
        if self.wants_usage:
            made["usage"] = self.usage if delta is None else None
        return made

    def _frame(self, kind: str) -> dict[str, object]:
        return {"id": self._id, "object": kind, "created": self._created, "model": self._model}
