"""What a retrieval setting does to the queries of this workspace, beside the setting in force.

Of each query whose right passages are known (:mod:`pipeline.retrieval_gold`) the first ten passages are looked at under both.
Intervals are over queries; that of the difference is Student's t on the differences of each query.
"""

from __future__ import annotations

import logging
import math
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scipy.special import stdtrit

from pipeline.documents import split_document
from pipeline.embedding_index import EmbeddingIndex, Progress
from pipeline.errors import PipelineError, RetrievalError
from pipeline.events import carried
from pipeline.means import mean_interval
from pipeline.records import Chunk, Document
from pipeline.retrieval import LexicalIndex
from pipeline.retrieval_gold import Gold, GoldFinder, marked_spans
from pipeline.retrieval_metrics import Metric, ndcg_at, reciprocal_rank
from pipeline.retrieval_settings import RetrievalSettings, check
from pipeline.retriever import Search
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.vector_store import VectorStore

log = logging.getLogger(__name__)
LOOKED_AT = 10
MOST_QUERIES = 2_000
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Difference:
    """How much the other setting's mean is above the first one's, with its 95 % interval."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Line:
    """One measure under both settings."""

    name: str
    first: Metric
    second: Metric
    difference: Difference


@dataclass(frozen=True, slots=True)
class Moved:
    """A query whose first right passage is at another rank under the other setting; None is not among the first ten."""

    query: str
    first: int | None
    second: int | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two settings side by side. ``kinds`` counts the queries by who said what is right, ``without`` those nobody did."""

    first: RetrievalSettings
    second: RetrievalSettings
    lines: tuple[Line, ...]
    moved: tuple[Moved, ...]
    queries: int
    without: int
    kinds: Mapping[str, int]
    seconds: tuple[float, float]


class _Stopped(Exception):
    """The comparison was cancelled."""


class RetrievalBench:
    """Compares settings in the background, one comparison at a time."""

    def __init__(
        self,
        store: Store,
        index: LexicalIndex,
        embeddings: EmbeddingIndex,
        vectors: VectorStore,
        settings: Settings,
    ) -> None:
        self._store = store
        self._index = index
        self._embeddings = embeddings
        self._vectors = vectors
        self._top_k = settings.top_k
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self.progress, self.result = Progress(), None

    def gold(self, list_id: str | None = None) -> tuple[list[Gold], int]:
        """Return the queries of a list, or of all, whose right passages are known, and how many are not."""
        finder = GoldFinder(self._documents(), self._marked())
        lists = [list_id] if list_id else [item.id for item in self._store.queries.sets()]
        queries = [query for one in lists for query in self._store.queries.in_set(one)]
        found = [finder.of(query) for query in queries]
        gold = [item for item in found if item is not None]
        return gold, len(found) - len(gold)

    def start(self, other: RetrievalSettings, list_id: str | None = None) -> None:
        """Begin to compare ``other`` with what is in force; :attr:`result` has the outcome when it is there.

        Raises:
            RetrievalError: a value cannot be used, or another comparison is under way.
        """
        check(other)
        with self._lock:
            if self.progress.running:
                raise RetrievalError("Another comparison is under way: wait until it is done, or cancel it.")
            self.progress, self.result, self._stopped = Progress(running=True), None, False
            self._thread = threading.Thread(
                target=carried(self._work), args=(other, list_id), name="retrieval-bench", daemon=True
            )
            self._thread.start()

    def cancel(self) -> None:
        """Stop the comparison that is under way."""
        self._stopped = True
        if thread := self._thread:
            thread.join(2.0)

    close = cancel

    def compare(self, other: RetrievalSettings, list_id: str | None = None) -> Comparison:
        """Return ``other`` beside what is in force.

        Raises:
            RetrievalError: no query's right passages are known, or the embedding model gives no vectors.
        """
        gold, without = self.gold(list_id)
        if not gold:
            raise RetrievalError("Of no query of this list it is known which passages are right.")
        gold = gold[:MOST_QUERIES]
        in_force = self._store.values.retrieval()
        with tempfile.TemporaryDirectory(prefix="pairloop-retrieval-") as folder:
            flags, seconds = [], []
            for number, settings in enumerate((in_force, other)):
                search = self._search(settings, in_force, Path(folder) / str(number))
                start = time.perf_counter()
                flags.append(self._flags(search, settings, gold))
                seconds.append((time.perf_counter() - start) / len(gold))
        kinds = Counter(item.kind for item in gold)
        handed = (in_force.top_k or self._top_k, other.top_k or self._top_k)
        lines, moved = _lines(gold, *flags, handed), _moved(gold, *flags)
        return Comparison(in_force, other, lines, moved, len(gold), without, kinds, tuple(seconds))

    def _work(self, other: RetrievalSettings, list_id: str | None) -> None:
        error = "An unexpected error ended this comparison; the log of the app says which."
        try:
            self.result = self.compare(other, list_id)
            error = ""
        except PipelineError as failure:
            error = str(failure)
        except _Stopped:
            error = "Cancelled."
        finally:
            self.progress = replace(self.progress, running=False, error=error)

    def _documents(self) -> list[Document]:
        return [self._store.documents.get(item.id) for item in self._store.documents.summaries()]

    def _marked(self) -> dict:
        spans: dict = {}
        for dataset in self._store.datasets.all():
            if dataset.run_id is not None:
                records = self._store.datasets.records(dataset.id)
                for query_id, found in marked_spans(records, self._store.responses.of_dataset(dataset.id)).items():
                    spans.setdefault(query_id, []).extend(span for span in found if span not in spans.get(query_id, ()))
        return spans

    def _search(self, settings: RetrievalSettings, in_force: RetrievalSettings, folder: Path) -> _Prepared:
        """Return a search by these settings; where documents are to be cut otherwise, over an index for the moment."""
        if settings.chunking == in_force.chunking:
            chunks = {chunk.id: chunk for chunk in self._store.documents.searched_chunks()}
            index = self._index
        else:
            chunks, index = self._cut(settings), LexicalIndex(folder)
            index.add(list(chunks.values()))
        view, embedder = None, None
        if settings.uses_vectors:
            embedder = self._embeddings.embedder(settings.embedding)
            self._vectors.hold(embedder, list(chunks))
            start = time.monotonic()
            view = self._vectors.bring_up(
                embedder, list(chunks), lambda done, total: self._report(done, total, start), chunks
            )
        return _Prepared(Search(settings.method, LOOKED_AT, settings.least_similarity, index, view), chunks, embedder)

    def _cut(self, settings: RetrievalSettings) -> dict[str, Chunk]:
        documents, start = self._documents(), time.monotonic()
        chunks: dict[str, Chunk] = {}
        for done, document in enumerate(documents):
            self._report(done, len(documents), start)
            pieces = split_document(document, settings.chunking.size, settings.chunking.overlap)
            chunks.update({chunk.id: chunk for chunk in pieces})
        return chunks

    def _flags(self, prepared: _Prepared, settings: RetrievalSettings, gold: Sequence[Gold]) -> list[list[bool]]:
        """Return for each query which of the passages found are right; a second one of the same place is not."""
        flags, start = [], time.monotonic()
        for first in range(0, len(gold), _BATCH):
            self._report(first, len(gold), start)
            some = gold[first : first + _BATCH]
            vectors = (
                prepared.embedder.queries([item.text for item in some]) if prepared.embedder else [None] * len(some)
            )
            for item, vector in zip(some, vectors, strict=True):
                found = prepared.search.find(item.text, vector)
                flags.append(
                    _right(item, [prepared.chunks[hit.chunk_id] for hit in found if hit.chunk_id in prepared.chunks])
                )
        return flags

    def _report(self, done: int, total: int, start: float) -> bool:
        if self._stopped:
            raise _Stopped
        self.progress = Progress(True, done, total, time.monotonic() - start)
        return True


