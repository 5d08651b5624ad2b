"""Workspaces, a panel of Team for owners of the main workspace: which there are on this server, and how to make and close one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

import gradio as gr

from components import _html, _once
from components._guard import allowed
from components._session import person
from components.team import html as team_html
from pipeline.errors import RecordError
from pipeline.records import Role
from pipeline.services import Services
from pipeline.store.workspaces import Workspace
from pipeline.workspaces import PREFIX, Standing

USUAL, OTHER, NOWHERE = "usual", "other", "nowhere"
ABOUT = (
    "Each workspace of this server has documents, models, results, people, sign-ins and a backup of its own: whoever is in one "
    "is nobody in the others, and nothing of one can be seen from another. Its models may use the keys that this server was "
    "started with. Where people sign in, the first owner of a new one comes in by a link that you get here."
)
CLOSING = (
    "Nobody gets to {name} any more, at once: its address answers as if it had never been. What is in it is kept, here and in "
    "its dataset repo, and its address is given to no other one. You can open it again at any time."
)
_ONCE = "Whoever opens this link first becomes the owner of {name}. It is shown this once, and good for a day."
_WORDS = {"open": "open", "opening": "is being opened", "closed": "closed", "failed": "cannot be opened"}
_PRESSES_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-do]');
  if (button) trigger('manage', {workspace: button.dataset.workspace, what: button.dataset.do});
});
"""


@dataclass(frozen=True, slots=True)
class WorkspacesPanel:
    """Components of the panel."""

    root: gr.Tab
    listed: gr.HTML
    said: gr.HTML
    confirm: gr.Column
    confirm_text: gr.HTML
    chosen: gr.Textbox
    confirmed: gr.Button
    cancel: gr.Button
    name: gr.Textbox
    slug: gr.Textbox
    kept: gr.Dropdown
    repo: gr.Textbox
    example: gr.Checkbox
    make: gr.Button


class Managed(NamedTuple):
    """Output order of a press on a workspace."""

    listed: str
    said: str
    confirm: gr.Column
    confirm_text: str
    chosen: str


class Made(NamedTuple):
    """Output order of a workspace that was made."""

    name: str
    slug: str
    repo: str
    said: str
    listed: str


