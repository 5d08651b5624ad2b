"""Annotate: one record at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components import _html
from components._errors import shows_errors
from components._session import person
from pipeline.annotation.templates import ANSWER, CONTEXT_RATING, QUERY_RATING
from pipeline.records import ResponseStatus
from pipeline.services import Services
from pipeline.tasks import Card, Progress

# Lets the page's script save a draft: the listener of this component's "input".
_DRAFT_JS = "if (window.pairloopDraft) window.pairloopDraft.send = () => trigger('input');"


@dataclass(frozen=True, slots=True)
class AnnotatePanel:
    """Components of the panel."""

    root: gr.Tab
    progress: gr.HTML
    nothing: gr.Column
    nothing_text: gr.HTML
    example: gr.Button
    again: gr.Button
    form: gr.Column
    record_id: gr.Textbox
    shown_at: gr.State
    record: gr.HTML
    sources: gr.HTML
    query_rating: gr.Radio
    context_rating: gr.Radio
    answer: gr.Textbox
    status: gr.HTML
    diff: gr.HTML
    guidelines: gr.Markdown
    back: gr.Button
    next: gr.Button
    discard: gr.Button
    submit: gr.Button


class Screen(NamedTuple):
    """Output order of everything that changes with a record."""

    record_id: str
    shown_at: float
    progress: str
    nothing: gr.Column
    nothing_text: str
    example: gr.Button
    again: gr.Button
    form: gr.Column
    record: str
    sources: str
    query_rating: gr.Radio
    context_rating: gr.Radio
    answer: gr.Textbox
    status: str
    diff: str
    guidelines: str


class Typed(NamedTuple):
    """Output order while somebody works on a record."""

    status: str | dict
    diff: str | dict


class AnnotateHandlers:
    """Review of answers for one person at a time."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.annotation

    def open_dataset(self, dataset_id: str | None, record_id: str, request: gr.Request) -> Screen:
        """Show the record that waits for this person; one of this dataset that is on the screen already stays."""
        dataset_id = dataset_id or next((dataset.id for dataset in self._services.datasets.all()), None)
        if dataset_id is None:
            return _nothing(
                "Nothing to review yet",
                "Run a list of queries on Ask and send the answers here, or begin with the example.",
            )
        me = person(self._services, request)
        if record_id in self._services.store.datasets.record_ids(dataset_id):
            return _untouched(self._screen(dataset_id, record_id, me))
        return self._screen(dataset_id, self._desk.next_record(dataset_id, me), me)

    def prepare_example(self, request: gr.Request) -> Screen:
        """Answer the example's queries with the embedded model and open them for review."""
        dataset = self._services.example.review()
        return self.open_dataset(dataset.id, "", request)

    def save_draft(
        self, record_id: str, query_rating: int | None, context_rating: int | None, answer: str, request: gr.Request
    ) -> Typed:
        """Keep what was typed, on the server, and show how it differs from the suggestion."""
        if not record_id:
            return Typed(gr.skip(), gr.skip())
        me = person(self._services, request)
        card = self._desk.card(record_id, me)
        values = _values(query_rating, context_rating, answer)
        if self._desk.is_kept(card, values):
            line = _line(record_id, _status(card), True)
        else:
            response = self._desk.save_draft(record_id, me, values)
            line = _line(record_id, _saved(response.status), response.status is ResponseStatus.DRAFT)
        # After the text is safe: the comparison takes its time.
        return Typed(line, f'<div data-of="{_html.esc(record_id)}">{_html.diff(card.record.completion, answer)}</div>')

    def submit_response(
        self,
        record_id: str,
        query_rating: int | None,
        context_rating: int | None,
        answer: str,
        shown_at: float | None,
        request: gr.Request,
    ) -> Screen:
        """Submit the response and show the next record."""
        values = _values(query_rating, context_rating, answer)
        return self._end(self._desk.submit, record_id, values, shown_at, request)

    def discard_record(
        self,
        record_id: str,
        query_rating: int | None,
        context_rating: int | None,
        answer: str,
        shown_at: float | None,
        request: gr.Request,
    ) -> Screen:
        """Discard the record and show the next one."""
        values = _values(query_rating, context_rating, answer)
        return self._end(self._desk.discard, record_id, values, shown_at, request)

    def go_back(self, record_id: str, dataset_id: str | None, request: gr.Request) -> Screen:
        """Show the record before in this person's order; from its end, the last one."""
        return self._step(record_id, dataset_id, -1, person(self._services, request))

    def go_on(self, record_id: str, dataset_id: str | None, request: gr.Request) -> Screen:
        """Show the record after."""
        return self._step(record_id, dataset_id, 1, person(self._services, request))

    def _step(self, record_id: str, dataset_id: str | None, step: int, me: str) -> Screen:
        if not record_id:
            last = self._desk.order(dataset_id or "", me)[-1:]
            return self._screen(dataset_id or "", next(iter(last), None), me)
        neighbour = self._desk.neighbour(record_id, me, step)
        if neighbour is None:
            gr.Info("This is the first record." if step < 0 else "This is the last record.")
        screen = self._screen(self._services.store.datasets.dataset_of(record_id), neighbour or record_id, me)
        return screen if neighbour else _untouched(screen)

    def _end(
        self, end: Callable, record_id: str, values: dict[str, object], shown_at: float | None, request: gr.Request
    ) -> Screen:
        me = person(self._services, request)
        end(record_id, me, values, _seconds(shown_at))
        dataset_id = self._services.store.datasets.dataset_of(record_id)
        return self._screen(dataset_id, self._desk.next_record(dataset_id, me, record_id), me)

    def _screen(self, dataset_id: str, record_id: str | None, me: str) -> Screen:
        shown = progress(self._desk.progress(dataset_id, me))
        if record_id is None:
            text = "No record of this dataset waits for you. Look at your answers again, or go on to Tune."
            return _nothing("All done here", text, shown)
        return _card_screen(self._desk.card(record_id, me), shown)


