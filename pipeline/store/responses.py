"""People's responses with their history, and which records are kept for whom."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from pipeline.annotation.settings import Distribution
from pipeline.errors import RecordError
from pipeline.records import Response, ResponseStatus, id_of
from pipeline.store.engine import Database
from pipeline.store.local_schema import reservations
from pipeline.store.rows import change, found, history_line, now, put
from pipeline.store.schema import queries, records, response_history, responses

# How long a record is kept for whoever works on it, from their last sign of life.
RESERVED_SECONDS = 300.0
# How long for whoever sees it next.
PREFETCHED_SECONDS = 60.0
# Most often one of the first records is free; at the end of a sprint nearly none is.
FIRST_LOOK, LATER_LOOKS = 5, 400
# What each submit asks, some of it six times: built once, which costs more than to ask it.
_ROW = select(responses).where(
    responses.c.record_id == bindparam("record"), responses.c.annotator_id == bindparam("annotator")
)
_OF_RECORDS = select(responses.c.record_id, responses.c.annotator_id, responses.c.status, responses.c.updated_at).where(
    responses.c.record_id.in_(bindparam("some", expanding=True))
)
_AT_WORK = select(reservations.c.record_id, reservations.c.annotator_id).where(
    reservations.c.record_id.in_(bindparam("some", expanding=True)), reservations.c.until > bindparam("now")
)
_TAKEN = select(func.count()).where(
    responses.c.record_id == bindparam("record"),
    responses.c.annotator_id != bindparam("annotator"),
    responses.c.status == ResponseStatus.SUBMITTED.value,
)
_RESERVED = (reservations.c.record_id == bindparam("record")) & (reservations.c.annotator_id == bindparam("annotator"))
_RESERVE = update(reservations).where(_RESERVED).values(until=bindparam("at"))
_RELEASE = delete(reservations).where(_RESERVED | (reservations.c.until < bindparam("now")))
FULL = "Others have answered this record in the meantime. Your text is kept as a draft; go on with the next record."


@dataclass(frozen=True, slots=True)
class Given:
    """What a person gives: the values of their answers, marks, the reason of a discard, seconds of work to add."""

    values: Mapping[str, object]
    marks: Mapping[str, object]
    reason: str = ""
    seconds: float = 0.0
    prefilled: bool | None = None
    guidelines_version: int | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """A response as it was at a time, in seconds since the epoch."""

    status: ResponseStatus
    values: Mapping[str, object]
    marks: Mapping[str, object]
    reason: str
    at: float


class ResponseStore:
    """Rows of ``responses``, ``response_history`` and ``reservations``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def version(self) -> tuple[int, ...]:
        """Return numbers that change with the responses to any record."""
        return self._db.version(responses, records)

    def of_dataset(self, dataset_id: str) -> list[Response]:
        """Return all responses to a dataset's records, of everybody, oldest first."""
        return self._responses(records.c.dataset_id == dataset_id)

    def values_by_query(self) -> dict[str, list[Mapping[str, object]]]:
        """Return the values of all submitted responses to records that have a query, by the query's text."""
        query = (
            select(queries.c.text, responses.c["values"])
            .select_from(responses.join(records).join(queries, records.c.query_id == queries.c.id))
            .where(responses.c.status == ResponseStatus.SUBMITTED.value)
        )
        found: dict[str, list[Mapping[str, object]]] = {}
        with self._db.read() as connection:
            for text, values in connection.execute(query):
                found.setdefault(text, []).append(values)
        return found

    def of_record(self, record_id: str) -> list[Response]:
        """Return everybody's responses to a record, oldest first."""
        return self._responses(responses.c.record_id == record_id)

    def of_person(self, dataset_id: str, annotator_id: str) -> dict[str, ResponseStatus]:
        """Return the status of each record of a dataset that a person has a response to."""
        query = select(responses.c.record_id, responses.c.status).select_from(responses.join(records))
        mine = (responses.c.annotator_id == annotator_id) & (records.c.dataset_id == dataset_id)
        with self._db.read() as connection:
            return {row.record_id: ResponseStatus(row.status) for row in connection.execute(query.where(mine))}

    def get(self, record_id: str, annotator_id: str) -> Response | None:
        """Return one person's response to a record, or None while it is pending."""
        with self._db.read() as connection:
            row = _row(connection, record_id, annotator_id)
        return None if row is None else _response(row)

    def history(self, response_id: str) -> list[Version]:
        """Return what a response was before, newest first: every state that was submitted or discarded."""
        query = select(response_history).where(response_history.c.response_id == response_id)
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(response_history.c.at.desc())).mappings().all()
        return [
            Version(ResponseStatus(row["status"]), row["values"], row["marks"] or {}, row["reason"] or "", row["at"])
            for row in rows
        ]

    def save_draft(self, record_id: str, annotator_id: str, given: Given) -> Response:
        """Store what was typed. What was submitted or discarded stays: beside it, this is kept as edits of it."""
        with self._db.write() as connection:
            _keep(connection, _row(connection, record_id, annotator_id), record_id, annotator_id, given)
            return _response(found(_row(connection, record_id, annotator_id), "response"))

    def end(
        self,
        record_id: str,
        annotator_id: str,
        status: Literal[ResponseStatus.SUBMITTED, ResponseStatus.DISCARDED],
        given: Given,
        distribution: Distribution,
    ) -> Response:
        """Submit or discard, and free the record for others; what it was before goes into the history.

        What stands already is not written again: a submit that is repeated because its answer was lost changes nothing.

        Raises:
            RecordError: the record has got all its responses from others, or is being answered by as many as it needs.
                What was given is then kept as a draft.
        """
        with self._db.write() as connection:
            before = _row(connection, record_id, annotator_id)
            # Whoever has submitted has a place already.
            has_place = before is not None and before["status"] == ResponseStatus.SUBMITTED.value
            wants_one = status is ResponseStatus.SUBMITTED and not has_place
            refused = wants_one and _is_full(connection, record_id, annotator_id, distribution)
            if refused:
                _keep(connection, before, record_id, annotator_id, given)
            else:
                if before is None or not _stands(before, status, given):
                    _write(connection, before, record_id, annotator_id, status, given)
                elif before["edits"] is not None:
                    # Whoever ends it as it was gives up what they had typed into it since.
                    change(connection, responses, before["id"], edits=None)
                _release(connection, record_id, annotator_id)
            written = found(_row(connection, record_id, annotator_id), "response")
        if refused:
            raise RecordError(FULL)
        return _response(written)

    def reopen(self, record_id: str, annotator_id: str) -> Response:
        """Take back a submit or a discard: what was given is a draft again, and stays in the history.

        Whoever had submitted keeps their place on the record; a discard had none, and others may have taken it since.

        Raises:
            RecordError: there is nothing to take back.
        """
        with self._db.write() as connection:
            before = _row(connection, record_id, annotator_id)
            if before is None or before["status"] == ResponseStatus.DRAFT.value:
                raise RecordError("There is nothing to take back on this record.")
            moment = _after(before)
            values = {"status": ResponseStatus.DRAFT.value, "reopened_at": moment, "updated_at": moment, "reason": None}
            change(connection, responses, before["id"], **values)
            _to_history(connection, before)
            if before["status"] == ResponseStatus.SUBMITTED.value:
                _reserve(connection, record_id, annotator_id, moment + RESERVED_SECONDS)
            return _response(found(_row(connection, record_id, annotator_id), "response"))

    def claim(
        self, candidates: Sequence[str], annotator_id: str, distribution: Distribution, seconds: float
    ) -> str | None:
        """Keep the first of these records that this person can work on for them; return it, or None.

        It is found and kept in one transaction, so that two people never get the last place of one record. A record that has
        a place for this person has fewer submitted responses, and people at work, than it needs.
        """
        with self._db.write() as connection:
            return _claim(connection, candidates, annotator_id, distribution, seconds)

    def claim_two(
        self, first: str, candidates: Sequence[str], annotator_id: str, distribution: Distribution
    ) -> tuple[bool, str | None]:
        """Keep a record for this person, and ahead of time the first of others; say whether it has a place, and which comes.

        It is one transaction, and so one wait for the disk. Where the first has no place, nothing comes after it.
        """
        with self._db.write() as connection:
            if _claim(connection, [first], annotator_id, distribution, RESERVED_SECONDS) is None:
                return False, None
            return True, _claim(connection, candidates, annotator_id, distribution, PREFETCHED_SECONDS)

    def release(self, record_id: str, annotator_id: str) -> None:
        """Free a record that was kept for this person."""
        with self._db.write() as connection:
            _release(connection, record_id, annotator_id)

    def closed_to(self, dataset_id: str, annotator_id: str, distribution: Distribution) -> set[str]:
        """Return the records of a dataset that are done without this person, who may have a draft there."""
        query = select(responses.c.record_id, responses.c.annotator_id, responses.c.status)
        inside = responses.c.record_id.in_(select(records.c.id).where(records.c.dataset_id == dataset_id))
        counts: dict[str, _Places] = {}
        with self._db.read() as connection:
            for row in connection.execute(query.where(inside)):
                counts.setdefault(row.record_id, _Places()).add(row.status, row.annotator_id == annotator_id)
        unended = ("", ResponseStatus.DRAFT.value)
        return {
            i
            for i, places in counts.items()
            if places.mine in unended and distribution.is_done(places.submitted, places.discarded)
        }

    def _responses(self, condition) -> list[Response]:
        query = select(responses).select_from(responses.join(records)).where(condition)
        query = query.order_by(responses.c.created_at, responses.c.id)
        with self._db.read() as connection:
            return [_response(row) for row in connection.execute(query).mappings()]


