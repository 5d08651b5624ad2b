"""HubSync: keeps the dataset repo in step with the store, in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.errors import HubError
from pipeline.hub.batches import Batch, journal_batch, snapshot_files
from pipeline.hub.pulling import damaged, pull
from pipeline.hub.repo import DatasetRepo
from pipeline.hub.rhythm import Rhythm
from pipeline.hub.state import PlaceState
from pipeline.store import Store
from pipeline.store.journal_files import JournalFile

log = logging.getLogger(__name__)
# So many journal files are folded into a snapshot.
FOLD_FILES = 100
IN_STEP = "in-step-with"


@dataclass(frozen=True, slots=True)
class Pace:
    """How often: seconds between two journal commits, and between two refreshes of the published tables."""

    journal: float = 60.0
    publish: float = 600.0
    squash: bool = False
    fold_files: int = FOLD_FILES


class HubSync:
    """Sends changes to a dataset repo, and takes in those of other replicas.

    ``tables`` returns the published files; ``scrub`` takes secrets out of bytes that leave; ``on_documents`` is called
    after documents came or went by a merge.
    """

    def __init__(
        self,
        store: Store,
        repo: DatasetRepo,
        pace: Pace,
        tables: Callable[[], Mapping[str, bytes]],
        scrub: Callable[[bytes], bytes] = lambda data: data,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._repo = repo
        self._pace = pace
        self._tables = tables
        self._scrub = scrub
        self._clock = clock
        self.on_documents: Callable[[], None] = lambda: None
        self._journal = Rhythm(pace.journal)
        self._tidying = Rhythm(pace.publish)
        self._opened = False
        self._public = False
        self._head = ""
        self._sending: Batch | None = None
        self._published = ""
        # The journal counts as the back-up; what is wrong with reading, publishing and folding is told beside it.
        self._problem = ""
        self._notes: dict[str, str] = {}
        self._last: float | None = None
        # One cycle at a time, whether the thread's own or one that somebody asked for.
        self._cycling = threading.Lock()
        self._woken = threading.Event()
        self._hurried = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def restore(self, report: Callable[[str], None]) -> int:
        """Fill the store from the repo before anybody works with it; return how many rows came.

        While the repo cannot be read this goes on trying: to begin with nothing would be to forget what people did.
        """
        name = self._repo.name
        while True:
            try:
                self._open()
                applied = self._pull(lambda done, total: report(f"Restoring from {name}: {done} of {total} files."))
                self._journal.recovered()
                return applied
            except HubError as error:
                self._journal.failed(self._clock(), error.retry_after)
                wait = max(0.0, self._journal.due() - self._clock())
                report(f"Restoring from {name} is held up. {error} It is tried again in {wait:.0f} s.")
                log.warning("Restore: %s", error)
                time.sleep(wait)

    def start(self) -> None:
        """Begin to work beside the app."""
        self._store.database.when_changed(self._woken.set)
        self._woken.set()
        self._thread = threading.Thread(target=self._run, name="hub-sync", daemon=True)
        self._thread.start()

    def hurry(self) -> None:
        """Send what waits at once, whatever the rhythm says; returns without waiting for it."""
        self._hurried.set()
        self._woken.set()

    def stop(self, seconds: float) -> None:
        """Send what waits and end, in at most so many seconds."""
        self._stopping.set()
        self._woken.set()
        if self._thread:
            self._thread.join(seconds)

    def sync_now(self) -> None:
        """Send what waits, take in what others sent, and refresh the published tables, at once.

        Raises:
            HubError: something of it could not be done; it is tried again later all the same.
        """
        failures = self._cycle(at_once=True)
        if failures:
            raise failures[0]

    def state(self) -> PlaceState:
        """Return what the repo has and has not at this moment."""
        waiting = self._store.outbox.waiting("repo")
        retry = max(0.0, self._journal.due() - self._clock()) if self._problem else None
        return PlaceState(self._repo.name, waiting.count, waiting.since, self._last, self._problem, retry)

    def warnings(self) -> tuple[str, ...]:
        """Return what people should know beside the state, as sentences."""
        found = [*self._notes.values(), *damaged(list(self._store.journal_files.of("repo").values()))]
        if self._public:
            found.append(
                f"The dataset repo {self._repo.name} is public: everybody can read people's names and answers. Make it private."
            )
        return tuple(found)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.wait(self._pause())
            self._woken.clear()
            hurried = self._hurried.is_set()
            if not self._stopping.is_set() and (hurried or self._clock() >= self._journal.due()):
                self._hurried.clear()
                self._cycle(at_once=hurried)
        self._cycle(at_once=True)

    def _pause(self) -> float:
        """Return how long to wait where nobody changes anything: for the next commit, else for other replicas' work."""
        until_due = self._journal.due() - self._clock()
        if self._problem or self._store.outbox.waiting("repo").count:
            return max(0.05, until_due)
        return max(until_due, self._pace.journal)

    def _cycle(self, at_once: bool) -> list[HubError]:
        """Do everything that is due; return what failed, the journal first."""
        with self._cycling:
            now = self._clock()
            failure = self._attempt(self._send)
            self._problem = str(failure) if failure else ""
            if failure:
                # The repo may be gone, or another one: the next attempt begins at the beginning.
                self._opened = self._opened and failure.status not in (401, 403, 404)
                self._journal.failed(now, failure.retry_after, failure.final)
                return [failure]
            self._journal.recovered()
            tidy = at_once or now >= self._tidying.due()
            rest = [self._noted("Taking in the work of others", self._pull_if_moved)]
            if tidy and not rest[0]:
                rest.append(self._noted("Refreshing the published tables", self._publish))
                rest.append(self._noted("Folding old journal files", self._fold))
            failures = [failure for failure in rest if failure]
            for failure in failures:
                self._tidying.failed(now, failure.retry_after, failure.final)
            return failures

    def _attempt(self, work: Callable[[], object]) -> HubError | None:
        try:
            work()
        except HubError as error:
            log.warning("Backup: %s", error)
            return error
        return None

    def _noted(self, what: str, work: Callable[[], object]) -> HubError | None:
        failure = self._attempt(work)
        self._notes.pop(what, None)
        if failure:
            self._notes[what] = f"{what} has failed, and is tried again: {failure}"
        return failure

    def _open(self) -> None:
        if self._opened:
            return
        made = self._repo.open()
        self._public = self._repo.is_public()
        database = self._store.database
        if made or database.local(IN_STEP) != self._repo.name:
            self._store.journal_files.forget("repo")
            self._store.outbox.send_everything_again("repo")
            self._sending = None
            database.set_local(IN_STEP, self._repo.name)
        self._opened = True

    def _send(self) -> None:
        self._open()
        while self._push():
            pass

    def _push(self) -> bool:
        """Commit what waits; return whether there may be more."""
        again = self._sending is not None
        # The same files until they are known to have arrived: an answer that was lost may hide a commit that was made.
        batch = self._sending = self._sending or journal_batch(self._store, self._scrub)
        if batch is None:
            return False
        # The client itself goes on trying the first call of a commit for half a minute; whether the Hub is there at all
        # is known sooner by a call that it does not repeat.
        self._repo.head()
        self._repo.commit(f"{len(batch.changes)} changes", batch.files)
        self._store.outbox.arrived("repo", batch.changes)
        self._store.journal_files.note(*(JournalFile("repo", name, len(data)) for name, data in batch.files.items()))
        self._sending = None
        self._last = time.time()
        self._journal.succeeded(self._clock())
        return batch.full or again

    def _pull_if_moved(self) -> None:
        if self._repo.head() != self._head:
            self._pull()

    def _pull(self, report: Callable[[int, int], None] = lambda done, total: None) -> int:
        head = self._repo.head()
        pulled = pull(self._store, self._repo, head, report)
        if pulled.lost:
            log.warning("The dataset repo %s has lost journal files: everything is sent again.", self._repo.name)
            self._store.outbox.send_everything_again("repo")
        if pulled.documents:
            self.on_documents()
        self._head = head
        return pulled.applied

    def _publish(self) -> None:
        newest = self._store.outbox.newest()
        if newest == self._published:
            return
        # On top of the commit that was read: what somebody else has published since then is not overwritten unread.
        self._repo.commit("Refresh the published tables", self._tables(), parent=self._head)
        self._published = newest
        self._tidying.succeeded(self._clock())

    def _fold(self) -> None:
        """Fold the journal files that were read into one snapshot, where there are many."""
        sound = self._sound_files()
        if sum(name.startswith("journal/") for name in sound) < self._pace.fold_files:
            return
        # The tables may have been committed a moment ago. Whatever is folded must have been read.
        self._pull_if_moved()
        sound = self._sound_files()
        snapshot = snapshot_files(self._store, self._scrub)
        self._repo.commit(f"Fold {len(sound)} journal files", snapshot, sound, parent=self._head)
        self._store.journal_files.note(*(JournalFile("repo", name, len(data)) for name, data in snapshot.items()))
        self._store.journal_files.forget("repo", sound)
        if self._pace.squash:
            self._repo.squash()

    def _sound_files(self) -> list[str]:
        return [name for name, file in self._store.journal_files.of("repo").items() if not file.problem]
