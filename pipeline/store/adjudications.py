"""What was decided where annotators disagree: one row for each record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select

from pipeline.errors import RecordError
from pipeline.records import id_of
from pipeline.store.engine import Database
from pipeline.store.local_schema import changes
from pipeline.store.outbox import rows_by_id
from pipeline.store.rows import change, now, put
from pipeline.store.schema import adjudications, records, responses, suggestions


@dataclass(frozen=True, slots=True)
class Adjudication:
    """The values that stand for a record, whatever the responses say: who set them, why and when."""

    record_id: str
    member_id: str
    values: Mapping[str, object]
    reason: str
    updated_at: float


class AdjudicationStore:
    """Rows of ``adjudications``. One that is withdrawn stays in the table, and takes part in nothing."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def of_dataset(self, dataset_id: str) -> dict[str, Adjudication]:
        """Return the standing adjudications of a dataset's records by record id."""
        query = select(adjudications).select_from(adjudications.join(records))
        standing = (records.c.dataset_id == dataset_id) & adjudications.c.withdrawn_at.is_(None)
        with self._db.read() as connection:
            rows = connection.execute(query.where(standing)).mappings().all()
        return {row["record_id"]: _adjudication(row) for row in rows}

    def get(self, record_id: str) -> Adjudication | None:
        """Return the standing adjudication of a record, or None."""
        standing = (adjudications.c.record_id == record_id) & adjudications.c.withdrawn_at.is_(None)
        with self._db.read() as connection:
            row = connection.execute(select(adjudications).where(standing)).mappings().first()
        return None if row is None else _adjudication(row)

    def stamp(self, dataset_id: str) -> tuple[object, ...]:
        """Return values that change whenever records or responses change that a review is made of.

        Sums, not only the newest time: what comes from another replica may be older than what is here.
        """
        given = select(func.count(), func.sum(responses.c.updated_at), func.sum(responses.c.seconds))
        given = given.select_from(responses.join(records)).where(records.c.dataset_id == dataset_id)
        about = changes.c.table_name.in_([records.name, suggestions.name])
        asked = select(func.count(), func.max(changes.c.stamp)).where(about)
        with self._db.read() as connection:
            return tuple(value for query in (given, asked) for value in connection.execute(query).one())

    def set(self, record_id: str, member_id: str, values: Mapping[str, object], reason: str) -> None:
        """Let these values stand for a record, in place of what was decided before."""
        row_id, moment = id_of("adjudication", record_id), now()
        decided = {"member_id": member_id, "values": dict(values), "reason": reason, "updated_at": moment}
        with self._db.write() as connection:
            if rows_by_id(connection, adjudications, [row_id]):
                change(connection, adjudications, row_id, **decided, withdrawn_at=None)
                return
            new = {"id": row_id, "record_id": record_id, "created_at": moment, "withdrawn_at": None}
            put(connection, adjudications, [{**new, **decided}])

    def withdraw(self, record_id: str) -> None:
        """Let the responses speak for themselves again.

        Raises:
            RecordError: nothing stands for this record.
        """
        mine = (adjudications.c.record_id == record_id) & adjudications.c.withdrawn_at.is_(None)
        with self._db.write() as connection:
            row_id = connection.scalar(select(adjudications.c.id).where(mine))
            if row_id is None:
                raise RecordError("Nothing was decided on this record, so there is nothing to withdraw.")
            change(connection, adjudications, row_id, withdrawn_at=now())


def _adjudication(row) -> Adjudication:
    names = ("record_id", "member_id", "values", "reason", "updated_at")
    return Adjudication(**{name: row[name] for name in names})
