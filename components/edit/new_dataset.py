"""A new dataset: from a template, from a file of settings, as another dataset is, or with the answers of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from components import _html
from components._choices import build_dropdown, dropdown, of_datasets
from components._guard import allowed
from components._noting import noted
from components.run_choices import left_out, run_choices
from pipeline.annotation.files import MAX_CHARACTERS, from_text
from pipeline.annotation.templates import (
    LARGEST_RANKING,
    SMALLEST_RANKING,
    TUTORIAL,
    get_dataset_template,
    templates,
)
from pipeline.errors import RecordError
from pipeline.records import Role
from pipeline.services import Services
from pipeline.store.datasets import Dataset

FILE, COPY = "from-a-file", "as-another"


@dataclass(frozen=True, slots=True)
class NewDataset:
    """Components. ``asked`` is not empty while this panel is shown, because somebody asked for it or there is no dataset."""

    root: gr.Column
    asked: gr.State
    name: gr.Textbox
    begin: gr.Radio
    responses: gr.Number
    file: gr.File
    source: gr.Dropdown
    run: gr.Dropdown
    create: gr.Button
    tutorial: gr.Button
    cancel: gr.Button
    message: gr.HTML


class Begun(NamedTuple):
    """Output order when somebody begins a new dataset."""

    panels: gr.Tabs
    asked: str
    root: gr.Column
    editor: gr.Column
    source: gr.Dropdown
    run: gr.Dropdown
    message: str


class Made(NamedTuple):
    """Output order after a dataset was made; ``asked`` and what was filled in are cleared."""

    dataset: gr.Dropdown
    message: str
    asked: str = ""
    name: str = ""
    file: None = None


class NewDatasetHandlers:
    """Makes datasets."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.datasets

    def begin(self) -> Begun:
        """Open the panel for a new dataset."""
        datasets = [(item.name, item.id) for item in self._desk.all()]
        runs = [("No run: without records", ""), *run_choices(self._services)]
        shown = gr.Column(visible=True), gr.Column(visible=False)
        return Begun(gr.Tabs(selected="setup"), "asked", *shown, dropdown(datasets, None), dropdown(runs, ""), "")

    def choose(self, begin: str) -> tuple[gr.Number, gr.File, gr.Dropdown, gr.Dropdown]:
        """Show what the chosen beginning needs."""
        ranking, prompt = begin == "ranking", begin not in (FILE, COPY) and get_dataset_template(begin).prompt
        visible = (ranking, begin == FILE, begin == COPY, bool(prompt))
        kinds = (gr.Number, gr.File, gr.Dropdown, gr.Dropdown)
        return tuple(kind(visible=shown) for kind, shown in zip(kinds, visible, strict=True))

    def create(
        self,
        name: str,
        begin: str,
        responses: float | None,
        path: str | None,
        source: str | None,
        run_id: str | None,
    ) -> Made:
        """Make the dataset."""
        if begin == FILE:
            return self._from_file(name, path)
        if begin == COPY:
            if not source:
                raise RecordError("Choose the dataset whose settings the new one gets.")
            return self._made(self._desk.duplicate(source, name))
        template = get_dataset_template(begin)
        if template.prompt and run_id:
            return self._made(self._desk.create_of_run(run_id, template.prompt, name), left_out(self._desk, run_id))
        return self._made(self._desk.create_from_template(begin, name, int(responses or 0)))

    def create_tutorial(self) -> Made:
        """Make the dataset of Argilla's tutorial, published."""
        return self._made(self._desk.create_from_template(TUTORIAL, publish=True))

    def _from_file(self, name: str, path: str | None) -> Made:
        if not path:
            raise RecordError("Choose a YAML or JSON file of settings.")
        source = Path(path)
        if source.stat().st_size > 4 * MAX_CHARACTERS:
            raise RecordError(f"This file is too large for settings: they have at most {MAX_CHARACTERS:,} characters.")
        try:
            loaded = from_text(source.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise RecordError("This file is no text in UTF-8. Save it as UTF-8 and try again.") from error
        settings = replace(loaded.settings, guidelines_version=1)
        dataset = self._desk.create(name.strip() or source.stem, settings, publish=False)
        return self._made(dataset, loaded.notes)

    def _made(self, dataset: Dataset, notes: tuple[str, ...] = ()) -> Made:
        choices = of_datasets(self._desk.all())
        noted(self._services, "dataset.created", dataset.name, {"records": dataset.size})
        gr.Info(f"{_html.esc(dataset.name)} is {'published' if dataset.published else 'made, as a draft'}.")
        return Made(dropdown(choices, dataset.id), "".join(_html.note(note, "warn") for note in notes))


def build() -> NewDataset:
    """Lay out the panel."""
    choices = [(f"{item.title}: {item.description}", item.name) for item in templates()]
    choices += [
        ("From a file: settings as YAML or JSON, from here or from Argilla.", FILE),
        ("As another dataset: its settings, without its records.", COPY),
    ]
    with gr.Column(visible=False, elem_id="new-dataset") as root:
        gr.HTML('<h3 class="pl-title">New dataset</h3>')
        name = gr.Textbox(
            label="Name", info="Left empty, it is called after what it begins with.", max_lines=1, elem_id="new-name"
        )
        begin = gr.Radio(choices, value=choices[0][1], label="Begin with", elem_id="new-begin")
        responses = gr.Number(
            3, label="Responses to put in order", minimum=SMALLEST_RANKING, maximum=LARGEST_RANKING, precision=0,
            visible=False, elem_id="new-responses",
        )  # fmt: skip
        file = gr.File(
            label="Settings (.yaml, .yml or .json)", file_types=[".yaml", ".yml", ".json"], visible=False, height=150,
            elem_id="new-file",
        )  # fmt: skip
        source = build_dropdown("Dataset", "new-source")
        source.visible = False
        run = build_dropdown("Fill it with the answers of a run", "new-run")
        with gr.Row(elem_classes=["pl-setup-adds"]):
            create = gr.Button("Create", variant="primary", elem_id="new-create", min_width=140)
            tutorial = gr.Button("Argilla's tutorial dataset, in one click", elem_id="new-tutorial", min_width=280)
            cancel = gr.Button("Cancel", elem_id="new-cancel", min_width=100)
    # Below the panel: what is said of a new dataset is read when it is shown.
    message = gr.HTML("", elem_id="new-message")
    asked = gr.State("")
    return NewDataset(root, asked, name, begin, responses, file, source, run, create, tutorial, cancel, message)


def wire(
    panel: NewDataset,
    handlers: NewDatasetHandlers,
    button: gr.Button,
    begun: list,
    dataset: gr.Dropdown,
    show: Callable,
) -> None:
    """Attach the listeners. ``begun`` are the components of :class:`Begun`; ``show`` attaches what shows a dataset after it."""
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    button.click(allowed(Role.ADMIN, handlers.begin), None, begun, **quiet)
    needs = [panel.responses, panel.file, panel.source, panel.run]
    panel.begin.input(allowed(Role.ADMIN, handlers.choose), panel.begin, needs, **quiet)
    made = [dataset, panel.message, panel.asked, panel.name, panel.file]
    filled = [panel.name, panel.begin, *needs]
    show(panel.create.click(allowed(Role.ADMIN, handlers.create, cost=1), filled, made, **quiet))
    show(panel.tutorial.click(allowed(Role.ADMIN, handlers.create_tutorial, cost=1), None, made, **quiet))
    show(panel.cancel.click(allowed(Role.ADMIN, lambda: ""), None, panel.asked, **quiet))
