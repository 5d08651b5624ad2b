"""The web server around the screens: mounted, given a port, served until it is told to stop."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time

import gradio as gr
import uvicorn
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from components import theme
from components._session import PersonCookie
from pipeline.errors import SettingsError
from pipeline.services import Services
from pipeline.settings import Settings


def mount(screens: gr.Blocks, services: Services) -> FastAPI:
    """Return the web server: the screens, and ``/healthz`` beside them. Gradio's own doors are shut."""
    # Gradio checks only in apps which it launched itself that a file in a request was uploaded; in a mounted one any
    # visitor could have any file of the server taken in by its path.
    screens.has_launched = True
    server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    server.add_middleware(PersonCookie)
    server.get("/healthz", response_class=PlainTextResponse)(_healthy)
    mounted = gr.mount_gradio_app(
        server,
        screens,
        path="/",
        theme=theme.theme(),
        css_paths=theme.css_paths(),
        head=theme.head(),
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        show_error=False,
        max_file_size=services.settings.max_upload_mb * 1_000_000,
    )
    mounted.state.services = services
    return mounted


def listen(chosen: Settings) -> socket.socket:
    """Take the port of the settings.

    Raises:
        SettingsError: it cannot be had.
    """
    try:
        return socket.create_server((chosen.host, chosen.port))
    except OSError as error:
        where, reason = f"{chosen.host}:{chosen.port}", error.strerror or error
        raise SettingsError(f"It cannot listen on {where} ({reason}): stop what does, or set PAIRLOOP_PORT.") from error


def serve(app: FastAPI, listening: socket.socket, services: Services) -> None:
    """Serve until the process is told to stop, then close the services."""
    # When uvicorn has stopped it sends itself the signal again: that must end in the clean-up below, with status 0.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Without a limit an open tab's heartbeat would keep the server from ever stopping.
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3))
    # The first page is not kept waiting for the example: it is indexed beside it, and the Start tab says so.
    threading.Thread(target=_after_start, args=(server, services), daemon=True).start()
    try:
        server.run(sockets=[listening])
    finally:
        services.close()


def _healthy() -> str:
    return "ok"


def _after_start(server: uvicorn.Server, services: Services) -> None:
    while not server.started:
        time.sleep(0.05)
    services.add_example_to_empty_workspace()
