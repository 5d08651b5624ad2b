"""Files of Gradio's own that every page loads, the same for everybody: as Gradio has answered once, so they are answered again.

A page needs some ninety of them. Gradio reads and compresses each one for each visitor, which is most of what a page costs.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import NamedTuple

# No name begins with a dot and nothing is encoded, so that each file has one address, and none leads elsewhere.
_FILE = re.compile(r"/(?:assets|static|svelte)(?:/[\w-][\w.-]*)+", re.ASCII)
# As the builder of Gradio's page names what it has built: by what is in it. A word is no such name, it has small letters alone.
_HASHED = re.compile(r"/assets/[\w.-]+-(?=[\w-]*[A-Z\d])[\w-]{8}\.[a-z\d]+", re.ASCII)
_FOR_EVER = (b"cache-control", b"public, max-age=31536000, immutable")
# With these Gradio sends a part.
_PARTS = ("range", "if-range")
# What is told of a file that the browser has already.
_OF_NOTHING = (b"content-length", b"content-encoding")
MOST_BYTES = 32_000_000
# Somebody who was let in a moment ago is not looked up for each file of the page.
LATELY_SECONDS = 5.0
_MOST_PEOPLE = 10_000


class Wanted(NamedTuple):
    """Which file is asked for, and how it may be compressed; ``known`` is what the browser says that it has."""

    path: str
    coding: str
    known: str


class Kept(NamedTuple):
    """An answer of Gradio's."""

    headers: list[tuple[bytes, bytes]]
    body: bytes


def wanted_in(scope, path: str, headers: Mapping[str, str]) -> Wanted | None:
    """Return which file of Gradio's a request is for, or None where it is for something else, or for a part of one."""
    if scope["method"] != "GET" or scope["query_string"] or not _FILE.fullmatch(path):
        return None
    if any(name in headers for name in _PARTS):
        return None
    accepted = headers.get("accept-encoding", "")
    coding = next((coding for coding in ("br", "gzip") if coding in accepted), "")
    return Wanted(path, coding, headers.get("if-none-match", ""))


class GradioFiles:
    """Answers of Gradio's for its files, of which those that were asked for least lately go when they are too many bytes."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[str, str], Kept] = OrderedDict()
        self._bytes = 0
        # All workspaces of a server share it; in tests their servers are in several threads.
        self._lock = threading.Lock()

    async def answer(self, wanted: Wanted, app, scope, receive, send) -> None:
        """Answer with the file, or let ``app`` do it and keep what it says."""
        key = wanted.path, wanted.coding
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
        if kept is None:
            # Browsers name their own page as the origin of its scripts. Only that one comes so far, and needs no leave for them.
            plain = [(name, value) for name, value in scope["headers"] if name != b"origin"]
            await app({**scope, "headers": plain}, receive, self._keeping(key, send))
        else:
            await _tell(kept, wanted.known, send)

    def _keeping(self, key: tuple[str, str], send):
        headers, parts, whole = None, [], False

        async def keep(message) -> None:
            nonlocal headers, whole
            if message["type"] == "http.response.start":
                if message["status"] == 200:
                    headers = _headers(key[0], message["headers"])
                    message = {**message, "headers": headers}
            elif headers is not None:
                parts.append(message.get("body", b""))
                whole = not message.get("more_body", False)
            await send(message)
            if whole:
                self._add(key, headers, b"".join(parts))

        return keep

    def _add(self, key: tuple[str, str], headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        told = [(name, value) for name, value in headers if name != b"content-length"]
        with self._lock:
            if key in self._kept or len(body) > self._most:
                return
            self._kept[key] = Kept([*told, (b"content-length", str(len(body)).encode())], body)
            self._bytes += len(body)
            while self._bytes > self._most:
                _, gone = self._kept.popitem(last=False)
                self._bytes -= len(gone.body)


class Lately:
    """Who was let in a moment ago, by their sign-ins. It is for files that are no secret, and for them alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: OrderedDict[str, float] = OrderedDict()

    def add(self, token: str) -> None:
        """Note that somebody was let in."""
        self._until[token] = self._clock() + LATELY_SECONDS
        self._until.move_to_end(token)
        if len(self._until) > _MOST_PEOPLE:
            self._until.popitem(last=False)

    def drop(self, token: str) -> None:
        """Note that somebody was not."""
        self._until.pop(token, None)

    def has(self, token: str) -> bool:
        """Say whether somebody was let in a moment ago."""
        return self._until.get(token, 0.0) > self._clock()


def _headers(path: str, said: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return what is said of a file: also for how long it may be kept, and that there are others of it for other browsers."""
    names = {name.lower(): value for name, value in said}
    more = [] if b"vary" in names else [(b"vary", b"Accept-Encoding")]
    if b"cache-control" not in names and _HASHED.fullmatch(path):
        more.append(_FOR_EVER)
    return [(name.lower(), value) for name, value in said] + more


async def _tell(kept: Kept, known: str, send) -> None:
    tag = dict(kept.headers).get(b"etag", b"").decode("latin-1")
    if tag and (known.strip() == "*" or tag in (each.strip().removeprefix("W/") for each in known.split(","))):
        # With its type: the policy goes by that, and the browser takes what is said here for the file that it has.
        headers = [(name, value) for name, value in kept.headers if name not in _OF_NOTHING]
        await send({"type": "http.response.start", "status": 304, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return
    await send({"type": "http.response.start", "status": 200, "headers": kept.headers})
    await send({"type": "http.response.body", "body": kept.body})


# Every workspace of a server has the same files.
FILES = GradioFiles()
