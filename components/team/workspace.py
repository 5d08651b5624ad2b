"""Workspace, a panel of Team: what the team's workspace is called, and what its environment says of people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components import _html
from components._guard import allowed
from components._session import person
from pipeline.cleaning import clean
from pipeline.errors import RecordError
from pipeline.records import Role
from pipeline.services import Services
from pipeline.settings import SignIn

MAX_NAME = 60
MODES = {
    SignIn.OPEN: "Nobody signs in: whoever reaches this address may do everything.",
    SignIn.NAME: "People come in with a name and a join code. Names are not proven: with the code anybody takes a free one.",
    SignIn.ACCOUNTS: "People sign in with a user name and a password, which are kept on this machine only.",
    SignIn.HUGGINGFACE: "People sign in with their account of the Hugging Face Hub.",
}


@dataclass(frozen=True, slots=True)
class WorkspacePanel:
    """Components of the panel."""

    root: gr.Tab
    name: gr.Textbox
    save: gr.Button
    facts: gr.HTML


class Shown(NamedTuple):
    """Output order of the panel."""

    name: str
    facts: str


class WorkspaceHandlers:
    """The settings of the workspace that belong to its team."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def show_workspace(self) -> Shown:
        """Return the workspace's name and what its environment says."""
        return Shown(self._services.store.values.workspace_name(), facts(self._services))

    def rename(self, name: str, request: gr.Request) -> None:
        """Give the workspace another name."""
        me = person(self._services, request)
        wanted = " ".join(clean(str(name or "")).split())
        if len(wanted) > MAX_NAME:
            raise RecordError(f"A name has at most {MAX_NAME} characters.")
        before = self._services.store.values.workspace_name()
        if wanted != before:
            self._services.store.values.set_workspace_name(wanted)
            detail = {"before": before or "without a name"}
            self._services.activity.note(me, "workspace.renamed", wanted or "without a name", detail)
        gr.Info("The name is saved." if wanted else "The workspace has no name any more.")


def facts(services: Services) -> str:
    """Return what the environment says of people, and how to change it."""
    mode = services.people.mode
    names = (
        "People are published under their names." if services.settings.publish_names
        else "People are published under pseudonyms, which stay the same."
    )  # fmt: skip
    rows = (
        ("Sign-in", MODES[mode], f"PAIRLOOP_SIGN_IN is {mode}"),
        ("Published names", names, f"PAIRLOOP_PUBLISH_NAMES is {int(services.settings.publish_names)}"),
    )
    body = "".join(
        f"<dt>{name}</dt><dd>{_html.esc(text)} "
        f"<span class='pl-quiet'>{_html.esc(setting)}, set where the app is started.</span></dd>"
        for name, text, setting in rows
    )
    return f"<dl class='pl-team-facts'>{body}</dl>"


def build() -> WorkspacePanel:
    """Lay out the panel."""
    with gr.Tab("This workspace", id="workspace", elem_id="team-workspace") as root:
        with gr.Row(equal_height=False):
            name = gr.Textbox(
                label="Name of the workspace",
                placeholder="Support bot",
                max_lines=1,
                elem_id="team-workspace-name",
                scale=3,
            )
            save = gr.Button("Save the name", elem_id="team-workspace-save", scale=1)
        facts_html = gr.HTML("", elem_id="team-workspace-facts")
    return WorkspacePanel(root, name, save, facts_html)


def wire(
    panel: WorkspacePanel, handlers: WorkspaceHandlers, opened: list[Callable], top: gr.HTML, show_header: Callable
) -> None:
    """Attach the listeners; ``opened`` are the events that show the panel, ``top`` is the header that shows the name."""
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    for event in opened:
        event(allowed(Role.ADMIN, handlers.show_workspace), None, [panel.name, panel.facts], **quiet)
    saved = panel.save.click(allowed(Role.OWNER, handlers.rename), panel.name, None, **quiet)
    saved.success(allowed(Role.VIEWER, show_header), None, top, **quiet)
