"""The numbers of a review: how far people agree on each question and each record, and how each of them is getting on."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeline.agreement import Agreement, Level, krippendorff_alpha
from pipeline.annotation.settings import DatasetSettings, Question, QuestionKind
from pipeline.annotation.values import is_answered
from pipeline.differences import LEVELS, comparable, difference
from pipeline.means import mean_interval
from pipeline.records import Response, ResponseStatus

# (annotator id, value) of everybody, for one question of one record; and by question and record.
Given = list[tuple[str, Hashable]]
Answers = dict[str, dict[str, Given]]
NOT_TWICE = "Nobody answered the same record as somebody else yet."


@dataclass(frozen=True, slots=True)
class Similarity:
    """How alike texts on the same record are: the mean over records of 1 − word edit distance, with a 95 % interval."""

    mean: float | None
    low: float | None
    high: float | None
    records: int
    people: int
    unanimous: int


@dataclass(frozen=True, slots=True)
class QuestionAgreement:
    """Agreement on one question: ``alpha`` for all kinds but texts, which have ``similarity``; ``reason`` where neither is."""

    question: Question
    alpha: Agreement | None
    similarity: Similarity | None
    reason: str = ""

    @property
    def records(self) -> int:
        """How many records two people or more answered."""
        return self.alpha.units if self.alpha else self.similarity.records

    @property
    def unanimous(self) -> int:
        """On how many of these all answers are the same."""
        return self.alpha.unanimous if self.alpha else self.similarity.unanimous


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How far the answers to a record differ: 0 all the same, 1 as far as they can; for each question, and their mean."""

    record_id: str
    score: float
    questions: Mapping[str, float]
    people: int


@dataclass(frozen=True, slots=True)
class PersonNumbers:
    """One person's work on a dataset.

    ``per_hour`` and the median ``seconds`` are of ``timed`` responses. ``same`` of ``compared`` closed answers equal the
    answer of somebody else to the same record.
    """

    annotator_id: str
    submitted: int
    drafts: int
    discarded: int
    pending: int
    timed: int
    seconds: float | None
    per_hour: float | None
    same: int
    compared: int


@dataclass(slots=True)
class Pairs:
    """What comparing every two answers to one record brings, for all records."""

    disagreements: list[Disagreement] = field(default_factory=list)
    same: Counter = field(default_factory=Counter)
    compared: Counter = field(default_factory=Counter)


def submitted_only(responses: Sequence[Response]) -> list[Response]:
    """Return the submitted ones: drafts and discards never count."""
    return [response for response in responses if response.status is ResponseStatus.SUBMITTED]


def answers_by_question(settings: DatasetSettings, by_record: Mapping[str, Sequence[Response]]) -> Answers:
    """Return the submitted answers in the form that compares: question name > record id > (annotator id, value)."""
    found: Answers = {question.name: {} for question in settings.questions}
    for record_id, responses in by_record.items():
        for response in submitted_only(responses):
            for question in settings.questions:
                value = response.values.get(question.name)
                if is_answered(value):
                    given = found[question.name].setdefault(record_id, [])
                    given.append((response.annotator_id, comparable(question, value)))
    return found


def compare_pairs(settings: DatasetSettings, answers: Answers) -> Pairs:
    """Compare every two answers to each question of each record."""
    pairs = Pairs()
    scores: dict[str, dict[str, float]] = {}
    people: dict[str, set[str]] = {}
    for question in settings.questions:
        apart, closed = _remembered(question), question.kind is not QuestionKind.TEXT
        for record_id, given in answers[question.name].items():
            if len(given) < 2:
                continue
            distances = []
            for (one, left), (other, right) in itertools.combinations(given, 2):
                distances.append(apart(left, right))
                if closed:
                    pairs.compared.update((one, other))
                    pairs.same.update((one, other) if left == right else ())
            scores.setdefault(record_id, {})[question.name] = sum(distances) / len(distances)
            people.setdefault(record_id, set()).update(annotator for annotator, _ in given)
    pairs.disagreements = [
        Disagreement(record_id, sum(found.values()) / len(found), found, len(people[record_id]))
        for record_id, found in scores.items()
    ]
    return pairs


def question_agreements(settings: DatasetSettings, answers: Answers, pairs: Pairs) -> list[QuestionAgreement]:
    """Return the agreement on each question, in their order."""
    found = []
    for question in settings.questions:
        text = question.kind is QuestionKind.TEXT
        given = answers[question.name]
        found.append(_similarity(question, given, pairs) if text else _agreement(question, given))
    return found


def passage_agreement(by_record: Mapping[str, Sequence[Response]]) -> Agreement:
    """Return the agreement on which passages are relevant; a unit is one passage of one record."""
    ratings = (
        ((record_id, number), response.annotator_id, bool(relevant))
        for record_id, responses in by_record.items()
        for response in submitted_only(responses)
        for number, relevant in (response.marks.get("chunks") or {}).items()
    )
    return krippendorff_alpha(ratings, Level.NOMINAL)


