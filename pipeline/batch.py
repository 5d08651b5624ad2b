"""Answering many items at once: bounded, cancellable, results handed over as soon as they are there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from pipeline.errors import ModelError
from pipeline.events import work_for, worked_for
from pipeline.records import Answer, JobState

Item = TypeVar("Item")
_CANCEL_POLL_SECONDS = 0.1


async def run_batch(
    items: Iterable[Item],
    answer_one: Callable[[Item], Awaitable[Answer]],
    on_results: Callable[[Sequence[tuple[Item, Answer | ModelError]]], None],
    concurrency: int,
    cancelled: threading.Event | Callable[[], bool],
) -> JobState:
    """Answer ``items``, at most ``concurrency`` at a time, and return ``DONE``, or ``CANCELLED`` if some were left out.

    ``items`` is drawn from as places become free. A :class:`ModelError` of an item is its result, and the others go on;
    any other exception of ``answer_one`` ends the batch and is raised.

    ``on_results`` is given each item once with its result, in the order of completion, in one thread of its own: it may
    wait for the database without holding up the loop, and needs no lock. What comes in while it works is given to it
    together, so that one commit serves many. A place takes its next item only when its result is handed over, so a slow
    ``on_results`` slows the batch down instead of piling up results. If it raises, the batch ends and raises that.

    ``cancelled`` (an event, or a function that is quick) is looked at ten times a second. Then requests in flight are
    cancelled, and what was answered already is still handed over before this returns.
    """
    if concurrency < 1:
        raise ValueError(f"concurrency is {concurrency}, it must be at least 1")
    supply = iter(items)
    stopped = cancelled.is_set if isinstance(cancelled, threading.Event) else cancelled
    reports = _Reports(on_results)

    async def work() -> None:
        for item in supply:
            # Nothing more is asked for from then on; whoever watches ends this in a moment.
            while stopped():
                await asyncio.sleep(_CANCEL_POLL_SECONDS)
            await reports.add(item, await _outcome(answer_one, item))

    workers = [asyncio.create_task(work()) for _ in range(concurrency)]
    finished = asyncio.gather(*workers)
    watch = asyncio.create_task(_wait_until(stopped))
    try:
        await asyncio.wait((finished, watch), return_when=asyncio.FIRST_COMPLETED)
        if finished.done():
            finished.result()
            return JobState.DONE
        watch.result()
        return JobState.CANCELLED
    finally:
        for task in (*workers, watch):
            task.cancel()
        await asyncio.gather(*workers, finished, watch, return_exceptions=True)
        await reports.close()


async def _outcome(answer_one: Callable[[Item], Awaitable[Answer]], item: Item) -> Answer | ModelError:
    try:
        return await answer_one(item)
    except ModelError as error:
        return error


async def _wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(_CANCEL_POLL_SECONDS)


class _Reports(Generic[Item]):
    """Calls ``on_results`` in one thread, also with what was added by a task that was cancelled since.

    It works with plain futures and no tasks of its own: those would be cancelled with all others when the app ends, and
    answers that are paid for be lost.
    """

    def __init__(self, on_results: Callable[[Sequence[tuple[Item, Answer | ModelError]]], None]) -> None:
        self._on_results = on_results
        self._thread = ThreadPoolExecutor(1, "batch-results", initializer=work_for, initargs=(worked_for(),))
        self._waiting: list[tuple[Item, Answer | ModelError]] = []
        self._added: list[asyncio.Future[None]] = []
        self._working: asyncio.Future[None] | None = None
        self._error: BaseException | None = None

    async def add(self, item: Item, result: Answer | ModelError) -> None:
        """Hand over a result, and return when that is done."""
        added = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        self._added.append(added)
        if self._working is None:
            self._hand_over()
        await added

    def _hand_over(self) -> None:
        some, self._waiting = self._waiting, []
        added, self._added = self._added, []
        self._working = asyncio.get_running_loop().run_in_executor(self._thread, self._on_results, some)
        self._working.add_done_callback(lambda working: self._handed_over(working, added))

    def _handed_over(self, working: asyncio.Future[None], added: Sequence[asyncio.Future[None]]) -> None:
        self._working = None
        error = working.exception()
        self._error = self._error or error
        for future in added:
            if not future.done():
                future.set_result(None) if error is None else future.set_exception(error)
        if self._waiting:
            self._hand_over()

    async def close(self) -> None:
        """Wait for the reports whose task is gone, and raise the first error among them."""
        while self._working is not None:
            await asyncio.wait((self._working,))
            # Its callback may come after this.
            await asyncio.sleep(0)
        self._thread.shutdown(wait=False)
        if self._error is not None:
            raise self._error
