"""Review: how far people agree, what is decided where they do not, and how everybody is getting on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components import _download, _html
from components._choices import build_dropdown
from components._guard import allowed
from components._session import person
from components.edit import review_html, review_item
from pipeline.errors import RecordError
from pipeline.records import Role
from pipeline.services import Services
from pipeline.unified_files import unified_csv, unified_jsonl

LISTED, MOST_LISTED = 20, 500
# A panel that nobody looks at need not be filled: the numbers of a large dataset take a moment.
_LOOKED_AT_JS = "(dataset, looked) => [dataset, document.querySelector('#review-screen')?.offsetParent ? 'yes' : '']"
_LIST_JS = """
element.addEventListener('click', (event) => {
  const open = event.target.closest('[data-review-open]');
  const more = event.target.closest('[data-review-more]');
  if (open) trigger('select', {record: open.dataset.reviewOpen});
  if (more) trigger('expand', {count: Number(more.dataset.reviewMore)});
});
"""
# What was opened begins at its beginning, and a keyboard goes on from there.
_TO_ITEM_JS = """() => setTimeout(() => {
  const place = document.querySelector('#review-back');
  if (place && place.getClientRects().length) { place.scrollIntoView({block: 'start'}); place.focus({preventScroll: true}); }
}, 60)"""


@dataclass(frozen=True, slots=True)
class ReviewPanel:
    """Components of the panel."""

    root: gr.Tab
    looked_at: gr.Textbox
    headline: gr.HTML
    overview: gr.Column
    questions: gr.HTML
    question: gr.Dropdown
    disagreements: gr.HTML
    people: gr.HTML
    unified: gr.HTML
    csv: _download.Download
    jsonl: _download.Download
    suggestions: gr.HTML
    passages: gr.Accordion
    retrieval: gr.HTML
    detail: gr.Column
    back: gr.Button
    item: gr.HTML


class Screen(NamedTuple):
    """Output order of everything that changes with the dataset."""

    headline: str | dict
    overview: gr.Column
    questions: str
    question: gr.Dropdown
    disagreements: str
    people: str
    unified: str
    suggestions: str
    passages: gr.Accordion
    retrieval: str
    detail: gr.Column
    item: str


class Opened(NamedTuple):
    """Output order of opening a record, and of going back."""

    overview: gr.Column
    detail: gr.Column
    item: str | dict


class ReviewHandlers:
    """Review of one dataset at a time."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.review

    def show_dataset(self, dataset_id: str | None, request: gr.Request) -> Screen:
        """Show the numbers of a dataset and the list of disagreements."""
        if not dataset_id:
            text = "Make a dataset with New dataset, or send answers here from Ask."
            return _nothing(_html.empty("Nothing to review yet", text))
        report = self._desk.report(dataset_id)
        if not report.answered:
            return _nothing(review_html.headline(report))
        settings = report.dataset.settings
        titles = {question.name: question.heading for question in settings.questions}
        found = self._desk.disagreements(dataset_id, person(self._services, request))
        return Screen(
            headline=review_html.headline(report),
            overview=gr.Column(visible=True),
            questions=review_html.questions(report),
            question=gr.Dropdown(choices=[("All questions", ""), *((titles[name], name) for name in titles)], value=""),
            disagreements=review_html.disagreements(found, ""),
            people=review_html.people(report),
            unified=review_html.unified(report),
            suggestions=review_html.anchoring(report.anchoring, report.names, titles),
            passages=gr.Accordion(visible=settings.mark_chunks),
            retrieval=review_html.retrieval(report.retrieval),
            detail=gr.Column(visible=False),
            item="",
        )

    def show_where_looked_at(self, dataset_id: str | None, looked_at: str, request: gr.Request) -> Screen:
        """Show a dataset where the panel is what the person sees; else nothing changes."""
        return self.show_dataset(dataset_id, request) if looked_at else Screen(*[gr.skip()] * len(Screen._fields))

    def list_disagreements(self, dataset_id: str | None, question: str | None, request: gr.Request) -> str:
        """Return the list by one question, or by all."""
        return self._listed(dataset_id, question, LISTED, request)

    def list_more(self, dataset_id: str | None, question: str | None, request: gr.Request, event: gr.EventData) -> str:
        """Return more of the list."""
        count = event._data.get("count")
        count = count if isinstance(count, int) and not isinstance(count, bool) else LISTED
        return self._listed(dataset_id, question, min(max(count, LISTED), MOST_LISTED), request)

    def open_record(self, request: gr.Request, event: gr.EventData) -> Opened:
        """Show a record with everybody's answers."""
        return self._opened(_record_of(event), request)

    def open_next(
        self, dataset_id: str | None, question: str | None, request: gr.Request, event: gr.EventData
    ) -> Opened:
        """Show the least agreed record that is not decided, after the one that is open."""
        found = self._desk.disagreements(
            dataset_id or "", person(self._services, request), question or "", 0, MOST_LISTED
        )
        waiting = [line for line in found.lines if not line.adjudicated]
        ids = [line.record.id for line in waiting]
        place = ids.index(_record_of(event)) + 1 if _record_of(event) in ids else 0
        if place >= len(waiting) or waiting[place].found.score == 0:
            gr.Info("No other disagreement is left.")
            return self.go_back()
        return self._opened(ids[place], request)

    def go_back(self) -> Opened:
        """Show the list again."""
        return Opened(gr.Column(visible=True), gr.Column(visible=False), gr.skip())

    def adjudicate(self, request: gr.Request, event: gr.EventData) -> str:
        """Keep a decision and show it."""
        record_id, data = _record_of(event), event._data
        values, reason = data.get("values"), data.get("reason")
        if not isinstance(values, dict) or not isinstance(reason, str):
            raise RecordError("The decision did not arrive whole. Save it again.")
        me = person(self._services, request)
        self._desk.adjudicate(record_id, me, _without_blank(values), reason)
        gr.Info("Decision saved.")
        return review_item.item_html(self._desk.item(record_id, me))

    def withdraw(self, request: gr.Request, event: gr.EventData) -> str:
        """Take a decision back."""
        me, record_id = person(self._services, request), _record_of(event)
        self._desk.withdraw(record_id, me)
        gr.Info("The decision is taken back.")
        return review_item.item_html(self._desk.item(record_id, me))

    def refresh(self, dataset_id: str | None, question: str | None, request: gr.Request) -> tuple[str, str, str, str]:
        """Return what a decision changes: headline, questions, list and unified answers."""
        report = self._desk.report(dataset_id or "")
        listed = self._listed(dataset_id, question, LISTED, request)
        return review_html.headline(report), review_html.questions(report), listed, review_html.unified(report)

    def download_csv(self, dataset_id: str | None, request: gr.Request) -> str:
        """Return the path of a CSV file of the unified answers."""
        dataset, rows = self._desk.table(_chosen(dataset_id), person(self._services, request))
        return _download.write("pairloop-unified.csv", unified_csv(dataset.settings, rows))

    def download_jsonl(self, dataset_id: str | None, request: gr.Request) -> str:
        """Return the path of a JSONL file of the unified answers."""
        dataset, rows = self._desk.table(_chosen(dataset_id), person(self._services, request))
        return _download.write("pairloop-unified.jsonl", unified_jsonl(dataset.settings, rows))

    def _listed(self, dataset_id: str | None, question: str | None, count: int, request: gr.Request) -> str:
        dataset = self._services.datasets.get(_chosen(dataset_id))
        # The choice may be left over from the dataset before.
        question = question if question and dataset.settings.question(question) else ""
        found = self._desk.disagreements(dataset.id, person(self._services, request), question, 0, count)
        return review_html.disagreements(found, question)

    def _opened(self, record_id: str, request: gr.Request) -> Opened:
        shown = review_item.item_html(self._desk.item(record_id, person(self._services, request)))
        return Opened(gr.Column(visible=False), gr.Column(visible=True), shown)