def build() -> AnnotatePanel:
    """Lay out the panel."""
    with gr.Tab("Annotate", id="annotate") as root:
        progress_html = gr.HTML("", elem_id="edit-progress")
        with gr.Column(visible=False) as nothing:
            nothing_text = gr.HTML("")
            example = gr.Button("Review the example", variant="primary", elem_id="edit-example")
            again = gr.Button("Look at the last record again", elem_id="edit-again")
        # The record travels with what is typed, so that a text can never be saved to the record that came after it.
        record_id = gr.Textbox("", visible=False, elem_id="edit-record-id")
        shown_at = gr.State(None)
        with gr.Column(visible=False) as form:
            with gr.Row(equal_height=False):
                with gr.Column(scale=5, min_width=320):
                    record = gr.HTML("", elem_id="edit-record")
                    sources = gr.HTML("", js_on_load=_html.OPEN_SOURCE_JS, elem_id="edit-sources")
                with gr.Column(scale=4, min_width=320):
                    ratings = {"choices": [1, 2, 3, 4, 5], "elem_classes": ["pl-rating"], "info": "1 poor, 5 very good"}
                    query_rating = gr.Radio(label="Query", elem_id="edit-query-rating", **ratings)
                    context_rating = gr.Radio(label="Contexts", elem_id="edit-context-rating", **ratings)
                    answer = gr.Textbox(label="Answer", lines=6, max_lines=30, elem_id="edit-answer", buttons=[])
                    status = gr.HTML("", js_on_load=_DRAFT_JS, elem_id="edit-status")
                    diff = gr.HTML("", elem_id="edit-diff")
            with gr.Row(elem_id="edit-bar"):
                back = gr.Button("Back  [", elem_id="edit-back", min_width=110)
                next_ = gr.Button("Next  ]", elem_id="edit-next", min_width=110)
                discard = gr.Button("Discard", variant="stop", elem_id="edit-discard", min_width=110)
                submit = gr.Button("Submit  Ctrl ⏎", variant="primary", elem_id="edit-submit", min_width=180)
        with gr.Accordion("Guidelines", open=False):
            guidelines = gr.Markdown("", elem_id="edit-guidelines")
    return AnnotatePanel(
        root, progress_html, nothing, nothing_text, example, again, form, record_id, shown_at, record, sources,
        query_rating, context_rating, answer, status, diff, guidelines, back, next_, discard, submit,
    )  # fmt: skip


def wire(tab: AnnotatePanel, handlers: AnnotateHandlers, dataset: gr.Dropdown, opened: list[Callable]) -> None:
    """Attach the listeners."""
    screen = [
        tab.record_id, tab.shown_at, tab.progress, tab.nothing, tab.nothing_text, tab.example, tab.again, tab.form,
        tab.record, tab.sources, tab.query_rating, tab.context_rating, tab.answer, tab.status, tab.diff, tab.guidelines,
    ]  # fmt: skip
    values = [tab.record_id, tab.query_rating, tab.context_rating, tab.answer]
    chosen = [dataset, tab.record_id]
    stepped = [tab.record_id, dataset]
    quiet = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": 8}
    for event in opened:
        event(shows_errors(handlers.open_dataset), chosen, screen, **quiet)
    tab.example.click(shows_errors(handlers.prepare_example), None, screen, api_visibility="private")
    # The page's script says what a person typed, and for which record. Gradio's "change" would save what the server shows as
    # well, and its "input" misses pasted text. While somebody types, only the newest text matters.
    drafts = tab.status.input(
        shows_errors(handlers.save_draft), values, [tab.status, tab.diff], js="() => window.pairloopDraft.next()",
        trigger_mode="always_last", **quiet,
    )  # fmt: skip
    drafts.success(None, js="() => window.pairloopDraft.saved()", api_visibility="private", show_progress="hidden")
    tab.submit.click(shows_errors(handlers.submit_response), [*values, tab.shown_at], screen, **quiet)
    tab.discard.click(shows_errors(handlers.discard_record), [*values, tab.shown_at], screen, **quiet)
    tab.back.click(shows_errors(handlers.go_back), stepped, screen, **quiet)
    tab.again.click(shows_errors(handlers.go_back), stepped, screen, **quiet)
    tab.next.click(shows_errors(handlers.go_on), stepped, screen, **quiet)


