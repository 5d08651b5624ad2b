"""Compare: two answers side by side, blind.

Until a person opens the results, nothing of this tab names a model: the list of comparisons has neutral names, the pair
arrives as texts, and the choice of models for a new comparison is loaded only when somebody opens that panel.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components import _html
from components import results as results_screen
from components._choices import build_dropdown, dropdown, kept
from components._errors import shows_errors
from components._session import person
from pipeline.comparison_settings import ComparisonSettings
from pipeline.comparisons import BlindPair
from pipeline.errors import ComparisonError
from pipeline.ranking.verdict import plural
from pipeline.records import Outcome
from pipeline.services import Services
from pipeline.store.comparisons import ComparisonSet


@dataclass(frozen=True, slots=True)
class CompareTab:
    """Components of the tab."""

    root: gr.Tab
    chosen: gr.Dropdown
    progress: gr.HTML
    nothing: gr.HTML
    results: gr.Button
    form: gr.Column
    pair_id: gr.Textbox
    shown_at: gr.State
    pair: gr.HTML
    sources: gr.HTML
    reason: gr.Textbox
    correction: gr.Textbox
    better_a: gr.Button
    better_b: gr.Button
    tie: gr.Button
    both_bad: gr.Button
    undo: gr.Button
    new: gr.Accordion
    model_1: gr.Dropdown
    model_2: gr.Dropdown
    query_list: gr.Dropdown
    preview: gr.HTML
    create: gr.Button
    timer: gr.Timer


class Screen(NamedTuple):
    """Output order of everything that changes with a pair."""

    pair_id: str
    shown_at: float
    progress: str
    nothing: gr.HTML
    results: gr.Button
    form: gr.Column
    pair: str
    sources: str
    reason: str
    correction: str
    undo: gr.Button
    timer: gr.Timer


class NewChoices(NamedTuple):
    """Output order of the panel for a new comparison."""

    model_1: gr.Dropdown
    model_2: gr.Dropdown
    query_list: gr.Dropdown
    preview: str


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
    preview: str


class CompareHandlers:
    """Blind votes of one person at a time."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.comparisons
        self._results = results_screen.ResultsHandlers(services)

    def load_comparisons(self, chosen: str | None) -> gr.Dropdown:
        """Return the comparisons under names that tell no model; a choice that still exists is kept."""
        return dropdown([(self._desk.blind_name(item), item.id) for item in self._desk.sets()], chosen)

    def show_next(self, set_id: str | None, request: gr.Request) -> Screen:
        """Show the pair that waits for this person."""
        if not set_id:
            text = "A comparison shows the answers of two models to the test queries of a list. Make one below."
            return _nothing("No comparison yet", text)
        item = next((item for item in self._desk.sets() if item.id == set_id), None)
        if item is None or item.state != "open":
            return _not_open(item, self._desk.blind_error(item) if item else "")
        me = person(self._services, request)
        pair = self._desk.next_pair(set_id, me)
        done, total = self._desk.progress(set_id, me)
        if pair is None:
            return _finished(done, total, self._desk.is_revealed(set_id, me))
        return _pair_screen(pair, done)

    def come_back(self, set_id: str | None, pair_id: str, request: gr.Request) -> Screen:
        """Show the pair that waits; one that is on the screen already keeps what was typed under it."""
        screen = self.show_next(set_id, request)
        if screen.pair_id and screen.pair_id == pair_id:
            return screen._replace(shown_at=gr.skip(), reason=gr.skip(), correction=gr.skip())
        return screen

    def vote_a(
        self, set_id: str, pair_id: str, shown_at: float | None, reason: str, correction: str, request: gr.Request
    ) -> Screen:
        """Vote: A is better."""
        return self._vote(Outcome.MODEL_A, (set_id, pair_id, shown_at), (reason, correction), request)

    def vote_b(
        self, set_id: str, pair_id: str, shown_at: float | None, reason: str, correction: str, request: gr.Request
    ) -> Screen:
        """Vote: B is better."""
        return self._vote(Outcome.MODEL_B, (set_id, pair_id, shown_at), (reason, correction), request)

    def vote_tie(
        self, set_id: str, pair_id: str, shown_at: float | None, reason: str, correction: str, request: gr.Request
    ) -> Screen:
        """Vote: equally good."""
        return self._vote(Outcome.TIE, (set_id, pair_id, shown_at), (reason, correction), request)

    def vote_both_bad(
        self, set_id: str, pair_id: str, shown_at: float | None, reason: str, correction: str, request: gr.Request
    ) -> Screen:
        """Vote: both are bad."""
        return self._vote(Outcome.BOTH_BAD, (set_id, pair_id, shown_at), (reason, correction), request)

    def undo_vote(self, set_id: str | None, request: gr.Request) -> Screen:
        """Take back the newest vote and show its pair again, with what was written."""
        if not set_id:
            raise ComparisonError("Choose a comparison first.")
        vote = self._desk.undo(set_id, person(self._services, request))
        return self.show_next(set_id, request)._replace(reason=vote.reason, correction=vote.correction)

    def open_results(self, set_id: str | None, request: gr.Request) -> ResultsOpened:
        """Go to the results of the comparison that was judged."""
        return ResultsOpened(gr.Tabs(selected="results"), self._results.load_comparisons(set_id, request))

    def load_new(self, model_1: str | None, model_2: str | None, list_id: str | None) -> NewChoices:
        """Return the models and lists for a new comparison: the newest model beside its parent, the newest list."""
        models = self._services.registry.all()
        newest = models[-1]
        names = [(model.name, model.id) for model in models]
        lists = [(f"{item.name} ({item.size})", item.id) for item in self._services.query_lists.all()]
        # Within a request an update is no component yet and has no value to read.
        first, second = kept(names, model_1 or newest.id), kept(names, model_2 or newest.parent_id)
        chosen = kept(lists, list_id)
        boxes = dropdown(names, first), dropdown(names, second), dropdown(lists, chosen)
        return NewChoices(*boxes, self.preview_new(first, second, chosen))

    def preview_new(self, model_1: str | None, model_2: str | None, list_id: str | None) -> str:
        """Return what the comparison would hold."""
        if not (model_1 and model_2 and list_id):
            return _html.note("A comparison needs two models and a list of queries.")
        if model_1 == model_2:
            return _html.note("Choose two different models. Tune makes a second one.", "warn")
        preview = self._desk.preview(ComparisonSettings((model_1, model_2)), list_id)
        text = (
            f"{plural(preview.pairs, 'test query', 'test queries')}. Both models answer over the same stored contexts."
        )
        if preview.barred:
            are = "1 more is barred: it is" if preview.barred == 1 else f"{preview.barred} more are barred: they are"
            text += f" {are} reviewed on Edit, where answers are read in the open."
        return _html.note(text, "" if preview.pairs else "warn")

    def create_comparison(self, model_1: str | None, model_2: str | None, list_id: str | None) -> Created:
        """Begin a comparison, whose answers are made in the background, and put the models' names away."""
        if not (model_1 and model_2 and list_id):
            raise ComparisonError("Choose two models and a list of queries first.")
        set_id = self._desk.create(ComparisonSettings((model_1, model_2)), list_id)
        none = [gr.Dropdown(choices=[], value=None) for _ in range(3)]
        return Created(self.load_comparisons(set_id), gr.Accordion(open=False), *none, "")

    def _vote(self, outcome: Outcome, shown: tuple, texts: tuple[str, str], request: gr.Request) -> Screen:
        set_id, pair_id, shown_at = shown
        if not pair_id:
            raise ComparisonError("There is no pair to vote on.")
        seconds = None if shown_at is None else time.monotonic() - shown_at
        if not self._desk.vote(pair_id, person(self._services, request), outcome, *texts, seconds=seconds):
            gr.Info("You had voted on this pair already, perhaps in another window. That vote stands.")
        return self.show_next(set_id, request)


