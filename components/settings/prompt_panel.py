"""Prompts, a panel of Settings: what models are told around contexts and query, in versions that never change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr

from components import _html
from components._choices import build_dropdown, dropdown
from components._guard import allowed
from components._noting import noted
from components._session import owner
from pipeline.errors import PipelineError
from pipeline.export import token_unit
from pipeline.prompt_desk import Draft, Preview
from pipeline.prompts import ANSWER_REVIEW, Template
from pipeline.ranking.verdict import plural
from pipeline.records import Role
from pipeline.services import Services


class Typed(NamedTuple):
    """What a template consists of, in the order of the screen."""

    title: gr.Textbox
    system: gr.Textbox
    user: gr.Textbox
    refusal: gr.Textbox
    numbered: gr.Checkbox


class Shown(NamedTuple):
    """Output order of a template that was chosen."""

    template: gr.Dropdown
    about: str
    title: str
    system: str
    user: str
    refusal: str
    numbered: bool
    save: gr.Button
    example: gr.Dropdown
    before: gr.Dropdown
    changes: str


class Saved(NamedTuple):
    """Output order of a version that was saved, or refused."""

    template: gr.Dropdown
    about: str
    save: gr.Button
    before: gr.Dropdown
    changes: str
    said: str


@dataclass(frozen=True, slots=True)
class PromptPanel:
    """Components of the panel."""

    root: gr.Tab
    template: gr.Dropdown
    about: gr.HTML
    typed: Typed
    save: gr.Button
    copy: gr.Button
    said: gr.HTML
    example: gr.Dropdown
    look: gr.Button
    preview: gr.HTML
    before: gr.Dropdown
    changes: gr.HTML


class PromptHandlers:
    """Shows templates, previews them, and stores new versions."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.prompts

    def show_prompts(self, chosen: str | None, example: str | None) -> Shown:
        """Return the templates and the chosen one."""
        choices = self._desk.choices()
        chosen = chosen if chosen in {reference for _, reference in choices} else choices[0][1]
        template = self._desk.find(chosen)
        examples = self._desk.examples()
        # A query that somebody typed stays.
        example = example or next((value for _, value in examples), "")
        typed = (template.title, template.system, template.user, template.refusal, template.numbered)
        return Shown(
            gr.Dropdown(choices=choices, value=chosen),
            self._about(template),
            *typed,
            gr.Button(visible=bool(template.id)),
            gr.Dropdown(choices=examples, value=example, allow_custom_value=True),
            *self._changes(template, None),
        )

    def preview_prompt(self, example: str | None, *typed) -> str:
        """Return what a model would be sent by the template as it is typed now."""
        try:
            return preview_html(self._desk.preview(Draft(*typed), example or ""))
        except PipelineError as error:
            return _html.note(str(error), "bad")

    def compare_versions(self, chosen: str | None, before: str | None) -> str:
        """Return what changed between two versions."""
        return self._changes(self._desk.find(chosen or ANSWER_REVIEW.name), before)[1] if chosen else ""

    def save_version(self, chosen: str, request: gr.Request, *typed) -> Saved:
        """Store what is typed as the next version of the chosen template."""
        return self._saved(self._desk.save, chosen, request, typed)

    def save_copy(self, chosen: str, request: gr.Request, *typed) -> Saved:
        """Store what is typed as a new template."""
        return self._saved(self._desk.copy, chosen, request, typed)

    def _saved(self, keep: Callable, chosen: str, request: gr.Request, typed: Sequence) -> Saved:
        try:
            owner(self._services, request)
            template = keep(chosen, Draft(*typed))
            noted(self._services, "prompt.changed", template.label, {"version": template.version})
        except PipelineError as error:
            return Saved(*(gr.skip() for _ in range(5)), _html.note(str(error), "bad"))
        text = f"{template.label} is stored. Models keep the version that they have: choose this one when you register a model."
        return Saved(
            gr.Dropdown(choices=self._desk.choices(), value=template.reference),
            self._about(template),
            gr.Button(visible=True),
            *self._changes(template, None),
            _html.note(text, "good"),
        )

    def _about(self, template: Template) -> str:
        names = self._desk.used_by(template.reference)
        kind = (
            f"Version {template.version} of {len(self._desk.versions(template.reference))}"
            if template.id
            else "Built in"
        )
        used = f"used by {', '.join(names)}" if names else "no model uses it"
        return _html.note(f"{kind}; {used}.")

    def _changes(self, template: Template, before: str | None) -> tuple[gr.Dropdown, str]:
        versions = [item for item in self._desk.versions(template.reference) if item.reference != template.reference]
        # Against the version before, or the one after the first.
        older = [item for item in versions if item.version < template.version]
        usual = next(iter(older), next(iter(reversed(versions)), None))
        other = next((item for item in versions if item.reference == before), usual)
        choices = [(f"version {item.version}", item.reference) for item in versions]
        box = dropdown(choices, other.reference if other else None)
        if other is None:
            return box, _html.note("There is no other version of this template.")
        return box, changes_html(other, template)


