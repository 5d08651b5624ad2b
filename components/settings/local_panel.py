"""A model file on this machine, a form in the Models panel of Settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components import _html
from components._choices import dropdown
from components._guard import allowed
from components._noting import noted
from components._session import owner
from pipeline.errors import ModelError, PipelineError
from pipeline.local_desk import LocalChoice, Tried
from pipeline.models.local import LONGEST_ANSWER_TOKENS, USUAL_CONTEXT, Loaded
from pipeline.records import Role
from pipeline.services import Services


class LocalFields(NamedTuple):
    """What is typed of a model file, in the order in which the handlers are given it."""

    path: gr.Textbox
    repo: gr.Textbox
    file: gr.Textbox
    n_ctx: gr.Textbox
    temperature: gr.Textbox
    top_p: gr.Textbox
    max_tokens: gr.Textbox


@dataclass(frozen=True, slots=True)
class LocalPanel:
    """Components of the form."""

    root: gr.Accordion
    state: gr.HTML
    name: gr.Textbox
    template: gr.Dropdown
    fields: LocalFields
    test: gr.Button
    save: gr.Button
    said: gr.HTML


class LocalHandlers:
    """Tries and registers model files."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def show(self, template: str | None) -> tuple[str, gr.Dropdown]:
        """Return what is loaded, and the prompt templates to choose from."""
        return self._state(), dropdown(self._services.prompts.newest(), template)

    def test(self, request: gr.Request, *typed) -> Iterator[tuple[str, str]]:
        """Load a model file, ask it a short question and show what came back, without registering anything."""
        yield gr.skip(), _html.note("Loading the model. A large file, or one of the Hub, takes a while …")
        try:
            owner(self._services, request)
            tried = self._services.background.submit(self._services.local.test(choice_of(*typed))).result()
        except PipelineError as error:
            yield self._state(), _html.note(str(error), "bad")
            return
        yield self._state(), tried_html(tried)

    def register(self, name: str, template: str | None, request: gr.Request, *typed) -> Iterator[tuple]:
        """Register a model file under a name."""
        yield gr.skip(), gr.skip(), _html.note("Reading the file. One of the Hub is fetched first …")
        try:
            owner(self._services, request)
            model = self._services.local.register(name, choice_of(*typed), str(template or ""))
            noted(self._services, "model.registered", model.name)
        except PipelineError as error:
            yield gr.skip(), gr.skip(), _html.note(str(error), "bad")
            return
        yield self._state(), "", _html.note(f"{model.name} is registered.", "good")

    def _state(self) -> str:
        local = self._services.local
        return _html.note(local.unavailable, "warn") if local.unavailable else loaded_html(local.loaded())


def build() -> LocalPanel:
    """Lay out the form."""
    with gr.Accordion("Register a model file (GGUF)", open=False, elem_id="local-new") as root:
        gr.HTML(
            '<p class="pl-note">Answers on this machine, without a key and without the network. The first question loads the '
            "file; at most two stay loaded. Small models write poor answers: under a billion parameters they are good for "
            "trying the loop.</p>"
        )
        state = gr.HTML("", elem_id="local-state")
        path = gr.Textbox(
            label="Path of the .gguf file", placeholder="/models/qwen2.5-1.5b-instruct-q4_k_m.gguf", max_lines=1,
            elem_id="local-path",
        )  # fmt: skip
        with gr.Row(equal_height=False):
            repo = gr.Textbox(
                label="Or its repo on the Hub", placeholder="owner/name-GGUF", max_lines=1, elem_id="local-repo"
            )
            file = gr.Textbox(
                label="File in that repo", placeholder="empty: the only .gguf file", max_lines=1, elem_id="local-file"
            )
        with gr.Row(equal_height=False):
            n_ctx = _number("Context, in tokens", "local-context", str(USUAL_CONTEXT), str(USUAL_CONTEXT))
            temperature = _number("Temperature, 0 to 2", "local-temperature", "0.8")
            top_p = _number("Top p, 0 to 1", "local-top-p", "0.95")
            tokens = _number("Most tokens of an answer", "local-max-tokens", str(LONGEST_ANSWER_TOKENS))
        with gr.Row(equal_height=False):
            name = gr.Textbox(label="Name on screen", max_lines=1, elem_id="local-name")
            template = gr.Dropdown([], label="Prompt template", filterable=False, elem_id="local-template")
            template.preprocess = lambda value: value
        with gr.Row(elem_classes=["pl-beside"]):
            test = gr.Button("Test", elem_id="local-test", min_width=140)
            save = gr.Button("Register", variant="primary", elem_id="local-add", min_width=140)
        said = gr.HTML("", elem_id="local-said")
    fields = LocalFields(path, repo, file, n_ctx, temperature, top_p, tokens)
    return LocalPanel(root, state, name, template, fields, test, save, said)


