"""The page that stands on the app's port while a workspace is restored: what is being done, until the app takes over."""

from __future__ import annotations

import html
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from components.theme import ASSETS

# An ordinary start is over before; what takes longer is told, whether it reports something or not.
PATIENCE_SECONDS = 0.3
_RULES = (
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
        b"base-uri 'none'; form-action 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
)


@contextmanager
def shown_on(listening: socket.socket) -> Iterator[Callable[[str], None]]:
    """Serve the page from the first report on, or after a moment; yield where reports go to.

    The port is shared and not given away: whoever connects while nobody serves waits, and is refused by nobody.
    """
    page = _Page(listening)
    patience = threading.Timer(PATIENCE_SECONDS, page.start)
    patience.daemon = True
    before = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGINT)}
    patience.start()
    try:
        yield page.report
    finally:
        patience.cancel()
        page.stop()
        for number, handler in before.items():
            signal.signal(number, handler)


class _Page:
    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._text = "Opening the workspace …"
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._over = False
        self._lock = threading.Lock()

    def report(self, text: str) -> None:
        """Show this from now on, in the terminal too."""
        if text != self._text:
            print(text, flush=True)
        self._text = text
        self.start()

    def start(self) -> None:
        """Begin to serve, once."""
        with self._lock:
            if self._server or self._over:
                return
            rest = {"lifespan": "off", "log_config": None, "log_level": "warning", "timeout_graceful_shutdown": 1}
            config = uvicorn.Config(self._answer, interface="asgi3", **rest)
            self._server = uvicorn.Server(config)
            sockets = {"sockets": [self._listening.dup()]}
            self._thread = threading.Thread(target=self._server.run, kwargs=sockets, name="restoring", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Leave the port to the app."""
        with self._lock:
            self._over = True
        if self._server and self._thread:
            self._server.should_exit = True
            self._thread.join()

    async def _answer(self, scope, receive, send) -> None:
        """Answer the page itself with the page, and everything else with 503 and the text."""
        if scope["type"] != "http":
            return
        # Also the page of an app below a path, and of a workspace beside the main one.
        page = scope["path"] == "/" or b"text/html" in dict(scope["headers"]).get(b"accept", b"")
        kind = b"text/html; charset=utf-8" if page else b"text/plain; charset=utf-8"
        headers = [(b"content-type", kind), (b"cache-control", b"no-store"), (b"retry-after", b"2"), *_RULES]
        body = _html(self._text) if page else self._text
        await send({"type": "http.response.start", "status": 200 if page else 503, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode()})


def _html(text: str) -> str:
    template = (ASSETS / "restoring.html").read_text(encoding="utf-8")
    return template.replace("{text}", html.escape(text))


def _end(*_) -> None:
    print(
        "Pairloop was stopped before it had opened the workspace. The next start goes on.", file=sys.stderr, flush=True
    )
    # Not sys.exit: it would wait for requests to a Hub that may never answer. What a restore has done so far is in the
    # store, which takes a power cut as well.
    os._exit(0)
