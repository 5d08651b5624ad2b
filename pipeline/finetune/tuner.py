"""From submitted responses, and corrections written in votes, to training files and tuned models."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.annotation.values import is_answered
from pipeline.corrections import Correction
from pipeline.errors import PipelineError, TrainingError
from pipeline.export import Problem, chat_row, chat_tokens, to_chat_jsonl, validate_chat_jsonl
from pipeline.finetune.embedded import TrainedWeights, TrainingExample, train
from pipeline.generation import Generation
from pipeline.models.extractive import ExtractiveWeights
from pipeline.naming import free_name
from pipeline.prompts import Template, get_template, render_messages
from pipeline.records import Context, JobState, Model, Record, Response, ResponseStatus, Split, new_id
from pipeline.retrieval import LexicalIndex
from pipeline.store import Store
from pipeline.store.rows import now
from pipeline.store.training import INTERRUPTED, TrainingJob, TrainingRow


@dataclass(frozen=True, slots=True)
class Row:
    """One row of training data as chat messages: a submitted answer to a train query, or a correction out of a vote.

    ``suggestion`` is the answer that was reviewed; a correction has none.
    """

    query_id: str
    query: str
    contexts: tuple[Context, ...]
    answer: str
    messages: Sequence[Mapping[str, str]]
    suggestion: str | None = None
    response_id: str | None = None
    vote_id: str | None = None


@dataclass(frozen=True, slots=True)
class DataCard:
    """What a dataset gives for training. Counts of responses that are left out say why they are.

    ``corrections`` of the rows were written in votes, on ``barred`` test queries.
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


class Tuner:
    """Training data of datasets, training jobs, and the models that come out of them."""

    def __init__(self, store: Store, index: LexicalIndex, generation: Generation) -> None:
        self._store = store
        self._index = index
        self._generation = generation
        self._naming = threading.Lock()

    def data_card(self, dataset_id: str, corrections: Sequence[Correction] = ()) -> DataCard:
        """Return a dataset's training rows, and those of corrections, with their counts and checks.

        Raises:
            TrainingError: the dataset was not made of a run.
        """
        dataset = self._store.datasets.get(dataset_id)
        if dataset.run_id is None:
            raise TrainingError(
                "This dataset was not made of a run: its records have no query, contexts and prompt to train on."
            )
        template, question = get_template(dataset.template), dataset.settings.answer_question
        records = {record.id: record for record in self._store.datasets.records(dataset_id)}
        responses = self._store.responses.of_dataset(dataset_id)
        submitted = [response for response in responses if response.status is ResponseStatus.SUBMITTED]
        train_side = [r for r in submitted if records[r.record_id].split is Split.TRAIN]
        # The question may have been made optional; who left it empty gave nothing to train on.
        answered = [r for r in train_side if is_answered(r.values.get(question))]
        reviewed = [_row(records[r.record_id], r, template, question) for r in answered]
        rows = (*reviewed, *map(_corrected, corrections))
        return DataCard(
            rows=rows,
            queries=len({row.query_id for row in rows}),
            tokens=sum(chat_tokens(row.messages) for row in rows),
            unchanged=sum(row.answer.split() == row.suggestion.split() for row in rows if row.suggestion is not None),
            drafts=sum(response.status is ResponseStatus.DRAFT for response in responses),
            discarded=sum(response.status is ResponseStatus.DISCARDED for response in responses),
            test_rows=len(submitted) - len(train_side),
            corrections=len(corrections),
            barred=len({correction.query_id for correction in corrections if correction.is_test}),
            problems=tuple(validate_chat_jsonl(_jsonl(rows).splitlines())) if rows else (),
        )

    def chat_jsonl(self, dataset_id: str, corrections: Sequence[Correction] = ()) -> str:
        """Return a dataset's training rows in OpenAI's chat format, one JSON object a line.

        Raises:
            TrainingError: nothing was submitted yet.
        """
        rows = self.data_card(dataset_id, corrections).rows
        if not rows:
            raise TrainingError("No answer to a train query was submitted yet. Review some records on Edit first.")
        return _jsonl(rows)

    def bases(self) -> list[Model]:
        """Return the models that the embedded trainer can start from."""
        return [model for model in self._store.models.all() if model.provider == "extractive"]

    def start(self, dataset_id: str, base_model_id: str, corrections: Sequence[Correction] = ()) -> str:
        """Store a job of the embedded trainer with its rows and run it in the background; return its id.

        Raises:
            TrainingError: there is nothing to train on, or the base is no embedded model.
        """
        base = self._store.models.get(base_model_id)
        if base.provider != "extractive":
            raise TrainingError(f"The embedded trainer tunes the embedded answerer only, not {base.name}.")
        rows = self.data_card(dataset_id, corrections).rows
        if not rows:
            raise TrainingError("No answer to a train query was submitted yet. Review some records on Edit first.")
        stored = [TrainingRow(row.response_id, row.query_id, row.messages, row.vote_id) for row in rows]
        job_id = self._store.training.start("embedded", dataset_id, base.id, stored)
        self._generation.background(self._run(job_id, base, rows))
        return job_id

    def jobs(self) -> list[TrainingJob]:
        """Return all jobs, newest first."""
        return self._store.training.jobs()

    async def _run(self, job_id: str, base: Model, rows: tuple[Row, ...]) -> None:
        state, error = JobState.FAILED, "An unexpected error ended this job; the log of the app says which."
        try:
            await asyncio.to_thread(self._train, job_id, base, rows)
            error = ""
        except PipelineError as failure:
            error = str(failure)
        except asyncio.CancelledError:
            state, error = JobState.INTERRUPTED, INTERRUPTED
            raise
        finally:
            if error:
                self._store.training.finish(job_id, state, error=error)

    def _train(self, job_id: str, base: Model, rows: tuple[Row, ...]) -> None:
        examples = [TrainingExample(row.query, row.contexts, row.answer) for row in rows]
        weights = ExtractiveWeights.from_config(base.config)
        trained = train(examples, weights, self._index.terms, self._index.idf)
        # Two jobs that end at the same time must not take the same name.
        with self._naming:
            taken = {model.name for model in self._store.models.all()}
            model = Model(
                id=new_id(),
                name=free_name("extractive-tuned-1", taken, "extractive-tuned-{n}"),
                provider=base.provider,
                config=trained.weights.to_config(),
                template=base.template,
                parent_id=base.id,
                job_id=job_id,
                created_at=now(),
            )
            self._store.training.finish_with_model(job_id, model, _metrics(trained))


def _row(record: Record, response: Response, template: Template, question: str) -> Row:
    messages = render_messages(template, record.query, record.contexts)
    answer = str(response.values[question])
    told = (str(record.query_id), record.query, record.contexts, answer, chat_row(messages, answer)["messages"])
    return Row(*told, suggestion=record.completion, response_id=response.id)


def _corrected(correction: Correction) -> Row:
    told = (correction.query_id, correction.query, correction.contexts, correction.answer, correction.messages)
    return Row(*told, vote_id=correction.vote_id)


def _jsonl(rows: tuple[Row, ...]) -> str:
    return to_chat_jsonl({"messages": row.messages} for row in rows)


def _metrics(trained: TrainedWeights) -> dict[str, object]:
    names = ("kept", "not_kept", "accuracy", "base_accuracy", "refusals", "skipped")
    return {"losses": list(trained.losses), **{name: getattr(trained, name) for name in names}}
