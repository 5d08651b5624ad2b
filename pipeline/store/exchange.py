"""Whole datasets out of the store and into it, and records with the responses that came with them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from pipeline.dump import Dump, DumpDecision, DumpRecord, DumpResponse, DumpVersion
from pipeline.naming import free_name
from pipeline.records import Record, ResponseStatus, id_of
from pipeline.store.datasets import Dataset, NewRecord, add_dataset, put_records
from pipeline.store.engine import Database
from pipeline.store.outbox import rows_by_id
from pipeline.store.rows import history_line, put
from pipeline.store.schema import adjudications, guideline_versions, members, records, response_history, responses

_MAX_NAME = 70


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What became of records: new, in the place of others, with so many responses, and so many that were left out."""

    new: int
    replaced: int
    responses: int
    left: int


class ExchangeStore:
    """Reads and writes everything of a dataset at once."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def whole(self, dataset: Dataset, shown: Sequence[Record], guidelines: Mapping[int, str]) -> Dump:
        """Return a dataset with everything that belongs to its records, which are given as they are shown."""
        inside = records.c.dataset_id == dataset.id
        past = select(response_history).select_from(response_history.join(responses).join(records)).where(inside)
        with self._db.read() as connection:
            times = connection.execute(select(records.c.id, records.c.created_at).where(inside))
            made = {row.id: row.created_at for row in times}
            names = {row.id: row.name for row in connection.execute(select(members.c.id, members.c.name))}
            given = _by(connection, select(responses).select_from(responses.join(records)).where(inside), "record_id")
            before = _by(connection, past, "response_id")
            decided = select(adjudications).select_from(adjudications.join(records)).where(inside)
            decisions = _by(connection, decided, "record_id")
        people = _people([record.id for record in shown], given, decisions, names)
        dumped = (
            _record(
                number, record, made[record.id], given.get(record.id, []), decisions.get(record.id, []), before, people
            )
            for number, record in enumerate(shown, 1)
        )
        return Dump(dataset.name, dataset.settings, tuple(dumped), dataset.published, guidelines)

    def add_whole(self, name: str, dump: Dump, people: Mapping[str, str]) -> str:
        """Store a dataset as it is in ``dump``, in one transaction; ``people`` are members by name. Return its id."""
        with self._db.write() as connection:
            dataset_id = add_dataset(connection, name, dump.settings, "", None, dump.published)
            current = dump.settings.guidelines_version
            older = [
                {"id": id_of("guidelines", dataset_id, str(version)), "dataset_id": dataset_id, "version": version}
                | {"text": text, "created_at": 0.0}
                for version, text in dump.guidelines.items()
                if version != current
            ]
            put(connection, guideline_versions, older)
            incoming = [
                NewRecord(r.fields, r.metadata, r.suggestions, r.external_id, r.created_at) for r in dump.records
            ]
            ids, _ = put_records(connection, dataset_id, incoming)
            pairs = list(zip(ids, dump.records, strict=True))
            _put_responses(connection, ((i, item) for i, record in pairs for item in record.responses), people)
            put(connection, adjudications, [
                _decision_row(record_id, item, people) for record_id, record in pairs for item in record.decisions
            ])  # fmt: skip
        return dataset_id

    def add(
        self, dataset_id: str, incoming: Sequence[tuple[NewRecord, Sequence[DumpResponse]]], people: Mapping[str, str]
    ) -> TakenIn:
        """Store records with responses, in one transaction; a person's response that is here already stands."""
        with self._db.write() as connection:
            ids, replaced = put_records(connection, dataset_id, [record for record, _ in incoming])
            pairs = ((i, item) for i, (_, items) in zip(ids, incoming, strict=True) for item in items)
            added, left = _put_responses(connection, pairs, people)
        return TakenIn(len(ids) - replaced, replaced, added, left)


def _by(connection: Connection, query, column: str) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for row in connection.execute(query).mappings():
        found.setdefault(row[column], []).append(dict(row))
    return found


def _people(
    ids: Sequence[str], given: Mapping[str, list[dict]], decisions: Mapping[str, list[dict]], names: Mapping[str, str]
) -> dict[str, str]:
    """Return a name for each member that nobody else has, whatever ids they have here."""
    called: dict[str, str] = {}
    for record_id in ids:
        rows = [(row["annotator_id"], row) for row in given.get(record_id, [])]
        rows += [(row["member_id"], row) for row in decisions.get(record_id, [])]
        for member_id, _ in sorted(rows, key=lambda pair: (pair[1]["created_at"], names[pair[0]], _content(pair[1]))):
            if member_id not in called:
                called[member_id] = free_name(names[member_id][:_MAX_NAME], set(called.values()))
    return called


