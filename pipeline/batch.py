"""Answering many items at once: bounded, cancellable, each result handed over as soon as it is there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from pipeline.errors import ModelError
from pipeline.records import Answer, JobState

Item = TypeVar("Item")
_CANCEL_POLL_SECONDS = 0.1


async def run_batch(
    items: Iterable[Item],
    answer_one: Callable[[Item], Awaitable[Answer]],
    on_result: Callable[[Item, Answer | ModelError], None],
    concurrency: int,
    cancelled: threading.Event | Callable[[], bool],
) -> JobState:
    """Answer ``items``, at most ``concurrency`` at a time, and return ``DONE``, or ``CANCELLED`` if some were left out.

    ``items`` is drawn from as places become free. A :class:`ModelError` of an item is its result, and the others go on;
    any other exception of ``answer_one`` ends the batch and is raised.

    ``on_result`` is called once per item in the order of completion, in one thread of its own: it may wait for the
    database without holding up the loop, and needs no lock. A place takes its next item only when its result is handed
    over, so a slow ``on_result`` slows the batch down instead of piling up results. If it raises, the batch ends and
    raises that.

    ``cancelled`` (an event, or a function that is quick) is looked at ten times a second. Then requests in flight are
    cancelled, and what was answered already is still handed over before this returns.
    """
    if concurrency < 1:
        raise ValueError(f"concurrency is {concurrency}, it must be at least 1")
    supply = iter(items)
    reports = _Reports(on_result)

    async def work() -> None:
        for item in supply:
            await reports.add(item, await _outcome(answer_one, item))

    workers = [asyncio.create_task(work()) for _ in range(concurrency)]
    finished = asyncio.gather(*workers)
    watch = asyncio.create_task(_wait_until(cancelled.is_set if isinstance(cancelled, threading.Event) else cancelled))
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
    """Calls ``on_result`` in one thread, also for what was added by a task that was cancelled since."""

    def __init__(self, on_result: Callable[[Item, Answer | ModelError], None]) -> None:
        self._on_result = on_result
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batch-results")
        self._open: set[asyncio.Future[None]] = set()

    async def add(self, item: Item, result: Answer | ModelError) -> None:
        report = asyncio.get_running_loop().run_in_executor(self._thread, self._on_result, item, result)
        self._open.add(report)
        await asyncio.shield(report)
        self._open.discard(report)

    async def close(self) -> None:
        """Wait for the reports whose task is gone, and raise the first error among them."""
        errors = await asyncio.gather(*self._open, return_exceptions=True)
        self._thread.shutdown(wait=False)
        for error in errors:
            if error is not None:
                raise error
