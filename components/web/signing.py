"""The routes of sign-in: pages and forms that come before the app, and the way out of it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from components._guard import PUBLIC
from components._session import (
    COOKIE,
    SIGN_IN,
    cookie,
    is_secure,
    named,
    of_workspace,
    person_cookie,
    sign_in_token,
    value_of,
)
from components.theme import ASSETS
from components.web import signing_html
from components.web.protection import frame_rule
from components.web.signing_html import Typed
from pipeline.auth.hub import FLIGHT_SECONDS
from pipeline.entrance import Guest, MustChangeError, NotMemberError
from pipeline.errors import AccessError, InvitationError, PipelineError, RecordError
from pipeline.services import Services
from pipeline.settings import Entry, SignIn, is_loopback
from pipeline.store.sign_ins import DAY, MOST_DAYS
from pipeline.workspaces import PREFIX

FLIGHT = "pairloop_flight"
_MOST_FORM = 10_000
_PERSON = re.compile(r"[0-9a-f]{64}")
# Begun at /, gone on within this site: no second slash, no backslash, which browsers take for one, and nothing unprintable.
_LOCAL = re.compile(r"/(?![/\\])[!-\[\]-~]*")
_NOT_FOUND = "People do not sign in like this here."
_NOT_OURS = "Only Pairloop's own page may send this."
_TOO_MUCH = "That is more than this form takes."


def pages_with_cookie(services: Services) -> tuple[str, ...]:
    """Return the pages that give a browser the cookie by which it is known without signing in."""
    return {SignIn.OPEN: ("/",), SignIn.NAME: ("/sign-in", "/join")}.get(services.entrance.mode, ())


def _based(page: str, base: str) -> str:
    """Return a page whose addresses within the app are below the path that the app has."""
    # What people typed has no quotation mark in it: it is told as &quot;.
    return re.sub(r'(\s(?:href|src|action)=")/', rf"\1{base}/", page) if base else page


def local(address: str) -> str:
    """Return an address to go on to where it is one of this app, else its first page."""
    fits = _LOCAL.fullmatch(address) and not address.startswith(("/sign-", "/join", "/new-password"))
    return address if fits and len(address) <= 2000 else "/"


def public_address(request: Request, entry: Entry) -> str:
    """Return the address under which a browser reaches the main workspace of the server, for the Hub to send people back to.

    The Hub knows that one alone; from there they are led to the workspace that they want (``components.web.workspaces``).

    Raises:
        AccessError: it is not known. What a request says of it is believed only where it is one of those that are.
    """
    host = request.headers.get("host", "").lower()
    below = f"{PREFIX}{entry.workspace}" if entry.workspace else ""
    base = entry.base.removesuffix(below)
    if entry.space_hosts:
        known = host if host in entry.space_hosts else entry.space_hosts[0]
        return f"http://{known}{base}" if is_loopback(f"http://{known}") else f"https://{known}{base}"
    if entry.public_url:
        return entry.public_url.removesuffix(below)
    scheme = "https" if is_secure(request.scope) else "http"
    if re.fullmatch(r"[\w.\[\]:-]+", host) and is_loopback(f"{scheme}://{host}"):
        return f"{scheme}://{host}{base}"
    raise AccessError("The app does not know its own address. Whoever runs it sets PAIRLOOP_PUBLIC_URL.")


def guest_of(request: Request, entry: Entry) -> Guest:
    """Return the browser that a request comes from."""
    address = request.client.host if request.client else ""
    if entry.space_id:
        # The last one is what the proxy of the Space has seen; those before it are what somebody says.
        address = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip() or address
    found = value_of(request.headers.get("cookie", ""), of_workspace(COOKIE, entry.workspace))
    return Guest(address, found if _PERSON.fullmatch(found) else "")


def check_sender(request: Request) -> None:
    """Check that a browser says which page a request comes from; what other sites' pages send is refused at the door.

    Raises:
        AccessError: it does not.
    """
    if not {"origin", "sec-fetch-site"} & set(request.headers):
        raise AccessError(_NOT_OURS)


async def read_form(request: Request) -> Mapping[str, str]:
    """Return the fields of a form of ours.

    Raises:
        AccessError: it was sent by something else.
    """
    check_sender(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise AccessError(_NOT_OURS)
    received = bytearray()
    async for part in request.stream():
        received += part
        if len(received) > _MOST_FORM:
            raise AccessError(_TOO_MUCH)
    try:
        return dict(parse_qsl(received.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20))
    except ValueError as error:
        raise AccessError(_TOO_MUCH) from error


Form = Annotated[Mapping[str, str], Depends(read_form)]


class _Pages:
    """The routes, each a method."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._entrance = services.entrance
        self._entry = services.settings.entry

    def sign_in(self, request: Request, next: str = "/") -> Response:
        """Show the page that fits the mode."""
        if self._entrance.mode is SignIn.OPEN or self._is_in(request):
            return self._go(local(next))
        typed = Typed(next=local(next))
        return self._html(self._first_page(request, typed))

    def enter(self, request: Request, form: Form) -> Response:
        """Sign in with what was typed."""
        typed = Typed(form.get("name", "")[:200], form.get("code", "")[:200], local(form.get("next", "/")))
        guest, fresh = self._guest(request), secrets.token_hex(32)
        try:
            if self._entrance.mode is SignIn.ACCOUNTS:
                token = self._entrance.sign_in(typed.name, form.get("password", ""), guest)
            elif self._entrance.mode is SignIn.NAME:
                token = self._entrance.by_name(typed.name, typed.code, guest, fresh)
            else:
                raise AccessError(_NOT_FOUND)
        except MustChangeError as error:
            return self._html(signing_html.new_password(Typed(typed.name, next=typed.next), str(error)))
        except PipelineError as error:
            shown = Typed(typed.name, typed.code, typed.next, str(error))
            return self._html(self._first_page(request, shown), _status(error))
        return self._come_in(request, token, typed.next, self._person(request, fresh))

    def join(self, request: Request, code: str = "") -> Response:
        """Show the page for whoever has the link of an invitation."""
        if self._entrance.mode is SignIn.OPEN or self._is_in(request):
            return self._go("/")
        try:
            role = self._entrance.invitation(code, self._guest(request)).role
        except AccessError as error:
            return self._stays_out(error)
        if self._entrance.mode is SignIn.ACCOUNTS:
            return self._html(signing_html.join(Typed(code=code), role))
        if self._entrance.mode is SignIn.NAME:
            mine = self._entrance.is_somebodys(self._guest(request).cookie)
            return self._html(signing_html.by_name(Typed(code=code), mine, role))
        return self._html(signing_html.hub("/", code, _framed(request), self._entry.provider, role))

    def make_account(self, request: Request, form: Form) -> Response:
        """Make a local account for whoever has the code of an invitation."""
        name, code = form.get("name", "")[:200], form.get("code", "")[:200]
        guest = self._guest(request)
        try:
            if self._entrance.mode is not SignIn.ACCOUNTS:
                raise AccessError(_NOT_FOUND)
            token = self._entrance.join_with_password(code, name, _twice(form), guest)
        except AccessError as error:
            return self._stays_out(error)
        except PipelineError as error:
            try:
                role = self._entrance.invitation(code, guest).role
            except AccessError as over:
                return self._stays_out(over)
            return self._html(signing_html.join(Typed(name, code, error=str(error)), role), 422)
        return self._come_in(request, token, "/")

    def new_password(self, request: Request) -> Response:
        """Show the page for another password."""
        if self._entrance.mode is not SignIn.ACCOUNTS:
            return self._go("/sign-in")
        return self._html(signing_html.new_password(Typed(), ""))

    def save_password(self, request: Request, form: Form) -> Response:
        """Take another password in."""
        name = form.get("name", "")[:200]
        typed = Typed(name, next=local(form.get("next", "/")))
        try:
            if self._entrance.mode is not SignIn.ACCOUNTS:
                raise AccessError(_NOT_FOUND)
            new, guest = _twice(form), self._guest(request)
            token = self._entrance.change_password(name, form.get("password", ""), new, guest)
        except PipelineError as error:
            shown = signing_html.new_password(Typed(name, next=typed.next, error=str(error)), "")
            return self._html(shown, _status(error))
        return self._come_in(request, token, typed.next)

    def to_hub(self, request: Request, next: str = "/", code: str = "") -> Response:
        """Send somebody to the Hub."""
        if self._entrance.mode is not SignIn.HUGGINGFACE:
            return self._go("/sign-in")
        try:
            back = f"{public_address(request, self._entry)}/sign-in/callback"
            address, kept = self._entrance.hub.begin(back, local(next), code[:200])
        except AccessError as error:
            return self._html(signing_html.failed("Sign-in failed", str(error)), 503)
        secure = is_secure(request.scope)
        answer = _to_the_hub(address)
        # Sent along when the Hub leads back here, and within no frame of another site.
        answer.headers.append(
            "set-cookie", cookie(self._named(FLIGHT, secure), kept, FLIGHT_SECONDS, secure, strict=True)
        )
        return answer

    def from_hub(self, request: Request, code: str = "", state: str = "", error: str = "") -> Response:
        """Take in who comes back from the Hub."""
        if self._entrance.mode is not SignIn.HUGGINGFACE:
            return self._go("/sign-in")
        person = None
        try:
            name = self._named(FLIGHT, is_secure(request.scope))
            flight = self._entrance.hub.flight(value_of(request.headers.get("cookie", ""), name), state)
            if error:
                raise AccessError(
                    "The Hub was told not to sign you in. Begin again and allow it, if you want to come in."
                )
            person = self._entrance.hub.finish(flight, code)
            token = self._entrance.by_hub(person, flight.code, self._guest(request))
        except NotMemberError:
            answer = self._html(self._no_member(person.login), 403)
        except PipelineError as refused:
            answer = self._html(signing_html.failed("Sign-in failed", str(refused)), 403)
        else:
            answer = self._come_in(request, token, flight.next)
        answer.headers.append("set-cookie", self._gone(request, FLIGHT))
        return answer

    def sign_out(self, request: Request) -> Response:
        """End the sign-in of this browser."""
        check_sender(request)
        self._entrance.sign_out(self._token(request))
        answer = self._go("/sign-in")
        answer.headers.append("set-cookie", self._gone(request, SIGN_IN))
        # What the page had in its memory is not for whoever uses the browser next.
        answer.headers["Clear-Site-Data"] = '"cache"'
        return answer

    def _first_page(self, request: Request, typed: Typed) -> str:
        if self._entrance.mode is SignIn.ACCOUNTS:
            return signing_html.account(typed)
        if self._entrance.mode is SignIn.NAME:
            return signing_html.by_name(typed, self._entrance.is_somebodys(self._guest(request).cookie))
        return signing_html.hub(typed.next, "", _framed(request), self._entry.provider, error=typed.error)

    def _stays_out(self, error: AccessError) -> Response:
        """Show the page for whoever does not come in by an invitation, be it because of that or of something else."""
        title = "This invitation lets nobody in" if isinstance(error, InvitationError) else "Sign-in failed"
        return self._html(signing_html.failed(title, str(error)), 403)

    def _no_member(self, login: str) -> str:
        hub, space = self._entry.provider, self._entry.space_id
        return signing_html.no_member(
            login, self._entrance.whom_to_ask(), hub, f"{hub}/spaces/{space}" if space else ""
        )

    def _come_in(self, request: Request, token: str, next_: str, person: str = "") -> Response:
        """Let a browser in, with a cookie that nobody had before."""
        # Whoever was signed in in this browser until now is not any more.
        self._entrance.sign_out(self._token(request))
        answer, secure = self._go(next_), is_secure(request.scope)
        # As long as a sign-in lasts at most: how long this one does is decided by its row, which goes on while it is used.
        answer.headers.append("set-cookie", cookie(self._named(SIGN_IN, secure), token, int(MOST_DAYS * DAY), secure))
        if person:
            answer.headers.append("set-cookie", person_cookie(secure, person, self._entry.workspace))
        return answer

    def _person(self, request: Request, fresh: str) -> str:
        """Return the cookie by which a browser is known from now on, where it has become another one."""
        return fresh if self._services.store.members.known(fresh) else ""

    def _is_in(self, request: Request) -> bool:
        return self._entrance.signed_in(self._token(request)) is not None

    def _guest(self, request: Request) -> Guest:
        return guest_of(request, self._entry)

    def _html(self, page: str, status: int = 200) -> HTMLResponse:
        rules = "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; base-uri 'none'; "
        headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": rules + frame_rule(self._entry),
            "Referrer-Policy": "same-origin",
        }
        # Who signs in to several workspaces of one server sees which one this is. The main one stands at its own address.
        name = self._services.store.values.workspace_name() if self._entry.workspace else ""
        return HTMLResponse(signing_html.of(_based(page, self._entry.base), name), status, headers=headers)

    def _go(self, address: str) -> Response:
        """Lead to an address within the app."""
        return RedirectResponse(f"{self._entry.base}{address}", 303, headers={"Cache-Control": "no-store"})

    def _named(self, name: str, secure: bool) -> str:
        return named(name, secure, self._entry.workspace)

    def _gone(self, request: Request, name: str) -> str:
        secure = is_secure(request.scope)
        return cookie(self._named(name, secure), "", 0, secure)

    def _token(self, request: Request) -> str:
        return sign_in_token(request.scope, self._entry.workspace)


