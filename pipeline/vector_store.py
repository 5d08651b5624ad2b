"""The vectors of a workspace: a file per embedding model, filled with what is missing. They do not travel."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pipeline.models.embedders import Embedder
from pipeline.records import Chunk
from pipeline.retrieval import searched_text
from pipeline.vectors import VectorFile, VectorView

Load = Callable[[Sequence[str]], Mapping[str, Chunk]]
Report = Callable[[int, int], bool]


class VectorStore:
    """Files of vectors in a folder. Vectors that somebody else still needs are kept (:meth:`hold`)."""

    def __init__(self, folder: Path, load: Load) -> None:
        self._folder = folder
        self._load = load
        self._files: dict[str, VectorFile] = {}
        self._held: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    def bring_up(
        self,
        embedder: Embedder,
        ids: Sequence[str],
        report: Report = lambda done, total: True,
        chunks: Mapping[str, Chunk] | None = None,
    ) -> VectorView:
        """Embed those of ``ids`` that have no vector yet and return what searches all of them.

        ``report`` is told how many are done of all, and says whether to go on. ``chunks`` has them where the store has not.

        Raises:
            RetrievalError: the model gave no vectors; those that it gave before are kept.
        """
        file = self._file(embedder)
        missing = file.missing(ids)
        # Each batch is on disk when the next begins, so that little is lost where the process ends.
        for start in range(0, len(missing), embedder.batch):
            if not report(len(ids) - len(missing) + start, len(ids)):
                break
            batch = missing[start : start + embedder.batch]
            some = self._load(batch) if chunks is None else {id: chunks[id] for id in batch}
            if some:
                file.add(list(some), embedder.passages([searched_text(chunk) for chunk in some.values()]))
        return file.view(ids)

    def waiting(self, embedder: Embedder, ids: Sequence[str]) -> int:
        """Return how many of ``ids`` have no vector yet."""
        return len(self._file(embedder).missing(ids))

    def hold(self, embedder: Embedder, ids: Sequence[str]) -> None:
        """Keep the vectors of ``ids`` until this process ends, although they are not searched."""
        with self._lock:
            self._held.setdefault(embedder.fingerprint, set()).update(ids)

    def forget_others(self, embedder: Embedder, ids: Sequence[str]) -> None:
        """Remove the vectors of all passages but ``ids`` and those that are held."""
        with self._lock:
            kept = self._held.get(embedder.fingerprint, set()).union(ids)
        self._file(embedder).keep_only(kept)

    def _file(self, embedder: Embedder) -> VectorFile:
        with self._lock:
            name = re.sub(r"\W", "", embedder.fingerprint)
            if name not in self._files:
                path = self._folder / f"{name}-{embedder.dimensions}.vectors"
                self._files[name] = VectorFile(path, embedder.dimensions)
            return self._files[name]
