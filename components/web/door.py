"""The door of the server: what other sites may not ask, which of Gradio's own addresses there are, and who gets to them.

Gradio answers at many addresses that no page of this app needs. What is not listed here is not there.
"""

from __future__ import annotations

import json
import re
import socket
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address
from urllib.parse import parse_qs, quote, unquote, urlsplit

import anyio
from starlette.routing import BaseRoute, Match

from components._guard import ASKER, SIGNED_OUT, Asker
from components._session import COOKIE, of_workspace, path_of, sign_in_token, value_of
from components.web import workspace_pages
from components.web.gradio_files import FILES, Lately, Wanted, wanted_in
from components.web.protection import protecting
from components.web.uploads import folder_of, is_within
from pipeline.errors import AccessError, LimitError, SignedOutError, StoreError
from pipeline.records import Role
from pipeline.services import Services
from pipeline.settings import Entry, Settings, is_loopback

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
_UPLOAD = re.compile(rf"{_API}/upload/?")
# It says nothing of anybody, and browsers ask for it by themselves: for the pages of sign-in, and for those of every workspace.
_ICON = "/favicon.ico"
_BODY_WITH_SESSION = re.compile(rf"{_API}/(queue/join|run/.+|api/.+|call/.+|cancel/?|reset/?)")
# Addresses whose last part Gradio takes for a page: of a call so where it does not know, or no longer, the event of that name.
_ENDS_IN_PAGE = re.compile(rf"{_API}/(heartbeat|(call|call/v2)/[\w-]+)/[\w-]+")
_FILES = f"{_API}/file"
# Another place than a file of this machine. A scheme has two letters at least: one alone is a drive of Windows.
_ELSEWHERE = re.compile(r"\s*([a-zA-Z][a-zA-Z0-9+.-]+:|[/\\]{2})")
# Gradio decodes an address once. More is for whatever stands between; without an end it would be work without an end.
_DECODED = 4
_FETCHED = re.compile(r"\s*((https?|ftp|file):|[/\\]{2})", re.IGNORECASE)
# Where a page of this app says that an uploaded file is. Which host it names counts for nothing: Gradio takes the path.
_OWN_FILE = re.compile(rf"https?://[^/?#\\]+(?:/[^?#\\]*)?{_API}/file=(.*)", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)]|([^\s\[\]:,/@]+?))\.?(?::\d*)?")
# Probes ask under whatever name or address they were told.
_PROBED = ("/healthz", "/readyz", "/metrics")
# As tokens of the API begin; a proxy before the app may have others.
_PROGRAM = re.compile(r"(?i:bearer) +pl_")
_MOST_SESSIONS = 20_000
_LONGEST_SESSION = 100
FOREIGN = "Only Pairloop's own page may ask this. Where a proxy stands before the app, set PAIRLOOP_PUBLIC_URL."
OTHERS_PAGE = "This page was opened by somebody else. Reload it."
STRANGE_HOST = (
    "This app does not know the address that you asked it under. If it is to be reached there, set PAIRLOOP_PUBLIC_URL."
)
NOT_UPLOADED = "A file must be uploaded. This app fetches none from an address."


def role_for(path: str) -> Role | None:
    """Return who gets to an address of Gradio's, or None where nobody does."""
    # Gradio would fetch what has an address of the web, and hand it out as if it were of this app.
    if path.startswith(_FILES) and _leads_elsewhere(path[len(_FILES) + 1 :]):
        return None
    return next((role for pattern, role in _GRADIO if pattern.fullmatch(path)), None)


