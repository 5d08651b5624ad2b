"""What the buttons of Setup do. Every press of Save is kept on the server at once."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import gradio as gr

from components import _download, _html
from components._choices import dropdown, of_datasets
from components._noting import noted
from components.edit import setup_html, setup_parts
from components.edit.setup_parts import FIELDS, METADATA, QUESTIONS, Form
from components.run_choices import left_out, run_choices
from pipeline.annotation.files import to_json, to_yaml
from pipeline.annotation.plain import MAX_PEOPLE
from pipeline.annotation.settings import DatasetSettings, Distribution, FieldKind, MetadataKind, QuestionKind
from pipeline.errors import PipelineError, RecordError
from pipeline.services import Services
from pipeline.store.datasets import Dataset

NO_SPANS = "-"
NO_DATASET = "none"


class Screen(NamedTuple):
    """Output order of what is shown of a dataset. ``editing`` says which part is in the form, as :func:`setup_parts.key` does."""

    editor: object
    new: object
    state: object
    publish: object
    name: object
    parts: object
    editing: object
    form: object
    form_title: object
    kind: object
    title: object
    part_name: object
    description: object
    flag: object
    options: object
    low: object
    high: object
    part_message: object
    guidelines: object
    guidelines_shown: object
    guidelines_message: object
    min_submitted: object
    quorum: object
    unprefilled: object
    mark_chunks: object
    mark_spans: object
    rules_message: object
    preview: object
    run: object
    run_message: object


class Renamed(NamedTuple):
    """Output order after something that the list of datasets shows was changed."""

    dataset: object
    name: object
    state: object
    publish: object
    run_message: object
    preview: object


_SKIP = Screen(*[gr.skip()] * len(Screen._fields))


class SetupHandlers:
    """Changes of one dataset's settings."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.datasets

    def show_opened(self, dataset_id: str | None, asked: str) -> tuple:
        """Show a dataset because Setup or Edit was opened; while somebody ``asked`` for a new one, that panel stays.

        It stays even where this began before they asked: which panel is seen changes only with a first dataset.
        """
        shown = self.show(dataset_id)
        if not self._desk.all():
            return *shown, NO_DATASET
        if asked == NO_DATASET:
            return *shown, ""
        return *shown._replace(editor=gr.skip(), new=gr.skip()), gr.skip()

    def show(self, dataset_id: str | None) -> Screen:
        """Show a dataset, with no part of it opened, or the panel for a new one while there is none."""
        dataset_id = dataset_id or next((dataset.id for dataset in self._desk.all()), None)
        if dataset_id is None:
            return _SKIP._replace(editor=gr.Column(visible=False), new=gr.Column(visible=True))
        dataset = self._desk.get(dataset_id)
        shown = self._parts(dataset, None)._replace(
            **_rules(dataset.settings), form=gr.Column(visible=False), editing=""
        )
        return shown._replace(
            editor=gr.Column(visible=True),
            new=gr.Column(visible=False),
            name=dataset.name,
            guidelines=dataset.settings.guidelines,
            guidelines_shown=_guidelines(dataset.settings.guidelines),
            guidelines_message="",
            rules_message="",
            part_message=_html.note("Choose one of them to change it, or add one."),
            run=dropdown([("Choose a run", ""), *run_choices(self._services)], ""),
            run_message="",
        )

    def show_chosen(self, dataset_id: str | None) -> tuple:
        """Show a dataset that was just chosen, whatever somebody asked for before."""
        return *self.show(dataset_id), "", ""

    def choose(self, dataset_id: str | None, chosen: str | None) -> Screen:
        """Open a part in the form."""
        section, name = setup_parts.split(chosen)
        item = setup_parts.find(self._settings(dataset_id), section, name)
        if item is None:
            return self.show(dataset_id)
        # The choice too: what was shown before may arrive after it was made.
        return _opened(section, item)._replace(parts=gr.Radio(value=chosen))

    def begin_field(self, dataset_id: str | None) -> Screen:
        """Open the form for a new field."""
        return self._begin(dataset_id, FIELDS, "New field")

    def begin_question(self, dataset_id: str | None) -> Screen:
        """Open the form for a new question."""
        return self._begin(dataset_id, QUESTIONS, "New question")

    def begin_metadata(self, dataset_id: str | None) -> Screen:
        """Open the form for a new metadata property."""
        return self._begin(dataset_id, METADATA, "New metadata property")

    def _begin(self, dataset_id: str | None, section: str, title: str) -> Screen:
        # Required at first, as in Argilla; but what records or answers that are there lack cannot be.
        published = bool(dataset_id) and self._desk.get(dataset_id).published
        return _new(section, title, section == METADATA or not published)

    def choose_kind(self, chosen: str | None, kind: str, options: str) -> tuple[gr.Textbox, gr.Number, gr.Number]:
        """Show what a part of the chosen kind has; a rating begins with 1 to 5."""
        section, _ = setup_parts.split(chosen)
        if kind == QuestionKind.RATING and section == QUESTIONS and not options.strip():
            options = "1\n2\n3\n4\n5"
        return _options(section, kind, options), *_bounds(section, kind, None, None)

    def save(self, dataset_id: str | None, chosen: str | None, *form: object) -> Screen:
        """Store the part in the form; where it is refused, the form stays with the reason beside it."""
        section, old = setup_parts.split(chosen)

        def change(settings: DatasetSettings) -> DatasetSettings:
            item = setup_parts.part_of(section, Form(*form))
            if setup_parts.find(settings, section, item.name) and item.name != old:
                raise RecordError(f"There is a {setup_parts.WORDS[section].lower()} named {item.name!r} already.")
            return setup_parts.with_part(settings, section, old, item)

        try:
            said = self._desk.edit(dataset_id or "", change)
            name = setup_parts.part_of(section, Form(*form)).name
        except PipelineError as error:
            return _SKIP._replace(part_message=_refused(error))
        dataset = self._desk.get(dataset_id or "")
        self._changed(dataset, f"its {setup_parts.WORDS[section].lower()} {name}")
        shown = self._parts(dataset, setup_parts.key(section, name))
        opened = _opened(section, setup_parts.find(dataset.settings, section, name))
        around = {part: getattr(shown, part) for part in ("state", "publish", "parts", "preview", "mark_spans")}
        return opened._replace(**around, part_message=_saved(said))

    def move_up(self, dataset_id: str | None, chosen: str | None) -> Screen:
        """Move the chosen part one place up."""
        return self._move(dataset_id, chosen, -1)

    def move_down(self, dataset_id: str | None, chosen: str | None) -> Screen:
        """Move the chosen part one place down."""
        return self._move(dataset_id, chosen, 1)

    def remove(self, dataset_id: str | None, chosen: str | None) -> Screen:
        """Take the chosen part out; where records or answers need it, it stays and the reason is shown."""
        section, name = setup_parts.split(chosen)
        if not name:
            return _SKIP._replace(form=gr.Column(visible=False), editing="", parts=gr.Radio(value=None))
        try:
            self._desk.edit(dataset_id or "", lambda settings: setup_parts.without(settings, section, name))
        except PipelineError as error:
            return _SKIP._replace(part_message=_refused(error))
        dataset = self._desk.get(dataset_id or "")
        self._changed(dataset, f"without its {setup_parts.WORDS[section].lower()} {name}")
        shown = self._parts(dataset, None)
        return shown._replace(form=gr.Column(visible=False), editing="", part_message=_html.note("Removed.", "good"))

    def save_guidelines(self, dataset_id: str | None, text: str) -> Screen:
        """Store the guidelines; of a published dataset they are a new version."""
        try:
            said = self._desk.edit(dataset_id or "", lambda settings: replace(settings, guidelines=text.strip()))
        except PipelineError as error:
            return _SKIP._replace(guidelines_message=_refused(error))
        self._changed(self._desk.get(dataset_id or ""), "its guidelines")
        settings = self._settings(dataset_id)
        version = f"Version {settings.guidelines_version}."
        return _SKIP._replace(
            guidelines_shown=_guidelines(settings.guidelines), guidelines_message=_saved([version, *said])
        )

    def show_guidelines(self, text: str) -> str:
        """Return the guidelines as annotators read them."""
        return _guidelines(text)

    def save_rules(
        self,
        dataset_id: str | None,
        min_submitted: float | None,
        quorum: float | None,
        unprefilled: float | None,
        mark_chunks: bool,
        mark_spans: str | None,
    ) -> Screen:
        """Store who answers what; say what that does to what was answered."""

        def change(settings: DatasetSettings) -> DatasetSettings:
            distribution = Distribution(_whole(min_submitted, 1), _whole(quorum, 0) or None)
            share = (unprefilled or 0) / 100
            spans = "" if mark_spans in (None, NO_SPANS) else mark_spans
            return replace(
                settings, distribution=distribution, unprefilled=share, mark_chunks=mark_chunks, mark_spans=spans
            )

        try:
            said = self._desk.edit(dataset_id or "", change)
        except PipelineError as error:
            return _SKIP._replace(rules_message=_refused(error))
        dataset = self._desk.get(dataset_id or "")
        self._changed(dataset, "who answers what")
        shown = self._parts(dataset, None)
        return _SKIP._replace(
            state=shown.state, publish=shown.publish, preview=shown.preview, rules_message=_saved(said)
        )

    def rename(self, dataset_id: str | None, name: str) -> Renamed:
        """Give the dataset another name."""
        before = self._desk.get(dataset_id or "").name
        dataset = self._desk.rename(dataset_id or "", name)
        if dataset.name != before:
            noted(self._services, "dataset.renamed", dataset.name, {"before": before})
        return self._listed(dataset, _html.note(""))

    def publish(self, dataset_id: str | None) -> Renamed:
        """Let people annotate the dataset."""
        dataset = self._desk.publish(dataset_id or "")
        noted(self._services, "dataset.published", dataset.name, {"records": dataset.size})
        gr.Info(f"{_html.esc(dataset.name)} is published.")
        return self._listed(dataset, "")

    def fill(self, dataset_id: str | None, run_id: str | None) -> Renamed:
        """Put the answered queries of a run into the dataset."""
        if not run_id:
            raise RecordError("Choose a run first. Runs are made on Ask, under Many queries.")
        added = self._desk.add_run(dataset_id or "", run_id)
        if added:
            noted(self._services, "records.added", self._desk.get(dataset_id or "").name, {"records": added})
        words = f"Added {added} record{'' if added == 1 else 's'} of the run." if added else "Its records are all here."
        words = " ".join([words, *left_out(self._desk, run_id)])
        return self._listed(self._desk.get(dataset_id or ""), _html.note(words, "good"))

    def download_yaml(self, dataset_id: str | None) -> str:
        """Return the path of the settings as YAML."""
        dataset = self._desk.get(dataset_id or "")
        return _download.write(f"{_file_name(dataset.name)}.yaml", to_yaml(dataset.settings))

    def download_json(self, dataset_id: str | None) -> str:
        """Return the path of the settings as JSON."""
        dataset = self._desk.get(dataset_id or "")
        return _download.write(f"{_file_name(dataset.name)}.json", to_json(dataset.settings))

    def _changed(self, dataset: Dataset, what: str) -> None:
        noted(self._services, "dataset.changed", dataset.name, {"what": what})

    def _settings(self, dataset_id: str | None) -> DatasetSettings:
        return self._desk.get(dataset_id or "").settings

    def _move(self, dataset_id: str | None, chosen: str | None, step: int) -> Screen:
        section, name = setup_parts.split(chosen)
        try:
            self._desk.edit(dataset_id or "", lambda settings: setup_parts.moved(settings, section, name, step))
        except PipelineError as error:
            return _SKIP._replace(part_message=_refused(error))
        return self._parts(self._desk.get(dataset_id or ""), chosen)._replace(part_message="")

    def _parts(self, dataset: Dataset, chosen: str | None) -> Screen:
        """Show the list of parts and everything that follows from them."""
        settings = dataset.settings
        return _SKIP._replace(
            state=setup_html.state(dataset),
            publish=_publish(dataset),
            parts=gr.Radio(choices=setup_parts.listed(settings), value=chosen),
            preview=self._preview(dataset),
            mark_spans=dropdown(_span_choices(settings), settings.mark_spans or NO_SPANS),
        )

    def _preview(self, dataset: Dataset) -> str:
        first = self._services.store.datasets.record_ids(dataset.id)[:1]
        record = self._services.store.datasets.record(first[0]) if first else None
        return setup_html.preview(dataset, record)

    def _listed(self, dataset: Dataset, message: str) -> Renamed:
        choices = of_datasets(self._desk.all())
        state, publish = setup_html.state(dataset), _publish(dataset)
        return Renamed(dropdown(choices, dataset.id), dataset.name, state, publish, message, self._preview(dataset))


