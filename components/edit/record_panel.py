"""Records, a panel of Edit: records in from files, pasted rows and the Hub, and the dataset out as a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from components import _download, _html
from components._choices import dropdown, of_datasets
from components._guard import allowed
from components._noting import noted
from components.edit import record_columns
from pipeline.annotation.settings import DatasetSettings
from pipeline.dump import Dump
from pipeline.errors import PipelineError, RecordError
from pipeline.ranking.verdict import plural
from pipeline.record_files.apart import read_apart
from pipeline.record_files.mapping import Prepared, convert, propose, targets
from pipeline.record_files.pairloop import is_dump
from pipeline.record_files.proposing import propose_settings
from pipeline.record_files.reading import read_text
from pipeline.record_files.rows import Source
from pipeline.record_files.writing import ABOUT, Form
from pipeline.records import Role
from pipeline.services import Services

_HINT = "CSV, JSON, JSONL and Parquet; Argilla's and Label Studio's exports; a dataset that Pairloop has written."
_HEAD = 200


@dataclass(frozen=True, slots=True)
class Pending:
    """What was read and is not added yet: the rows of a file and where their columns go, or a whole dataset.

    ``dataset_id`` names the dataset that the columns go to.
    """

    source: Source | None = None
    mapped: Mapping[str, str] | None = None
    dump: Dump | None = None
    dataset_id: str = ""


@dataclass(frozen=True, slots=True)
class RecordPanel:
    """Components of the panel."""

    root: gr.Tab
    summary: gr.HTML
    upload: gr.File
    pasted: gr.Textbox
    look: gr.Button
    hub: tuple[gr.Textbox, gr.Textbox, gr.Textbox, gr.Textbox]
    fetch: gr.Button
    pending: gr.State
    columns: gr.HTML
    report: gr.HTML
    leave_out: gr.Checkbox
    add: gr.Button
    fresh: gr.Button
    form: gr.Dropdown
    about: gr.HTML
    download: _download.Download


class Screen(NamedTuple):
    """Output order of what changes with a file and with the dataset."""

    summary: str
    pending: Pending | None
    columns: str
    report: str
    leave_out: gr.Checkbox
    add: gr.Button
    fresh: gr.Button


class Changed(NamedTuple):
    """Output order when a column goes elsewhere: the columns themselves stay as they are."""

    pending: Pending | None
    report: str
    leave_out: gr.Checkbox
    add: gr.Button


class Done(NamedTuple):
    """Output order after records were added: the screen, and what is cleared."""

    dataset: gr.Dropdown
    upload: None
    pasted: str
    summary: str
    pending: None
    columns: str
    report: str
    leave_out: gr.Checkbox
    add: gr.Button
    fresh: gr.Button


class RecordHandlers:
    """Reads files of records, adds them, and writes datasets."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.records

    def show(self, dataset_id: str | None, pending: Pending | None) -> Screen:
        """Show the dataset that is chosen; a file that was read stays, its columns proposed for this dataset.

        Where somebody has said for this dataset where they go, they go there.
        """
        if pending is None or pending.source is None:
            return self._screen(dataset_id, pending)
        chosen = pending.mapped if pending.dataset_id == dataset_id else None
        return self._proposed(dataset_id, pending.source, chosen or {})

    def look_at_file(self, dataset_id: str | None, path: str | None) -> Screen:
        """Read an uploaded file."""
        return self._read(dataset_id, lambda: self._file(path))

    def look_at_text(self, dataset_id: str | None, text: str) -> Screen:
        """Read pasted rows."""
        return self._read(dataset_id, lambda: read_text(text or "", "The pasted text"))

    def look_at_hub(self, dataset_id: str | None, name: str, config: str, split: str, revision: str) -> Screen:
        """Read a dataset on the Hub."""
        return self._read(dataset_id, lambda: self._desk.from_hub(name or "", config, split, revision))

    def map_columns(self, dataset_id: str | None, pending: Pending | None, event: gr.EventData) -> Changed:
        """Let columns go elsewhere."""
        given = event._data.get("mapping") if isinstance(event._data, dict) else None
        if pending is None or pending.source is None or not dataset_id or not isinstance(given, dict):
            raise RecordError("Choose the file again: the app was started anew in the meantime.")
        settings = self._services.datasets.get(dataset_id).settings
        mapped = _mapped(settings, pending.source, pending.mapped or {}, given)
        pending = replace(pending, mapped=mapped, dataset_id=dataset_id)
        return Changed(pending, *self._outcome(dataset_id, pending))

    def allow(self, dataset_id: str | None, pending: Pending | None, leave_out: bool) -> gr.Button:
        """Let the good rows be added without the others, where somebody says so."""
        if pending is None or pending.source is None or not dataset_id:
            return gr.Button(visible=False)
        prepared = self._prepared(dataset_id, pending)
        return gr.Button(interactive=bool(prepared.records) and (leave_out or not prepared.problems))

    def add_records(self, dataset_id: str | None, pending: Pending | None, leave_out: bool) -> Done:
        """Add the records, or make the dataset that the file holds."""
        if pending is None or (pending.dump is None and not dataset_id):
            raise RecordError("Choose the file again: the app was started anew in the meantime.")
        if pending.dump is not None:
            made = self._desk.make_dataset(pending.dump)
            noted(self._services, "records.imported", made.name, {"records": made.size})
            return self._done(made.id, _html.note(f"{made.name} is there, with {plural(made.size, 'record')}.", "good"))
        prepared = self._prepared(dataset_id, pending)
        if prepared.problems and not leave_out:
            raise RecordError("Some rows cannot be read. Mend the file, or choose to leave these rows out.")
        taken = self._desk.add(dataset_id, prepared.records)
        name = self._services.datasets.get(dataset_id).name
        noted(self._services, "records.imported", name, {"records": len(prepared.records)})
        return self._done(dataset_id, record_columns.added(taken, len(prepared.problems)))

    def make_dataset(self, pending: Pending | None) -> Done:
        """Make a new dataset of a file, with settings that are proposed for it."""
        if pending is None or pending.source is None:
            raise RecordError("Choose the file again: the app was started anew in the meantime.")
        source = pending.source
        settings = propose_settings(source)
        if not settings.fields:
            raise RecordError(
                "No column of this file holds texts to show. Make a dataset in Setup, and add the rows to it."
            )
        ready = bool(settings.questions) and any(item.required for item in settings.questions)
        prepared = convert(settings, source, propose(settings, source))
        if not prepared.records:
            raise RecordError("No row of this file could be read as a record. Make a dataset in Setup first.")
        made = self._services.datasets.create(Path(source.name).stem[:200] or "Records", settings, publish=ready)
        self._desk.add(made.id, prepared.records)
        noted(self._services, "records.imported", made.name, {"records": len(prepared.records)})
        said = f"{made.name} is there, with {plural(len(prepared.records), 'record')}."
        said += "" if ready else " It is a draft: add questions in Setup, and publish it."
        return self._done(made.id, _html.note(said, "good") + record_columns.problems(prepared))

    def describe(self, form: str) -> str:
        """Return what a form holds."""
        return _about(Form(form))

    def download(self, dataset_id: str | None, form: str) -> str:
        """Write the dataset as a file; return its path."""
        if not dataset_id:
            raise RecordError("There is no dataset to take out yet.")
        name, content = self._desk.export(dataset_id, Form(form))
        path = _download.place(name)
        path.write_bytes(content)
        noted(
            self._services,
            "records.exported",
            self._services.datasets.get(dataset_id).name,
            {"format": Form(form).value},
        )
        return str(path)

    def _file(self, path: str | None) -> Source | Dump:
        if not path:
            raise RecordError("Choose a file first.")
        file = Path(path)
        with file.open("rb") as opened:
            begins = opened.read(_HEAD).decode("utf-8", "replace")
        if is_dump(begins):
            return self._desk.read_dump(file.read_text("utf-8", "replace"), file.name)
        return read_apart(file)

    def _read(self, dataset_id: str | None, read: Callable[[], Source | Dump]) -> Screen:
        try:
            found = read()
            if isinstance(found, Dump):
                return self._screen(dataset_id, Pending(dump=found))
            return self._proposed(dataset_id, found)
        except PipelineError as error:
            # Where the file stands, and not in a message that goes away while it is mended.
            return self._screen(dataset_id, None, _html.note(str(error), "bad"))

    def _proposed(self, dataset_id: str | None, source: Source, chosen: Mapping[str, str] | None = None) -> Screen:
        if not dataset_id or self._services.datasets.get(dataset_id).run_id is not None:
            return self._screen(dataset_id, Pending(source))
        settings = self._services.datasets.get(dataset_id).settings
        mapped = _mapped(settings, source, propose(settings, source), chosen or {})
        return self._screen(dataset_id, Pending(source, mapped, dataset_id=dataset_id))

    def _screen(self, dataset_id: str | None, pending: Pending | None, said: str = "") -> Screen:
        summary = self._summary(dataset_id)
        hidden = gr.Checkbox(False, visible=False), gr.Button(visible=False), gr.Button(visible=False)
        if pending is None:
            return Screen(summary, None, "", said, *hidden)
        if pending.dump is not None:
            add = gr.Button(f"Make the dataset {pending.dump.name[:60]}", visible=True, interactive=True)
            return Screen(summary, pending, "", record_columns.whole(pending.dump), hidden[0], add, hidden[2])
        fresh = gr.Button(visible=True)
        if pending.mapped is None:
            rows = plural(len(pending.source.rows), "row")
            said = _html.note(f"{pending.source.name} holds {rows}. {self._why_not(dataset_id)}")
            return Screen(summary, pending, "", said, hidden[0], hidden[1], fresh)
        settings = self._services.datasets.get(dataset_id).settings
        shown = record_columns.columns(settings, pending.source, pending.mapped)
        return Screen(summary, pending, shown, *self._outcome(dataset_id, pending), fresh)

    def _outcome(self, dataset_id: str, pending: Pending) -> tuple[str, gr.Checkbox, gr.Button]:
        """Return what will become of the rows, the choice to leave some out, and the button that adds the others."""
        try:
            prepared = self._prepared(dataset_id, pending)
        except RecordError as error:
            add = gr.Button("Add the records", visible=True, interactive=False)
            return _html.note(str(error), "bad"), gr.Checkbox(False, visible=False), add
        bad, good = len(prepared.problems), len(prepared.records)
        said = record_columns.report(prepared, self._desk.replaced(dataset_id, prepared.records))
        label = f"Leave out the {plural(bad, 'row')} that cannot be read"
        leave_out = gr.Checkbox(False, label=label, visible=bool(bad and good))
        add = gr.Button(f"Add {plural(good, 'record')}", visible=True, interactive=bool(good) and not bad)
        return said, leave_out, add

    def _prepared(self, dataset_id: str, pending: Pending) -> Prepared:
        return convert(self._services.datasets.get(dataset_id).settings, pending.source, pending.mapped or {})

    def _why_not(self, dataset_id: str | None) -> str:
        if not dataset_id:
            return "There is no dataset to add them to yet."
        return "This dataset was made of a run, and takes no other records."

    def _summary(self, dataset_id: str | None) -> str:
        if not dataset_id:
            return _html.note("There is no dataset yet. A file can become one.")
        dataset = self._services.datasets.get(dataset_id)
        made = (
            " They are the answers of a run; records from elsewhere go into another dataset." if dataset.run_id else ""
        )
        return _html.note(f"{plural(dataset.size, 'record')} in {dataset.name}.{made}")

    def _done(self, dataset_id: str, said: str) -> Done:
        choices = of_datasets(self._services.datasets.all())
        return Done(dropdown(choices, dataset_id), None, "", *self._screen(dataset_id, None, said))


