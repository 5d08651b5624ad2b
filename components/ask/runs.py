"""The "many queries" panel of Ask: lists of queries, runs with progress, and the way on to Edit."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from components import _download, _html
from components._choices import build_dropdown, dropdown
from components._guard import allowed
from components._noting import noted
from components._session import person
from components.ask import run_html
from components.ask.run_html import SHOWN_ROWS, progress, table
from components.edit import tab as edit_screen
from components.run_choices import left_out
from pipeline.errors import ModelError, QueryFileError, RecordError
from pipeline.limits import HEAVY
from pipeline.prices import price
from pipeline.prompts import TEMPLATES
from pipeline.records import JobState, Role, Run, Split
from pipeline.run_files import ShownRow, run_csv, shown_rows
from pipeline.run_watch import RunStatus
from pipeline.services import Services

# So many of the newest runs are looked through for one to show.
LOOKED_AT = 1000
# The id of no run: what is chosen was never run, which is not the same as that nothing was chosen yet.
NO_RUN = "none"


@dataclass(frozen=True, slots=True)
class RunsPanel:
    """Components of the panel."""

    query_list: gr.Dropdown
    model: gr.Dropdown
    run: gr.Button
    cancel: gr.Button
    resume: gr.Button
    limit: gr.Textbox
    run_id: gr.State
    timer: gr.Timer
    progress: gr.HTML
    failures: gr.HTML
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
    limit: gr.Textbox


class State(NamedTuple):
    """Output order of a run's state."""

    run_id: str | None
    progress: str
    failures: str
    rows: str
    timer: gr.Timer
    cancel: gr.Button
    resume: gr.Button
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
        """Return the lists and models to choose from; choices that still exist are kept. A limit needs a model with a price.

        Where nothing was chosen yet, those of the newest run are, which is the one on the screen.
        """
        models = self._services.registry.answering()
        if not list_id and not model_id and (run := self._newest_run()):
            list_id, model_id = run.query_set_id, run.model_id
        # Without a price nothing can be limited, and nobody needs to read about it.
        priced = any(price(model.config, 1, 1) is not None for model in models)
        named = [(model.name, model.id) for model in models]
        return Choices(self._lists(list_id), dropdown(named, model_id), gr.Textbox(visible=priced))

    def add_list(self, typed: str, path: str | None, name: str, hold_out: bool) -> AddedList:
        """Take in a list from the text or from the file; only one of the two may be given."""
        lists = self._services.query_lists
        if bool(typed.strip()) == bool(path):
            raise QueryFileError("Type or paste queries, one a line, or choose a file: one of the two.")
        if path:
            added = lists.add_file(Path(path), Path(path).name, name.strip(), hold_out)
        else:
            added = lists.add_text(typed, name.strip(), hold_out)
        noted(self._services, "queries.added", added.name, {"queries": added.train + added.test})
        text = f"Added {added.name}: {added.train} train and {added.test} test queries."
        if added.duplicates:
            text += f" Left out, because they stood there twice: {added.duplicates}."
        return AddedList(_html.note(text, "good"), self._lists(added.id))

    def start_run(self, list_id: str | None, model_id: str | None, limit: str, request: gr.Request) -> State:
        """Begin a run; it stops before it would spend more than ``limit`` dollars, where one is given."""
        if not list_id or not model_id:
            raise QueryFileError("Choose a list of queries and a model first.")
        run_id = self._services.generation.start_run(model_id, list_id, limit=_dollars(limit))
        self._noted("run.started", run_id)
        return self.show_run(run_id, request)

    def cancel_run(self, run_id: str | None, request: gr.Request) -> State:
        """Stop a run; what is answered stays."""
        if run_id and run_id != NO_RUN:
            self._services.generation.cancel(run_id)
            self._noted("run.cancelled", run_id)
            self._wait_for_end(run_id)
        return self.show_run(run_id, request)

    def resume_run(self, run_id: str | None, limit: str, request: gr.Request) -> State:
        """Go on with a run that was stopped: ask for what has no answer yet."""
        if not run_id or run_id == NO_RUN:
            return self.show_run(run_id, request)
        if self._services.generation.resume(run_id, _dollars(limit)):
            self._noted("run.resumed", run_id)
        else:
            gr.Info("Nothing is left to ask.")
        return self.show_run(run_id, request)

    def retry(self, run_id: str | None, limit: str, request: gr.Request, event: gr.EventData) -> State:
        """Ask again for the queries of a run that failed for one cause."""
        if run_id and run_id != NO_RUN:
            groups = self._services.generation.failures(self._services.store.runs.get(run_id))
            chosen = {group.cause: group for group in groups}.get(getattr(event, "cause", None))
            if chosen is not None:
                self._services.generation.resume(run_id, _dollars(limit), chosen.query_ids)
                self._noted("run.resumed", run_id)
        return self.show_run(run_id, request)

    def show_chosen(self, list_id: str | None, model_id: str | None, run_id: str | None, request: gr.Request) -> State:
        """Return the newest run of the chosen model on the chosen list; one that is under way stays on the screen."""
        now = self._services.store.runs.get(run_id) if run_id and run_id != NO_RUN else None
        if now is None or now.state is not JobState.RUNNING:
            now = self._newest_run(list_id, model_id)
        return self.show_run(now.id if now else NO_RUN, request)

    def show_run(self, run_id: str | None, request: gr.Request) -> State:
        """Return the state of a run, or of the newest one where none is given.

        Answers that this person is still to judge blind are withheld: they would tell what this model writes.
        """
        if run_id == NO_RUN:
            return _no_run(NO_RUN, "This model has not answered this list yet: press Run.")
        run = self._services.store.runs.get(run_id) if run_id else self._newest_run()
        if run is None:
            return _no_run(None, "No run yet: a run answers every query of a list with one model.")
        running = run.state is JobState.RUNNING
        status = self._services.generation.status(run.id)
        open_end = not running and run.done + run.failed < run.total
        return State(
            run_id=run.id,
            progress=self._progress(run, status, request),
            failures=run_html.failures(self._services.generation.failures(run), running) if run.failed else "",
            rows=table(self._rows(run, request, SHOWN_ROWS), run.total, status),
            timer=gr.Timer(active=running),
            cancel=gr.Button(visible=running),
            resume=gr.Button(visible=open_end),
            run=gr.Button(interactive=not running),
            download=gr.Button(visible=True),
        )

    def download_run(self, run_id: str | None, request: gr.Request) -> str:
        """Return the path of a CSV file with a row per query of the run."""
        if not run_id or run_id == NO_RUN:
            raise RecordError("Run a list of queries first.")
        run = self._services.store.runs.get(run_id)
        model = self._services.store.models.get(run.model_id).name
        return _download.write("pairloop-run.csv", run_csv(self._rows(run, request), model))

    def send_to_edit(self, run_id: str | None, template: str) -> SentToEdit:
        """Make a dataset from the run's train queries and open it on Edit."""
        if not run_id or run_id == NO_RUN:
            raise RecordError("Run a list of queries first.")
        dataset = self._services.datasets.create_of_run(run_id, template)
        noted(self._services, "dataset.created", dataset.name, {"records": dataset.size})
        words = f"{_html.esc(dataset.name)}: {dataset.size} records to review."
        gr.Info(" ".join([words, *left_out(self._services.datasets, run_id)]))
        return SentToEdit(self._edit.load_datasets(dataset.id), gr.Tabs(selected="edit"))

    def _noted(self, action: str, run_id: str) -> None:
        """Note something of a run by its list alone: beside the name of its model it could tell who is in a comparison."""
        run = self._services.store.runs.get(run_id)
        noted(self._services, action, self._services.store.queries.set_name(run.query_set_id), {"queries": run.total})

    def _lists(self, chosen: str | None) -> gr.Dropdown:
        lists = self._services.query_lists.all()
        return dropdown([(f"{item.name} ({item.size})", item.id) for item in lists], chosen)

    def _rows(self, run: Run, request: gr.Request, first: int | None = None) -> list[ShownRow]:
        """Return the rows of a run as this person may see them."""
        rows = self._services.generation.rows(run, first)
        queries, me = [row.query for row in rows], person(self._services, request)
        return shown_rows(rows, self._services.comparisons.withheld(queries, run.model_id, me))

    def _progress(self, run: Run, status: RunStatus | None, request: gr.Request) -> str:
        services = self._services
        name = services.store.models.get(run.model_id).name
        queries = services.store.queries.in_set(run.query_set_id, run.split)
        # Sums over all but one answer and over all of them would tell what the one took.
        withheld = services.comparisons.withheld(queries, run.model_id, person(services, request))
        figures = services.generation.figures(run, withheld)
        far = progress(run, name, services.store.queries.set_name(run.query_set_id), status)
        return far + run_html.summary(figures, len(withheld))

    def _newest_run(self, list_id: str | None = None, model_id: str | None = None) -> Run | None:
        # A comparison answers its test queries in runs of its own, which nobody began on this screen.
        runs = (run for run in self._services.store.runs.latest(LOOKED_AT) if run.split is not Split.TEST)
        chosen = (run for run in runs if list_id in (None, run.query_set_id) and model_id in (None, run.model_id))
        return next(chosen, None)

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
            limit = gr.Textbox(
                label="Spend at most ($)", placeholder="no limit", max_lines=1, visible=False, elem_id="runs-limit",
                scale=1, min_width=180,
            )  # fmt: skip
            run = gr.Button("Run", variant="primary", elem_id="runs-start", scale=1, min_width=120)
            cancel = gr.Button("Cancel", visible=False, elem_id="runs-cancel", scale=1, min_width=120)
            resume = gr.Button("Resume", visible=False, elem_id="runs-resume", scale=1, min_width=120)
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
        failed = gr.HTML("", js_on_load=run_html.RETRY_JS, elem_id="runs-failures")
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
        query_list, model, run, cancel, resume, limit, run_id, timer, progress_html, failed, rows, download, typed, file, name,
        hold_out, add, report, template, send,
    )  # fmt: skip


