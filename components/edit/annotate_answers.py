"""What the script of the Annotate panel is answered: cards, counts, and what became of what somebody did."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from components._html import esc, note
from components.edit import form_html, queue_html
from components.edit.record_html import record_html
from pipeline.errors import PipelineError
from pipeline.filters import ALL, RecordFilter
from pipeline.records import Response, ResponseStatus, Role
from pipeline.services import Services
from pipeline.store.datasets import Dataset
from pipeline.tasks import PENDING, Card, Progress, Queue

# Records in the list of a queue.
LISTED = 200
CHANGED = "This record was changed in another window."


class ChangedError(PipelineError):
    """Another window of the same person has changed the response since this one read it; ``version`` is the new one."""

    def __init__(self, version: str) -> None:
        super().__init__(CHANGED)
        self.version = version


@dataclass(frozen=True, slots=True)
class View:
    """What somebody looks at: one of their queues, narrowed by a filter. ``leaving`` are records they saw and go away from."""

    queue: Queue = PENDING
    wanted: RecordFilter = ALL
    leaving: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands in the form of a record. ``version`` names the response that it was typed over.

    ``unsure`` are values and marks that the same window has sent before without hearing what became of them.
    """

    record_id: str
    values: Mapping[str, object]
    marks: Mapping[str, object] = field(default_factory=dict)
    version: str = ""
    unsure: tuple[Mapping[str, object], Mapping[str, object]] | None = None


