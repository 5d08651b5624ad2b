"""Which records of a dataset are done, and so how many wait for one person: what every answer on Edit counts anew."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from functools import cache

from sqlalchemy import Connection, Select, bindparam, select

from pipeline.annotation.settings import Distribution
from pipeline.records import ResponseStatus
from pipeline.store.dialects import number_of
from pipeline.store.engine import Database
from pipeline.store.schema import records, responses

# In a dataset of more records all responses are looked through once in so many seconds, whoever asks.
COUNTED_EACH_TIME = 1_000
LOOK_SECONDS = 1.0
KEPT_DATASETS = 20


class DoneRecords:
    """Counts for one person. In a large dataset it may be a moment late about others, and never about that person."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._db = database
        self._clock = clock
        self._lock = threading.Lock()
        self._found: OrderedDict[tuple, tuple[float, frozenset[str]]] = OrderedDict()

    def counts(
        self, dataset_id: str, annotator_id: str, distribution: Distribution, size: int, anew: bool = False
    ) -> tuple[Counter[ResponseStatus], int]:
        """Return how many responses of each status a person has, and how many records are done without this person.

        ``size`` is how many records the dataset has. With ``anew`` it is exact in a large one too.
        """
        # First: whoever answers meanwhile is among one's own, and not counted twice.
        done = self._look(dataset_id, distribution, anew) if size > COUNTED_EACH_TIME else None
        with self._db.read() as connection:
            rows = connection.execute(_OF_PERSON, {"dataset": dataset_id, "annotator": annotator_id})
            own = {record_id: status for record_id, status in rows}
            if done is None:
                done = _read(connection, dataset_id, distribution, few=True)
        return Counter(map(ResponseStatus, own.values())), len(done) - sum(record_id in done for record_id in own)

    def _look(self, dataset_id: str, distribution: Distribution, anew: bool) -> frozenset[str]:
        key = dataset_id, distribution.min_submitted, distribution.discard_quorum
        at, known = self._found.get(key, (0.0, None))
        if known is not None and not anew and self._clock() - at < LOOK_SECONDS:
            return known
        # Nobody waits for a look of somebody else where there is an earlier one.
        if not self._lock.acquire(blocking=known is None or anew):
            return known
        try:
            at = self._clock()
            with self._db.read() as connection:
                found = _read(connection, dataset_id, distribution, few=False)
            self._found[key] = at, found
            self._found.move_to_end(key)
            while len(self._found) > KEPT_DATASETS:
                self._found.popitem(last=False)
            return found
        finally:
            self._lock.release()


_dataset = select(records.c.dataset_id).where(records.c.id == responses.c.record_id).scalar_subquery()
# Of one person's responses, which are few, each is looked up.
_OF_PERSON = select(responses.c.record_id, responses.c.status).where(
    responses.c.annotator_id == bindparam("annotator"), _dataset == bindparam("dataset")
)


@cache
def _done(with_quorum: bool, few: bool) -> Select:
    """Return what finds the records of a dataset that are done, by its records where they are few, else by the responses."""
    inside = responses.c.record_id.in_(select(records.c.id).where(records.c.dataset_id == bindparam("dataset")))
    done = number_of(responses.c.status == ResponseStatus.SUBMITTED.value) >= bindparam("submitted")
    if with_quorum:
        done |= number_of(responses.c.status == ResponseStatus.DISCARDED.value) >= bindparam("discarded")
    return (
        select(responses.c.record_id)
        .where(inside if few else _dataset == bindparam("dataset"))
        .group_by(responses.c.record_id)
        .having(done)
    )


def _read(connection: Connection, dataset_id: str, distribution: Distribution, few: bool) -> frozenset[str]:
    enough = {"submitted": distribution.min_submitted, "discarded": distribution.discard_quorum}
    query = _done(distribution.discard_quorum is not None, few)
    return frozenset(connection.scalars(query, {"dataset": dataset_id, **enough}))
