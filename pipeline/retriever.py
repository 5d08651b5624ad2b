"""From a query to contexts: by words, by vectors, or by both with their ranks fused.

Reciprocal rank fusion adds 1 / (60 + rank) over the two lists (G. Cormack, C. Clarke and S. Büttcher, SIGIR 2009). Their own
scores cannot be compared with each other; they are kept beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.embedding_index import EmbeddingIndex
from pipeline.models.embedders import Embedder
from pipeline.records import Chunk, Context
from pipeline.retrieval import Hit, LexicalIndex, to_context
from pipeline.retrieval_settings import Embedding, Method, RetrievalSettings
from pipeline.vectors import Similar, VectorView

FUSION = 60
# How many of each list are fused. On XQuAD 20, 50 and 100 rank the first passages alike.
DEPTH = 50
_NAMED = 80


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk with the score it is ordered by, and what the searches by words and by vectors say of it."""

    chunk_id: str
    score: float
    lexical: float | None = None
    lexical_rank: int | None = None
    semantic: float | None = None
    semantic_rank: int | None = None


def fused(lexical: Sequence[Hit], similar: Sequence[Similar], k: int) -> list[Found]:
    """Return the best ``k`` of two lists by reciprocal rank; of equal ones the better by words, then by id."""
    words = {hit.chunk_id: (hit.score, rank) for rank, hit in enumerate(lexical, 1)}
    meaning = {hit.chunk_id: (hit.cosine, rank) for rank, hit in enumerate(similar, 1)}
    found = []
    for chunk_id in words.keys() | meaning.keys():
        (lexical_score, by_words), (cosine, by_meaning) = words.get(chunk_id, _NOT), meaning.get(chunk_id, _NOT)
        score = sum(1 / (FUSION + rank) for rank in (by_words, by_meaning) if rank is not None)
        found.append(Found(chunk_id, round(score, 6), lexical_score, by_words, cosine, by_meaning))
    last = DEPTH + 1
    return sorted(found, key=lambda item: (-item.score, item.lexical_rank or last, item.chunk_id))[:k]


_NOT = (None, None)


@dataclass(frozen=True, slots=True)
class Search:
    """One way to search: over an index of words, and the vectors where the method asks for them."""

    method: Method
    top_k: int
    least_similarity: float
    index: LexicalIndex
    view: VectorView | None = None

    def find(self, query: str, vector: np.ndarray | None = None) -> list[Found]:
        """Return the chunks for a query, best first. What shares no word and is not similar enough is no hit."""
        if self.method is Method.BM25:
            return [Found(hit.chunk_id, hit.score) for hit in self.index.search(query, self.top_k)]
        if self.method is Method.DENSE:
            similar = self._similar(vector, self.top_k)
            ranked = enumerate(similar, 1)
            return [Found(hit.chunk_id, hit.cosine, semantic=hit.cosine, semantic_rank=n) for n, hit in ranked]
        return fused(self.index.search(query, DEPTH), self._similar(vector, DEPTH), self.top_k)

    def _similar(self, vector: np.ndarray | None, k: int) -> list[Similar]:
        if self.view is None or vector is None:
            raise ValueError("a search by vectors needs them")
        return self.view.search(vector, k, self.least_similarity)


def named(settings: RetrievalSettings, top_k: int, embedder: Embedder | None) -> str:
    """Return the name of a configuration, which is stored with what it retrieved: ``bm25 k=4 chunks=256/32``."""
    name = f"{settings.method} k={top_k} chunks={settings.chunking}"
    if embedder is None:
        return name
    model = label(settings.embedding)[-_NAMED:]
    return f"{name} model={model}@{embedder.fingerprint[:8]} min={settings.least_similarity:g}"


def label(embedding: Embedding) -> str:
    """Return the name of an embedding model for people: of a folder, its last part."""
    name = embedding.model.rstrip("/\\")
    return name if name.count("/") == 1 or embedding.kind == "endpoint" else name.replace("\\", "/").rpartition("/")[2]


class Retriever:
    """Fetches the contexts of queries as the settings in force say; the chunks themselves come from the store."""

    def __init__(
        self,
        index: LexicalIndex,
        embeddings: EmbeddingIndex,
        load_chunks: Callable[[Sequence[str]], Mapping[str, Chunk]],
        settings: Callable[[], RetrievalSettings],
        top_k: int,
    ) -> None:
        """``top_k`` holds where the settings have none."""
        self._index = index
        self._embeddings = embeddings
        self._load_chunks = load_chunks
        self._settings = settings
        self._top_k = top_k

    @property
    def name(self) -> str:
        """What retrieves the contexts, as it is stored with them.

        Raises:
            RetrievalError: the embedding model cannot be opened.
        """
        settings = self._settings()
        embedder = self._embeddings.embedder(settings.embedding) if settings.uses_vectors else None
        return named(settings, settings.top_k or self._top_k, embedder)

    def contexts(self, queries: Sequence[str]) -> list[tuple[Context, ...]]:
        """Return the contexts of each query, best first; a chunk that the store no longer has is left out.

        Raises:
            RetrievalError: the embedding model gives no vectors, or those of the passages are not all there yet.
        """
        settings = self._settings()
        vectors: Sequence[np.ndarray | None] = [None] * len(queries)
        view = None
        if settings.uses_vectors:
            embedder, view = self._embeddings.ready()
            vectors = list(embedder.queries(queries))
        top_k = settings.top_k or self._top_k
        search = Search(settings.method, top_k, settings.least_similarity, self._index, view)
        found = [search.find(query, vector) for query, vector in zip(queries, vectors, strict=True)]
        return [self._contexts(items) for items in found]

    def _contexts(self, found: Sequence[Found]) -> tuple[Context, ...]:
        chunks = self._load_chunks([item.chunk_id for item in found]) if found else {}
        return tuple(_context(chunks[item.chunk_id], item) for item in found if item.chunk_id in chunks)


def _context(chunk: Chunk, item: Found) -> Context:
    names = ("lexical", "lexical_rank", "semantic", "semantic_rank")
    return to_context(chunk, item.score, **{name: getattr(item, name) for name in names})
