"""Who is asking: the person behind a browser's cookie."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable

import gradio as gr
from fastapi import Request

from components._guard import asker_of
from pipeline.errors import PipelineError
from pipeline.records import Role
from pipeline.services import Services

COOKIE = "pairloop_person"
SIGN_IN = "pairloop_sign_in"
_TOKEN = re.compile(r"[0-9a-f]{64}")
_YEAR = 365 * 24 * 3600


def person(services: Services, request: gr.Request | Request) -> str:
    """Return the id of the person whose browser sent this request, to a listener or to a route.

    Raises:
        PipelineError: the request has no cookie of ours, so nothing can be kept under anybody's name.
    """
    if not services.people.open:
        return asker_of(request).signed_in().member_id
    # Not get(): Gradio makes attributes of the cookies, and another app on this host may have set one of that name.
    name = of_workspace(COOKIE, services.settings.entry.workspace)
    token = request.cookies[name] if request is not None and name in request.cookies else ""
    if not _TOKEN.fullmatch(token):
        raise PipelineError(
            "Your browser sent no cookie, so your work could not be kept. Allow cookies and reload the page."
        )
    member_id = services.store.members.by_token(token)
    services.people.seen(member_id)
    return member_id


def owner(services: Services, request: gr.Request | Request) -> str:
    """Return the id of the person who is asking, where that is an owner.

    What decides where the server sends requests and keys, and what models are told, is an owner's choice only.

    Raises:
        PipelineError: as for :func:`person`, or it is no owner.
    """
    return holding(services, request, Role.OWNER)


def holding(services: Services, request: gr.Request | Request, role: Role) -> str:
    """Return the id of the person who is asking, where they have a role.

    Raises:
        PipelineError: as for :func:`person`, or they have it not.
    """
    member_id = person(services, request)
    services.people.needs(member_id, role)
    return member_id


def is_covered(services: Services, request: gr.Request | Request, role: Role) -> bool:
    """Say whether the person who is asking has a role, for words that lead only to what they may do.

    Raises:
        PipelineError: as for :func:`person`.
    """
    found = services.people.role_of(person(services, request))
    return found is not None and found.covers(role)


class PersonCookie:
    """ASGI middleware that gives every new browser a random cookie with a page."""

    def __init__(
        self, app: Callable[..., Awaitable[None]], pages: tuple[str, ...] = ("/",), workspace: str = ""
    ) -> None:
        self._app = app
        self._pages = pages
        self._workspace = workspace

    async def __call__(self, scope, receive, send) -> None:
        """Pass the request on; add the cookie to the answer of a page that came without one."""
        asked = scope["type"] == "http" and scope["method"] == "GET" and path_of(scope) in self._pages
        if not asked or _has_cookie(scope, of_workspace(COOKIE, self._workspace)):
            await self._app(scope, receive, send)
            return
        header = (b"set-cookie", person_cookie(is_secure(scope), workspace=self._workspace).encode())

        async def send_with_cookie(message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), header]}
            await send(message)

        await self._app(scope, receive, send_with_cookie)


def path_of(scope) -> str:
    """Return the path of a request within the app, wherever that is: below a path of a proxy, or of a workspace."""
    path, root = scope["path"], scope.get("root_path", "")
    below = path.removeprefix(root)
    return (below if below[:1] in ("", "/") else path) or "/"


def is_secure(scope) -> bool:
    """Say whether a request came over https, as the proxy before the app says."""
    headers = dict(scope["headers"])
    return scope["scheme"] == "https" or headers.get(b"x-forwarded-proto", b"").startswith(b"https")


def cookie(name: str, value: str, seconds: int, secure: bool, strict: bool = False) -> str:
    """Return the header that sets a cookie which scripts cannot read; ``strict`` keeps it out of other sites' frames.

    Inside another site's frame, as a Space is shown, only SameSite=None cookies are sent, and those must be Secure. They are not
    Partitioned: who signs in in a tab of its own would not be signed in within the frame.
    """
    rules = "SameSite=Lax; Secure" if secure and strict else "SameSite=None; Secure" if secure else "SameSite=Lax"
    return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; {rules}"


def person_cookie(secure: bool, token: str = "", workspace: str = "") -> str:
    """Return the header that gives a browser its cookie, a new one where none is given."""
    return cookie(of_workspace(COOKIE, workspace), token or secrets.token_hex(32), _YEAR, secure)


def of_workspace(name: str, workspace: str) -> str:
    """Return what a cookie is called in a workspace: all of a server have one path, which ``__Host-`` wants to be ``/``."""
    return f"{name}.{workspace}" if workspace else name


def named(name: str, secure: bool, workspace: str = "") -> str:
    """Return what a cookie is called: over https so that no other host, below or beside this one, can set it."""
    name = of_workspace(name, workspace)
    return f"__Host-{name}" if secure else name


def value_of(cookies: str, name: str) -> str:
    """Return the value of a cookie in the header of a request, or ""; of several the first one."""
    found = re.search(rf"(?:^|;)\s*{re.escape(name)}=([^;\s]*)", cookies)
    return found[1] if found else ""


def sign_in_token(scope, workspace: str = "") -> str:
    """Return the token of the sign-in to a workspace that a request comes with, or ""."""
    cookies = "; ".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie")
    return sign_in_of(cookies, is_secure(scope), workspace)


def sign_in_of(cookies: str, secure: bool, workspace: str) -> str:
    """Return the token of the sign-in to a workspace that is among some cookies, or ""."""
    token = value_of(cookies, named(SIGN_IN, secure, workspace))
    return token if _TOKEN.fullmatch(token) else ""


def _has_cookie(scope, name: str) -> bool:
    cookies = b"; ".join(value for header, value in scope["headers"] if header == b"cookie").decode("latin-1")
    return re.search(rf"(?:^|; ){re.escape(name)}=[0-9a-f]{{64}}(?:;|$)", cookies) is not None
