"""What stands before the routes of ``/api/v1``: who brings a body, and how much of it is taken in."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import contextmanager

from anyio import to_thread
from fastapi.exceptions import HTTPException
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers

from pipeline.cleaning import clean
from pipeline.errors import LimitError, PipelineError
from pipeline.records import Role
from pipeline.services import Services

MAX_BODY = 1_000_000
MAX_TOLD = 1_000
TOO_MUCH = "That is more than the {:g} MB that this request may carry."
AT_ONCE = "Another large request of yours is still being taken in: send them one after the other."
# What brings files or records is an admin's, and may be large.
_BRINGS = re.compile(r"/documents|/datasets/[^/]+/records")
# No route reads the body of one of these.
_BARE = ("GET", "HEAD", "OPTIONS")


class Gate:
    """ASGI middleware: nothing of a body is received from who may not send it, nor more of it than the route takes.

    FastAPI itself reads and parses a body before it asks whose it is.
    """

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        services: Services,
        told: Callable[[PipelineError], JSONResponse],
    ) -> None:
        self._app = app
        self._services = services
        self._told = told
        self._files = services.settings.max_upload_mb * 1_000_000
        self._sending: set[str] = set()

    async def __call__(self, scope, receive, send) -> None:
        """Pass a request on from who may send it, and count what is read of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        brings = scope["method"] == "POST" and _BRINGS.fullmatch(path) is not None
        # What is around the files in a form is no file.
        most = MAX_BODY + (self._files if brings else 0)
        length = headers.get("content-length", "0")
        large = brings and ("content-length" not in headers or not length.isdigit() or int(length) > MAX_BODY)
        try:
            me = ""
            if scope["method"] not in _BARE:
                # The store is asked, which may wait for another process.
                me = await to_thread.run_sync(self._person, headers.get("authorization"), brings)
            if not length.isdigit() or int(length) > most:
                await refused(TOO_MUCH.format(most / 1e6), 413)(scope, receive, send)
                return
            with self._alone(me if large else "") as free:
                await self._app(scope, _counted(receive, most), _before_answer(free, send))
        except _RefusedError as error:
            await self._told(error.reason)(scope, receive, send)

    def _person(self, header: str | None, brings: bool) -> str:
        try:
            me = self._services.tokens.person(header)
            if brings:
                self._services.people.needs(me, Role.ADMIN)
        except PipelineError as error:
            raise _RefusedError(error) from error
        return me

    @contextmanager
    def _alone(self, me: str):
        """Hold the one place for a large request that each person has; give what frees it early."""
        if me in self._sending:
            raise _RefusedError(LimitError(AT_ONCE, 5))
        if me:
            self._sending.add(me)
        freed = False

        def free() -> None:
            nonlocal freed
            # Once: after that the place may be that of their next request.
            if not freed:
                freed = True
                self._sending.discard(me)

        try:
            yield free
        finally:
            free()


def refused(message: str, status: int, headers: dict[str, str] | None = None, **more: object) -> JSONResponse:
    """Return an error as the API tells it."""
    kept = {"Cache-Control": "no-store", **(headers or {})}
    return JSONResponse({"error": clean(message)[:MAX_TOLD], **more}, status, headers=kept)


class _RefusedError(Exception):
    def __init__(self, reason: PipelineError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _before_answer(free: Callable[[], None], send):
    """Return ``send`` that frees a place first: who has read the answer may send the next one at once."""

    async def sending(message) -> None:
        if message["type"] == "http.response.start":
            free()
        await send(message)

    return sending


def _counted(receive, most: int):
    read = 0

    async def counted():
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > most:
            raise HTTPException(413, TOO_MUCH.format(most / 1e6))
        return message

    return counted