class AnnotateAnswers:
    """Cards for one person at a time, and their responses."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.annotation
        # Two windows of one person: what is read to compare must still be so when it is written.
        self._locks = [threading.Lock() for _ in range(64)]

    def open(self, me: str, dataset_id: str, record_id: str, view: View, frame: bool) -> dict[str, object]:
        """Show a dataset: the record that is asked for, else the next of the queue."""
        dataset = self._dataset(dataset_id, record_id)
        self._release(me, view, keep=record_id)
        if dataset is None:
            return {"dataset": "", "bare": True, "empty": queue_html.no_dataset(self._may_make(me))}
        answer: dict[str, object] = {"dataset": dataset.id, "queue": view.queue}
        if not dataset.published:
            return answer | {"bare": True, "empty": queue_html.not_published()}
        if not dataset.size:
            return answer | {"bare": True, "empty": queue_html.no_records()}
        answer |= {"frame": queue_html.frame_html(dataset.settings)} if frame else {}
        if record_id:
            # Whoever opens a record means to work on it.
            answer["place"] = self._has_place(me, record_id)
        return answer | self._screen(me, dataset, record_id or self._first(me, dataset, view), view)

    def _may_make(self, me: str) -> bool:
        role = self._services.people.role_of(me)
        return role is not None and role.covers(Role.ADMIN)

    def step(self, me: str, dataset_id: str, record_id: str, step: int, view: View) -> dict[str, object]:
        """Show the record before or after one in this person's order, or in a queue; without one, the last."""
        if not record_id:
            last = next(iter(self._desk.order(dataset_id, me)[-1:]), None)
            return self._screen(me, self._services.datasets.get(dataset_id), last, view)
        queue = None if view.queue == PENDING else view.queue
        found = self._desk.neighbour(record_id, me, step, queue, view.wanted)
        if found is None:
            which = "first" if step < 0 else "last"
            return {"end": f"This is the {which} record{' here' if queue or not view.wanted.empty else ''}."}
        self._release(me, view, keep=found)
        dataset = self._services.datasets.get(self._services.store.datasets.dataset_of(record_id))
        return self._screen(me, dataset, found, view)

    def save_draft(self, me: str, typed: Typed) -> dict[str, object]:
        """Keep what was typed, unless it is what is stored or suggested anyway."""
        with self._lock(me, typed.record_id):
            card = self._desk.card(typed.record_id, me)
            self._refuse_changed(card, typed)
            kept = self._desk.is_kept(card, typed.values, typed.marks)
            response = card.response
            if not kept:
                response = self._desk.save_draft(typed.record_id, me, typed.values, typed.marks)
        status = response.status if response else None
        edited = response is not None and response.edits is not None
        return {
            "version": version_of(response),
            "saved": response is not None and (status is ResponseStatus.DRAFT or edited),
            "status": status.value if status else "",
            "line": queue_html.status_words(status, edited, response.updated_at if response else 0.0),
            "place": _is_ended(response) or self._desk.keep(typed.record_id, me),
            "diffs": form_html.diffs(card, dict(typed.values)),
        }

    def end(
        self, me: str, action: Literal["submit", "discard"], typed: Typed, seconds: float, reason: str
    ) -> dict[str, object]:
        """Submit or discard what was typed."""
        with self._lock(me, typed.record_id):
            stored = version_of(self._services.store.responses.get(typed.record_id, me))
            if typed.version != stored:
                self._refuse_changed(self._desk.card(typed.record_id, me), typed)
            if action == "submit":
                response = self._desk.submit(typed.record_id, me, typed.values, seconds, typed.marks)
            else:
                response = self._desk.discard(typed.record_id, me, typed.values, seconds, typed.marks, reason)
        return {"record": typed.record_id, "status": response.status.value, "version": version_of(response)}

    def after(self, me: str, record_id: str, showing: str, view: View) -> dict[str, object]:
        """Say what follows a record that was ended, while ``showing`` is on the screen already; "" is nothing."""
        dataset = self._services.datasets.get(self._services.store.datasets.dataset_of(record_id))
        if showing:
            place, following = self._kept(me, showing, view)
            if place:
                card = self._card(me, following) if following else None
                return self._counted(me, dataset.id, view) | {"place": True, "next": card}
        found = self._following(me, dataset, record_id, view)
        return {"place": False} | self._screen(me, dataset, found, view)

    def undo(self, me: str, record_id: str, view: View) -> dict[str, object]:
        """Take back a submit or a discard, and show the record again."""
        self._desk.take_back(record_id, me)
        self._release(me, view, keep=record_id)
        dataset = self._services.datasets.get(self._services.store.datasets.dataset_of(record_id))
        return self._screen(me, dataset, record_id, view)

    def list(self, me: str, dataset_id: str, current: str, view: View) -> dict[str, object]:
        """Return the first records of a queue as a list."""
        ids = self._desk.queue(dataset_id, me, view.queue, view.wanted)
        places = {record_id: number for number, record_id in enumerate(self._desk.order(dataset_id, me), 1)}
        records = self._services.store.datasets.some(ids[:LISTED])
        rows = [(places[record.id], record, view.queue) for record in records]
        return {"list": queue_html.list_html(rows, len(ids), current)}

    def guidelines(self, dataset_id: str) -> dict[str, object]:
        """Return the guidelines as they are now: they may have changed since the frame was drawn."""
        return {"guidelines": queue_html.guidelines_html(self._services.datasets.get(dataset_id).settings)}

    def stay(self, me: str, record_id: str) -> dict[str, object]:
        """Keep a record for somebody who is still at work on it."""
        return {"place": self._has_place(me, record_id)}

    def leave(self, me: str, view: View) -> None:
        """Free what somebody saw and did not begin: their page was closed."""
        self._release(me, view, keep="")

    def counts(self, me: str, record_id: str, view: View) -> dict[str, object]:
        """Return the dataset that a record is in, and its queues."""
        return self._counted(me, self._services.store.datasets.dataset_of(record_id), view)

    def _counted(self, me: str, dataset_id: str, view: View) -> dict[str, object]:
        return _counts(dataset_id, self._desk.progress(dataset_id, me), view)

    def _dataset(self, dataset_id: str, record_id: str) -> Dataset | None:
        if record_id:
            dataset_id = self._services.store.datasets.dataset_of(record_id)
        if dataset_id:
            return self._services.datasets.get(dataset_id)
        return next(iter(self._services.datasets.all()), None)

    def _first(self, me: str, dataset: Dataset, view: View) -> str | None:
        if view.queue == PENDING:
            return self._desk.next_record(dataset.id, me, wanted=view.wanted)
        return next(iter(self._desk.queue(dataset.id, me, view.queue, view.wanted)), None)

    def _following(self, me: str, dataset: Dataset, record_id: str, view: View) -> str | None:
        if view.queue == PENDING:
            return self._desk.next_record(dataset.id, me, record_id, view.wanted)
        found = self._desk.neighbour(record_id, me, 1, view.queue, view.wanted)
        return found or self._first(me, dataset, view)

    def _screen(self, me: str, dataset: Dataset, record_id: str | None, view: View) -> dict[str, object]:
        if record_id is None:
            # Nothing comes after it that would set it right.
            progress = self._desk.progress(dataset.id, me, anew=True)
            return _counts(dataset.id, progress, view) | self._nothing(me, dataset, view, progress)
        card = self._card(me, record_id)
        return self._counted(me, dataset.id, view) | {"card": card, "next": self._prefetched(me, record_id, view)}

    def _nothing(self, me: str, dataset: Dataset, view: View, progress: Progress) -> dict[str, object]:
        if not view.wanted.empty and not self._desk.queue(dataset.id, me, view.queue, view.wanted):
            return {"empty": queue_html.no_match()}
        if view.queue != PENDING:
            return {"empty": queue_html.empty_queue(view.queue)}
        if self._desk.is_waiting(dataset.id, me):
            return {"empty": queue_html.others_at_work(progress), "waiting": True}
        return {"empty": queue_html.all_done(progress)}

    def _prefetched(self, me: str, record_id: str, view: View) -> dict[str, object] | None:
        found = self._ahead(me, record_id, view)
        return self._card(me, found) if found else None

    def _ahead(self, me: str, record_id: str, view: View) -> str | None:
        if view.queue == PENDING:
            return self._desk.prefetch(record_id, me, view.wanted)
        return self._desk.neighbour(record_id, me, 1, view.queue, view.wanted)

    def _card(self, me: str, record_id: str) -> dict[str, object]:
        card = self._desk.card(record_id, me)
        history = self._desk.history(record_id, me) if card.response else []
        html = card_html(card, queue_html.history_html(card.settings, history))
        return {"id": record_id, "html": html, "version": version_of(card.response), "closed": card.closed}

    def _kept(self, me: str, showing: str, view: View) -> tuple[bool, str | None]:
        """Keep the record on the screen, and say whether it has a place and which record comes after it."""
        if _is_ended(self._services.store.responses.get(showing, me)) or view.queue != PENDING:
            return self._has_place(me, showing), self._ahead(me, showing, view)
        return self._desk.keep_and_prefetch(showing, me, view.wanted)

    def _has_place(self, me: str, record_id: str) -> bool:
        return _is_ended(self._services.store.responses.get(record_id, me)) or self._desk.keep(record_id, me)

    def _release(self, me: str, view: View, keep: str) -> None:
        for record_id in view.leaving:
            # What was begun stays kept for whoever began it.
            if record_id != keep and self._services.store.responses.get(record_id, me) is None:
                self._desk.release(record_id, me)

    def _refuse_changed(self, card: Card, typed: Typed) -> None:
        """Refuse what was typed over another response than the stored one, unless that came from the same window."""
        stored, own = version_of(card.response), [(typed.values, typed.marks)]
        own += [typed.unsure] if typed.unsure else []
        if typed.version != stored and not any(self._desk.is_kept(card, *given) for given in own):
            raise ChangedError(stored)

    def _lock(self, me: str, record_id: str) -> threading.Lock:
        return self._locks[hash((me, record_id)) % len(self._locks)]


