"""The retrieval settings of a workspace: tried out, put into force, and explained."""

from __future__ import annotations

import logging
import os
import threading
import time
from concurrent.futures import CancelledError
from dataclasses import dataclass

from pipeline.embedding_index import EmbeddingIndex, Progress
from pipeline.errors import PipelineError, RetrievalError
from pipeline.events import carried
from pipeline.library import Library
from pipeline.records import Context
from pipeline.retrieval import LexicalIndex, Match
from pipeline.retrieval_settings import (
    Chunking,
    Embedding,
    RetrievalSettings,
    check,
    check_embedding,
    read_text,
    to_text,
)
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.vector_store import VectorStore

log = logging.getLogger(__name__)
_PROBES = (
    "How do I reset my password?",
    "What to do when you have forgotten your login secret",
    "The museum is closed on Mondays",
)


@dataclass(frozen=True, slots=True)
class Trial:
    """What an embedding model gives: the length of its vectors, seconds a text, and how it compares three sentences.

    ``alike`` is the cosine of a query with a passage that answers it in other words, ``unlike`` with one about something else.
    """

    dimensions: int
    seconds: float
    query: str
    alike: float
    unlike: float


@dataclass(frozen=True, slots=True)
class State:
    """What is in force, and how far the settings are that were asked for."""

    settings: RetrievalSettings
    top_k: int
    documents: int
    chunks: int
    wanted: RetrievalSettings | None
    work: Progress
    # What it is at work on: "cutting" documents, or "embedding" passages.
    step: str = ""


class RetrievalDesk:
    """Settings are put into force when all passages are cut and embedded as they say; until then the old ones serve."""

    def __init__(
        self,
        store: Store,
        library: Library,
        index: LexicalIndex,
        embeddings: EmbeddingIndex,
        vectors: VectorStore,
        settings: Settings,
    ) -> None:
        self._store = store
        self._library = library
        self._index = index
        self._embeddings = embeddings
        self._vectors = vectors
        self._top_k = settings.top_k
        # Of this machine alone: other replicas get the settings when they are in force.
        self._wanted_file = settings.home / "retrieval-wanted.json"
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._progress, self._step = Progress(), ""
        self._stopped = self._cancelled = False

    def start(self) -> None:
        """Go on with what a stopped process had begun, and bring the vectors up to date; returns at once."""
        self._library.on_change = self._embeddings.wake
        if self._wanted() is not None:
            self._begin()
        self._embeddings.wake()

    def close(self) -> None:
        """Stop after the document or batch that is under way; it goes on with the next start."""
        self._stopped = True
        if thread := self._thread:
            thread.join(2.0)
        self._embeddings.close()

    def state(self) -> State:
        """Return what is in force and what is under way."""
        settings = self._store.values.retrieval()
        own = self._progress.running or self._progress.error
        summaries = self._library.summaries()
        return State(
            settings=settings,
            top_k=settings.top_k or self._top_k,
            documents=len(summaries),
            chunks=sum(item.chunks for item in summaries),
            wanted=self._wanted(),
            work=self._progress if own else self._embeddings.progress,
            step=self._step if own else "embedding",
        )

    def apply(self, settings: RetrievalSettings) -> None:
        """Put settings into force, in the background where passages must be cut or embedded first.

        Raises:
            RetrievalError: a value cannot be used, or another change is under way.
        """
        check(settings)
        with self._lock:
            if self._progress.running:
                raise RetrievalError("Another change is under way: wait until it is done, or cancel it.")
            self._want(settings)
        self._begin()
        # Most changes need no passage to be made anew: they are in force when this returns.
        if thread := self._thread:
            thread.join(1.0)

    def cancel(self) -> None:
        """Give up the change that is under way; what is in force stays so."""
        with self._lock:
            self._cancelled = True
            # At once: a download may go on for longer than anybody waits, and the next start takes up what stands there.
            self._want(None)
        if thread := self._thread:
            thread.join(5.0)
        with self._lock:
            if not self._progress.running:
                self._progress = Progress()

    def try_embedding(self, embedding: Embedding) -> Trial:
        """Embed three sentences and say how long that took and how they compare.

        Raises:
            RetrievalError: the model gives no vectors.
        """
        check_embedding(embedding)
        embedder = self._embeddings.embedder(embedding)
        embedder.queries(_PROBES[:1])
        start = time.perf_counter()
        query = embedder.queries(_PROBES[:1])[0]
        passages = embedder.passages(_PROBES[1:])
        seconds = (time.perf_counter() - start) / len(_PROBES)
        alike, unlike = (passages @ query).tolist()
        return Trial(len(query), seconds, _PROBES[0], alike, unlike)

    def matches(self, query: str, context: Context) -> list[Match]:
        """Return which words of a query a context holds and what each is worth, most first."""
        return self._index.matches(query, context.chunk_id)

    def _wanted(self) -> RetrievalSettings | None:
        try:
            return read_text(self._wanted_file.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (ValueError, RetrievalError):
            # The defaults, which a stored setting falls back to, are nothing that anybody asked for here.
            log.warning("What was to come into force cannot be read, and is given up: %s", self._wanted_file)
            self._want(None)
            return None

    def _want(self, settings: RetrievalSettings | None) -> None:
        if settings is None:
            self._wanted_file.unlink(missing_ok=True)
            return
        # A process that is killed in between leaves the file as it was, and no half of it.
        fresh = self._wanted_file.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            file.write(to_text(settings))
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self._wanted_file)

    def _begin(self) -> None:
        with self._lock:
            if self._progress.running or self._stopped:
                return
            self._progress, self._cancelled = Progress(running=True), False
            self._thread = threading.Thread(target=carried(self._work), name="retrieval", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        error = "An unexpected error ended this change; the log of the app says which."
        try:
            if self._prepared():
                self._embeddings.wake()
            error = ""
        except PipelineError as failure:
            error = str(failure)
            self._want(None)
        except (RuntimeError, CancelledError):
            # At the end of the app its event loop ends, and what asks an endpoint on it.
            if not self._stopped:
                raise
        finally:
            self._progress = Progress(False, self._progress.done, self._progress.total, error=error)

    def _prepared(self) -> bool:
        """Cut and embed what the wanted settings need and put them into force; False where it was stopped before."""
        wanted = self._wanted()
        if wanted is None:
            return False
        sizes = wanted.chunking
        if not self._library.cut_documents(sizes, self._reporter("cutting")):
            return False
        if wanted.uses_vectors and not self._embed(wanted.embedding, sizes):
            return False
        if self._cancelled:
            return False
        self._library.use(wanted)
        self._want(None)
        return True

    def _embed(self, embedding: Embedding, sizes: Chunking) -> bool:
        self._step, self._progress = "opening", Progress(running=True)
        embedder = self._embeddings.embedder(embedding)
        ids = self._store.documents.searched_ids(sizes)
        # Until they are searched, nobody else may think that they are left over.
        self._vectors.hold(embedder, ids)
        view = self._vectors.bring_up(embedder, ids, self._reporter("embedding"))
        return len(view) == len(ids)

    def _reporter(self, step: str):
        self._step, start = step, time.monotonic()

        def report(done: int, total: int) -> bool:
            self._progress = Progress(True, done, total, time.monotonic() - start)
            return not (self._stopped or self._cancelled)

        return report
