"""What models said as judges of a comparison: apart from the votes of people, in tables of its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from pipeline.events import happened
from pipeline.records import JobState, Outcome
from pipeline.store.engine import Database
from pipeline.store.local_schema import changes
from pipeline.store.rows import change, change_all, found, now, put, written_by
from pipeline.store.schema import judge_runs, judgements


@dataclass(frozen=True, slots=True)
class JudgeRun:
    """A model that was asked about the pairs of a comparison under ``instructions``."""

    id: str
    comparison_set_id: str
    model_id: str
    state: JobState
    error: str
    instructions: str
    created_at: float
    finished_at: float | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was said of two completions in one order, ``left`` shown as A.

    ``outcome`` is None where the reply held no verdict, or where there is an ``error`` in its place.
    """

    id: str
    judge_run_id: str
    comparison_id: str
    left_completion_id: str
    right_completion_id: str
    outcome: Outcome | None
    reply: str = ""
    error: str = ""
    seconds: float = 0.0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    created_at: float = 0.0

    @property
    def order(self) -> tuple[str, str, str]:
        """What was asked: the comparison, and its completions as A and B."""
        return self.comparison_id, self.left_completion_id, self.right_completion_id


# What was asked, as Judgement.order has it.
_ORDER = (judgements.c.comparison_id, judgements.c.left_completion_id, judgements.c.right_completion_id)


class JudgementStore:
    """Rows of ``judge_runs`` and ``judgements``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def start(self, run_id: str, set_id: str, model_id: str, instructions: str) -> None:
        """Store a new run."""
        row = {
            "id": run_id,
            "comparison_set_id": set_id,
            "model_id": model_id,
            "state": JobState.RUNNING.value,
            "error": "",
            "instructions": instructions,
            "created_at": now(),
        }
        with self._db.write() as connection:
            put(connection, judge_runs, [row])

    def finish(self, run_id: str, state: JobState, error: str = "") -> None:
        """Store how a run ended that this replica asked in; nothing where another one has taken it over or ended it since."""
        with self._db.write() as connection:
            found(connection.scalar(select(judge_runs.c.id).where(judge_runs.c.id == run_id)), "run of a judge")
            if self._is_own(connection, run_id):
                change(connection, judge_runs, run_id, state=state.value, error=error, finished_at=now())
        happened("judge ended", run=run_id, state=state.value)

    def end_elsewhere(self, run_id: str) -> None:
        """Store that a run in which another replica asks was cancelled: it sees so when it stores its next reply."""
        running = (judge_runs.c.id == run_id) & (judge_runs.c.state == JobState.RUNNING.value)
        with self._db.write() as connection:
            change_all(connection, judge_runs, running, state=JobState.CANCELLED.value, finished_at=now())

    def left_by(self, replica: str) -> list[JudgeRun]:
        """Return the runs in which a replica asks, or did when it ended, oldest first."""
        left = (judge_runs.c.state == JobState.RUNNING.value) & written_by(judge_runs, replica)
        return self._runs(left)[::-1]

    def take_over(self, run_id: str, replica: str) -> bool:
        """Make a run that a replica has left this one's; False where somebody was quicker."""
        left = (judge_runs.c.id == run_id) & (judge_runs.c.state == JobState.RUNNING.value)
        with self._db.write() as connection:
            mine = connection.scalar(select(judge_runs.c.id).where(left & written_by(judge_runs, replica))) is not None
            if mine:
                change(connection, judge_runs, run_id, error="")
        return mine

    def interrupt_all(self, by: str | None = None) -> None:
        """Mark the runs that a stopped process left behind: the replica ``by``, or whichever it was."""
        left = (judge_runs.c.state == JobState.RUNNING.value) & written_by(judge_runs, by)
        with self._db.write() as connection:
            change_all(connection, judge_runs, left, state=JobState.INTERRUPTED.value, finished_at=now())

    def get(self, run_id: str) -> JudgeRun:
        """Return one run.

        Raises:
            NotFoundError: there is no such run.
        """
        return found(next(iter(self._runs(judge_runs.c.id == run_id)), None), "run of a judge")

    def runs(self, set_id: str) -> list[JudgeRun]:
        """Return the runs over a comparison, newest first."""
        return self._runs(judge_runs.c.comparison_set_id == set_id)

    def asked_by(self, run_id: str) -> tuple[str, float]:
        """Return which replica has asked last in a run, and when something was heard of it last."""
        whose = (changes.c.table_name == judge_runs.name) & (changes.c.row_id == run_id)
        last = select(func.max(judgements.c.created_at)).where(judgements.c.judge_run_id == run_id)
        begun = select(judge_runs.c.created_at).where(judge_runs.c.id == run_id)
        with self._db.read() as connection:
            replica = connection.scalar(select(changes.c.replica).where(whose)) or ""
            return replica, connection.scalar(last) or connection.scalar(begun) or 0.0

    def add(self, said: Sequence[Judgement]) -> bool:
        """Store what was said in one run, in a transaction of its own: what is paid for stays.

        Return whether the run goes on here. It does not where another replica has ended it or taken it over; what was said there
        already is left out.
        """
        run_id = said[0].judge_run_id
        with self._db.write() as connection:
            own = self._is_own(connection, run_id)
            if self._db.shared:
                # Two of them may have asked the same, when one took the run over from the other.
                good = (judgements.c.judge_run_id == run_id) & (judgements.c.error == "")
                others = good & ~written_by(judgements, self._db.writer.replica)
                rows = connection.execute(select(*_ORDER).where(others if own else good))
                there = {(row[0], row[1], row[2]) for row in rows}
                said = [item for item in said if item.order not in there and (own or not item.error)]
            put(connection, judgements, [_row(item) for item in said])
        return own

    def of_runs(self, run_ids: Collection[str]) -> list[Judgement]:
        """Return all that was said in these runs, oldest first."""
        query = select(judgements).where(judgements.c.judge_run_id.in_(run_ids)).order_by(judgements.c.id)
        with self._db.read() as connection:
            rows = connection.execute(query).mappings()
            return [
                Judgement(**{**row, "outcome": Outcome(row["outcome"]) if row["outcome"] else None}) for row in rows
            ]

    def _is_own(self, connection: Connection, run_id: str) -> bool:
        """Say whether this replica asks in a run; where no others are, it is the only one that can."""
        if not self._db.shared:
            return True
        mine = (judge_runs.c.id == run_id) & (judge_runs.c.state == JobState.RUNNING.value)
        mine &= written_by(judge_runs, self._db.writer.replica)
        return connection.scalar(select(judge_runs.c.id).where(mine)) is not None

    def _runs(self, condition) -> list[JudgeRun]:
        query = select(judge_runs).where(condition).order_by(judge_runs.c.id.desc())
        with self._db.read() as connection:
            return [
                JudgeRun(**{**row, "state": JobState(row["state"])}) for row in connection.execute(query).mappings()
            ]


def _row(judgement: Judgement) -> dict[str, object]:
    row = {name: getattr(judgement, name) for name in Judgement.__slots__}
    return {**row, "outcome": judgement.outcome.value if judgement.outcome else None, "created_at": now()}
