"""Retrieval, a panel of Settings: how passages are found, and what a setting does to the team's own queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components import _html
from components._choices import build_dropdown
from components._guard import allowed
from components._noting import noted
from components._session import owner
from components.ask.retrieval_html import METHODS, comparison_html, left, no_gold_html, state_html, trial_html
from components.settings import model_form
from pipeline.errors import RetrievalError
from pipeline.limits import HEAVY
from pipeline.records import Role
from pipeline.retrieval_desk import State
from pipeline.retrieval_settings import DEFAULT_FILE, DEFAULT_MODEL, Chunking, Embedding, Method, RetrievalSettings
from pipeline.services import Services

HERE, ELSEWHERE = "onnx", "endpoint"
ALL_LISTS = "all"


class Fields(NamedTuple):
    """What is chosen, in the order in which the handlers are given it."""

    method: gr.Radio
    top_k: gr.Number
    size: gr.Number
    overlap: gr.Number
    kind: gr.Radio
    model: gr.Textbox
    file: gr.Textbox
    base_url: gr.Textbox
    key: gr.Dropdown
    least: gr.Number


@dataclass(frozen=True, slots=True)
class RetrievalPanel:
    """Components of the panel. ``filled`` says whether this page shows what is in force, or what somebody types."""

    root: gr.Tab
    filled: gr.State
    state: gr.HTML
    fields: Fields
    embedding: gr.Column
    try_model: gr.Button
    tried: gr.HTML
    apply: gr.Button
    stop: gr.Button
    query_list: gr.Dropdown
    compare: gr.Button
    cancel: gr.Button
    compared: gr.HTML
    timer: gr.Timer


class Shown(NamedTuple):
    """Output order of what is in force and under way."""

    state: str
    apply: gr.Button
    stop: gr.Button
    compare: gr.Button
    cancel: gr.Button
    compared: str
    timer: gr.Timer


class RetrievalHandlers:
    """Shows, tries, compares and changes how passages are found."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.retrieval
        self._bench = services.retrieval_bench

    def open_panel(self, filled: bool, list_id: str | None) -> tuple:
        """Return the state and the lists; the fields show what is in force until somebody changes them."""
        choices = [("All lists", ALL_LISTS)]
        choices += [(f"{item.name} ({item.size})", item.id) for item in self._services.query_lists.all()]
        known = list_id if list_id in [value for _, value in choices] else ALL_LISTS
        fields = [gr.skip() for _ in Fields._fields] if filled else self._in_force()
        return (*self.show_state(), True, gr.Dropdown(choices=choices, value=known), *fields)

    def show_state(self) -> Shown:
        """Return what is in force, and how far changes and comparisons are."""
        state, bench = self._desk.state(), self._bench.progress
        changing = state.work.running and state.wanted is not None
        return Shown(
            state_html(state),
            gr.Button(interactive=not changing),
            gr.Button(visible=changing),
            gr.Button(interactive=not bench.running),
            gr.Button(visible=bench.running),
            self._compared(state),
            gr.Timer(active=state.work.running or bench.running),
        )

    def choose_method(self, method: str, kind: str) -> tuple:
        """Show the fields that a method and a kind of embedding model need."""
        here = kind == HERE
        return (
            gr.Column(visible=method != Method.BM25),
            gr.Textbox(label="Folder, or id on the Hugging Face Hub" if here else "Model id at the endpoint"),
            gr.Textbox(visible=here),
            gr.Textbox(visible=not here),
            gr.Dropdown(visible=not here, choices=model_form.key_choices(self._services.settings)),
        )

    def choose_kind(self, method: str, kind: str, model: str) -> tuple:
        """Show the fields of a kind of embedding model; the usual model is that of this machine only."""
        column, name, *others = self.choose_method(method, kind)
        usual = DEFAULT_MODEL if kind == HERE else ""
        # A folder of this machine is no model of an endpoint either.
        if model.strip() in ("", DEFAULT_MODEL) or (kind != HERE and model.strip().startswith(("/", "~", "."))):
            name = gr.Textbox(
                usual, label="Folder, or id on the Hugging Face Hub" if kind == HERE else "Model id at the endpoint"
            )
        return (column, name, *others)

    def try_model(self, request: gr.Request, *chosen):
        """Embed three sentences and say what came back."""
        owner(self._services, request)
        yield _html.note("Opening the model … the first time it may have to be fetched.")
        try:
            yield trial_html(self._desk.try_embedding(settings_of(*chosen).embedding))
        except RetrievalError as error:
            yield _html.note(str(error), "bad")

    def apply(self, request: gr.Request, *chosen) -> Shown:
        """Put the settings into force."""
        owner(self._services, request)
        self._desk.apply(settings_of(*chosen))
        noted(self._services, "retrieval.changed")
        return self.show_state()

    def stop(self, request: gr.Request) -> Shown:
        """Give up the change that is under way."""
        owner(self._services, request)
        self._desk.cancel()
        return self.show_state()

    def compare(self, list_id: str | None, request: gr.Request, *chosen) -> Shown:
        """Begin to compare the settings above with those in force."""
        owner(self._services, request)
        wanted = None if list_id in (None, ALL_LISTS) else list_id
        gold, without = self._bench.gold(wanted)
        if not gold:
            return self.show_state()._replace(compared=no_gold_html(without))
        self._bench.start(settings_of(*chosen), wanted)
        return self.show_state()

    def cancel(self, request: gr.Request) -> Shown:
        """Stop the comparison that is under way."""
        owner(self._services, request)
        self._bench.cancel()
        return self.show_state()

    def _compared(self, state: State) -> str:
        progress = self._bench.progress
        if progress.running:
            words = (
                f"Comparing: {progress.done:,} of {progress.total:,}{left(progress)}."
                if progress.total
                else "Comparing …"
            )
            return _html.bar(progress.done, progress.total or 1, words)
        if progress.error:
            return _html.note(progress.error, "bad")
        return comparison_html(self._bench.result, state) if self._bench.result else ""

    def _in_force(self) -> list:
        settings = self._services.store.values.retrieval()
        embedding, sizes = settings.embedding, settings.chunking
        here = embedding.kind == HERE
        keys = model_form.key_choices(self._services.settings)
        return [
            settings.method.value,
            settings.top_k or self._services.settings.top_k,
            sizes.size,
            sizes.overlap,
            embedding.kind,
            gr.Textbox(
                embedding.model, label="Folder, or id on the Hugging Face Hub" if here else "Model id at the endpoint"
            ),
            gr.Textbox(embedding.file, visible=here),
            gr.Textbox(embedding.base_url, visible=not here),
            gr.Dropdown(
                choices=keys, value=embedding.key if embedding.key in keys else model_form.NO_KEY, visible=not here
            ),
            settings.least_similarity,
        ]


