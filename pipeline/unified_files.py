"""The unified answers of a dataset as a file: one line for each record."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.annotation.settings import DatasetSettings, QuestionKind
from pipeline.records import Record
from pipeline.spreadsheets import to_csv
from pipeline.unification import Unified


@dataclass(frozen=True, slots=True)
class UnifiedRow:
    """One record with what stands for it; ``hidden`` where its answers may not be shown to who asks."""

    record: Record
    unified: Mapping[str, Unified]
    submitted: int
    reason: str = ""
    hidden: bool = False


def unified_csv(settings: DatasetSettings, rows: Sequence[UnifiedRow]) -> str:
    """Return CSV: record, its fields, and for each question its value, ``.state``, ``.n`` and all answers as ``.given``.

    Ratings have ``.mean`` too. Lists and rankings are JSON, within their cell.
    """
    columns = ["record_id", "external_id", "submitted", *(f"field.{item.name}" for item in settings.fields)]
    for question in settings.questions:
        mean = [f"{question.name}.mean"] if question.kind is QuestionKind.RATING else []
        columns += [question.name, f"{question.name}.state", f"{question.name}.n", *mean, f"{question.name}.given"]
    return to_csv([*columns, "decision_reason"], [_cells(settings, row) for row in rows])


def unified_jsonl(settings: DatasetSettings, rows: Sequence[UnifiedRow]) -> str:
    """Return JSON lines: record, its fields and metadata, and the unified answer to each question."""
    lines = []
    for row in rows:
        answers = {
            name: {"value": item.value, "state": item.state.value, "n": len(item.given), "given": list(item.given)}
            | ({} if item.mean is None else {"mean": item.mean, "median": item.median})
            for name, item in row.unified.items()
        }
        line = {"record_id": row.record.id, "external_id": row.record.external_id, "fields": dict(row.record.fields)}
        line |= {"metadata": dict(row.record.metadata), "submitted": row.submitted}
        line |= {"hidden": True} if row.hidden else {"answers": answers, "decision_reason": row.reason}
        lines.append(json.dumps(line, ensure_ascii=False))
    return "".join(f"{line}\n" for line in lines)


def _cells(settings: DatasetSettings, row: UnifiedRow) -> list[str]:
    record = row.record
    cells = [record.id, record.external_id or "", str(row.submitted)]
    cells += [_cell(record.fields.get(item.name)) for item in settings.fields]
    for question in settings.questions:
        rating = question.kind is QuestionKind.RATING
        if row.hidden:
            cells += ["", "hidden", "", *([""] if rating else []), ""]
            continue
        item = row.unified[question.name]
        mean = ["" if item.mean is None else f"{item.mean:.4g}"] if rating else []
        cells += [_cell(item.value), item.state.value, str(len(item.given)), *mean, _cell(list(item.given))]
    return [*cells, row.reason]


def _cell(value: object) -> str:
    if value is None or value == []:
        return ""
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
