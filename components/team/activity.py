"""Activity, a panel of Team: who did what when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components._choices import build_dropdown
from components._guard import allowed
from components.team import html as team_html
from pipeline.activity import GROUPS
from pipeline.records import Role
from pipeline.services import Services

_PAGES_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-older]');
  if (button) trigger('turn', {older: button.dataset.older});
});
"""


@dataclass(frozen=True, slots=True)
class ActivityPanel:
    """Components of the panel."""

    root: gr.Tab
    who: gr.Dropdown
    kind: gr.Dropdown
    listed: gr.HTML


class Shown(NamedTuple):
    """Output order of the panel when it is opened."""

    who: gr.Dropdown
    listed: str


class ActivityHandlers:
    """The activity log for the admins of the team."""

    def __init__(self, services: Services) -> None:
        self._log = services.activity

    def show_activity(self, who: str | None, kind: str | None) -> Shown:
        """Return whose activity there is, and the newest."""
        choices = [("Everybody", ""), *self._log.people()]
        chosen = who if who in [value for _, value in choices] else ""
        return Shown(gr.Dropdown(choices=choices, value=chosen), self.list_activity(chosen, kind))

    def list_activity(self, who: str | None, kind: str | None) -> str:
        """Return the newest activity of a person and a kind."""
        return self._page(who, kind, "")

    def turn_page(self, who: str | None, kind: str | None, event: gr.EventData) -> str:
        """Return another page."""
        return self._page(who, kind, str(event._data.get("older", "")))

    def _page(self, who: str | None, kind: str | None, older: str) -> str:
        page = self._log.latest(who or None, kind if kind in GROUPS else None, older)
        return team_html.activity(page, first=not older)


def build() -> ActivityPanel:
    """Lay out the panel."""
    with gr.Tab("Activity", id="activity", elem_id="team-activity") as root:
        with gr.Row(equal_height=False):
            who = build_dropdown("Person", "team-activity-who")
            kinds = [("Everything", ""), *((group, group) for group in GROUPS)]
            kind = gr.Dropdown(kinds, value="", label="Kind", filterable=False, elem_id="team-activity-kind")
        listed = gr.HTML("", js_on_load=_PAGES_JS, elem_id="team-activity-list")
    return ActivityPanel(root, who, kind, listed)


def wire(panel: ActivityPanel, handlers: ActivityHandlers, opened: list[Callable]) -> None:
    """Attach the listeners; ``opened`` are the events that show the panel."""
    quiet = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": 4}
    asked = [panel.who, panel.kind]
    for event in opened:
        event(allowed(Role.ADMIN, handlers.show_activity), asked, [panel.who, panel.listed], **quiet)
    for box in asked:
        box.input(allowed(Role.ADMIN, handlers.list_activity), asked, panel.listed, **quiet)
    panel.listed.turn(allowed(Role.ADMIN, handlers.turn_page), asked, panel.listed, **quiet)