@dataclass(slots=True)
class _Places:
    """Who has done what with a record. ``mine`` is this person's status."""

    submitted: int = 0
    discarded: int = 0
    mine: str = ""

    def add(self, status: str, own: bool) -> None:
        self.submitted += status == ResponseStatus.SUBMITTED.value
        self.discarded += status == ResponseStatus.DISCARDED.value
        self.mine = status if own else self.mine


def _claim(
    connection: Connection, candidates: Sequence[str], me: str, distribution: Distribution, seconds: float
) -> str | None:
    for some in _looks(candidates):
        open_ = _open_for(connection, some, me, distribution)
        first = next((record_id for record_id in some if record_id in open_), None)
        if first is not None:
            _reserve(connection, first, me, now() + seconds)
            return first
    return None


def _looks(candidates: Sequence[str]) -> Iterator[Sequence[str]]:
    if candidates:
        yield candidates[:FIRST_LOOK]
    for start in range(FIRST_LOOK, len(candidates), LATER_LOOKS):
        yield candidates[start : start + LATER_LOOKS]


def _open_for(connection: Connection, some: Sequence[str], me: str, distribution: Distribution) -> set[str]:
    """Return those records that this person has not ended, and that are kept for them or have a place left for them."""
    places = {record_id: _Places() for record_id in some}
    working: dict[str, set[str]] = {record_id: set() for record_id in some}
    fresh = now() - RESERVED_SECONDS
    for row in connection.execute(_OF_RECORDS, {"some": some}):
        places[row.record_id].add(row.status, row.annotator_id == me)
        # A draft that came from another replica is a sign of life, like a reservation on this one.
        if row.status == ResponseStatus.DRAFT.value and row.updated_at > fresh and row.annotator_id != me:
            working[row.record_id].add(row.annotator_id)
    held: set[str] = set()
    for record_id, annotator_id in _at_work(connection, some):
        if annotator_id == me:
            held.add(record_id)
        else:
            working[record_id].add(annotator_id)
    return {
        record_id
        for record_id in some
        if places[record_id].mine in ("", ResponseStatus.DRAFT.value)
        and not distribution.is_done(places[record_id].submitted, places[record_id].discarded)
        and (record_id in held or places[record_id].submitted + len(working[record_id]) < distribution.min_submitted)
    }


