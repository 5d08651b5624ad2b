"""Votes from elsewhere: everything that they are about and they themselves, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from pipeline.store.engine import Database
from pipeline.store.members import UNNAMED
from pipeline.store.rows import put
from pipeline.store.schema import (
    comparison_sets,
    comparisons,
    completions,
    members,
    models,
    queries,
    query_sets,
    retrievals,
    votes,
)

Rows = Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class ImportedRows:
    """The rows of one import, each table's, with the id of its comparison set."""

    set_id: str
    models: Rows
    query_set: Mapping[str, object]
    queries: Rows
    retrievals: Rows
    completions: Rows
    members: Rows
    comparison_set: Mapping[str, object]
    comparisons: Rows
    votes: Rows


class ImportStore:
    """Rows of many tables at once."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, rows: ImportedRows) -> None:
        """Store an import: all of it, or nothing."""
        with self._db.write() as connection:
            put(connection, models, rows.models)
            put(connection, query_sets, [rows.query_set])
            put(connection, queries, rows.queries)
            put(connection, retrievals, rows.retrievals)
            put(connection, completions, rows.completions)
            unnamed = connection.scalar(select(members.c.id).where(members.c.id == UNNAMED))
            put(connection, members, [row for row in rows.members if row["id"] != unnamed])
            put(connection, comparison_sets, [rows.comparison_set])
            put(connection, comparisons, rows.comparisons)
            put(connection, votes, rows.votes)

    def set_of(self, query_set_id: str) -> str | None:
        """Return the comparison that was imported with a query set, or None."""
        with self._db.read() as connection:
            query = select(comparison_sets.c.id).where(comparison_sets.c.query_set_id == query_set_id)
            return connection.scalar(query)