@dataclass(frozen=True, slots=True)
class _Prepared:
    search: Search
    chunks: Mapping[str, Chunk]
    embedder: object


def _right(gold: Gold, chunks: Sequence[Chunk]) -> list[bool]:
    met: set[int] = set()
    flags = []
    for chunk in chunks:
        new = {
            at
            for at, spans in enumerate(gold.items)
            if at not in met and any(span.meets(chunk.document_id, chunk.start, chunk.end) for span in spans)
        }
        met |= new
        flags.append(bool(new))
    return flags


Flags = Sequence[Sequence[bool]]


def _lines(gold: Sequence[Gold], first: Flags, second: Flags, handed: tuple[int, int]) -> tuple[Line, ...]:
    known = [len(item.items) for item in gold]
    measures: list[tuple[str, Callable[[Sequence[bool], int, int], float]]] = [
        ("hit@1", lambda flags, known, k: float(any(flags[:1]))),
        ("hit@5", lambda flags, known, k: float(any(flags[:5]))),
        ("MRR@10", lambda flags, known, k: reciprocal_rank(flags)),
        ("nDCG@10", lambda flags, known, k: ndcg_at(LOOKED_AT, flags, known)),
    ]
    if max(handed) <= LOOKED_AT:
        measures.insert(2, ("in the contexts", lambda flags, known, k: float(any(flags[:k]))))
    lines = []
    for name, measure in measures:
        left, right = (
            [measure(flags, all_known, k) for flags, all_known in zip(side, known, strict=True)]
            for side, k in ((first, handed[0]), (second, handed[1]))
        )
        sides = (Metric(name, *mean_interval(left)), Metric(name, *mean_interval(right)))
        lines.append(Line(name, *sides, paired_difference(left, right)))
    return tuple(lines)


def paired_difference(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Return the mean of ``second`` minus ``first`` for each query, with Student's interval where they are not all alike."""
    apart = [later - earlier for earlier, later in zip(first, second, strict=True)]
    mean = statistics.fmean(apart)
    if len(set(apart)) < 2:
        return Difference(mean, None, None)
    half = float(stdtrit(len(apart) - 1, 0.975)) * math.sqrt(statistics.variance(apart) / len(apart))
    return Difference(mean, mean - half, mean + half)


def _moved(gold: Sequence[Gold], first: Flags, second: Flags) -> tuple[Moved, ...]:
    ranks = [(_rank(left), _rank(right)) for left, right in zip(first, second, strict=True)]
    moved = [Moved(item.text, *pair) for item, pair in zip(gold, ranks, strict=True) if pair[0] != pair[1]]
    return tuple(sorted(moved, key=lambda one: -abs(_gain(one.first) - _gain(one.second))))


def _rank(flags: Sequence[bool]) -> int | None:
    return next((rank for rank, hit in enumerate(flags, 1) if hit), None)


def _gain(rank: int | None) -> float:
    return 1 / rank if rank else 0.0