def progress(counts: Progress) -> str:
    """Return one person's progress in words."""
    done = counts.submitted + counts.discarded + counts.others
    words = [f"{counts.pending} pending", f"{counts.drafts} drafts", f"{counts.submitted} submitted"]
    words += [f"{counts.discarded} discarded"] + ([f"{counts.others} by others"] if counts.others else [])
    return _html.bar(done, counts.total, " · ".join(words))


def _card_screen(card: Card, shown: str) -> Screen:
    record, settings = card.record, card.settings
    values = card.response.values if card.response else {}
    answer = str(values.get(ANSWER, record.completion))
    head = f'<p class="pl-label" data-shows="{record.id}">Record {card.number} of {card.total}</p>'
    head += f'<h3 class="pl-query" dir="auto">{_html.esc(record.query)}</h3>'
    return Screen(
        record_id=record.id,
        shown_at=time.monotonic(),
        progress=shown,
        nothing=gr.Column(visible=False),
        nothing_text="",
        example=gr.Button(visible=False),
        again=gr.Button(visible=False),
        form=gr.Column(visible=True),
        record=head + '<p class="pl-label">Contexts</p>',
        sources=_html.sources(record.contexts, scores=False),
        query_rating=gr.Radio(label=settings.question(QUERY_RATING).title, value=values.get(QUERY_RATING)),
        context_rating=gr.Radio(label=settings.question(CONTEXT_RATING).title, value=values.get(CONTEXT_RATING)),
        answer=gr.Textbox(label=settings.question(ANSWER).title, value=answer),
        status=_status(card),
        diff=_html.diff(record.completion, answer),
        guidelines=settings.guidelines,
    )


def _untouched(screen: Screen) -> Screen:
    """Leave the fields of a record that is on the screen already: they may hold letters that are not saved yet."""
    return screen._replace(query_rating=gr.skip(), context_rating=gr.skip(), answer=gr.skip())


def _line(record_id: str, note: str, kept: bool) -> str:
    """Return a status line that tells the page's script which record it is of, and whether its draft is kept."""
    mark = f'data-kept="{_html.esc(record_id)}"' if kept else ""
    return f'<div data-of="{_html.esc(record_id)}" {mark}>{note}</div>'


def _saved(status: ResponseStatus) -> str:
    if status is ResponseStatus.DRAFT:
        return _html.note(f"Draft saved {time.strftime('%H:%M:%S', time.gmtime())} UTC")
    return _html.note(f"You have {status} this; submit to change it")


def _status(card: Card) -> str:
    if card.response is None:
        return _html.note(f"Suggested by {card.record.suggestions[ANSWER].agent}. Edit it, or submit it as it is.")
    words = {
        ResponseStatus.DRAFT: "Your draft",
        ResponseStatus.SUBMITTED: "You submitted this; submit again to change it",
        ResponseStatus.DISCARDED: "You discarded this; submit to take it back in",
    }
    return _html.note(words[card.response.status])


def _nothing(title: str, text: str, shown: str = "") -> Screen:
    return Screen(
        record_id="",
        shown_at=time.monotonic(),
        progress=shown,
        nothing=gr.Column(visible=True),
        nothing_text=_html.empty(title, text),
        example=gr.Button(visible=not shown),
        again=gr.Button(visible=bool(shown)),
        form=gr.Column(visible=False),
        record="",
        sources="",
        query_rating=gr.Radio(value=None),
        context_rating=gr.Radio(value=None),
        answer=gr.Textbox(value=""),
        status="",
        diff="",
        guidelines="",
    )


def _values(query_rating: int | None, context_rating: int | None, answer: str) -> dict[str, object]:
    return {QUERY_RATING: query_rating, CONTEXT_RATING: context_rating, ANSWER: answer}


def _seconds(shown_at: float | None) -> float:
    # After a restart of the app the moment is unknown; no time is then better than a wrong one.
    return 0.0 if shown_at is None else time.monotonic() - shown_at