def _new(section: str, title: str, flag: bool) -> Screen:
    opened = _form(section, setup_parts.form_of(None, section)._replace(flag=flag), title)
    return opened._replace(parts=gr.Radio(value=None), editing=setup_parts.key(section, ""))


def _opened(section: str, item: setup_parts.Part) -> Screen:
    opened = _form(section, setup_parts.form_of(item, section), f"{setup_parts.WORDS[section]} “{item.heading}”")
    return opened._replace(editing=setup_parts.key(section, item.name))


def _form(section: str, form: Form, title: str) -> Screen:
    flag = "Shown to annotators" if section == METADATA else "Required"
    low, high = _bounds(section, form.kind, form.low, form.high)
    return _SKIP._replace(
        form=gr.Column(visible=True),
        form_title=f'<h4 class="pl-title">{_html.esc(title)}</h4>',
        kind=gr.Dropdown(choices=setup_parts.kinds(section), value=form.kind),
        title=form.title,
        part_name=form.name,
        description=gr.Textbox(value=form.description, visible=section == QUESTIONS),
        flag=gr.Checkbox(value=form.flag, label=flag),
        options=_options(section, form.kind, form.options),
        low=low,
        high=high,
        part_message="",
    )


def _options(section: str, kind: str, options: str) -> gr.Textbox:
    label = (
        "Allowed terms, one a line (empty: any)" if section == METADATA else "Options, one a line: value | text shown"
    )
    return gr.Textbox(value=options, label=label, visible=setup_parts.has_options(section, kind))