def settings_of(*chosen) -> RetrievalSettings:
    """Return the settings that the fields stand for.

    Raises:
        RetrievalError: a field holds what it does not take.
    """
    field = Fields(*chosen)
    try:
        sizes = Chunking(_whole(field.size), _whole(field.overlap))
        top_k = _whole(field.top_k)
        method = Method(field.method)
        least = float(field.least)
    except (TypeError, ValueError) as error:
        raise RetrievalError("Fill in every number: passages, tokens, shared tokens and least similarity.") from error
    if field.kind == HERE:
        embedding = Embedding(HERE, str(field.model).strip(), str(field.file).strip() or DEFAULT_FILE)
    else:
        key = "" if field.key in (None, model_form.NO_KEY) else str(field.key)
        embedding = Embedding(ELSEWHERE, str(field.model).strip(), "", str(field.base_url).strip(), key)
    return RetrievalSettings(method, top_k, sizes, embedding, least)


def _whole(number: float) -> int:
    if number != int(number):
        raise RetrievalError(f"Passages and tokens are whole numbers, and not {number:g}.")
    return int(number)


def build() -> RetrievalPanel:
    """Lay out the panel."""
    with gr.Tab("Retrieval", id="retrieval", elem_id="retrieval-panel") as root:
        gr.HTML('<h3 class="pl-title">Retrieval</h3>')
        filled = gr.State(False)
        state = gr.HTML("", elem_id="retrieval-state")
        fields, embedding, try_model, tried = _fields()
        with gr.Row(elem_classes=["pl-buttons"]):
            apply = gr.Button("Put into force", variant="primary", elem_id="retrieval-apply", min_width=160)
            stop = gr.Button("Cancel", visible=False, elem_id="retrieval-stop", min_width=120)
        gr.HTML(
            '<h3 class="pl-title">On your own queries</h3>'
            + _html.note(
                "Compares the settings above, before they are in force, with those that are: "
                "how high the passage stands that answers a query."
            )
        )
        with gr.Row(equal_height=False, elem_classes=["pl-buttons"]):
            query_list = build_dropdown("Queries", "retrieval-list", scale=2)
            compare = gr.Button("Compare", elem_id="retrieval-compare", min_width=140)
            cancel = gr.Button("Cancel", visible=False, elem_id="retrieval-cancel", min_width=120)
        compared = gr.HTML("", elem_id="retrieval-compared")
        timer = gr.Timer(1.0, active=False)
    return RetrievalPanel(
        root,
        filled,
        state,
        fields,
        embedding,
        try_model,
        tried,
        apply,
        stop,
        query_list,
        compare,
        cancel,
        compared,
        timer,
    )


