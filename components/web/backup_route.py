"""``/backup``, which every open page asks again and again: the state of the back-up in words."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from anyio import to_thread
from fastapi import APIRouter
from fastapi.responses import JSONResponse

from components._guard import needs
from components.backup_words import words
from pipeline.errors import StoreError
from pipeline.hub.state import BackupKind, BackupState
from pipeline.records import Role
from pipeline.services import Services

# What was looked at is told to all who ask for so long.
LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was seen, or why nothing could be; and what had been written and had arrived when it was looked."""

    seen: BackupState | StoreError
    at: float
    written: object
    heard: object


class Looked:
    """The state of the back-up: looked at once a second for all pages, and anew when a change may have made it untrue."""

    def __init__(self, services: Services, clock: Callable[[], float] = time.monotonic) -> None:
        self._backup = services.backup
        self._clock = clock
        self._lock = threading.Lock()
        # Another object after each change.
        self._written = object()
        self._kept: _Kept | None = None
        services.store.database.when_changed(self._forget)

    def at_once(self) -> BackupState | None:
        """Return what was seen a moment ago, where it is still true; else None.

        Raises:
            StoreError: it could not be looked at a moment ago.
        """
        kept = self._kept
        if kept is None or self._clock() - kept.at >= LOOK_SECONDS or kept.heard != self._backup.heard():
            return None
        if isinstance(kept.seen, StoreError):
            # Another one for each who asks: they are in threads of their own.
            raise type(kept.seen)(*kept.seen.args) from kept.seen
        # Of what waits there may be more by now, for a moment. But nobody is told that all is backed up once it is not: of what
        # this process wrote. What another replica writes or sends may be told a second later.
        return None if kept.seen.kind is BackupKind.BACKED_UP and kept.written is not self._written else kept.seen

    def look(self) -> BackupState:
        """Return what was seen a moment ago, or look; whoever asks meanwhile waits for it.

        Raises:
            StoreError: it cannot be looked at, or could not be a moment ago.
        """
        with self._lock:
            if (known := self.at_once()) is not None:
                return known
            # Before the look: what is written or arrives during it may not be in it.
            written, heard, at = self._written, self._backup.heard(), self._clock()
            try:
                state = self._backup.state()
            except StoreError as error:
                # Those who wait do not try it one after the other, each for as long as a store takes that does not answer.
                self._kept = _Kept(error, self._clock(), written, heard)
                raise
            self._kept = _Kept(state, at, written, heard)
            return state

    def _forget(self) -> None:
        self._written = object()


def router(services: Services) -> APIRouter:
    """Return the route. It waits for no thread where nothing is to be looked at: with a hundred pages it is asked most of all."""
    looked = Looked(services)
    routes = APIRouter(dependencies=[needs(Role.VIEWER)])

    @routes.get("/backup")
    async def backup(zone: int | None = None) -> JSONResponse:
        state = looked.at_once() or await to_thread.run_sync(looked.look)
        known = zone if zone is not None and abs(zone) <= 24 * 60 else None
        return JSONResponse(asdict(words(state, time.time(), known)), headers={"Cache-Control": "no-store"})

    return routes