def _at_work(connection: Connection, some: Sequence[str]) -> list[tuple[str, str]]:
    """Return which of these records are kept for whom."""
    return [(row.record_id, row.annotator_id) for row in connection.execute(_AT_WORK, {"some": some, "now": now()})]


def _is_full(connection: Connection, record_id: str, me: str, distribution: Distribution) -> bool:
    """Say whether every place of a record is taken by others, by their responses or because they are at work on it.

    Whoever holds a reservation has a place, and takes it from nobody.
    """
    taken = connection.scalar(_TAKEN, {"record": record_id, "annotator": me})
    if taken >= distribution.min_submitted:
        return True
    at_work = _at_work(connection, [record_id])
    return (record_id, me) not in at_work and taken + len(at_work) >= distribution.min_submitted


def _reserve(connection: Connection, record_id: str, annotator_id: str, until: float) -> None:
    if connection.execute(_RESERVE, {"record": record_id, "annotator": annotator_id, "at": until}).rowcount == 0:
        row = {"record_id": record_id, "annotator_id": annotator_id, "until": until}
        connection.execute(insert(reservations).values(row))


def _release(connection: Connection, record_id: str, annotator_id: str) -> None:
    connection.execute(_RELEASE, {"record": record_id, "annotator": annotator_id, "now": now()})


