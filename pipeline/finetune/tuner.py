"""From submitted responses, and what votes give, to training rows with their lineage, and to the jobs that train on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from pipeline.annotation.values import is_answered
from pipeline.cleaning import clean, normal
from pipeline.corrections import Correction
from pipeline.errors import TrainingError
from pipeline.export import Problem, chat_row, to_chat_jsonl
from pipeline.finetune.checks import RowChecks, check_rows
from pipeline.finetune.jobs import JobRunner
from pipeline.finetune.rows import Method, Row, TrainingData, split_by_query
from pipeline.finetune.trainers import Option, Plan, Settings, check_options, number
from pipeline.hub.publish import annotators
from pipeline.prompts import Template, render_messages
from pipeline.records import JobState, Model, Record, Response, ResponseStatus, Split
from pipeline.store import Store
from pipeline.store.datasets import Dataset
from pipeline.store.lineage import LinedRow
from pipeline.store.schema import datasets, members, models, queries, records, responses, runs, suggestions
from pipeline.store.training import TrainingJob
from pipeline.vote_training import context_of

NOTHING = "No answer to a train query was submitted yet. Review some records on Edit first."
NO_PAIRS = (
    "There is no preference pair yet: a pair is a reviewed answer that changed the suggestion, or a vote that preferred one "
    "answer. Review records on Edit, or choose votes to learn from."
)
# The tables that a data card is made of.
_READ = (datasets, records, suggestions, responses, queries, runs, models, members)
_SHARE = 0.1
_FEWEST_FOR_VALIDATION = 10
_LONGEST_REASON = 500
_HELD_OUT = (
    "Queries of this job ({}) have become test queries since, in another list, and must not be trained on. Begin a new job "
    "above: it leaves them out."
)
# More rows than any job has.
_ALL = 10**9


@dataclass(frozen=True, slots=True)
class DataCard:
    """What there is to train on. Counts of responses that are left out say why they are.

    ``corrections`` of the rows came out of votes. ``barred`` test queries are among the rows: they are left out when the
    tuned model is compared. ``overridden`` of the rows answer test queries of the dataset, let in by an owner's ``override``.
    """

    rows: tuple[Row, ...]
    queries: int
    tokens: int
    unchanged: int
    drafts: int
    discarded: int
    test_rows: int
    corrections: int
    barred: int
    problems: tuple[Problem, ...]
    checks: RowChecks
    method: Method = Method.SFT
    duplicates: int = 0
    overridden: int = 0
    override: str = ""


class Tuner:
    """Training data of datasets and votes, and the training jobs."""

    def __init__(self, store: Store, runner: JobRunner) -> None:
        self._store = store
        self.runner = runner
        # The card that was made last, with what it was made of: the screen asks for the same one at every choice.
        self._made: tuple[object, DataCard] | None = None

    def data_card(
        self,
        dataset_id: str | None,
        corrections: Sequence[Correction] = (),
        method: Method = Method.SFT,
        override: str = "",
    ) -> DataCard:
        """Return the training rows of a dataset, if one is given, and of what votes give, with their counts and checks.

        For pairs (:attr:`Method.DPO`) a dataset gives the reviewed answers that changed the suggestion, over the suggestion.
        ``override`` is the reason to train on answers to test queries too; without one they are left out.

        Raises:
            TrainingError: the dataset was not made of a run.
        """
        reason = clean(override).strip()[:_LONGEST_REASON]
        made_of = (dataset_id, tuple(corrections), method, reason, self._store.database.version(*_READ))
        # Looked at once: the card of somebody else's choice may take its place at any moment.
        made = self._made
        if made is None or made[0] != made_of:
            made = self._made = (made_of, self._card(dataset_id, corrections, method, reason))
        return made[1]

    def _card(self, dataset_id: str | None, corrections: Sequence[Correction], method: Method, reason: str) -> DataCard:
        answers, reviewed, test_rows = [], [], 0
        if dataset_id:
            dataset = self._dataset(dataset_id)
            answers = self._store.responses.of_dataset(dataset_id)
            given = self._reviewed(dataset, answers)
            test_rows = 0 if reason else sum(row.is_test for row in given)
            reviewed = [row for row in given if not row.is_test or (reason and row.answer.strip())]
        if method is Method.DPO:
            reviewed = [pair for row in reviewed if (pair := _changed(row)) is not None]
        rows = (*reviewed, *(_of_vote(item) for item in corrections))
        checks = check_rows(rows)
        tests = self._tests()
        return DataCard(
            rows=rows,
            queries=len({row.query_id for row in rows}),
            tokens=checks.total,
            unchanged=sum(row.answer.split() == row.suggestion.split() for row in rows if row.suggestion is not None),
            drafts=sum(response.status is ResponseStatus.DRAFT for response in answers),
            discarded=sum(response.status is ResponseStatus.DISCARDED for response in answers),
            test_rows=test_rows,
            corrections=len(corrections),
            barred=len({normal(row.query) for row in rows if row.is_test or normal(row.query) in tests}),
            problems=checks.problems,
            checks=checks,
            method=method,
            duplicates=checks.duplicates,
            overridden=sum(row.overridden for row in rows),
            override=reason if any(row.overridden for row in rows) else "",
        )

    def chat_jsonl(self, dataset_id: str | None, corrections: Sequence[Correction] = ()) -> str:
        """Return a dataset's training rows in OpenAI's chat format, one JSON object a line.

        Raises:
            TrainingError: nothing was submitted yet.
        """
        rows = self.data_card(dataset_id, corrections).rows
        if not rows:
            raise TrainingError(NOTHING)
        return to_chat_jsonl({"messages": row.messages} for row in rows)

    def single(self, told: Mapping[str, Any]) -> Row:
        """Return a single answer out of a vote, with whether it is wanted, as a row for a training file."""
        answer = told["completion"][-1]["content"]
        return Row(
            query_id=told["query_id"],
            query=told["query"],
            contexts=tuple(context_of(context) for context in told["contexts"]),
            answer=answer,
            messages=[*told["prompt"], *told["completion"]],
            vote_id=told["vote_id"],
            is_test=told["split"] == Split.TEST,
            annotator=told["annotator"],
            model=told["model"] or "",
            source=told["source"],
            label=told["label"],
        )

    def bases(self, trainer: str = "embedded") -> list[Model]:
        """Return the models that a trainer can start from, oldest first; those that are not offered any more are left out."""
        able = self.runner.trainer(trainer)
        return [model for model in self._store.models.all() if model.retired_at is None and able.can_tune(model)]

    def options(self, trainer: str, base_id: str | None) -> Sequence[Option]:
        """Return what can be chosen for a trainer."""
        return self.runner.trainer(trainer).options(self._store.models.get(base_id) if base_id else None)

    def training_data(self, card: DataCard, settings: Settings) -> TrainingData:
        """Return the rows of a card, divided by query as the settings ask for: ``validation_share``, 10 % by default.

        Of fewer than 10 queries none is held back, unless the settings say how many.
        """
        return _divided(card.rows, card.method, card.override, settings)

    def plan(self, trainer: str, card: DataCard, base_id: str, settings: Settings) -> Plan:
        """Return what a job would take. A trainer that cannot start from this base says so in the plan."""
        able, base = self.runner.trainer(trainer), self._store.models.get(base_id)
        check_options(able.options(base), settings, card.method)
        plan = able.plan(self.training_data(card, _held_back(trainer, settings)), base, settings)
        return replace(plan, unavailable=plan.unavailable or _unusable(card, able.methods))

    def start(
        self,
        dataset_id: str | None,
        base_model_id: str,
        corrections: Sequence[Correction] = (),
        *,
        trainer: str = "embedded",
        settings: Settings | None = None,
        card: DataCard | None = None,
    ) -> str:
        """Store a job with its rows and run it in the background; return its id. ``card`` is what is trained on, if made.

        Raises:
            TrainingError: there is nothing to train on, or the trainer cannot train on it or start from this base.
        """
        chosen = _held_back(trainer, settings or {})
        able, base = self.runner.trainer(trainer), self._store.models.get(base_model_id)
        if not able.can_tune(base):
            raise TrainingError(f"The {able.title.lower()} trainer cannot start from this model, not {base.name}.")
        card = card or self.data_card(dataset_id, corrections)
        if not card.rows:
            raise TrainingError(NOTHING if card.method is Method.SFT else NO_PAIRS)
        check_options(able.options(base), chosen, card.method)
        if why := _unusable(card, able.methods):
            raise TrainingError(why)
        return self.runner.start(trainer, self.training_data(card, chosen), base, chosen, dataset_id)

    def start_again(self, job_id: str) -> str:
        """Begin another job with the rows, the base and the settings of one that ended without a model; return its id.

        Raises:
            TrainingError: it goes on or has given its model, its trainer cannot begin now, or a query of it is a test query now.
        """
        job = self.runner.job(job_id)
        if not can_start_again(job):
            raise TrainingError(f"This job is {job.state}: there is nothing to start again.")
        kept = dict(job.settings or {})
        method, override = Method(str(kept.pop("method", Method.SFT))), str(kept.pop("override", ""))
        able, base = self.runner.trainer(job.trainer), self._store.models.get(job.base_model_id)
        check_options(able.options(base), kept, method)
        # Those that were held back came last: the same queries are held back again.
        rows = [self._kept_row(row) for row in self._store.lineage.rows_of(job_id, "", 0, _ALL)[1]]
        tests = self._tests()
        held_out = {normal(row.query) for row in rows if row.response_id and not row.overridden} & tests
        if held_out:
            raise TrainingError(_HELD_OUT.format(len(held_out)))
        data = _divided(rows, method, override, kept)
        return self.runner.start(job.trainer, data, base, kept, job.dataset_id)

    def _kept_row(self, row: LinedRow) -> Row:
        return Row(
            query_id=row.query_id,
            query=row.query,
            contexts=self._store.lineage.contexts_of(row),
            answer=str(row.messages[-1]["content"]),
            messages=row.messages,
            response_id=row.response_id,
            vote_id=row.vote_id,
            rejected=row.rejected,
            is_test=row.split is Split.TEST,
            overridden=row.overridden,
        )

    def jobs(self) -> list[TrainingJob]:
        """Return all jobs, newest first."""
        return self.runner.jobs()

    def _dataset(self, dataset_id: str) -> Dataset:
        dataset = self._store.datasets.get(dataset_id)
        if dataset.run_id is None:
            raise TrainingError(
                "This dataset was not made of a run: its records have no query, contexts and prompt to train on."
            )
        return dataset

    def _tests(self) -> set[str]:
        return {normal(text) for text in self._store.queries.test_texts()}

    def _reviewed(self, dataset: Dataset, given: Sequence[Response]) -> list[Row]:
        """Return the submitted answers of a dataset; those to test queries are marked.

        A query that was reviewed for training, and that some other list has held back since, is a test query too.
        """
        tests = self._tests()
        template, question = self._store.templates.find(dataset.template), dataset.settings.answer_question
        asked = {record.id: record for record in self._store.datasets.records(dataset.id)}
        names = annotators(self._store, self._store.values.pseudonym_salt())
        model = self._store.models.get(self._store.runs.get(str(dataset.run_id)).model_id).name
        submitted = (item for item in given if item.status is ResponseStatus.SUBMITTED)
        # The question may have been made optional; who left it empty gave nothing to train on.
        answered = (
            item
            for item in submitted
            if asked[item.record_id].split is Split.TEST or is_answered(item.values.get(question))
        )
        rows = (_row(asked[item.record_id], item, template, question, tests) for item in answered)
        people = {response.id: names[response.annotator_id] for response in given}
        return [replace(row, annotator=people[str(row.response_id)], model=model) for row in rows]


def can_start_again(job: TrainingJob) -> bool:
    """Say whether a job has ended without a model, so that it can be begun again with its rows."""
    return job.state in (JobState.INTERRUPTED, JobState.FAILED, JobState.CANCELLED) and job.model_id is None


def _divided(rows: Sequence[Row], method: Method, override: str, settings: Settings) -> TrainingData:
    few = len({row.query_id for row in rows}) < _FEWEST_FOR_VALIDATION
    share = number(settings, "validation_share", 0.0 if few else _SHARE) or 0.0
    if not 0 <= share <= 0.5:
        raise TrainingError("Hold back between 0 and half of the queries for validation.")
    train, validation = split_by_query(rows, share)
    return TrainingData(method, train, validation, override)


def _held_back(trainer: str, settings: Settings) -> dict[str, object]:
    """Return the settings of a job. The embedded trainer has no validation loss to show: there every row teaches."""
    return {**settings, **({"validation_share": 0} if trainer == "embedded" else {})}


def _unusable(card: DataCard, methods: Sequence[Method]) -> str:
    if card.method not in methods:
        return (
            "This trainer learns from answers, not from pairs."
            if card.method is Method.DPO
            else "It learns from pairs."
        )
    if card.problems:
        return f"Row {card.problems[0].line} cannot be trained on: {card.problems[0].message}"
    return ""


def _row(record: Record, response: Response, template: Template, question: str, tests: Set[str]) -> Row:
    messages = render_messages(template, record.query, record.contexts)
    answer = str(response.values.get(question) or "")
    is_test = record.split is not Split.TRAIN or normal(record.query) in tests
    return Row(
        query_id=str(record.query_id),
        query=record.query,
        contexts=record.contexts,
        answer=answer,
        messages=chat_row(messages, answer)["messages"],
        suggestion=record.completion,
        response_id=response.id,
        is_test=is_test,
        overridden=is_test,
        record_id=record.id,
        guidelines_version=response.guidelines_version,
        source="review",
    )


def _changed(row: Row) -> Row | None:
    """Return a reviewed answer as a pair over the suggestion, or None where the suggestion was kept."""
    if not row.suggestion or row.answer.split() == row.suggestion.split():
        return None
    return replace(row, rejected=row.suggestion)


def _of_vote(item: Correction) -> Row:
    return Row(
        query_id=item.query_id,
        query=item.query,
        contexts=item.contexts,
        answer=item.answer,
        messages=item.messages,
        vote_id=item.vote_id,
        rejected=item.rejected,
        is_test=item.is_test,
        annotator=item.annotator,
        model=item.model,
        source=item.source,
    )
