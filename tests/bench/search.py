"""Ways to retrieve, side by side: ``python -m tests.bench.search [chunks ...]`` from the top folder (default 10000 100000).

Reads ``../shared/data`` and the model of tests/minilm.py. hit@k over rag_xquad_en and argilla_cloud by words, by meaning and by
both; index and query times over copies of the passages, beside LlamaIndex where its packages are installed:
llama-index-core's SimpleVectorStore, and BM25Retriever of llama-index-retrievers-bm25 (which no extra of ours brings).
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pipeline.documents import read_file, split_document
from pipeline.models.extractive import base
from pipeline.models.onnx_embeddings import OnnxEmbedder
from pipeline.models.onnx_files import onnx_files
from pipeline.records import Chunk, Document
from pipeline.retrieval import LexicalIndex, searched_text, to_context
from pipeline.retrieval_settings import LEAST_SIMILARITY, Method
from pipeline.retriever import Search
from pipeline.vectors import VectorFile
from tests.bench.retrieval import DATA, line
from tests.evaluation import Case, Passages, argilla_cases, holds, measure, xquad
from tests.minilm import minilm

QUERIES = 100
MOST_VECTORS = 20_000


def main(sizes: Sequence[int]) -> None:
    """Print every measurement."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        embedder = OnnxEmbedder(onnx_files(str(minilm(folder / "minilm")), "onnx/model.onnx", ""))
        passages, cases = xquad(DATA, folder / "xquad")
        vectors = quality("rag_xquad_en", passages, cases, embedder, folder / "x.vectors")
        offer(folder, embedder)
        for size in sizes:
            scale(folder / str(size), size, passages, cases, vectors, embedder)


def quality(name: str, passages: Passages, cases: list[Case], embedder: OnnxEmbedder, path: Path) -> np.ndarray:
    """Print where the right passage stands by each method, and what the embedded answerer makes of it."""
    chunks = list(passages.chunks.values())
    start = time.perf_counter()
    vectors = embedder.passages([searched_text(chunk) for chunk in chunks])
    seconds = time.perf_counter() - start
    file = VectorFile(path, embedder.dimensions)
    file.add([chunk.id for chunk in chunks], vectors)
    view = file.view([chunk.id for chunk in chunks])
    asked = embedder.queries([case.query for case in cases])
    print(
        f"{name}: {len(cases)} queries over {len(chunks)} passages, {len(chunks) / seconds:.0f} passages embedded a second"
    )
    for method in Method:
        search = Search(method, 10, LEAST_SIMILARITY, passages.index, view)
        found = [search.find(case.query, vector) for case, vector in zip(cases, asked, strict=True)]
        ranks = [
            rank(case, [passages.chunks[hit.chunk_id] for hit in hits]) for case, hits in zip(cases, found, strict=True)
        ]
        wanted = [at for at, case in zip(ranks, cases, strict=True) if case.wanted]
        hits = " ".join(f"hit@{k} {sum(0 < at <= k for at in wanted) / len(wanted):.3f}" for k in (1, 3, 5))
        mrr = sum(1 / at for at in wanted if at) / len(wanted)
        print(f"  {method:5} {hits} MRR@10 {mrr:.3f} (n {len(wanted)})")
        four = [
            tuple(to_context(passages.chunks[hit.chunk_id], hit.score, **scores(hit)) for hit in hits[:4])
            for hits in found
        ]
        print(f"        {line(measure(base(), passages, list(zip(cases, four, strict=True))))}")
    return vectors


def scores(hit) -> dict:
    """The scores that a context keeps."""
    return {name: getattr(hit, name) for name in ("lexical", "lexical_rank", "semantic", "semantic_rank")}


def rank(case: Case, chunks: Sequence[Chunk]) -> int:
    """The place of the first right passage, or 0."""
    right = (chunk.id == case.gold if case.gold else holds(chunk.text, case.wanted) for chunk in chunks)
    return next((at for at, hit in enumerate(right, 1) if hit and case.wanted), 0)


def offer(folder: Path, embedder: OnnxEmbedder) -> None:
    """The tutorial's document in chunks of two sizes: its 26 queries were paraphrased on purpose."""
    read = read_file(DATA / "argilla_cloud" / "argilla_cloud_reflowed.txt", "argilla_cloud.txt")
    for size, overlap in ((256, 32), (64, 8)):
        chunks = split_document(
            Document("offer", "argilla_cloud.txt", read.media_type, "", read.text, read.sections), size, overlap
        )
        passages = Passages(folder / f"offer-{size}", chunks)
        quality(f"argilla_cloud {size}/{overlap}", passages, argilla_cases(DATA), embedder, folder / f"o{size}.vectors")


