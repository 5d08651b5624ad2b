"""Where the columns of a file go, and the records and responses that come of it.

A target is a text: ``field:<name>``, ``suggestion:<question>``, ``response:<question>``, ``metadata:<name>``, ``id``, ``person``,
``status``, ``discarded``, or "" for a column that is left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.annotation.contents import MAX_EXTERNAL_ID, check_fields, check_metadata, check_suggestion
from pipeline.annotation.settings import DatasetSettings
from pipeline.annotation.values import check_values
from pipeline.cleaning import clean
from pipeline.dump import DumpResponse
from pipeline.errors import RecordError
from pipeline.record_files.conversion import as_text, field_value, metadata_value, question_value
from pipeline.record_files.rows import (
    DISCARDED,
    METADATA,
    RESPONSES,
    SUGGESTION,
    Answer,
    Proposal,
    Row,
    Source,
    is_empty,
    status_of,
)
from pipeline.records import ResponseStatus, Suggestion
from pipeline.store.datasets import NewRecord

NOTHING, ID, PERSON, STATUS, DISCARDS = "", "id", "person", "status", "discarded"
MAX_PERSON = 80
_IDS = ("externalid", "id", "recordid", "uuid")
Mapped = Mapping[str, str]
# Column, kind of its target, and the name in it.
Plan = Sequence[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Incoming:
    """A record that can be stored, with the responses to it, and where in the file it stands."""

    place: str
    record: NewRecord
    responses: tuple[DumpResponse, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that cannot be taken in, and why."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """What comes of a file: the records that are right, the rows that are not, and what is to be said besides."""

    records: tuple[Incoming, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()


def targets(settings: DatasetSettings, column: str = "") -> list[tuple[str, str]]:
    """Return the (label, target) choices for a column."""
    choices = [("Leave out", NOTHING), ("Record id", ID)]
    choices += [(f"Field: {field.heading}", f"field:{field.name}") for field in settings.fields]
    choices += [(f"Suggestion: {item.heading}", f"suggestion:{item.name}") for item in settings.questions]
    choices += [(f"Answer: {item.heading}", f"response:{item.name}") for item in settings.questions]
    names = [item.name for item in settings.metadata]
    choices += [(f"Metadata: {item.heading}", f"metadata:{item.name}") for item in settings.metadata]
    own = column.removeprefix(METADATA).strip()
    if own and own not in names:
        choices.append((f"Metadata: {own} (kept, not shown)", f"metadata:{own}"))
    return [*choices, ("Who answered", PERSON), ("Status of the answer", STATUS), ("Who discarded it", DISCARDS)]


def propose(settings: DatasetSettings, source: Source) -> dict[str, str]:
    """Return a target for each column, by its name: case, blanks, hyphens and underscores do not matter."""
    taken: set[str] = set()
    mapped: dict[str, str] = {}
    # An id that somebody gave says more than one that a tool has counted.
    ids = sorted((c for c in source.columns if _plain(c) in _IDS), key=lambda column: _IDS.index(_plain(column)))
    for column in source.columns:
        wanted = [target for target in _wanted(settings, column) if target not in taken]
        wanted = [target for target in wanted if target != ID or column == ids[0]]
        mapped[column] = next(iter(wanted), NOTHING)
        taken |= {mapped[column]}
        taken.discard(NOTHING)
    _fill_only_field(settings, source, mapped)
    if PERSON in mapped.values():
        # Where it is said who answered, a column named as a question holds answers.
        for column, target in mapped.items():
            if target.startswith("suggestion:") and not column.endswith(SUGGESTION):
                mapped[column] = f"response:{target.partition(':')[2]}"
            elif not target and _plain(column) == STATUS:
                mapped[column] = STATUS
    return mapped


def _wanted(settings: DatasetSettings, column: str) -> list[str]:
    fields = {_plain(name): item.name for item in settings.fields for name in (item.title, item.name) if name}
    questions = {_plain(name): item.name for item in settings.questions for name in (item.title, item.name) if name}
    properties = {_plain(name): item.name for item in settings.metadata for name in (item.title, item.name) if name}
    for ending, kind in ((SUGGESTION, "suggestion"), (RESPONSES, "response")):
        if column.endswith(ending):
            question = questions.get(_plain(column.removesuffix(ending)))
            return [f"{kind}:{question}"] if question else []
    if column == DISCARDED:
        return [DISCARDS]
    name = _plain(column)
    if column.startswith(METADATA):
        own = column.removeprefix(METADATA)
        return [f"metadata:{properties.get(_plain(own), own)}"]
    found = [f"field:{fields[name]}"] if name in fields else []
    found += [f"metadata:{properties[name]}"] if name in properties else []
    found += [f"suggestion:{questions[name]}"] if name in questions else []
    found += [ID] if name in _IDS else []
    found += [PERSON] if name in ("annotator", "annotatedby", "user", "completedby") else []
    return found


def _fill_only_field(settings: DatasetSettings, source: Source, mapped: dict[str, str]) -> None:
    """Let the only column of texts that is left go to the only required field that is left."""
    used = set(mapped.values())
    fields = [
        f"field:{field.name}" for field in settings.fields if field.required and f"field:{field.name}" not in used
    ]
    free = [column for column, target in mapped.items() if not target and not column.endswith((SUGGESTION, RESPONSES))]
    if len(fields) == 1 and len(free) == 1:
        mapped[free[0]] = fields[0]


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-.]+", "", name).casefold()


def check_mapping(settings: DatasetSettings, mapped: Mapped) -> None:
    """Check that every required field has a column, and nothing has two.

    Raises:
        RecordError: it is not so; the message says what to do.
    """
    counts = Counter(target for target in mapped.values() if target and not target.startswith("response:"))
    twice = [target for target, count in counts.items() if count > 1]
    if twice:
        columns = [column for column, target in mapped.items() if target == twice[0]]
        raise RecordError(
            f"The columns {' and '.join(map(repr, columns))} go to the same place. Leave one of them out."
        )
    missing = [field for field in settings.fields if field.required and f"field:{field.name}" not in counts]
    if missing:
        names = ", ".join(f"“{field.heading}”" for field in missing)
        raise RecordError(f"Choose the column for {names}: every record needs it.")


def convert(settings: DatasetSettings, source: Source, mapped: Mapped) -> Prepared:
    """Return the records of a file, and the rows that are wrong.

    Raises:
        RecordError: a required field has no column, or something has two.
    """
    check_mapping(settings, mapped)
    plan = [(column, *_split(target)) for column, target in mapped.items() if target]
    good: list[Incoming] = []
    problems: list[Problem] = []
    for row in source.rows:
        try:
            if row.problem:
                raise RecordError(row.problem[:1].upper() + row.problem[1:] + ".")
            good.append(_incoming(settings, row, plan))
        except RecordError as error:
            problems.append(Problem(row.place, str(error)))
    merged, notes = _merged(good)
    return Prepared(tuple(merged), tuple(problems), (*source.notes, *notes))


def _split(target: str) -> tuple[str, str]:
    kind, _, name = target.partition(":")
    return kind, name


def _incoming(settings: DatasetSettings, row: Row, plan: Plan) -> Incoming:
    fields, metadata, suggestions = {}, {}, []
    external_id = None
    for column, kind, name in plan:
        cell = row.cells.get(column)
        if is_empty(cell):
            continue
        if kind == "field":
            fields[name] = field_value(_of(settings.field, name), _bare(cell))
        elif kind == "metadata":
            metadata[name] = metadata_value(settings.metadata_property(name), _bare(cell))
        elif kind == "suggestion":
            suggestions.append(_suggestion(settings, name, cell))
        elif kind == ID:
            external_id = clean(as_text(_bare(cell))).strip()
    if external_id is not None and len(external_id) > MAX_EXTERNAL_ID:
        raise RecordError(f"Its id has {len(external_id):,} characters; {MAX_EXTERNAL_ID} are the limit.")
    record = NewRecord(
        check_fields(settings, fields), check_metadata(settings, metadata), suggestions, external_id or None
    )
    return Incoming(row.place, record, tuple(_responses(settings, row, plan)))


def _of(get: Callable, name: str):
    found = get(name)
    if found is None:
        raise RecordError(f"This dataset has no {name!r}. Choose another place for that column.")
    return found


def _bare(cell: object) -> object:
    """Return a suggestion or answers as the plain value, where somebody wants them as a field."""
    if isinstance(cell, Proposal):
        return cell.value
    if isinstance(cell, list) and cell and all(isinstance(item, Answer) for item in cell):
        values = [item.value for item in cell]
        return values[0] if len(values) == 1 else [as_text(value) for value in values]
    return cell


def _suggestion(settings: DatasetSettings, name: str, cell: object) -> Suggestion:
    proposal = cell if isinstance(cell, Proposal) else Proposal(_bare(cell))
    value = question_value(_of(settings.question, name), proposal.value)
    agent, score = clean(proposal.agent)[:200], proposal.score
    return Suggestion(name, check_suggestion(settings, name, value, agent, score), agent, score)


def _responses(settings: DatasetSettings, row: Row, plan: Plan) -> list[DumpResponse]:
    single = {kind: row.cells.get(column) for column, kind, _ in plan if kind in (PERSON, STATUS)}
    person, status = single.get(PERSON), status_of(single.get(STATUS))
    given: dict[str, list[tuple[str, Answer]]] = {}
    for column, kind, name in plan:
        cell = row.cells.get(column)
        if kind not in ("response", DISCARDS) or is_empty(cell):
            continue
        answers = cell if isinstance(cell, list) and all(isinstance(item, Answer) for item in cell) else None
        if answers is None:
            who = as_text(person) if not is_empty(person) else "imported"
            answers = [Answer(as_text(cell), None, ResponseStatus.DISCARDED)] if kind == DISCARDS else [
                Answer(who, _bare(cell), status)
            ]  # fmt: skip
        for answer in answers:
            given.setdefault(_name(answer.person), []).append((name, answer))
    return [_response(settings, who, answers) for who, answers in given.items()]


def _response(settings: DatasetSettings, person: str, answers: Sequence[tuple[str, Answer]]) -> DumpResponse:
    first = answers[0][1]
    values = {name: question_value(_of(settings.question, name), answer.value) for name, answer in answers if name}
    status = first.status if first.told or _is_complete(settings, values) else ResponseStatus.DRAFT
    try:
        checked = check_values(settings, values, status is ResponseStatus.SUBMITTED)
    except RecordError as error:
        raise RecordError(f"The answers of {person}: {error}") from error
    moment = max((answer.updated_at or 0.0 for _, answer in answers), default=0.0)
    return DumpResponse(
        person=person,
        status=status,
        values=checked,
        created_at=first.created_at or moment,
        updated_at=moment or first.created_at or 0.0,
        seconds=first.seconds,
    )


def _is_complete(settings: DatasetSettings, values: Mapping[str, object]) -> bool:
    return all(values.get(question.name) is not None for question in settings.questions if question.required)


def _name(person: str) -> str:
    return " ".join(clean(person).split())[:MAX_PERSON] or "unknown annotator"


def _merged(records: Sequence[Incoming]) -> tuple[list[Incoming], list[str]]:
    """Return one record for each id: the last, with the responses of all rows of this id."""
    found: dict[str, Incoming] = {}
    for number, item in enumerate(records):
        key = item.record.external_id
        before = found.get(f"id {key}") if key is not None else None
        if before is None:
            found[f"row {number}" if key is None else f"id {key}"] = item
            continue
        people = {response.person: response for response in (*before.responses, *item.responses)}
        found[f"id {key}"] = Incoming(item.place, item.record, tuple(people.values()))
    more = len(records) - len(found)
    which = "1 row has" if more == 1 else f"{more:,} rows have"
    said = f"{which} the id of an earlier row: of each id the last row counts, with the answers of all."
    return list(found.values()), [said] if more else []