class Door:
    """ASGI middleware before everything: refuses what other sites ask, and who may not come in."""

    def __init__(self, app: Callable, services: Services, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._services = services
        self._routes = routes
        self._pages = _Pages()
        self._lately = Lately()
        self._most = services.settings.max_upload_mb * 1_000_000
        self._names = names_of(services.settings)
        self._folder = folder_of(services.settings)

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
        entry = self._services.settings.entry
        path = path_of(scope)
        send = protecting(send, entry, path, file=False)
        if is_foreign(scope, headers, entry):
            await _refuse(scope, send, 403, FOREIGN)
            return
        if self._is_strange(scope, headers):
            await _refuse(scope, send, 421, STRANGE_HOST)
            return
        program = headers.get("authorization", "")
        scope = {
            **scope,
            ASKER: Asker(
                self._services,
                sign_in_token(scope, entry.workspace),
                program if _PROGRAM.match(program) else "",
                value_of(headers.get("cookie", ""), of_workspace(COOKIE, entry.workspace))[:_LONGEST_SESSION],
            ),
        }
        wanted = wanted_in(scope, path, headers)
        if wanted is None and any(route.matches(scope)[0] is not Match.NONE for route in self._routes):
            await self._app(scope, receive, send)
            return
        await self._to_gradio(scope, receive, send, wanted)

    def _is_strange(self, scope, headers: dict[str, str]) -> bool:
        """Say whether a request in open mode is for a host that this app is not.

        Another site's name can be made to lead to this machine. Its page would then be one of our own origin, and where nobody
        signs in it could do everything; where people sign in it has no cookie of theirs.
        """
        if not self._services.people.open or path_of(scope) in _PROBED:
            return False
        return not is_own_host(headers.get("host", ""), self._names, self._services.settings)

    async def _to_gradio(self, scope, receive, send, wanted: Wanted | None) -> None:
        role = role_for(path_of(scope))
        if role is None:
            await _refuse(scope, send, 404, "There is nothing at this address.")
            return
        asker, member_id = scope[ASKER], None
        lately = wanted is not None and not asker.program and self._lately.has(asker.token)
        if not self._services.people.open and not lately and (path_of(scope) != _ICON or scope["method"] != "GET"):
            member_id = await self._let_in(scope, send, role)
            if member_id is None:
                return
        if wanted is not None:
            await FILES.answer(wanted, self._app, scope, receive, send)
            return
        if scope["method"] == "POST" and _UPLOAD.fullmatch(path_of(scope)):
            try:
                whose = asker.browser if member_id is None else member_id
                self._services.limits.take(whose, browser=member_id is None)
            except LimitError as error:
                await _refuse(scope, send, 429, str(error))
                return
        receive = await self._checked(scope, receive, send, member_id)
        if receive is None:
            return
        if path_of(scope).startswith(_FILES):
            # Only what Gradio answers may be a file; what is refused above is said on a page of ours.
            send = protecting(send, self._services.settings.entry, path_of(scope), file=True)
        await self._app(scope, receive, send)

    async def _let_in(self, scope, send, role: Role) -> str | None:
        """Return who asks, where they may come in; else answer, and return None."""
        asker = scope[ASKER]
        try:
            member_id, held = await anyio.to_thread.run_sync(asker.let_in)
            if not held.covers(role):
                raise AccessError(self._services.people.refusal(role))
        except SignedOutError:
            self._lately.drop(asker.token)
            await _send_to_sign_in(scope, send)
        except AccessError as error:
            await _refuse(scope, send, 403, str(error))
        except StoreError as error:
            await _refuse(scope, send, 503, str(error))
        else:
            if not asker.program:
                self._lately.add(asker.token)
            return member_id
        return None

    async def _checked(self, scope, receive, send, member_id: str | None):
        """Return what the request is read by, when Gradio may have it; else answer, and return None.

        It may not where it names a page of somebody else than ``member_id``, who is None where nobody signs in, or where it
        would have Gradio fetch a file.
        """
        pages = _pages_named(scope)
        if scope["method"] == "POST" and _BODY_WITH_SESSION.fullmatch(path_of(scope)):
            body = await _read(receive, self._most)
            if body is None:
                await _refuse(scope, send, 413, "That is too much at once.")
                return None
            try:
                sent = json.loads(body)
            except RecursionError:
                await _refuse(scope, send, 422, "That is nested too deeply.")
                return None
            except ValueError:
                # Gradio reads it alike, and says so.
                sent = None
            if _has_file_of_elsewhere(sent) or not all(is_within(path, self._folder) for path in _paths_in(sent)):
                await _refuse(scope, send, 422, NOT_UPLOADED)
                return None
            pages += _page_in(sent)
            receive = _again(body, receive)
        if any(len(page) > _LONGEST_SESSION for page in pages):
            await _refuse(scope, send, 400, "The name of a page is too long.")
            return None
        if member_id is not None and not all(self._pages.are_of(page, member_id) for page in pages):
            await _refuse(scope, send, 403, OTHERS_PAGE)
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


def names_of(settings: Settings) -> frozenset[str]:
    """Return the names of hosts that the app was told, and those that this machine has where it listens to others."""
    entry = settings.entry
    names = {urlsplit(address).hostname for address in (entry.public_url, *(f"//{host}" for host in entry.space_hosts))}
    if not _listens_to_itself(settings):
        own = socket.gethostname().lower()
        names |= {own, f"{own.removesuffix('.local')}.local", settings.host.lower()}
    return frozenset(filter(None, names))


def is_own_host(host: str, names: frozenset[str], settings: Settings) -> bool:
    """Say whether the header Host of a request is of this app: one of ``names``, or an address that no name leads to."""
    found = _HOST.fullmatch(host.strip().lower())
    if found is None:
        return False
    name = found[1] or found[2]
    if name in names or name == "localhost":
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or not _listens_to_itself(settings)


def _listens_to_itself(settings: Settings) -> bool:
    return is_loopback(f"http://[{settings.host}]" if ":" in settings.host else f"http://{settings.host}")


def _headers(scope) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        joined = "; " if key == "cookie" else ", "
        found[key] = f"{found[key]}{joined}{value.decode('latin-1')}" if key in found else value.decode("latin-1")
    return found


async def _send_to_sign_in(scope, send) -> None:
    """Lead a page to the sign-in; tell everything else that nobody is signed in."""
    if path_of(scope) != "/" or scope["method"] not in ("GET", "HEAD"):
        await _refuse(scope, send, 401, SIGNED_OUT)
        return
    query = scope["query_string"].decode("latin-1")
    wished = f"/?{query}" if query else "/"
    # What is wished for is told as it is within the app.
    entrance = f"{scope.get('root_path', '')}/sign-in"
    address = entrance if wished == "/" else f"{entrance}?next={quote(wished, safe='')}"
    headers = [(b"location", address.encode()), (b"cache-control", b"no-store"), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _refuse(scope, send, status: int, message: str) -> None:
    if workspace_pages.is_looked_at(scope, _headers(scope).get("accept", "")):
        await workspace_pages.say(scope, send, status, message, workspace_pages.PLAIN)
        return
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


def _pages_named(scope) -> list[str]:
    """Return the pages that the address of a request names."""
    pages = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [])
    if scope["method"] != "POST" and _ENDS_IN_PAGE.fullmatch(path_of(scope)):
        pages.append(scope["path"].rpartition("/")[2])
    return pages


def _page_in(sent: object) -> list[str]:
    page = sent.get("session_hash") if isinstance(sent, dict) else None
    return [page] if isinstance(page, str) and page else []


def _leads_elsewhere(path: str) -> bool:
    """Say whether a path is none of this machine, be it that it is encoded some times over."""
    for _ in range(_DECODED):
        if _ELSEWHERE.match(path):
            return True
        path = unquote(path)
    return False


def _has_file_of_elsewhere(sent: object) -> bool:
    """Say whether Gradio would find a file in a body, at whatever depth, that was not uploaded to here.

    It fetches the path, before it calls whoever would check; the address beside it is of the page that shows the file.
    """
    return any(_is_of_elsewhere(file) for file in _files_in(sent))


def _paths_in(sent: object) -> list[str]:
    """Return the paths of the files that Gradio would find in a body."""
    return [file["path"] for file in _files_in(sent) if isinstance(file.get("path"), str)]


def _files_in(sent: object) -> Iterator[dict]:
    waiting = [sent]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            meta = value.get("meta")
            if isinstance(meta, dict) and meta.get("_type") == "gradio.FileData":
                yield value
            waiting += value.values()


def _is_of_elsewhere(file: dict) -> bool:
    path, address = file.get("path"), file.get("url")
    if isinstance(path, str) and _ELSEWHERE.match(path):
        return True
    if not isinstance(address, str) or not _FETCHED.match(address):
        return False
    own = _OWN_FILE.fullmatch(address)
    # Without a path of its own there is nothing that was uploaded.
    return not isinstance(path, str) or own is None or _leads_elsewhere(own[1])
