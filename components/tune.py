"""Tune: what the reviews give for training, the file of it, and the embedded trainer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr
from gradio.components.plot import PlotData

from components import _download, _html, charts, new_comparison, tune_votes
from components import compare as compare_screen
from components._choices import build_dropdown, dropdown
from components._errors import shows_errors
from components._session import person
from pipeline.corrections import Correction
from pipeline.errors import TrainingError
from pipeline.export import token_unit
from pipeline.finetune.tuner import DataCard, Row
from pipeline.records import JobState
from pipeline.services import Services
from pipeline.store.training import TrainingJob


@dataclass(frozen=True, slots=True)
class TuneTab:
    """Components of the tab."""

    root: gr.Tab
    dataset: gr.Dropdown
    votes: tune_votes.TuneVotes
    card: gr.HTML
    preview: gr.HTML
    download: _download.Download
    base: gr.Dropdown
    train: gr.Button
    jobs: gr.HTML
    loss: gr.Plot
    compare: gr.Button
    timer: gr.Timer


class Data(NamedTuple):
    """Output order of a dataset's data card."""

    card: str
    preview: str
    download: gr.Button
    train: gr.Button


class Jobs(NamedTuple):
    """Output order of the jobs."""

    jobs: str
    loss: gr.Plot
    compare: gr.Button
    timer: gr.Timer


class Comparison(NamedTuple):
    """Output order of what Compare is opened with."""

    new: gr.Accordion
    model_1: gr.Dropdown
    model_2: gr.Dropdown
    query_list: gr.Dropdown
    more: gr.Dropdown
    preview: str
    tabs: gr.Tabs


class Choices(NamedTuple):
    """Output order of what can be chosen."""

    dataset: gr.Dropdown
    base: gr.Dropdown


