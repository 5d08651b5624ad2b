"""Retrieval, answering and training on real data: ``python -m tests.bench.retrieval`` from the top folder.

Reads ``../shared/data``. Prints rates next to what they are compared with; times are of this machine.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.documents import read_file, split_document
from pipeline.finetune.embedded import TrainingExample, train
from pipeline.models.extractive import base
from pipeline.models.sentences import split_sentences
from pipeline.records import Context, Document
from tests.evaluation import Case, Passages, Score, argilla_cases, holds, measure, xquad

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def main() -> None:
    """Print every measurement."""
    with TemporaryDirectory() as folder:
        passages, cases = xquad(DATA, Path(folder) / "xquad")
        ranking(passages, cases)
        index_time(Path(folder) / "many", passages)
        answers(passages, cases)
        argilla(Path(folder))
        training(passages, cases)


def ranking(passages: Passages, cases: Sequence[Case]) -> None:
    """Print where the gold passage stands."""
    start = time.perf_counter()
    found = [[hit.chunk_id for hit in passages.index.search(case.query, 10)] for case in cases]
    seconds = time.perf_counter() - start
    ranks = [hits.index(case.gold) + 1 if case.gold in hits else 0 for case, hits in zip(cases, found, strict=True)]
    first, five = (sum(0 < rank <= k for rank in ranks) / len(ranks) for k in (1, 5))
    mrr = sum(1 / rank for rank in ranks if rank) / len(ranks)
    print(f"rag_xquad_en, {len(cases)} queries over {len(passages.chunks)} passages (plain BM25: 0.922 0.986 0.951)")
    print(f"  hit@1 {first:.3f}  hit@5 {five:.3f}  MRR@10 {mrr:.3f}  {seconds / len(cases) * 1000:.2f} ms a query")


def index_time(folder: Path, passages: Passages) -> None:
    """Print how long 10,080 chunks take, all at once and one document more."""
    chunks = [
        replace(chunk, id=f"{copy}-{chunk.id}", document_id=f"{copy}-{chunk.document_id}")
        for copy in range(42)
        for chunk in passages.chunks.values()
    ]
    start = time.perf_counter()
    many = Passages(folder, chunks)
    added = time.perf_counter()
    many.index.add([replace(chunk, id=f"x{chunk.id}") for chunk in chunks[:5]])
    print(f"index: {len(chunks)} chunks {added - start:.2f} s, 5 more {(time.perf_counter() - added) * 1000:.0f} ms")


def answers(passages: Passages, cases: Sequence[Case]) -> None:
    """Print answers over all passages, and refusals where the gold article is left out; thresholds side by side."""
    print("rag_xquad_en, answers (plain share of words, threshold 0.40: 93 % answered, 88 % of the impossible refused)")
    known = [(case, passages.contexts(case.query)) for case in cases]
    articles = [passages.chunks[case.gold].document_id for case in cases]
    left_out = [
        (replace(case, wanted=()), passages.contexts(case.query, without=article))
        for case, article in zip(cases, articles, strict=True)
    ]
    for threshold in (0.40, base().threshold, 0.50):
        print(
            f"  threshold {threshold:.2f}: {line(measure(replace(base(), threshold=threshold), passages, known + left_out))}"
        )
    start = time.perf_counter()
    measure(base(), passages, known)
    print(f"  {(time.perf_counter() - start) / len(known) * 1000:.1f} ms an answer")


def argilla(folder: Path) -> None:
    """Print answers to the offer, as quoted and with its line breaks put back."""
    for name in ("argilla_cloud.txt", "argilla_cloud_reflowed.txt"):
        read = read_file(DATA / "argilla_cloud" / name, name)
        chunks = split_document(Document(name, name, read.media_type, "", read.text, read.sections))
        passages = Passages(folder / name, chunks)
        cases = [(case, passages.contexts(case.query)) for case in argilla_cases(DATA)]
        print(f"{name}, {len(chunks)} chunks: {line(measure(base(), passages, cases))}")


def training(passages: Passages, cases: Sequence[Case]) -> None:
    """Print what training on single sentences changes; every fourth article is held out."""
    articles = list(dict.fromkeys(chunk.document_id for chunk in passages.chunks.values()))
    tests = [case for case in cases if articles.index(passages.chunks[case.gold].document_id) % 4 == 0]
    held_out = [(case, passages.contexts(case.query)) for case in tests]
    examples = [found for case in cases if case not in tests and (found := example(passages, case))]
    print(f"training on the sentence with the answer, {len(held_out)} queries of other articles held out")
    print(f"  base             {line(measure(base(), passages, held_out))}")
    for count in (5, 10, 50, 200, len(examples)):
        some = examples[:: max(len(examples) // count, 1)][:count]
        start = time.perf_counter()
        trained = train(some, base(), passages.index.terms, passages.index.idf)
        seconds = time.perf_counter() - start
        print(f"  {count:4} rows {seconds:5.2f} s {line(measure(trained.weights, passages, held_out))}")
    single = {"base": base(), "trained": trained.weights}
    for name, weights in single.items():
        print(f"  one sentence, {name}: {line(measure(replace(weights, sentences=1), passages, held_out))}")


def example(passages: Passages, case: Case) -> TrainingExample | None:
    """The sentence that holds the answer as a person would submit it, or None where it was not retrieved."""
    contexts: tuple[Context, ...] = passages.contexts(case.query)
    texts = [context.text for context in contexts if context.chunk_id == case.gold]
    lines = [sentence.text for text in texts for sentence in split_sentences(text)]
    answer = next((sentence for sentence in lines if holds(sentence, case.wanted)), None)
    return TrainingExample(case.query, contexts, answer) if answer else None


def line(score: Score) -> str:
    """One line of a score."""
    refused = f", refused {score.refused} of {score.unanswerable}" if score.unanswerable else ""
    return (
        f"answered {score.answered} of {score.answerable}, with the gold text {score.right}, "
        f"{score.sentences / max(score.answered, 1):.2f} sentences an answer, "
        f"{score.right_sentences / max(score.sentences, 1):.1%} of them hold it{refused}"
    )


if __name__ == "__main__":
    main()
