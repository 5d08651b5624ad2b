"""Runs on several replicas that want the same of a model: one of them asks, and the others take the answer over.

Two runs of one model over one list share the work so, and nothing is paid twice.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from pipeline.records import Completion
from pipeline.run_watch import RunWatch
from pipeline.store import Store
from pipeline.store.claims import Claims

# How often is looked for what another one was answered, and whether it still asks.
PAUSE_SECONDS = 0.5


class Turn:
    """What a run asks its model for at this moment, known by the contexts that it hands over."""

    def __init__(self, store: Store, claims: Claims, model_id: str, watch: RunWatch) -> None:
        self._store = store
        self._claims = claims
        self._model_id = model_id
        self._watch = watch
        self._lock = threading.Lock()
        self._held: set[str] = set()
        self._ended = False
        self._known: dict[str, Completion] = {}

    async def begin(self, retrieval_ids: Sequence[str]) -> None:
        """Look at what was answered until now."""
        self._known = await self._answered(retrieval_ids)

    async def earlier(self, retrieval_id: str) -> Completion | None:
        """Return what was answered over these contexts, or None when this run may ask: until :meth:`stored`, nobody else does."""
        if retrieval_id in self._known or not self._claims.needed:
            return self._known.get(retrieval_id)
        if not await asyncio.to_thread(self._take, retrieval_id):
            self._watch.behind += 1
            try:
                if found := await self._after_the_other(retrieval_id):
                    return found
            finally:
                self._watch.behind -= 1
        # Whoever had it until now, or asked before this one looked, has stored what it was answered.
        found = (await self._answered([retrieval_id])).get(retrieval_id)
        if found:
            await asyncio.to_thread(self.stored, [retrieval_id])
        return found

    async def _after_the_other(self, retrieval_id: str) -> Completion | None:
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            if found := (await self._answered([retrieval_id])).get(retrieval_id):
                return found
            if await asyncio.to_thread(self._take, retrieval_id):
                return None

    def stored(self, retrieval_ids: Iterable[str]) -> None:
        """Let others look for these answers, or ask where there is none. From any thread."""
        with self._lock:
            mine = self._held.intersection(retrieval_ids)
            self._held -= mine
            self._claims.give_back(map(self._name, mine))

    def end(self) -> None:
        """Let others ask for everything, also for what is being taken at this moment. From any thread."""
        with self._lock:
            self._ended = True
            self._claims.give_back(map(self._name, self._held))
            self._held.clear()
            self._claims.rest()

    def _take(self, retrieval_id: str) -> bool:
        with self._lock:
            if self._ended or not self._claims.take(self._name(retrieval_id)):
                return False
            self._held.add(retrieval_id)
            return True

    def _name(self, retrieval_id: str) -> str:
        return f"answer of {self._model_id} over {retrieval_id}"

    async def _answered(self, retrieval_ids: Sequence[str]) -> dict[str, Completion]:
        return await asyncio.to_thread(self._store.runs.answered, self._model_id, retrieval_ids)


class Turns:
    """The turns of the runs of this replica."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._claims = Claims(store.database)

    @asynccontextmanager
    async def of(self, model_id: str, retrieval_ids: Sequence[str], watch: RunWatch) -> AsyncIterator[Turn]:
        """Give a run of a model its turn, which is over when the block ends."""
        turn = Turn(self._store, self._claims, model_id, watch)
        try:
            await turn.begin(retrieval_ids)
            yield turn
        finally:
            await asyncio.to_thread(turn.end)
