"""Who is asking: the person behind a browser's cookie."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable

import gradio as gr
from fastapi import Request

from pipeline.errors import PipelineError
from pipeline.services import Services

COOKIE = "pairloop_person"
_TOKEN = re.compile(r"[0-9a-f]{64}")
_YEAR = 365 * 24 * 3600


def person(services: Services, request: gr.Request | Request) -> str:
    """Return the id of the person whose browser sent this request, to a listener or to a route.

    Raises:
        PipelineError: the request has no cookie of ours, so nothing can be kept under anybody's name.
    """
    # Not get(): Gradio makes attributes of the cookies, and another app on this host may have set one of that name.
    token = request.cookies[COOKIE] if request is not None and COOKIE in request.cookies else ""
    if not _TOKEN.fullmatch(token):
        raise PipelineError(
            "Your browser sent no cookie, so your work could not be kept. Allow cookies and reload the page."
        )
    return services.store.members.by_token(token)


def owner(services: Services, request: gr.Request | Request) -> str:
    """Return the id of the person who is asking, where that is an owner: everybody is one as long as there are no roles.

    What decides where the server sends requests and keys, and what models are told, is an owner's choice only.

    Raises:
        PipelineError: as for :func:`person`.
    """
    return person(services, request)


class PersonCookie:
    """ASGI middleware that gives every new browser a random cookie with the page."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope, receive, send) -> None:
        """Pass the request on; add the cookie to the answer of a page that came without one."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] != "/" or _has_cookie(scope):
            await self._app(scope, receive, send)
            return
        header = (b"set-cookie", _cookie(scope).encode())

        async def send_with_cookie(message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), header]}
            await send(message)

        await self._app(scope, receive, send_with_cookie)


def _has_cookie(scope) -> bool:
    cookies = b"; ".join(value for name, value in scope["headers"] if name == b"cookie").decode("latin-1")
    return re.search(rf"(?:^|; ){COOKIE}=[0-9a-f]{{64}}(?:;|$)", cookies) is not None


def _cookie(scope) -> str:
    headers = dict(scope["headers"])
    secure = scope["scheme"] == "https" or headers.get(b"x-forwarded-proto", b"").startswith(b"https")
    # Inside another site's frame, as a Space is shown, only SameSite=None cookies are sent, and those must be Secure.
    rules = "SameSite=None; Secure" if secure else "SameSite=Lax"
    return f"{COOKIE}={secrets.token_hex(32)}; Path=/; Max-Age={_YEAR}; HttpOnly; {rules}"
