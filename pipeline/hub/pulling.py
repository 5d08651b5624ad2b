"""Reading a dataset repo: what other replicas, or this one before its disk was lost, have committed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipeline import journal
from pipeline.hub.repo import DatasetRepo
from pipeline.store import Store
from pipeline.store.journal_files import JournalFile

log = logging.getLogger(__name__)
READERS = 8
Report = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull brought: rows that are newer now, whether documents changed, and whether the repo has lost files."""

    applied: int
    documents: bool
    lost: bool


def pull(store: Store, repo: DatasetRepo, revision: str, report: Report = lambda done, total: None) -> Pulled:
    """Merge every file of a commit that was not read before. ``report`` gets (files read, files to read).

    A damaged file is remembered with what is wrong with it, and told in the log: its whole blocks are used, the rest is not.

    Raises:
        HubError: the repo cannot be read; what was read so far is kept.
    """
    there = repo.files(revision)
    known = store.journal_files.of("repo")
    new = sorted(set(there) - set(known), key=_order)
    lost = _forget_vanished(store, known, there)
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
    return Pulled(applied + again.applied, documents or again.documents, lost)


def _take_in(store: Store, name: str, data: bytes):
    reading = journal.read_blocks(data)
    if reading.problem:
        log.warning("The journal file %s cannot be used in full: %s", name, reading.problem)
    file = JournalFile("repo", name, len(data), reading.problem)
    return store.merging.merge(reading.changes, "repo", file)


def _forget_vanished(store: Store, known: Mapping[str, JournalFile], there: Mapping[str, int]) -> bool:
    """Forget files that are gone; return whether they are gone without a snapshot in their place."""
    vanished = [name for name in known if name not in there]
    if not vanished:
        return False
    store.journal_files.forget("repo", vanished)
    folded = any(name.startswith("snapshot/") and name not in known for name in there)
    # Files that could not be used are nobody's only copy of anything.
    return not folded and any(not known[name].problem for name in vanished)


def _order(name: str) -> tuple[bool, str]:
    # Snapshots first; a journal file's name ends in the ULID of its making.
    return not name.startswith("snapshot/"), PurePosixPath(name).stem.rpartition("-")[2]


def damaged(files: Sequence[JournalFile]) -> tuple[str, ...]:
    """Return a sentence for each file that could not be used in full."""
    return tuple(
        f"The journal file {file.name} cannot be used in full: {file.problem}." for file in files if file.problem
    )
