"""Where training rows came from and what became of them: between jobs, models, responses, votes and runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Select, and_, case, func, or_, select

from pipeline.records import Context, JobState, Split
from pipeline.store.engine import Database
from pipeline.store.rows import contexts_from_json, found
from pipeline.store.schema import (
    comparisons,
    completions,
    datasets,
    queries,
    query_sets,
    records,
    responses,
    retrievals,
    runs,
    training_jobs,
    training_rows,
    votes,
)


@dataclass(frozen=True, slots=True)
class RunUse:
    """What one run of a model took. Sums are None where the endpoint or the registry does not tell them."""

    id: str
    query_set_id: str
    query_set: str
    split: Split | None
    state: JobState
    total: int
    answered: int
    failed: int
    tokens: int | None
    cost: float | None
    seconds: float
    created_at: float


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What the rows of a job are: counts, and what they came from.

    ``guidelines`` are names of datasets with the versions of their guidelines that the responses were given under.
    """

    rows: int
    queries: int
    test_queries: int
    reviews: int
    corrections: int
    preferences: int
    overridden: int
    annotators: frozenset[str]
    guidelines: tuple[tuple[str, int | None, int], ...]


@dataclass(frozen=True, slots=True)
class LinedRow:
    """A training row with what is behind it: a response to a record, or a vote in a comparison set."""

    id: str
    job_id: str
    position: int
    kind: str
    query_id: str
    query: str
    split: Split
    overridden: bool
    messages: Sequence[Mapping[str, str]]
    rejected: str | None
    response_id: str | None
    record_id: str | None
    dataset: str | None
    guidelines_version: int | None
    vote_id: str | None
    set_id: str | None
    annotator_id: str | None

    @property
    def answer(self) -> str:
        """The answer to learn."""
        return str(self.messages[-1].get("content", "")) if self.messages else ""


@dataclass(frozen=True, slots=True)
class RowUse:
    """A training row, by its place in its job, and the model that was made of it; None while there is none."""

    row_id: str
    position: int
    job_id: str
    model_id: str | None
    kind: str


