"""The one event loop of the process, in a thread of its own.

HTTP clients keep their connections in the loop that opened them. With a loop per run, each run would begin on dead
connections and send requests twice; so everything that waits for a model runs here.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import TypeVar

from pipeline.events import carried

T = TypeVar("T")


class Background:
    """An event loop in a daemon thread, started by the first :meth:`submit`. Its methods may be called from any thread.

    Waiting for a result inside the loop (``submit(...).result()`` in a coroutine) would wait for ever: await instead.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._closed = False

    def submit(self, coroutine: Coroutine[object, object, T]) -> Future[T]:
        """Run ``coroutine`` in the loop and return its future; cancelling the future cancels the coroutine.

        Raises:
            RuntimeError: the loop was closed.
        """
        with self._lock:
            if self._closed:
                coroutine.close()
                raise RuntimeError("The background loop is closed.")
            if self._loop is None:
                self._start()
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def close(self, timeout: float = 5.0) -> None:
        """Cancel what still runs, end the loop and wait for its thread, at most ``timeout`` seconds."""
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
            if thread is not None:
                self._loop.call_soon_threadsafe(self._stop.set)
        if thread is not None:
            thread.join(timeout)

    def _start(self) -> None:
        ready = threading.Event()
        self._thread = threading.Thread(
            target=carried(lambda: asyncio.run(self._serve(ready))), name="background", daemon=True
        )
        self._thread.start()
        ready.wait()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        ready.set()
        # When this returns, asyncio.run cancels the tasks that are left, lets them clean up and closes the loop.
        await self._stop.wait()
