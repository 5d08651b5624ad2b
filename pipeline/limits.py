"""How often a person may ask for what costs: one place for the screens and the API."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.errors import LimitError

# People whose allowance is remembered. Whoever is forgotten has a full one again.
KEPT = 10_000


class RateLimit:
    """A token bucket for each person: ``per_minute`` actions at once, filled again as steadily. 0 sets no limit."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = per_minute
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, person: str) -> None:
        """Count one costly action of a person.

        Raises:
            LimitError: there were too many within a minute; it says when the next one is possible.
        """
        if not self._size:
            return
        now, per_second = self._clock(), self._size / 60
        with self._lock:
            left, since = self._left.get(person, (float(self._size), now))
            left = min(self._size, left + (now - since) * per_second)
            self._left[person] = (left - 1 if left >= 1 else left, now)
            self._left.move_to_end(person)
            while len(self._left) > KEPT:
                self._left.popitem(last=False)
        if left < 1:
            raise LimitError(
                f"That is more than {self._size} costly requests within a minute: asking, adding documents, importing. "
                "Wait a moment.",
                math.ceil((1 - left) / per_second),
            )


class Places:
    """So many may do something at the same time, each holding a thread while they do."""

    def __init__(self, count: int, what: str) -> None:
        self._free = threading.BoundedSemaphore(count)
        self._count, self._what = count, what

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold a place.

        Raises:
            LimitError: all are taken.
        """
        if not self._free.acquire(blocking=False):
            raise LimitError(f"{self._count} {self._what} at this moment. Try again in a few seconds.", 5)
        try:
            yield
        finally:
            self._free.release()
