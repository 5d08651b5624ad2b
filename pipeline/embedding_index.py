"""The vectors of what is searched now, brought up in a thread of its own whenever documents or settings change."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass

from pipeline.errors import PipelineError, RetrievalError
from pipeline.events import carried
from pipeline.library import Library
from pipeline.models.embedders import Embedder, Embedders
from pipeline.retrieval_settings import Embedding
from pipeline.store import Store
from pipeline.vector_store import VectorStore
from pipeline.vectors import VectorView

log = logging.getLogger(__name__)
_PATIENCE = 15.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far something is: ``done`` of ``total``, for how long, and the error that ended it."""

    running: bool = False
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    error: str = ""

    @property
    def seconds_left(self) -> float | None:
        """The time that is left at this pace, or None while it cannot be told."""
        return self.seconds / self.done * (self.total - self.done) if self.done and self.running else None


@dataclass(frozen=True, slots=True)
class _Ready:
    embedding: Embedding
    version: int
    embedder: Embedder
    view: VectorView


class EmbeddingIndex:
    """Searches the vectors of the library's chunks; a document that comes or goes is followed without the others."""

    def __init__(self, store: Store, library: Library, vectors: VectorStore, embedders: Embedders) -> None:
        self._store = store
        self._library = library
        self._vectors = vectors
        self._embedders = embedders
        self._changed = threading.Condition()
        self._ready: _Ready | None = None
        self._thread: threading.Thread | None = None
        self._progress = Progress()
        self._stopped = False

    def wake(self) -> None:
        """Begin to bring the vectors up to date, if any are used; returns at once."""
        if self._store.values.retrieval().uses_vectors:
            with self._changed:
                self._start()

    def ready(self, patience: float = _PATIENCE) -> tuple[Embedder, VectorView]:
        """Return the embedding model and its vectors of everything that is searched now.

        Raises:
            RetrievalError: they are not all there within ``patience`` seconds, the model gives none, or they are used no more.
        """
        deadline = time.monotonic() + patience
        while True:
            ready = self._ready
            if ready is not None and self._is_current(ready):
                return ready.embedder, ready.view
            if not self._store.values.retrieval().uses_vectors:
                raise RetrievalError("The retrieval settings have changed to BM25 meanwhile: ask again.")
            self._await_others(ready, deadline)

    def _is_current(self, ready: _Ready) -> bool:
        """Say whether vectors are those of what is searched now, which may have changed while somebody waits for them.

        Never under ``_changed``: the library calls :meth:`wake`, which takes it, while its own lock is held.
        """
        return (ready.embedding, ready.version) == (self._store.values.retrieval().embedding, self._library.version)

    def _await_others(self, before: _Ready | None, deadline: float) -> None:
        """See to it that vectors are being made, and wait until others are there or the making has ended.

        Raises:
            RetrievalError: it has ended with an error, or the time is over.
        """
        with self._changed:
            if self._ready is before:
                self._start()
            self._changed.wait_for(
                lambda: self._ready is not before or not self._progress.running, max(0.0, deadline - time.monotonic())
            )
            if self._ready is before and (self._progress.error or self._stopped or time.monotonic() >= deadline):
                raise RetrievalError(_why_not(self._progress))

    def embedder(self, embedding: Embedding) -> Embedder:
        """Return an embedding model, opened at first use.

        Raises:
            RetrievalError: it cannot be opened.
        """
        return self._embedders.open(embedding)

    @property
    def progress(self) -> Progress:
        """How far the vectors are."""
        return self._progress

    def close(self) -> None:
        """Stop after the batch that is under way."""
        self._stopped = True
        if thread := self._thread:
            thread.join(2.0)

    def _start(self) -> None:
        if self._stopped or self._progress.running:
            return
        self._progress = Progress(running=True)
        self._thread = threading.Thread(target=carried(self._bring_up), name="embeddings", daemon=True)
        self._thread.start()

    def _bring_up(self) -> None:
        error = "An unexpected error ended the embedding of passages; the log of the app says which."
        try:
            while not self._stopped and self._store.values.retrieval().uses_vectors and not self._once():
                pass
            error = ""
        except PipelineError as failure:
            error = str(failure)
        except (RuntimeError, CancelledError):
            if not self._stopped:
                raise
        finally:
            with self._changed:
                self._progress = Progress(False, self._progress.done, self._progress.total, error=error)
                self._changed.notify_all()

    def _once(self) -> bool:
        """Bring the vectors up to what is searched now; say whether that is still so afterwards."""
        # The version first: what changes after it is seen makes another round.
        version, embedding = self._library.version, self._store.values.retrieval().embedding
        embedder, ids = self._embedders.open(embedding), self._store.documents.searched_ids()
        view = self._vectors.bring_up(embedder, ids, _reporting(self._report))
        if self._stopped:
            return True
        self._vectors.forget_others(embedder, ids)
        with self._changed:
            self._ready = _Ready(embedding, version, embedder, view)
            self._changed.notify_all()
        return (version, embedding) == (self._library.version, self._store.values.retrieval().embedding)

    def _report(self, done: int, total: int, seconds: float) -> bool:
        self._progress = Progress(True, done, total, seconds)
        return not self._stopped


def _reporting(report: Callable[[int, int, float], bool]) -> Callable[[int, int], bool]:
    """Return a report that also tells the time since it was made, and counts from what was there before."""
    start = time.monotonic()
    return lambda done, total: report(done, total, time.monotonic() - start)


def _why_not(progress: Progress) -> str:
    if progress.error:
        return progress.error
    left = progress.seconds_left
    wait = "a little later" if left is None else f"in about {max(1, round(left))} s"
    return (
        f"The passages are being embedded: {progress.done:,} of {progress.total:,} are done. Ask again {wait}, or choose BM25 "
        "on Settings, Retrieval."
    )
