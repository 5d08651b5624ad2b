"""The door of the server: what other sites may not ask, which of Gradio's own addresses there are, and who gets to them.

Gradio answers at many addresses that no page of this app needs. What is not listed here is not there.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from urllib.parse import parse_qs, quote, urlsplit

import anyio
from starlette.routing import BaseRoute, Match

from components._guard import ASKER, SIGNED_OUT, Asker
from components._session import sign_in_token
from pipeline.errors import AccessError, SignedOutError
from pipeline.records import Role
from pipeline.services import Services
from pipeline.settings import Entry

_API = "/gradio_api"
# Which role gets to which address of Gradio's. Listeners have roles of their own beside these.
GRADIO: tuple[tuple[str, Role], ...] = (
    (r"/(config/?|theme\.css|favicon\.ico|robots\.txt|manifest\.json|pwa_icon(/\d+)?)?", Role.VIEWER),
    (r"/(assets|static|svelte)/.+", Role.VIEWER),
    (rf"{_API}/(info|openapi\.json|app_id|startup-events|theme\.css|cancel|reset|upload_progress)/?", Role.VIEWER),
    (rf"{_API}/queue/(join|data|status)", Role.VIEWER),
    (rf"{_API}/(run|api|call|call/v2)/[\w-]+/?", Role.VIEWER),
    (rf"{_API}/(call|call/v2)/[\w-]+/[\w-]+", Role.VIEWER),
    (rf"{_API}/heartbeat/[\w-]+", Role.VIEWER),
    (rf"{_API}/file[=/].+", Role.VIEWER),
    # Whatever takes a file is an admin's.
    (rf"{_API}/upload/?", Role.ADMIN),
)
_GRADIO = tuple((re.compile(pattern), role) for pattern, role in GRADIO)
_BODY_WITH_SESSION = re.compile(rf"{_API}/(queue/join|run/.+|api/.+|call/.+|cancel/?|reset/?)")
# As tokens of the API begin; a proxy before the app may have others.
_PROGRAM = re.compile(r"(?i:bearer) +pl_")
_MOST_SESSIONS = 20_000
FOREIGN = "Only Pairloop's own page may ask this. Where a proxy stands before the app, set PAIRLOOP_PUBLIC_URL."
OTHERS_PAGE = "This page was opened by somebody else. Reload it."


def role_for(path: str) -> Role | None:
    """Return who gets to an address of Gradio's, or None where nobody does."""
    return next((role for pattern, role in _GRADIO if pattern.fullmatch(path)), None)


