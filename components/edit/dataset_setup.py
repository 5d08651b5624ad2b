"""Setup: what a dataset shows and asks, made and changed without code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from components import _download
from components._choices import build_dropdown
from components._guard import allowed
from components.edit import new_dataset
from components.edit.setup_handlers import Renamed, Screen, SetupHandlers
from pipeline.annotation.plain import MAX_PEOPLE
from pipeline.records import Role

# The form of a part may lie below the window, on a phone. A new one is begun by its title.
_SCROLL_JS = "() => document.querySelector('#setup-form')?.scrollIntoView({block: 'nearest'})"
_SAID_JS = "() => document.querySelector('#setup-part-message')?.scrollIntoView({block: 'nearest'})"
_BEGIN_JS = "() => document.querySelector('#setup-title textarea, #setup-title input')?.focus()"


@dataclass(frozen=True, slots=True)
class Buttons:
    """What is pressed on the panel."""

    rename: gr.Button
    add_field: gr.Button
    add_question: gr.Button
    add_metadata: gr.Button
    save: gr.Button
    up: gr.Button
    down: gr.Button
    remove: gr.Button
    save_guidelines: gr.Button
    save_rules: gr.Button
    fill: gr.Button


@dataclass(frozen=True, slots=True)
class SetupPanel:
    """Components of the panel; ``screen`` are those that a dataset is shown in."""

    root: gr.Tab
    new: new_dataset.NewDataset
    screen: Screen
    buttons: Buttons
    yaml: _download.Download
    json: _download.Download


def build() -> SetupPanel:
    """Lay out the panel."""
    with gr.Tab("Setup", id="setup", elem_id="setup-panel") as root:
        new = new_dataset.build()
        with gr.Column() as editor:
            state = gr.HTML("", elem_id="setup-state")
            with gr.Row(equal_height=False):
                name = gr.Textbox(label="Name of the dataset", max_lines=1, elem_id="setup-name", scale=4)
                rename = gr.Button("Rename", elem_id="setup-rename", scale=1, min_width=120)
                publish = gr.Button("Publish", variant="primary", elem_id="setup-publish", scale=1, min_width=140)
            with gr.Row(equal_height=False):
                with gr.Column(scale=4, min_width=320):
                    parts = gr.Radio([], label="Fields, questions and metadata", elem_id="setup-parts")
                    # As in _choices: after a restart Gradio knows no choices; the handlers check what they are given.
                    parts.preprocess = lambda value: value
                    adds = _build_adds()
                with gr.Column(scale=5, min_width=320):
                    form, part, moves = _build_form()
            with gr.Accordion("As annotators see it", open=False, elem_id="setup-looks"):
                preview = gr.HTML("", elem_id="setup-preview")
            guidelines = _build_guidelines()
            rules = _build_rules()
            with gr.Accordion("Files and runs", open=False, elem_id="setup-files"):
                with gr.Row(equal_height=False):
                    run = build_dropdown("Fill from a run of Ask", "setup-run", scale=4)
                    fill = gr.Button("Fill", elem_id="setup-fill", scale=1, min_width=120)
                run_message = gr.HTML("", elem_id="setup-run-message")
                with gr.Row(equal_height=False):
                    yaml = _download.build("Settings as YAML", "setup-yaml")
                    json = _download.build("Settings as JSON", "setup-json")
    screen = Screen(
        editor, new.root, state, publish, name, parts, *part[:1], form, *part[1:], *guidelines[:3], *rules[:6], preview, run,
        run_message,
    )  # fmt: skip
    return SetupPanel(root, new, screen, Buttons(rename, *adds, *moves, guidelines[3], rules[6], fill), yaml, json)


def _build_adds() -> tuple[gr.Button, ...]:
    with gr.Row(elem_classes=["pl-setup-adds"]):
        return (
            gr.Button("Add field", elem_id="setup-add-field", min_width=100),
            gr.Button("Add question", elem_id="setup-add-question", min_width=100),
            gr.Button("Add metadata", elem_id="setup-add-metadata", min_width=100),
        )


def _build_form() -> tuple[gr.Column, tuple, tuple[gr.Button, ...]]:
    """Lay out the form of one part; return it, its components in the order of the screen, and its buttons."""
    # Which part is in the form travels with what is typed, so that Save can never store it in place of another.
    editing = gr.Textbox("", visible=False, elem_id="setup-editing")
    with gr.Column(visible=False, elem_id="setup-form") as form:
        heading = gr.HTML("", elem_id="setup-form-title")
        kind = build_dropdown("Type", "setup-kind")
        title = gr.Textbox(label="Title, as people read it", max_lines=2, elem_id="setup-title")
        name = gr.Textbox(
            label="Name in files", info="Small letters, digits, - and _. Made from the title where it is left empty.",
            max_lines=1, elem_id="setup-part-name",
        )  # fmt: skip
        description = gr.Textbox(label="Description", lines=2, max_lines=6, elem_id="setup-description")
        options = gr.Textbox(label="Options", lines=4, max_lines=14, elem_id="setup-options")
        with gr.Row():
            low = gr.Number(None, label="Smallest value", elem_id="setup-low")
            high = gr.Number(None, label="Largest value", elem_id="setup-high")
        flag = gr.Checkbox(False, label="Required", elem_id="setup-flag")
        with gr.Row(elem_classes=["pl-setup-moves"]):
            save = gr.Button("Save", elem_id="setup-save", min_width=100)
            up = gr.Button("Move up", elem_id="setup-up", min_width=100)
            down = gr.Button("Move down", elem_id="setup-down", min_width=100)
            remove = gr.Button("Remove", variant="stop", elem_id="setup-remove", min_width=100)
    message = gr.HTML("", elem_id="setup-part-message")
    part = (editing, heading, kind, title, name, description, flag, options, low, high, message)
    return form, part, (save, up, down, remove)


def _build_guidelines() -> tuple:
    with gr.Accordion("Guidelines", open=False, elem_id="setup-guidelines-panel"), gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            text = gr.Textbox(
                label="Guidelines, in Markdown", lines=10, max_lines=30, elem_id="setup-guidelines", buttons=[]
            )
            save = gr.Button("Save the guidelines", elem_id="setup-save-guidelines")
            message = gr.HTML("", elem_id="setup-guidelines-message")
        with gr.Column(min_width=320):
            gr.HTML('<p class="pl-label">As people read them</p>')
            shown = gr.HTML("", elem_id="setup-guidelines-shown")
    return text, shown, message, save


def _build_rules() -> tuple:
    with gr.Accordion("Distribution, suggestions and marks", open=False, elem_id="setup-rules"):
        with gr.Row(equal_height=False):
            people = {"precision": 0, "maximum": MAX_PEOPLE}
            min_submitted = gr.Number(
                1, label="Submitted responses that a record needs", minimum=1, elem_id="setup-min", **people
            )
            quorum = gr.Number(
                0, label="Discards that retire a record (0: never)", minimum=0, elem_id="setup-quorum", **people
            )
            unprefilled = gr.Number(
                0, label="Records shown without suggestions, in per cent", minimum=0, maximum=100, elem_id="setup-share"
            )
        chunks = gr.Checkbox(False, label="Ask of every passage whether it is relevant", elem_id="setup-chunks")
        spans = build_dropdown("Mark what nothing supports in", "setup-spans")
        save = gr.Button("Save these", elem_id="setup-save-rules")
        message = gr.HTML("", elem_id="setup-rules-message")
    return min_submitted, quorum, unprefilled, chunks, spans, message, save


def wire(panel: SetupPanel, handlers: SetupHandlers, dataset: gr.Dropdown, opened: list[Callable]) -> None:
    """Attach the listeners. What is chosen from the list of datasets is shown; ``opened`` are other events that show it."""
    view, press = panel.screen, panel.buttons
    screen, quiet = list(view), {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": 8}
    form = [view.kind, view.title, view.part_name, view.description, view.flag, view.options, view.low, view.high]
    for event in opened:
        asked = panel.new.asked
        event(allowed(Role.ADMIN, handlers.show_opened, quiet=True), [dataset, asked], [*screen, asked], **quiet)
    chosen = [*screen, panel.new.asked, panel.new.message]
    dataset.input(allowed(Role.ADMIN, handlers.show_chosen, quiet=True), dataset, chosen, **quiet)
    script = {"api_visibility": "private", "show_progress": "hidden"}
    shown = view.parts.input(allowed(Role.ADMIN, handlers.choose), [dataset, view.parts], screen, **quiet)
    shown.success(None, js=_SCROLL_JS, **script)
    begins = (handlers.begin_field, handlers.begin_question, handlers.begin_metadata)
    for button, begin in zip((press.add_field, press.add_question, press.add_metadata), begins, strict=True):
        button.click(allowed(Role.ADMIN, begin), dataset, screen, **quiet).success(None, js=_BEGIN_JS, **script)
    shape = [view.options, view.low, view.high]
    view.kind.input(allowed(Role.ADMIN, handlers.choose_kind), [view.editing, view.kind, view.options], shape, **quiet)
    press.up.click(allowed(Role.ADMIN, handlers.move_up), [dataset, view.editing], screen, **quiet)
    press.down.click(allowed(Role.ADMIN, handlers.move_down), [dataset, view.editing], screen, **quiet)
    saved = press.save.click(allowed(Role.ADMIN, handlers.save), [dataset, view.editing, *form], screen, **quiet)
    removed = press.remove.click(allowed(Role.ADMIN, handlers.remove), [dataset, view.editing], screen, **quiet)
    for done in (saved, removed):
        done.success(None, js=_SAID_JS, **script)
    written = [dataset, view.guidelines]
    press.save_guidelines.click(allowed(Role.ADMIN, handlers.save_guidelines), written, screen, **quiet)
    # Not "input", which misses pasted text.
    view.guidelines.change(
        allowed(Role.ADMIN, handlers.show_guidelines, quiet=True), view.guidelines, view.guidelines_shown,
        trigger_mode="always_last", **quiet,
    )  # fmt: skip
    rules = [dataset, view.min_submitted, view.quorum, view.unprefilled, view.mark_chunks, view.mark_spans]
    press.save_rules.click(allowed(Role.ADMIN, handlers.save_rules), rules, screen, **quiet)
    listed = list(Renamed(dataset, view.name, view.state, view.publish, view.run_message, view.preview))
    press.rename.click(allowed(Role.ADMIN, handlers.rename), [dataset, view.name], listed, **quiet)
    view.publish.click(allowed(Role.ADMIN, handlers.publish), dataset, listed, **quiet)
    press.fill.click(allowed(Role.ADMIN, handlers.fill, cost=1), [dataset, view.run], listed, **quiet)
    _wire_files(panel, handlers, dataset)


def wire_new(
    panel: SetupPanel, handlers: SetupHandlers, new: new_dataset.NewDatasetHandlers, button: gr.Button, edit: tuple
) -> None:
    """Let ``button`` open the panel for a new dataset; ``edit`` are the list of datasets and the panels of Edit."""
    dataset, panels = edit
    begun = [panels, panel.new.asked, panel.new.root, panel.screen.editor, panel.new.source, panel.new.run]
    quiet = {"api_visibility": "private", "show_progress": "hidden"}

    def show(made: gr.events.Dependency) -> None:
        made.success(allowed(Role.ADMIN, handlers.show), dataset, list(panel.screen), **quiet)

    new_dataset.wire(panel.new, new, button, [*begun, panel.new.message], dataset, show)


def _wire_files(panel: SetupPanel, handlers: SetupHandlers, dataset: gr.Dropdown) -> None:
    _download.wire(panel.yaml, Role.ADMIN, handlers.download_yaml, [dataset])
    _download.wire(panel.json, Role.ADMIN, handlers.download_json, [dataset])
