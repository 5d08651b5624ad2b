"""Records as Argilla writes them: nested, of version 2 and version 1, and as its ``to_disk`` folder in a ZIP.

Forms: argilla 2.8, ``records/_io/_json.py`` and ``_generic.py``; argilla-v1 1.29, ``client/feedback/schemas/records.py``.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence

from pipeline.annotation.settings import DatasetSettings, Field, FieldKind, MetadataProperty, Question, QuestionKind
from pipeline.dump import Dump, DumpRecord
from pipeline.errors import RecordError
from pipeline.record_files.rows import (
    DISCARDED,
    METADATA,
    RESPONSES,
    SUGGESTION,
    Answer,
    Proposal,
    Row,
    plain,
    status_of,
)
from pipeline.records import ResponseStatus

SETTINGS, RECORDS, PEOPLE = ".argilla/settings.json", "records.json", ".argilla/people.json"
_KINDS = {QuestionKind.LABEL: "label_selection", QuestionKind.MULTI_LABEL: "multi_label_selection"}
UNSAID = (
    "Argilla's file does not tell drafts and discards from submitted responses: "
    "what answers every required question was read as submitted, the rest as drafts."
)


def is_nested(value: object) -> bool:
    """Say whether a JSON value is a record of Argilla's."""
    return isinstance(value, Mapping) and isinstance(value.get("fields"), Mapping) and "responses" in value


def nested_rows(values: Sequence[tuple[str, object]], people: Mapping[str, str]) -> tuple[tuple[Row, ...], list[str]]:
    """Return the rows of nested records, and what is to be said of them."""
    rows = tuple(_row(place, value, people) for place, value in values)
    second = [
        value for _, value in values if isinstance(value, Mapping) and isinstance(value.get("responses"), Mapping)
    ]
    return rows, [UNSAID] if any(any(value["responses"].values()) for value in second) else []


def _row(place: str, value: object, people: Mapping[str, str]) -> Row:
    if not is_nested(value):
        return Row(place, {}, "it is not a record of Argilla's")
    cells: dict[str, object] = {"id": value.get("id") or value.get("external_id")}
    cells |= {str(name): plain(cell) for name, cell in value["fields"].items()}
    metadata = value.get("metadata")
    if isinstance(metadata, Mapping):
        cells |= {f"{METADATA}{name}": plain(cell) for name, cell in metadata.items()}
    for name, item in _suggestions(value.get("suggestions")):
        if item.get("value") is not None:
            agent = str(item.get("agent") or "")
            cells[f"{name}{SUGGESTION}"] = Proposal(plain(item["value"]), agent, plain(item.get("score")))
    for name, answer in _answers(value.get("responses"), people):
        cells.setdefault(f"{name}{RESPONSES}" if name else DISCARDED, []).append(answer)
    return Row(place, cells)


def _suggestions(items: object) -> list[tuple[str, Mapping]]:
    if isinstance(items, Mapping):
        return [(str(name), item) for name, item in items.items() if isinstance(item, Mapping)]
    rows = items if isinstance(items, list) else []
    return [
        (str(item["question_name"]), item) for item in rows if isinstance(item, Mapping) and "question_name" in item
    ]


def _answers(items: object, people: Mapping[str, str]) -> list[tuple[str, Answer]]:
    found = []
    if isinstance(items, Mapping):
        for name, answers in items.items():
            for number, item in enumerate(answers if isinstance(answers, list) else [], 1):
                person = _person(item, number, people)
                status, told = status_of(item.get("status")), item.get("status") is not None
                found.append((str(name), Answer(person, plain(item.get("value")), status, told=told)))
        return found
    for number, item in enumerate(items if isinstance(items, list) else [], 1):
        values = item.get("values") if isinstance(item, Mapping) else None
        # Argilla 1 took a list of mappings too.
        merged = {k: v for part in values for k, v in part.items()} if isinstance(values, list) else values or {}
        person, status = _person(item, number, people), status_of(item.get("status"))
        if not merged and status is ResponseStatus.DISCARDED:
            found.append(("", Answer(person, None, status)))
        for name, held in merged.items():
            value = held.get("value") if isinstance(held, Mapping) else held
            found.append((str(name), Answer(person, plain(value), status)))
    return found


def _person(item: object, number: int, people: Mapping[str, str]) -> str:
    if not isinstance(item, Mapping):
        raise RecordError("A response in this file is not an object.")
    user = str(item.get("user_id") or f"annotator {number}")
    return people.get(user, user)


