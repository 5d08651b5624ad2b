"""What a record may hold: field values, metadata and suggestions, checked against the settings of its dataset.

Shapes of field values by kind: ``text`` and ``markdown`` a text; ``chat`` a list of ``{"role", "content"}``; ``contexts`` a list
of ``{"text", "title"?, "score"?}``, where a text alone stands for ``{"text": …}``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from pipeline.annotation.settings import DatasetSettings, Field, FieldKind, MetadataKind, MetadataProperty
from pipeline.annotation.values import check_value
from pipeline.cleaning import clean
from pipeline.errors import RecordError

MAX_FIELD_CHARACTERS = 1_000_000
MAX_ITEMS = 1_000
MAX_AGENT = 200
MAX_EXTERNAL_ID = 400
LARGEST = 2**63


def check_fields(settings: DatasetSettings, fields: Mapping[str, object]) -> dict[str, object]:
    """Return the field values of a record, cleaned; optional ones that are empty are left out.

    Raises:
        RecordError: a name is unknown, a required field is empty, or a value has not the shape of its kind.
    """
    unknown = [name for name in fields if settings.field(name) is None]
    if unknown:
        raise RecordError(f"This dataset has no field named {', '.join(sorted(unknown))}.")
    checked: dict[str, object] = {}
    for field in settings.fields:
        value = fields.get(field.name)
        if value is None or value == "" or value == []:
            if field.required:
                raise RecordError(f"The field {field.name!r} is empty, and every record needs it.")
            continue
        checked[field.name] = _field_value(field, value)
    return checked


def _field_value(field: Field, value: object) -> object:
    if field.kind is FieldKind.CHAT:
        return [_message(field, item) for item in _items(field, value)]
    if field.kind is FieldKind.CONTEXTS:
        return [_passage(field, item) for item in _items(field, value)]
    return _text(field, value)


def _items(field: Field, value: object) -> list[object]:
    rows = [value] if isinstance(value, str) else value
    if not isinstance(rows, list) or len(rows) > MAX_ITEMS:
        raise RecordError(f"The field {field.name!r} holds a list of at most {MAX_ITEMS:,} entries.")
    return rows


def _message(field: Field, item: object) -> dict[str, str]:
    if (
        not isinstance(item, Mapping)
        or not isinstance(item.get("role"), str)
        or not isinstance(item.get("content"), str)
    ):
        raise RecordError(f"The field {field.name!r} is a chat: a list of messages with role and content.")
    return {"role": clean(item["role"])[:100], "content": _text(field, item["content"])}


def _passage(field: Field, item: object) -> dict[str, object]:
    row = {"text": item} if isinstance(item, str) else item
    if not isinstance(row, Mapping) or not isinstance(row.get("text"), str):
        raise RecordError(f"The field {field.name!r} is a list of texts, or of objects with a text.")
    title, score = row.get("title"), row.get("score")
    if not isinstance(title, str | None) or not (score is None or isinstance(score, float) or _is_number(score)):
        raise RecordError(f"In the field {field.name!r} a title is a text and a score a number.")
    passage: dict[str, object] = {"text": _text(field, row["text"])}
    passage |= {"title": clean(title)} if title else {}
    return passage | ({"score": float(score)} if score is not None and math.isfinite(score) else {})


def _text(field: Field, value: object) -> str:
    if not isinstance(value, str):
        raise RecordError(f"The field {field.name!r} is a text, not {type(value).__name__}.")
    if len(value) > MAX_FIELD_CHARACTERS:
        raise RecordError(
            f"The field {field.name!r} has {len(value):,} characters; {MAX_FIELD_CHARACTERS:,} are the limit."
        )
    return clean(value)


def check_metadata(settings: DatasetSettings, metadata: Mapping[str, object]) -> dict[str, object]:
    """Return the metadata of a record, cleaned. What no property describes is kept, and shown to nobody.

    Raises:
        RecordError: a value is not one that its property allows.
    """
    checked: dict[str, object] = {}
    for name, value in metadata.items():
        found = settings.metadata_property(name)
        if value is None or value == "":
            continue
        checked[clean(str(name))[:200]] = _metadata_value(found, value) if found else _plain_value(name, value)
    return checked


def _metadata_value(found: MetadataProperty, value: object) -> object:
    if found.kind is MetadataKind.TERMS:
        terms = value if isinstance(value, list) else [value]
        if not all(isinstance(term, str | int | float) and not isinstance(term, bool) for term in terms):
            raise RecordError(f"The metadata {found.name!r} are texts, not {value!r}.")
        texts = [clean(str(term)) for term in terms]
        unknown = [term for term in texts if found.terms and term not in found.terms]
        if unknown:
            raise RecordError(
                f"The metadata {found.name!r} is one of {', '.join(found.terms[:20])}, not {unknown[0]!r}."
            )
        return texts if isinstance(value, list) else texts[0]
    if not _is_number(value):
        raise RecordError(f"The metadata {found.name!r} is a number, not {value!r}.")
    if found.kind is MetadataKind.INTEGER and value != int(value):
        raise RecordError(f"The metadata {found.name!r} is a whole number, not {value!r}.")
    too_low = found.low is not None and value < found.low
    if too_low or (found.high is not None and value > found.high):
        raise RecordError(f"The metadata {found.name!r} lies between {found.low} and {found.high}, unlike {value!r}.")
    return int(value) if found.kind is MetadataKind.INTEGER else float(value)


def _plain_value(name: object, value: object) -> object:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bool) or _is_number(value):
        return value
    if isinstance(value, list) and all(isinstance(item, str | bool) or _is_number(item) for item in value):
        return [clean(item) if isinstance(item, str) else item for item in value]
    raise RecordError(f"The metadata {name!r} is a text, a number or a list of them, not {type(value).__name__}.")


def check_external_id(external_id: str | None) -> str | None:
    """Return the id that a record has elsewhere, cleaned; None is none.

    Raises:
        RecordError: it is empty or too long.
    """
    cleaned = None if external_id is None else clean(external_id)
    if cleaned is not None and not 1 <= len(cleaned) <= MAX_EXTERNAL_ID:
        raise RecordError(f"Its external id has not 1 to {MAX_EXTERNAL_ID} characters.")
    return cleaned


def check_suggestion(settings: DatasetSettings, question: str, value: object, agent: str, score: object) -> object:
    """Return the value of a suggestion, cleaned. ``score`` is a number, a list of numbers (one for each label), or None.

    Raises:
        RecordError: there is no such question, or it does not allow the value.
    """
    found = settings.question(question)
    if found is None:
        raise RecordError(f"This dataset has no question named {question}.")
    if len(agent) > MAX_AGENT:
        raise RecordError(f"The agent of a suggestion has at most {MAX_AGENT} characters.")
    scores = score if isinstance(score, list) else [score]
    if score is not None and not all(_is_number(item) for item in scores):
        raise RecordError(f"The score of a suggestion to {question!r} is a number, not {score!r}.")
    return check_value(found, value)


def _is_number(value: object) -> bool:
    """Say whether a value is a number that every form of file can hold: JSON whole numbers may have any length."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < LARGEST
    return isinstance(value, float) and math.isfinite(value)