def people_numbers(
    settings: DatasetSettings, size: int, by_record: Mapping[str, Sequence[Response]], pairs: Pairs
) -> list[PersonNumbers]:
    """Return the numbers of everybody who has a response, in the order of their ids."""
    done = {record_id for record_id, responses in by_record.items() if is_done(settings, responses)}
    by_person: dict[str, list[Response]] = {}
    for responses in by_record.values():
        for response in responses:
            by_person.setdefault(response.annotator_id, []).append(response)
    return [_person(person, mine, size, done, pairs) for person, mine in sorted(by_person.items())]


def is_done(settings: DatasetSettings, responses: Sequence[Response]) -> bool:
    """Say whether these responses are all that a record needs."""
    states = Counter(response.status for response in responses)
    return settings.distribution.is_done(states[ResponseStatus.SUBMITTED], states[ResponseStatus.DISCARDED])


def _remembered(question: Question) -> Callable[[Hashable, Hashable], float]:
    """Return :func:`difference` for a question; what few options allow is computed once."""
    if question.kind is QuestionKind.TEXT:
        return lambda left, right: difference(question, left, right)
    known: dict[tuple[Hashable, Hashable], float] = {}

    def apart(left: Hashable, right: Hashable) -> float:
        if (left, right) not in known:
            known[left, right] = difference(question, left, right)
        return known[left, right]

    return apart


def _agreement(question: Question, answers: Mapping[str, Given]) -> QuestionAgreement:
    ratings = ((record_id, annotator, value) for record_id, given in answers.items() for annotator, value in given)
    found = krippendorff_alpha(ratings, LEVELS[question.kind])
    reason = ""
    if not found.units:
        reason = NOT_TWICE if answers else "Nobody answered this question yet."
    elif found.alpha is None:
        reason = f"Everybody always answered {_only(question, answers)}, so what chance would give cannot be told."
    return QuestionAgreement(question, replace(found, reason=reason), None, reason)


def _similarity(question: Question, answers: Mapping[str, Given], pairs: Pairs) -> QuestionAgreement:
    scores = {
        item.record_id: item.questions[question.name] for item in pairs.disagreements if question.name in item.questions
    }
    if not scores:
        return QuestionAgreement(question, None, Similarity(None, None, None, 0, 0, 0), NOT_TWICE)
    people = {annotator for record_id in scores for annotator, _ in answers[record_id]}
    alike = [1 - score for score in scores.values()]
    found = Similarity(*mean_interval(alike), len(scores), len(people), sum(score == 0 for score in scores.values()))
    return QuestionAgreement(question, None, found)


def _only(question: Question, answers: Mapping[str, Given]) -> str:
    """Return in words the one answer that everybody gave."""
    value = next(given[0][1] for given in answers.values() if len(given) > 1)
    if question.kind is QuestionKind.MULTI_LABEL:
        return shown(question, [option for option in question.values if option in value])
    if question.kind is QuestionKind.RANKING:
        return shown(question, [{"value": o, "rank": r} for o, r in zip(question.values, value, strict=True)])
    return shown(question, value)


def shown(question: Question, value: object) -> str:
    """Return a value in words, with the texts of its options."""
    texts = {option.value: option.shown for option in question.options}
    if question.kind is QuestionKind.RANKING and isinstance(value, list):
        ranks = sorted(value, key=lambda row: row["rank"])
        groups = itertools.groupby(ranks, key=lambda row: row["rank"])
        return " > ".join(" = ".join(texts.get(row["value"], str(row["value"])) for row in rows) for _, rows in groups)
    if isinstance(value, list):
        return ", ".join(texts.get(label, str(label)) for label in value)
    if isinstance(value, float):
        return f"{value:g}"
    return texts.get(value, str(value))


def _person(person: str, mine: Sequence[Response], size: int, done: set[str], pairs: Pairs) -> PersonNumbers:
    states = Counter(response.status for response in mine)
    closed = len(done) - sum(response.record_id in done for response in mine)
    ended = [response for response in mine if response.status is not ResponseStatus.DRAFT]
    seconds = [response.seconds for response in ended if response.seconds > 0]
    return PersonNumbers(
        annotator_id=person,
        submitted=states[ResponseStatus.SUBMITTED],
        drafts=states[ResponseStatus.DRAFT],
        discarded=states[ResponseStatus.DISCARDED],
        pending=max(0, size - len(mine) - closed),
        timed=len(seconds),
        seconds=statistics.median(seconds) if seconds else None,
        per_hour=3600 * len(seconds) / sum(seconds) if seconds else None,
        same=pairs.same[person],
        compared=pairs.compared[person],
    )
