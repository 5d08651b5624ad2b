"""Models that answer a query from contexts: the contract, and the adapter for one that computes instead of waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from pipeline.records import Answer, Context


class Answerer(Protocol):
    """What the rest of the pipeline knows of a model."""

    async def answer(
        self, query: str, contexts: Sequence[Context], on_text: Callable[[str], None] | None = None
    ) -> Answer:
        """Return the answer to ``query`` from ``contexts``.

        ``on_text`` receives the text so far, each time longer, while the answer comes in. It is called in the event
        loop and must not block. What it was given is a preview: the text of the returned answer is what counts.

        Raises:
            ModelError: there is no usable answer; the message says why and what to do.
        """
        ...


class PlainAnswerer(Protocol):
    """A model that computes its answer in the calling thread."""

    def answer(self, query: str, contexts: Sequence[Context]) -> Answer:
        """Return the answer to ``query`` from ``contexts``."""
        ...


class SyncAnswerer:
    """Makes an :class:`Answerer` of a :class:`PlainAnswerer`: each answer is computed in a worker thread.

    ``seconds`` of the answer is the time that the computation took, without the wait for a free thread.
    """

    def __init__(self, answerer: PlainAnswerer) -> None:
        self._answerer = answerer

    async def answer(
        self, query: str, contexts: Sequence[Context], on_text: Callable[[str], None] | None = None
    ) -> Answer:
        """Return the answer; ``on_text`` is called once, with all of it."""
        answer = await asyncio.to_thread(self._timed, query, contexts)
        if on_text is not None:
            on_text(answer.text)
        return answer

    def _timed(self, query: str, contexts: Sequence[Context]) -> Answer:
        start = time.perf_counter()
        answer = self._answerer.answer(query, contexts)
        return replace(answer, seconds=time.perf_counter() - start)