def wire(panel: RunsPanel, handlers: RunsHandlers, root: gr.Tab, tabs: gr.Tabs, edit_tab: edit_screen.EditTab) -> None:
    """Attach the listeners. ``edit_tab`` is where a dataset that is made of a run is opened."""
    shown = [panel.run_id, panel.progress, panel.failures, panel.rows, panel.timer]
    state = [*shown, panel.cancel, panel.resume, panel.run, panel.download.button]
    chosen = [panel.query_list, panel.model]
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    root.select(allowed(Role.ADMIN, handlers.load_choices, quiet=True), chosen, [*chosen, panel.limit], **quiet)
    root.select(allowed(Role.ADMIN, handlers.show_run, quiet=True), panel.run_id, state, **quiet)
    panel.timer.tick(
        allowed(Role.ADMIN, handlers.show_run, quiet=True), panel.run_id, state, concurrency_limit=4, **quiet
    )
    # A run of before is looked at again by choosing its list and its model.
    for box in chosen:
        box.input(allowed(Role.ADMIN, handlers.show_chosen), [*chosen, panel.run_id], state, **quiet)
    begin = [*chosen, panel.limit]
    again = [panel.run_id, panel.limit]
    panel.run.click(allowed(Role.ADMIN, handlers.start_run, cost=HEAVY), begin, state, api_visibility="private")
    panel.cancel.click(allowed(Role.ADMIN, handlers.cancel_run), panel.run_id, state, api_visibility="private")
    panel.resume.click(allowed(Role.ADMIN, handlers.resume_run, cost=HEAVY), again, state, api_visibility="private")
    panel.failures.submit(allowed(Role.ADMIN, handlers.retry, cost=HEAVY), again, state, api_visibility="private")
    _download.wire(panel.download, Role.ADMIN, handlers.download_run, [panel.run_id])
    panel.add.click(
        allowed(Role.ADMIN, handlers.add_list, cost=1),
        [panel.typed, panel.file, panel.name, panel.hold_out],
        [panel.report, panel.query_list, panel.typed, panel.file, panel.name],
        **quiet,
    )
    opened = [edit_tab.dataset, tabs]
    panel.send.click(
        allowed(Role.ADMIN, handlers.send_to_edit, cost=1),
        [panel.run_id, panel.template],
        opened,
        api_visibility="private",
    )


def _no_run(run_id: str | None, words: str) -> State:
    """Return what the screen shows where there is no run to show."""
    hidden = gr.Button(visible=False)
    ready = gr.Button(interactive=True)
    return State(run_id, _html.note(words), "", "", gr.Timer(active=False), hidden, hidden, ready, hidden)


def _dollars(typed: str | None) -> float | None:
    """Return the amount that somebody typed, or None for nothing.

    Raises:
        ModelError: it is no amount.
    """
    text = (typed or "").strip().removeprefix("$").strip().replace(",", ".")
    try:
        return float(text) if text else None
    except ValueError:
        raise ModelError("A spending limit is an amount of US dollars, as 2.50. Leave it empty for none.") from None
