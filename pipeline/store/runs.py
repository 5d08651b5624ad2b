"""Runs and completions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, case, delete, exists, func, insert, select

from pipeline.cleaning import clean
from pipeline.events import happened
from pipeline.records import Answer, Completion, JobState, Run, Split, new_id
from pipeline.run_figures import Spent
from pipeline.store.dialects import pieces
from pipeline.store.engine import Database
from pipeline.store.local_schema import run_limits
from pipeline.store.outbox import rows_by_id
from pipeline.store.rows import change, change_all, found, now, put, written_by
from pipeline.store.schema import completions, runs


@dataclass(frozen=True, slots=True)
class NewRun:
    """What a run begins with. ``reused`` of its ``total`` queries were answered before over the same contexts."""

    model_id: str
    query_set_id: str
    split: Split | None
    retriever: str
    total: int
    reused: int


# No run may spend less than nothing: in the place of an amount this says that a part of the run was asked for.
_PARTIAL = -1.0


class RunStore:
    """Rows of ``runs`` and ``completions``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def start(self, run: NewRun, limit: float | None = None) -> str:
        """Store a new run, with what it may spend for whoever takes it over; return its id."""
        row = {
            "id": new_id(),
            "model_id": run.model_id,
            "query_set_id": run.query_set_id,
            "split": run.split.value if run.split else None,
            "retriever": run.retriever,
            "state": JobState.RUNNING.value,
            "total": run.total,
            "reused": run.reused,
            "error": "",
            "created_at": now(),
        }
        with self._db.write() as connection:
            put(connection, runs, [row])
            self._keep_limit(connection, str(row["id"]), limit)
        return str(row["id"])

    def finish(self, run_id: str, state: JobState, error: str = "") -> None:
        """Store how a run ended that this replica was at work on; nothing where another one has taken it over since."""
        with self._db.write() as connection:
            found(connection.scalar(select(runs.c.id).where(runs.c.id == run_id)), "run")
            if self._is_own(connection, run_id):
                change(connection, runs, run_id, state=state.value, error=error, finished_at=now())
                _set_limit(connection, run_id, None)
        happened("run ended", run=run_id, state=state.value)

    def end_elsewhere(self, run_id: str) -> None:
        """Store that a run which another replica is at work on was cancelled: it sees so when it stores its next answer.

        Where no others are, it is one whose end could not be stored; what came from another machine is that one's. Replicas that
        share a store may also end a run of another store that has the same dataset repo: that one sees so once it has read it.
        """
        running = (runs.c.id == run_id) & (runs.c.state == JobState.RUNNING.value)
        if not self._db.shared:
            running &= written_by(runs, self._db.writer.replica)
        with self._db.write() as connection:
            change_all(connection, runs, running, state=JobState.CANCELLED.value, finished_at=now())

    def reopen(self, run_id: str, limit: float | None = None, partial: bool = False) -> bool:
        """Store that a run which had ended goes on within a limit, whole or in part; False where it goes on already."""
        with self._db.write() as connection:
            state = connection.scalar(select(runs.c.state).where(runs.c.id == run_id))
            if state != JobState.RUNNING.value:
                change(connection, runs, run_id, state=JobState.RUNNING.value, error="", finished_at=None)
                self._keep_limit(connection, run_id, _PARTIAL if partial else limit)
        return state != JobState.RUNNING.value

    def _keep_limit(self, connection: Connection, run_id: str, dollars: float | None) -> None:
        # In the transaction that lets the run go on: whoever takes it over must not find it without its limit.
        if self._db.shared:
            _set_limit(connection, run_id, dollars)

    def left_by(self, replica: str) -> list[str]:
        """Return the runs that a replica is at work on, or was when it ended."""
        left = (runs.c.state == JobState.RUNNING.value) & written_by(runs, replica)
        with self._db.read() as connection:
            return list(connection.scalars(select(runs.c.id).where(left).order_by(runs.c.id)))

    def take_over(self, run_id: str, replica: str) -> tuple[bool, float | None]:
        """Make a run that a replica has left this one's; return whether it goes on here, and what it may spend.

        It does not where somebody was quicker, nor where only a part of it was asked for: which is stored nowhere, and it is
        marked as interrupted.
        """
        left = (runs.c.id == run_id) & (runs.c.state == JobState.RUNNING.value) & written_by(runs, replica)
        with self._db.write() as connection:
            if connection.scalar(select(runs.c.id).where(left)) is None:
                return False, None
            limit = connection.scalar(select(run_limits.c.dollars).where(run_limits.c.run_id == run_id))
            if limit == _PARTIAL:
                change(connection, runs, run_id, state=JobState.INTERRUPTED.value, finished_at=now())
                _set_limit(connection, run_id, None)
                return False, None
            change(connection, runs, run_id, error="")
        return True, limit

    def interrupt_all(self, by: str | None = None) -> None:
        """Mark the runs that a stopped process left behind: the replica ``by``, or whichever it was."""
        left = (runs.c.state == JobState.RUNNING.value) & written_by(runs, by)
        with self._db.write() as connection:
            change_all(connection, runs, left, state=JobState.INTERRUPTED.value, finished_at=now())

    def get(self, run_id: str) -> Run:
        """Return one run with its counts.

        Raises:
            NotFoundError: there is no such run.
        """
        return found(next(iter(self._runs(runs.c.id == run_id)), None), "run")

    def latest(self, limit: int = 30) -> list[Run]:
        """Return the newest runs first."""
        return self._runs(runs.c.id.is_not(None), limit)

    def add_completion(self, completion: Completion) -> None:
        """Store one completion, in a transaction of its own: what is done stays done."""
        self.add_completions([completion])

    def add_completions(self, made: Sequence[Completion]) -> bool:
        """Store completions, all of one run or of none, in one transaction: one wait for the disk serves all that came together.

        Return whether the run goes on here. It does not where another replica has ended it or taken it over; what is answered
        there already is left out.
        """
        run_id = made[0].run_id
        with self._db.write() as connection:
            own = run_id is None or self._is_own(connection, run_id)
            if run_id is not None and self._db.shared:
                # Two of them may have asked for one answer, when one took the run over from the other.
                of_run = (completions.c.run_id == run_id) & (completions.c.error == "")
                others = of_run & ~written_by(completions, self._db.writer.replica)
                there = set(connection.scalars(select(completions.c.query_id).where(others if own else of_run)))
                made = [item for item in made if item.query_id not in there and (own or not item.error)]
            put(connection, completions, [_row(completion) for completion in made])
        return own

    def _is_own(self, connection: Connection, run_id: str) -> bool:
        """Say whether this replica is at work on a run. Where no others share the store it is the only one that can be.

        A new store of the same dataset repo may take it for interrupted; only what somebody has cancelled there ends here too.
        """
        mine = (runs.c.id == run_id) & (runs.c.state != JobState.CANCELLED.value)
        if self._db.shared:
            mine &= (runs.c.state == JobState.RUNNING.value) & written_by(runs, self._db.writer.replica)
        return connection.scalar(select(runs.c.id).where(mine)) is not None

    def of_run(self, run_id: str) -> list[Completion]:
        """Return the completions of a run, oldest first."""
        return self._completions(completions.c.run_id == run_id)

    def failed(self, run: Run) -> list[Completion]:
        """Return the newest error of each query of a run that its model has not answered since over the same contexts."""
        good = completions.alias()
        answered = exists().where(
            (good.c.retrieval_id == completions.c.retrieval_id)
            & (good.c.model_id == run.model_id)
            & (good.c.error == "")
        )
        condition = (completions.c.run_id == run.id) & (completions.c.error != "") & ~answered
        return list({completion.query_id: completion for completion in self._completions(condition)}.values())

    def spent(self, run_id: str) -> list[Spent]:
        """Return what each good answer of a run took."""
        names = Spent.__slots__
        query = select(*(completions.c[name] for name in names)).where(
            (completions.c.run_id == run_id) & (completions.c.error == "")
        )
        with self._db.read() as connection:
            return [Spent(*row) for row in connection.execute(query)]

    def by_ids(self, ids: Sequence[str]) -> dict[str, Completion]:
        """Return completions by id."""
        with self._db.read() as connection:
            return {row_id: _completion(row) for row_id, row in rows_by_id(connection, completions, list(ids)).items()}

    def answered(self, model_id: str, retrieval_ids: Sequence[str]) -> dict[str, Completion]:
        """Return the newest good completion of a model for each of these retrievals, by retrieval id."""
        good = (completions.c.model_id == model_id) & (completions.c.error == "")
        found: dict[str, Completion] = {}
        for some in pieces(retrieval_ids):
            found.update(
                {item.retrieval_id: item for item in self._completions(good & completions.c.retrieval_id.in_(some))}
            )
        return found

    def _completions(self, condition) -> list[Completion]:
        query = select(completions).where(condition).order_by(completions.c.id)
        with self._db.read() as connection:
            rows = connection.execute(query).mappings()
            return [_completion(row) for row in rows]

    def _runs(self, condition, limit: int = 1) -> list[Run]:
        chosen = select(runs).where(condition).order_by(runs.c.id.desc()).limit(limit).subquery()
        # A query that failed may have been asked again: it counts once, and as answered if it was in the end.
        asked = (
            select(completions.c.run_id, func.max(case((completions.c.error == "", 1), else_=0)).label("good"))
            .where(completions.c.run_id.in_(select(chosen.c.id)))
            .group_by(completions.c.run_id, completions.c.query_id)
            .subquery()
        )
        good, all_asked = func.coalesce(func.sum(asked.c.good), 0), func.count(asked.c.run_id)
        query = (
            select(chosen, good.label("done"), (all_asked - good).label("failed"))
            .select_from(chosen.outerjoin(asked, asked.c.run_id == chosen.c.id))
            .group_by(*chosen.c)
            .order_by(chosen.c.id.desc())
        )
        with self._db.read() as connection:
            return [_run(row) for row in connection.execute(query).mappings()]


