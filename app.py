"""Pairloop: composes the screens over the services and serves them."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time

import gradio as gr
import uvicorn
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from components import ask, compare, documents, edit, header, results, runs, settings, start, theme, tune, viewer
from components._errors import shows_errors
from components._session import PersonCookie
from pipeline.errors import PipelineError
from pipeline.services import Services, open_services
from pipeline.settings import from_environment

TABS = ("start", "ask", "edit", "tune", "compare", "results", "settings")


def build_app(services: Services) -> gr.Blocks:
    """Return the app: every tab is laid out, then every tab is wired."""
    with gr.Blocks(title="Pairloop", analytics_enabled=False, fill_width=True, delete_cache=(3600, 86400)) as app:
        top = header.build()
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap") as tabs:
            parts = [part.build() for part in (start, ask, edit, tune, compare, results, settings)]
        drawer = viewer.build()
        _wire(services, app, top, tabs, parts, drawer)
    return app


def _wire(services: Services, app: gr.Blocks, top: gr.HTML, tabs: gr.Tabs, parts: list, drawer: gr.HTML) -> None:
    start_tab, ask_tab, edit_tab, tune_tab, compare_tab, results_tab, settings_tab = parts
    header_handlers = header.HeaderHandlers(services)
    header.wire(top, header_handlers)
    start.wire(start_tab, start.StartHandlers(services), tabs, ask_tab.documents.root)
    ask.wire(ask_tab, ask.AskHandlers(services))
    documents.wire(ask_tab.documents, documents.DocumentsHandlers(services), ask_tab.root)
    runs.wire(ask_tab.runs, runs.RunsHandlers(services), ask_tab.root, tabs)
    edit.wire(edit_tab, edit.EditHandlers(services))
    tune.wire(tune_tab, tune.TuneHandlers(services), tabs)
    compare.wire(compare_tab, compare.CompareHandlers(services), tabs)
    results.wire(results_tab, results.ResultsHandlers(services))
    settings.wire(settings_tab, settings.SettingsHandlers(services))
    viewer.wire(drawer, viewer.ViewerHandlers(services), [ask_tab.sources, edit_tab.sources, compare_tab.sources])
    app.load(shows_errors(header_handlers.show_header), None, top, api_visibility="private", show_progress="hidden")
    app.load(_open_tab, None, tabs, api_visibility="private", show_progress="hidden")


def _open_tab(request: gr.Request) -> gr.Tabs:
    """Open the tab that the address names, as in ``/?tab=compare``; else leave alone what a quick click has opened."""
    tab = request.query_params.get("tab", "")
    return gr.Tabs(selected=tab) if tab in TABS else gr.skip()


def build_server(services: Services) -> FastAPI:
    """Return the web server: the app, and ``/healthz`` beside it. Gradio's own doors are shut."""
    screens = build_app(services)
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


def _healthy() -> str:
    return "ok"


def main() -> None:
    """Start the app with the settings of the environment."""
    try:
        chosen = from_environment(os.environ)
        services = open_services(chosen)
        listening = socket.create_server((chosen.host, chosen.port))
    except (PipelineError, OSError) as error:
        sys.exit(f"Pairloop cannot start: {error}")
    # When uvicorn has stopped it sends itself the signal again: that must end in the clean-up below, with status 0.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"Pairloop: http://{chosen.host}:{listening.getsockname()[1]} · data in {chosen.home}", flush=True)
    # Without a limit an open tab's heartbeat would keep the server from ever stopping.
    server = uvicorn.Server(uvicorn.Config(build_server(services), log_level="warning", timeout_graceful_shutdown=3))
    # The first page is not kept waiting for the example: it is indexed beside it, and the Start tab says so.
    threading.Thread(target=_after_start, args=(server, services), daemon=True).start()
    try:
        server.run(sockets=[listening])
    finally:
        services.close()


def _after_start(server: uvicorn.Server, services: Services) -> None:
    while not server.started:
        time.sleep(0.05)
    services.add_example_to_empty_workspace()


if __name__ == "__main__":
    main()