def build() -> PromptPanel:
    """Lay out the panel."""
    with gr.Tab("Prompts", id="prompts", elem_id="prompts-panel") as root:
        gr.HTML(
            '<h3 class="pl-title">Prompt templates</h3><p class="pl-note">What a model is told around contexts and query. A '
            "version never changes, so that an answer, its review and a training row made of both belong together.</p>"
        )
        template = build_dropdown("Template", "prompts-chosen")
        about = gr.HTML("", elem_id="prompts-about")
        with gr.Row(equal_height=False):
            with gr.Column(min_width=320):
                typed = _build_typed()
                with gr.Row(elem_classes=["pl-beside"]):
                    save = gr.Button(
                        "Save as a new version", variant="primary", visible=False, elem_id="prompts-save", min_width=180
                    )
                    copy = gr.Button("Save as a new template", elem_id="prompts-copy", min_width=180)
                said = gr.HTML("", elem_id="prompts-said")
            with gr.Column(min_width=320):
                with gr.Row(equal_height=False):
                    example = gr.Dropdown(
                        [], label="Preview on a record or a query, or type one", allow_custom_value=True,
                        elem_id="prompts-example", scale=4,
                    )  # fmt: skip
                    look = gr.Button("Preview", elem_id="prompts-look", scale=1, min_width=110)
                preview = gr.HTML("", elem_id="prompts-preview")
        with gr.Accordion("What changed between versions", open=False, elem_id="prompts-versions"):
            before = build_dropdown("Against", "prompts-before")
            changes = gr.HTML("", elem_id="prompts-changes")
    return PromptPanel(root, template, about, typed, save, copy, said, example, look, preview, before, changes)


def _build_typed() -> Typed:
    return Typed(
        gr.Textbox(label="Title", max_lines=1, elem_id="prompts-title"),
        gr.Textbox(label="System prompt", lines=8, max_lines=24, elem_id="prompts-system"),
        gr.Textbox(
            label="User prompt", info="{contexts} and {query} are filled in, each once.", lines=6, max_lines=24,
            elem_id="prompts-user",
        ),
        gr.Textbox(
            label="Sentence of a refusal",
            info="What the model writes where the documents do not answer; empty where none is agreed on.",
            max_lines=2, elem_id="prompts-refusal",
        ),
        gr.Checkbox(True, label="Number the contexts, so that answers can cite them as [1]", elem_id="prompts-numbered"),
    )  # fmt: skip


def wire(panel: PromptPanel, handlers: PromptHandlers, opened: list[Callable]) -> None:
    """Attach the listeners; ``opened`` are the events that show the panel."""
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    typed = list(panel.typed)
    shown = [panel.template, panel.about, *typed, panel.save, panel.example, panel.before, panel.changes]
    look = {
        "fn": allowed(Role.OWNER, handlers.preview_prompt, quiet=True),
        "inputs": [panel.example, *typed],
        "outputs": panel.preview,
    }
    for event in (*opened, panel.template.input):
        done = event(
            allowed(Role.OWNER, handlers.show_prompts, quiet=True), [panel.template, panel.example], shown, **quiet
        )
        done.success(**look, **quiet)
    panel.template.input(allowed(Role.OWNER, lambda: ""), None, panel.said, **quiet)
    for event in (panel.look.click, panel.example.input):
        event(**look, **quiet)
    panel.before.input(
        allowed(Role.OWNER, handlers.compare_versions), [panel.template, panel.before], panel.changes, **quiet
    )
    saved = [panel.template, panel.about, panel.save, panel.before, panel.changes, panel.said]
    for button, handler in ((panel.save, handlers.save_version), (panel.copy, handlers.save_copy)):
        done = button.click(allowed(Role.OWNER, handler), [panel.template, *typed], saved, **quiet)
        done.success(**look, **quiet)


def preview_html(preview: Preview) -> str:
    """Return the messages as a model gets them, with their length."""
    length = f"{preview.tokens:,} tokens, counted as {token_unit()}, in {plural(len(preview.messages), 'message')}"
    found = f"with {plural(preview.contexts, 'context')}" if preview.contexts else "no context was found"
    blocks = "".join(
        f"<p class='pl-label'>{_html.esc(message['role'])}</p>"
        f"<pre class='pl-raw' tabindex='0'>{_html.esc(message['content'])}</pre>"
        for message in preview.messages
    )
    return f"{_html.note(f'{length}, {found}.')}{blocks}"


def changes_html(before: Template, after: Template) -> str:
    """Return what is different in one version from another, part by part."""
    parts = [
        (label, _difference(getattr(before, name), getattr(after, name)))
        for name, label in (
            ("title", "Title"),
            ("system", "System prompt"),
            ("user", "User prompt"),
            ("refusal", "Refusal"),
        )
        if getattr(before, name) != getattr(after, name)
    ]
    if before.numbered != after.numbered:
        words = ("Contexts are numbered", "Contexts are not numbered")
        parts.append(("Numbers", _difference(words[not before.numbered], words[not after.numbered])))
    if not parts:
        return _html.note("These two versions say the same.")
    head = _html.note(f"From version {before.version} to version {after.version}.")
    return head + "".join(f"<p class='pl-label'>{label}</p>{html}" for label, html in parts)


def _difference(before: str, after: str) -> str:
    if before.split() == after.split():
        return _html.note("Only blanks and line breaks differ.")
    return _html.diff(before, after)
