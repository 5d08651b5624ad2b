"""Cells of files as values of fields, questions and metadata. What is still wrong afterwards, the checks of annotation say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from pipeline.annotation.settings import Field, FieldKind, MetadataKind, MetadataProperty, Question, QuestionKind
from pipeline.record_files.rows import is_empty

# Roles as ShareGPT names them.
_ROLES = {"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant"}
_ORDER = re.compile(r"\s*(?:>|;|\||\n)\s*")
_LABELS = re.compile(r"\s*[;|\n]\s*")


def field_value(field: Field, cell: object) -> object:
    """Return a cell as the value of a field."""
    if is_empty(cell):
        return None
    if field.kind is FieldKind.CHAT:
        cell = unpacked(cell)
        if isinstance(cell, str):
            return [{"role": "user", "content": cell}]
        return [_message(item) for item in cell] if isinstance(cell, list) else cell
    if field.kind is FieldKind.CONTEXTS:
        cell = unpacked(cell)
        return [_passage(item) for item in cell] if isinstance(cell, list) else [_passage(cell)]
    return as_text(cell)


def as_text(cell: object) -> str:
    """Return any cell as text: whole numbers without a point, lists and mappings as JSON."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return json.dumps(cell, ensure_ascii=False)


def unpacked(cell: object) -> object:
    """Return what JSON text in a cell stands for."""
    if isinstance(cell, str) and cell.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(cell, parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            return cell
    return cell


def _message(item: object) -> object:
    if isinstance(item, str):
        return {"role": "user", "content": item}
    if isinstance(item, Mapping) and "role" not in item and "from" in item:
        return {"role": _ROLES.get(str(item["from"]), str(item["from"])), "content": item.get("value")}
    return item


def _passage(item: object) -> object:
    if not isinstance(item, Mapping) or isinstance(item.get("text"), str):
        return {**item, "title": item.get("title") or item.get("document_name")} if isinstance(item, Mapping) else item
    names = ("content", "page_content", "body", "passage")
    text = next((item[name] for name in names if isinstance(item.get(name), str)), None)
    return {"text": text, "title": item.get("title"), "score": item.get("score")} if text is not None else item


def question_value(question: Question, cell: object) -> object:
    """Return a cell as an answer to a question; None where it is none."""
    if is_empty(cell):
        return None
    return _ANSWERS[question.kind](question, cell)


def _text(question: Question, cell: object) -> object:
    if isinstance(cell, list):
        return "\n".join(as_text(item) for item in cell)
    return as_text(cell)


def _rating(question: Question, cell: object) -> object:
    cell = cell[0] if isinstance(cell, list) and len(cell) == 1 else cell
    if isinstance(cell, str):
        try:
            cell = float(cell.strip())
        except ValueError:
            shown = [option.value for option in question.options if option.text.casefold() == cell.strip().casefold()]
            return shown[0] if shown else cell
    return int(cell) if isinstance(cell, float) and cell.is_integer() else cell


def _label(question: Question, cell: object) -> object:
    cell = cell[0] if isinstance(cell, list) and len(cell) == 1 else cell
    return cell if isinstance(cell, list | Mapping) else _option(question, as_text(cell))


def _option(question: Question, text: str) -> str:
    """Return the option that a text names: by its value, by what is shown of it, or by either in another case."""
    if text in question.values:
        return text
    wanted = text.strip().casefold()
    names = [(str(option.value), name) for option in question.options for name in (str(option.value), option.text)]
    found = list(dict.fromkeys(value for value, name in names if name.strip().casefold() == wanted))
    return found[0] if len(found) == 1 else text


def _labels(question: Question, cell: object) -> object:
    cell = unpacked(cell)
    if isinstance(cell, str):
        one = _option(question, cell)
        parts = [one] if one in question.values else _LABELS.split(cell.strip())
        cell = parts if len(parts) > 1 or one in question.values else re.split(r"\s*,\s*", cell.strip())
    if not isinstance(cell, list):
        cell = [cell]
    return [_option(question, as_text(item)) for item in cell if not is_empty(item)]


def _ranking(question: Question, cell: object) -> object:
    cell = unpacked(cell)
    if isinstance(cell, str):
        cell = _ORDER.split(cell.strip())
    if isinstance(cell, list) and not any(isinstance(item, Mapping) for item in cell):
        return [{"value": _option(question, as_text(item)), "rank": n} for n, item in enumerate(cell, 1)]
    if isinstance(cell, list) and all(isinstance(item, Mapping) for item in cell):
        return [{"value": item.get("value"), "rank": _whole(item.get("rank"))} for item in cell]
    return cell


def _whole(rank: object) -> object:
    return int(rank) if isinstance(rank, float) and rank.is_integer() else rank


_ANSWERS = {
    QuestionKind.TEXT: _text,
    QuestionKind.RATING: _rating,
    QuestionKind.LABEL: _label,
    QuestionKind.MULTI_LABEL: _labels,
    QuestionKind.RANKING: _ranking,
}


def metadata_value(found: MetadataProperty | None, cell: object) -> object:
    """Return a cell as the value of a metadata property, or of none."""
    if is_empty(cell):
        return None
    if found is None or found.kind is MetadataKind.TERMS:
        nested = isinstance(cell, Mapping) or (isinstance(cell, list) and any(isinstance(i, list | dict) for i in cell))
        if nested or (isinstance(cell, bool) and found is not None):
            return as_text(cell)
        return cell
    if isinstance(cell, str):
        try:
            number = float(cell.strip())
        except ValueError:
            return cell
        return int(number) if number.is_integer() else number
    return cell
