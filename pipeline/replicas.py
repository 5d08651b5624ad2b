"""This process among those that share a store: who is at work, who sends the back-up, and what became of the others' work.

Where the store is this process's own there are no others, and nothing of this runs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.errors import OutdatedError, PipelineError, SettingsError, StoreError
from pipeline.events import carried
from pipeline.store import Store
from pipeline.store.presence import Presence

log = logging.getLogger(__name__)
# How often it is looked around. What others have committed is seen at once where it is read; this is for what waits to be told.
TICK_SECONDS = 1.0
# The server may take a moment to see that a process which held this id has ended.
ENTER_SECONDS = 10.0
# When these change, other passages are searched.
_SEARCHED = ("documents", "chunks", "workspace_values")


@dataclass(frozen=True, slots=True)
class Duties:
    """What is called by a replica: to take over from one that is gone, to bring its index up, and to be the one that sends.

    ``lead`` and ``follow`` are called when that becomes this replica's and when it is so no more; ``look_around`` while it is.
    """

    take_over: Callable[[str], None]
    on_documents: Callable[[], None]
    lead: Callable[[], None]
    follow: Callable[[], None]
    look_around: Callable[[], None]


class Replicas:
    """A thread that says that this replica is at work, and sees to the others."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._presence = Presence(store.database) if store.database.shared else None
        self._entered = False
        self._led = False
        # What went wrong at the last look: said once, not every second.
        self._trouble = ""
        self._versions: dict[str, int] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def enter(self) -> None:
        """Say that this replica is at work.

        Raises:
            SettingsError: another process that lives says so under the same id.
        """
        if self._presence is None:
            return
        deadline = time.monotonic() + ENTER_SECONDS
        while not self._presence.enter():
            if time.monotonic() > deadline:
                raise SettingsError(
                    "Another Pairloop on this database works under the id of this one, whose folder is a copy of the other's: "
                    "set PAIRLOOP_HOME to another folder, or delete the file named replica in it."
                )
            time.sleep(0.2)
        self._entered = True
        # The index is made of what is there now; later changes are others'.
        self._versions = self._store.database.versions()

    def start(self, duties: Duties) -> None:
        """Take up what this replica itself has left, and begin to look around."""
        if self._presence is None:
            duties.lead()
            return
        duties.take_over(self._store.replica)
        self._thread = threading.Thread(target=carried(self._run), args=(duties,), name="replicas", daemon=True)
        self._thread.start()

    @property
    def leads(self) -> bool:
        """Whether this replica is the one that sends the back-up."""
        return self._presence is None or self._led

    def stop(self, seconds: float) -> None:
        """Look around no more; this replica is still here, and leads where it led, until :meth:`leave`."""
        self._stopping.set()
        if self._thread:
            self._thread.join(seconds)

    def leave(self) -> None:
        """Be gone for good, with nothing left to be seen to."""
        if self._presence:
            self._presence.leave(for_good=True)

    def _run(self, duties: Duties) -> None:
        while True:
            self._outlive(self._look, duties)
            self._outlive(self._stand_back, duties)
            if self._stopping.wait(TICK_SECONDS):
                return

    def _outlive(self, step: Callable[[Duties], None], duties: Duties) -> None:
        """Take a step of a look; whatever it raises, the next one is taken: nobody but this thread could."""
        try:
            step(duties)
        except OutdatedError as error:
            # Those of the newer version take over what it was at work on; it comes back as soon as it knows the tables again.
            self._presence.leave()
            self._entered = False
            if self._trouble != "outdated":
                log.error("Replicas: %s", error)
            self._trouble = "outdated"
        except StoreError as error:
            self._entered = self._entered and self._presence.is_open
            if self._trouble != "store":
                log.warning("Replicas: %s It is tried again.", error)
            self._trouble = "store"
        except Exception as error:  # noqa: BLE001 - the top of a thread: were it to end, its locks would be held for nothing
            if self._trouble != repr(error):
                log.exception("This replica could not see to its duties; others may, and it is tried again here")
            self._trouble = repr(error)
            # Another one may do better. This one says at the next look, before anybody takes it for gone, that it is here.
            self._presence.leave()
            self._entered = False

    def _look(self, duties: Duties) -> None:
        self._store.database.check_schema()
        if not self._entered:
            self._entered = self._presence.enter()
            if not self._entered:
                return
        self._presence.beat()
        self._bury(duties)
        self._follow_changes(duties)
        # After the rest: who cannot do that does not stand in the way of those who can.
        self._stand(duties)
        if self._led:
            duties.look_around()
        self._trouble = ""

    def _bury(self, duties: Duties) -> None:
        gone = self._presence.gone()
        try:
            for replica in gone:
                duties.take_over(replica)
                self._presence.buried(replica)
                log.warning("Replica %s has ended without a word: what it was at work on goes on here.", replica)
        finally:
            self._presence.let_go(*gone)

    def _stand(self, duties: Duties) -> None:
        """Lead where nobody else does; where that cannot begin, end what of it has, and try again at the next look."""
        if not self._presence.elect() or self._led:
            return
        try:
            duties.lead()
            self._led = True
        finally:
            if not self._led:
                duties.follow()

    def _stand_back(self, duties: Duties) -> None:
        if self._led and not self._presence.leads:
            self._led = False
            duties.follow()

    def _follow_changes(self, duties: Duties) -> None:
        before, self._versions = self._versions, self._store.database.versions()
        if before == self._versions:
            return
        self._store.database.tell()
        if any(before.get(name) != self._versions.get(name) for name in _SEARCHED):
            now = self._versions
            # Until it is done: the next look tries again.
            self._versions = {**now, **{name: -1 for name in _SEARCHED}}
            try:
                duties.on_documents()
                self._versions = now
            except PipelineError:
                log.exception("The index could not be brought up to what other replicas have added")
