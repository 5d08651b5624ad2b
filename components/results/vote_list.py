"""Votes one by one, a part of Results: a list that is searched and paged, and one vote with all that came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components import _html
from components._guard import allowed
from components._session import person
from components.results import vote_html
from pipeline.errors import ComparisonError, NotFoundError
from pipeline.records import Role
from pipeline.services import Services
from pipeline.vote_list import ALL, BOTH_BAD, CORRECTION, REASON, TIE, TRAINED

OF_VOTE = "vote/"
_DOOR_JS = "window.pairloopPlaces.door('vote', (given) => trigger('expand', given));"
_PAGES_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-page]');
  if (button) trigger('expand', {page: Number(button.dataset.page)});
});
"""
_KINDS = [
    ("All votes", ALL),
    ("Tie", TIE),
    ("Both bad", BOTH_BAD),
    ("With a reason", REASON),
    ("With a better answer", CORRECTION),
    ("Trained on", TRAINED),
]
# The vote that a link leads to, once; the search and the filter as they are.
_WANTED_JS = "(set, search, kind, vote) => [set, search, kind, window.pairloopPlaces.now('vote', vote)]"


_CLOSED = "The vote that you followed is shown once you have opened these results. That ends your voting here."


@dataclass(frozen=True, slots=True)
class VoteListPanel:
    """Components of the part."""

    root: gr.Column
    door: gr.HTML
    opened: gr.Textbox
    vote: gr.HTML
    search: gr.Textbox
    kind: gr.Dropdown
    list: gr.HTML


class Shown(NamedTuple):
    """Output order of the part."""

    root: gr.Column
    opened: str
    vote: str
    kind: gr.Dropdown
    list: str


class VoteListHandlers:
    """Votes as one person may read them."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.vote_list

    def set_of(self, wanted: str | None) -> str | None:
        """Return the comparison that is chosen; ``vote/`` and a vote's id choose the one that the vote was given in."""
        if not wanted or not wanted.startswith(OF_VOTE):
            return wanted
        try:
            return self._desk.set_of(wanted.removeprefix(OF_VOTE))
        except NotFoundError:
            return None

    def show(
        self, set_id: str | None, search: str, kind: str | None, vote_id: str | None, request: gr.Request
    ) -> Shown:
        """Show the newest votes of a comparison that are searched for, and the one that is opened."""
        me = person(self._services, request)
        if not set_id or not self._desk.may_read(set_id, me):
            said = _html.note(_CLOSED, "warn") if vote_id else ""
            return Shown(gr.Column(visible=bool(vote_id)), vote_id or "", said, gr.skip(), "")
        found = self._desk.page(set_id, me, search or "", kind or ALL)
        choices = [*_KINDS[:1], *((f"{name} preferred", model) for model, name in found.models.items()), *_KINDS[1:]]
        chosen = kind if kind in [value for _, value in choices] else ALL
        if chosen != (kind or ALL):
            found = self._desk.page(set_id, me, search or "", chosen)
        whole = self._whole(vote_id, set_id, me) if vote_id else ""
        return Shown(
            gr.Column(visible=True), vote_id if whole else "", whole, gr.Dropdown(choices=choices, value=chosen),
            vote_html.page(found),
        )  # fmt: skip

    def search_votes(self, set_id: str | None, search: str, kind: str | None, request: gr.Request) -> str:
        """Return the first page of what is searched for."""
        return self._page(set_id, search, kind, 0, request)

    def turn_page(
        self, set_id: str | None, search: str, kind: str | None, event: gr.EventData, request: gr.Request
    ) -> str:
        """Return another page."""
        number = event._data.get("page", 0)
        return self._page(set_id, search, kind, number if isinstance(number, int) else 0, request)

    def _page(self, set_id: str | None, search: str, kind: str | None, number: int, request: gr.Request) -> str:
        if not set_id:
            return ""
        me = person(self._services, request)
        return vote_html.page(self._desk.page(set_id, me, search or "", kind or ALL, number))

    def _whole(self, vote_id: str, set_id: str, me: str) -> str:
        try:
            # A vote of another comparison was left behind when somebody chose this one.
            return vote_html.whole(self._desk.open(vote_id, me)) if self._desk.set_of(vote_id) == set_id else ""
        except (ComparisonError, NotFoundError) as error:
            return _html.note(str(error), "warn")


def build() -> VoteListPanel:
    """Lay out the part."""
    door = gr.HTML("", js_on_load=_DOOR_JS, elem_id="results-vote-door")
    opened = gr.Textbox("", visible=False, elem_id="results-vote-opened")
    with gr.Column(visible=False, elem_id="results-vote-part") as root:
        gr.HTML('<h3 class="pl-title">Votes, one by one</h3>')
        vote = gr.HTML("", js_on_load=_html.OPEN_SOURCE_JS, elem_id="results-vote")
        with gr.Row(equal_height=False):
            search = gr.Textbox(
                label="Search",
                placeholder="Words of the query, the reason, the better answer, or a name",
                max_lines=1,
                elem_id="results-vote-search",
                scale=3,
            )
            kind = gr.Dropdown(_KINDS, value=ALL, label="Show", filterable=False, elem_id="results-vote-kind", scale=2)
            # Its choices name models, and change with the comparison.
            kind.preprocess = lambda value: value
        listed = gr.HTML("", js_on_load=_PAGES_JS, elem_id="results-vote-list")
    return VoteListPanel(root, door, opened, vote, search, kind, listed)


def wire(panel: VoteListPanel, handlers: VoteListHandlers, chosen: gr.Dropdown, again: list[Callable]) -> None:
    """Attach the listeners; each of ``again`` registers for an event after which a comparison is shown anew."""
    quiet = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": 4}
    screen = [panel.root, panel.opened, panel.vote, panel.kind, panel.list]
    asked = [chosen, panel.search, panel.kind]
    # Whoever chooses another comparison leaves the vote that was open.
    chosen.input(None, None, None, js="() => window.pairloopPlaces.opened('vote', '')", **quiet)
    for event in again:
        event(allowed(Role.VIEWER, handlers.show), [*asked, panel.opened], screen, js=_WANTED_JS, **quiet)
    panel.search.change(
        allowed(Role.VIEWER, handlers.search_votes), asked, panel.list, trigger_mode="always_last", **quiet
    )
    panel.kind.input(allowed(Role.VIEWER, handlers.search_votes), asked, panel.list, **quiet)
    panel.list.expand(allowed(Role.VIEWER, handlers.turn_page), asked, panel.list, **quiet)
