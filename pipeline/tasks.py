"""Who reviews which record next, and what becomes of their answers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.cleaning import clean, normal
from pipeline.errors import RecordError
from pipeline.generation import Generation
from pipeline.naming import free_name
from pipeline.prompts import Template, get_template
from pipeline.records import Record, Response, ResponseStatus
from pipeline.store import Store
from pipeline.store.reviews import Dataset
from pipeline.store.rows import now

QUERY_RATING = "query_rating"
CONTEXT_RATING = "context_rating"
ANSWER = "answer"
RATINGS = (1, 2, 3, 4, 5)
MAX_ANSWER_CHARACTERS = 50_000
# A draft younger than this keeps its record from being offered to others.
RESERVED_SECONDS = 300.0
# Longer stays on one record are breaks, not work.
MAX_WORK_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Card:
    """A record as one person sees it: with their own response, never that of others, and its place in their own order."""

    record: Record
    template: Template
    response: Response | None
    number: int
    total: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How many records wait for this person, and what this person did with the others.

    ``others`` counts records that somebody else has answered.
    """

    pending: int
    drafts: int
    submitted: int
    discarded: int
    others: int
    total: int


class ReviewDesk:
    """The *answer review*: datasets, records and responses."""

    def __init__(self, store: Store, generation: Generation) -> None:
        self._store = store
        self._generation = generation

    def create_dataset(self, run_id: str, template: str) -> Dataset:
        """Make a dataset from the answered train queries of a run; the answers become suggestions.

        A train query that is a test query in another list is left out: it would be read in the open and trained on.

        Raises:
            RecordError: the run has no answered train query.
        """
        get_template(template)
        run = self._store.runs.get(run_id)
        rows = [row for row in self._generation.rows(run) if row.completion and not row.completion.error]
        held_out = {normal(text) for text in self._store.queries.test_texts()}
        items = [(row.query.id, row.completion.id) for row in rows if normal(row.query.text) not in held_out]
        if not items:
            raise RecordError(
                "There is no answered train query in this run: test queries are kept for Compare. "
                "Run a list with train queries first."
            )
        taken = {dataset.name for dataset in self.datasets()}
        name = free_name(self._store.queries.set_name(run.query_set_id), taken)
        return self.dataset(self._store.reviews.add_dataset(name, template, run_id, items))

    def datasets(self) -> list[Dataset]:
        """Return the datasets, newest first."""
        return self._store.reviews.datasets()

    def dataset(self, dataset_id: str) -> Dataset:
        """Return one dataset."""
        return self._store.reviews.dataset(dataset_id)

    def card(self, record_id: str, annotator_id: str) -> Card:
        """Return a record as this person sees it."""
        record = self._store.reviews.record(record_id)
        dataset = self.dataset(record.dataset_id)
        response = self._store.reviews.response(record_id, annotator_id)
        number = self.order(record.dataset_id, annotator_id).index(record_id) + 1
        return Card(record, get_template(dataset.template), response, number, dataset.size)

    def order(self, dataset_id: str, annotator_id: str) -> list[str]:
        """Return the ids of a dataset's records in an order of this person's own, which never changes.

        So people who begin together, and keep step, do not all do the same records.
        """
        ids = self._store.reviews.record_ids(dataset_id)
        return sorted(ids, key=lambda record_id: hashlib.sha256(f"{annotator_id}{record_id}".encode()).digest())

    def next_record(self, dataset_id: str, annotator_id: str, after: str | None = None) -> str | None:
        """Return the next record that waits for this person in their order, from ``after`` on and round; None when done.

        Own drafts come in their place, and first where nothing was done just before. A record that somebody else began
        less than five minutes ago is offered only when nothing else is left.
        """
        mine, others = self._by_record(dataset_id, annotator_id)
        ids = self.order(dataset_id, annotator_id)
        start = ids.index(after) + 1 if after in ids else 0
        waiting = [record_id for record_id in ids[start:] + ids[:start] if _waits(record_id, mine, others)]
        if after not in ids:
            # What waits and is one's own already is a draft.
            waiting.sort(key=lambda record_id: record_id not in mine)
        free = [record_id for record_id in waiting if record_id in mine or not _reserved(others.get(record_id, []))]
        return next(iter(free or waiting), None)

    def neighbour(self, record_id: str, annotator_id: str, step: int) -> str | None:
        """Return the record ``step`` places further in this person's order, or None at its ends."""
        ids = self.order(self._store.reviews.record(record_id).dataset_id, annotator_id)
        place = ids.index(record_id) + step
        return ids[place] if 0 <= place < len(ids) else None

    def save_draft(self, record_id: str, annotator_id: str, values: Mapping[str, object]) -> Response:
        """Keep what a person has typed so far."""
        return self._save(record_id, annotator_id, ResponseStatus.DRAFT, values, 0.0)

    def is_kept(self, card: Card, values: Mapping[str, object]) -> bool:
        """Say whether ``values`` are what is stored for this card, or the untouched suggestion where nothing is."""
        stored = card.response.values if card.response else {ANSWER: card.record.suggestion}
        return check_values(values) == dict(stored)

    def submit(self, record_id: str, annotator_id: str, values: Mapping[str, object], seconds: float = 0.0) -> Response:
        """Submit a response.

        Raises:
            RecordError: the answer is missing, or a value is not allowed.
        """
        if not str(values.get(ANSWER) or "").strip():
            raise RecordError("Write an answer before you submit, or discard the record.")
        return self._save(record_id, annotator_id, ResponseStatus.SUBMITTED, values, seconds)

    def discard(
        self, record_id: str, annotator_id: str, values: Mapping[str, object], seconds: float = 0.0
    ) -> Response:
        """Discard a record for this person; what was typed is kept with it."""
        return self._save(record_id, annotator_id, ResponseStatus.DISCARDED, values, seconds)

    def progress(self, dataset_id: str, annotator_id: str) -> Progress:
        """Count a dataset's records from one person's view."""
        mine, others = self._by_record(dataset_id, annotator_id)
        ids = self._store.reviews.record_ids(dataset_id)
        count = {status: sum(r.status is status for r in mine.values()) for status in ResponseStatus}
        untouched = [record_id for record_id in ids if record_id not in mine]
        done_by_others = sum(_submitted(others.get(record_id, [])) for record_id in untouched)
        return Progress(
            pending=len(untouched) - done_by_others,
            drafts=count[ResponseStatus.DRAFT],
            submitted=count[ResponseStatus.SUBMITTED],
            discarded=count[ResponseStatus.DISCARDED],
            others=done_by_others,
            total=len(ids),
        )

    def _save(self, record_id, annotator_id, status, values, seconds) -> Response:
        checked = check_values(values)
        self._store.reviews.record(record_id)
        work = min(max(seconds, 0.0), MAX_WORK_SECONDS)
        return self._store.reviews.save_response(record_id, annotator_id, status, checked, work)

    def _by_record(self, dataset_id, annotator_id) -> tuple[dict[str, Response], dict[str, list[Response]]]:
        mine: dict[str, Response] = {}
        others: dict[str, list[Response]] = {}
        for response in self._store.reviews.responses(dataset_id):
            if response.annotator_id == annotator_id:
                mine[response.record_id] = response
            else:
                others.setdefault(response.record_id, []).append(response)
        return mine, others