def _number(label: str, elem_id: str, empty: str, value: str = "") -> gr.Textbox:
    return gr.Textbox(value, label=label, placeholder=empty, max_lines=1, elem_id=elem_id, min_width=140)


def wire(
    panel: LocalPanel, handlers: LocalHandlers, opened: list[Callable], show_list: Callable, listed: tuple[list, list]
) -> None:
    """Attach the listeners; ``show_list`` fills the list of models again, with ``listed`` as its inputs and outputs."""
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    fields = list(panel.fields)
    for event in opened:
        event(allowed(Role.OWNER, handlers.show, quiet=True), panel.template, [panel.state, panel.template], **quiet)
    # A model takes its time to load: others may try theirs meanwhile.
    waiting = {**quiet, "concurrency_limit": 4}
    panel.test.click(allowed(Role.OWNER, handlers.test, cost=1), fields, [panel.state, panel.said], **waiting)
    saved = panel.save.click(
        allowed(Role.OWNER, handlers.register, cost=1),
        [panel.name, panel.template, *fields],
        [panel.state, panel.name, panel.said],
        **waiting,
    )
    inputs, outputs = listed
    saved.success(allowed(Role.OWNER, show_list), inputs, outputs, **quiet)


def choice_of(*typed: str | None) -> LocalChoice:
    """Return what was typed, not checked yet.

    Raises:
        ModelError: a number is none.
    """
    text = {name: str(value or "").strip() for name, value in zip(LocalFields._fields, typed, strict=True)}
    return LocalChoice(
        path=text["path"],
        repo=text["repo"],
        file=text["file"],
        n_ctx=_read(text["n_ctx"], "The context", int) or USUAL_CONTEXT,
        temperature=_read(text["temperature"], "The temperature", float),
        top_p=_read(text["top_p"], "Top p", float),
        max_tokens=_read(text["max_tokens"], "The most tokens of an answer", int),
    )


def _read(text: str, label: str, kind: type) -> float | int | None:
    try:
        return kind(text.replace(",", "")) if text else None
    except ValueError as error:
        example = "a whole number such as 4096" if kind is int else "a number such as 0.2"
        raise ModelError(f"{label} is {example}, and not {text[:40]!r}.") from error


def loaded_html(loaded: list[Loaded]) -> str:
    """Return what is in memory now."""
    if not loaded:
        return ""
    each = "; ".join(f"{item.name}: {_facts(item)}" for item in loaded)
    return _html.note(f"In memory now: {each}.")


def tried_html(tried: Tried) -> str:
    """Return what a test of a model file brought."""
    facts = [f"{tried.title}, a file of {tried.size / 1e6:,.0f} MB"]
    facts += [_facts(tried.loaded)] if tried.loaded else []
    speed = (
        f", {tried.completion_tokens / max(tried.seconds, 0.001):.0f} tokens a second"
        if tried.completion_tokens
        else ""
    )
    facts.append(
        f"answered in {tried.seconds:.1f} s: {tried.prompt_tokens or 0:,} tokens read, {tried.completion_tokens or 0:,} "
        f"written{speed}"
    )
    said = "".join(f"<li>{_html.esc(fact)}</li>" for fact in facts)
    return (
        f"{_html.note('It answers. Nothing is registered yet.', 'good')}<ul class='pl-list'>{said}</ul>"
        f"<p class='pl-label'>Its reply, as it came</p><pre class='pl-raw' tabindex='0'>{_html.esc(tried.text)}</pre>"
    )


def _facts(item: Loaded) -> str:
    memory = f", takes {item.memory / 1e6:,.0f} MB of memory" if item.memory else ""
    return f"loaded in {item.seconds:.1f} s{memory}"
