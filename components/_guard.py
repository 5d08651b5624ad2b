"""Who may do what: each listener and each route is given the role that it needs, and one without is no part of the app.

A Gradio listener can be called over HTTP by whoever reaches the app, whatever the page shows; so the role is checked here, when
it is called. :class:`components.web.door.Door` puts who asks into the request.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

import gradio as gr
from anyio import to_thread
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.routing import BaseRoute, Mount

from components._errors import shows_errors
from pipeline.errors import AccessError, SignedOutError
from pipeline.records import Role
from pipeline.services import Services
from pipeline.store.sign_ins import SignedIn

ASKER = "pairloop.asker"
_ASKED: ContextVar[gr.Request | None] = ContextVar("asked", default=None)
SIGNED_OUT = "You are not signed in, or no longer. Sign in and try again."


@dataclass(frozen=True, slots=True)
class Asker:
    """Who sent a request: whoever is signed in with its cookie, at the moment when that is asked.

    ``program`` is the header ``Authorization`` of a program. It gets to Gradio's own addresses as its person, and to the
    listeners that are made for programs; to the screens' it is nobody, so that a token can make no other token. ``browser`` is
    the cookie by which a browser is known where nobody signs in.
    """

    services: Services
    token: str
    program: str = ""
    browser: str = ""

    def let_in(self) -> tuple[str, Role]:
        """Return whom Gradio's addresses are open to, signed in or by a token, and what they may do.

        Raises:
            SignedOutError: nobody is.
        """
        if not self.program:
            found = self.signed_in()
            return found.member_id, found.role
        member_id = self.services.tokens.person(self.program)
        role = self.services.people.role_of(member_id)
        if role is None:
            raise SignedOutError(SIGNED_OUT)
        return member_id, role

    def signed_in(self) -> SignedIn:
        """Return who it is.

        Raises:
            SignedOutError: nobody is signed in, or no longer.
        """
        found = self.services.entrance.signed_in(self.token)
        if found is None:
            raise SignedOutError(SIGNED_OUT)
        return found

    def is_known_to_have(self, role: Role) -> bool:
        """Say whether whoever asks is known to have a role, without a look at the store; False where that takes a look."""
        if self.services.people.open:
            return True
        found = self.services.entrance.known(self.token)
        return found is not None and found.role.covers(role)

    def check(self, role: Role, cost: int = 0) -> None:
        """Check that whoever asks may do what needs a role, and what costs something not too often.

        Raises:
            AccessError: they may not.
            LimitError: not yet again.
        """
        if self.services.people.open:
            if cost:
                self.services.limits.take(self.browser, cost, browser=True)
            return
        found = self.signed_in()
        if not found.role.covers(role):
            raise AccessError(self.services.people.refusal(role))
        if cost:
            self.services.limits.take(found.member_id, cost)


def asker_of(request: gr.Request | Request | None) -> Asker:
    """Return who sent a request, to a listener or to a route.

    Raises:
        SignedOutError: the request did not come through the door.
    """
    # Gradio's own request only wraps the one that came.
    scope = getattr(getattr(request, "request", request), "scope", {})
    found = scope.get(ASKER)
    if found is None:
        raise SignedOutError(SIGNED_OUT)
    return found


def asked_by() -> gr.Request | None:
    """Return the request that called the listener which runs now; None outside of one."""
    return _ASKED.get()


def allowed(role: Role, handler: Callable, *, cost: int = 0, quiet: bool = False) -> Callable:
    """Wrap a handler for a listener: only who has ``role`` gets to it, and errors of the pipeline are shown in their words.

    ``cost`` is what it counts as of the costly actions that a person may do within a minute.
    ``quiet`` is for what the page asks by itself, of a part that it does not show to those who may not use it: they are refused
    all the same, and no message is shown for what they have not done.
    """

    def enter(asker: gr.Request | None) -> None:
        try:
            asker_of(asker).check(role, cost)
        except AccessError as error:
            error.quiet = quiet
            raise

    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def call(asker, *args, **kwargs):
            enter(asker)
            steps = handler(*args, **kwargs)
            try:
                while True:
                    # Each step may run in a context of its own.
                    before = _ASKED.set(asker)
                    try:
                        shown = next(steps)
                    except StopIteration:
                        return
                    finally:
                        _ASKED.reset(before)
                    yield shown
            finally:
                steps.close()
    else:

        @functools.wraps(handler)
        def call(asker, *args, **kwargs):
            enter(asker)
            before = _ASKED.set(asker)
            try:
                return handler(*args, **kwargs)
            finally:
                _ASKED.reset(before)

    _asks_for_the_request(call, handler)
    guarded = shows_errors(call)
    guarded.role, guarded.cost = role, cost
    return guarded


def check_listeners(app: gr.Blocks) -> None:
    """Check that each listener was given a role.

    Raises:
        RuntimeError: one was not, and would answer everybody.
    """
    bare = [fn.api_name or fn.name for fn in app.fns.values() if fn.fn is not None and role_of_listener(fn.fn) is None]
    if bare:
        raise RuntimeError(f"These listeners have no role, see components/_guard.py: {', '.join(map(str, bare))}")


def role_of_listener(handler: Callable) -> Role | None:
    """Return the role that a listener needs, or None where it was given none."""
    return getattr(handler, "role", None)


def cost_of_listener(handler: Callable) -> int:
    """Return what a listener counts as of the costly actions; 0 where it is none."""
    return getattr(handler, "cost", 0)


class _Needs:
    """What a route depends on: the role of whoever asks. None is for routes that are everybody's."""

    def __init__(self, role: Role | None) -> None:
        self.role = role

    async def __call__(self, request: Request) -> None:
        """Refuse whoever has not the role."""
        if self.role is None:
            return
        asker = asker_of(request)
        # The way into a thread and back costs more than all that is done there.
        if not asker.is_known_to_have(self.role):
            await to_thread.run_sync(asker.check, self.role)


