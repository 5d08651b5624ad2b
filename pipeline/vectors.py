"""Vectors of passages in one file, searched by comparing with all of them: 11 ms at 100,000 vectors of 384 numbers.

The file is an array of 32-bit floats with a row per passage: the SHA-256 of its id in the place of the first eight, then the
vector. Rows are only ever added at the end, and those that are removed lose their key. A process that is killed while it
writes leaves a file whose last row is cut, or is no vector: such rows are left out when it is opened again.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_KEY_FLOATS = 8
_CHECKED_AT_ONCE = 20_000
_EMPTY = bytes(32)


@dataclass(frozen=True, slots=True)
class Similar:
    """A passage with the cosine of its vector and the query's."""

    chunk_id: str
    cosine: float


class VectorFile:
    """The vectors of one embedding model by passage. One thread changes it at a time, any number may search."""

    def __init__(self, path: Path, dimensions: int) -> None:
        """Open the file, made as needed; where more than half of its rows are dead, it is written anew."""
        self._path = path
        self._width = dimensions + _KEY_FLOATS
        self._lock = threading.Lock()
        self._rows: dict[bytes, int] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._cut()
        self._matrix = self._mapped()
        self._read_keys()
        if 2 * len(self._rows) < len(self._matrix):
            self._compact()

    def __len__(self) -> int:
        """Return how many passages have a vector."""
        return len(self._rows)

    def missing(self, ids: Iterable[str]) -> list[str]:
        """Return those of ``ids`` that have no vector, in their order."""
        return [id for id in ids if _key(id) not in self._rows]

    def add(self, ids: Sequence[str], vectors: np.ndarray) -> None:
        """Add vectors of length 1, on disk when this returns. An id that is there already is left as it is."""
        with self._lock:
            new = [(key, vector) for key, vector in zip(map(_key, ids), vectors, strict=True) if key not in self._rows]
            if not new:
                return
            block = np.empty((len(new), self._width), np.float32)
            block[:, _KEY_FLOATS:] = [vector for _, vector in new]
            block[:, :_KEY_FLOATS] = np.frombuffer(b"".join(key for key, _ in new), np.float32).reshape(len(new), -1)
            first = len(self._matrix)
            with self._path.open("r+b") as file:
                # A full disk may have left a part of an earlier block there, and ids would point at its rows.
                file.seek(first * self._width * 4)
                file.truncate()
                file.write(block.tobytes())
                file.flush()
                os.fsync(file.fileno())
            self._matrix = self._mapped()
            self._rows.update({key: first + at for at, (key, _) in enumerate(new)})

    def keep_only(self, ids: Collection[str]) -> None:
        """Remove every vector but those of ``ids``."""
        kept = set(map(_key, ids))
        with self._lock:
            gone = [key for key in self._rows if key not in kept]
            if not gone:
                return
            with self._path.open("r+b") as file:
                for key in gone:
                    file.seek(self._rows.pop(key) * self._width * 4)
                    file.write(_EMPTY)

    def view(self, ids: Sequence[str]) -> VectorView:
        """Return what searches the vectors of ``ids``; those without one are left out."""
        with self._lock:
            places = [(row, id) for id in ids if (row := self._rows.get(_key(id))) is not None]
            matrix = self._matrix
        places.sort()
        return VectorView(
            matrix[:, _KEY_FLOATS:], np.array([row for row, _ in places], np.intp), [id for _, id in places]
        )

    def _cut(self) -> None:
        """Take off a last row that was not written to its end."""
        if not self._path.exists():
            self._path.touch()
        over = self._path.stat().st_size % (self._width * 4)
        if over:
            os.truncate(self._path, self._path.stat().st_size - over)

    def _mapped(self) -> np.ndarray:
        rows = self._path.stat().st_size // (self._width * 4)
        if not rows:
            return np.zeros((0, self._width), np.float32)
        return np.memmap(self._path, np.float32, "r", shape=(rows, self._width))

    def _read_keys(self) -> None:
        for start in range(0, len(self._matrix), _CHECKED_AT_ONCE):
            block = np.asarray(self._matrix[start : start + _CHECKED_AT_ONCE])
            lengths = np.linalg.norm(block[:, _KEY_FLOATS:], axis=1)
            keys = np.ascontiguousarray(block[:, :_KEY_FLOATS]).tobytes()
            for at in np.flatnonzero(np.abs(lengths - 1) < 0.05):
                key = keys[at * 32 : at * 32 + 32]
                if key != _EMPTY:
                    self._rows[key] = start + int(at)

    def _compact(self) -> None:
        kept = np.sort(np.fromiter(self._rows.values(), np.intp, len(self._rows)))
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            for start in range(0, len(kept), _CHECKED_AT_ONCE):
                file.write(self._matrix[kept[start : start + _CHECKED_AT_ONCE]].tobytes())
            file.flush()
            os.fsync(file.fileno())
        # Nobody searches yet; Windows replaces no file that is still mapped.
        self._matrix = np.zeros((0, self._width), np.float32)
        os.replace(fresh, self._path)
        self._rows.clear()
        self._matrix = self._mapped()
        self._read_keys()


class VectorView:
    """The vectors of some passages as they were when this was made."""

    def __init__(self, matrix: np.ndarray, rows: np.ndarray, ids: Sequence[str]) -> None:
        self._matrix = matrix
        self._rows = rows
        self._ids = ids
        self._whole = len(rows) == len(matrix)

    def __len__(self) -> int:
        """Return how many passages can be found."""
        return len(self._ids)

    def search(self, query: np.ndarray, k: int, least: float = -1.0) -> list[Similar]:
        """Return at most ``k`` passages whose cosine is at least ``least``, best first, equal ones by id."""
        if not self._ids or k < 1:
            return []
        scores = self._matrix @ np.asarray(query, np.float32)
        if not self._whole:
            scores = scores[self._rows]
        # Sums of 32-bit floats: the same vectors may differ in the last digits from one machine to another.
        scores = np.round(scores, 5)
        # All that tie with the last one wanted, or the order of rows would choose among them.
        worst = np.partition(scores, -k)[-k] if len(scores) > k else -1.0
        places = np.flatnonzero(scores >= max(float(worst), least))
        found = [Similar(self._ids[at], float(scores[at])) for at in places]
        return sorted(found, key=lambda hit: (-hit.cosine, hit.chunk_id))[:k]


def _key(chunk_id: str) -> bytes:
    return hashlib.sha256(chunk_id.encode()).digest()