def _mapped(
    settings: DatasetSettings, source: Source, mapped: Mapping[str, str], chosen: Mapping[str, object]
) -> dict[str, str]:
    """Return where columns go: where they were ``mapped``, or where somebody has ``chosen``, if there is such a place."""
    allowed = {column: [target for _, target in targets(settings, column)] for column in source.columns}
    return {**mapped, **{column: chosen[column] for column, there in allowed.items() if chosen.get(column) in there}}


def _about(form: Form) -> str:
    return _html.note(f"{ABOUT[form][1]} People stand under their names in it.")


def build() -> RecordPanel:
    """Lay out the panel."""
    with gr.Tab("Records", id="records") as root:
        summary = gr.HTML("", elem_id="records-summary")
        gr.HTML('<h3 class="pl-title">Add records</h3>')
        gr.HTML(_html.note(_HINT))
        upload = gr.File(label="A file of records", height=140, elem_id="records-upload")
        with gr.Accordion("Paste rows", open=False):
            pasted = gr.Textbox(
                label="CSV with the names of the columns in its first row, or JSON", lines=6, max_lines=20,
                elem_id="records-pasted", buttons=[],
            )  # fmt: skip
            look = gr.Button("Look at these rows", elem_id="records-look")
        with gr.Accordion("From the Hugging Face Hub", open=False):
            with gr.Row():
                name = gr.Textbox(label="Dataset (owner/name)", max_lines=1, elem_id="records-hub-name", scale=3)
                config = gr.Textbox(
                    label="Configuration",
                    placeholder="if it has several",
                    max_lines=1,
                    elem_id="records-hub-config",
                    scale=2,
                )
                split = gr.Textbox(
                    label="Split", placeholder="train", max_lines=1, elem_id="records-hub-split", scale=1
                )
                revision = gr.Textbox(
                    label="Revision", placeholder="newest", max_lines=1, elem_id="records-hub-revision", scale=1
                )
            fetch = gr.Button("Fetch its rows", elem_id="records-hub-fetch")
        pending = gr.State(None, time_to_live=4 * 3600)
        columns = gr.HTML("", js_on_load=record_columns.MAP_JS, elem_id="records-columns")
        report = gr.HTML("", elem_id="records-report")
        leave_out = gr.Checkbox(
            False, label="Leave out the rows that cannot be read", visible=False, elem_id="records-leave"
        )
        with gr.Row():
            add = gr.Button("Add the records", variant="primary", visible=False, elem_id="records-add")
            fresh = gr.Button("Make a new dataset of this file instead", visible=False, elem_id="records-fresh")
        gr.HTML('<h3 class="pl-title">Take the dataset out</h3>', elem_id="records-out")
        forms = [(label, form.value) for form, (label, _) in ABOUT.items()]
        form = gr.Dropdown(forms, value=Form.PAIRLOOP.value, label="Form", filterable=False, elem_id="records-form")
        about = gr.HTML(_about(Form.PAIRLOOP), elem_id="records-about")
        download = _download.build("Download the dataset", "records-download")
    hub = (name, config, split, revision)
    return RecordPanel(
        root,
        summary,
        upload,
        pasted,
        look,
        hub,
        fetch,
        pending,
        columns,
        report,
        leave_out,
        add,
        fresh,
        form,
        about,
        download,
    )