def build() -> CompareTab:
    """Lay out the tab."""
    with gr.Tab("Compare", id="compare") as root, gr.Column(elem_id="compare-screen", elem_classes=["pl-screen"]):
        with gr.Row(equal_height=False):
            chosen = build_dropdown("Comparison", "compare-chosen", scale=2)
            progress = gr.HTML("", elem_id="compare-progress")
        nothing = gr.HTML("", elem_id="compare-nothing")
        results = gr.Button("See the results", variant="primary", visible=False, elem_id="compare-results")
        with gr.Column(visible=False) as form:
            pair_id = gr.Textbox("", visible=False)
            shown_at = gr.State(None)
            pair = gr.HTML("", elem_id="compare-pair")
            with gr.Row(elem_id="vote-bar"):
                better_a = gr.Button("A is better  1", elem_id="vote-a", min_width=130)
                tie = gr.Button("Tie  3", elem_id="vote-tie", min_width=90)
                both_bad = gr.Button("Both bad  4", elem_id="vote-bad", min_width=110)
                better_b = gr.Button("B is better  2", elem_id="vote-b", min_width=130)
            with gr.Row(equal_height=False):
                reason = gr.Textbox(label="Why? (optional)", lines=1, max_lines=6, elem_id="vote-reason")
                correction = gr.Textbox(
                    label="A better answer (optional)", lines=1, max_lines=12, elem_id="vote-correction"
                )
            gr.HTML('<p class="pl-label">Sources  <kbd>S</kbd></p>')
            sources = gr.HTML("", js_on_load=_html.OPEN_SOURCE_JS, elem_id="compare-sources")
        undo = gr.Button("Undo the last vote  Z", size="sm", visible=False, elem_id="vote-undo")
        with gr.Accordion("New comparison", open=False, elem_id="compare-new") as new:
            with gr.Row(equal_height=False):
                model_1 = build_dropdown("One model", "compare-model-1")
                model_2 = build_dropdown("Other model", "compare-model-2")
                query_list = build_dropdown("Query list", "compare-list")
            preview = gr.HTML("", elem_id="compare-preview")
            create = gr.Button("Create the comparison", variant="primary", elem_id="compare-create")
        timer = gr.Timer(1.0, active=False)
    return CompareTab(
        root, chosen, progress, nothing, results, form, pair_id, shown_at, pair, sources, reason, correction, better_a,
        better_b, tie, both_bad, undo, new, model_1, model_2, query_list, preview, create, timer,
    )  # fmt: skip


