"""Who annotates which record next, and what becomes of their answers."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pipeline.annotation.settings import DatasetSettings, FieldKind
from pipeline.annotation.values import Marks, check_marks, check_values
from pipeline.errors import RecordError
from pipeline.filters import ALL, RecordFilter, matching
from pipeline.records import Record, Response, ResponseStatus
from pipeline.store import Store
from pipeline.store.datasets import Dataset
from pipeline.store.responses import PREFETCHED_SECONDS, RESERVED_SECONDS, Given, Version

# Longer stays on one record are breaks, not work.
MAX_WORK_SECONDS = 600.0
MAX_REASON = 2_000
# Orders of people that are kept at hand, each as long as its dataset.
KEPT_ORDERS = 200
# Filters whose records are kept at hand: looking through ten thousand records takes half a second.
KEPT_MATCHES = 50
PENDING = "pending"
Queue = Literal["pending", "draft", "submitted", "discarded"]


@dataclass(frozen=True, slots=True)
class Card:
    """A record as one person sees it: without hidden metadata, and with their own response, never that of others.

    ``number`` of ``total`` is its place in their order. Where ``prefilled`` is False, suggestions are not shown until the
    person has answered. ``closed`` says that others have given all the responses that the record needs.
    """

    record: Record
    settings: DatasetSettings
    response: Response | None
    number: int
    total: int
    prefilled: bool
    closed: bool

    @property
    def values(self) -> Mapping[str, object]:
        """The answers that the form is filled with: what was typed last, else the suggestions."""
        if self.response is None:
            return {name: item.value for name, item in self.record.suggestions.items()}
        return self.response.edits["values"] if self.response.edits else self.response.values

    @property
    def marks(self) -> Mapping[str, object]:
        """The marks that the form is filled with."""
        if self.response is None:
            return {}
        return self.response.edits["marks"] if self.response.edits else self.response.marks


@dataclass(frozen=True, slots=True)
class Progress:
    """How many records wait for this person, and what this person did with the others.

    ``others`` counts records that others have done without this person.
    """

    pending: int
    drafts: int
    submitted: int
    discarded: int
    others: int
    total: int


class AnnotationDesk:
    """Hands records to people and takes their responses."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._orders: OrderedDict[tuple[str, str], tuple[int, list[str], dict[str, int]]] = OrderedDict()
        self._matches: OrderedDict[tuple[str, str], tuple[tuple[int, ...], set[str]]] = OrderedDict()
        self._lock = threading.Lock()

    def card(self, record_id: str, annotator_id: str) -> Card:
        """Return a record as this person sees it.

        Raises:
            NotFoundError: there is no such record.
        """
        record = self._store.datasets.record(record_id)
        dataset = self._store.datasets.get(record.dataset_id)
        settings = dataset.settings
        response = self._store.responses.get(record_id, annotator_id)
        prefilled = is_prefilled(settings, record_id)
        ended = response is not None and response.status is not ResponseStatus.DRAFT
        shown = {name: value for name, value in record.metadata.items() if _is_visible(settings, name)}
        suggestions = record.suggestions if prefilled or ended else {}
        known = {name: item for name, item in suggestions.items() if settings.question(name)}
        _, places = self._order(record.dataset_id, annotator_id)
        return Card(
            record=replace(record, metadata=shown, suggestions=known),
            settings=settings,
            response=response,
            number=places[record_id] + 1,
            total=len(places),
            prefilled=prefilled,
            closed=not ended and self._is_closed(dataset, record_id, annotator_id),
        )

    def order(self, dataset_id: str, annotator_id: str) -> list[str]:
        """Return the ids of a dataset's records in an order of this person's own, which never changes.

        So people who begin together, and keep step, do not all do the same records.
        """
        return list(self._order(dataset_id, annotator_id)[0])

    def next_record(
        self,
        dataset_id: str,
        annotator_id: str,
        after: str | None = None,
        wanted: RecordFilter = ALL,
        seconds: float = RESERVED_SECONDS,
        without: str | None = None,
    ) -> str | None:
        """Return the next record that waits for this person, and keep it for them; None when there is none.

        They come in this person's order, from ``after`` on and round, but for ``without``. Own drafts come in their place,
        and first where nothing was done just before. Records that as many others work on as are needed are left out.
        """
        candidates = self._candidates(dataset_id, annotator_id, after, wanted, without)
        distribution = self._store.datasets.get(dataset_id).settings.distribution
        return self._store.responses.claim(candidates, annotator_id, distribution, seconds)

    def prefetch(self, record_id: str, annotator_id: str, wanted: RecordFilter = ALL) -> str | None:
        """Return the record that will come after this one, kept for this person for a minute; None when there is none."""
        dataset_id = self._store.datasets.dataset_of(record_id)
        return self.next_record(dataset_id, annotator_id, record_id, wanted, PREFETCHED_SECONDS, without=record_id)

    def keep_and_prefetch(
        self, record_id: str, annotator_id: str, wanted: RecordFilter = ALL
    ) -> tuple[bool, str | None]:
        """Keep a record as :meth:`keep` does, and where it has a place the one after it as :meth:`prefetch` does."""
        dataset_id = self._store.datasets.dataset_of(record_id)
        candidates = self._candidates(dataset_id, annotator_id, record_id, wanted, record_id)
        distribution = self._store.datasets.get(dataset_id).settings.distribution
        return self._store.responses.claim_two(record_id, candidates, annotator_id, distribution)

    def keep(self, record_id: str, annotator_id: str) -> bool:
        """Keep a record for this person while they work on it; say whether it has a place for them."""
        dataset = self._store.datasets.get(self._store.datasets.dataset_of(record_id))
        claimed = self._store.responses.claim(
            [record_id], annotator_id, dataset.settings.distribution, RESERVED_SECONDS
        )
        return claimed is not None

    def release(self, record_id: str, annotator_id: str) -> None:
        """Free a record that was kept for this person, for instance one that was fetched ahead."""
        self._store.responses.release(record_id, annotator_id)

    def queue(self, dataset_id: str, annotator_id: str, queue: Queue, wanted: RecordFilter = ALL) -> list[str]:
        """Return the ids of the records in one of a person's queues, in their order.

        Pending are those without a response of this person that others have not done.
        """
        ids, _ = self._order(dataset_id, annotator_id)
        mine = self._store.responses.of_person(dataset_id, annotator_id)
        if queue == PENDING:
            distribution = self._store.datasets.get(dataset_id).settings.distribution
            closed = self._store.responses.closed_to(dataset_id, annotator_id, distribution)
            found = [record_id for record_id in ids if record_id not in mine and record_id not in closed]
        else:
            found = [record_id for record_id in ids if mine.get(record_id) == queue]
        if wanted.empty:
            return found
        fits = self._matching(dataset_id, wanted)
        return [record_id for record_id in found if record_id in fits]

    def is_waiting(self, dataset_id: str, annotator_id: str) -> bool:
        """Say whether records are left that this person can work on once others let go of them."""
        mine = self._store.responses.of_person(dataset_id, annotator_id)
        distribution = self._store.datasets.get(dataset_id).settings.distribution
        closed = self._store.responses.closed_to(dataset_id, annotator_id, distribution)
        ended = {record_id for record_id, status in mine.items() if status is not ResponseStatus.DRAFT}
        return bool(set(self._store.datasets.record_ids(dataset_id)) - closed - ended)

    def neighbour(
        self, record_id: str, annotator_id: str, step: int, queue: Queue | None = None, wanted: RecordFilter = ALL
    ) -> str | None:
        """Return the next record of this person's order in the direction of ``step``, or None at its ends.

        With a ``queue`` or a filter only what is in it counts; the record itself need not be.
        """
        dataset_id = self._store.datasets.dataset_of(record_id)
        ids, places = self._order(dataset_id, annotator_id)
        if queue is not None:
            ids = self.queue(dataset_id, annotator_id, queue, wanted)
        elif not wanted.empty:
            fits = self._matching(dataset_id, wanted)
            ids = [other for other in ids if other in fits]
        place = places[record_id]
        if step > 0:
            return next((other for other in ids if places[other] > place), None)
        return next((other for other in reversed(ids) if places[other] < place), None)

    def save_draft(
        self, record_id: str, annotator_id: str, values: Mapping[str, object], marks: Marks | None = None
    ) -> Response:
        """Keep what a person has typed so far. What they have submitted stands until it is submitted again.

        Raises:
            RecordError: a value is not allowed.
        """
        dataset, given = self._given(record_id, values, marks or {}, submitted=False)
        saved = self._store.responses.save_draft(record_id, annotator_id, given)
        # A draft is a sign of life. Where others have taken the last place, it is kept all the same.
        self._store.responses.claim([record_id], annotator_id, dataset.settings.distribution, RESERVED_SECONDS)
        return saved

    def is_kept(self, card: Card, values: Mapping[str, object], marks: Marks | None = None) -> bool:
        """Say whether these are what is stored for this card, or the untouched suggestions where nothing is."""
        checked = check_values(card.settings, values, submitted=False)
        stored = check_values(card.settings, _known(card.settings, card.values), submitted=False)
        return _without_blank(checked) == _without_blank(stored) and dict(marks or {}) == dict(card.marks)

    def submit(
        self,
        record_id: str,
        annotator_id: str,
        values: Mapping[str, object],
        seconds: float = 0.0,
        marks: Marks | None = None,
    ) -> Response:
        """Submit a response. Once more with the same values it changes nothing.

        Raises:
            RecordError: a required answer is missing, or a value is not allowed; or others have taken the last place of the
                record in the meantime, and what was given is kept as a draft.
        """
        dataset, given = self._given(record_id, values, marks or {}, submitted=True, seconds=seconds)
        distribution = dataset.settings.distribution
        return self._store.responses.end(record_id, annotator_id, ResponseStatus.SUBMITTED, given, distribution)

    def discard(
        self,
        record_id: str,
        annotator_id: str,
        values: Mapping[str, object],
        seconds: float = 0.0,
        marks: Marks | None = None,
        reason: str = "",
    ) -> Response:
        """Discard a record for this person; what was typed is kept with it."""
        if len(reason) > MAX_REASON:
            raise RecordError(f"A reason has at most {MAX_REASON:,} characters.")
        dataset, given = self._given(record_id, values, marks or {}, submitted=False, seconds=seconds)
        given = replace(given, reason=reason.strip())
        distribution = dataset.settings.distribution
        return self._store.responses.end(record_id, annotator_id, ResponseStatus.DISCARDED, given, distribution)

    def take_back(self, record_id: str, annotator_id: str) -> Response:
        """Take back a submit or a discard: what was given is a draft again.

        Raises:
            RecordError: there is nothing to take back.
        """
        reopened = self._store.responses.reopen(record_id, annotator_id)
        self.keep(record_id, annotator_id)
        return reopened

    def history(self, record_id: str, annotator_id: str) -> list[Version]:
        """Return what this person had submitted or discarded before, newest first."""
        response = self._store.responses.get(record_id, annotator_id)
        return self._store.responses.history(response.id) if response else []

    def progress(self, dataset_id: str, annotator_id: str, anew: bool = False) -> Progress:
        """Count a dataset's records from one person's view.

        Of a large one, what others have done may be that of a second ago, unless it is to be counted ``anew``.
        """
        dataset = self._store.datasets.get(dataset_id)
        distribution = dataset.settings.distribution
        own, others = self._store.done.counts(dataset_id, annotator_id, distribution, dataset.size, anew)
        return Progress(
            pending=dataset.size - sum(own.values()) - others,
            drafts=own[ResponseStatus.DRAFT],
            submitted=own[ResponseStatus.SUBMITTED],
            discarded=own[ResponseStatus.DISCARDED],
            others=others,
            total=dataset.size,
        )

    def _candidates(
        self, dataset_id: str, annotator_id: str, after: str | None, wanted: RecordFilter, without: str | None
    ) -> list[str]:
        ids, places = self._order(dataset_id, annotator_id)
        start = places[after] + 1 if after in places else 0
        # ``without`` is most often ``after``, which comes last.
        candidates = ids[start:] + ids[: start - 1 if after == without and start else start]
        if after not in places:
            drafts = self.queue(dataset_id, annotator_id, ResponseStatus.DRAFT.value)
            candidates = [*drafts, *candidates]
        if not wanted.empty:
            fits = self._matching(dataset_id, wanted)
            candidates = [record_id for record_id in candidates if record_id in fits]
        if without is not None and without != after:
            candidates = [record_id for record_id in candidates if record_id != without]
        return candidates

    def _given(
        self, record_id: str, values: Mapping[str, object], marks: Marks, submitted: bool, seconds: float = 0.0
    ) -> tuple[Dataset, Given]:
        record = self._store.datasets.record(record_id)
        dataset = self._store.datasets.get(record.dataset_id)
        if not dataset.published:
            raise RecordError("This dataset is not published yet. Publish it in Setup, then it can be answered.")
        settings = dataset.settings
        passages = record.fields.get(settings.contexts_field)
        given = Given(
            values=check_values(settings, values, submitted),
            marks=check_marks(settings, marks, len(passages) if passages else 0, marked_text(settings, record)),
            # In this order, in which NaN is 0: of two numbers that compare to nothing max() returns the first.
            seconds=min(max(0.0, seconds), MAX_WORK_SECONDS),
            prefilled=bool(record.suggestions) and is_prefilled(settings, record_id),
            guidelines_version=settings.guidelines_version,
        )
        return dataset, given

    def _is_closed(self, dataset: Dataset, record_id: str, annotator_id: str) -> bool:
        others = [r for r in self._store.responses.of_record(record_id) if r.annotator_id != annotator_id]
        submitted = sum(response.status is ResponseStatus.SUBMITTED for response in others)
        discarded = sum(response.status is ResponseStatus.DISCARDED for response in others)
        return dataset.settings.distribution.is_done(submitted, discarded)

    def _matching(self, dataset_id: str, wanted: RecordFilter) -> set[str]:
        version, key = self._store.datasets.version(), (dataset_id, repr(wanted))
        with self._lock:
            known = self._matches.get(key)
        if known is None or known[0] != version:
            settings = self._store.datasets.get(dataset_id).settings
            records = self._store.datasets.records(dataset_id)
            known = version, {record.id for record in matching(settings, records, wanted)}
            with self._lock:
                _keep_newest(self._matches, key, known, KEPT_MATCHES)
        return known[1]

    def _order(self, dataset_id: str, annotator_id: str) -> tuple[list[str], dict[str, int]]:
        ids, key = self._store.datasets.record_ids(dataset_id), (dataset_id, annotator_id)
        with self._lock:
            known = self._orders.get(key)
            if known is None or known[0] != len(ids):
                ordered = _in_order_of(annotator_id, ids)
                known = len(ids), ordered, {record_id: place for place, record_id in enumerate(ordered)}
            _keep_newest(self._orders, key, known, KEPT_ORDERS)
        return known[1], known[2]