class WorkspacesHandlers:
    """The workspaces of the server: the desk checks who acts."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.workspaces

    def show_workspaces(self) -> tuple[str, gr.Dropdown]:
        """Return the workspaces, and where a new one can be kept."""
        usual = self._desk.usual_repo("…")
        kinds = [(f"In {usual}", USUAL)] if usual else []
        kinds += [("In another dataset repo", OTHER)] if self._services.settings.hf_token else []
        kinds.append(("Nowhere but on this server", NOWHERE))
        return self._listed(), gr.Dropdown(choices=kinds, value=kinds[0][1])

    def choose_repo(self, kept: str | None) -> gr.Textbox:
        """Ask for the name of a dataset repo where it is another one."""
        return gr.Textbox(visible=kept == OTHER)

    def create(self, name: str, slug: str, kept: str | None, repo: str, example: bool, request: gr.Request) -> Made:
        """Make a workspace, wait until it is open, and show the link of its first owner this once."""
        wanted = {USUAL: None, OTHER: str(repo or "").strip()}.get(kept or NOWHERE, "")
        if kept == OTHER and not wanted:
            raise RecordError("Type the dataset repo as owner/name.")
        made = self._desk.create(person(self._services, request), name, slug, wanted, bool(example))
        return Made("", "", "", self._welcome(made, request), self._listed())

    def manage(self, request: gr.Request, event: gr.EventData) -> Managed:
        """Ask before a workspace is closed; open one again, or give the link of its first owner."""
        what, me = str(event._data.get("what", "")), person(self._services, request)
        found = self._desk.get(me, str(event._data.get("workspace", "")))
        if what == "close":
            text = _html.note(CLOSING.format(name=found.name), "warn")
            return Managed(self._listed(), "", gr.Column(visible=True), text, found.id)
        said = ""
        if what == "open":
            self._desk.reopen(me, found.id)
            said = _html.note(f"{found.name} is opened again.", "good")
        elif what == "again" and self._desk.host:
            self._desk.host.again(found)
        elif what == "link":
            said = self._welcome(found, request)
        return Managed(self._listed(), said, gr.Column(visible=False), "", "")

    def close(self, workspace_id: str, request: gr.Request) -> Managed:
        """Close a workspace."""
        me = person(self._services, request)
        found = self._desk.get(me, workspace_id)
        self._desk.close(me, found.id)
        said = _html.note(f"{found.name} is closed. What is in it is kept.", "good")
        return Managed(self._listed(), said, gr.Column(visible=False), "", "")

    def _welcome(self, made: Workspace, request: gr.Request) -> str:
        """Return where a workspace is, and the link of its first owner where it needs one."""
        address = f"{_once.address(request, self._services.settings.entry)}{PREFIX}{made.slug}/"
        try:
            code = self._desk.host.owner_code(made) if self._desk.host else ""
        except RecordError as error:
            return _html.note(f"{made.name} is made. {error}", "warn")
        if code:
            link = f"{address}join?code={quote(code, safe='')}"
            return _once.shown(link, f"The link of the first owner of {made.name}", _ONCE.format(name=made.name))
        return _html.note(f"{made.name} is open at {address}", "good")

    def _listed(self) -> str:
        found, host = self._desk.all(), self._desk.host
        standings = [(one, host.standing(one) if host else Standing("opening")) for one in found]
        return listed_html(standings, linked=not self._services.people.open)


def listed_html(found: Sequence[tuple[Workspace, Standing]], linked: bool = True) -> str:
    """Return the workspaces beside the main one, each with how it stands and what can be done.

    ``linked`` says that the first owner of one comes in by a link.
    """
    if not found:
        return _html.empty("Only the main workspace", "Another one has people and data of its own.")
    head = ("Workspace", "Address", "Dataset repo", "People", "State", "Change")
    return team_html.table("Workspaces of this server", head, [_row(one, standing, linked) for one, standing in found])


def _row(one: Workspace, standing: Standing, linked: bool) -> str:
    place = f"{PREFIX}{one.slug}/"
    address = f"<code>{place}</code>"
    if standing.word in ("open", "opening"):
        address = f'<a class="pl-way" href="{place[1:]}" target="_blank">{place}</a>'
    state = _WORDS[standing.word] + (f": {_html.esc(standing.problem)}" if standing.problem else "")
    presses = {
        "open": [
            ("close", "Close …"),
            *([("link", "Link of the first owner")] if linked and standing.people == 0 else []),
        ],
        "opening": [("close", "Close …")],
        "closed": [("open", "Open again")],
        "failed": [("again", "Try again"), ("close", "Close …")],
    }[standing.word]
    buttons = "".join(
        f'<button type="button" class="pl-plain-button" data-do="{what}" data-workspace="{_html.esc(one.id)}" '
        f'aria-label="{words}: {_html.esc(one.name)}">{words}</button> '
        for what, words in presses
    )
    cells = [
        ("Address", address),
        ("Dataset repo", _html.esc(one.dataset_repo) or "none"),
        ("People", "" if standing.people is None else f"{standing.people:,}"),
        ("State", state),
        ("Change", f'<span class="pl-do">{buttons}</span>'),
    ]
    return team_html.row(_html.esc(one.name), cells)


def build(shown: bool) -> WorkspacesPanel:
    """Lay out the panel; it is not ``shown`` in another workspace than the main one, where it can do nothing."""
    with gr.Tab("All workspaces", id="workspaces", elem_id="team-workspaces", visible=shown) as root:
        gr.HTML(_html.note(ABOUT))
        listed = gr.HTML("", js_on_load=_PRESSES_JS, elem_id="team-workspaces-list")
        with gr.Column(visible=False, elem_id="team-workspaces-confirm") as confirm:
            confirm_text = gr.HTML("")
            chosen = gr.Textbox("", visible=False)
            with gr.Row(elem_classes=["pl-beside"]):
                confirmed = gr.Button("Close this workspace", variant="stop", elem_id="team-workspaces-confirmed")
                cancel = gr.Button("Cancel", elem_id="team-workspaces-cancel")
        gr.HTML('<h3 class="pl-title">New workspace</h3>')
        with gr.Row(equal_height=False):
            name = gr.Textbox(label="Name", placeholder="Support bot", max_lines=1, elem_id="team-workspaces-name")
            slug = gr.Textbox(
                label=f"Address, below {PREFIX}",
                placeholder="made of the name, as in support-bot",
                max_lines=1,
                elem_id="team-workspaces-slug",
            )
        with gr.Row(equal_height=False):
            kept = gr.Dropdown([("Nowhere but on this server", NOWHERE)], value=NOWHERE, label="Backed up",
                               filterable=False, elem_id="team-workspaces-kept")  # fmt: skip
            # Which ones there are depends on the keys of the server; the desk checks what is chosen.
            kept.preprocess = lambda value: value
            repo = gr.Textbox(label="Dataset repo", placeholder="owner/name", visible=False, max_lines=1,
                              elem_id="team-workspaces-repo")  # fmt: skip
        example = gr.Checkbox(False, label="Begin with the bundled example", elem_id="team-workspaces-example")
        make = gr.Button("Make the workspace", variant="primary", elem_id="team-workspaces-make")
        said = gr.HTML("", js_on_load=_once.COPIES_JS, elem_id="team-workspaces-said")
    return WorkspacesPanel(
        root, listed, said, confirm, confirm_text, chosen, confirmed, cancel, name, slug, kept, repo, example, make
    )


def wire(panel: WorkspacesPanel, handlers: WorkspacesHandlers, opened: list[Callable], tab: Callable) -> None:
    """Attach the listeners; ``opened`` are the events that show the panel, and ``tab`` is that of its tab."""
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    _once.gone(panel.said, [*opened, tab])
    for event in opened:
        shown = [panel.listed, panel.kept]
        event(allowed(Role.OWNER, handlers.show_workspaces, quiet=True), None, shown, **quiet)
    panel.kept.input(allowed(Role.OWNER, handlers.choose_repo), panel.kept, panel.repo, **quiet)
    form = [panel.name, panel.slug, panel.kept, panel.repo, panel.example]
    made = [panel.name, panel.slug, panel.repo, panel.said, panel.listed]
    panel.make.click(allowed(Role.OWNER, handlers.create), form, made, api_visibility="private")
    managed = [panel.listed, panel.said, panel.confirm, panel.confirm_text, panel.chosen]
    panel.listed.manage(allowed(Role.OWNER, handlers.manage), None, managed, **quiet)
    panel.confirmed.click(allowed(Role.OWNER, handlers.close), panel.chosen, managed, **quiet)
    panel.cancel.click(allowed(Role.OWNER, _hidden), None, panel.confirm, **quiet)


def _hidden() -> gr.Column:
    return gr.Column(visible=False)
