"""A run under way: which answers it waits for, what it may spend, and whether it was cancelled."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pipeline.errors import ModelError, PipelineError
from pipeline.models.causes import Cause
from pipeline.models.waits import Wait, heard_by
from pipeline.prices import dollars
from pipeline.records import Answer

# The model has worked for these, or may have: endpoints charge for that, and no longer tell how much.
_CHARGED = frozenset((Cause.EMPTY, Cause.CUT_OFF, Cause.TIMEOUT))
# So many of them may fail while no answer has told what one costs.
_MOST_FAILED = 3


class LimitReached(PipelineError):
    """A run has spent what it may."""


class Spending:
    """What a run has spent of what it may, in US dollars. Used in the event loop only.

    Nothing is asked whose cost would go over ``limit``, judged by the mean of the answers so far; so the first one is asked
    alone. A request that failed in a way that endpoints charge for counts as the mean. Once an answer came whose cost is not
    known, nothing more is asked. ``costs`` are those of the answers that the run has already, ``failed`` the causes of its
    errors.
    """

    def __init__(
        self, limit: float | None, costs: Sequence[float | None] = (), failed: Iterable[str | None] = ()
    ) -> None:
        self._limit = limit
        known = [cost for cost in costs if cost is not None]
        self._cost, self._priced = sum(known), len(known)
        # Without a mean they would count as nothing, and as too many at each resume.
        self._failed = sum(cause in _CHARGED for cause in failed) if known else 0
        self._blind = len(known) < len(costs)
        self._under_way = 0
        self._changed = asyncio.Event()

    async def pay_for(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Call ``ask`` when one more request can be paid for, note what it has cost, and return its answer.

        Raises:
            LimitReached: none can be paid for, and no other is under way any more.
            ModelError: ``ask`` raised it.
        """
        await self._enter()
        try:
            answer = await ask()
            self._note(answer)
            return answer
        except ModelError as error:
            self._failed += error.cause in _CHARGED
            raise
        finally:
            self._under_way -= 1
            self._changed.set()

    async def _enter(self) -> None:
        while not self._fits():
            if self._under_way == 0:
                raise LimitReached(self._why())
            self._changed.clear()
            await self._changed.wait()
        self._under_way += 1

    def _note(self, answer: Answer) -> None:
        if answer.cost is not None:
            self._cost, self._priced = self._cost + answer.cost, self._priced + 1
        elif answer.attempts != 0:
            self._blind = True

    def _fits(self) -> bool:
        if self._limit is None:
            return True
        if self._blind:
            return False
        if not self._priced:
            return self._under_way == 0 and self._failed < _MOST_FAILED
        more = self._failed + self._under_way + 1
        return self._cost + self._cost / self._priced * more <= self._limit

    def _why(self) -> str:
        limit = f"the spending limit of {dollars(self._limit)}"
        if self._blind:
            return (
                f"The endpoint did not count the tokens of an answer, so {limit} cannot be kept. What is answered stays. Clear "
                "the limit, and resume."
            )
        if not self._priced:
            return (
                f"{self._failed} requests failed that the endpoint may charge for, before any answer told what one costs, so "
                f"{limit} cannot be kept. See to these errors, or clear the limit, and resume."
            )
        return f"Stopped at {limit}. What is answered stays. Raise the limit or clear it, and resume."


@dataclass(frozen=True, slots=True)
class RunStatus:
    """What a run does at this moment: how many requests are under way, which of them wait, by query, and how it gets on.

    ``answered`` of ``planned`` queries in ``seconds`` is what was done since it began or was resumed. It is ``behind`` in so many
    queries as another replica asks the same model for: these answers are taken over.
    """

    asking: int
    waits: Mapping[str, Wait]
    answered: int
    planned: int
    seconds: float
    behind: int = 0


class RunWatch:
    """Kept while a run is under way. The loop writes it; :meth:`status` may be called from any thread."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.behind = 0
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
        return RunStatus(len(self._asking), dict(self._waits), self._answered, self._planned, seconds, self.behind)
