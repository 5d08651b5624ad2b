"""Review: how far people agree, what is decided where they do not, and how everybody is getting on."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.agreement import Agreement
from pipeline.anchoring import AnchoringReport, anchoring_report, suggested_answers
from pipeline.annotation.settings import DatasetSettings, Question
from pipeline.annotation.values import check_value, is_answered
from pipeline.cleaning import clean
from pipeline.errors import RecordError
from pipeline.records import Record, Response, ResponseStatus
from pipeline.retrieval_metrics import RetrievalReport, retrieval_report
from pipeline.review_numbers import (
    Disagreement,
    PersonNumbers,
    QuestionAgreement,
    answers_by_question,
    compare_pairs,
    is_done,
    passage_agreement,
    people_numbers,
    question_agreements,
    submitted_only,
)
from pipeline.store import Store
from pipeline.store.adjudications import Adjudication
from pipeline.store.datasets import Dataset
from pipeline.unification import State, Unified, unify
from pipeline.unified_files import UnifiedRow

MAX_REASON = 2_000
# Numbers that take longer to make are made anew only from time to time while people work.
SLOW = 1.0
# Datasets whose numbers are kept at hand.
KEPT = 3
WAITS = (
    "This record still waits for you, so the answers of the others are not shown: answer or discard it first, "
    "or wait until it has all the answers that it needs."
)


@dataclass(frozen=True, slots=True)
class Report:
    """The numbers of a dataset. ``versions`` counts submitted responses by version of the guidelines they were given under.

    ``answered`` records have a submitted response, ``twice`` two or more, ``done`` all they need. ``passages`` is the
    agreement on relevant passages; it and ``retrieval`` are None where no passages are marked, ``anchoring`` where no
    submitted answer had a suggestion.
    """

    dataset: Dataset
    questions: Sequence[QuestionAgreement]
    people: Sequence[PersonNumbers]
    names: Mapping[str, str]
    answered: int
    twice: int
    done: int
    versions: Mapping[int | None, int]
    passages: Agreement | None
    anchoring: AnchoringReport | None
    retrieval: RetrievalReport | None
    states: Mapping[str, Mapping[State, int]]
    adjudicated: int = 0


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the disagreement list. ``number`` is the record's place in the dataset, the first is 1."""

    record: Record
    number: int
    found: Disagreement
    adjudicated: bool


@dataclass(frozen=True, slots=True)
class Disagreements:
    """A part of the list, of ``total`` records. ``hidden`` ones wait for the person who asks."""

    lines: Sequence[Listed]
    total: int
    hidden: int


@dataclass(frozen=True, slots=True)
class Item:
    """A record with everybody's submitted answers and discards, what they come to together, and what was decided."""

    record: Record
    settings: DatasetSettings
    number: int
    submitted: Sequence[Response]
    discarded: Sequence[Response]
    names: Mapping[str, str]
    unified: Mapping[str, Unified]
    found: Disagreement | None
    adjudication: Adjudication | None


@dataclass(frozen=True, slots=True)
class _Work:
    """Everything of a dataset that its numbers are made of, and the numbers, all without what was decided."""

    stamp: tuple
    made_at: float
    took: float
    report: Report
    records: Mapping[str, Record]
    numbers: Mapping[str, int]
    by_record: Mapping[str, Sequence[Response]]
    disagreements: Mapping[str, Disagreement]


