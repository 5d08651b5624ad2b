"""The "many queries" panel of Ask: lists of queries, runs with progress, and the way on to Edit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from components import _download, _html
from components import edit as edit_screen
from components._choices import build_dropdown, dropdown
from components._errors import shows_errors
from components._session import person
from pipeline.errors import QueryFileError, RecordError
from pipeline.prompts import TEMPLATES
from pipeline.records import JobState, Run, Split
from pipeline.run_files import ShownRow, run_csv, shown_rows
from pipeline.services import Services

SHOWN_ROWS = 200
# So many of the newest runs are looked through for one to show.
LOOKED_AT = 1000


@dataclass(frozen=True, slots=True)
class RunsPanel:
    """Components of the panel."""

    query_list: gr.Dropdown
    model: gr.Dropdown
    run: gr.Button
    cancel: gr.Button
    run_id: gr.State
    timer: gr.Timer
    progress: gr.HTML
    rows: gr.HTML
    download: _download.Download
    typed: gr.Textbox
    file: gr.File
    name: gr.Textbox
    hold_out: gr.Checkbox
    add: gr.Button
    report: gr.HTML
    template: gr.Dropdown
    send: gr.Button


class Choices(NamedTuple):
    """Output order of what can be chosen."""

    query_list: gr.Dropdown
    model: gr.Dropdown


class State(NamedTuple):
    """Output order of a run's state."""

    run_id: str | None
    progress: str
    rows: str
    timer: gr.Timer
    cancel: gr.Button
    run: gr.Button
    download: gr.Button


class SentToEdit(NamedTuple):
    """Output order after a dataset was made."""

    dataset: gr.Dropdown
    tabs: gr.Tabs


class AddedList(NamedTuple):
    """Output order after a list was added."""

    report: str
    query_list: gr.Dropdown
    typed: str = ""
    file: None = None
    name: str = ""


