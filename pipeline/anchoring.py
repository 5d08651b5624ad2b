"""Do people take over what is suggested? Answers that began as the suggestion beside answers given without seeing it.

Shares have Wilson's interval (1927); their difference has that of R. G. Newcombe, "Interval estimation for the difference
between independent proportions: comparison of eleven methods", Statistics in Medicine 17 (1998) 873-890, method 10. Both take
answers as independent. Which records are shown without suggestions is drawn at random, so the difference is the effect of
showing them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from scipy.special import ndtri

from pipeline.annotation.settings import DatasetSettings, QuestionKind
from pipeline.annotation.values import is_answered
from pipeline.differences import comparable, words_apart
from pipeline.ranking.intervals import wilson
from pipeline.records import Record, Response, ResponseStatus

_QUANTILE = float(ndtri(0.975))


@dataclass(frozen=True, slots=True)
class SuggestedAnswer:
    """A submitted answer to a question that had a suggestion. ``distance`` is the word edit distance of texts, 0 to 1.

    ``prefilled`` says whether the suggestion stood in the form; None where that is not known.
    """

    response_id: str
    annotator: str
    agent: str
    question: str
    prefilled: bool | None
    unchanged: bool
    distance: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Side:
    """Answers with the suggestion in the form, or without. Shares, distance and seconds are None where there are none.

    ``answers`` is the n of ``share``, ``texts`` of the mean edit ``distance``, ``timed`` responses of the median ``seconds``.
    """

    answers: int
    unchanged: int
    share: float | None
    low: float | None
    high: float | None
    texts: int
    distance: float | None
    timed: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Line:
    """Both sides, and how much greater the unchanged share is with the suggestion in the form."""

    prefilled: Side
    plain: Side
    difference: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class AnchoringReport:
    """The whole dataset, and by annotator id, agent and question name. ``unknown`` answers do not say how they began."""

    overall: Line
    annotators: Mapping[str, Line]
    agents: Mapping[str, Line]
    questions: Mapping[str, Line]
    unknown: int


def suggested_answers(
    settings: DatasetSettings, records: Mapping[str, Record], responses: Sequence[Response]
) -> list[SuggestedAnswer]:
    """Return the submitted answers to questions that had a suggestion; records by their id."""
    found = []
    for response in responses:
        record = records.get(response.record_id)
        if record is None or response.status is not ResponseStatus.SUBMITTED:
            continue
        for name, suggestion in record.suggestions.items():
            question, value = settings.question(name), response.values.get(name)
            if question is None or not is_answered(value):
                continue
            before, after = comparable(question, suggestion.value), comparable(question, value)
            text = question.kind is QuestionKind.TEXT
            distance = words_apart(before, after) if text else None
            who = (response.id, response.annotator_id, suggestion.agent, name, response.prefilled)
            found.append(SuggestedAnswer(*who, before == after, distance, response.seconds))
    return found


def anchoring_report(answers: Sequence[SuggestedAnswer]) -> AnchoringReport:
    """Compare prefilled answers with the others."""
    known = [item for item in answers if item.prefilled is not None]
    return AnchoringReport(
        overall=_line(known),
        annotators=_by(known, lambda item: item.annotator),
        agents=_by(known, lambda item: item.agent),
        questions=_by(known, lambda item: item.question),
        unknown=len(answers) - len(known),
    )


def difference_interval(first: tuple[int, int], second: tuple[int, int]) -> tuple[float, float, float]:
    """Return the difference of two shares, each (count, total), with its 95 % interval."""
    (one, low_1, high_1), (two, low_2, high_2) = _share(*first), _share(*second)
    below = math.hypot(one - low_1, high_2 - two)
    above = math.hypot(high_1 - one, two - low_2)
    return one - two, one - two - below, one - two + above


def _by(answers: Sequence[SuggestedAnswer], key: Callable[[SuggestedAnswer], str]) -> dict[str, Line]:
    groups: dict[str, list[SuggestedAnswer]] = {}
    for item in answers:
        groups.setdefault(key(item), []).append(item)
    return {name: _line(group) for name, group in sorted(groups.items())}


def _line(answers: Sequence[SuggestedAnswer]) -> Line:
    prefilled, plain = (_side([item for item in answers if item.prefilled is shown]) for shown in (True, False))
    if not prefilled.answers or not plain.answers:
        return Line(prefilled, plain, None, None, None)
    counts = (prefilled.unchanged, prefilled.answers), (plain.unchanged, plain.answers)
    return Line(prefilled, plain, *difference_interval(*counts))


def _side(answers: Sequence[SuggestedAnswer]) -> Side:
    unchanged = sum(item.unchanged for item in answers)
    distances = [item.distance for item in answers if item.distance is not None]
    # A response has one time, however many of its questions had a suggestion.
    seconds = list({item.response_id: item.seconds for item in answers if item.seconds > 0}.values())
    return Side(
        len(answers),
        unchanged,
        *(_share(unchanged, len(answers)) if answers else (None, None, None)),
        len(distances),
        statistics.fmean(distances) if distances else None,
        len(seconds),
        statistics.median(seconds) if seconds else None,
    )


def _share(count: int, total: int) -> tuple[float, float, float]:
    return count / total, *wilson(count / total, total, _QUANTILE)
