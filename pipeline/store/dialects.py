"""What SQLite and PostgreSQL write differently, said once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, Table, case, func
from sqlalchemy.dialects import postgresql, sqlite

# SQLite takes 32,766 values in one statement, PostgreSQL 65,535.
MOST_VALUES = 10_000
Item = TypeVar("Item")


def upsert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an insert that can be told what to do where the row is there: both have ``on_conflict_do_update``."""
    return (postgresql if is_postgresql(connection) else sqlite).insert(table)


def is_postgresql(connection: Connection) -> bool:
    """Say which of the two this is."""
    return connection.dialect.name == "postgresql"


def defer_references(connection: Connection) -> None:
    """Let rows point at rows that come later in this transaction; at its end all of them must be there."""
    wanted = "SET CONSTRAINTS ALL DEFERRED" if is_postgresql(connection) else "PRAGMA defer_foreign_keys = ON"
    connection.exec_driver_sql(wanted)


def number_of(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """Return how many rows of a group meet a condition: only SQLite adds up truth values."""
    return func.count(case((condition, 1)))


def pieces(values: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Yield values in pieces that one statement takes."""
    for start in range(0, len(values), MOST_VALUES):
        yield values[start : start + MOST_VALUES]
