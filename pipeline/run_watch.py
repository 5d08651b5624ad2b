"""A run under way: which answers it waits for, what it may spend, and whether it was cancelled."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from pipeline.errors import PipelineError
from pipeline.models.waits import Wait, heard_by
from pipeline.prices import dollars


class LimitReached(PipelineError):
    """A run has spent what it may."""


class Spending:
    """What a run has spent of what it may, in US dollars. Used in the event loop only.

    Nothing is asked whose cost would go over ``limit``, judged by the mean of the answers so far; so the first one is asked
    alone. ``spent`` is what was spent before.
    """

    def __init__(self, limit: float | None, spent: float = 0.0) -> None:
        self._limit = limit
        self._spent = spent
        self._cost, self._priced, self._under_way = 0.0, 0, 0
        self._changed = asyncio.Event()

    async def enter(self) -> None:
        """Return when one more request can be paid for.

        Raises:
            LimitReached: none can, and no other is under way any more.
        """
        while not self._fits():
            if self._under_way == 0:
                raise LimitReached(
                    f"Stopped at the spending limit of {dollars(self._limit)}. What is answered stays. Raise the limit or clear "
                    "it, and resume."
                )
            self._changed.clear()
            await self._changed.wait()
        self._under_way += 1

    def leave(self, cost: float | None) -> None:
        """Note what a request has cost; None where it got no answer."""
        self._under_way -= 1
        self._spent += cost or 0.0
        if cost is not None:
            self._cost, self._priced = self._cost + cost, self._priced + 1
        self._changed.set()

    def _fits(self) -> bool:
        if self._limit is None:
            return True
        if not self._priced:
            return self._under_way == 0 and self._spent < self._limit
        return self._spent + self._cost / self._priced * (self._under_way + 1) <= self._limit


@dataclass(frozen=True, slots=True)
class RunStatus:
    """What a run does at this moment: how many requests are under way, which of them wait, by query, and how it gets on.

    ``answered`` of ``planned`` queries in ``seconds`` is what was done since it began or was resumed.
    """

    asking: int
    waits: Mapping[str, Wait]
    answered: int
    planned: int
    seconds: float


class RunWatch:
    """Kept while a run is under way. The loop writes it; :meth:`status` may be called from any thread."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.limit: float | None = None
        self._begun = time.monotonic()
        self._answered = self._planned = 0
        self._asking: set[str] = set()
        self._waits: dict[str, Wait] = {}

    def begin(self, planned: int, limit: float | None) -> None:
        """Note that so many queries are asked from now on, and what that may cost."""
        self._planned, self.limit = planned, limit
        self._begun = time.monotonic()

    @contextmanager
    def asking(self, query_id: str) -> Iterator[None]:
        """Note that a query is asked within the block, and hear of its waits."""

        def hear(wait: Wait | None) -> None:
            if wait is None:
                self._waits.pop(query_id, None)
            else:
                self._waits[query_id] = wait

        self._asking.add(query_id)
        try:
            with heard_by(hear):
                yield
        finally:
            self._asking.discard(query_id)
            self._waits.pop(query_id, None)

    def count(self, answers: int) -> None:
        """Note that so many results are stored."""
        self._answered += answers

    def status(self) -> RunStatus:
        """Return what goes on now."""
        seconds = time.monotonic() - self._begun
        return RunStatus(len(self._asking), dict(self._waits), self._answered, self._planned, seconds)