def build() -> ReviewPanel:
    """Lay out the panel."""
    with gr.Tab("Review", id="review") as root, gr.Column(elem_id="review-screen"):
        looked_at = gr.Textbox("", visible=False)
        headline = gr.HTML("", elem_id="review-headline")
        with gr.Column(visible=False) as overview:
            questions = gr.HTML("", elem_id="review-questions")
            gr.HTML('<h3 class="pl-title">Where people disagree</h3>')
            question = build_dropdown("Order by", "review-question")
            disagreements = gr.HTML("", js_on_load=_LIST_JS, elem_id="review-disagreements")
            people = gr.HTML("", elem_id="review-people")
            with gr.Accordion("Unified answers", open=False, elem_id="review-unified-panel"):
                unified = gr.HTML("", elem_id="review-unified")
                with gr.Row():
                    csv = _download.build("Download unified answers (CSV)", "review-csv")
                    jsonl = _download.build("Download unified answers (JSONL)", "review-jsonl")
            with gr.Accordion("What suggestions do", open=False, elem_id="review-suggestions-panel"):
                suggestions = gr.HTML("", elem_id="review-suggestions")
            with gr.Accordion("How good the passages are", open=False, elem_id="review-retrieval-panel") as passages:
                retrieval = gr.HTML("", elem_id="review-retrieval")
        with gr.Column(visible=False) as detail:
            back = gr.Button("Back to the list", elem_id="review-back", size="sm")
            item = gr.HTML("", js_on_load=review_item.ITEM_JS, elem_id="review-item")
    return ReviewPanel(
        root, looked_at, headline, overview, questions, question, disagreements, people, unified, csv, jsonl,
        suggestions, passages, retrieval, detail, back, item,
    )  # fmt: skip