class RunsHandlers:
    """Lists and runs."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._edit = edit_screen.EditHandlers(services)

    def load_choices(self, list_id: str | None, model_id: str | None) -> Choices:
        """Return the lists and models to choose from; choices that still exist are kept."""
        models = [(model.name, model.id) for model in self._services.registry.answering()]
        return Choices(self._lists(list_id), dropdown(models, model_id))

    def add_list(self, typed: str, path: str | None, name: str, hold_out: bool) -> AddedList:
        """Take in a list from the text or from the file; only one of the two may be given."""
        lists = self._services.query_lists
        if bool(typed.strip()) == bool(path):
            raise QueryFileError("Type or paste queries, one a line, or choose a file: one of the two.")
        if path:
            added = lists.add_file(Path(path), Path(path).name, name.strip(), hold_out)
        else:
            added = lists.add_text(typed, name.strip(), hold_out)
        text = f"Added {added.name}: {added.train} train and {added.test} test queries."
        if added.duplicates:
            text += f" {added.duplicates} that stood there twice were left out."
        return AddedList(_html.note(text, "good"), self._lists(added.id))

    def start_run(self, list_id: str | None, model_id: str | None, request: gr.Request) -> State:
        """Begin a run."""
        if not list_id or not model_id:
            raise QueryFileError("Choose a list of queries and a model first.")
        return self.show_run(self._services.generation.start_run(model_id, list_id), request)

    def cancel_run(self, run_id: str | None, request: gr.Request) -> State:
        """Stop a run; what is answered stays."""
        if run_id:
            self._services.generation.cancel(run_id)
            self._wait_for_end(run_id)
        return self.show_run(run_id, request)

    def show_run(self, run_id: str | None, request: gr.Request) -> State:
        """Return the state of a run, or of the newest one where none is given.

        Answers that this person is still to judge blind are withheld: they would tell what this model writes.
        """
        run = self._services.store.runs.get(run_id) if run_id else self._newest_run()
        if run is None:
            nothing = _html.note("No run yet: a run answers every query of a list with one model.")
            buttons = gr.Button(visible=False), gr.Button(interactive=True), gr.Button(visible=False)
            return State(None, nothing, "", gr.Timer(active=False), *buttons)
        running = run.state is JobState.RUNNING
        name = self._services.store.models.get(run.model_id).name
        shown = progress(run, name, self._services.store.queries.set_name(run.query_set_id))
        buttons = gr.Button(visible=running), gr.Button(interactive=not running), gr.Button(visible=True)
        return State(run.id, shown, table(self._rows(run, request)), gr.Timer(active=running), *buttons)

    def download_run(self, run_id: str | None, request: gr.Request) -> str:
        """Return the path of a CSV file with a row per query of the run."""
        if not run_id:
            raise RecordError("Run a list of queries first.")
        run = self._services.store.runs.get(run_id)
        model = self._services.store.models.get(run.model_id).name
        return _download.write("pairloop-run.csv", run_csv(self._rows(run, request), model))

    def send_to_edit(self, run_id: str | None, template: str) -> SentToEdit:
        """Make a dataset from the run's train queries and open it on Edit."""
        if not run_id:
            raise RecordError("Run a list of queries first.")
        dataset = self._services.datasets.create_of_run(run_id, template)
        gr.Info(f"{_html.esc(dataset.name)}: {dataset.size} records to review.")
        return SentToEdit(self._edit.load_datasets(dataset.id), gr.Tabs(selected="edit"))

    def _lists(self, chosen: str | None) -> gr.Dropdown:
        lists = self._services.query_lists.all()
        return dropdown([(f"{item.name} ({item.size})", item.id) for item in lists], chosen)

    def _rows(self, run: Run, request: gr.Request) -> list[ShownRow]:
        """Return the rows of a run as this person may see them."""
        rows = self._services.generation.rows(run)
        queries, me = [row.query for row in rows], person(self._services, request)
        return shown_rows(rows, self._services.comparisons.withheld(queries, run.model_id, me))

    def _newest_run(self) -> Run | None:
        # A comparison answers its test queries in runs of its own, which nobody began on this screen.
        runs = self._services.store.runs.latest(LOOKED_AT)
        return next((run for run in runs if run.split is not Split.TEST), None)

    def _wait_for_end(self, run_id: str) -> None:
        # A cancel takes effect within a second; waiting for it spares the person a screen that still says "running".
        for _ in range(20):
            if self._services.store.runs.get(run_id).state is not JobState.RUNNING:
                return
            time.sleep(0.05)


def build() -> RunsPanel:
    """Lay out the panel."""
    with gr.Accordion("Many queries", open=True, elem_id="runs-panel"):
        with gr.Row(equal_height=False):
            query_list = build_dropdown("Query list", "runs-list", scale=3)
            model = build_dropdown("Model", "runs-model", scale=3)
            run = gr.Button("Run", variant="primary", elem_id="runs-start", scale=1, min_width=120)
            cancel = gr.Button("Cancel", visible=False, elem_id="runs-cancel", scale=1, min_width=120)
        with gr.Accordion("New list", open=False, elem_id="runs-new"):
            with gr.Row():
                typed = gr.Textbox(label="Queries, one a line", lines=5, max_lines=12, elem_id="runs-typed")
                file = gr.File(
                    label="Or a CSV or JSONL file with a column named query", height=150, elem_id="runs-file"
                )
            with gr.Row(equal_height=False):
                name = gr.Textbox(label="Name (optional)", max_lines=1, elem_id="runs-name")
                hold_out = gr.Checkbox(
                    True,
                    label="Hold out every third query as a test query for Compare",
                    info="Used where the file has no split column.",
                    elem_id="runs-hold-out",
                )
                add = gr.Button("Add list", elem_id="runs-add", min_width=120)
        report = gr.HTML("", elem_id="runs-report")
        run_id = gr.State(None)
        timer = gr.Timer(1.0, active=False)
        progress_html = gr.HTML("", elem_id="runs-progress")
        with gr.Row(equal_height=False):
            templates = [(template.title, template.name) for template in TEMPLATES.values()]
            template = gr.Dropdown(
                templates,
                value=templates[0][1],
                label="Review form",
                filterable=False,
                elem_id="runs-template",
                scale=3,
            )
            send = gr.Button("Send to Edit", elem_id="runs-send", scale=1, min_width=140)
        rows = gr.HTML("", elem_id="runs-rows")
        download = _download.build("Download the run (CSV)", "runs-download", visible=False)
    return RunsPanel(
        query_list, model, run, cancel, run_id, timer, progress_html, rows, download, typed, file, name, hold_out, add, report,
        template, send,
    )  # fmt: skip


