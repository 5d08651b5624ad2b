"""Reading a dataset repo: what other replicas, or this one before its disk was lost, have committed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipeline import journal
from pipeline.hub.repo import DatasetRepo
from pipeline.store import Store
from pipeline.store.journal_files import JournalFile
from pipeline.store.merging import Merged

log = logging.getLogger(__name__)
READERS = 8
Report = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull brought: the commit that was read, rows that are newer now, and whether documents came or went."""

    head: str
    applied: int
    documents: bool


def pull(
    store: Store,
    repo: DatasetRepo,
    alone: AbstractContextManager[object],
    report: Report = lambda done, total: None,
) -> Pulled:
    """Merge every file of the newest commit that was not read before. ``report`` gets (files read, files to read).

    Where files that were read before are gone, somebody has folded them, or has set the repo back: all that is there is
    read again, and what is not found there waits to be sent. Meanwhile nothing may be sent: ``alone`` is held.

    A damaged file is remembered with what is wrong with it, and told in the log: its whole blocks are used, the rest is not.

    Raises:
        HubError: the repo cannot be read; what was read so far is kept.
    """
    # Known first: a file that this store commits meanwhile is not in the commit that is read, and not lost either.
    known = store.journal_files.of("repo")
    revision = repo.head()
    there = repo.files(revision)
    if set(known) <= set(there):
        return _read(store, repo, revision, set(there) - set(known), report)
    with alone:
        store.outbox.start_over("repo")
        return _read(store, repo, revision, set(there), report)


def _read(store: Store, repo: DatasetRepo, revision: str, names: Collection[str], report: Report) -> Pulled:
    new = sorted(names, key=_order)
    applied, documents = 0, False
    report(0, len(new))
    with ThreadPoolExecutor(READERS) as readers:
        # Only a few are held at a time: a snapshot can be large.
        for start in range(0, len(new), READERS):
            some = new[start : start + READERS]
            for name, data in zip(some, readers.map(lambda path: repo.read(path, revision), some), strict=True):
                merged = _take_in(store, name, data)
                applied += merged.applied
                documents |= merged.documents
            report(start + len(some), len(new))
    again = store.merging.retry_parked()
    return Pulled(revision, applied + again.applied, documents or again.documents)


def _take_in(store: Store, name: str, data: bytes) -> Merged:
    reading = journal.read_blocks(data)
    if reading.problem:
        log.warning("The journal file %s cannot be used in full: %s", name, reading.problem)
    file = JournalFile("repo", name, len(data), reading.problem)
    return store.merging.merge(reading.changes, "repo", file)


def _order(name: str) -> tuple[bool, str]:
    # Snapshots first; a journal file's name ends in the ULID of its making.
    return not name.startswith("snapshot/"), PurePosixPath(name).stem.rpartition("-")[2]


def damaged(files: Sequence[JournalFile]) -> tuple[str, ...]:
    """Return a sentence for each file that could not be used in full."""
    return tuple(
        f"The journal file {file.name} cannot be used in full: {file.problem}." for file in files if file.problem
    )