def wire(panel: ReviewPanel, handlers: ReviewHandlers, dataset: gr.Dropdown, opened: list[Callable]) -> None:
    """Attach the listeners; ``opened`` fire when another dataset may be chosen, whether this panel is seen or not."""
    quiet = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": 4}
    screen = [
        panel.headline, panel.overview, panel.questions, panel.question, panel.disagreements, panel.people, panel.unified,
        panel.suggestions, panel.passages, panel.retrieval, panel.detail, panel.item,
    ]  # fmt: skip
    place = [panel.overview, panel.detail, panel.item]
    listed = [dataset, panel.question]
    changed = [panel.headline, panel.questions, panel.disagreements, panel.unified]
    # The numbers of a large dataset take some seconds: the sentence on top says that they are on their way.
    waiting = {**quiet, "show_progress": "minimal", "show_progress_on": panel.headline}
    panel.root.select(allowed(Role.ADMIN, handlers.show_dataset, quiet=True), dataset, screen, **waiting)
    looked = [dataset, panel.looked_at]
    for event in opened:
        event(
            allowed(Role.ADMIN, handlers.show_where_looked_at, quiet=True), looked, screen, js=_LOOKED_AT_JS, **waiting
        )
    panel.question.input(allowed(Role.ADMIN, handlers.list_disagreements), listed, panel.disagreements, **quiet)
    panel.disagreements.expand(allowed(Role.ADMIN, handlers.list_more), listed, panel.disagreements, **quiet)
    shown = panel.disagreements.select(allowed(Role.ADMIN, handlers.open_record), None, place, **quiet)
    following = panel.item.select(allowed(Role.ADMIN, handlers.open_next), listed, place, **quiet)
    for event in (shown, following):
        event.success(None, js=_TO_ITEM_JS, api_visibility="private", show_progress="hidden")
    panel.back.click(allowed(Role.ADMIN, handlers.go_back), None, place, **quiet)
    for event, handler in ((panel.item.submit, handlers.adjudicate), (panel.item.delete, handlers.withdraw)):
        done = event(allowed(Role.ADMIN, handler), None, panel.item, **quiet)
        done.success(allowed(Role.ADMIN, handlers.refresh), listed, changed, **quiet)
    _download.wire(panel.csv, Role.ADMIN, handlers.download_csv, [dataset])
    _download.wire(panel.jsonl, Role.ADMIN, handlers.download_jsonl, [dataset])


def _nothing(headline: str) -> Screen:
    hidden = gr.Column(visible=False)
    return Screen(
        headline, hidden, "", gr.Dropdown(choices=[("All questions", "")], value=""), "", "", "", "",
        gr.Accordion(visible=False), "", hidden, "",
    )  # fmt: skip


def _chosen(dataset_id: str | None) -> str:
    if not dataset_id:
        raise RecordError("Choose a dataset first.")
    return dataset_id


def _record_of(event: gr.EventData) -> str:
    return str(event._data.get("record", ""))


def _without_blank(values: dict[str, object]) -> dict[str, object]:
    return {str(name): value for name, value in values.items() if value not in (None, "", [])}
