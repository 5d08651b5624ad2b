"""The first tab: the loop at a glance, with what is done and what waits, and the ways in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components._guard import allowed
from components._html import esc
from components._noting import noted
from components._session import person
from components.team import sprints as team_sprints
from pipeline.records import Role
from pipeline.services import Services
from pipeline.tasks import Progress

STEPS = (
    ("Ask", "Documents go in. A model answers queries from them, with citations."),
    ("Edit", "People rate the contexts and correct prefilled answers."),
    ("Tune", "Submitted answers become training files and a tuned model."),
    ("Compare", "Two models, the same queries, side by side and blind."),
    ("Results", "Who wins, how sure that is, and what to do next."),
)


@dataclass(frozen=True, slots=True)
class StartTab:
    """Components of the tab."""

    root: gr.Tab
    loop: gr.HTML
    example: gr.Button
    documents: gr.Button
    review: gr.Button
    timer: gr.Timer


class Shown(NamedTuple):
    """Output order of the overview."""

    loop: str
    timer: gr.Timer


class StartHandlers:
    """Counts for the overview."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def show_loop(self, request: gr.Request) -> Shown:
        """Return the five steps with their counts, from this person's view. Names no model."""
        me = person(self._services, request)
        return Shown(loop(self._counts(me)), gr.Timer(active=self._services.example.busy))

    def try_example(self) -> gr.Tabs:
        """Put the bundled example in where it is missing, and go to Ask."""
        if not all(item.problem for item in self._services.example.add()):
            noted(self._services, "example.added")
        return gr.Tabs(selected="ask")

    def _counts(self, me: str) -> tuple[str, ...]:
        services = self._services
        documents = _many(len(services.library.summaries()), "document")
        if services.example.busy:
            documents = "the example is being indexed …"
        runs = services.store.runs.latest(1000)
        datasets = [dataset for dataset in services.datasets.all() if dataset.published]
        progress = [services.annotation.progress(dataset.id, me) for dataset in datasets[:20]]
        role = services.people.role_of(me)
        works = role is not None and role.covers(Role.ANNOTATOR)
        sets = [item for item in services.comparisons.sets() if item.state == "open"]
        # Opening the results ended this person's voting: pairs that they left there wait for nobody.
        judged = [item for item in sets if not services.comparisons.is_revealed(item.id, me)]
        pairs = [services.comparisons.progress(item.id, me) for item in judged[:20]]
        tuned = len([model for model in services.registry.all() if model.job_id])
        return (
            f"{documents} · {_many(sum(run.done for run in runs), 'answer')} from runs",
            _answers(progress, works) if datasets else "no dataset yet",
            _many(tuned, "tuned model"),
            _pairs(pairs, works) if sets else "no comparison yet",
            f"{_many(len(sets), 'comparison')}",
        )


def build() -> StartTab:
    """Lay out the tab."""
    with gr.Tab("Start", id="start") as root, gr.Column(elem_id="start-screen", elem_classes=["pl-screen"]):
        team_sprints.banner("start")
        loop_html = gr.HTML(loop(("",) * len(STEPS)))
        with gr.Row():
            example = gr.Button("Try the example", variant="primary", elem_id="start-example")
            documents = gr.Button("Bring documents", elem_id="start-documents")
            review = gr.Button("Review answers", elem_id="start-review")
        timer = gr.Timer(1.0, active=False)
    return StartTab(root, loop_html, example, documents, review, timer)


def wire(tab: StartTab, handlers: StartHandlers, tabs: gr.Tabs, documents: gr.Accordion) -> None:
    """Attach the listeners."""
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    for event in (tab.root.select, tab.timer.tick):
        event(allowed(Role.VIEWER, handlers.show_loop), None, [tab.loop, tab.timer], **quiet)
    tab.example.click(allowed(Role.ADMIN, handlers.try_example, cost=1), None, tabs, api_visibility="private")
    bring = [tabs, documents]
    tab.documents.click(
        allowed(Role.ADMIN, _open_documents), None, bring, api_visibility="private", show_progress="hidden"
    )
    tab.review.click(allowed(Role.ANNOTATOR, _open_edit), None, tabs, api_visibility="private")


def _open_edit() -> gr.Tabs:
    return gr.Tabs(selected="edit")


def _open_documents() -> tuple[gr.Tabs, gr.Accordion]:
    return gr.Tabs(selected="ask"), gr.Accordion(open=True)


def loop(counts: tuple[str, ...]) -> str:
    """Return the steps as HTML."""
    items = "".join(
        f"<li><b>{name}</b><p>{text}</p><p class='pl-count'>{esc(count)}</p></li>"
        for (name, text), count in zip(STEPS, counts, strict=True)
    )
    return (
        '<h2 class="pl-title">The human-feedback loop of a RAG system</h2>'
        '<p class="pl-note">Corrections become training data, and a blind comparison shows whether the tuned model is better.</p>'
        f'<ol class="pl-loop">{items}</ol>'
    )


def _answers(progress: Sequence[Progress], works: bool) -> str:
    """Say what waits for a person; to one who only reads, how much there is."""
    if not works:
        return f"{_many(sum(p.total for p in progress), 'record')} · {sum(p.others for p in progress):,} done"
    waiting = sum(p.pending + p.drafts for p in progress)
    return f"{_many(waiting, 'record')} for you · {sum(p.submitted for p in progress)} submitted"


def _pairs(pairs: Sequence[tuple[int, int]], works: bool) -> str:
    left = sum(total - done for done, total in pairs)
    return f"{_many(left, 'pair')} for you" if works else _many(sum(total for _, total in pairs), "pair")


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
