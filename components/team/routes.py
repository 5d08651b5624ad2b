"""What the script of the Team tab and of sprints (live.js) asks for again and again: pieces of HTML, over GET, under ``/team``.

These are no listeners of Gradio's: a hundred people who look at a sprint must not fill its queue.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from components._guard import needs
from components._session import person
from components.team.html import wanted_of
from components.team.progress import numbers_html
from components.team.sprints import all_html, quiet_html
from pipeline.errors import PipelineError
from pipeline.records import Role
from pipeline.services import Services

HEADERS = {"Cache-Control": "no-store"}


def router(services: Services) -> APIRouter:
    """Return the routes of the Team tab, and that of sprints where people work."""
    routes = APIRouter()

    @routes.get("/team/numbers", dependencies=[needs(Role.ADMIN)])
    def numbers(request: Request, of: str = "", span: str = "day") -> HTMLResponse:
        return _piece(lambda: numbers_html(services, wanted_of(of, span), person(services, request)))

    @routes.get("/team/sprints/all", dependencies=[needs(Role.ADMIN)])
    def all_sprints(request: Request) -> HTMLResponse:
        return _piece(lambda: all_html(services, person(services, request)))

    @routes.get("/team/sprints", dependencies=[needs(Role.ANNOTATOR)])
    def sprints(request: Request, place: str = "start") -> HTMLResponse:
        return _piece(lambda: quiet_html(services, person(services, request), place))

    return routes


def _piece(make) -> HTMLResponse:
    try:
        return HTMLResponse(make(), headers=HEADERS)
    except PipelineError:
        # A browser without a cookie, which is told so where it does something.
        return HTMLResponse("", 403, headers=HEADERS)
