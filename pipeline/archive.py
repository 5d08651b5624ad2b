"""The whole workspace as one file: a back-up without the Hub, and the way from one machine to another."""

from __future__ import annotations

import gzip
import io
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from pipeline import journal, ulid
from pipeline.errors import BackupError
from pipeline.store import Store
from pipeline.store.merging import NOT_OF_FILES

# So far may the clocks of two machines differ; a file that claims to be from later would win over everything to come.
CLOCK_SECONDS = 24 * 3600.0
MAX_BYTES = 2_000_000_000
_PIECE = 1 << 20
_LEFT_OUT = frozenset(table.name for table in NOT_OF_FILES)


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: rows in the file, rows that are new or newer here now, and rows that cannot be used yet.

    ``roles`` says whether people's roles came with it.
    """

    rows: int
    applied: int
    parked: int
    roles: bool = False


def write_archive(store: Store, path: Path, scrub: Callable[[bytes], bytes] = lambda data: data) -> None:
    """Write what the store holds, but nobody's way in, into a compressed file of JSON lines, one block per table piece."""
    with gzip.open(path, "wb", compresslevel=6) as file:
        for changes in chain(store.outbox.everything(), [store.merging.parked_changes()]):
            # A file goes from hand to hand: even hashes of what lets people in have no place in it.
            if kept := [change for change in changes if change.table not in _LEFT_OUT]:
                file.write(journal.write_block(store.replica, [scrub(line) for line in journal.write_lines(kept)]))


def read_archive(store: Store, path: Path, now: Callable[[], float] = time.time) -> Imported:
    """Merge a workspace file into the store; of each row the newest state stands. Twice is the same as once.

    Nobody's way in is taken from it, and people's roles only where nobody has one yet: whoever made the file would be an owner
    here too.

    Raises:
        BackupError: it is no workspace file, or it is damaged; nothing of it was taken in.
    """
    reading = journal.read_blocks(_unpacked(path))
    if reading.problem or not reading.changes:
        reason = reading.problem or "it is empty"
        raise BackupError(f"This is no workspace file that can be used: {reason}. Nothing was taken in.")
    if any(ulid.seconds(change.stamp) > now() + CLOCK_SECONDS for change in reading.changes):
        raise BackupError("This file says that it is from the future: set this machine's clock. Nothing was taken in.")
    merged, roles = store.merging.merge_file(reading.changes)
    applied = merged.applied + store.merging.retry_parked().applied
    # What was under way on the machine that the file comes from does not go on here.
    for replica in {change.replica for change in reading.changes} - {store.replica, *store.others()}:
        for part in (store.runs, store.training, store.comparisons, store.judgements):
            part.interrupt_all(replica)
    return Imported(len(reading.changes), applied, len(store.merging.parked()), roles)


def _unpacked(path: Path) -> bytes:
    unpacked = io.BytesIO()
    try:
        with gzip.open(path, "rb") as file:
            while piece := file.read(_PIECE):
                unpacked.write(piece)
                if unpacked.tell() > MAX_BYTES:
                    raise BackupError("This file is too large when it is unpacked. Nothing was taken in.")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BackupError("This is no workspace file, or only a part of one. Nothing was taken in.") from error
    return unpacked.getvalue()