def write(dump: Dump) -> dict[str, str]:
    """Return the files of a dataset as ``Dataset.to_disk`` of Argilla 2.8 writes them, and whose ids its users' are.

    Only submitted responses are in it, because its form has no place for the others. Of tied ranks the order of the options
    decides.
    """
    records = [_record(dump.settings, record) for record in dump.records]
    people = {_user(person): person for record in dump.records for person in record.people}
    dataset = {"name": dump.name[:200], "guidelines": dump.settings.guidelines or None, "allow_extra_metadata": True}
    return {
        SETTINGS: _json(settings_json(dump.settings)),
        ".argilla/dataset.json": _json(dataset),
        RECORDS: _json(records),
        PEOPLE: _json(people),
    }


def settings_json(settings: DatasetSettings) -> dict[str, object]:
    """Return settings as ``Settings.to_json`` of Argilla 2.8 writes them; passages become Markdown."""
    return {
        "guidelines": settings.guidelines or None,
        "questions": [_question(item) for item in settings.questions],
        "fields": [_field(item) for item in settings.fields],
        "vectors": [],
        "metadata": [_property(item) for item in settings.metadata],
        "allow_extra_metadata": True,
        "distribution": {"strategy": "overlap", "min_submitted": settings.distribution.min_submitted},
        "mapping": None,
    }


def _question(item: Question) -> dict[str, object]:
    kind = _KINDS.get(item.kind, item.kind.value)
    settings: dict[str, object] = {"type": kind}
    if item.kind is QuestionKind.TEXT:
        settings["use_markdown"] = False
    elif item.kind is QuestionKind.RATING:
        settings["options"] = [{"value": value} for value in item.values]
    else:
        settings["options"] = [{"text": option.shown, "value": option.value} for option in item.options]
    more = {"description": item.description or None, "required": item.required, "type": kind}
    return {"name": item.name, "settings": settings, "title": item.heading, **more}


def _field(item: Field) -> dict[str, object]:
    kind = "chat" if item.kind is FieldKind.CHAT else "text"
    settings = {"type": kind, "use_markdown": item.kind is not FieldKind.TEXT}
    return {"name": item.name, "settings": settings, "title": item.heading, "required": item.required, "type": kind}


def _property(item: MetadataProperty) -> dict[str, object]:
    settings: dict[str, object] = {"visible_for_annotators": item.visible, "type": item.kind.value}
    settings |= {"values": list(item.terms) or None} if item.kind.value == "terms" else _bounds(item)
    return {"name": item.name, "settings": settings, "title": item.heading, "visible_for_annotators": item.visible}


def _bounds(item: MetadataProperty) -> dict[str, object]:
    bounds = {"min": item.low, "max": item.high}
    return {name: int(v) if v is not None and item.kind.value == "integer" else v for name, v in bounds.items()}


def _record(settings: DatasetSettings, record: DumpRecord) -> dict[str, object]:
    fields = {}
    for field in settings.fields:
        value = record.fields.get(field.name)
        if value is not None:
            fields[field.name] = markdown(value) if field.kind is FieldKind.CONTEXTS else value
    responses: dict[str, list] = {}
    for response in record.responses:
        if response.status is ResponseStatus.SUBMITTED:
            for name, value in response.values.items():
                answer = {"value": _value(settings.question(name), value), "user_id": _user(response.person)}
                responses.setdefault(name, []).append(answer)
    suggestions = {
        item.question: {
            "value": _value(settings.question(item.question), item.value),
            "score": item.score,
            "agent": item.agent or None,
        }
        for item in record.suggestions
    }
    more = {"suggestions": suggestions, "responses": responses, "vectors": {}, "_server_id": None}
    return {"id": record.key, "fields": fields, "metadata": dict(record.metadata), **more}


def _value(question: Question | None, value: object) -> object:
    if question is not None and question.kind is QuestionKind.RANKING and isinstance(value, list):
        return [row["value"] for row in sorted(value, key=lambda row: row["rank"])]
    return value


def markdown(passages: object) -> str:
    """Return passages as a numbered list in Markdown."""
    rows = [(row.get("title") or "", row.get("text", "")) for row in passages] if isinstance(passages, list) else []
    return "\n\n".join(
        f"{n}. **{title}** {text}" if title else f"{n}. {text}" for n, (title, text) in enumerate(rows, 1)
    )


def _user(person: str) -> str:
    """Return the id that Argilla wants for a person: the same name has the same one."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"pairloop:{person}"))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
