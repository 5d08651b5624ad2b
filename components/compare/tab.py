"""Compare: answers side by side, blind.

Until a person opens the results, nothing of this tab names a model: the list of comparisons has neutral names, the
answers arrive as texts, and the choice of models for a new comparison is loaded only when somebody opens that panel.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components import _html
from components._choices import build_dropdown, dropdown, remember
from components._guard import allowed
from components._noting import noted
from components._session import is_covered, person
from components.compare import new_comparison
from components.compare.screens import Given, Screen, finished, not_open, nothing, pair_screen, read_ballot
from components.compare.voting_html import told_html
from components.results import tab as results_screen
from components.team import sprints as team_sprints
from pipeline.comparison_settings import Kind
from pipeline.errors import ComparisonError
from pipeline.records import Outcome, Role
from pipeline.services import Services

# Before a vote is sent, the page adds what was chosen in the answers' own controls: criteria and places.
WITH_BALLOT = "(...values) => [...values.slice(0, -1), window.pairloopBallot()]"


@dataclass(frozen=True, slots=True)
class CompareTab:
    """Components of the tab."""

    root: gr.Tab
    chosen: gr.Dropdown
    progress: gr.HTML
    told: gr.HTML
    nothing: gr.HTML
    results: gr.Button
    ask: gr.Column
    query: gr.Textbox
    send: gr.Button
    form: gr.Column
    pair_id: gr.Textbox
    shown_at: gr.State
    pair: gr.HTML
    criteria: gr.HTML
    sources: gr.HTML
    reason: gr.Textbox
    correction: gr.Textbox
    ballot: gr.Textbox
    bar: gr.Row
    better_a: gr.Button
    better_b: gr.Button
    tie: gr.Button
    both_bad: gr.Button
    rank_bar: gr.Row
    rank: gr.Button
    undo: gr.Button
    new: new_comparison.NewComparison
    timer: gr.Timer

    def screen(self) -> list[gr.components.Component]:
        """Return the outputs of everything that changes with a pair, in the order of :class:`Screen`."""
        return [
            self.pair_id, self.shown_at, self.progress, self.told, self.nothing, self.results, self.ask, self.form,
            self.pair, self.criteria, self.sources, self.reason, self.correction, self.bar, self.rank_bar, self.undo,
            self.timer,
        ]  # fmt: skip


class ResultsOpened(NamedTuple):
    """Output order of the way to the results."""

    tabs: gr.Tabs
    chosen: gr.Dropdown


class Created(NamedTuple):
    """Output order after a comparison was made."""

    chosen: gr.Dropdown
    new: gr.Accordion
    model_1: gr.Dropdown
    model_2: gr.Dropdown
    query_list: gr.Dropdown
    more: gr.Dropdown
    preview: str


def _voter(name: str, outcome: Outcome | None, about: str) -> Callable[..., Screen]:
    """Return the handler of a button that votes; None is a ranking. Gradio names a listener after its handler."""

    def vote(
        self: CompareHandlers,
        set_id: str,
        pair_id: str,
        shown_at: float | None,
        reason: str,
        correction: str,
        ballot: str,
        request: gr.Request,
    ) -> Screen:
        return self._vote(outcome, Given(set_id, pair_id, shown_at, reason, correction, ballot), request)

    vote.__name__, vote.__doc__ = name, about
    return vote


class CompareHandlers:
    """Blind votes of one person at a time."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.comparisons
        self._results = results_screen.ResultsHandlers(services)
        self.new = new_comparison.NewComparisonHandlers(services)

    def load_comparisons(self, chosen: str | None) -> gr.Dropdown:
        """Return the comparisons under names that tell no model; a choice that still exists is kept."""
        judged = [item for item in self._desk.sets() if item.settings.kind is not Kind.IMPORTED]
        return dropdown([(self._desk.blind_name(item), item.id) for item in judged], chosen)

    def show_next(self, set_id: str | None, request: gr.Request) -> Screen:
        """Show what waits for this person."""
        if not set_id:
            text = "A comparison shows the answers of two or more models to the same queries."
            more = "Make one below." if is_covered(self._services, request, Role.ADMIN) else "An admin makes one."
            return nothing("No comparison yet", f"{text} {more}")
        item = next((item for item in self._desk.sets() if item.id == set_id), None)
        if item is None or item.state != "open":
            return not_open(item, self._desk.blind_error(item) if item else "")
        me = person(self._services, request)
        pair = self._desk.next_pair(set_id, me)
        if pair is None:
            return finished(item.settings, *self._desk.progress(set_id, me), self._desk.is_revealed(set_id, me))
        return pair_screen(pair)

    def come_back(self, set_id: str | None, pair_id: str, request: gr.Request) -> Screen:
        """Show what waits; what is on the screen already keeps what was typed under it."""
        screen = self.show_next(set_id, request)
        if screen.pair_id and screen.pair_id == pair_id:
            kept = dict.fromkeys(("shown_at", "told", "pair", "criteria", "reason", "correction"), gr.skip())
            return screen._replace(**kept)
        return screen

    def ask_live(self, set_id: str | None, text: str, request: gr.Request) -> tuple:
        """Have the models answer a query of this person; return the screen, and the query field."""
        if not set_id:
            raise ComparisonError("Choose a comparison first.")
        shown = self._services.live.ask(set_id, person(self._services, request), text)
        screen = self.show_next(set_id, request)
        if not shown:
            told = _html.note("Both answers were the same, which counts as a tie. Ask something else.")
            screen = screen._replace(told=told)
        return (*screen, "")

    vote_a = _voter("vote_a", Outcome.MODEL_A, "Vote: A is better.")
    vote_b = _voter("vote_b", Outcome.MODEL_B, "Vote: B is better.")
    vote_tie = _voter("vote_tie", Outcome.TIE, "Vote: equally good.")
    vote_both_bad = _voter("vote_both_bad", Outcome.BOTH_BAD, "Vote: both are bad.")
    vote_rank = _voter("vote_rank", None, "Give the answers the places that were chosen.")

    def undo_vote(self, set_id: str | None, request: gr.Request) -> Screen:
        """Take back the newest vote and show its answers again, with what was written and chosen."""
        if not set_id:
            raise ComparisonError("Choose a comparison first.")
        me = person(self._services, request)
        vote = self._desk.undo(set_id, me)
        pair = self._desk.next_pair(set_id, me)
        if pair is None or pair.comparison_id != vote.comparison_id:
            return self.show_next(set_id, request)
        return pair_screen(pair, vote, self._desk.places(vote))

    def open_results(self, set_id: str | None, request: gr.Request) -> ResultsOpened:
        """Go to the results of the comparison that was judged."""
        return ResultsOpened(gr.Tabs(selected="results"), self._results.load_comparisons(set_id, request))

    def create_comparison(self, *values: object) -> Created:
        """Begin a comparison, and put the models' names away."""
        known = {item.id for item in self._desk.sets()}
        set_id = self.new.create(*values)
        # By its name without models, which is what those read who still judge it. One that was there already is no news.
        for item in self._desk.sets():
            if item.id == set_id and set_id not in known:
                noted(self._services, "comparison.created", self._desk.blind_name(item))
        none = [gr.Dropdown(choices=[], value=None) for _ in range(3)]
        more = gr.Dropdown(choices=[], value=[], multiselect=True)
        return Created(self.load_comparisons(set_id), gr.Accordion(open=False), *none, more, "")

    def _vote(self, outcome: Outcome | None, given: Given, request: gr.Request) -> Screen:
        if not given.pair_id:
            raise ComparisonError("There is nothing to vote on.")
        seconds = None if given.shown_at is None else time.monotonic() - given.shown_at
        me, (criteria, ranks) = person(self._services, request), read_ballot(given.ballot)
        texts = (given.reason, given.correction, seconds)
        if outcome is None:
            counted = self._desk.rank(given.pair_id, me, ranks, *texts)
        else:
            counted = self._desk.vote(given.pair_id, me, outcome, *texts, criteria=criteria)
        if not counted:
            gr.Info("You had voted on this already, perhaps in another window. That vote stands.")
        told = told_html(self._desk.names_after(given.pair_id, me))
        return self.show_next(given.set_id, request)._replace(told=told)