def _bounds(section: str, kind: str, low: float | None, high: float | None) -> tuple[gr.Number, gr.Number]:
    visible = section == METADATA and kind != MetadataKind.TERMS
    return gr.Number(value=low, visible=visible), gr.Number(value=high, visible=visible)


def _publish(dataset: Dataset) -> gr.Button:
    return gr.Button(visible=not dataset.published, interactive=not setup_html.missing(dataset))


def _rules(settings: DatasetSettings) -> dict[str, object]:
    return {
        "min_submitted": settings.distribution.min_submitted,
        "quorum": settings.distribution.discard_quorum or 0,
        "unprefilled": round(settings.unprefilled * 100),
        "mark_chunks": settings.mark_chunks,
    }


def _span_choices(settings: DatasetSettings) -> list[tuple[str, str]]:
    written = (FieldKind.TEXT, FieldKind.MARKDOWN)
    texts = [item for item in settings.fields if item.kind in written]
    answers = [item for item in settings.questions if item.kind is QuestionKind.TEXT]
    shown = [(f"The field “{item.heading}”", item.name) for item in texts]
    asked = [(f"What is suggested for “{item.heading}”", item.name) for item in answers]
    return [("Nothing", NO_SPANS), *shown, *asked]


def _guidelines(text: str) -> str:
    return _html.answer(text) if text.strip() else _html.note("No guidelines yet.")


def _whole(value: float | None, default: int) -> int:
    if value is None:
        return default
    if value != int(value) or not 0 <= value <= MAX_PEOPLE:
        raise RecordError(f"People are counted in whole numbers up to {MAX_PEOPLE}, not {value:g}.")
    return int(value)


def _saved(said: list[str]) -> str:
    return _html.note(" ".join(["Saved.", *said]), "good")


def _refused(error: PipelineError) -> str:
    return f'<div role="alert">{_html.note(str(error), "bad")}</div>'


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name)[:80] or "settings"
