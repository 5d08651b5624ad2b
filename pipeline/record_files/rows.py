"""What stands in a file of records, whatever its form: rows of cells by column.

All forms come down to one: plain cells, and in the columns ``<question>.suggestion`` and ``<question>.responses`` a
:class:`Proposal` and lists of :class:`Answer`, as Argilla 2 names them in its flat form.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal

from pipeline.annotation.settings import DatasetSettings
from pipeline.records import ResponseStatus

SUGGESTION, RESPONSES, METADATA = ".suggestion", ".responses", "metadata."
# Who discarded a record without any answer to it.
DISCARDED = "discarded.by"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A suggested value for a question."""

    value: object
    agent: str = ""
    score: object = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One person's answer to one question; times in seconds since the epoch, None where the file does not say.

    ``told`` is False where the file has no place for the status, so that it may as well be a draft.
    """

    person: str
    value: object = None
    status: ResponseStatus = ResponseStatus.SUBMITTED
    seconds: float = 0.0
    created_at: float | None = None
    updated_at: float | None = None
    told: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a file: where it is, as a person finds it, and its cells; or why it could not be read."""

    place: str
    cells: Mapping[str, object]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of a file. ``notes`` say in sentences what was read otherwise than it stands there, or left out."""

    name: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    settings: DatasetSettings | None = None

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in the order of their first appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row.cells))


def is_empty(cell: object) -> bool:
    """Say whether a cell holds nothing."""
    return cell is None or cell == [] or (isinstance(cell, str) and not cell.strip())


def plain(value: object) -> object:
    """Return a value of a Parquet file, a Hub dataset or JSON as text, number, list or mapping; NaN becomes None."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return plain(float(value))
    return None


def flat(rows: Iterable[Row], people: Mapping[str, str] | None = None) -> tuple[Row, ...]:
    """Return rows with the columns of suggestions and responses put together, each question's into one.

    ``people`` gives the names that stand behind ids of users.
    """
    rows, names = [_spread(row) for row in rows], people or {}
    columns = list(dict.fromkeys(name for row in rows for name in row.cells))
    proposed = {name for name in columns if name.endswith(SUGGESTION)}
    proposed |= {name for name in columns if f"{name}-suggestion" in columns}
    answered = {name for name in columns if name.endswith(RESPONSES)}
    if not proposed and not answered:
        return tuple(rows)
    return tuple(Row(row.place, _joined(row.cells, proposed, answered, names), row.problem) for row in rows)


def _spread(row: Row) -> Row:
    """Return a row with a column for each metadata that one column of the name held."""
    held = row.cells.get("metadata")
    if isinstance(held, str) and held.lstrip().startswith("{"):
        try:
            held = plain(json.loads(held))
        except (ValueError, RecursionError):
            return row
    if not isinstance(held, Mapping):
        return row
    rest = {name: cell for name, cell in row.cells.items() if name != "metadata"}
    return Row(row.place, rest | {f"{METADATA}{name}": cell for name, cell in held.items()}, row.problem)


def _joined(
    cells: Mapping[str, object], proposed: Iterable[str], answered: Iterable[str], people: Mapping[str, str]
) -> dict[str, object]:
    rest = dict(cells)
    for name in proposed:
        # Argilla 1 names them with a hyphen, and keeps agent and score in one column.
        if not name.endswith(SUGGESTION):
            _join_first_version(rest, name, people)
            continue
        agent, score = rest.pop(f"{name}.agent", None), rest.pop(f"{name}.score", None)
        value = rest.pop(name, None)
        if not is_empty(value):
            rest[name] = value if isinstance(value, Proposal) else Proposal(value, str(agent or ""), _number(score))
    for name in answered:
        users, states = as_list(rest.pop(f"{name}.users", None)), as_list(rest.pop(f"{name}.status", None))
        values = rest.pop(name, None)
        if not is_empty(values):
            rest[name] = _answers(as_list(values), users, states, people)
    return rest


def _answers(values: list, users: list, states: list, people: Mapping[str, str]) -> list[Answer]:
    found = []
    for place, value in enumerate(values):
        if isinstance(value, Answer):
            found.append(value)
            continue
        person = str(users[place]) if place < len(users) else f"annotator {place + 1}"
        found.append(
            Answer(people.get(person, person), value, status_of(states[place] if place < len(states) else None))
        )
    return found


def _join_first_version(rest: dict[str, object], name: str, people: Mapping[str, str]) -> None:
    value, more = rest.pop(f"{name}-suggestion", None), rest.pop(f"{name}-suggestion-metadata", None)
    more = more if isinstance(more, Mapping) else {}
    if not is_empty(value):
        rest[f"{name}{SUGGESTION}"] = Proposal(value, str(more.get("agent") or ""), _number(more.get("score")))
    answers = rest.pop(name, None)
    items = [item for item in as_list(answers) if isinstance(item, Mapping) and item.get("value") is not None]
    if items:
        people_of = [str(item.get("user_id") or f"annotator {n}") for n, item in enumerate(items, 1)]
        rest[f"{name}{RESPONSES}"] = [
            Answer(people.get(person, person), item["value"], status_of(item.get("status")))
            for person, item in zip(people_of, items, strict=True)
        ]


def as_list(cell: object) -> list:
    """Return a cell that holds a list, or the JSON text of one, as a list; anything else is a list of itself."""

    if is_empty(cell):
        return []
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        try:
            found = json.loads(cell)
        except ValueError:
            return [cell]
        return found if isinstance(found, list) else [cell]
    return cell if isinstance(cell, list) else [cell]


def status_of(value: object) -> ResponseStatus:
    """Return the status of a response; one that no word says is submitted."""
    return ResponseStatus(value) if value in tuple(ResponseStatus) else ResponseStatus.SUBMITTED


def _number(score: object) -> object:
    if isinstance(score, str):
        try:
            return float(score)
        except ValueError:
            score = as_list(score)
    if isinstance(score, list):
        return score if score and all(isinstance(item, int | float) for item in score) else None
    return score
