"""The journal in a folder: a persistent volume or a bucket that is mounted, where a database file must not live."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from pipeline import journal
from pipeline.errors import StoreError
from pipeline.events import carried
from pipeline.hub.batches import ROWS, blocks
from pipeline.hub.pulling import damaged
from pipeline.hub.state import PlaceState
from pipeline.records import new_id
from pipeline.store import Store
from pipeline.store.journal_files import JournalFile

log = logging.getLogger(__name__)
# Changes of one moment go in together; after a failure the next attempt waits.
PAUSE_SECONDS, RETRY_SECONDS = 0.5, 10.0


class FolderJournal:
    """Appends every change to a file of this replica's own, one a day, and reads the files of all replicas at a restore.

    The file is opened, appended to, synced and closed each time: a mounted bucket uploads on close.
    """

    def __init__(self, store: Store, folder: Path, scrub: Callable[[bytes], bytes]) -> None:
        self._store = store
        self._folder = folder / "journal"
        self._marker = self._folder / f"{store.id}.here"
        self._scrub = scrub
        self._file: Path | None = None
        self._whole = 0
        self._problem = ""
        self._last: float | None = None
        self._writing = threading.Lock()
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def restore(self, report: Callable[[str], None]) -> int:
        """Fill the store from the folder; return how many rows came.

        Raises:
            OSError: the folder cannot be read.
        """
        files = sorted(self._folder.glob("*/*.jsonl"), key=lambda path: path.name.rpartition("-")[2])
        applied = 0
        for number, path in enumerate(files):
            report(f"Restoring from {self._folder.parent}: {number} of {len(files)} files.")
            applied += self._take_in(path)
        return applied + self._store.merging.retry_parked().applied

    def start(self) -> None:
        """Begin to work beside the app."""
        if not self._marker.exists():
            # Another folder than before, or one that was emptied.
            self._store.outbox.start_over("folder")
        self._store.database.when_changed(self._woken.set)
        self._woken.set()
        self._thread = threading.Thread(target=carried(self._run), name="folder-journal", daemon=True)
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Write what waits and end, in at most so many seconds."""
        self._stopping.set()
        self._woken.set()
        if self._thread:
            self._thread.join(seconds)

    def write_now(self) -> None:
        """Append what waits.

        Raises:
            OSError: it could not be written; it is tried again later all the same.
            StoreError: what waits cannot be read, or a newer version has changed the tables that it is read from.
        """
        with self._writing:
            while changes := self._store.outbox.batch("folder", ROWS):
                lines = [self._scrub(line) for line in journal.write_lines(changes)]
                self._store.database.check_schema()
                for block in blocks(self._store.replica, lines):
                    self._append(block)
                # It says that this replica's changes are in this folder.
                self._marker.touch()
                self._store.outbox.arrived("folder", changes)
                self._last = time.time()

    @property
    def heard(self) -> tuple[float | None, str]:
        """When something arrived last and what is wrong, without a look at the store."""
        return self._last, self._problem

    def state(self) -> PlaceState:
        """Return what the folder has and has not at this moment."""
        waiting = self._store.outbox.waiting("folder")
        retry = RETRY_SECONDS if self._problem else None
        return PlaceState(str(self._folder.parent), waiting.count, waiting.since, self._last, self._problem, retry)

    def warnings(self) -> tuple[str, ...]:
        """Return what people should know beside the state, as sentences."""
        return damaged(list(self._store.journal_files.of("folder").values()))

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.wait(RETRY_SECONDS if self._problem else None)
            self._woken.clear()
            self._quietly()
            self._stopping.wait(RETRY_SECONDS if self._problem else PAUSE_SECONDS)
        self._quietly()

    def _quietly(self) -> None:
        try:
            self.write_now()
        except OSError as error:
            self._problem = f"{self._folder.parent} cannot be written ({error.strerror or error})."
            log.warning("Backup: %s", self._problem)
        except StoreError as error:
            self._problem = str(error)
            log.warning("Backup: %s", self._problem)
        else:
            self._problem = ""

    def _append(self, block: bytes) -> None:
        path = self._current()
        if path.exists() and path.stat().st_size != self._whole:
            # A write that failed half-way has left a torn block: what comes after it could not be read.
            self._file = None
            path = self._current()
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(block)
            file.flush()
            os.fsync(file.fileno())
        self._whole += len(block)

    def _current(self) -> Path:
        day = time.strftime("%Y-%m-%d", time.gmtime())
        if self._file is None or self._file.parent.name != day:
            self._file = self._folder / day / f"{self._store.replica}-{new_id()}.jsonl"
            self._whole = 0
        return self._file

    def _take_in(self, path: Path) -> int:
        data = path.read_bytes()
        reading = journal.read_blocks(data)
        name = str(path.relative_to(self._folder.parent))
        if reading.problem:
            log.warning("The journal file %s cannot be used in full: %s", name, reading.problem)
        file = JournalFile("folder", name, len(data), reading.problem)
        return self._store.merging.merge(reading.changes, "folder", file).applied
