"""Ask: one query, its answer with citations, and the sources beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components import _html
from components._choices import build_dropdown, dropdown
from components._guard import allowed
from components._session import person
from components.ask import documents, proposals, runs
from components.ask.retrieval_html import why_html
from pipeline.errors import PipelineError
from pipeline.generation import Asked
from pipeline.prices import dollars
from pipeline.records import Completion, Role
from pipeline.services import Services


@dataclass(frozen=True, slots=True)
class AskTab:
    """Components of the tab."""

    root: gr.Tab
    query: gr.Textbox
    model: gr.Dropdown
    answer: gr.HTML
    sources: gr.HTML
    documents: documents.DocumentsPanel
    runs: runs.RunsPanel
    proposals: proposals.ProposalPanel


class Shown(NamedTuple):
    """Output order of an answer."""

    answer: str
    sources: str


class AskHandlers:
    """Answers one query at a time."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def load_models(self, chosen: str | None) -> gr.Dropdown:
        """Return the models to choose from; a choice that still exists is kept."""
        return dropdown([(model.name, model.id) for model in self._services.registry.answering()], chosen)

    def ask(self, query: str, model_id: str | None, request: gr.Request) -> Iterator[Shown]:
        """Answer a query; the text grows while the model writes."""
        asked, sources = None, ""
        try:
            model_id = model_id or self._services.registry.answering()[0].id
            self._services.comparisons.refuse_withheld_query(query, model_id, person(self._services, request))
            for asked in self._services.generation.ask(query, model_id):
                # The answer grows, its sources do not.
                sources = sources or self._sources(asked)
                yield Shown(answer(asked), sources)
        except PipelineError as error:
            # Where the answer would stand, beside what there is of it: a message on top of the page would go by.
            yield Shown(failed(asked, str(error)), sources)

    def _sources(self, asked: Asked) -> str:
        """Return the sources of an answer, each with why it was found."""
        contexts, query = asked.retrieval.contexts, asked.query.text
        why = [why_html(one, n, self._services.retrieval.matches(query, one)) for n, one in enumerate(contexts, 1)]
        return _html.sources(contexts, why=why)


def build() -> AskTab:
    """Lay out the tab."""
    with gr.Tab("Ask", id="ask") as root, gr.Column(elem_id="ask-screen", elem_classes=["pl-screen"]):
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                query = gr.Textbox(
                    label="Ask your documents",
                    placeholder="For example: What does a rating of 1 mean?",
                    submit_btn="Ask",
                    lines=1,
                    max_lines=6,
                    elem_id="ask-query",
                )
                model = build_dropdown("Model", "ask-model")
                answer_html = gr.HTML(
                    _html.empty("No query yet", "The answer appears here, with the passages it comes from beside it."),
                    elem_id="ask-answer",
                )
            with gr.Column(scale=2, min_width=320):
                gr.HTML('<h3 class="pl-title">Sources</h3>')
                sources = gr.HTML(
                    _html.note("The passages that were retrieved for a query, best first."),
                    js_on_load=_html.OPEN_SOURCE_JS,
                    elem_id="ask-sources",
                )
        document_panel = documents.build()
        run_panel = runs.build()
        proposal_panel = proposals.build()
    return AskTab(root, query, model, answer_html, sources, document_panel, run_panel, proposal_panel)


def wire(tab: AskTab, handlers: AskHandlers) -> None:
    """Attach the listeners of the query; the panels have their own."""
    tab.root.select(
        allowed(Role.ANNOTATOR, handlers.load_models),
        tab.model,
        tab.model,
        api_visibility="private",
        show_progress="hidden",
    )
    # Each answer waits for a model: more than one person may ask at the same time.
    tab.query.submit(
        allowed(Role.ANNOTATOR, handlers.ask, cost=1),
        [tab.query, tab.model],
        [tab.answer, tab.sources],
        api_visibility="private",
        concurrency_limit=16,
        show_progress="minimal",
    )


def failed(asked: Asked | None, error: str) -> str:
    """Return what stands in an answer's place: what was written of it, and why there is no more."""
    written = _html.answer(asked.text, len(asked.retrieval.contexts)) if asked and asked.text else ""
    return f'{written}<div role="alert">{_html.note(error, "bad")}</div>'


def answer(asked: Asked) -> str:
    """Return an answer as HTML: while it waits, while it grows, and at the end with its facts."""
    if asked.completion is None and not asked.text:
        return _waiting(asked)
    cited = len(asked.retrieval.contexts)
    body = _html.answer(asked.text, cited)
    if asked.completion is None:
        return body
    facts = [_html.esc(asked.model_name), *_facts(asked.completion)]
    if asked.completion.refused and cited:
        facts.append("the nearest passages are listed under Sources")
    kind = ' class="pl-refused"' if asked.completion.refused else ""
    return f'<div{kind}>{body}<p class="pl-note">{" · ".join(facts)}</p></div>'


def _waiting(asked: Asked) -> str:
    if asked.wait:
        return _html.note(f"{asked.model_name}: {asked.wait.in_words()}", "warn")
    return _html.note(f"{asked.model_name} is answering …{f' {asked.seconds:.0f} s' if asked.seconds >= 1 else ''}")


def _facts(completion: Completion) -> list[str]:
    """Return what an answer took: time, tokens and money, as far as they are known."""
    facts = [f"{completion.seconds:.1f} s"]
    if completion.first_text_seconds is not None:
        facts.append(f"first text after {completion.first_text_seconds:.2f} s")
    if completion.completion_tokens is not None:
        read = "" if completion.prompt_tokens is None else f"{completion.prompt_tokens:,} + "
        facts.append(f"{read}{completion.completion_tokens:,} tokens")
    if completion.cost is not None:
        facts.append(dollars(completion.cost))
    if (completion.attempts or 1) > 1:
        facts.append(f"{completion.attempts} attempts")
    return facts
