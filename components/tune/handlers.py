"""What Tune does: training data and its files, plans of trainers, jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import gradio as gr
from gradio.components.plot import PlotData

from components import _download, _html, charts
from components._choices import dropdown
from components._noting import noted
from components._session import owner, person
from components.compare import new_comparison
from components.tune import files as tune_files
from components.tune import jobs as tune_jobs
from components.tune import trainers as tune_trainers
from components.tune import votes as tune_votes
from components.tune.data import BUILT_IN, data_card, preview
from pipeline.errors import TrainingError
from pipeline.finetune import files
from pipeline.finetune.rows import Method, Row
from pipeline.finetune.tuner import NO_PAIRS, NOTHING, DataCard, can_start_again
from pipeline.records import JobState
from pipeline.services import Services
from pipeline.store.training import TrainingJob


class Data(NamedTuple):
    """Output order of what there is to train on, and of who can train on it."""

    card: str
    preview: str
    download: gr.Button
    lineage: gr.Button
    train: gr.Button
    trainers: str
    options: str
    picked: Mapping[str, object]


class Cards(NamedTuple):
    """Output order of the trainers, where the form of options stays as it is."""

    trainers: str
    train: gr.Button
    picked: Mapping[str, object]


class Jobs(NamedTuple):
    """Output order of the jobs."""

    jobs: str
    job: str
    loss: gr.Plot
    cancel: gr.Button
    again: gr.Button
    compare: gr.Button
    timer: gr.Timer


class Choices(NamedTuple):
    """Output order of what can be chosen."""

    dataset: gr.Dropdown
    base: gr.Dropdown


class TuneHandlers:
    """Training data, trainers and training jobs."""

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
        able = {model.id: model for trainer in self._tuner.runner.trainers for model in self._tuner.bases(trainer.name)}
        bases = [(model.name, model.id) for model in self._services.registry.all() if model.id in able]
        return Choices(dropdown([*datasets, (tune_votes.NO_DATASET, "")], dataset_id), dropdown(bases, base_id))

    def show_data(
        self,
        dataset_id: str | None,
        chosen: Sequence[str] | None = None,
        request: gr.Request = None,
        method: str = "sft",
        reason: str = "",
        base_id: str | None = None,
        picked: Mapping[str, object] | None = None,
    ) -> Data:
        """Return the data card of a dataset and of what the chosen comparisons give, and what each trainer makes of it."""
        card = self._card(dataset_id, chosen, method, reason, request)
        found = tune_trainers.offers(self._tuner, card, base_id, _options(picked))
        name = tune_trainers.picked(found, (picked or {}).get("trainer"))
        shown = _nothing(chosen) if not dataset_id and not card.rows else data_card(card)
        return Data(
            shown,
            preview(card.rows, self._blind(card.rows, request)),
            gr.Button(interactive=bool(card.rows)),
            gr.Button(interactive=bool(card.rows)),
            gr.Button(interactive=bool(card.rows) and (base_id is None or _ready(found, name))),
            tune_trainers.cards(found, name),
            self._form(name, base_id, card.method, _options(picked)),
            {"trainer": name, "options": _options(picked)},
        )

    def pick_trainer(
        self,
        dataset_id: str | None,
        chosen: Sequence[str] | None,
        request: gr.Request,
        method: str,
        reason: str,
        base_id: str | None,
        picked: Mapping[str, object],
        event: gr.EventData,
    ) -> Data:
        """Choose the trainer whose card was pressed."""
        wanted = {**(picked or {}), "trainer": str(event.trainer)}
        return self.show_data(dataset_id, chosen, request, method, reason, base_id, wanted)

    def set_options(
        self,
        dataset_id: str | None,
        chosen: Sequence[str] | None,
        request: gr.Request,
        method: str,
        reason: str,
        base_id: str | None,
        picked: Mapping[str, object],
        event: gr.EventData,
    ) -> Cards:
        """Keep what was typed into the form of a trainer, and plan anew."""
        options = {**_options(picked), str(picked.get("trainer")): tune_trainers.cleaned(event.options)}
        shown = self.show_data(dataset_id, chosen, request, method, reason, base_id, {**picked, "options": options})
        return Cards(shown.trainers, shown.train, shown.picked)

    def explain_form(self, name: str) -> tuple[str, gr.Button]:
        """Return what a form of training file is for."""
        return tune_files.explain(name)

    def download_rows(
        self,
        dataset_id: str | None,
        chosen: Sequence[str] | None = None,
        request: gr.Request = None,
        reason: str = "",
        form: str = "openai-chat",
    ) -> str:
        """Return the path of the training file, made now."""
        if not dataset_id and not chosen:
            raise TrainingError("Choose a dataset first, or votes to learn from.")
        rows = self._rows(form, dataset_id, chosen, reason, request)
        path = _download.place(files.form_of(form).file_name)
        path.write_bytes(files.write(form, rows))
        noted(self._services, "training.exported", detail={"format": form})
        return str(path)

    def download_lineage(
        self,
        dataset_id: str | None,
        chosen: Sequence[str] | None = None,
        request: gr.Request = None,
        reason: str = "",
        form: str = "openai-chat",
    ) -> str:
        """Return the path of the lineage of a training file's rows."""
        path = _download.place(f"pairloop-{files.form_of(form).name}-lineage.csv")
        path.write_bytes(files.lineage_csv(self._rows(form, dataset_id, chosen, reason, request)))
        return str(path)

    def start_training(
        self,
        dataset_id: str | None,
        base_id: str | None,
        chosen: Sequence[str] | None = None,
        request: gr.Request = None,
        method: str = "sft",
        reason: str = "",
        picked: Mapping[str, object] | None = None,
    ) -> Jobs:
        """Begin a job of the chosen trainer."""
        if not base_id or not (dataset_id or chosen):
            raise TrainingError("Choose what to learn from and the model to start from first.")
        card = self._card(dataset_id, chosen, method, reason, request)
        if not card.rows:
            raise TrainingError(NOTHING if card.method is Method.SFT else NO_PAIRS)
        trainer = str((picked or {}).get("trainer") or "embedded")
        settings = tune_trainers.settings_of(trainer, card.method, _options(picked), self._tuner, base_id)
        self._tuner.start(dataset_id or None, base_id, trainer=trainer, settings=settings, card=card)
        base, title = self._services.store.models.get(base_id).name, self._tuner.runner.trainer(trainer).title
        noted(self._services, "job.started", base, {"trainer": title})
        return self.show_jobs()

    def show_jobs(self, job_id: str | None = None) -> Jobs:
        """Return the jobs, newest first, with one of them in full: the one that was pressed, else the newest."""
        runner = self._tuner.runner
        runner.follow_left()
        jobs = runner.jobs()
        names = {model.id: model.name for model in self._services.registry.all()}
        counts = self._services.store.training.row_counts()
        rows = {job.id: counts.get(job.id, (0, 0))[0] for job in jobs}
        marked = {job_id: overridden for job_id, (_, overridden) in counts.items()}
        shown = tune_jobs.shown_job(jobs, job_id)
        running = any(job.state is JobState.RUNNING for job in jobs)
        titles = {trainer.name: trainer.title for trainer in runner.trainers}
        table = tune_jobs.table(jobs, names, rows, shown.id if shown else None, marked, titles)
        if shown is None:
            hidden = gr.Plot(None, visible=False), *(gr.Button(visible=False) for _ in range(3))
            return Jobs(table, "", *hidden, gr.Timer(active=False))
        events = runner.events(shown.id)
        plot = self._loss(shown, events, names)
        return Jobs(
            table,
            tune_jobs.card(shown, events, titles.get(shown.trainer, shown.trainer), marked.get(shown.id, 0)),
            gr.Plot(plot, visible=plot is not None),
            gr.Button(visible=shown.state is JobState.RUNNING and shown.trainer != BUILT_IN),
            gr.Button(visible=can_start_again(shown)),
            gr.Button(visible=shown.state is JobState.DONE),
            gr.Timer(active=running),
        )

    def pick_job(self, event: gr.EventData) -> str:
        """Return the job whose row was pressed."""
        return str(event.job)

    def cancel_job(self, job_id: str | None) -> Jobs:
        """Cancel the job that is shown."""
        job = tune_jobs.shown_job(self._tuner.jobs(), job_id)
        if job is None:
            raise TrainingError("There is no job to cancel.")
        self._tuner.runner.cancel(job.id)
        noted(self._services, "job.cancelled", self._services.store.models.get(job.base_model_id).name)
        return self.show_jobs(job_id)

    def start_again(self, job_id: str | None) -> Jobs:
        """Begin the job that is shown once more, with its rows."""
        job = tune_jobs.shown_job(self._tuner.jobs(), job_id)
        if job is None:
            raise TrainingError("There is no job to start again.")
        self._tuner.start_again(job.id)
        base = self._services.store.models.get(job.base_model_id).name
        noted(self._services, "job.started", base, {"trainer": self._tuner.runner.trainer(job.trainer).title})
        return self.show_jobs()

    def compare_with_parent(self, job_id: str | None = None) -> tuple[str, str]:
        """Return the model of a finished job, the chosen one or the newest, and its parent."""
        done = [job for job in self._tuner.jobs() if job.state is JobState.DONE]
        job = tune_jobs.shown_job(done, job_id)
        if job is None:
            raise TrainingError("No training job has finished yet: train a model first.")
        return str(job.model_id), job.base_model_id

    def open_comparison(self, list_id: str | None, job_id: str | None = None) -> new_comparison.Opened:
        """Open Compare on a new comparison of a tuned model with its parent."""
        return self._compare.open_with(*self.compare_with_parent(job_id), list_id)

    def _card(
        self, dataset_id: str | None, chosen: Sequence[str] | None, method: str, reason: str, request: gr.Request
    ) -> DataCard:
        kind = Method.DPO if method == Method.DPO else Method.SFT
        told = (reason or "").strip()
        if told:
            owner(self._services, request)
        given = []
        if chosen:
            desk, me = self._services.corrections, person(self._services, request)
            given = desk.pairs(chosen, me) if kind is Method.DPO else desk.corrections(chosen, me)
        return self._tuner.data_card(dataset_id or None, given, kind, told)

    def _rows(
        self, form: str, dataset_id: str | None, chosen: Sequence[str] | None, reason: str, request: gr.Request
    ) -> tuple[Row, ...]:
        rows = self._all_rows(form, dataset_id, chosen, reason, request)
        if blind := self._blind(rows, request):
            queries = (
                "1 query that you still judge" if len(blind) == 1 else f"{len(blind)} queries that you still judge"
            )
            raise TrainingError(
                f"This file would hold answers to {queries} blind on Compare, beside the names of their models. Finish there "
                "and open the results first, or let somebody else download it."
            )
        return rows

    def _blind(self, rows: Sequence[Row], request: gr.Request) -> frozenset[str]:
        """Return the queries of rows that this person still judges blind: who reads their answers here cannot any more."""
        if not rows or request is None:
            return frozenset()
        queries = {row.query_id: row.query for row in rows}
        return self._services.comparisons.judged_blind(queries, person(self._services, request))

    def _all_rows(
        self, form: str, dataset_id: str | None, chosen: Sequence[str] | None, reason: str, request: gr.Request
    ) -> tuple[Row, ...]:
        made_of = files.form_of(form).rows
        method = Method.DPO if made_of == files.PAIRS else Method.SFT
        rows = self._card(dataset_id, () if made_of == files.SINGLES else chosen, method, reason, request).rows
        if made_of != files.SINGLES:
            return rows
        wanted = tuple(replace(row, label=True) for row in rows)
        singles = self._services.corrections.singles(chosen, person(self._services, request)) if chosen else ()
        return (*wanted, *map(self._tuner.single, singles))

    def _form(self, name: str | None, base_id: str | None, method: Method, options: Mapping[str, Mapping]) -> str:
        if name is None:
            return ""
        offered = self._tuner.options(name, base_id)
        return tune_trainers.form(name, offered, method, options.get(name, {}), validation=name != BUILT_IN)

    def _loss(self, job: TrainingJob, events: Sequence, names: Mapping[str, str]) -> PlotData | None:
        name = names.get(job.model_id) or f"the job that starts from {names.get(job.base_model_id, '')}"
        colour = charts.colours(list(names.values())).get(name, charts.MODELS[0])
        return tune_jobs.curve(job, events, name, colour)


def _options(picked: Mapping[str, object] | None) -> dict[str, Mapping[str, object]]:
    found = (picked or {}).get("options")
    return dict(found) if isinstance(found, Mapping) else {}


def _ready(found: Sequence[tune_trainers.Offer], name: str | None) -> bool:
    return any(offer.ready for offer in found if offer.name == name)


def _nothing(chosen: Sequence[str] | None) -> str:
    text = "Submit reviewed answers on Edit. They become the rows of a training file here."
    if chosen:
        text += " The chosen votes hold nothing of this kind."
    return _html.empty("No dataset yet", text)
