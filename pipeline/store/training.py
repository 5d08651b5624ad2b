"""Training jobs and the rows they were given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from pipeline.records import JobState, Model, new_id
from pipeline.store.engine import Database
from pipeline.store.rows import change, change_all, now, put, written_by
from pipeline.store.schema import models, training_jobs, training_rows

INTERRUPTED = "The app was stopped while this job ran. Start it again."


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One row of training data with its lineage: the response or the vote it came from, and the messages as they were.

    The messages end with the answer to learn; a row of kind ``preference`` also has the answer that was ``rejected``.
    """

    response_id: str | None
    query_id: str
    messages: Sequence[Mapping[str, str]]
    vote_id: str | None = None
    kind: str = "sft"
    rejected: str | None = None
    overridden: bool = False


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A training job. ``metrics`` holds what the trainer reported, the loss per step among it.

    ``external_id`` is what the provider calls the job; ``settings`` is what was chosen, ``plan`` what it was said to take.
    """

    id: str
    trainer: str
    dataset_id: str | None
    base_model_id: str
    state: JobState
    metrics: Mapping[str, object]
    error: str
    model_id: str | None
    created_at: float
    finished_at: float | None
    external_id: str | None = None
    settings: Mapping[str, object] | None = None
    plan: Mapping[str, object] | None = None


class TrainingStore:
    """Rows of ``training_jobs`` and ``training_rows``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def start(self, trainer: str, dataset_id: str, base_model_id: str, rows: Sequence[TrainingRow]) -> str:
        """Store a new job with its rows, before it begins; return its id."""
        job_id = new_id()
        job = {
            "id": job_id,
            "trainer": trainer,
            "dataset_id": dataset_id,
            "base_model_id": base_model_id,
            "state": JobState.RUNNING.value,
            "metrics": {},
            "error": "",
            "created_at": now(),
        }
        with self._db.write() as connection:
            put(connection, training_jobs, [job])
            put(connection, training_rows, [_row(job_id, position, row) for position, row in enumerate(rows)])
        return job_id

    def finish(self, job_id: str, state: JobState, **values: object) -> None:
        """Store how a job ended without a model: ``metrics`` or ``error``."""
        with self._db.write() as connection:
            change(connection, training_jobs, job_id, state=state.value, finished_at=now(), **values)

    def finish_with_model(self, job_id: str, model: Model, metrics: Mapping[str, object]) -> None:
        """Store a trained model and the end of its job in one transaction: neither is there without the other.

        The app may have been told to stop meanwhile, which noted the job as interrupted: it is done all the same.
        """
        row = {name: getattr(model, name) for name in Model.__slots__}
        ended = {"state": JobState.DONE.value, "error": "", "finished_at": now()}
        with self._db.write() as connection:
            put(connection, models, [{**row, "config": dict(model.config)}])
            change(connection, training_jobs, job_id, **ended, model_id=model.id, metrics=dict(metrics))

    def interrupt_all(self, by: str | None = None) -> None:
        """Mark the jobs that a stopped process left behind: the replica ``by``, or whichever it was."""
        left = (training_jobs.c.state == JobState.RUNNING.value) & written_by(training_jobs, by)
        values = {"state": JobState.INTERRUPTED.value, "error": INTERRUPTED, "finished_at": now()}
        with self._db.write() as connection:
            change_all(connection, training_jobs, left, **values)

    def jobs(self) -> list[TrainingJob]:
        """Return all jobs, newest first."""
        with self._db.read() as connection:
            rows = connection.execute(select(training_jobs).order_by(training_jobs.c.id.desc())).mappings()
            return [TrainingJob(**{**row, "state": JobState(row["state"])}) for row in rows]

    def rows(self, job_id: str) -> list[TrainingRow]:
        """Return the rows of a job in their order."""
        query = select(training_rows).where(training_rows.c.job_id == job_id).order_by(training_rows.c.position)
        with self._db.read() as connection:
            rows = connection.execute(query).mappings()
            return [_training_row(row) for row in rows]


def _row(job_id: str, position: int, row: TrainingRow) -> dict[str, object]:
    return {
        "id": new_id(),
        "job_id": job_id,
        "position": position,
        "response_id": row.response_id,
        "query_id": row.query_id,
        "messages": [dict(message) for message in row.messages],
        "vote_id": row.vote_id,
        "kind": row.kind,
        "rejected": row.rejected,
        "overridden": row.overridden,
    }


def _training_row(row) -> TrainingRow:
    told = (row["response_id"], row["query_id"], row["messages"], row["vote_id"])
    return TrainingRow(*told, row["kind"] or "sft", row["rejected"], bool(row["overridden"]))