def needs(role: Role):
    """Return the dependency of a route that needs a role."""
    return Depends(_Needs(role))


# The dependency of a route that everybody may ask, signed in or not.
PUBLIC = Depends(_Needs(None))


def check_routes(server: FastAPI) -> None:
    """Check that each of our own routes was given a role, or is said to be public.

    Raises:
        RuntimeError: one was not.
    """
    bare = [route.path for route in own_routes(server) if not needs_of(route)]
    if bare:
        raise RuntimeError(f"These routes have no role, see components/_guard.py: {', '.join(bare)}")


def refused(request: Request, error: AccessError) -> JSONResponse:
    """Answer a request of somebody who may not make it."""
    status = 401 if isinstance(error, SignedOutError) else 403
    return JSONResponse({"error": str(error)}, status, headers={"Cache-Control": "no-store"})


def own_routes(server: FastAPI) -> list[BaseRoute]:
    """Return the routes beside Gradio's, those of included routers each by itself."""
    found: list[BaseRoute] = []
    for route in server.routes:
        included = getattr(route, "original_router", None)
        found += included.routes if included is not None else [] if isinstance(route, Mount) else [route]
    return found


def needs_of(route: BaseRoute) -> list[Role | None]:
    """Return the roles that a route asks for; an empty list where nobody thought of it."""
    found = (depends.dependency for depends in getattr(route, "dependencies", ()))
    return [needed.role for needed in found if isinstance(needed, _Needs)]


def _asks_for_the_request(call: Callable, handler: Callable) -> None:
    """Let Gradio hand the request to a wrapper first, and everything else as to the handler that is wrapped."""
    asked = inspect.Parameter("asker", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=gr.Request)
    signature = inspect.signature(handler)
    call.__signature__ = signature.replace(parameters=[asked, *signature.parameters.values()])
    call.__annotations__ = {"asker": gr.Request, **getattr(handler, "__annotations__", {})}