def wire(panel: RunsPanel, handlers: RunsHandlers, root: gr.Tab, tabs: gr.Tabs, edit_tab: edit_screen.EditTab) -> None:
    """Attach the listeners. ``edit_tab`` is where a dataset that is made of a run is opened."""
    state = [panel.run_id, panel.progress, panel.rows, panel.timer, panel.cancel, panel.run, panel.download.button]
    chosen = [panel.query_list, panel.model]
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    root.select(shows_errors(handlers.load_choices), chosen, chosen, **quiet)
    root.select(shows_errors(handlers.show_run), panel.run_id, state, **quiet)
    panel.timer.tick(shows_errors(handlers.show_run), panel.run_id, state, concurrency_limit=4, **quiet)
    panel.run.click(shows_errors(handlers.start_run), chosen, state, api_visibility="private")
    panel.cancel.click(shows_errors(handlers.cancel_run), panel.run_id, state, api_visibility="private")
    _download.wire(panel.download, handlers.download_run, [panel.run_id])
    panel.add.click(
        shows_errors(handlers.add_list),
        [panel.typed, panel.file, panel.name, panel.hold_out],
        [panel.report, panel.query_list, panel.typed, panel.file, panel.name],
        **quiet,
    )
    opened = [edit_tab.dataset, tabs]
    panel.send.click(
        shows_errors(handlers.send_to_edit), [panel.run_id, panel.template], opened, api_visibility="private"
    )


def progress(run: Run, model: str, query_list: str) -> str:
    """Return how far a run is, in a bar and in words."""
    done = run.done + run.failed
    words = [f"{model} on {query_list}: {done} of {run.total}"]
    if run.failed:
        words.append(f"{run.failed} failed")
    # Answers that were there before took no time.
    worked = done - run.reused
    if run.state is JobState.RUNNING and worked:
        left = (time.time() - run.created_at) / worked * (run.total - done)
        words.append(f"about {max(1, round(left))} s left")
    elif run.state is not JobState.RUNNING:
        words.append(_ENDS[run.state])
    error = _html.note(run.error, "bad") if run.error else ""
    return _html.bar(done, run.total, " · ".join(words)) + error


_ENDS = {
    JobState.DONE: "done",
    JobState.CANCELLED: "cancelled; run it again to answer the rest",
    JobState.INTERRUPTED: "interrupted when the app stopped; run it again to answer the rest",
    JobState.FAILED: "failed",
}


def table(rows: Sequence[ShownRow]) -> str:
    """Return the first rows of a run; where there are more, where all of them are."""
    body = "".join(_row(row) for row in rows[:SHOWN_ROWS])
    more = f"The first {SHOWN_ROWS} of {len(rows):,} queries. Download the run for all of them."
    return (
        "<div class='pl-scroll' tabindex='0'><table class='pl-table'><thead><tr><th class='pl-num'>#</th><th>Query</th>"
        "<th>Answer</th><th>Split</th><th class='pl-num'>Sources</th><th>State</th><th class='pl-num'>Seconds</th></tr></thead>"
        f"<tbody>{body}</tbody></table></div>{_html.note(more) if len(rows) > SHOWN_ROWS else ''}"
    )


def _row(row: ShownRow) -> str:
    text = _html.esc(row.answer)
    return (
        f"<tr><td class='pl-num'>{row.number}</td><td class='pl-wide'>{_html.esc(row.query)}</td>"
        f"<td class='pl-wide'><span class='pl-clip' title='{text}'>{text}</span></td>"
        f"<td>{row.split}</td><td class='pl-num'>{'' if row.sources is None else row.sources}</td><td>{row.state}</td>"
        f"<td class='pl-num'>{f'{row.seconds:.2f}' if row.seconds else ''}</td></tr>"
    )
