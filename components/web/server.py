"""The web server around the screens: mounted, given a port, served until it is told to stop."""

from __future__ import annotations

import functools
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import gradio as gr
import uvicorn
from fastapi import FastAPI, Request
from fastapi.dependencies import models as dependencies
from fastapi.responses import JSONResponse

from components import _download, theme
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
from pipeline.database_url import place_of
from pipeline.errors import AccessError, SettingsError, StoreError
from pipeline.events import happened
from pipeline.services import Services
from pipeline.settings import Settings
from pipeline.version import VERSION

if TYPE_CHECKING:
    from components.web.workspaces import Site

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


def listen(chosen: Settings) -> socket.socket:
    """Take the port of the settings.

    Raises:
        SettingsError: it cannot be had.
    """
    try:
        listening = socket.create_server((chosen.host, chosen.port))
    except OSError as error:
        where, reason = f"{chosen.host}:{chosen.port}", error.strerror or error
        raise SettingsError(f"It cannot listen on {where} ({reason}): stop what does, or set PAIRLOOP_PORT.") from error
    # Connections inherit it. asyncio sets it only on sockets that name their protocol, and these do not: each answer over a
    # connection that stays open would wait 40 ms for the other side's acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def tell_address(services: Services, port: int) -> None:
    """Print where the app is, and a link for its first owner where it has none."""
    chosen = services.settings
    where = place_of(chosen.database_url) if chosen.database_url else chosen.home
    print(f"Pairloop: http://{chosen.host}:{port} · data in {where}", flush=True)
    tell_owner_link(services, port)


def tell_owner_link(services: Services, port: int) -> None:
    """Print a link for the first owner of a workspace where it has none."""
    chosen = services.settings
    entry, host = chosen.entry, "127.0.0.1" if chosen.host in ("0.0.0.0", "::") else chosen.host
    own = f"https://{entry.space_hosts[0]}" if entry.space_hosts else f"http://{host}:{port}"
    address = entry.public_url or f"{own}{entry.base}"
    if code := services.entrance.owner_code():
        of = f" of {services.store.values.workspace_name()}" if entry.workspace else ""
        print(f"An owner{of} comes in once, within a day, by this link: {address}/join?code={code}", flush=True)


def serve(site: Site, listening: socket.socket, services: Services) -> None:
    """Serve until the process is told to stop, then close all workspaces and end the process with status 0.

    ``services`` are the main workspace's.
    """
    site.hosting.port = listening.getsockname()[1]
    # Without a limit an open tab's heartbeat would keep the server from ever stopping; and a Space is killed after 10 s, of
    # which the back-up gets the most.
    server = _Server(
        uvicorn.Config(site, log_config=None, log_level="warning", timeout_graceful_shutdown=1), site.hosting.hurry
    )
    # When uvicorn has stopped it sends itself the signal again, which must not keep the services from being closed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    # The first page is not kept waiting for the example: it is indexed beside it, and the Start tab says so.
    threading.Thread(target=_after_start, args=(server, services), daemon=True).start()
    happened("started", version=VERSION, space=services.settings.space or None)
    # What is there by now stays. To look through it for garbage again and again would stop everybody for 0.2 s each time.
    gc.freeze()
    try:
        server.run(sockets=[listening])
    finally:
        site.hosting.close()
        happened("stopped")
    _download.remove_all()
    sys.stdout.flush()
    sys.stderr.flush()
    # Python would wait for threads that read from a Hub which may never answer; everything that counts is closed.
    os._exit(0)


class _Server(uvicorn.Server):
    """Begins to send what waits at the moment of the signal, while the server is still stopping."""

    def __init__(self, config: uvicorn.Config, hurry: Callable[[], None]) -> None:
        super().__init__(config)
        self._hurry = hurry

    def handle_exit(self, sig, frame) -> None:
        """Note the signal."""
        self._hurry()
        # Open tabs are cut off in a moment. That is no error, and needs no traceback for each of them.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        super().handle_exit(sig, frame)


def _out_of_store(request: Request, error: StoreError) -> JSONResponse:
    # Its sentence says what to do about it; a bare 500 would not.
    return JSONResponse({"error": str(error)}, 503, headers={"Cache-Control": "no-store"})


def _after_start(server: uvicorn.Server, services: Services) -> None:
    while not server.started:
        time.sleep(0.05)
    services.add_example_to_empty_workspace()