class Door:
    """ASGI middleware before everything: refuses what other sites ask, and who may not come in."""

    def __init__(self, app: Callable, services: Services, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._services = services
        self._routes = routes
        self._pages = _Pages()
        self._most = services.settings.max_upload_mb * 1_000_000

    async def __call__(self, scope, receive, send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            # Neither we nor Gradio speak over web sockets.
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = _headers(scope)
        framing = frame_rule(self._services.settings.entry)
        send = _adding(send, framing)
        if is_foreign(scope, headers, self._services.settings.entry):
            await _refuse(send, 403, FOREIGN)
            return
        program = headers.get("authorization", "")
        scope = {
            **scope,
            ASKER: Asker(self._services, sign_in_token(scope), program if _PROGRAM.match(program) else ""),
        }
        if any(route.matches(scope)[0] is not Match.NONE for route in self._routes):
            await self._app(scope, receive, send)
            return
        await self._to_gradio(scope, receive, send)

    async def _to_gradio(self, scope, receive, send) -> None:
        role = role_for(scope["path"])
        if role is None:
            await _refuse(send, 404, "There is nothing at this address.")
            return
        if not self._services.people.open:
            try:
                member_id, held = await anyio.to_thread.run_sync(scope[ASKER].let_in)
                if not held.covers(role):
                    raise AccessError(self._services.people.refusal(role))
            except SignedOutError:
                await _send_to_sign_in(scope, send)
                return
            except AccessError as error:
                await _refuse(send, 403, str(error))
                return
            receive = await self._page_of(scope, receive, send, member_id)
        if receive is not None:
            await self._app(scope, receive, send)

    async def _page_of(self, scope, receive, send, member_id: str):
        """Return what the request is read by, when its page is one of whoever asks; else answer, and return None."""
        pages, receive = [scope["path"].rpartition("/")[2]] if "/heartbeat/" in scope["path"] else [], receive
        pages += parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [])
        if scope["method"] == "POST" and _BODY_WITH_SESSION.fullmatch(scope["path"]):
            body = await _read(receive, self._most)
            if body is None:
                await _refuse(send, 413, "That is too much at once.")
                return None
            pages += _page_in(body)
            receive = _again(body, receive)
        if not all(self._pages.are_of(page, member_id) for page in pages):
            await _refuse(send, 403, OTHERS_PAGE)
            return None
        return receive


class _Pages:
    """Whose the pages are that Gradio knows by a ``session_hash``: of whoever came with it first."""

    def __init__(self) -> None:
        self._owners: OrderedDict[str, str] = OrderedDict()

    def are_of(self, page: str, member_id: str) -> bool:
        """Say whether a page is a person's, who gets it where it is nobody's yet."""
        owner = self._owners.setdefault(page, member_id)
        self._owners.move_to_end(page)
        if len(self._owners) > _MOST_SESSIONS:
            self._owners.popitem(last=False)
        return owner == member_id


def is_foreign(scope, headers: dict[str, str], entry: Entry) -> bool:
    """Say whether another site's page makes this request; that somebody follows a link to here is no such request.

    Cookies that are sent within the frame of a Space are sent along with requests of every other site too.
    """
    reads = scope["method"] in ("GET", "HEAD")
    if reads and headers.get("sec-fetch-mode") == "navigate":
        return False
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return False
    here = {headers.get("host", "").lower(), urlsplit(entry.public_url).netloc.lower()} - {""}
    return urlsplit(origin).netloc.lower() not in here


def frame_rule(entry: Entry) -> str:
    """Return which pages may show this one in a frame: of a Space those of the Hub, else only its own."""
    if entry.space_id:
        return f"frame-ancestors 'self' {entry.provider} https://*.hf.space"
    return "frame-ancestors 'self'"


def _adding(send, framing: str):
    """Return ``send`` with what every answer says about frames and kinds, where it does not say more itself."""

    async def adding(message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            names = {name.lower() for name, _ in headers}
            if b"content-security-policy" not in names:
                headers.append((b"content-security-policy", framing.encode()))
            if b"x-content-type-options" not in names:
                headers.append((b"x-content-type-options", b"nosniff"))
            message = {**message, "headers": headers}
        await send(message)

    return adding


def _headers(scope) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        joined = "; " if key == "cookie" else ", "
        found[key] = f"{found[key]}{joined}{value.decode('latin-1')}" if key in found else value.decode("latin-1")
    return found


async def _send_to_sign_in(scope, send) -> None:
    """Lead a page to the sign-in; tell everything else that nobody is signed in."""
    if scope["path"] != "/" or scope["method"] not in ("GET", "HEAD"):
        await _refuse(send, 401, SIGNED_OUT)
        return
    query = scope["query_string"].decode("latin-1")
    wished = f"/?{query}" if query else "/"
    address = "/sign-in" if wished == "/" else f"/sign-in?next={quote(wished, safe='')}"
    headers = [(b"location", address.encode()), (b"cache-control", b"no-store"), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _refuse(send, status: int, message: str) -> None:
    # Gradio's page shows "detail", ours "error".
    body = json.dumps({"error": message, "detail": message}).encode()
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _read(receive, most: int) -> bytes | None:
    received = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(received)
        received += message.get("body", b"")
        if len(received) > most:
            return None
        if not message.get("more_body", False):
            return bytes(received)


def _again(body: bytes, receive):
    """Return a ``receive`` that gives a body that was read, and then what comes after it."""
    given = False

    async def again():
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _page_in(body: bytes) -> list[str]:
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        return []
    page = sent.get("session_hash") if isinstance(sent, dict) else None
    return [page] if isinstance(page, str) and page else []
