"""Pairloop: composes the screens over the services and serves them."""

from __future__ import annotations

import os
import sys

import gradio as gr
from fastapi import FastAPI

from components import _building as building
from components import address, header, start, viewer
from components._guard import allowed, check_listeners
from components.api import client as api_client
from components.ask import documents, proposals, runs
from components.ask import tab as ask
from components.compare import tab as compare
from components.edit import tab as edit
from components.results import tab as results
from components.settings import tab as settings
from components.team import tab as team
from components.tune import model_pages
from components.tune import tab as tune
from components.web import logs, mounting, restoring, server, telling, workspaces
from pipeline import terminal
from pipeline.errors import PipelineError
from pipeline.move_store import move_store
from pipeline.records import Role
from pipeline.services import Services, open_services
from pipeline.settings import from_environment


def build_app(services: Services) -> gr.Blocks:
    """Return the app: every tab is laid out, then every tab is wired."""
    with gr.Blocks(title="Pairloop", analytics_enabled=False, fill_width=True, delete_cache=(3600, 86400)) as app:
        top = header.build()
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap") as tabs:
            parts = [part.build() for part in (start, ask, edit, tune, compare, results)]
            parts += [team.build(services.workspaces.main), settings.build()]
        drawer = viewer.build()
        _wire(services, app, top, tabs, parts, drawer)
    check_listeners(app)
    return app


def _wire(services: Services, app: gr.Blocks, top: gr.HTML, tabs: gr.Tabs, parts: list, drawer: gr.HTML) -> None:
    start_tab, ask_tab, edit_tab, tune_tab, compare_tab, results_tab, team_tab, settings_tab = parts
    header_handlers = header.HeaderHandlers(services)
    header.wire(top, header_handlers)
    start.wire(start_tab, start.StartHandlers(services), tabs, ask_tab.documents.root)
    ask.wire(ask_tab, ask.AskHandlers(services))
    documents.wire(ask_tab.documents, documents.DocumentsHandlers(services), ask_tab.root)
    runs.wire(ask_tab.runs, runs.RunsHandlers(services), ask_tab.root, tabs, edit_tab)
    proposals.wire(ask_tab.proposals, proposals.ProposalHandlers(services), ask_tab.runs)
    edit.wire(edit_tab, edit.EditHandlers(services), services)
    tune.wire(tune_tab, tune.TuneHandlers(services), tabs, compare_tab)
    model_pages.wire(tune_tab.models, model_pages.ModelPageHandlers(services), tune_tab, tabs, compare_tab.new)
    compare.wire(compare_tab, compare.CompareHandlers(services), tabs, results_tab)
    results.wire(results_tab, results.ResultsHandlers(services))
    team.wire(team_tab, services, top, header_handlers.show_header)
    settings.wire(settings_tab, services)
    api_client.wire(api_client.ClientHandlers(services))
    sources = [ask_tab.sources, edit_tab.annotate.sources, edit_tab.review.item, compare_tab.sources]
    sources += [ask_tab.proposals.passage, tune_tab.models.row, results_tab.votes.vote]
    viewer.wire(drawer, viewer.ViewerHandlers(services), sources)
    app.load(
        allowed(Role.VIEWER, header_handlers.show_header), None, top, api_visibility="private", show_progress="hidden"
    )
    inner = dict.fromkeys((edit_tab.review.root, edit_tab.records.root, edit_tab.setup.root), Role.ADMIN)
    inner |= dict.fromkeys((*settings_tab.of_owners(), team_tab.workspaces.root), Role.OWNER)
    address.wire(app, services, tabs, address.build(), inner)


def build_server(services: Services) -> FastAPI:
    """Return the web server over the screens of one workspace."""
    with building.alone():
        return mounting.mount(build_app(services), services)


def build_site(services: Services) -> workspaces.Site:
    """Return the web server over the main workspace, whose services these are, and those beside it."""
    return workspaces.Site(build_server(services), services, build_server)


def main() -> None:
    """Start the app with the settings of the environment; after ``move-store`` move its workspace to PostgreSQL instead."""
    command = terminal.command(sys.argv[1:])
    try:
        chosen = from_environment(os.environ)
        if command == terminal.MOVE_STORE:
            move_store(chosen, print)
            return
        logs.log_to_stderr(chosen.secrets, chosen.log)
        # The port first: a second Pairloop must not touch the workspace of the one that runs.
        listening = server.listen(chosen)
        with restoring.shown_on(listening) as report:
            services = open_services(chosen, report)
    except PipelineError as error:
        sys.exit(f"Pairloop cannot start. {error}")
    services.start_backup()
    telling.tell_address(services, listening.getsockname()[1])
    server.serve(build_site(services), listening, services)


if __name__ == "__main__":
    main()