class TuneHandlers:
    """Training data and training jobs."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._tuner = services.tuner
        self.votes = tune_votes.TuneVotesHandlers(services)
        self._compare = new_comparison.NewComparisonHandlers(services)

    def load_choices(self, dataset_id: str | None, base_id: str | None) -> Choices:
        """Return the datasets and the models that can be tuned; choices that still exist are kept."""
        datasets = [
            (f"{dataset.name} ({dataset.size})", dataset.id)
            for dataset in self._services.datasets.all()
            if dataset.run_id
        ]
        bases = [(model.name, model.id) for model in self._tuner.bases()]
        return Choices(dropdown(datasets, dataset_id), dropdown(bases, base_id))

    def show_data(
        self, dataset_id: str | None, chosen: Sequence[str] | None = None, request: gr.Request = None
    ) -> Data:
        """Return the data card of a dataset and of the corrections of the comparisons that are chosen beside it."""
        if not dataset_id:
            text = "Submit reviewed answers on Edit. They become the rows of a training file here."
            if chosen:
                text += " Corrections are trained on beside them; their files can be downloaded without."
            off = gr.Button(interactive=False), gr.Button(interactive=False)
            return Data(_html.empty("No dataset yet", text), "", *off)
        card = self._tuner.data_card(dataset_id, self._corrections(chosen, request))
        buttons = gr.Button(interactive=bool(card.rows)), gr.Button(interactive=bool(card.rows))
        return Data(data_card(card), preview(card.rows), *buttons)

    def download_rows(
        self, dataset_id: str | None, chosen: Sequence[str] | None = None, request: gr.Request = None
    ) -> str:
        """Return the path of the training file, made now."""
        if not dataset_id:
            raise TrainingError("Choose a dataset first.")
        return _download.write(
            "pairloop-chat.jsonl", self._tuner.chat_jsonl(dataset_id, self._corrections(chosen, request))
        )

    def start_training(
        self,
        dataset_id: str | None,
        base_id: str | None,
        chosen: Sequence[str] | None = None,
        request: gr.Request = None,
    ) -> Jobs:
        """Begin a job of the embedded trainer."""
        if not dataset_id or not base_id:
            raise TrainingError("Choose a dataset and the model to start from first.")
        self._tuner.start(dataset_id, base_id, self._corrections(chosen, request))
        return self.show_jobs()

    def show_jobs(self) -> Jobs:
        """Return the jobs, newest first, with the loss of the newest finished one."""
        jobs = self._tuner.jobs()
        names = {model.id: model.name for model in self._services.registry.all()}
        done = _newest_finished(jobs)
        running = any(job.state is JobState.RUNNING for job in jobs)
        plot = gr.Plot(self._loss(done, names) if done else None, visible=bool(done))
        rows = {job.id: len(self._services.store.training.rows(job.id)) for job in jobs}
        return Jobs(jobs_html(jobs, names, rows), plot, gr.Button(visible=bool(done)), gr.Timer(active=running))

    def compare_with_parent(self) -> tuple[str, str]:
        """Return the model of the newest finished job and its parent."""
        job = _newest_finished(self._tuner.jobs())
        if job is None:
            raise TrainingError("No training job has finished yet: train a model first.")
        return job.model_id, job.base_model_id

    def open_comparison(self, list_id: str | None) -> Comparison:
        """Open Compare on a new comparison of the newest tuned model with its parent."""
        choices = self._compare.load_new(*self.compare_with_parent(), list_id)
        return Comparison(gr.Accordion(open=True), *choices, gr.Tabs(selected="compare"))

    def _corrections(self, chosen: Sequence[str] | None, request: gr.Request) -> list[Correction]:
        return self._services.corrections.corrections(chosen, person(self._services, request)) if chosen else []

    def _loss(self, job: TrainingJob, names: dict[str, str]) -> PlotData:
        name = names[job.model_id]
        losses = [float(value) for value in job.metrics["losses"]]
        return charts.shown(charts.loss(losses, name, charts.colours(list(names.values()))[name]))


def build() -> TuneTab:
    """Lay out the tab."""
    with gr.Tab("Tune", id="tune") as root, gr.Column(elem_id="tune-screen", elem_classes=["pl-screen"]):
        dataset = build_dropdown("Dataset", "tune-dataset")
        votes = tune_votes.build()
        card = gr.HTML("", elem_id="tune-card")
        with gr.Accordion("One row as the model sees it", open=False, elem_id="tune-preview"):
            row = gr.HTML("")
        download = _download.build("Download chat JSONL", "tune-download", interactive=False)
        gr.HTML(
            '<h3 class="pl-title">Embedded trainer</h3><p class="pl-note">Learns in seconds, on this machine, which '
            "sentences people keep and how long their answers are, and registers a new model. It tunes the embedded "
            "answerer; for a language model, take the JSONL file to your provider.</p>"
        )
        with gr.Row(equal_height=False):
            base = build_dropdown("Start from", "tune-base", scale=3)
            train = gr.Button("Train", variant="primary", interactive=False, elem_id="tune-train", scale=1)
        jobs = gr.HTML("", elem_id="tune-jobs")
        compare = gr.Button("Compare it with its parent", visible=False, elem_id="tune-compare")
        loss = gr.Plot(show_label=False, visible=False, elem_id="tune-loss")
        timer = gr.Timer(1.0, active=False)
    return TuneTab(root, dataset, votes, card, row, download, base, train, jobs, loss, compare, timer)


def wire(tab: TuneTab, handlers: TuneHandlers, tabs: gr.Tabs, compare_tab: compare_screen.CompareTab) -> None:
    """Attach the listeners. ``compare_tab`` names models only after somebody pressed the button that compares them."""
    chosen = [tab.dataset, tab.base]
    data = [tab.card, tab.preview, tab.download.button, tab.train]
    jobs = [tab.jobs, tab.loss, tab.compare, tab.timer]
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    opened = tab.root.select(shows_errors(handlers.load_choices), chosen, chosen, **quiet)
    given = [tab.dataset, tab.votes.chosen]
    opened.success(shows_errors(handlers.show_data), given, data, **quiet)
    tune_votes.wire(tab.votes, handlers.votes, [tab.root.select])
    tab.votes.chosen.input(shows_errors(handlers.show_data), given, data, **quiet)
    tab.root.select(shows_errors(handlers.show_jobs), None, jobs, **quiet)
    tab.dataset.input(shows_errors(handlers.show_data), given, data, **quiet)
    _download.wire(tab.download, handlers.download_rows, given)
    tab.train.click(shows_errors(handlers.start_training), [*chosen, tab.votes.chosen], jobs, api_visibility="private")
    ticked = tab.timer.tick(shows_errors(handlers.show_jobs), None, jobs, **quiet)
    ticked.success(shows_errors(handlers.load_choices), chosen, chosen, **quiet)
    new = compare_tab.new
    boxes = [new.root, new.model_1, new.model_2, new.query_list, new.more, new.preview, tabs]
    tab.compare.click(shows_errors(handlers.open_comparison), new.query_list, boxes, api_visibility="private")


def _newest_finished(jobs: Sequence[TrainingJob]) -> TrainingJob | None:
    return next((job for job in jobs if job.state is JobState.DONE), None)


def data_card(card: DataCard) -> str:
    """Return rows, queries, tokens and checks."""
    if not card.rows:
        text = "No answer to a train query was submitted yet. Review some records on Edit; drafts and discards never count."
        return _html.empty("No rows yet", text)
    numbers = (
        (len(card.rows), "rows"),
        (card.queries, "train queries"),
        (card.tokens, f"tokens ({token_unit()})"),
        (card.unchanged, "answers kept as suggested"),
    )
    numbers += ((card.corrections, "corrections out of votes"),) if card.corrections else ()
    cards = "".join(f'<div class="pl-card"><b>{value:,}</b><span>{label}</span></div>' for value, label in numbers)
    return f'<div class="pl-cards">{cards}</div>{_checks(card)}'


def _checks(card: DataCard) -> str:
    notes = []
    if card.problems:
        notes += [_html.note(f"Row {problem.line}: {problem.message}", "bad") for problem in card.problems[:5]]
    else:
        notes.append(_html.note("Every row passes OpenAI's checks of the chat format.", "good"))
    left_out = [
        (card.drafts, "drafts"),
        (card.discarded, "discarded"),
        (card.test_rows, "answers to test queries, which are kept for Compare"),
    ]
    words = ", ".join(f"{count} {what}" for count, what in left_out if count)
    if words:
        notes.append(_html.note(f"Left out: {words}."))
    if card.barred:
        which = "test query is" if card.barred == 1 else "test queries are"
        notes.append(
            _html.note(f"{card.barred} {which} trained on, and left out when the tuned model is compared.", "warn")
        )
    if len(card.rows) < 10:
        notes.append(_html.note("Fewer than 10 rows: the tuned model will stay close to its parent.", "warn"))
    return "".join(notes)


def preview(rows: Sequence[Row]) -> str:
    """Return the messages of the first row."""
    if not rows:
        return _html.note("The first row will stand here.")
    return "".join(
        f'<div class="pl-message"><b>{_html.esc(message["role"])}</b>'
        f'<div dir="auto" tabindex="0">{_html.esc(message["content"])}</div></div>'
        for message in rows[0].messages
    )


def jobs_html(jobs: Sequence[TrainingJob], names: dict[str, str], rows: dict[str, int]) -> str:
    """Return the jobs as a table."""
    if not jobs:
        return _html.note("No job yet.")
    body = "".join(
        f"<tr><td>{_html.esc(names.get(job.model_id, '–'))}</td><td>{_html.esc(names.get(job.base_model_id, ''))}</td>"
        f"<td class='pl-num'>{rows[job.id]}</td><td class='pl-wide'>{job.state}{_outcome(job)}</td>"
        f"<td>{_html.ago(job.created_at)}</td></tr>"
        for job in jobs
    )
    return (
        "<div class='pl-scroll' tabindex='0'><table class='pl-table'><thead><tr><th>Model</th><th>Parent</th>"
        f"<th class='pl-num'>Rows</th><th>State</th><th>Started</th></tr></thead><tbody>{body}</tbody></table></div>"
    )


def _outcome(job: TrainingJob) -> str:
    if job.error:
        return f": {_html.esc(job.error)}"
    if job.state is not JobState.DONE:
        return " …"
    metrics = job.metrics
    return f": learned from {metrics['kept']} kept and {metrics['not_kept']} dropped sentences"
