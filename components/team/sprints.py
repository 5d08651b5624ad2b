"""Sprints, a panel of Team: a goal with a time, how it goes, what came of those before; and their lines where people work."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components._choices import build_dropdown
from components._guard import allowed
from components._html import empty, note
from components._session import person
from components.team import html as team_html
from components.team.progress import EVERY, places
from pipeline.errors import RecordError
from pipeline.ranking.verdict import plural
from pipeline.records import Role
from pipeline.services import Services
from pipeline.sprints import SprintView
from pipeline.store.sprints import Plan

MINUTE, HOUR, DAY = 60, 3600, 86400
LENGTHS = [
    ("15 minutes", 15 * MINUTE), ("30 minutes", 30 * MINUTE), ("45 minutes", 45 * MINUTE), ("1 hour", HOUR),
    ("90 minutes", 90 * MINUTE), ("2 hours", 2 * HOUR), ("4 hours", 4 * HOUR), ("1 day", DAY), ("3 days", 3 * DAY),
    ("1 week", 7 * DAY), ("2 weeks", 14 * DAY),
]  # fmt: skip
STARTS = [
    ("Now", 0), ("In 5 minutes", 5 * MINUTE), ("In 10 minutes", 10 * MINUTE), ("In 30 minutes", 30 * MINUTE),
    ("In 1 hour", HOUR), ("In 2 hours", 2 * HOUR), ("In 1 day", DAY),
]  # fmt: skip
# So often, in seconds, the line of a sprint is asked for anew where people work.
QUIET_EVERY = 10
_PRESSES_JS = """
element.addEventListener('click', (event) => {
  const {end, board, shown} = event.target.closest('[data-end], [data-board]')?.dataset || {};
  if (end) trigger('end', {sprint: end});
  if (board) trigger('board', {sprint: board, shown});
});
"""


@dataclass(frozen=True, slots=True)
class SprintPanel:
    """Components of the panel."""

    root: gr.Tab
    listed: gr.HTML
    confirm: gr.Column
    confirm_text: gr.HTML
    ending: gr.Textbox
    end: gr.Button
    keep: gr.Button
    name: gr.Textbox
    about: gr.Dropdown
    hint: gr.HTML
    goal: gr.Number
    starts: gr.Dropdown
    length: gr.Dropdown
    board: gr.Checkbox
    start: gr.Button


class Shown(NamedTuple):
    """Output order of the panel when it is opened."""

    listed: str
    about: gr.Dropdown
    hint: str


class Asked(NamedTuple):
    """Output order of the question whether a sprint is to be ended."""

    confirm: gr.Column
    confirm_text: str
    ending: str


class SprintHandlers:
    """Sprints for the admins of the team."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.sprints

    def show_sprints(self, about: str | None, request: gr.Request) -> Shown:
        """Return all sprints, and what another one can be about."""
        choices = places(self._services, person(self._services, request))
        values = [value for _, value in choices]
        chosen = about if about in values else next(iter(values), None)
        return Shown(self.list_sprints(request), gr.Dropdown(choices=choices, value=chosen), self.show_left(chosen))

    def list_sprints(self, request: gr.Request) -> str:
        """Return all sprints in a part that stays true."""
        inner = all_html(self._services, person(self._services, request))
        return team_html.live("team/sprints/all", EVERY, inner)

    def show_left(self, about: str | None) -> str:
        """Return what is left of what a sprint would be about."""
        wanted = team_html.wanted_of(about, None)
        if not about:
            return note(
                "A sprint is about a dataset or a comparison: publish one in Edit, or make one in Compare, first."
            )
        if not wanted.dataset_id:
            return ""
        left = self._desk.left(wanted.dataset_id)
        return note(
            f"{plural(left, 'answer')} still needed there; a goal above that cannot be reached."
            if left
            else "Nothing is needed there any more."
        )

    def start_sprint(
        self,
        name: str,
        about: str | None,
        goal: float | None,
        starts: int,
        length: int,
        board: bool,
        request: gr.Request,
    ) -> str:
        """Plan or begin a sprint."""
        wanted = team_html.wanted_of(about, None)
        begin = time.time() + _seconds(starts)
        whole = (
            int(goal) if isinstance(goal, int | float) and goal == goal and abs(goal) < 1e9 and goal == int(goal) else 0
        )
        plan = Plan(
            str(name or ""), wanted.dataset_id or None, wanted.set_id or None, whole, bool(board), begin,
            begin + _seconds(length),
        )  # fmt: skip
        self._desk.start(person(self._services, request), plan)
        gr.Info("The sprint is on." if not _seconds(starts) else "The sprint is planned.")
        return self.list_sprints(request)

    def ask_end(self, request: gr.Request, event: gr.EventData) -> Asked:
        """Ask whether a sprint is to be ended."""
        me, sprint_id = person(self._services, request), str(event._data.get("sprint", ""))
        found = next((view for view in self._desk.all(me) if view.sprint.id == sprint_id), None)
        if found is None or found.state == "ended":
            raise RecordError("This sprint has ended already.")
        text = f"“{found.sprint.name}” ends now, for everybody. What was given until now stays its result."
        return Asked(gr.Column(visible=True), note(text, "warn"), sprint_id)

    def end_sprint(self, sprint_id: str, request: gr.Request) -> tuple[gr.Column, str, str]:
        """End a sprint before its time."""
        self._desk.end(person(self._services, request), str(sprint_id))
        return gr.Column(visible=False), "", self.list_sprints(request)

    def turn_board(self, request: gr.Request, event: gr.EventData) -> str:
        """Turn the leaderboard of a sprint on or off."""
        shown = event._data.get("shown") == "on"
        self._desk.set_leaderboard(person(self._services, request), str(event._data.get("sprint", "")), shown)
        return self.list_sprints(request)