class ReviewDesk:
    """Shows what people did with a dataset, and takes decisions.

    Nobody is shown others' answers to a record that still waits for themselves.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[str, _Work] = OrderedDict()
        self._lock = threading.Lock()

    def report(self, dataset_id: str) -> Report:
        """Return the numbers of a dataset, which name no single answer.

        Raises:
            NotFoundError: there is no such dataset.
        """
        work, decided = self._work(dataset_id), self._store.adjudications.of_dataset(dataset_id)
        states = _with_decisions(work, decided)
        names = self._store.members.names()
        return replace(work.report, names=names, states=states, adjudicated=len(decided))

    def disagreements(
        self, dataset_id: str, member_id: str, question: str = "", start: int = 0, count: int = 20
    ) -> Disagreements:
        """Return records that two people or more answered: decided ones last, before them the least agreed first.

        With a ``question`` the order is by that question alone, over the records where two or more answered it.
        """
        work, decided = self._work(dataset_id), self._store.adjudications.of_dataset(dataset_id)
        hidden = _hidden(work, member_id)
        found = [item for item in work.disagreements.values() if not question or question in item.questions]
        shown = [item for item in found if item.record_id not in hidden]

        def place(item: Disagreement) -> tuple[bool, float, int]:
            score = item.questions[question] if question else item.score
            return item.record_id in decided, -score, work.numbers[item.record_id]

        lines = [
            Listed(
                _visible(work.report.dataset.settings, work.records[item.record_id]),
                work.numbers[item.record_id],
                item,
                item.record_id in decided,
            )
            for item in sorted(shown, key=place)[start : start + count]
        ]
        return Disagreements(lines, len(shown), len(hidden))

    def item(self, record_id: str, member_id: str) -> Item:
        """Return a record with everybody's answers.

        Raises:
            NotFoundError: there is no such record.
            RecordError: it still waits for this person.
        """
        record = self._store.datasets.record(record_id)
        settings = self._store.datasets.get(record.dataset_id).settings
        responses = [fitting(settings, response) for response in self._store.responses.of_record(record_id)]
        if _waits(settings, responses, member_id):
            raise RecordError(WAITS)
        decided = self._store.adjudications.get(record_id)
        answers = answers_by_question(settings, {record_id: responses})
        found = compare_pairs(settings, answers).disagreements
        return Item(
            record=_visible(settings, record),
            settings=settings,
            number=record.position + 1,
            submitted=submitted_only(responses),
            discarded=[response for response in responses if response.status is ResponseStatus.DISCARDED],
            names=self._store.members.names(),
            unified=unify(settings, responses, decided.values if decided else None),
            found=found[0] if found else None,
            adjudication=decided,
        )

    def adjudicate(self, record_id: str, member_id: str, values: Mapping[str, object], reason: str = "") -> None:
        """Let these values stand for a record; questions without one keep what the responses come to.

        Raises:
            RecordError: a value is not allowed, there is none, or the record still waits for this person.
        """
        settings = self.item(record_id, member_id).settings
        if len(reason) > MAX_REASON:
            raise RecordError(f"A reason has at most {MAX_REASON:,} characters.")
        unknown = [name for name in values if settings.question(name) is None]
        if unknown:
            raise RecordError(f"This dataset has no question named {', '.join(sorted(unknown))}.")
        decided = {
            question.name: check_value(question, values[question.name])
            for question in settings.questions
            if is_answered(values.get(question.name))
        }
        if not decided:
            raise RecordError("Choose an answer to at least one question before you save the decision.")
        self._store.adjudications.set(record_id, member_id, decided, clean(reason).strip())

    def withdraw(self, record_id: str, member_id: str) -> None:
        """Take a decision back: the responses speak for themselves again.

        Raises:
            RecordError: there is none, or the record still waits for this person.
        """
        self.item(record_id, member_id)
        self._store.adjudications.withdraw(record_id)

    def table(self, dataset_id: str, member_id: str) -> tuple[Dataset, list[UnifiedRow]]:
        """Return every record of a dataset with what stands for it; those that wait for this person without it."""
        work, decided = self._work(dataset_id), self._store.adjudications.of_dataset(dataset_id)
        hidden, settings, rows = _hidden(work, member_id), work.report.dataset.settings, []
        for record_id, record in work.records.items():
            responses, decision = work.by_record.get(record_id, ()), decided.get(record_id)
            row = UnifiedRow(
                record=_visible(settings, record),
                unified=unify(settings, responses, decision.values if decision else None),
                submitted=len(submitted_only(responses)),
                reason=decision.reason if decision and record_id not in hidden else "",
                hidden=record_id in hidden,
            )
            rows.append(row)
        return work.report.dataset, rows

    def _work(self, dataset_id: str) -> _Work:
        dataset = self._store.datasets.get(dataset_id)
        # Several people who look at once wait for one of them to do the work.
        with self._lock:
            kept = self._kept.get(dataset_id)
            stamp = (dataset, self._store.adjudications.stamp(dataset_id))
            if kept is None or (kept.stamp != stamp and time.monotonic() > kept.made_at + _lasts(kept.took)):
                kept = self._made(dataset, stamp)
            self._kept[dataset_id] = kept
            self._kept.move_to_end(dataset_id)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return kept

    def _made(self, dataset: Dataset, stamp: tuple) -> _Work:
        began = time.monotonic()
        records = {record.id: record for record in self._store.datasets.records(dataset.id)}
        by_record: dict[str, list[Response]] = {}
        for response in self._store.responses.of_dataset(dataset.id):
            by_record.setdefault(response.record_id, []).append(fitting(dataset.settings, response))
        report, disagreements = _report(dataset, records, by_record)
        numbers = {record_id: record.position + 1 for record_id, record in records.items()}
        ended = time.monotonic()
        return _Work(stamp, ended, ended - began, report, records, numbers, by_record, disagreements)


def fitting(settings: DatasetSettings, response: Response) -> Response:
    """Return a response without answers that its questions do not allow.

    There are some where one replica changed a question while people answered it on another, before the two met.
    """
    fits = {name: value for name, value in response.values.items() if _fits(settings.question(name), value)}
    return response if len(fits) == len(response.values) else replace(response, values=fits)


def _fits(question: Question | None, value: object) -> bool:
    if question is None:
        return False
    try:
        check_value(question, value)
    except RecordError:
        return False
    return True


def _lasts(took: float) -> float:
    """Return for how many seconds numbers are shown although something has changed: 0 unless they take long to make."""
    return 0.0 if took < SLOW else 10 * took


def _report(
    dataset: Dataset, records: Mapping[str, Record], by_record: Mapping[str, Sequence[Response]]
) -> tuple[Report, dict[str, Disagreement]]:
    settings = dataset.settings
    answers = answers_by_question(settings, by_record)
    pairs = compare_pairs(settings, answers)
    submitted = [response for responses in by_record.values() for response in submitted_only(responses)]
    versions = Counter(response.guidelines_version for response in submitted)
    suggested = suggested_answers(settings, records, submitted)
    counts = [len(submitted_only(responses)) for responses in by_record.values()]
    report = Report(
        dataset=dataset,
        questions=question_agreements(settings, answers, pairs),
        people=people_numbers(settings, len(records), by_record, pairs),
        names={},
        answered=sum(count > 0 for count in counts),
        twice=sum(count > 1 for count in counts),
        done=sum(is_done(settings, responses) for responses in by_record.values()),
        versions=dict(sorted(versions.items(), key=lambda item: item[0] or 0)),
        passages=passage_agreement(by_record) if settings.mark_chunks else None,
        anchoring=anchoring_report(suggested) if suggested else None,
        retrieval=_retrieval(settings, records, by_record) if settings.mark_chunks else None,
        states=_states(settings, by_record),
    )
    return report, {item.record_id: item for item in pairs.disagreements}


def _retrieval(
    settings: DatasetSettings, records: Mapping[str, Record], by_record: Mapping[str, Sequence[Response]]
) -> RetrievalReport:
    return retrieval_report(
        [
            (
                len(record.fields.get(settings.contexts_field) or ()),
                [item.marks.get("chunks") or {} for item in submitted_only(by_record.get(record_id, ()))],
            )
            for record_id, record in records.items()
        ]
    )


def _states(settings: DatasetSettings, by_record: Mapping[str, Sequence[Response]]) -> dict[str, Counter[State]]:
    """Count for each question how its unified values came about, over the records that somebody answered."""
    counts: dict[str, Counter[State]] = {question.name: Counter() for question in settings.questions}
    for responses in by_record.values():
        if submitted_only(responses):
            for name, item in unify(settings, responses).items():
                counts[name][item.state] += 1
    return counts


def _with_decisions(work: _Work, decided: Mapping[str, Adjudication]) -> dict[str, Counter[State]]:
    settings = work.report.dataset.settings
    counts = {name: Counter(states) for name, states in work.report.states.items()}
    for record_id, decision in decided.items():
        responses = work.by_record.get(record_id, ())
        before = unify(settings, responses) if submitted_only(responses) else {}
        for name, item in unify(settings, responses, decision.values).items():
            counts[name][item.state] += 1
            if name in before:
                counts[name][before[name].state] -= 1
    return counts


def _hidden(work: _Work, member_id: str) -> set[str]:
    """Return the records with answers of others that this person may still give theirs to: seeing them would sway it."""
    settings = work.report.dataset.settings
    return {record_id for record_id, given in work.by_record.items() if _waits(settings, given, member_id)}


def _waits(settings: DatasetSettings, responses: Sequence[Response], member_id: str) -> bool:
    others = [item for item in responses if item.annotator_id != member_id]
    if not any(item.status is not ResponseStatus.DRAFT for item in others):
        return False
    mine = next((item.status for item in responses if item.annotator_id == member_id), None)
    return mine in (None, ResponseStatus.DRAFT) and not is_done(settings, others)


def _visible(settings: DatasetSettings, record: Record) -> Record:
    """Return a record without the metadata that annotators do not see."""
    names = {item.name for item in settings.metadata if item.visible}
    return replace(record, metadata={name: value for name, value in record.metadata.items() if name in names})
