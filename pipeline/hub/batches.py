"""Changes as files of a commit: how they are named, and how large they may grow."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipeline import journal
from pipeline.records import Change, new_id
from pipeline.store import Store

# Files over 10 MB would go another way, through LFS, which can fail half-way; a commit holds a few of these.
FILE_BYTES = 8_000_000
COMMIT_BYTES = 40_000_000
ROWS = 5_000


# Rows are read in pieces: a few documents can be larger than a commit.
PIECE = 200


@dataclass(frozen=True, slots=True)
class Batch:
    """What one commit brings: its files, and the changes that are in them. ``full`` says that more may be waiting."""

    files: dict[str, bytes]
    changes: tuple[Change, ...]
    full: bool


def journal_batch(store: Store, scrub) -> Batch | None:
    """Return the oldest changes that the repo does not have, or None where there are none."""
    changes: list[Change] = []
    lines: list[bytes] = []
    size, full = 0, False
    while not full and (piece := store.outbox.batch("repo", PIECE, skip=len(changes))):
        for change, line in zip(piece, map(scrub, journal.write_lines(piece)), strict=True):
            size += len(line)
            full = bool(lines) and size > COMMIT_BYTES
            if full:
                break
            changes.append(change)
            lines.append(line)
        full = full or len(changes) >= ROWS
    if not changes:
        return None
    day = time.strftime("%Y-%m-%d", time.gmtime())
    names = (f"journal/{day}/{store.replica}-{new_id()}.jsonl" for _ in iter(int, 1))
    files = dict(zip(names, blocks(store.replica, lines), strict=False))
    return Batch(files, tuple(changes), full)


def snapshot_files(store: Store, scrub) -> dict[str, bytes]:
    """Return everything that the store holds, and what it has parked, as the files of one snapshot."""
    folder = f"snapshot/{store.replica}-{new_id()}"
    lines = (scrub(line) for changes in _everything(store) for line in journal.write_lines(changes))
    return {f"{folder}/part-{n:04d}.jsonl": block for n, block in enumerate(blocks(store.replica, lines))}


def blocks(replica: str, lines: Iterable[bytes]) -> Iterator[bytes]:
    """Return lines as blocks of at most FILE_BYTES each; a line that is longer is a block of its own."""
    piece: list[bytes] = []
    size = 0
    for line in lines:
        if piece and size + len(line) > FILE_BYTES:
            yield journal.write_block(replica, piece)
            piece, size = [], 0
        piece.append(line)
        size += len(line)
    if piece:
        yield journal.write_block(replica, piece)


def _everything(store: Store) -> Iterator[Sequence[Change]]:
    yield from store.outbox.everything()
    yield store.merging.parked_changes()