def scale(
    folder: Path, size: int, passages: Passages, cases: list[Case], vectors: np.ndarray, embedder: OnnxEmbedder
) -> None:
    """Print index and query times over ``size`` chunks: copies of the passages, their vectors turned a little."""
    some = list(passages.chunks.values())
    chunks = [replace(some[at % len(some)], id=f"{at:06}", document_id=f"d{at // len(some)}") for at in range(size)]
    dice = np.random.default_rng(1)
    many = vectors[np.arange(size) % len(some)] + 0.02 * dice.standard_normal((size, vectors.shape[1]), np.float32)
    many = (many / np.linalg.norm(many, axis=1, keepdims=True)).astype(np.float32)
    queries = [case.query for case in cases[:QUERIES]]
    asked = embedder.queries(queries)
    ids = [chunk.id for chunk in chunks]
    print(f"{size:,} chunks")
    start = time.perf_counter()
    index = LexicalIndex(folder / "index")
    index.add(chunks)
    told("bm25 (tantivy)", time.perf_counter() - start, [lambda q=q: index.search(q, 4) for q in queries])
    start = time.perf_counter()
    file = VectorFile(folder / "v.vectors", embedder.dimensions)
    for at in range(0, size, 1000):
        file.add(ids[at : at + 1000], many[at : at + 1000])
    view = file.view(ids)
    told("vectors (numpy)", time.perf_counter() - start, [lambda v=v: view.search(v, 4) for v in asked])
    start = time.perf_counter()
    VectorFile(folder / "v.vectors", embedder.dimensions).view(ids)
    print(f"  vectors opened again in {time.perf_counter() - start:.2f} s")
    both = Search(Method.FUSED, 4, LEAST_SIMILARITY, index, view)
    told("fused", 0.0, [lambda q=q, v=v: both.find(q, v) for q, v in zip(queries, asked, strict=True)])
    told("embedding a query", 0.0, [lambda q=q: embedder.queries([q]) for q in queries])
    peers(chunks, many, queries, asked)


def told(name: str, seconds: float, searches: Sequence[Callable[[], object]]) -> None:
    """Print the time to build and the median of the searches."""
    searches[0]()
    times = []
    for search in searches:
        start = time.perf_counter()
        search()
        times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    built = f"built in {seconds:6.2f} s, " if seconds else ""
    print(
        f"  {name:32} {built}query p50 {1000 * statistics.median(times):8.2f} ms, peak of the process {peak:,.0f} MiB"
    )


def peers(chunks: Sequence[Chunk], vectors: np.ndarray, queries: Sequence[str], asked: np.ndarray) -> None:
    """Print the same of LlamaIndex."""
    from llama_index.core.schema import TextNode
    from llama_index.core.vector_stores import SimpleVectorStore
    from llama_index.core.vector_stores.types import VectorStoreQuery

    nodes = [TextNode(id_=chunk.id, text=searched_text(chunk)) for chunk in chunks]
    if find_spec("llama_index.retrievers") and find_spec("llama_index.retrievers.bm25"):
        from llama_index.retrievers.bm25 import BM25Retriever

        start = time.perf_counter()
        retriever = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=4)
        told(
            "LlamaIndex BM25Retriever",
            time.perf_counter() - start,
            [lambda q=q: retriever.retrieve(q) for q in queries],
        )
    else:
        print("  LlamaIndex BM25Retriever: llama-index-retrievers-bm25 is not installed here")
    if len(nodes) > MOST_VECTORS:
        print(
            f"  LlamaIndex SimpleVectorStore: left out, it needs 5 GB for 100,000 (BASELINES); run it with {MOST_VECTORS:,}"
        )
        return
    for node, vector in zip(nodes, vectors, strict=True):
        node.embedding = vector.tolist()
    store = SimpleVectorStore()
    start = time.perf_counter()
    store.add(nodes)
    wanted = [VectorStoreQuery(query_embedding=vector.tolist(), similarity_top_k=4) for vector in asked[:10]]
    told("LlamaIndex SimpleVectorStore", time.perf_counter() - start, [lambda w=w: store.query(w) for w in wanted])


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [10_000, 100_000])