def _row(connection: Connection, record_id: str, annotator_id: str):
    return connection.execute(_ROW, {"record": record_id, "annotator": annotator_id}).mappings().first()


def _keep(connection: Connection, before, record_id: str, annotator_id: str, given: Given) -> None:
    """Keep what was given as a draft, or as edits of what was submitted or discarded."""
    if before is not None and before["status"] != ResponseStatus.DRAFT.value:
        change(connection, responses, before["id"], edits=_edits(before, given))
    else:
        _write(connection, before, record_id, annotator_id, ResponseStatus.DRAFT, given)


def _edits(before, given: Given) -> dict[str, object] | None:
    edits = {"values": dict(given.values), "marks": dict(given.marks)}
    same = dict(before["values"]) == edits["values"] and (before["marks"] or {}) == edits["marks"]
    return None if same else edits


def _stands(before, status: ResponseStatus, given: Given) -> bool:
    same = before["status"] == status.value and dict(before["values"]) == dict(given.values)
    return same and (before["marks"] or {}) == dict(given.marks) and (before["reason"] or "") == given.reason


def _write(connection, before, record_id, annotator_id, status: ResponseStatus, given: Given) -> None:
    changed = {
        "status": status.value,
        "values": dict(given.values),
        "marks": dict(given.marks) or None,
        "edits": None,
        "reason": given.reason or None,
        "guidelines_version": given.guidelines_version,
        "updated_at": _after(before),
    }
    if before is None:
        key = {"id": id_of("response", record_id, annotator_id), "record_id": record_id, "annotator_id": annotator_id}
        first = {"seconds": given.seconds, "prefilled": given.prefilled, "created_at": now(), "reopened_at": None}
        put(connection, responses, [{**key, **changed, **first}])
        return
    change(connection, responses, before["id"], **changed, seconds=before["seconds"] + given.seconds)
    # Drafts replace each other many times a minute; only what was submitted or discarded is worth a line of history.
    if before["status"] != ResponseStatus.DRAFT.value:
        _to_history(connection, before)


def _after(before) -> float:
    """Return the time, never before that of the version it follows: replicas, whose clocks differ, tell by it which is later."""
    return now() if before is None else max(now(), math.nextafter(before["updated_at"], math.inf))


def _to_history(connection: Connection, before) -> None:
    line = history_line(before)
    if connection.scalar(select(response_history.c.id).where(response_history.c.id == line["id"])) is None:
        put(connection, response_history, [line])


def _response(row) -> Response:
    names = ("id", "record_id", "annotator_id", "values", "seconds", "updated_at", "created_at", "edits")
    known = {name: row[name] for name in (*names, "prefilled", "guidelines_version")}
    return Response(status=ResponseStatus(row["status"]), marks=row["marks"] or {}, reason=row["reason"] or "", **known)
