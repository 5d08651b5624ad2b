"""A dataset as tasks of Label Studio with its labelling configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from pipeline.annotation.settings import DatasetSettings, Field, FieldKind, Question, QuestionKind
from pipeline.dump import Dump, DumpRecord, DumpResponse
from pipeline.record_files.label_config import options_key
from pipeline.record_files.label_config import write as write_config
from pipeline.records import ResponseStatus

TASKS, CONFIG = "tasks.json", "label_config.xml"
_TYPES = {
    QuestionKind.TEXT: ("textarea", "text"),
    QuestionKind.RATING: ("rating", "rating"),
    QuestionKind.LABEL: ("choices", "choices"),
    QuestionKind.MULTI_LABEL: ("choices", "choices"),
    QuestionKind.RANKING: ("ranker", "ranker"),
}


def write(dump: Dump) -> dict[str, str]:
    """Return the tasks and the configuration as files by name. Ties of a ranking are told by the order of the options alone."""
    tasks = [_task(dump.settings, record) for record in dump.records]
    return {TASKS: json.dumps(tasks, ensure_ascii=False), CONFIG: write_config(dump.settings)}


def _task(settings: DatasetSettings, record: DumpRecord) -> dict[str, object]:
    data = {field.name: _shown(field, record.fields.get(field.name)) for field in settings.fields}
    for question in settings.questions:
        if question.kind is QuestionKind.RANKING:
            items = [{"id": str(option.value), "title": option.shown} for option in question.options]
            data[options_key(question.name)] = items
    ended = [response for response in record.responses if response.status is not ResponseStatus.DRAFT]
    drafts = [response for response in record.responses if response.status is ResponseStatus.DRAFT]
    return {
        "id": record.number,
        "data": {name: value for name, value in data.items() if value is not None} | _id(record),
        "meta": dict(record.metadata),
        "annotations": [_annotation(settings, response) for response in ended],
        "drafts": [_annotation(settings, response) for response in drafts],
        "predictions": [
            {
                "model_version": item.agent,
                **({"score": item.score} if isinstance(item.score, int | float) else {}),
                "result": _results(settings, {item.question: item.value}),
            }
            for item in record.suggestions
        ],
    }


def _id(record: DumpRecord) -> dict[str, object]:
    return {"external_id": record.external_id} if record.external_id is not None else {}


def _shown(field: Field, value: object) -> object:
    if field.kind is FieldKind.CONTEXTS and isinstance(value, list):
        rows = [(n, row) for n, row in enumerate(value) if isinstance(row, Mapping)]
        return [{"id": str(n), "title": row.get("title") or "", "body": row.get("text", "")} for n, row in rows]
    return value


def _annotation(settings: DatasetSettings, response: DumpResponse) -> dict[str, object]:
    return {
        "result": _results(settings, response.values),
        "was_cancelled": response.status is ResponseStatus.DISCARDED,
        "completed_by": {"first_name": response.person},
        "lead_time": response.seconds,
        "created_at": _moment(response.created_at),
        "updated_at": _moment(response.updated_at),
    }


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def _results(settings: DatasetSettings, values: Mapping[str, object]) -> list[dict[str, object]]:
    target = next((f.name for f in settings.fields if f.kind in (FieldKind.TEXT, FieldKind.MARKDOWN)), None)
    results = []
    for name, value in values.items():
        question = settings.question(name)
        if question is None or value in ("", []):
            continue
        kind, key = _TYPES[question.kind]
        to = options_key(name) if question.kind is QuestionKind.RANKING else target or settings.fields[0].name
        results.append({"from_name": name, "to_name": to, "type": kind, "value": {key: _value(question, value)}})
    return results


def _value(question: Question, value: object) -> object:
    if question.kind is QuestionKind.RANKING and isinstance(value, list):
        return {question.name: [row["value"] for row in sorted(value, key=lambda row: row["rank"])]}
    return value if question.kind in (QuestionKind.RATING, QuestionKind.MULTI_LABEL) else [value]