def _fields() -> tuple[Fields, gr.Column, gr.Button, gr.HTML]:
    method = gr.Radio(
        [(words, method.value) for method, words in METHODS.items()],
        value=Method.BM25.value,
        label="How passages are found",
        info="Words need no model and are quick. Meaning also finds what says the same in other words.",
        elem_id="retrieval-method",
    )
    with gr.Row(equal_height=True):
        # Bounds and whole numbers are checked by us, in words: Gradio would not say which field it means.
        top_k = gr.Number(4, label="Passages for each query, 1 to 20", elem_id="retrieval-top-k")
        size = gr.Number(256, label="Tokens of a passage, at most", elem_id="retrieval-size")
        overlap = gr.Number(32, label="Tokens that neighbours share", elem_id="retrieval-overlap")
    with gr.Column(visible=False, elem_id="retrieval-embedding") as embedding:
        with gr.Row(equal_height=False):
            kind = gr.Radio(
                [("On this machine (ONNX)", HERE), ("At an endpoint (/v1/embeddings)", ELSEWHERE)],
                value=HERE,
                label="Embedding model",
                elem_id="retrieval-kind",
            )
            least = gr.Number(
                0.2,
                label="Least similarity of a hit",
                info="From 0 to 1. Under it a passage counts as not found by meaning. 0.2 suits all-MiniLM-L6-v2.",
                step=0.05,
                elem_id="retrieval-least",
            )
        with gr.Row(equal_height=True):
            model = gr.Textbox(
                DEFAULT_MODEL, label="Folder, or id on the Hugging Face Hub", max_lines=1, elem_id="retrieval-model"
            )
            file = gr.Textbox(DEFAULT_FILE, label="File of the weights", max_lines=1, elem_id="retrieval-file")
            base_url = gr.Textbox(
                "",
                label="Address",
                placeholder="https://api.openai.com/v1",
                max_lines=1,
                visible=False,
                elem_id="retrieval-address",
            )
            key = build_dropdown("Key (environment variable)", "retrieval-key")
            key.visible = False
        with gr.Row(elem_classes=["pl-buttons"]):
            try_model = gr.Button("Try the model", elem_id="retrieval-try", min_width=140)
        tried = gr.HTML("", elem_id="retrieval-tried")
    return Fields(method, top_k, size, overlap, kind, model, file, base_url, key, least), embedding, try_model, tried


def wire(panel: RetrievalPanel, handlers: RetrievalHandlers, opened: Sequence[Callable]) -> None:
    """Attach the listeners; each of ``opened`` fires when the panel is to be shown anew."""
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    fields = list(panel.fields)
    shown = [panel.state, panel.apply, panel.stop, panel.compare, panel.cancel, panel.compared, panel.timer]
    needs = [panel.embedding, panel.fields.model, panel.fields.file, panel.fields.base_url, panel.fields.key]
    for event in opened:
        event(
            allowed(Role.OWNER, handlers.open_panel, quiet=True),
            [panel.filled, panel.query_list],
            [*shown, panel.filled, panel.query_list, *fields],
            **quiet,
        ).success(allowed(Role.OWNER, handlers.choose_method), [panel.fields.method, panel.fields.kind], needs, **quiet)
    panel.timer.tick(allowed(Role.OWNER, handlers.show_state, quiet=True), None, shown, **quiet)
    panel.fields.method.input(
        allowed(Role.OWNER, handlers.choose_method), [panel.fields.method, panel.fields.kind], needs, **quiet
    )
    panel.fields.kind.input(
        allowed(Role.OWNER, handlers.choose_kind),
        [panel.fields.method, panel.fields.kind, panel.fields.model],
        needs,
        **quiet,
    )
    panel.try_model.click(
        allowed(Role.OWNER, handlers.try_model, cost=1), fields, panel.tried, api_visibility="private"
    )
    panel.apply.click(allowed(Role.OWNER, handlers.apply, cost=HEAVY), fields, shown, api_visibility="private")
    panel.stop.click(allowed(Role.OWNER, handlers.stop), None, shown, api_visibility="private")
    panel.compare.click(
        allowed(Role.OWNER, handlers.compare, cost=HEAVY), [panel.query_list, *fields], shown, api_visibility="private"
    )
    panel.cancel.click(allowed(Role.OWNER, handlers.cancel), None, shown, api_visibility="private")