def _counts(dataset_id: str, progress: Progress, view: View) -> dict[str, object]:
    return {"dataset": dataset_id, "counts": queue_html.counts_html(progress, view.queue)}


def version_of(response: Response | None) -> str:
    """Return what a response is now, as a short text that changes with it; "" is no response."""
    if response is None:
        return ""
    content = [response.status.value, dict(response.values), dict(response.marks), response.edits]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def card_html(card: Card, history: str) -> str:
    """Return a record with its form."""
    response, record_id = card.response, esc(card.record.id)
    ended = _is_ended(response)
    edited = response is not None and response.edits is not None
    line = queue_html.status_words(response and response.status, edited, response.updated_at if response else 0.0)
    data = (
        f'data-record="{record_id}" data-status="{response.status.value if response else ""}" data-number="{card.number}" '
        f'data-guidelines="{card.settings.guidelines_version if card.settings.guidelines.strip() else ""}" '
        f'data-line="{esc(line)}" data-marks="{esc(json.dumps(dict(card.marks)))}"'
    )
    copy = '<button type="button" class="pl-link-button" data-copy-link>Copy link</button>'
    place = f"Record {card.number} of {card.total}"
    head = f'<p class="pl-label pl-record-head"><span data-shows="{record_id}">{place}</span>{copy}</p>'
    return (
        f'<article class="pl-record" tabindex="-1" aria-label="{place}" {data}>'
        f'<div class="pl-record-shown" id="edit-record">{head}{_notes(card, ended)}{record_html(card)}</div>'
        f'<form class="pl-record-form" id="edit-form" novalidate aria-label="Your answers">{form_html.form_html(card)}'
        f"{history}</form></article>"
    )


def _notes(card: Card, ended: bool) -> str:
    response, notes = card.response, ""
    if card.closed:
        notes += note("Others have answered this record in the meantime. Go on with the next one.", "warn")
    if response is not None and response.status is ResponseStatus.DISCARDED and response.reason:
        notes += note(f"You discarded this: {response.reason}")
    given, current = response.guidelines_version if response else None, card.settings.guidelines_version
    if ended and given is not None and given < current:
        notes += note(
            f"The guidelines have changed since you answered: version {current}, then version {given}.", "warn"
        )
    return notes


def _is_ended(response: Response | None) -> bool:
    return response is not None and response.status is not ResponseStatus.DRAFT
