"""Votes from elsewhere: read, looked at, and brought in as a comparison whose results are open to everybody."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.cleaning import clean
from pipeline.errors import ComparisonError
from pipeline.record_files.apart import read_apart
from pipeline.record_files.rows import Source
from pipeline.records import id_of
from pipeline.store import Store
from pipeline.vote_import.building import build
from pipeline.vote_import.conversion import PreparedVotes, convert
from pipeline.vote_import.mapping import VoteMapping, propose

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet", ".zip")
MAX_NAME = 120


@dataclass(frozen=True, slots=True)
class Brought:
    """An import that is in the workspace: how many votes, of how many rows that were left out, and whether it was new."""

    set_id: str
    votes: int
    left_out: int
    new: bool


class VoteDesk:
    """Imports of votes."""

    def __init__(self, store: Store, most_bytes: int) -> None:
        self._store = store
        self._most_bytes = most_bytes
        self._importing = threading.Lock()
        # The file that was read last: every change of its mapping looks at it again.
        self._read: tuple[tuple[object, ...], Source] | None = None

    def read(self, path: Path) -> Source:
        """Return the rows of a file.

        Raises:
            ComparisonError: it is too large, or of no kind that holds votes.
            RecordError: it cannot be read; the message says what to do.
        """
        if path.suffix.lower() not in SUFFIXES:
            raise ComparisonError(f"{path.name} is not a file of votes: use one of {', '.join(SUFFIXES)}.")
        about = path.stat()
        if about.st_size > self._most_bytes:
            most = f"{self._most_bytes / 1e6:g} MB"
            raise ComparisonError(
                f"{path.name} is larger than {most}. Split it, or set PAIRLOOP_MAX_UPLOAD_MB and start again."
            )
        key = (str(path), about.st_mtime_ns, about.st_size)
        known = self._read
        if known is None or known[0] != key:
            known = self._read = (key, read_apart(path))
        return known[1]

    def propose(self, path: Path) -> VoteMapping:
        """Return what the columns of a file seem to be."""
        return propose(self.read(path))

    def prepare(self, path: Path, mapping: VoteMapping) -> PreparedVotes:
        """Return the votes of a file and what cannot be read.

        Raises:
            ComparisonError: the mapping cannot be used.
        """
        return convert(self.read(path), mapping)

    def bring(self, path: Path, mapping: VoteMapping, name: str = "") -> Brought:
        """Store the votes of a file as a comparison; the same file under the same mapping is stored once.

        Raises:
            ComparisonError: rows cannot be read, and it was not said that they are to be left out; or there is no vote.
            StoreError: it cannot be written; nothing of it was.
        """
        prepared = self.prepare(path, mapping)
        if prepared.problems and not mapping.leave_out:
            raise ComparisonError(refusal(prepared))
        if not prepared.votes:
            raise ComparisonError("This file gives no vote: look at its columns and at the meaning of its verdicts.")
        name = " ".join(clean(name).split())[:MAX_NAME] or path.stem[:MAX_NAME]
        list_id = id_of("imported votes", _digest(path, mapping))
        left_out = prepared.left_out + len(prepared.problems)
        with self._importing, self._store.database.alone("votes from a file"):
            if (known := self._store.imports.set_of(list_id)) is not None:
                return Brought(known, len(prepared.votes), left_out, False)
            models, tests = self._store.models.all(), self._store.queries.test_texts()
            rows = build(name, list_id, prepared.votes, models, tests)
            self._store.imports.add(rows)
        self._read = None
        return Brought(rows.set_id, len(prepared.votes), left_out, True)


def refusal(prepared: PreparedVotes) -> str:
    """Return why nothing is brought in, with the first rows that cannot be read."""
    first = " ".join(str(problem) for problem in prepared.problems[:3])
    count = len(prepared.problems)
    rest = f" And {count - 3:,} more." if count > 3 else ""
    return f"{first}{rest} Nothing was brought in: mend the file or the columns, or tick that such rows are left out."


def _digest(path: Path, mapping: VoteMapping) -> str:
    told: Mapping[str, object] = {
        "columns": dict(mapping.columns),
        "options": dict(mapping.options),
        "meanings": dict(mapping.meanings),
        "kept": list(mapping.kept),
        "largest_is_best": mapping.largest_is_best,
        "leave_out": mapping.leave_out,
    }
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return content + json.dumps(told, sort_keys=True)