def _keep_newest(kept: OrderedDict, key: object, value: object, most: int) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)


def _in_order_of(annotator_id: str, ids: Sequence[str]) -> list[str]:
    return sorted(ids, key=lambda record_id: hashlib.sha256(f"{annotator_id}{record_id}".encode()).digest())


def is_prefilled(settings: DatasetSettings, record_id: str) -> bool:
    """Say whether a record is shown with its suggestions: the same for everybody, for the set share of the records."""
    drawn = int.from_bytes(hashlib.sha256(f"prefill{record_id}".encode()).digest()[:8], "big") / 2**64
    return drawn >= settings.unprefilled


def marked_text(settings: DatasetSettings, record: Record) -> str:
    """Return the text in which unsupported spans are marked: a field's, or the one that was suggested for a question."""
    field = settings.field(settings.mark_spans)
    if field is not None and field.kind in (FieldKind.TEXT, FieldKind.MARKDOWN):
        return str(record.fields.get(field.name) or "")
    suggestion = record.suggestions.get(settings.mark_spans)
    return str(suggestion.value) if suggestion else ""


def _is_visible(settings: DatasetSettings, name: str) -> bool:
    found = settings.metadata_property(name)
    return found is not None and found.visible


def _known(settings: DatasetSettings, values: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if settings.question(name)}


def _without_blank(values: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if value != ""}
