"""One answer out of many: what the submitted responses to a record say together.

Ratings have a mean and a median; the median stands. Labels go by most votes; equal numbers of votes stay unresolved, and no
tie is ever broken at random. Of multiple labels those stand that more than half of the people chose. Rankings go by mean rank,
which is Borda's count (J.-C. de Borda, 1781) with ties: options of the same mean share a rank. (Kemeny's ranking has finer
properties, but finding it grows with the factorial of the options.) Texts are all kept; one stands where all wrote the same.
What was adjudicated comes first. Drafts and discards never count.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipeline.annotation.settings import DatasetSettings, Question, QuestionKind
from pipeline.annotation.values import is_answered
from pipeline.differences import comparable
from pipeline.records import Response, ResponseStatus


class State(StrEnum):
    """How a unified value came about; unresolved and unanswered ones have none."""

    UNIFIED = "unified"
    ADJUDICATED = "adjudicated"
    UNRESOLVED = "unresolved"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True)
class Unified:
    """What stands for one question of one record; ``given`` are all submitted values. Ratings have a mean and a median."""

    state: State
    value: object = None
    given: tuple[object, ...] = ()
    mean: float | None = None
    median: float | None = None


def unify(
    settings: DatasetSettings, responses: Sequence[Response], adjudicated: Mapping[str, object] | None = None
) -> dict[str, Unified]:
    """Return the unified value of each question of a record, from all responses to it."""
    submitted = [response.values for response in responses if response.status is ResponseStatus.SUBMITTED]
    return {item.name: _unified(item, submitted, adjudicated or {}) for item in settings.questions}


def _unified(
    question: Question, submitted: Sequence[Mapping[str, object]], adjudicated: Mapping[str, object]
) -> Unified:
    given = tuple(values[question.name] for values in submitted if is_answered(values.get(question.name)))
    mean = median = None
    if question.kind is QuestionKind.RATING and given:
        mean, median = statistics.fmean(given), float(statistics.median(given))
    if question.name in adjudicated:
        return Unified(State.ADJUDICATED, adjudicated[question.name], given, mean, median)
    if not given:
        return Unified(State.UNANSWERED)
    value = median if question.kind is QuestionKind.RATING else _RULES[question.kind](question, given)
    return Unified(State.UNRESOLVED if value is None else State.UNIFIED, value, given, mean, median)


def _label(question: Question, given: Sequence[object]) -> object:
    (first, most), *others = Counter(given).most_common(2)
    return None if others and others[0][1] == most else first


def _labels(question: Question, given: Sequence[list[str]]) -> list[str] | None:
    times = Counter(label for labels in given for label in labels)
    return [str(label) for label in question.values if 2 * times[str(label)] > len(given)] or None


def _ranking(question: Question, given: Sequence[object]) -> list[dict[str, object]]:
    # Sums, which are whole numbers, so that equal means are equal.
    totals = [sum(ranks) for ranks in zip(*(comparable(question, ranking) for ranking in given), strict=True)]
    options = zip(question.values, totals, strict=True)
    return [{"value": option, "rank": 1 + sum(other < total for other in totals)} for option, total in options]


def _text(question: Question, given: Sequence[object]) -> object:
    return given[0] if len({comparable(question, text) for text in given}) == 1 else None


_RULES = {
    QuestionKind.LABEL: _label,
    QuestionKind.MULTI_LABEL: _labels,
    QuestionKind.RANKING: _ranking,
    QuestionKind.TEXT: _text,
}