def all_html(services: Services, reader: str) -> str:
    """Return all sprints with their buttons."""
    views = services.sprints.all(reader)
    if not views:
        text = "A goal, a time and one thing to work on together. Everybody sees how far it is where they work."
        return empty("No sprint yet", text)
    return team_html.sprints(views, lambda view: team_html.sprint(view, buttons=True))


def quiet_html(services: Services, reader: str, place: str) -> str:
    """Return the sprints of a screen where people work: all as cards on Start, elsewhere a line of those that it is about."""
    views = services.sprints.current(reader)
    if place == "start":
        order = ("running", "planned", "ended")
        return team_html.sprints(sorted(views, key=lambda view: order.index(view.state)), team_html.sprint)
    on = [view for view in views if view.state == "running" and _is_at(view, place)]
    return "".join(map(team_html.line, on))


def banner(place: str) -> None:
    """Lay out the sprints of a screen where people work; it is empty where there is none."""
    gr.HTML(team_html.live(f"team/sprints?place={place}", QUIET_EVERY), elem_id=f"{place}-sprint")


def build() -> SprintPanel:
    """Lay out the panel."""
    with gr.Tab("Sprints", id="sprints", elem_id="team-sprints") as root:
        listed = gr.HTML("", js_on_load=_PRESSES_JS, elem_id="team-sprint-list")
        with gr.Column(visible=False, elem_id="team-sprint-confirm") as confirm:
            confirm_text = gr.HTML("")
            with gr.Row(elem_classes=["pl-beside"]):
                end = gr.Button("End the sprint", variant="stop", elem_id="team-sprint-end")
                keep = gr.Button("Let it go on", elem_id="team-sprint-keep")
        ending = gr.Textbox("", visible=False)
        gr.HTML('<h3 class="pl-title">New sprint</h3>')
        with gr.Row(equal_height=False):
            name = gr.Textbox(label="Name", placeholder="Friday hour", max_lines=1, elem_id="team-sprint-name", scale=2)
            about = build_dropdown("Dataset or comparison", "team-sprint-about", scale=3)
        hint = gr.HTML("", elem_id="team-sprint-hint")
        with gr.Row(equal_height=False):
            goal = gr.Number(100, label="Goal (answers or votes)", precision=0, elem_id="team-sprint-goal")
            starts = gr.Dropdown(STARTS, value=0, label="Starts", filterable=False, elem_id="team-sprint-starts")
            length = gr.Dropdown(LENGTHS, value=HOUR, label="Lasts", filterable=False, elem_id="team-sprint-length")
        board = gr.Checkbox(
            True,
            label="Leaderboard by count",
            info="Everybody sees who gave how many. Without it each person sees their own count and the sum.",
            elem_id="team-sprint-board",
        )
        start = gr.Button("Start the sprint", variant="primary", elem_id="team-sprint-start")
    return SprintPanel(
        root, listed, confirm, confirm_text, ending, end, keep, name, about, hint, goal, starts, length, board, start
    )


def wire(panel: SprintPanel, handlers: SprintHandlers, opened: list[Callable]) -> None:
    """Attach the listeners; ``opened`` are the events that show the panel."""
    quiet = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": 4}
    for event in opened:
        event(allowed(Role.ADMIN, handlers.show_sprints), panel.about, [panel.listed, panel.about, panel.hint], **quiet)
    panel.about.input(allowed(Role.ADMIN, handlers.show_left), panel.about, panel.hint, **quiet)
    form = [panel.name, panel.about, panel.goal, panel.starts, panel.length, panel.board]
    panel.start.click(allowed(Role.ADMIN, handlers.start_sprint), form, panel.listed, **quiet)
    question = [panel.confirm, panel.confirm_text, panel.ending]
    panel.listed.end(allowed(Role.ADMIN, handlers.ask_end), None, question, **quiet)
    panel.listed.board(allowed(Role.ADMIN, handlers.turn_board), None, panel.listed, **quiet)
    over = [panel.confirm, panel.ending, panel.listed]
    panel.end.click(allowed(Role.ADMIN, handlers.end_sprint), panel.ending, over, **quiet)
    panel.keep.click(allowed(Role.ADMIN, _close), None, panel.confirm, **quiet)


def _close() -> gr.Column:
    return gr.Column(visible=False)


def _seconds(chosen: object) -> float:
    """Return a number of seconds that was chosen; what is none is refused as a time later on."""
    return float(chosen) if isinstance(chosen, int | float) and 0 <= chosen <= 14 * DAY else 0.0


def _is_at(view: SprintView, place: str) -> bool:
    return bool(view.sprint.dataset_id) == (place == "edit")