def _set_limit(connection: Connection, run_id: str, dollars: float | None) -> None:
    connection.execute(delete(run_limits).where(run_limits.c.run_id == run_id))
    if dollars is not None:
        connection.execute(insert(run_limits).values(run_id=run_id, dollars=dollars))


def completion_of(answer: Answer, run_id: str | None, model_id: str, query_id: str, retrieval_id: str) -> Completion:
    """Return an answer as the completion that is stored."""
    return Completion(
        id=new_id(),
        run_id=run_id,
        model_id=model_id,
        query_id=query_id,
        retrieval_id=retrieval_id,
        text=clean(answer.text),
        refused=answer.refused,
        citations=answer.citations,
        seconds=answer.seconds,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        attempts=answer.attempts,
        first_text_seconds=answer.first_text_seconds,
        cost=answer.cost,
    )


def answer_of(completion: Completion) -> Answer:
    """Return a stored completion as an answer that was given again; its tokens were paid for the first time only."""
    return Answer(completion.text, completion.refused, completion.citations, completion.seconds, attempts=0)


def _row(completion: Completion) -> dict[str, object]:
    row = {name: getattr(completion, name) for name in Completion.__slots__}
    return {**row, "citations": list(completion.citations), "created_at": now()}


def _completion(row) -> Completion:
    return Completion(**{**row, "citations": tuple(row["citations"])})


def _run(row) -> Run:
    names = ("id", "model_id", "query_set_id", "retriever", "total", "failed", "created_at", "error", "reused")
    values = {name: row[name] for name in names}
    split = Split(row["split"]) if row["split"] else None
    return Run(state=JobState(row["state"]), split=split, done=row["reused"] + row["done"], **values)
