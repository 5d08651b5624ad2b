"""Whether a row that comes from elsewhere is one that this store could have written."""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable, Mapping, Set
from dataclasses import MISSING, fields
from enum import StrEnum

from sqlalchemy import JSON, Boolean, Column, Float, Integer, Table

from pipeline import comparison_settings
from pipeline.annotation.plain import from_plain
from pipeline.errors import ComparisonError, RecordError
from pipeline.models.causes import Cause
from pipeline.records import Change, Context, JobState, Outcome, ResponseStatus, Role, Section, Split
from pipeline.store.schema import (
    activity,
    adjudications,
    comparison_sets,
    comparisons,
    completions,
    datasets,
    documents,
    invitations,
    judge_runs,
    judgements,
    memberships,
    queries,
    query_proposals,
    records,
    response_history,
    responses,
    retrievals,
    runs,
    sides,
    sign_ins,
    suggestions,
    training_events,
    training_jobs,
    training_rows,
    votes,
)

Check = Callable[[object], bool]
# Columns that take the words of an enumeration; whoever reads them would stumble over any other word.
WORDS: dict[Column, type[StrEnum]] = {
    queries.c.split: Split,
    runs.c.split: Split,
    runs.c.state: JobState,
    completions.c.cause: Cause,
    responses.c.status: ResponseStatus,
    training_jobs.c.state: JobState,
    votes.c.outcome: Outcome,
    judgements.c.outcome: Outcome,
    judge_runs.c.state: JobState,
    memberships.c.role: Role,
    invitations.c.role: Role,
}
# SQLite's integers have 64 bits, and the years of Python's times four digits.
LARGEST, LATEST = 2**63, 253_402_300_800
STATES = {
    comparison_sets.c.state: ("preparing", "open", "failed", "interrupted"),
    datasets.c.state: ("draft", "published"),
    query_proposals.c.state: ("proposed", "accepted", "rejected"),
    training_rows.c.kind: ("sft", "preference"),
    training_events.c.kind: ("state", "log", "loss"),
    sign_ins.c.kind: ("name", "account", "hub"),
}


def problem_of(table: Table, change: Change) -> str:
    """Return why a row does not fit its table, or ""."""
    checks = _checks(table)
    row = change.row
    if not row.keys() <= checks.keys():
        return f"has a column of a newer version: {', '.join(sorted(row.keys() - checks.keys()))[:200]}"
    if row.get("id") != change.row_id:
        return "its id is not the row's"
    wrong = [name for name, (nullable, fits) in checks.items() if not _fits(row.get(name), nullable, fits)]
    if not wrong and table is votes and not _is_whole(row):
        wrong = ["ranks"]
    return f"holds something else than it should in {', '.join(wrong)}" if wrong else ""


def _is_whole(vote: Mapping[str, object]) -> bool:
    """Say whether a vote is on a pair, or a ranking that begins with that pair and has a rank for each answer."""
    shown, ranks = vote.get("shown"), vote.get("ranks")
    if shown is None or ranks is None:
        return shown is ranks
    return len(set(shown)) == len(shown) == len(ranks) and shown[:2] == [
        vote["left_completion_id"],
        vote["right_completion_id"],
    ]


def _fits(value: object, nullable: bool, fits: Check) -> bool:
    return nullable if value is None else fits(value)


# Of every row that comes from elsewhere every value is looked at: what is known beforehand is found out once.
@functools.cache
def _checks(table: Table) -> dict[str, tuple[bool, Check]]:
    return {column.name: (bool(column.nullable), _check(column)) for column in table.columns}


def _check(column: Column) -> Check:
    kind = column.type
    if isinstance(kind, JSON):
        return SHAPES.get(column, _is_json)
    if isinstance(kind, Boolean):
        return lambda value: isinstance(value, bool)
    if isinstance(kind, Integer | Float):
        types = int if isinstance(kind, Integer) else int | float
        low, high = (0, LATEST) if column.name == "at" or column.name.endswith("_at") else (-LARGEST, LARGEST)
        # NaN and the infinities, which JSON as Python reads it may hold, are in no range.
        return lambda value: isinstance(value, types) and not isinstance(value, bool) and low <= value < high
    words = STATES.get(column, WORDS.get(column))
    if words is None:
        return _is_text
    allowed = frozenset(map(str, words))
    return lambda value: isinstance(value, str) and value in allowed


def _is_settings(value: object) -> bool:
    try:
        from_plain(value)
    except RecordError:
        return False
    return True


def _is_comparison_settings(value: object) -> bool:
    try:
        comparison_settings.from_plain(value)
    except ComparisonError:
        return False
    return True


def _is_ids(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_answer(value: object) -> bool:
    return isinstance(value, str | int | list) and not isinstance(value, bool)


def _is_json(value: object) -> bool:
    return isinstance(value, list | dict)


def _rows_of(record: type) -> Check:
    """Return the check for a list of JSON rows, each of which makes one of these records."""
    hints = typing.get_type_hints(record)
    needed = {item.name for item in fields(record) if item.default is MISSING}

    def fits(value: object) -> bool:
        return isinstance(value, list) and all(_is_row(row, hints, needed) for row in value)

    return fits


def _is_row(row: object, hints: Mapping[str, object], needed: Set[str]) -> bool:
    if not isinstance(row, dict) or not needed <= row.keys() <= hints.keys():
        return False
    return all(isinstance(value, _loosened(hints[name])) for name, value in row.items())


def _loosened(hint: object) -> object:
    """Return what a value may be: JSON writes 1.0 as 1.0, but somebody else's JSON may not."""
    return hint | int if hint is float or float in typing.get_args(hint) else hint


def _maps_to(kind: type) -> Check:
    return lambda value: isinstance(value, dict) and all(isinstance(item, kind) for item in value.values())


SHAPES: dict[Column, Check] = {
    documents.c.sections: _rows_of(Section),
    retrievals.c.contexts: _rows_of(Context),
    queries.c.metadata: _maps_to(str),
    responses.c.values: _maps_to(object),
    completions.c.citations: lambda value: isinstance(value, list) and all(isinstance(n, int) for n in value),
    training_rows.c.messages: lambda value: isinstance(value, list) and all(map(_maps_to(str), value)),
    training_jobs.c.metrics: _maps_to(object),
    training_jobs.c.settings: _maps_to(object),
    training_jobs.c.plan: _maps_to(object),
    comparison_sets.c.summary: _maps_to(int),
    comparison_sets.c.settings: _is_comparison_settings,
    comparisons.c.more_completion_ids: _is_ids,
    sides.c.shown: _is_ids,
    votes.c.shown: _is_ids,
    votes.c.ranks: lambda value: isinstance(value, list) and all(type(n) is int and n > 0 for n in value),
    votes.c.criteria: lambda value: isinstance(value, dict) and all(item in list(Outcome) for item in value.values()),
    datasets.c.settings: _is_settings,
    records.c.fields: _maps_to(object),
    records.c.metadata: _maps_to(object),
    suggestions.c.value: _is_answer,
    suggestions.c.score: lambda value: isinstance(value, int | float | list) and not isinstance(value, bool),
    responses.c.marks: _maps_to(object),
    responses.c.edits: lambda value: _maps_to(object)(value) and {"values", "marks"} <= value.keys(),
    response_history.c.values: _maps_to(object),
    response_history.c.marks: _maps_to(object),
    adjudications.c.values: _maps_to(object),
    activity.c.detail: _maps_to(object),
}


def _is_text(value: object) -> bool:
    """Say whether this is a text that a database takes: without NUL, and without half a surrogate pair."""
    if not isinstance(value, str) or "\x00" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