def build() -> CompareTab:
    """Lay out the tab."""
    with gr.Tab("Compare", id="compare") as root, gr.Column(elem_id="compare-screen", elem_classes=["pl-screen"]):
        team_sprints.banner("compare")
        with gr.Row(equal_height=False):
            chosen = build_dropdown("Comparison", "compare-chosen", scale=2)
            progress = gr.HTML("", elem_id="compare-progress")
        told = gr.HTML("", elem_id="compare-told")
        nothing = gr.HTML("", elem_id="compare-nothing")
        results = gr.Button("See the results", variant="primary", visible=False, elem_id="compare-results")
        with gr.Column(visible=False) as ask:
            query = gr.Textbox(
                label="Your query", placeholder="Ask what the documents can answer", lines=1, max_lines=6,
                elem_id="compare-query",
            )  # fmt: skip
            send = gr.Button("Ask both models", variant="primary", elem_id="compare-ask")
        with gr.Column(visible=False) as form:
            parts = _build_form()
        undo = gr.Button("Undo the last vote  Z", size="sm", visible=False, elem_id="vote-undo")
        new = new_comparison.build()
        timer = gr.Timer(1.0, active=False)
    return CompareTab(root, chosen, progress, told, nothing, results, ask, query, send, form, *parts, undo, new, timer)


