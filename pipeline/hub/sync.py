"""HubSync: keeps the dataset repo in step with the store, in threads of its own.

One sends the journal; reading, publishing and folding are done beside it, so that none of them ever holds it up.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.errors import HubError, StoreError
from pipeline.events import carried
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
ATTEMPTS = 4
# The repo is not there, or not for this token.
GONE = (401, 403, 404)
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
        self._head = ""
        self._unindexed = False
        self._sending: Batch | None = None
        self._published = ""
        # The journal counts as the back-up; what is wrong with reading, publishing and folding is told beside it.
        self._problem = ""
        self._notes: dict[str, str] = {}
        self._last: float | None = None
        # Each of the two at most once at a time, whether its turn has come or somebody asked for it.
        self._sends = threading.Lock()
        self._tidies = threading.Lock()
        self._beside: threading.Thread | None = None
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
            report(f"Restoring from {name}: opening it.")
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
        if self._store.database.local(IN_STEP) != self._repo.name:
            # What another repo has is not in this one; that is true before the Hub has answered for the first time.
            self._store.outbox.start_over("repo")
        self._store.database.when_changed(self._woken.set)
        self._woken.set()
        self._thread = threading.Thread(target=carried(self._run), name="hub-sync", daemon=True)
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
        wait = self._journal.asked_to_wait(self._clock())
        if wait > 0:
            raise HubError(f"The Hub asks to wait for another {wait:.0f} s.", 429, wait)
        failures = self._cycle(at_once=True)
        if failures:
            raise failures[0]

    @property
    def heard(self) -> tuple[float | None, str]:
        """When something arrived last and what is wrong, without a look at the store."""
        return self._last, self._problem

    def state(self) -> PlaceState:
        """Return what the repo has and has not at this moment."""
        waiting = self._store.outbox.waiting("repo")
        retry = max(0.0, self._journal.due() - self._clock()) if self._problem else None
        return PlaceState(self._repo.name, waiting.count, waiting.since, self._last, self._problem, retry)

    def warnings(self) -> tuple[str, ...]:
        """Return what people should know beside the state, as sentences."""
        found = [*self._notes.values(), *damaged(list(self._store.journal_files.of("repo").values()))]
        if self._repo.public:
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
                # In a hurry only what is nowhere else: more of it may come before the end, and must not wait for tables.
                if not self._send() and not hurried:
                    self._tidy_beside()
        self._cycle(at_once=True)
        # A call that outlived the server may have written something while the tables were made.
        if self._store.outbox.waiting("repo").count:
            self._send()

    def _pause(self) -> float:
        """Return how long to wait where nobody changes anything: for the next commit, else for other replicas' work."""
        until_due = self._journal.due() - self._clock()
        if self._problem or self._store.outbox.waiting("repo").count:
            return max(0.05, until_due)
        return max(until_due, self._pace.journal)

    def _cycle(self, at_once: bool) -> list[HubError]:
        """Do everything that is due; return what failed. Without the journal nothing else is tried."""
        failure = self._send(by_hand=at_once)
        return [failure] if failure else self._tidy(at_once)

    def _send(self, by_hand: bool = False) -> HubError | None:
        """Commit all that waits; return why it could not be done. Attempts by hand do not make the next one come later."""
        with self._sends:
            now = self._clock()
            failure = self._attempt(self._push_all)
            self._problem = str(failure) if failure else ""
            if failure:
                # The repo may be gone, or another one: the next attempt begins at the beginning.
                self._opened = self._opened and failure.status not in GONE
                if not (by_hand and self._journal.failures) or failure.retry_after:
                    self._journal.failed(now, failure.retry_after, failure.final)
            else:
                self._journal.recovered()
            return failure

    def _tidy_beside(self) -> None:
        if self._beside is None or not self._beside.is_alive():
            self._beside = threading.Thread(target=carried(self._tidy), args=(False,), name="hub-tables", daemon=True)
            self._beside.start()

    def _tidy(self, at_once: bool) -> list[HubError]:
        """Take in the work of others, and where that is due publish and fold; return what failed."""
        with self._tidies:
            now = self._clock()
            tidy = at_once or now >= self._tidying.due()
            rest = [self._noted("Taking in the work of others", self._pull_if_moved)]
            if rest[0] and rest[0].status in GONE:
                # What was in the repo may be nowhere now: the next attempt to send begins at the beginning.
                self._opened = False
                self._problem = str(rest[0])
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
        except StoreError as error:
            log.warning("Backup: %s", error)
            return HubError(str(error))
        except Exception as error:  # noqa: BLE001
            # The edge of the threads: without it one odd row or a full disk would end the back-up for good, unseen. It is
            # told on every screen, stands in the log with its traceback, and is tried again.
            log.exception("Backup: an unexpected error")
            return HubError(f"An unexpected error ({type(error).__name__}); the log of the app says more.")
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
        database = self._store.database
        if made or database.local(IN_STEP) != self._repo.name:
            self._store.outbox.start_over("repo")
            self._sending = None
            self._head = ""
            database.set_local(IN_STEP, self._repo.name)
        self._opened = True

    def _push_all(self) -> None:
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
        # After a newer version has changed the tables, rows of the older shape must not be sent over those that others send.
        self._store.database.check_schema()
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
        """Take in what is new; return how many rows are newer now."""
        pulled = pull(self._store, self._repo, self._sends, report)
        self._head = pulled.head
        self._unindexed = self._unindexed or pulled.documents
        if self._unindexed:
            # Where it fails it is done with the next pull: the index must not stay behind the store.
            self.on_documents()
            self._unindexed = False
        return pulled.applied

    def _publish(self) -> None:
        newest = self._store.outbox.newest()
        if newest == self._published:
            return
        self._commit_on_top("Refresh the published tables", self._tables())
        self._published = newest
        self._tidying.succeeded(self._clock())

    def _fold(self) -> None:
        """Fold the journal files that were read into one snapshot, where there are many."""
        sound = [name for name, file in self._store.journal_files.of("repo").items() if not file.problem]
        if sum(name.startswith("journal/") for name in sound) < self._pace.fold_files:
            return
        snapshot = snapshot_files(self._store, self._scrub)
        self._commit_on_top(f"Fold {len(sound)} journal files", snapshot, sound)
        made = [JournalFile("repo", name, len(data)) for name, data in snapshot.items()]
        self._store.journal_files.replace("repo", sound, made)
        if self._pace.squash:
            self._repo.squash()

    def _commit_on_top(self, message: str, add: Mapping[str, bytes], delete: Sequence[str] = ()) -> None:
        """Commit on top of what was read, so that what somebody else has committed since then is not overwritten unread.

        This replica's own journal commits come in between too; they are in what is committed, or in no file that is
        deleted. Only where rows of others came is it left for the next time, when it is made anew.

        Raises:
            OutdatedError: a newer version has changed the tables while it was made.
        """
        for _ in range(ATTEMPTS):
            self._store.database.check_schema()
            try:
                self._repo.commit(message, add, delete, parent=self._head)
                return
            except HubError as error:
                if error.status not in (409, 412) or self._pull():
                    raise
        raise HubError(f"Others are writing to {self._repo.name} all the time.")
