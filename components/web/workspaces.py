"""The workspaces of a server over HTTP: the main one at ``/``, the others at ``/w/<slug>/``, each an app of its own.

This is the outermost part. It leads each request to the app of its workspace and knows nothing of what is in them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import parse_qs

import anyio
from fastapi import FastAPI

from components._session import path_of
from components.web import workspace_pages
from components.web.hosting import Hosting, Room
from pipeline.errors import StoreError
from pipeline.events import work_for
from pipeline.services import Services
from pipeline.store.workspaces import Workspace, is_slug
from pipeline.workspaces import PREFIX

_BELOW = re.compile(rf"{PREFIX}([^/]*)(/.*)?", re.DOTALL)
# Where the Hub sends people back to, whichever workspace they wanted to sign in to.
CALLBACK = "/sign-in/callback"
LEAVE_SECONDS = 2.0
_GONE = {"type": "http.disconnect"}


class Site:
    """ASGI app over all workspaces of a server."""

    def __init__(self, main: FastAPI, services: Services, build: Callable[[Services], FastAPI]) -> None:
        self._main = main
        self._base = services.settings.entry.base
        self.hosting = Hosting(services, build)

    async def __call__(self, scope, receive, send) -> None:
        """Lead a request to its workspace."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        scope = placed(scope, self._base)
        if scope["type"] != "http":
            await self._main(scope, receive, send)
            return
        path = path_of(scope)
        # Also where the task before has worked for another one.
        work_for("")
        if scope["path"] == self._base != "":
            await workspace_pages.lead(scope, send, f"{self._base}/")
            return
        found = _BELOW.fullmatch(path)
        slug = found[1] if found else _wanted(scope) if path == CALLBACK else ""
        if found is None and not slug:
            await self._main(scope, receive, send)
            return
        await self._to_workspace(scope, receive, send, slug, found[2] if found else path)

    async def _to_workspace(self, scope, receive, send, slug: str, rest: str | None) -> None:
        try:
            workspace = await self._find(slug)
        except StoreError as error:
            await workspace_pages.say(scope, send, 503, str(error))
            return
        if workspace is None:
            await workspace_pages.nothing(scope, send)
            return
        root = f"{self._base}{PREFIX}{slug}"
        if rest is None:
            await workspace_pages.lead(scope, send, f"{root}/")
            return
        room = self.hosting.room(workspace)
        scope = {**scope, "root_path": root, "path": f"{root}{rest}"}
        work_for(slug)
        app = room.app
        if app is None:
            await self._tell(scope, send, room)
            return
        await _while_open(app, room.over, scope, receive, send)

    async def _tell(self, scope, send, room: Room) -> None:
        if room.problem:
            await workspace_pages.failed(scope, send)
        else:
            await workspace_pages.opening(scope, send, room.told)

    async def _find(self, slug: str) -> Workspace | None:
        """Return the workspace that is served at a word of addresses."""
        if not is_slug(slug):
            return None
        known = self.hosting.known()
        if known is None or slug not in known:
            # Another replica may have made it a moment ago.
            known = await anyio.to_thread.run_sync(self.hosting.look)
        found = known.get(slug)
        return found if found and found.closed_at is None else None

    async def _live(self, scope, receive, send) -> None:
        """Live as long as the main app does; the others end before it."""
        self.hosting.begin(asyncio.get_running_loop())

        async def ending():
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.hosting.leave(), LEAVE_SECONDS)
            return message

        await self._main(scope, ending, send)


async def _while_open(app: FastAPI, over: asyncio.Event, scope, receive, send) -> None:
    """Answer a request; when the workspace is closed meanwhile, what would go on for ever ends as if the browser had gone."""
    asked = False
    # A stream that was begun and has no end yet.
    open_ended = False

    async def receiving():
        nonlocal asked
        if not asked:
            message = await receive()
            asked = not message.get("more_body", False)
            return message
        if over.is_set():
            return _GONE
        waits = [asyncio.ensure_future(receive()), asyncio.ensure_future(over.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return waits[0].result() if waits[0].done() else _GONE
        finally:
            for wait in waits:
                wait.cancel()

    async def sending(message):
        nonlocal open_ended
        if message["type"] == "http.response.start":
            open_ended = all(name.lower() != b"content-length" for name, _ in message.get("headers", ()))
        elif not message.get("more_body", False):
            open_ended = False
        await send(message)

    await app(scope, receiving, sending)
    if open_ended and over.is_set():
        await send({"type": "http.response.body", "body": b""})


def placed(scope, base: str):
    """Return a request whose path is below that of the app, whether the proxy before it has taken that away or not."""
    if not base or scope["type"] not in ("http", "websocket"):
        return scope
    path = scope["path"]
    if path != base and not path.startswith(f"{base}/"):
        path = f"{base}{path}"
    return {**scope, "path": path, "root_path": base}


def _wanted(scope) -> str:
    """Return the word of the workspace that somebody who comes back from the Hub began in; "" for the main one."""
    state = parse_qs(scope["query_string"].decode("latin-1")).get("state", [""])[0]
    slug, dot, _ = state.partition(".")
    return slug if dot else ""
