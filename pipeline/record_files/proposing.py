"""Settings proposed for the rows of a file, to begin a new dataset with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.annotation.argilla import plain_name
from pipeline.annotation.settings import (
    DatasetSettings,
    Field,
    FieldKind,
    MetadataKind,
    MetadataProperty,
    Option,
    Question,
    QuestionKind,
)
from pipeline.record_files.conversion import as_text, unpacked
from pipeline.record_files.rows import METADATA, RESPONSES, SUGGESTION, Answer, Proposal, Source, is_empty

_LABELS = 20
_SHORT = 60
_MARKDOWN = ("\n# ", "\n- ", "**", "```", "\n1. ", "](")
_IDS = ("id", "external_id", "uuid", "record_id", "discarded.by")
_PARTS = 40


def propose_settings(source: Source) -> DatasetSettings:
    """Return settings that fit the rows: texts are fields, few short words are labels, numbers are metadata.

    They are a beginning for a person to change, and may have no question.
    """
    if source.settings is not None:
        return source.settings
    cells = {column: _cells(source, column) for column in source.columns}
    cells = {column: values for column, values in cells.items() if values}
    answers = _by_question(cells)
    fields: list[Field] = []
    questions: dict[str, Question] = {}
    metadata: list[MetadataProperty] = []
    for column, values in cells.items():
        asked = _asked(column)
        if column.casefold() in _IDS:
            continue
        if asked != column:
            questions.setdefault(plain_name(asked), _question(plain_name(asked), answers[plain_name(asked)]))
        elif column.startswith(METADATA):
            metadata.append(_property(column.removeprefix(METADATA), values))
        elif (label := _label(column, values)) is not None:
            questions.setdefault(label.name, label)
        elif all(isinstance(value, int | float) for value in values):
            metadata.append(_property(column, values))
        else:
            full = len(values) == len(source.rows)
            fields.append(Field(plain_name(column), _field_kind(values), _title(column), required=full))
    names = {question.name for question in questions.values()}
    fields = [field for field in fields if field.name not in names][:_PARTS]
    if fields and not any(field.required for field in fields):
        fields[0] = Field(fields[0].name, fields[0].kind, fields[0].title)
    unique = {item.name: item for item in metadata}
    return DatasetSettings(
        tuple({field.name: field for field in fields}.values()),
        tuple(questions.values()),
        metadata=tuple(unique.values()),
    )


def _asked(column: str) -> str:
    return column.removesuffix(SUGGESTION).removesuffix(RESPONSES)


def _by_question(cells: Mapping[str, Sequence[object]]) -> dict[str, list[object]]:
    """Return all answers to each question: what models suggest, and what people say, may be different options of it."""
    found: dict[str, list[object]] = {}
    for column, values in cells.items():
        if (asked := _asked(column)) != column:
            found.setdefault(plain_name(asked), []).extend(_answers(values))
    return found


def _title(column: str) -> str:
    return "" if plain_name(column) == column else column[:500]


def _cells(source: Source, column: str) -> list[object]:
    cells = [unpacked(row.cells.get(column)) for row in source.rows]
    return [cell for cell in cells if not is_empty(cell)]


def _field_kind(values: Sequence[object]) -> FieldKind:
    first = values[0]
    if isinstance(first, list) and first:
        rows = [item for item in first if isinstance(item, Mapping)]
        chat = rows and all({"role", "content"} <= item.keys() or {"from", "value"} <= item.keys() for item in rows)
        return FieldKind.CHAT if chat else FieldKind.CONTEXTS
    texts = [value for value in values[:200] if isinstance(value, str)]
    marked = sum(any(sign in text for sign in _MARKDOWN) for text in texts)
    return FieldKind.MARKDOWN if texts and marked * 2 >= len(texts) else FieldKind.TEXT


def _label(column: str, values: Sequence[object]) -> Question | None:
    """Return a question for a column of few short texts that come again and again."""
    if not all(isinstance(value, str) and len(value) <= _SHORT and "\n" not in value for value in values):
        return None
    options = sorted({value.strip() for value in values if isinstance(value, str)})
    if not 2 <= len(options) <= _LABELS or len(options) * 2 > len(values):
        return None
    kind = QuestionKind.LABEL
    return Question(plain_name(column), kind, _title(column), options=tuple(Option(option) for option in options))


def _answers(values: Sequence[object]) -> list[object]:
    found: list[object] = []
    for value in values:
        found += [value.value] if isinstance(value, Proposal) else []
        found += [item.value for item in value if isinstance(item, Answer)] if isinstance(value, list) else []
    found = [unpacked(value) for value in found]
    return [value for value in found if not is_empty(value)]


def _question(name: str, answers: Sequence[object]) -> Question:
    whole = [
        int(value) for value in answers if isinstance(value, int | float) and 0 <= value <= 10 and value == int(value)
    ]
    if answers and len(whole) == len(answers):
        top = max(whole)
        numbers = range(min(1, *whole), max(5, top) + 1)
        return Question(name, QuestionKind.RATING, options=tuple(Option(number) for number in numbers))
    items = [item for value in answers for item in (value if isinstance(value, list) else [value])]
    texts = list(dict.fromkeys(as_text(item.get("value") if isinstance(item, Mapping) else item) for item in items))
    if not texts or len(texts) > max(_LABELS, len(answers) // 2) or any(len(text) > _SHORT for text in texts):
        return Question(name, QuestionKind.TEXT)
    listed = any(isinstance(value, list) and len(value) > 1 for value in answers)
    ranked = any(isinstance(item, Mapping) for item in items)
    kind = QuestionKind.RANKING if ranked else QuestionKind.MULTI_LABEL if listed else QuestionKind.LABEL
    return Question(name, kind, options=tuple(Option(text) for text in sorted(texts)))


def _property(name: str, values: Sequence[object]) -> MetadataProperty:
    plain = plain_name(name)
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if not numbers:
        return MetadataProperty(plain, MetadataKind.TERMS, _title(name))
    whole = all(value == int(value) for value in values)
    return MetadataProperty(plain, MetadataKind.INTEGER if whole else MetadataKind.FLOAT, _title(name))
