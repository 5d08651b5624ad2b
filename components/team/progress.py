"""Progress, a panel of Team: what is left and what each person did, kept true while somebody looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components._choices import build_dropdown
from components._guard import allowed
from components._session import person
from components.team import html as team_html
from pipeline.comparison_settings import Kind
from pipeline.records import Role
from pipeline.services import Services
from pipeline.team import Wanted

EVERYTHING = "Everything"
# So often, in seconds, the numbers on the screen are asked for anew.
EVERY = 5


@dataclass(frozen=True, slots=True)
class ProgressPanel:
    """Components of the panel."""

    root: gr.Tab
    of: gr.Dropdown
    span: gr.Dropdown
    numbers: gr.HTML


class Shown(NamedTuple):
    """Output order of the panel when it is opened."""

    of: gr.Dropdown
    numbers: str


class ProgressHandlers:
    """Numbers of the team for its admins."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def show_progress(self, of: str | None, span: str | None, request: gr.Request) -> Shown:
        """Return what numbers may be asked for, and those that are."""
        choices = [(EVERYTHING, ""), *places(self._services, person(self._services, request))]
        chosen = of if of in [value for _, value in choices] else ""
        return Shown(gr.Dropdown(choices=choices, value=chosen), self.show_numbers(chosen, span, request))

    def show_numbers(self, of: str | None, span: str | None, request: gr.Request) -> str:
        """Return the numbers that are asked for, in a part that goes on asking for them."""
        wanted = team_html.wanted_of(of, span)
        inner = numbers_html(self._services, wanted, person(self._services, request))
        return team_html.live(team_html.numbers_address(wanted), EVERY, inner)


def numbers_html(services: Services, wanted: Wanted, reader: str) -> str:
    """Return the numbers that are asked for, for a reader."""
    return team_html.progress(services.team.numbers(reader, wanted), services.backup.state(), wanted)


def places(services: Services, reader: str) -> list[tuple[str, str]]:
    """Return what people can work on: datasets that are published and comparisons that are open, as this reader may know them."""
    datasets = [(item.name, f"dataset/{item.id}") for item in services.datasets.all() if item.published]
    judged = [s for s in services.comparisons.sets() if s.state == "open" and s.settings.kind is not Kind.IMPORTED]
    return datasets + [(services.comparisons.name(item, reader), f"set/{item.id}") for item in judged]


def build() -> ProgressPanel:
    """Lay out the panel."""
    with gr.Tab("Progress", id="progress", elem_id="team-progress") as root:
        with gr.Row(equal_height=False):
            of = build_dropdown("Show", "team-of", scale=3)
            spans = [(words.capitalize(), span) for span, words in team_html.SPAN_WORDS.items()]
            span = gr.Dropdown(spans, value="day", label="Pace of the", filterable=False, elem_id="team-span", scale=2)
        numbers = gr.HTML("", elem_id="team-numbers")
    return ProgressPanel(root, of, span, numbers)


def wire(panel: ProgressPanel, handlers: ProgressHandlers, opened: list[Callable]) -> None:
    """Attach the listeners; ``opened`` are the events that show the panel."""
    quiet = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": 4}
    asked = [panel.of, panel.span]
    show, choose = (allowed(Role.ADMIN, one) for one in (handlers.show_progress, handlers.show_numbers))
    for event in opened:
        event(show, asked, [panel.of, panel.numbers], **quiet)
    for box in asked:
        box.input(choose, asked, panel.numbers, **quiet)
