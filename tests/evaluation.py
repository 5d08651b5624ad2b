"""Real queries with known answers, and how well they are answered. Shared by tests and by the bench."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.models.extractive import ExtractiveAnswerer, ExtractiveWeights
from pipeline.records import Chunk, Context
from pipeline.retrieval import LexicalIndex, to_context

TOP_K = 4


@dataclass(frozen=True)
class Case:
    """A query, and texts of which an answer must hold one; none where the documents have no answer."""

    query: str
    wanted: tuple[str, ...]
    split: str = ""
    gold: str = ""


class Passages:
    """Chunks with an index over them."""

    def __init__(self, folder: Path, chunks: Sequence[Chunk]) -> None:
        self.chunks = {chunk.id: chunk for chunk in chunks}
        self.index = LexicalIndex(folder)
        self.index.add(chunks)

    def contexts(self, query: str, k: int = TOP_K, without: str = "") -> tuple[Context, ...]:
        """Contexts of a query, as if the document ``without`` were not there."""
        hits = self.index.search(query, k + (len(self.chunks) if without else 0))
        found = [to_context(self.chunks[hit.chunk_id], hit.score) for hit in hits]
        return tuple(context for context in found if context.document_id != without)[:k]


def read_jsonl(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def xquad(data: Path, folder: Path) -> tuple[Passages, list[Case]]:
    """240 passages of 48 articles, and 1,190 queries with the passage and the words that answer them."""
    rows = read_jsonl(data / "rag_xquad_en" / "corpus.jsonl")
    chunks = [
        Chunk(row["doc_id"], row["title"], row["title"], at, row["text"], 0, len(row["text"]))
        for at, row in enumerate(rows)
    ]
    cases = [
        Case(row["question"], tuple(row["answers"]), gold=row["gold_doc_ids"][0])
        for row in read_jsonl(data / "rag_xquad_en" / "questions.jsonl")
    ]
    return Passages(folder, chunks), cases


def argilla_cases(data: Path) -> list[Case]:
    """31 queries to the text of an offer; 5 have no answer."""
    rows = read_jsonl(data / "argilla_cloud" / "questions.jsonl")
    return [Case(row["question"], tuple(row["evidence"]), row["split"]) for row in rows]


def holds(text: str, wanted: Iterable[str]) -> bool:
    """Whether one of the wanted texts is in ``text``; case, punctuation and white space do not count."""
    plain = _plain(text)
    return any(_plain(one) in plain for one in wanted)


def sentences_of(answer: str) -> list[str]:
    """The sentences of an embedded model's answer: what stands before each citation."""
    return [part.strip() for part in re.split(r" \[\d+\]", answer) if part.strip()]


@dataclass(frozen=True)
class Score:
    """Counts over cases: how many have an answer and how many not, and what the model made of them."""

    answerable: int
    answered: int
    right: int
    sentences: int
    right_sentences: int
    unanswerable: int
    refused: int


def measure(weights: ExtractiveWeights, passages: Passages, cases: Sequence[tuple[Case, tuple[Context, ...]]]) -> Score:
    """Answer every case from its contexts and count; a case without wanted texts should be refused."""
    answerer = ExtractiveAnswerer(weights, passages.index.terms, passages.index.idf)
    answers = [(case, answerer.answer(case.query, contexts)) for case, contexts in cases]
    given = [(case, answer) for case, answer in answers if case.wanted and not answer.refused]
    parts = [(case, part) for case, answer in given for part in sentences_of(answer.text)]
    return Score(
        answerable=sum(bool(case.wanted) for case, _ in answers),
        answered=len(given),
        right=sum(holds(answer.text, case.wanted) for case, answer in given),
        sentences=len(parts),
        right_sentences=sum(holds(part, case.wanted) for case, part in parts),
        unanswerable=sum(not case.wanted for case, _ in answers),
        refused=sum(answer.refused for case, answer in answers if not case.wanted),
    )


def _plain(text: str) -> str:
    return re.sub(r"\W+", " ", text.lower()).strip()
