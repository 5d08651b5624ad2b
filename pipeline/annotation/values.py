"""What may be answered: the shapes of values, as in Argilla, and what a submitted response needs.

Shapes by kind of question: ``text`` a text, ``rating`` a number, ``label`` a text, ``multi_label`` a list of texts, ``ranking`` a
list of ``{"value": option, "rank": 1..N}`` with every option once; equal ranks are a tie, 1 is best.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.annotation.settings import DatasetSettings, Question, QuestionKind
from pipeline.cleaning import clean
from pipeline.errors import RecordError

MAX_TEXT_CHARACTERS = 50_000
MAX_SPANS = 500
Values = dict[str, object]
# Marks of a response: {"chunks": {"0": true, …}, "spans": [{"start", "end", "text"}, …]}.
Marks = dict[str, object]


def check_value(question: Question, value: object) -> object:
    """Return an answer to a question, cleaned.

    Raises:
        RecordError: it is none that this question allows; the message says what is.
    """
    return _CHECKS[question.kind](question, value)


def check_values(settings: DatasetSettings, values: Mapping[str, object], submitted: bool) -> Values:
    """Return the values of a response, cleaned; those that are None are left out.

    An empty list and an empty text are no answer: as a draft they are kept where they are texts, else left out.

    Raises:
        RecordError: a name is unknown, a value is not allowed, or a required answer is missing in what is submitted.
    """
    unknown = [name for name in values if settings.question(name) is None]
    if unknown:
        raise RecordError(f"This dataset has no question named {', '.join(sorted(unknown))}.")
    checked: Values = {}
    for question in settings.questions:
        value = values.get(question.name)
        if value is None or value == []:
            continue
        checked[question.name] = check_value(question, value) if submitted else _check_draft(question, value)
    if submitted:
        _check_complete(settings, checked)
    return checked


def is_answered(value: object) -> bool:
    """Say whether a value answers its question."""
    return value is not None and value != [] and not (isinstance(value, str) and not value.strip())


def _check_complete(settings: DatasetSettings, values: Values) -> None:
    missing = [item for item in settings.questions if item.required and not is_answered(values.get(item.name))]
    if missing:
        names = ", ".join(f"“{item.heading}”" for item in missing)
        raise RecordError(f"Answer {names} before you submit, or discard the record.")


def _check_draft(question: Question, value: object) -> object:
    # A ranking is made step by step: until every option has a rank, it is a draft of one.
    if question.kind is QuestionKind.RANKING:
        return _ranks(question, value)
    return check_value(question, value)


def _check_text(question: Question, value: object) -> str:
    if not isinstance(value, str):
        raise RecordError(f"“{question.heading}” is answered by a text.")
    if len(value) > MAX_TEXT_CHARACTERS:
        raise RecordError(
            f"“{question.heading}” has {len(value):,} characters; {MAX_TEXT_CHARACTERS:,} are the limit. Shorten it."
        )
    return clean(value)


def _check_rating(question: Question, value: object) -> int:
    if isinstance(value, bool) or value not in question.values:
        raise RecordError(f"“{question.heading}” is answered by one of {_listed(question)}, not {value!r}.")
    return int(value)


def _check_label(question: Question, value: object) -> str:
    if not isinstance(value, str) or value not in question.values:
        raise RecordError(f"“{question.heading}” is answered by one of {_listed(question)}, not {value!r}.")
    return value


def _check_labels(question: Question, value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        raise RecordError(f"“{question.heading}” is answered by a list of labels.")
    unknown = [label for label in value if label not in question.values]
    if unknown:
        raise RecordError(f"“{question.heading}” has no label {', '.join(unknown)}; it has {_listed(question)}.")
    if len(set(value)) < len(value):
        raise RecordError(f"“{question.heading}” has a label twice.")
    # In the order of the options, so that the same choice is the same value.
    return [str(label) for label in question.values if label in value]


def _check_ranking(question: Question, value: object) -> list[dict[str, object]]:
    ranked = _ranks(question, value)
    missing = [option.shown for option in question.options if option.value not in {row["value"] for row in ranked}]
    if missing:
        raise RecordError(f"“{question.heading}”: rank {', '.join(missing)} too.")
    return ranked


def _ranks(question: Question, value: object) -> list[dict[str, object]]:
    rows = value if isinstance(value, list) else None
    if rows is None or not all(isinstance(row, dict) and row.keys() == {"value", "rank"} for row in rows):
        raise RecordError(f"“{question.heading}” is answered by a list of options with their ranks.")
    ranks = {row["value"]: row["rank"] for row in rows if isinstance(row["value"], str)}
    if len(ranks) < len(rows) or not set(ranks) <= set(question.values):
        raise RecordError(f"“{question.heading}” ranks each of {_listed(question)} once.")
    allowed = range(1, len(question.options) + 1)
    if any(isinstance(rank, bool) or not isinstance(rank, int) or rank not in allowed for rank in ranks.values()):
        raise RecordError(f"“{question.heading}”: ranks are whole numbers from 1 to {len(question.options)}.")
    return [{"value": option, "rank": ranks[option]} for option in question.values if option in ranks]


_CHECKS = {
    QuestionKind.TEXT: _check_text,
    QuestionKind.RATING: _check_rating,
    QuestionKind.LABEL: _check_label,
    QuestionKind.MULTI_LABEL: _check_labels,
    QuestionKind.RANKING: _check_ranking,
}


def _listed(question: Question) -> str:
    shown = [str(value) for value in question.values]
    return ", ".join(shown[:20]) + (f" and {len(shown) - 20} more" if len(shown) > 20 else "")


def check_marks(settings: DatasetSettings, marks: Mapping[str, object], chunks: int, text: str) -> Marks:
    """Return the marks of a response: which of ``chunks`` passages are relevant, and unsupported spans of ``text``.

    Raises:
        RecordError: the dataset does not ask for them, or they point at nothing.
    """
    checked: Marks = {}
    relevant, spans = marks.get("chunks") or {}, marks.get("spans") or []
    if relevant:
        if not settings.mark_chunks or not isinstance(relevant, Mapping):
            raise RecordError("This dataset does not ask which passages are relevant.")
        numbers = {str(number) for number in range(chunks)}
        if not set(relevant) <= numbers or not all(isinstance(value, bool) for value in relevant.values()):
            raise RecordError(f"Passages are numbered from 0 to {chunks - 1}, and relevant or not.")
        checked["chunks"] = {number: relevant[number] for number in sorted(relevant, key=int)}
    if spans:
        if not settings.mark_spans or not isinstance(spans, list) or len(spans) > MAX_SPANS:
            raise RecordError("This dataset does not ask for spans.")
        checked["spans"] = sorted((_span(span, text) for span in spans), key=lambda span: span["start"])
    return checked


def _span(span: object, text: str) -> dict[str, object]:
    start, end = (span.get("start"), span.get("end")) if isinstance(span, Mapping) else (None, None)
    whole = all(isinstance(place, int) and not isinstance(place, bool) for place in (start, end))
    if not whole or not 0 <= start < end <= len(text):
        raise RecordError("A span begins and ends within the text that it marks.")
    return {"start": start, "end": end, "text": text[start:end]}
