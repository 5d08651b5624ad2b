"""Totals of the whole workspace for whoever runs it: how many there are of what, and no row of anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, case, func, select
from sqlalchemy.exc import SQLAlchemyError

from pipeline.errors import StoreError
from pipeline.records import JobState
from pipeline.store.engine import Database
from pipeline.store.members import NOBODY
from pipeline.store.schema import completions, judge_runs, responses, runs, training_jobs, votes

RESULTS = ("answered", "refused", "failed")


@dataclass(frozen=True, slots=True)
class Figures:
    """Totals: responses by status, standing votes of people, completions by result, what is at work at this moment by kind."""

    responses: Mapping[str, int]
    votes: int
    completions: Mapping[str, int]
    at_work: Mapping[str, int]


class FigureStore:
    """Counts over all that people and models did."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def answers(self) -> bool:
        """Say whether the store can be read at this moment."""
        try:
            with self._db.read() as connection:
                return connection.scalar(select(1)) == 1
        except (SQLAlchemyError, StoreError):
            return False

    def figures(self) -> Figures:
        """Count now."""
        result = case((completions.c.error != "", "failed"), (completions.c.refused, "refused"), else_="answered")
        standing = votes.c.undone_at.is_(None) & votes.c.annotator_id.not_in(NOBODY)
        works = {"run": runs, "judge": judge_runs, "training": training_jobs}
        with self._db.read() as connection:
            return Figures(
                responses=_counted(connection, responses.c.status),
                votes=connection.scalar(select(func.count()).select_from(votes).where(standing)) or 0,
                completions={name: 0 for name in RESULTS} | _counted(connection, result),
                at_work={
                    name: _counted(connection, table.c.state).get(JobState.RUNNING.value, 0)
                    for name, table in works.items()
                },
            )


def _counted(connection: Connection, column) -> dict[str, int]:
    named = column.label("named")
    return {name: count for name, count in connection.execute(select(named, func.count()).group_by(named))}