def wire(tab: CompareTab, handlers: CompareHandlers, tabs: gr.Tabs, results_tab: results_screen.ResultsTab) -> None:
    """Attach the listeners."""
    screen = [
        tab.pair_id, tab.shown_at, tab.progress, tab.nothing, tab.results, tab.form, tab.pair, tab.sources, tab.reason,
        tab.correction, tab.undo, tab.timer,
    ]  # fmt: skip
    cast = [tab.chosen, tab.pair_id, tab.shown_at, tab.reason, tab.correction]
    new = [tab.model_1, tab.model_2, tab.query_list]
    quiet = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": 8}
    opened = tab.root.select(shows_errors(handlers.load_comparisons), tab.chosen, tab.chosen, **quiet)
    opened.success(shows_errors(handlers.come_back), [tab.chosen, tab.pair_id], screen, **quiet)
    tab.chosen.input(shows_errors(handlers.show_next), tab.chosen, screen, **quiet)
    tab.timer.tick(shows_errors(handlers.show_next), tab.chosen, screen, **quiet)
    for button, handler in (
        (tab.better_a, handlers.vote_a),
        (tab.better_b, handlers.vote_b),
        (tab.tie, handlers.vote_tie),
        (tab.both_bad, handlers.vote_both_bad),
    ):
        button.click(shows_errors(handler), cast, screen, **quiet)
    tab.undo.click(shows_errors(handlers.undo_vote), tab.chosen, screen, **quiet)
    tab.results.click(shows_errors(handlers.open_results), tab.chosen, [tabs, results_tab.chosen], **quiet)
    tab.new.expand(shows_errors(handlers.load_new), new, [*new, tab.preview], **quiet)
    for component in new:
        component.input(shows_errors(handlers.preview_new), new, tab.preview, **quiet)
    after = [tab.chosen, tab.new, *new, tab.preview]
    created = tab.create.click(shows_errors(handlers.create_comparison), new, after, api_visibility="private")
    created.success(shows_errors(handlers.show_next), tab.chosen, screen, **quiet)


def pair_html(pair: BlindPair) -> str:
    """Return both answers: the same markup for both, whatever wrote them."""
    cited = len(pair.contexts)
    sides = "".join(
        f'<section class="pl-side" aria-label="Answer {name}"><h3>{name}</h3>'
        f'<div class="pl-side-text" tabindex="0">{_html.answer(text, cited)}</div></section>'
        for name, text in (("A", pair.text_a), ("B", pair.text_b))
    )
    shows = f'data-shows="{_html.esc(pair.comparison_id)}"'
    return f'<h3 class="pl-query" dir="auto" {shows}>{_html.esc(pair.query)}</h3><div class="pl-pair">{sides}</div>'


def _pair_screen(pair: BlindPair, done: int) -> Screen:
    return Screen(
        pair_id=pair.comparison_id,
        shown_at=time.monotonic(),
        progress=_html.bar(done, pair.total, f"{done} of {pair.total} judged by you"),
        nothing=gr.HTML("", visible=False),
        results=gr.Button(visible=False),
        form=gr.Column(visible=True),
        pair=pair_html(pair),
        sources=_html.sources(pair.contexts, scores=False, opened=0),
        reason="",
        correction="",
        undo=gr.Button(visible=done > 0),
        timer=gr.Timer(active=False),
    )


def _nothing(title: str, text: str, progress: str = "", results: bool = False, waiting: bool = False) -> Screen:
    return Screen(
        pair_id="",
        shown_at=time.monotonic(),
        progress=progress,
        nothing=gr.HTML(_html.empty(title, text), visible=True),
        results=gr.Button(visible=results),
        form=gr.Column(visible=False),
        pair="",
        sources="",
        reason="",
        correction="",
        undo=gr.Button(visible=False),
        timer=gr.Timer(active=waiting),
    )


def _not_open(item: ComparisonSet | None, error: str) -> Screen:
    if item is None:
        return _nothing("This comparison is gone", "Choose another one.")
    if item.state == "preparing":
        return _nothing(
            "Answers are being made", "Both models answer the test queries. This page goes on by itself.", waiting=True
        )
    return _nothing("This comparison could not be prepared", error)


def _finished(done: int, total: int, revealed: bool) -> Screen:
    shown = _html.bar(done, total, f"{done} of {total} judged by you")
    if revealed:
        return _nothing(
            "Your votes are final", "You have opened the results, which ended your voting here.", shown, True
        )
    if total == 0:
        text = "Both models gave the same answer to every query. These count as ties; the results say so."
        return _nothing("Nothing to judge", text, shown, results=True)
    text = "You have judged every pair. Undo is possible until you open the results."
    screen = _nothing("All judged", text, shown, results=True)
    return screen._replace(undo=gr.Button(visible=True))
