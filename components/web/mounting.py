"""One workspace as a web app: its screens, and beside them what is no screen."""

from __future__ import annotations

import functools
import sys

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.dependencies import models as dependencies
from fastapi.responses import JSONResponse

from components import theme
from components._guard import PUBLIC, check_routes, own_routes, refused
from components._session import PersonCookie
from components.api import routes as api_routes
from components.edit import annotate_routes
from components.results import report_routes
from components.team import routes as team_routes
from components.web import backup_route, health, signing, watching
from components.web.door import Door
from components.web.metrics import Measured, Metrics
from components.web.uploads import folder_of, keep_apart
from pipeline.errors import AccessError, StoreError
from pipeline.services import Services

# So many events wait at most; who comes then is told that the queue is full.
QUEUE = 1000
# So many open pages are remembered, each with about a megabyte; of more the one that was used least lately begins anew.
PAGES = 400


def mount(screens: gr.Blocks, services: Services) -> FastAPI:
    """Return the web server: the screens, and beside them health, metrics, the back-up's state, annotation and reports.

    Gradio's doors are shut.
    """
    metrics = Metrics(services)
    watching.watch(screens, metrics.handler)
    # Gradio limits the queue to one event on ZeroGPU where nobody says how many; without a limit it would grow for ever.
    screens.queue(max_size=QUEUE)
    without_statistics(screens)
    # Gradio checks only in apps which it launched itself that a file in a request was uploaded; in a mounted one any
    # visitor could have any file of the server taken in by its path.
    screens.has_launched = True
    screens.state_session_capacity = PAGES
    server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    programs = api_routes.application(services)
    server.add_exception_handler(AccessError, refused)
    server.add_exception_handler(StoreError, _out_of_store)
    server.include_router(health.router(services))
    server.include_router(metrics.router())
    server.include_router(signing.router(services))
    server.include_router(backup_route.router(services))
    server.include_router(annotate_routes.router(services))
    server.include_router(report_routes.router(services))
    server.include_router(team_routes.router(services))
    server.get(api_routes.PREFIX, dependencies=[PUBLIC])(lambda: api_routes.index(programs.app))
    check_routes(server)
    entry, pages = services.settings.entry, signing.pages_with_cookie(services)
    server.add_middleware(PersonCookie, pages=pages, workspace=entry.workspace)
    server.add_middleware(Door, services=services, routes=[*own_routes(server), programs])
    metrics.know(route.path for route in own_routes(server))
    server.add_middleware(Measured, metrics=metrics)
    # Each of its routes asks for a token.
    server.routes.append(programs)
    mounted = gr.mount_gradio_app(
        server,
        screens,
        path="/",
        root_path=entry.base or None,
        theme=theme.theme(),
        css_paths=theme.css_paths(),
        head=theme.head(),
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        show_error=False,
        max_file_size=services.settings.max_upload_mb * 1_000_000,
    )
    keep_apart(screens, mounted.routes[-1].app, folder_of(services.settings))
    mounted.state.services, mounted.state.screens = services, screens
    return mounted


def without_statistics(screens: gr.Blocks) -> None:
    """Keep Gradio from counting up, after each event, all the last ones for a page that is not there: 9 ms, soon 16."""
    screens._queue.ANAYLTICS_CACHE_FREQUENCY = sys.maxsize
    screens._queue.ANALYTICS_MAX_EVENTS = 1


def let_go(mounted: FastAPI) -> None:
    """End what would hold an app in memory, and go on working for it, after its life has ended and before the process does."""
    # Gradio's queue looks for events again and again, until it is told that none will come.
    mounted.state.screens._queue.close()
    # FastAPI remembers of functions what kind they are, and with the routes of an app all of it.
    for kept in vars(dependencies).values():
        if isinstance(kept, functools._lru_cache_wrapper):
            kept.cache_clear()


def _out_of_store(request: Request, error: StoreError) -> JSONResponse:
    # Its sentence says what to do about it; a bare 500 would not.
    return JSONResponse({"error": str(error)}, 503, headers={"Cache-Control": "no-store"})
