"""A chat endpoint that costs next to nothing, in a process of its own: what is measured is the client.

It answers every request after a set latency with the same seven words, streamed or whole as it is asked, and counts.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

PIECES = ("Six", " backups", " are", " taken", " a", " day.", " [1]")
USAGE = {"prompt_tokens": 900, "completion_tokens": len(PIECES), "total_tokens": 900 + len(PIECES)}


def _answers() -> tuple[bytes, bytes, bytes]:
    """Return the head and the first piece of a stream, the rest of it, and the answer in one piece."""
    frame = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "test-model"}

    def event(delta: dict[str, object], reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return f"data: {json.dumps({**frame, 'choices': [choice]})}\n\n"

    first, *others = (event({"content": piece}) for piece in PIECES)
    last = f"data: {json.dumps({**frame, 'choices': [], 'usage': USAGE})}\n\ndata: [DONE]\n\n"
    message = {"role": "assistant", "content": "".join(PIECES)}
    whole = {**frame, "object": "chat.completion", "usage": USAGE}
    whole["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
    opening = event({"role": "assistant", "content": ""}) + first
    rest = "".join(others) + event({}, "stop") + last
    body = json.dumps(whole).encode()
    return (
        head + _chunk(opening),
        _chunk(rest) + b"0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body,
    )


def _chunk(text: str) -> bytes:
    data = text.encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


class _Endpoint(asyncio.Protocol):
    requests = 0

    def __init__(self, latency: float, pace: float) -> None:
        self._latency, self._pace, self._read = latency, pace, b""
        self._first, self._rest, self._whole = _answers()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, body = self._read.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
        if not end or len(body) < int(length or 0):
            return
        self._read = body[int(length or 0) :]
        _Endpoint.requests += 1
        later = asyncio.get_running_loop().call_later
        if b'"stream":true' in body.replace(b" ", b""):
            later(self._latency, self._send, self._first)
            later(self._latency + self._pace, self._send, self._rest)
        else:
            later(self._latency, self._send, self._whole)

    def _send(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)


def _serve(ends: Connection, latency: float, pace: float) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Endpoint(latency, pace), "127.0.0.1", 0, backlog=256)
        ends.send(server.sockets[0].getsockname()[1])
        await loop.run_in_executor(None, ends.recv)
        ends.send(_Endpoint.requests)

    asyncio.run(serve())


class Served:
    """An endpoint that runs. ``requests`` is known when it has ended."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self.requests = 0


@contextmanager
def endpoint(latency: float, pace: float = 0.0) -> Iterator[Served]:
    """Run the endpoint in a process; ``pace`` is the time between the first text of an answer and the rest."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, latency, pace), daemon=True)
    process.start()
    served = Served(here.recv())
    try:
        yield served
    finally:
        here.send(None)
        served.requests = here.recv()
        process.join(5)