def _build_form() -> tuple:
    """Lay out what stands under a pair; return the components in the order of :class:`CompareTab`."""
    pair_id = gr.Textbox("", visible=False)
    shown_at = gr.State(None)
    pair = gr.HTML("", elem_id="compare-pair")
    criteria = gr.HTML("", elem_id="compare-criteria")
    with gr.Row(elem_id="vote-bar") as bar:
        better_a = gr.Button("A is better  1", elem_id="vote-a", min_width=130)
        tie = gr.Button("Tie  3", elem_id="vote-tie", min_width=90)
        both_bad = gr.Button("Both bad  4", elem_id="vote-bad", min_width=110)
        better_b = gr.Button("B is better  2", elem_id="vote-b", min_width=130)
    with gr.Row(elem_id="rank-bar", visible=False) as rank_bar:
        rank = gr.Button("Give this order  Enter", variant="primary", elem_id="vote-rank")
    with gr.Row(equal_height=False):
        reason = gr.Textbox(label="Why? (optional)", lines=1, max_lines=6, elem_id="vote-reason")
        correction = gr.Textbox(label="A better answer (optional)", lines=1, max_lines=12, elem_id="vote-correction")
    gr.HTML('<p class="pl-label">Sources  <kbd>S</kbd></p>')
    sources = gr.HTML("", js_on_load=_html.OPEN_SOURCE_JS, elem_id="compare-sources")
    ballot_box = gr.Textbox("", visible=False)
    bars = bar, better_a, better_b, tie, both_bad, rank_bar, rank
    return pair_id, shown_at, pair, criteria, sources, reason, correction, ballot_box, *bars


def wire(tab: CompareTab, handlers: CompareHandlers, tabs: gr.Tabs, results_tab: results_screen.ResultsTab) -> None:
    """Attach the listeners."""
    screen, new = tab.screen(), tab.new.inputs()
    cast = [tab.chosen, tab.pair_id, tab.shown_at, tab.reason, tab.correction, tab.ballot]
    quiet = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": 8}
    before = remember(tab.chosen, "compared")
    opened = tab.root.select(
        allowed(Role.ANNOTATOR, handlers.load_comparisons), tab.chosen, tab.chosen, js=before, **quiet
    )
    opened.success(allowed(Role.ANNOTATOR, handlers.come_back), [tab.chosen, tab.pair_id], screen, **quiet)
    tab.chosen.input(allowed(Role.ANNOTATOR, handlers.show_next), tab.chosen, screen, **quiet)
    tab.timer.tick(allowed(Role.ANNOTATOR, handlers.show_next), tab.chosen, screen, **quiet)
    for button, handler in (
        (tab.better_a, handlers.vote_a),
        (tab.better_b, handlers.vote_b),
        (tab.tie, handlers.vote_tie),
        (tab.both_bad, handlers.vote_both_bad),
        (tab.rank, handlers.vote_rank),
    ):
        button.click(allowed(Role.ANNOTATOR, handler), cast, screen, js=WITH_BALLOT, **quiet)
    live = {**quiet, "show_progress": "minimal"}
    for event in (tab.send.click, tab.query.submit):
        event(
            allowed(Role.ANNOTATOR, handlers.ask_live, cost=1),
            [tab.chosen, tab.query],
            [*screen, tab.query],
            **live,
        )
    tab.undo.click(allowed(Role.ANNOTATOR, handlers.undo_vote), tab.chosen, screen, **quiet)
    tab.results.click(allowed(Role.ANNOTATOR, handlers.open_results), tab.chosen, [tabs, results_tab.chosen], **quiet)
    boxes = [tab.new.model_1, tab.new.model_2, tab.new.query_list, tab.new.more]
    tab.new.root.expand(allowed(Role.ADMIN, handlers.new.load_new), boxes, [*boxes, tab.new.preview], **quiet)
    for component in new:
        # Gradio's "input" of a text misses what is pasted.
        changed = component.change if component is tab.new.criteria else component.input
        changed(allowed(Role.ADMIN, handlers.new.preview_new), new, tab.new.preview, **quiet)
    parts = [tab.new.query_list, tab.new.more, tab.new.form, tab.new.include]
    tab.new.kind.input(allowed(Role.ADMIN, handlers.new.fit), tab.new.kind, parts, **quiet)
    after = [tab.chosen, tab.new.root, *boxes, tab.new.preview]
    created = tab.new.create.click(
        allowed(Role.ADMIN, handlers.create_comparison, cost=1), new, after, api_visibility="private"
    )
    created.success(allowed(Role.ANNOTATOR, handlers.show_next), tab.chosen, screen, **quiet)