def _content(row: Mapping[str, object]) -> str:
    return json.dumps([row["updated_at"], row["values"]], sort_keys=True)


def _record(
    number: int,
    record: Record,
    created_at: float | None,
    given: Sequence[dict],
    decisions: Sequence[dict],
    before: Mapping[str, list[dict]],
    people: Mapping[str, str],
) -> DumpRecord:
    answers = [_response(row, before.get(row["id"], []), people) for row in given]
    decided = [
        DumpDecision(
            people[row["member_id"]],
            row["values"],
            row["reason"],
            row["created_at"],
            row["updated_at"],
            row["withdrawn_at"],
        )
        for row in decisions
    ]
    return DumpRecord(
        number=number,
        fields={name: _passages(value) for name, value in record.fields.items()},
        metadata=record.metadata,
        suggestions=tuple(sorted(record.suggestions.values(), key=lambda item: item.question)),
        external_id=record.external_id,
        created_at=created_at,
        responses=tuple(sorted(answers, key=lambda item: (item.created_at, item.person))),
        decisions=tuple(sorted(decided, key=lambda item: (item.created_at, item.person, item.updated_at))),
    )


def _passages(value: object) -> object:
    """Return the contexts of a run's record as passages of a field; other values as they are."""
    if not isinstance(value, list) or not all(isinstance(item, Mapping) and "chunk_id" in item for item in value):
        return value
    return [
        {"text": item["text"], "title": item["document_name"], "score": float(item["score"])}
        if item["document_name"]
        else {"text": item["text"], "score": float(item["score"])}
        for item in value
    ]


def _known(values: Mapping[str, object]) -> dict[str, object]:
    """Return values without those that are none: the first version wrote them down."""
    return {name: value for name, value in values.items() if value is not None and value != []}


def _response(row: Mapping, before: Sequence[Mapping], people: Mapping[str, str]) -> DumpResponse:
    history = [
        DumpVersion(
            ResponseStatus(item["status"]),
            _known(item["values"]),
            item["at"],
            item["marks"] or {},
            item["reason"] or "",
        )
        for item in before
    ]
    names = ("created_at", "updated_at", "seconds", "edits", "prefilled", "guidelines_version", "reopened_at")
    return DumpResponse(
        person=people[row["annotator_id"]],
        status=ResponseStatus(row["status"]),
        values=_known(row["values"]),
        marks=row["marks"] or {},
        reason=row["reason"] or "",
        history=tuple(
            sorted(history, key=lambda item: (item.at, item.status, json.dumps(item.values, sort_keys=True)))
        ),
        **{name: row[name] for name in names},
    )


def _put_responses(
    connection: Connection, items: Iterable[tuple[str, DumpResponse]], people: Mapping[str, str]
) -> tuple[int, int]:
    """Store responses with their history; return how many, and how many were left out for one that stands here."""
    rows = {}
    for record_id, item in items:
        row = _response_row(record_id, item, people)
        rows[row["id"]] = (row, item)
    stored = rows_by_id(connection, responses, list(rows))
    new = [(row, item) for row, item in rows.values() if row["id"] not in stored]
    put(connection, responses, [row for row, _ in new])
    lines = {line["id"]: line for row, item in new for line in _lines(row["id"], item)}
    put(connection, response_history, list(lines.values()))
    return len(new), len(rows) - len(new)


def _response_row(record_id: str, item: DumpResponse, people: Mapping[str, str]) -> dict[str, object]:
    annotator_id = people[item.person]
    names = ("created_at", "updated_at", "seconds", "edits", "prefilled", "guidelines_version", "reopened_at")
    return {
        "id": id_of("response", record_id, annotator_id),
        "record_id": record_id,
        "annotator_id": annotator_id,
        "status": item.status.value,
        "values": dict(item.values),
        "marks": dict(item.marks) or None,
        "reason": item.reason or None,
        **{name: getattr(item, name) for name in names},
    }


def _lines(response_id: str, item: DumpResponse) -> list[dict[str, object]]:
    return [
        history_line(
            {
                "id": response_id,
                "status": version.status.value,
                "values": dict(version.values),
                "updated_at": version.at,
                "marks": dict(version.marks) or None,
                "reason": version.reason or None,
            }
        )
        for version in item.history
    ]


def _decision_row(record_id: str, item: DumpDecision, people: Mapping[str, str]) -> dict[str, object]:
    member_id = people[item.person]
    names = ("reason", "created_at", "updated_at", "withdrawn_at")
    return {
        "id": id_of("adjudication", record_id),
        "record_id": record_id,
        "member_id": member_id,
        "values": dict(item.values),
        **{name: getattr(item, name) for name in names},
    }
