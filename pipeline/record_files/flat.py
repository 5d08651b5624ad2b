"""A dataset as one flat table: a row for each record, or for each response. Column names are those of Argilla's flat form."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime

from pipeline.annotation.settings import DatasetSettings
from pipeline.dump import Dump, DumpRecord, DumpResponse
from pipeline.record_files.rows import METADATA, RESPONSES, SUGGESTION
from pipeline.spreadsheets import to_csv

Row = dict[str, object]
# Columns that every such table may have; fields and questions that are named as one of them are told apart by an ending.
OWN = (
    "id", "annotator", "status", "seconds", "reason", "created_at", "updated_at", "prefilled", "guidelines_version",
)  # fmt: skip


def record_rows(dump: Dump) -> list[Row]:
    """Return a row for each record, with its suggestions and everybody's submitted, discarded and begun responses."""
    return [_record(dump.settings, record) for record in dump.records]


def _shown(settings: DatasetSettings, record: DumpRecord) -> Row:
    row: Row = {"id": record.key}
    for field in settings.fields:
        row[f"{field.name}.field" if field.name in OWN else field.name] = record.fields.get(field.name)
    return row | {f"{METADATA}{name}": value for name, value in record.metadata.items()}


def _record(settings: DatasetSettings, record: DumpRecord) -> Row:
    row = _shown(settings, record)
    proposed = {item.question: item for item in record.suggestions}
    for question in settings.questions:
        name, item = question.name, proposed.get(question.name)
        row[f"{name}{SUGGESTION}"] = item.value if item else None
        row[f"{name}{SUGGESTION}.agent"] = item.agent or None if item else None
        row[f"{name}{SUGGESTION}.score"] = item.score if item else None
        given = [response for response in record.responses if name in response.values]
        row[f"{name}{RESPONSES}"] = [response.values[name] for response in given]
        row[f"{name}{RESPONSES}.users"] = [response.person for response in given]
        row[f"{name}{RESPONSES}.status"] = [response.status.value for response in given]
    return row


def response_rows(dump: Dump) -> list[Row]:
    """Return a row for each response, with what was shown."""
    return [_response(dump.settings, record, item) for record in dump.records for item in record.responses]


def _response(settings: DatasetSettings, record: DumpRecord, response: DumpResponse) -> Row:
    row = _shown(settings, record)
    # A question may be named as a field is.
    row |= {_free(row, question.name): response.values.get(question.name) for question in settings.questions}
    return row | _about(response)


def _about(response: DumpResponse) -> Row:
    return {
        "annotator": response.person,
        "status": response.status.value,
        "seconds": response.seconds,
        "reason": response.reason or None,
        "created_at": _moment(response.created_at),
        "updated_at": _moment(response.updated_at),
        "prefilled": response.prefilled,
        "guidelines_version": response.guidelines_version,
    }


def _free(row: Row, name: str) -> str:
    return f"{name}.answer" if name in row or name in OWN else name


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def csv_text(rows: Sequence[Row]) -> str:
    """Return rows as CSV; lists are JSON, and what would run as a formula gets an apostrophe."""
    columns = _columns(rows)
    return to_csv(columns, ([_text(row.get(name)) for name in columns] for row in rows))


def _text(value: object) -> str:
    if value is None or value == []:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def parquet(rows: Sequence[Row]) -> bytes:
    """Return rows as Parquet: numbers and truth values as such where a column has nothing else, lists as JSON."""
    import pyarrow
    from pyarrow.parquet import write_table

    columns = {name: [row.get(name) for row in rows] for name in _columns(rows)}
    file = io.BytesIO()
    write_table(pyarrow.table({name: _array(values) for name, values in columns.items()}), file)
    return file.getvalue()


def _array(values: list[object]):
    import pyarrow

    kinds = {type(value) for value in values if value is not None}
    for allowed, arrow in (({bool}, pyarrow.bool_()), ({int}, pyarrow.int64()), ({int, float}, pyarrow.float64())):
        if kinds and kinds <= allowed:
            return pyarrow.array(values, arrow)
    return pyarrow.array([None if value is None or value == [] else _text(value) for value in values], pyarrow.string())
