"""Sprints: what is to be reached on a dataset or in a comparison, and until when."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from pipeline.records import new_id
from pipeline.store.engine import Database
from pipeline.store.rows import change, found, now, put
from pipeline.store.schema import sprints


@dataclass(frozen=True, slots=True)
class Sprint:
    """A goal with a start and an end, in seconds since the epoch. ``ended_at`` is when it was ended before its time."""

    id: str
    name: str
    dataset_id: str | None
    comparison_set_id: str | None
    goal: int
    leaderboard: bool
    member_id: str
    created_at: float
    starts_at: float
    ends_at: float
    ended_at: float | None = None

    @property
    def end(self) -> float:
        """When it ends, or has ended."""
        return self.ends_at if self.ended_at is None else min(self.ended_at, self.ends_at)


@dataclass(frozen=True, slots=True)
class Plan:
    """A sprint to be: exactly one of ``dataset_id`` and ``comparison_set_id`` is given."""

    name: str
    dataset_id: str | None
    comparison_set_id: str | None
    goal: int
    leaderboard: bool
    starts_at: float
    ends_at: float


class SprintStore:
    """Rows of ``sprints``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, member_id: str, plan: Plan) -> str:
        """Store a sprint; return its id."""
        row = {name: getattr(plan, name) for name in Plan.__dataclass_fields__}
        row |= {"id": new_id(), "member_id": member_id, "created_at": now(), "ended_at": None}
        with self._db.write() as connection:
            put(connection, sprints, [row])
        return str(row["id"])

    def end(self, sprint_id: str, moment: float) -> None:
        """Store that a sprint was ended."""
        with self._db.write() as connection:
            change(connection, sprints, sprint_id, ended_at=moment)

    def set_leaderboard(self, sprint_id: str, shown: bool) -> None:
        """Store whether a sprint has a leaderboard."""
        with self._db.write() as connection:
            change(connection, sprints, sprint_id, leaderboard=shown)

    def get(self, sprint_id: str) -> Sprint:
        """Return one sprint.

        Raises:
            NotFoundError: there is no such sprint.
        """
        return found(next((sprint for sprint in self.all() if sprint.id == sprint_id), None), "sprint")

    def all(self, since: float = 0.0) -> list[Sprint]:
        """Return the sprints that end after a time, the one that began last first."""
        query = select(sprints).where(sprints.c.ends_at >= since)
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(sprints.c.starts_at.desc(), sprints.c.id.desc())).mappings().all()
        return [Sprint(**row) for row in rows]
