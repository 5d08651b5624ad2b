"""What people did that changes the workspace for others: one row for each time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import select, tuple_

from pipeline.records import new_id
from pipeline.store.engine import Database
from pipeline.store.rows import change, now, put
from pipeline.store.schema import activity


@dataclass(frozen=True, slots=True)
class Entry:
    """Who did what to what and when, in seconds since the epoch; ``member_id`` is None for what the app did by itself."""

    id: str
    at: float
    member_id: str | None
    action: str
    subject: str
    detail: Mapping[str, object]


class ActivityStore:
    """Rows of ``activity``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, member_id: str | None, action: str, subject: str, detail: Mapping[str, object]) -> None:
        """Store that somebody did something."""
        row = {"id": new_id(), "at": now(), "member_id": member_id, "action": action, "subject": subject}
        with self._db.write() as connection:
            put(connection, activity, [{**row, "detail": dict(detail) or None}])

    def call_by_id(self, member_id: str, key: str, names: Collection[str], actions: Collection[str]) -> None:
        """Put a person's id into the detail, under ``key``, of the entries of these actions whose subject is one of the names."""
        named = activity.c.subject.in_(names) & activity.c.action.in_(actions)
        with self._db.write() as connection:
            for row in connection.execute(select(activity.c.id, activity.c.detail).where(named)).all():
                change(connection, activity, row.id, subject="", detail={**(row.detail or {}), key: member_id})

    def latest(
        self, member_id: str | None, actions: Collection[str], before: tuple[float, str] | None, most: int
    ) -> list[Entry]:
        """Return at most so many entries, newest first: of one person, of these actions, older than ``before``; each if given."""
        query = select(activity).order_by(activity.c.at.desc(), activity.c.id.desc()).limit(most)
        if member_id is not None:
            query = query.where(activity.c.member_id == member_id)
        if actions:
            query = query.where(activity.c.action.in_(actions))
        if before is not None:
            query = query.where(tuple_(activity.c.at, activity.c.id) < tuple_(*before))
        with self._db.read() as connection:
            rows = connection.execute(query).mappings().all()
        return [Entry(**{**row, "detail": row["detail"] or {}}) for row in rows]

    def people(self) -> set[str]:
        """Return the ids of all who did something."""
        with self._db.read() as connection:
            known = activity.c.member_id.is_not(None)
            return set(connection.scalars(select(activity.c.member_id).where(known).distinct()))
