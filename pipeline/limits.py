"""How often a person, or a browser that nobody signed in with, may ask for what costs: for the screens and the API."""

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
# All browsers that nobody has signed in with may do together so many times what one of them may.
TOGETHER = 10
# What a heavy action counts as: it makes models work for long, moves a whole workspace, or hands out a key.
HEAVY = 5
_ALL = "all browsers together"


class RateLimit:
    """A token bucket for each person: ``per_minute`` actions at once, filled again as steadily. 0 sets no limit."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = per_minute
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, person: str, cost: int = 1, browser: bool = False) -> None:
        """Count one costly action of a person, which may count as several.

        ``browser`` says that the person is a browser that nobody signed in with. A new one costs nothing, so that all of them
        have an allowance together besides.

        Raises:
            LimitError: there were too many within a minute; it says when the next one is possible.
        """
        if not self._size:
            return
        sizes = {person: self._size} | ({_ALL: self._size * TOGETHER} if browser else {})
        # Where few are allowed, what counts as more of them than there can be would never be possible.
        cost, now = min(cost, self._size), self._clock()
        with self._lock:
            waits = [self._wait(whose, size, cost, now) for whose, size in sizes.items()]
            if not any(waits):
                for whose in sizes:
                    left, at = self._left[whose]
                    self._left[whose] = (left - cost, at)
        if wait := max(waits):
            raise LimitError(
                f"That is more than {self._size} costly actions within a minute, such as asking, adding files, exporting or "
                f"starting a run. Try again in {wait} s.",
                wait,
            )

    def _wait(self, whose: str, size: int, cost: int, now: float) -> int:
        """Fill an allowance up to now, and return in how many seconds so much of it can be had."""
        left, since = self._left.get(whose, (float(size), now))
        left = min(size, left + (now - since) * size / 60)
        self._left[whose] = (left, now)
        self._left.move_to_end(whose)
        while len(self._left) > KEPT:
            self._left.popitem(last=False)
        return 0 if left >= cost else math.ceil((cost - left) / (size / 60))


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
