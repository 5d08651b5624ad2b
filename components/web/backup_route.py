"""``/backup``, which every open page asks again and again: the state of the back-up in words."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict

from anyio import to_thread
from fastapi import APIRouter
from fastapi.responses import JSONResponse

from components._guard import needs
from components.backup_words import words
from pipeline.hub.state import BackupKind, BackupState
from pipeline.records import Role
from pipeline.services import Services

# What was looked at is told to all who ask for so long.
LOOK_SECONDS = 1.0


class Looked:
    """The state of the back-up: looked at once a second for all pages, and anew when a change may have made it untrue."""

    def __init__(self, services: Services, clock: Callable[[], float] = time.monotonic) -> None:
        self._backup = services.backup
        self._clock = clock
        self._lock = threading.Lock()
        # Another object after each change.
        self._written = object()
        self._kept: tuple[object, float, BackupState] | None = None
        services.store.database.when_changed(self._forget)

    def at_once(self) -> BackupState | None:
        """Return what was seen a moment ago, where it is still true; else None."""
        if self._kept is None:
            return None
        written, at, state = self._kept
        if self._clock() - at >= LOOK_SECONDS:
            return None
        # Of what waits there may be more by now, for a moment. But nobody is told that all is backed up once it is not.
        return None if state.kind is BackupKind.BACKED_UP and written is not self._written else state

    def look(self) -> BackupState:
        """Return what was seen a moment ago, or look; whoever asks meanwhile waits for it."""
        with self._lock:
            if (known := self.at_once()) is not None:
                return known
            # Before the look: what is written during it may not be in it.
            written, at = self._written, self._clock()
            state = self._backup.state()
            self._kept = written, at, state
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