def check_values(values: Mapping[str, object]) -> dict[str, object]:
    """Return the values of a response, checked: ratings are 1 to 5 or missing, the answer is text.

    Raises:
        RecordError: a value is not allowed.
    """
    unknown = set(values) - {QUERY_RATING, CONTEXT_RATING, ANSWER}
    if unknown:
        raise RecordError(f"This dataset has no question named {', '.join(sorted(unknown))}.")
    checked: dict[str, object] = {}
    for name in (QUERY_RATING, CONTEXT_RATING):
        value = values.get(name)
        if value is not None and (isinstance(value, bool) or value not in RATINGS):
            raise RecordError(f"A rating is a number from 1 to 5, not {value!r}.")
        if value is not None:
            checked[name] = value
    answer = values.get(ANSWER)
    if not isinstance(answer, str | None):
        raise RecordError("An answer is text.")
    if len(answer or "") > MAX_ANSWER_CHARACTERS:
        raise RecordError(f"This answer has {len(answer or ''):,} characters; {MAX_ANSWER_CHARACTERS:,} are the limit.")
    return {**checked, ANSWER: clean(answer or "")}


def _submitted(responses: Sequence[Response]) -> bool:
    return any(response.status is ResponseStatus.SUBMITTED for response in responses)


def _reserved(responses: Sequence[Response]) -> bool:
    return any(now() - response.updated_at < RESERVED_SECONDS for response in responses)


def _waits(record_id: str, mine: Mapping[str, Response], others: Mapping[str, Sequence[Response]]) -> bool:
    if record_id in mine:
        return mine[record_id].status is ResponseStatus.DRAFT
    return not _submitted(others.get(record_id, []))