def wire(panel: RecordPanel, handlers: RecordHandlers, dataset: gr.Dropdown, opened: list[Callable]) -> None:
    """Attach the listeners."""
    outcome = [panel.report, panel.leave_out, panel.add]
    screen = [panel.summary, panel.pending, panel.columns, *outcome, panel.fresh]
    done = [dataset, panel.upload, panel.pasted, *screen]
    private = {"api_visibility": "private"}
    quiet = {**private, "show_progress": "hidden", "concurrency_limit": 8}
    slow = {**private, "show_progress": "minimal", "show_progress_on": panel.report, "concurrency_limit": 2}
    for event in opened:
        event(allowed(Role.ADMIN, handlers.show, quiet=True), [dataset, panel.pending], screen, **quiet)
    panel.upload.upload(allowed(Role.ADMIN, handlers.look_at_file, cost=1), [dataset, panel.upload], screen, **slow)
    panel.look.click(allowed(Role.ADMIN, handlers.look_at_text, cost=1), [dataset, panel.pasted], screen, **slow)
    panel.fetch.click(allowed(Role.ADMIN, handlers.look_at_hub, cost=1), [dataset, *panel.hub], screen, **slow)
    panel.columns.input(
        allowed(Role.ADMIN, handlers.map_columns), [dataset, panel.pending], [panel.pending, *outcome],
        trigger_mode="always_last", **quiet,
    )  # fmt: skip
    panel.leave_out.input(
        allowed(Role.ADMIN, handlers.allow), [dataset, panel.pending, panel.leave_out], panel.add, **quiet
    )
    panel.add.click(
        allowed(Role.ADMIN, handlers.add_records, cost=1), [dataset, panel.pending, panel.leave_out], done, **slow
    )
    panel.fresh.click(allowed(Role.ADMIN, handlers.make_dataset, cost=1), panel.pending, done, **slow)
    panel.form.input(allowed(Role.ADMIN, handlers.describe), panel.form, panel.about, **quiet)
    _download.wire(panel.download, Role.ADMIN, handlers.download, [dataset, panel.form])
