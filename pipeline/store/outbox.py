"""The outbox: which rows have changed, and which of these changes have not arrived where they are kept.

It holds one line per row, with the stamp of the row's newest change. A row that changes ten times before it is sent is sent
once, in its newest state, so the outbox never outgrows the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from sqlalchemy import Connection, Insert, Table, bindparam, delete, func, select, update

from pipeline import ulid
from pipeline.records import Change
from pipeline.store.dialects import upsert
from pipeline.store.engine import Database, writer_of
from pipeline.store.local_schema import changes, journal_files, parked_changes
from pipeline.store.schema import TRAVELLING, metadata

Place = Literal["repo", "folder"]
# SQLite takes a bounded number of variables in one statement.
BATCH = 500


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many changes wait, and since when the oldest one does, in seconds since the epoch (None where none waits)."""

    count: int
    since: float | None


def note(connection: Connection, table: Table, row_ids: Iterable[str]) -> None:
    """Remember that rows were changed, in the transaction that changes them."""
    writer = writer_of(connection)
    if writer.behind:
        # Whoever wrote before may have a clock that is ahead: what comes later must have the later stamp.
        if newest := connection.scalar(select(func.max(changes.c.stamp))):
            writer.stamps.see(newest)
        writer.behind = False
    rows = [(row_id, writer.stamps.next()) for row_id in row_ids]
    mark(connection, table.name, [(row_id, stamp, writer.replica) for row_id, stamp in rows], arrived_in=None)


def mark(connection: Connection, table: str, rows: Sequence[tuple[str, str, str]], arrived_in: Place | None) -> None:
    """Set the newest change of rows, given as (row id, stamp, replica); it waits for every place but ``arrived_in``."""
    if not rows:
        return
    new = {"in_repo": arrived_in == "repo", "in_folder": arrived_in == "folder"}
    name = connection.dialect.name
    if name not in _MARKING:
        _MARKING[name] = _marking(connection)
    values = [{"table_name": table, "row_id": i, "stamp": stamp, "replica": by, **new} for i, stamp, by in rows]
    connection.execute(_MARKING[name], values)
    writer_of(connection).noted.add(table)


# By dialect; built once, because each write needs it.
_MARKING: dict[str, Insert] = {}


def _marking(connection: Connection) -> Insert:
    statement = upsert(connection, changes)
    columns = ("stamp", "replica", "in_repo", "in_folder")
    return statement.on_conflict_do_update(
        index_elements=["table_name", "row_id"], set_={name: statement.excluded[name] for name in columns}
    )


class Outbox:
    """Changes that wait for a place, which is the dataset repo or the data folder."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def waiting(self, place: Place) -> Waiting:
        """Count the changes that have not arrived."""
        count, first = 0, None
        with self._db.read() as connection:
            for table in (changes, parked_changes):
                query = select(func.count(), func.min(table.c.stamp)).where(_missing(table, place))
                more, oldest = connection.execute(query).one()
                count += more
                first = min(filter(None, (first, oldest)), default=None)
        return Waiting(count, ulid.seconds(first) if first else None)

    def batch(self, place: Place, limit: int, skip: int = 0) -> list[Change]:
        """Return the oldest ``limit`` changes that have not arrived, each with the row as it is now, after ``skip`` others.

        What is parked is sent too, when nothing else waits: it is in no other place yet.
        """
        with self._db.read() as connection:
            query = select(changes).where(_missing(changes, place)).order_by(changes.c.stamp)
            found = _with_rows(connection, connection.execute(query.limit(limit).offset(skip)).all())
            if found or skip:
                return found
            query = select(parked_changes).where(_missing(parked_changes, place)).order_by(parked_changes.c.stamp)
            lines = connection.execute(query.limit(limit)).all()
            return [Change(line.table_name, line.row_id, line.stamp, line.replica, line.row) for line in lines]

    def arrived(self, place: Place, sent: Sequence[Change]) -> None:
        """Note that changes have arrived. A row that was changed again since then goes on waiting."""
        if not sent:
            return
        values = [{"of": change.table, "which": change.row_id, "at": change.stamp} for change in sent]
        with self._db.write() as connection:
            for table in (changes, parked_changes):
                statement = (
                    update(table)
                    .where(table.c.table_name == bindparam("of"), table.c.row_id == bindparam("which"))
                    .where(table.c.stamp == bindparam("at"))
                    .values({_column(table, place): True})
                )
                connection.execute(statement, values)

    def start_over(self, place: Place) -> None:
        """Forget what the place has: it is another one than before, or has lost something.

        Everything waits from now on, until it is read there again or has been sent again. One transaction, so that
        whatever happens in between, no change is taken to be where it is not.
        """
        with self._db.write() as connection:
            for table in (changes, parked_changes):
                connection.execute(update(table).values({_column(table, place): False}))
            connection.execute(delete(journal_files).where(journal_files.c.place == place))

    def everything(self) -> Iterable[list[Change]]:
        """Return the newest change of every row, in pieces, all of one moment."""
        with self._db.read() as connection:
            for table in TRAVELLING:
                query = select(changes).where(changes.c.table_name == table.name).order_by(changes.c.row_id)
                lines = connection.execute(query).all()
                for start in range(0, len(lines), BATCH):
                    yield _with_rows(connection, lines[start : start + BATCH])

    def newest(self) -> str:
        """Return the stamp of the newest change, or ""."""
        with self._db.read() as connection:
            return connection.scalar(select(func.max(changes.c.stamp))) or ""

    @property
    def empty(self) -> bool:
        """Whether nothing was ever written into this store."""
        with self._db.read() as connection:
            return connection.scalar(select(changes.c.row_id).limit(1)) is None


def rows_by_id(connection: Connection, table: Table, ids: Sequence[str]) -> dict[str, dict[str, object]]:
    """Return rows by id; ids without a row are left out."""
    found: dict[str, dict[str, object]] = {}
    for start in range(0, len(ids), BATCH):
        query = select(table).where(table.c.id.in_(ids[start : start + BATCH]))
        found.update({row["id"]: dict(row) for row in connection.execute(query).mappings()})
    return found


def _with_rows(connection: Connection, lines: Sequence) -> list[Change]:
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for name, group in groupby(sorted(lines, key=lambda line: line.table_name), key=lambda line: line.table_name):
        found = rows_by_id(connection, metadata.tables[name], [line.row_id for line in group])
        rows.update({(name, row_id): row for row_id, row in found.items()})
    return [
        Change(line.table_name, line.row_id, line.stamp, line.replica, rows[line.table_name, line.row_id])
        for line in lines
    ]


def _column(table: Table, place: Place):
    return table.c.in_repo if place == "repo" else table.c.in_folder


def _missing(table: Table, place: Place):
    return _column(table, place).is_(False)