class LineageStore:
    """Reads across the tables of training; writes nothing."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def rows_per_job(self) -> dict[str, int]:
        """Return how many rows each job was given."""
        query = select(training_rows.c.job_id, func.count()).group_by(training_rows.c.job_id)
        with self._db.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def runs_of(self, model_id: str) -> list[RunUse]:
        """Return the runs of a model, newest first, with what they took."""
        good, bad = completions.c.error == "", completions.c.error != ""
        tokens = func.coalesce(completions.c.prompt_tokens, 0) + func.coalesce(completions.c.completion_tokens, 0)
        told = or_(completions.c.prompt_tokens.is_not(None), completions.c.completion_tokens.is_not(None))
        query = (
            select(
                runs,
                query_sets.c.name.label("query_set"),
                func.count(case((good, 1))).label("answered"),
                func.count(case((bad, 1))).label("failed"),
                func.sum(case((told, tokens))).label("tokens"),
                func.sum(completions.c.cost).label("cost"),
                func.coalesce(func.sum(completions.c.seconds), 0.0).label("seconds"),
            )
            .select_from(runs.join(query_sets).outerjoin(completions, completions.c.run_id == runs.c.id))
            .where(runs.c.model_id == model_id)
            .group_by(runs.c.id, query_sets.c.name)
            .order_by(runs.c.id.desc())
        )
        with self._db.read() as connection:
            return [_run(row) for row in connection.execute(query).mappings()]

    def apart_from_runs(self, model_id: str) -> int:
        """Return how many queries a model answered one at a time, on Ask or for a visitor."""
        query = select(func.count()).where(completions.c.model_id == model_id, completions.c.run_id.is_(None))
        with self._db.read() as connection:
            return connection.scalar(query) or 0

    def data_of(self, job_id: str) -> TrainingData:
        """Return what the rows of a job are."""
        row = training_rows.c
        counted = (
            select(
                func.count().label("rows"),
                func.count(func.distinct(row.query_id)).label("queries"),
                func.count(func.distinct(case((queries.c.split == Split.TEST.value, row.query_id)))).label("test"),
                func.count(row.response_id).label("reviews"),
                func.count(case((and_(row.vote_id.is_not(None), _is_sft()), 1))).label("corrections"),
                func.count(case((row.kind == "preference", 1))).label("preferences"),
                func.count(case((row.overridden.is_(True), 1))).label("overridden"),
            )
            .select_from(training_rows.join(queries))
            .where(row.job_id == job_id)
        )
        with self._db.read() as connection:
            counts = connection.execute(counted).mappings().one()
            return TrainingData(
                rows=counts["rows"],
                queries=counts["queries"],
                test_queries=counts["test"],
                reviews=counts["reviews"],
                corrections=counts["corrections"],
                preferences=counts["preferences"],
                overridden=counts["overridden"],
                annotators=_annotators(connection, job_id),
                guidelines=_guidelines(connection, job_id),
            )

    def rows_of(self, job_id: str, search: str, offset: int, limit: int) -> tuple[int, list[LinedRow]]:
        """Return how many rows of a job have ``search`` in their query, and some of these in their order."""
        mine, offset = training_rows.c.job_id == job_id, max(offset, 0)
        counted = select(func.count()).select_from(training_rows).where(mine)
        # Positions are 0, 1, 2 ...: without a search nothing has to be sorted.
        some = mine & training_rows.c.position.between(offset, offset + limit - 1)
        if search.strip():
            mine &= queries.c.text.icontains(search.strip(), autoescape=True)
            among = training_rows.join(queries)
            counted = select(func.count()).select_from(among).where(mine)
            # Ids first: what is sorted is small then, and not the messages of every row.
            ids = select(training_rows.c.id).select_from(among).where(mine).order_by(training_rows.c.position)
            some = training_rows.c.id.in_(ids.offset(offset).limit(limit))
        with self._db.read() as connection:
            total = connection.scalar(counted) or 0
            rows = connection.execute(_lined().where(some).order_by(training_rows.c.position)).mappings()
            return total, [_lined_row(row) for row in rows]

    def row(self, row_id: str) -> LinedRow:
        """Return one training row.

        Raises:
            NotFoundError: there is no such row.
        """
        with self._db.read() as connection:
            row = connection.execute(_lined().where(training_rows.c.id == row_id)).mappings().first()
        return _lined_row(found(row, "training row"))

    def uses(self, *, vote_ids: Sequence[str] = (), response_id: str | None = None) -> dict[str, list[RowUse]]:
        """Return the training rows that came of votes, or of a response, by the id of these."""
        if response_id is not None:
            source, condition = training_rows.c.response_id, training_rows.c.response_id == response_id
        else:
            source, condition = training_rows.c.vote_id, training_rows.c.vote_id.in_(list(vote_ids))
        query = (
            select(training_rows, source.label("source"), training_jobs.c.model_id.label("made"))
            .select_from(training_rows.join(training_jobs))
            .where(condition)
            .order_by(training_rows.c.job_id.desc(), training_rows.c.position)
        )
        used: dict[str, list[RowUse]] = {}
        with self._db.read() as connection:
            for row in connection.execute(query).mappings():
                use = RowUse(row["id"], row["position"], row["job_id"], row["made"], row["kind"] or "sft")
                used.setdefault(row["source"], []).append(use)
        return used

    def votes_in_rows(self) -> set[str]:
        """Return the votes that training rows came of."""
        query = select(training_rows.c.vote_id).where(training_rows.c.vote_id.is_not(None)).distinct()
        with self._db.read() as connection:
            return set(connection.scalars(query))

    def contexts_of(self, row: LinedRow) -> tuple[Context, ...]:
        """Return the passages that were shown when the answer of a training row was written."""
        if row.vote_id:
            query = select(retrievals.c.contexts).select_from(votes.join(comparisons).join(retrievals))
            query = query.where(votes.c.id == row.vote_id)
        else:
            answers = records.join(completions, records.c.completion_id == completions.c.id)
            query = select(retrievals.c.contexts).select_from(answers.join(retrievals))
            query = query.where(records.c.id == row.record_id)
        with self._db.read() as connection:
            contexts = connection.scalar(query)
        return contexts_from_json(contexts or [])

    def set_of_vote(self, vote_id: str) -> str:
        """Return the comparison set that a vote was given in.

        Raises:
            NotFoundError: there is no such vote.
        """
        query = (
            select(comparisons.c.comparison_set_id).select_from(votes.join(comparisons)).where(votes.c.id == vote_id)
        )
        with self._db.read() as connection:
            return found(connection.scalar(query), "vote")


def _is_sft():
    return func.coalesce(training_rows.c.kind, "sft") == "sft"


def _lined() -> Select:
    """Return the query for training rows with what is behind them."""
    return select(
        training_rows,
        queries.c.text.label("query"),
        queries.c.split,
        responses.c.record_id,
        responses.c.guidelines_version,
        datasets.c.name.label("dataset"),
        comparisons.c.comparison_set_id.label("set_id"),
        func.coalesce(responses.c.annotator_id, votes.c.annotator_id).label("annotator_id"),
    ).select_from(
        training_rows.join(queries)
        .outerjoin(responses, training_rows.c.response_id == responses.c.id)
        .outerjoin(records, responses.c.record_id == records.c.id)
        .outerjoin(datasets, records.c.dataset_id == datasets.c.id)
        .outerjoin(votes, training_rows.c.vote_id == votes.c.id)
        .outerjoin(comparisons, votes.c.comparison_id == comparisons.c.id)
    )


def _annotators(connection: Connection, job_id: str) -> frozenset[str]:
    mine = training_rows.c.job_id == job_id
    by_response = select(responses.c.annotator_id).select_from(training_rows.join(responses)).where(mine)
    by_vote = select(votes.c.annotator_id).select_from(training_rows.join(votes)).where(mine)
    return frozenset(connection.scalars(by_response.union(by_vote)))


def _guidelines(connection: Connection, job_id: str) -> tuple[tuple[str, int | None, int], ...]:
    version = responses.c.guidelines_version
    query = (
        select(datasets.c.name, version, func.count())
        .select_from(training_rows.join(responses).join(records).join(datasets, records.c.dataset_id == datasets.c.id))
        .where(training_rows.c.job_id == job_id)
        .group_by(datasets.c.id, datasets.c.name, version)
        .order_by(datasets.c.id, version.nulls_first())
    )
    return tuple((row[0], row[1], row[2]) for row in connection.execute(query))


def _lined_row(row: Mapping) -> LinedRow:
    values = {name: row[name] for name in LinedRow.__slots__}
    values |= {"kind": row["kind"] or "sft", "overridden": bool(row["overridden"]), "split": Split(row["split"])}
    return LinedRow(**values)


def _run(row: Mapping) -> RunUse:
    values = {name: row[name] for name in RunUse.__slots__}
    values |= {"split": Split(row["split"]) if row["split"] else None, "state": JobState(row["state"])}
    return RunUse(**values)
