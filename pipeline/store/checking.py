"""Whether a row that comes from elsewhere is one that this store could have written."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import JSON, Boolean, Column, Float, Integer, Table

from pipeline.records import Change, JobState, Outcome, ResponseStatus, Split
from pipeline.store.schema import comparison_sets, queries, responses, runs, training_jobs, votes

# Columns that take the words of an enumeration; whoever reads them would stumble over any other word.
WORDS: dict[Column, type[StrEnum]] = {
    queries.c.split: Split,
    runs.c.split: Split,
    runs.c.state: JobState,
    responses.c.status: ResponseStatus,
    training_jobs.c.state: JobState,
    votes.c.outcome: Outcome,
}
STATES = ("preparing", "open", "failed", "interrupted")


def problem_of(table: Table, change: Change) -> str:
    """Return why a row does not fit its table, or ""."""
    unknown = sorted(set(change.row) - set(table.columns.keys()))
    if unknown:
        return f"has a column of a newer version: {', '.join(unknown)[:200]}"
    if change.row.get("id") != change.row_id:
        return "its id is not the row's"
    wrong = [column.name for column in table.columns if not _fits(column, change.row.get(column.name))]
    return f"holds something else than it should in {', '.join(wrong)}" if wrong else ""


def _fits(column: Column, value: object) -> bool:
    if value is None:
        return bool(column.nullable)
    kind = column.type
    if isinstance(kind, JSON):
        return isinstance(value, list | dict)
    if isinstance(kind, Boolean):
        return isinstance(value, bool)
    if isinstance(kind, Integer | Float):
        numbers = (int,) if isinstance(kind, Integer) else (int, float)
        return isinstance(value, numbers) and not isinstance(value, bool)
    if not isinstance(value, str) or "\x00" in value:
        return False
    if column is comparison_sets.c.state:
        return value in STATES
    words = WORDS.get(column)
    return words is None or value in {word.value for word in words}