def router(services: Services) -> APIRouter:
    """Return the routes, which everybody may ask."""
    routes, pages = APIRouter(dependencies=[PUBLIC]), _Pages(services)
    gets: dict[str, Callable] = {
        "/sign-in": pages.sign_in,
        "/sign-in/hub": pages.to_hub,
        "/sign-in/callback": pages.from_hub,
        "/join": pages.join,
        "/new-password": pages.new_password,
        "/sign-in/style.css": lambda: _asset("sign_in.css", "text/css"),
        "/sign-in/script.js": lambda: _asset("sign_in.js", "text/javascript"),
    }
    posts: dict[str, Callable] = {
        "/sign-in": pages.enter,
        "/join": pages.make_account,
        "/new-password": pages.save_password,
        "/sign-out": pages.sign_out,
    }
    for path, route in gets.items():
        routes.get(path, response_model=None)(route)
    for path, route in posts.items():
        routes.post(path, response_model=None)(route)
    return routes


def _twice(form: Mapping[str, str]) -> str:
    if form.get("new") != form.get("again"):
        raise RecordError("The two new passwords differ: type the same one twice.")
    return form.get("new", "")


def _asset(name: str, kind: str) -> Response:
    return Response((ASSETS / name).read_bytes(), media_type=kind, headers={"Cache-Control": "max-age=3600"})


def _to_the_hub(address: str) -> Response:
    return RedirectResponse(address, 303, headers={"Cache-Control": "no-store"})


def _status(error: PipelineError) -> int:
    return 403 if isinstance(error, AccessError) else 422


def _framed(request: Request) -> bool:
    """Say whether a page is shown within another one, as browsers tell it over https and on this machine."""
    return request.headers.get("sec-fetch-dest", "") in ("iframe", "frame")
