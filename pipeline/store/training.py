"""Training jobs and the rows they were given."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, case, func, select

from pipeline.events import happened
from pipeline.records import JobState, Model, id_of, new_id
from pipeline.store.engine import Database
from pipeline.store.rows import change, change_all, found, now, put, written_by
from pipeline.store.schema import models, training_events, training_jobs, training_rows

INTERRUPTED = "The app was stopped while this job ran. Start it again."
LEFT = (
    "The copy of the app that trained this model ended without a word, and what it had trained is on its disk. Start it again: "
    "its rows are kept. Should that copy come back with its disk, its model comes too."
)
# Trainers whose jobs run on while the app is stopped: it follows them again when it is back. Any replica can follow those of
# a provider.
AT_PROVIDERS = ("openai", "hf_jobs")
OUTLIVING = (*AT_PROVIDERS, "local")
# SQLite takes a bounded number of variables in one statement.
_BATCH = 500


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


@dataclass(frozen=True, slots=True)
class TrainingEvent:
    """Something that a trainer reported: a ``state``, a line of its ``log``, or the ``loss`` of a ``step``.

    ``text`` is in the trainer's own words; of a loss it is the name of its curve, for example "train" or "validation".
    ``key`` is the same for the same event of a job, however often it is reported.
    """

    kind: str
    text: str
    key: str
    at: float = 0.0
    step: int | None = None
    value: float | None = None


class TrainingStore:
    """Rows of ``training_jobs``, ``training_rows`` and ``training_events``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def start(
        self,
        trainer: str,
        dataset_id: str | None,
        base_model_id: str,
        rows: Sequence[TrainingRow],
        settings: Mapping[str, object] | None = None,
        plan: Mapping[str, object] | None = None,
    ) -> str:
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
            "settings": dict(settings) if settings is not None else None,
            "plan": dict(plan) if plan is not None else None,
        }
        with self._db.write() as connection:
            put(connection, training_jobs, [job])
            put(connection, training_rows, [_row(job_id, position, row) for position, row in enumerate(rows)])
        return job_id

    def began(self, job_id: str, external_id: str) -> None:
        """Store what the trainer calls a job."""
        with self._db.write() as connection:
            change(connection, training_jobs, job_id, external_id=external_id)

    def add_events(self, job_id: str, events: Sequence[TrainingEvent]) -> int:
        """Store what was reported of a job and is not here yet; return how many that were."""
        rows, moment = {}, now()
        for position, event in enumerate(events):
            row_id = id_of("training event", job_id, event.kind, event.key)
            rows[row_id] = {
                "id": row_id,
                "job_id": job_id,
                # What is reported at once stays in its order.
                "at": event.at or moment + position * 1e-6,
                "kind": event.kind,
                "text": event.text,
                "step": event.step,
                "value": event.value,
            }
        ids, known = list(rows), set()
        with self._db.write() as connection:
            for start in range(0, len(ids), _BATCH):
                batch = training_events.c.id.in_(ids[start : start + _BATCH])
                known |= set(connection.scalars(select(training_events.c.id).where(batch)))
            put(connection, training_events, [row for row_id, row in rows.items() if row_id not in known])
        return len(rows) - len(known)

    def events(self, job_id: str) -> list[TrainingEvent]:
        """Return what was reported of a job, in the order in which it happened."""
        order = (training_events.c.at, training_events.c.step.nulls_first(), training_events.c.id)
        query = select(training_events).where(training_events.c.job_id == job_id).order_by(*order)
        with self._db.read() as connection:
            rows = connection.execute(query).mappings()
            return [
                TrainingEvent(row["kind"], row["text"], row["id"], row["at"], row["step"], row["value"]) for row in rows
            ]

    def finish(
        self, job_id: str, state: JobState, over: Collection[JobState] = (JobState.RUNNING,), **values: object
    ) -> bool:
        """Store how a job ended without a model, with ``metrics`` or ``error``; return whether it was that which ended it.

        It was not where the job is in none of the states ``over``: whoever follows it here or elsewhere was quicker, and a job
        that is done stays so.
        """
        with self._db.write() as connection:
            if not _is_in(connection, job_id, over):
                return False
            change(connection, training_jobs, job_id, state=state.value, finished_at=now(), **values)
        happened("training ended", job=job_id, state=state.value)
        return True

    def finish_with_model(self, job_id: str, model: Model, metrics: Mapping[str, object]) -> bool:
        """Store a trained model and the end of its job in one transaction: neither is there without the other.

        The app may have been told to stop meanwhile, which noted the job as interrupted: it is done all the same. Return False,
        with nothing stored, where it is done already: another replica has followed the same job of a provider.
        """
        row = {name: getattr(model, name) for name in Model.__slots__}
        ended = {"state": JobState.DONE.value, "error": "", "finished_at": now()}
        with self._db.write() as connection:
            if _is_in(connection, job_id, (JobState.DONE,)):
                return False
            # Another store may have followed it too, whose model came with the files of the dataset repo before its job.
            if connection.scalar(select(models.c.id).where(models.c.id == model.id)) is None:
                put(connection, models, [{**row, "config": dict(model.config)}])
            change(connection, training_jobs, job_id, **ended, model_id=model.id, metrics=dict(metrics))
        happened("training ended", job=job_id, state=JobState.DONE.value)
        return True

    def interrupt_all(self, by: str | None = None) -> None:
        """Mark the jobs that a stopped process left behind: the replica ``by``, or whichever it was.

        Those that run at a provider go on, and are followed by this replica from now on; those that outlive the app on their
        own machine go on there, if they do, where only that machine can follow them.
        """
        left = (training_jobs.c.state == JobState.RUNNING.value) & written_by(training_jobs, by)
        elsewhere = training_jobs.c.trainer.in_(OUTLIVING)
        ended = {"state": JobState.INTERRUPTED.value, "finished_at": now()}
        with self._db.write() as connection:
            change_all(connection, training_jobs, left & ~elsewhere, **ended, error=INTERRUPTED)
            if by != self._db.writer.replica:
                at_providers = training_jobs.c.trainer.in_(AT_PROVIDERS)
                change_all(connection, training_jobs, left & at_providers, error="")
                change_all(connection, training_jobs, left & elsewhere & ~at_providers, **ended, error=LEFT)

    def go_on(self, job_id: str) -> None:
        """Store that a job which another replica took for left behind runs on here; nothing where it was not that."""
        left = (training_jobs.c.id == job_id) & (training_jobs.c.state == JobState.INTERRUPTED.value)
        with self._db.write() as connection:
            values = {"state": JobState.RUNNING.value, "error": "", "finished_at": None}
            change_all(connection, training_jobs, left & (training_jobs.c.error == LEFT), **values)

    def left(self) -> list[TrainingJob]:
        """Return the jobs that were taken for left behind, oldest first: they may run on at whoever began them."""
        left = (training_jobs.c.state == JobState.INTERRUPTED.value) & (training_jobs.c.error == LEFT)
        with self._db.read() as connection:
            rows = connection.execute(select(training_jobs).where(left).order_by(training_jobs.c.id)).mappings()
            return [_job(row) for row in rows]

    def running(self) -> list[TrainingJob]:
        """Return the jobs that this replica follows, oldest first."""
        left = (training_jobs.c.state == JobState.RUNNING.value) & written_by(training_jobs, self._db.writer.replica)
        with self._db.read() as connection:
            rows = connection.execute(select(training_jobs).where(left).order_by(training_jobs.c.id)).mappings()
            return [_job(row) for row in rows]

    def job(self, job_id: str) -> TrainingJob:
        """Return one job.

        Raises:
            NotFoundError: there is no such job.
        """
        with self._db.read() as connection:
            row = connection.execute(select(training_jobs).where(training_jobs.c.id == job_id)).mappings().first()
        return _job(found(row, "training job"))

    def row_counts(self) -> dict[str, tuple[int, int]]:
        """Return for each job how many rows it has, and how many of them an owner let in against the rule."""
        overridden = func.sum(case((training_rows.c.overridden.is_(True), 1), else_=0))
        query = select(training_rows.c.job_id, func.count(), overridden).group_by(training_rows.c.job_id)
        with self._db.read() as connection:
            return {job_id: (count, int(marked)) for job_id, count, marked in connection.execute(query)}

    def queries_of(self, job_ids: Sequence[str]) -> set[str]:
        """Return the ids of the queries that jobs were given."""
        query = select(training_rows.c.query_id).distinct().where(training_rows.c.job_id.in_(list(job_ids)))
        with self._db.read() as connection:
            return set(connection.scalars(query))

    def jobs(self) -> list[TrainingJob]:
        """Return all jobs, newest first."""
        with self._db.read() as connection:
            rows = connection.execute(select(training_jobs).order_by(training_jobs.c.id.desc())).mappings()
            return [_job(row) for row in rows]

    def rows(self, job_id: str) -> list[TrainingRow]:
        """Return the rows of a job in their order."""
        query = select(training_rows).where(training_rows.c.job_id == job_id).order_by(training_rows.c.position)
        with self._db.read() as connection:
            rows = connection.execute(query).mappings()
            return [_training_row(row) for row in rows]


def _is_in(connection: Connection, job_id: str, states: Collection[JobState]) -> bool:
    state = connection.scalar(select(training_jobs.c.state).where(training_jobs.c.id == job_id))
    return JobState(found(state, "training job")) in states


def _job(row) -> TrainingJob:
    return TrainingJob(**{**row, "state": JobState(row["state"])})


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
