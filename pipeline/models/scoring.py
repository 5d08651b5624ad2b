"""What is known of each sentence that could answer a query: numbers that the extractive answerer weighs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePath

import numpy as np

from pipeline.models.sentences import split_sentences
from pipeline.records import Context

Terms = Callable[[str], list[str]]
Idf = Callable[[str], float]

FEATURES = (
    "share",  # weight of the query's words that the sentence holds, of the weight of all its words
    "relative",  # that share over the largest one of any sentence
    "neighbours",  # share that the sentence before or after it adds, whichever adds more
    "heading",  # share of the words that only the headings and labels over the sentence hold
    "pairs",  # pairs of words that are neighbours in the query and close in the sentence, of all such pairs
    "context",  # score of the context over the best score
    "rank",  # 1 / number of the context
    "opening",  # 1 / number of the sentence within its context
    "follows",  # 1 where the sentence before it holds the largest share
    "length",  # log2(words / 12) / 2, from -1 to 1
    "density",  # words of the query per word of the sentence
    "number",  # 1 where a number is asked for and given, -1 where it is not given, 0 where none is asked for
    "name",  # the same for a name
)
_SHARE, _RELATIVE, _FOLLOWS = (FEATURES.index(name) for name in ("share", "relative", "follows"))

# A word that all chunks hold weighs 0.3, one in a single chunk 1.3, and one that no chunk holds 1.
_COMMON_WEIGHT = 0.3
_UNKNOWN_WEIGHT = 1.0
_HEADING_CREDIT = 0.5

# Words that only say what kind of answer is wanted; the answer itself seldom holds them.
_ASKING = re.compile(
    r"\bhow (?:long|old|often|far|fast|soon|large|big|high|tall|deep|heavy|wide)\b"
    r"|\b(?:what|which) (?:kinds?|types?|sorts?) of\b",
    re.IGNORECASE,
)
_ASKS_NUMBER = re.compile(
    r"\bhow (?:many|much|long|old|often|far|fast|soon|large|big|high|tall|deep|heavy|wide)\b|\bwhen\b|\bwhat time\b"
    r"|\b(?:what|which) (?:\w+ )?(?:number|percent|percentage|amount|price|year|date|day|century|port|size)\b"
    r"|多少|几|何时|哪年",
    re.IGNORECASE,
)
_ASKS_NAME = re.compile(r"\b(?:who|whom|whose|where)\b|谁|哪里|何处", re.IGNORECASE)
_NUMBER = re.compile(
    r"\d+(?:[.,:]\d+)*|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundred|thousand|million"
    r"|billion|half|third|quarter|few|several|once|twice|daily|weekly|monthly|yearly)\b|[零一二三四五六七八九十百千万亿]+",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?<=[^.!?] )[A-Z][\w'’-]+")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence of a context. ``number`` is the context's (1 is the first), ``position`` its place within it."""

    text: str
    number: int
    position: int
    terms: frozenset[str]


@dataclass(frozen=True, slots=True)
class Candidates:
    """The sentences of all contexts in their order, the features of each, and how much of the query is found.

    ``features`` has the shape (sentences, len(FEATURES)). ``confidence``, from 0 to 1, is the largest share of the
    query's words that two neighbouring sentences hold; words in the headings over them count half.
    """

    sentences: tuple[Candidate, ...]
    features: np.ndarray
    confidence: float


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query: the weight of each of its words (they sum to 1), its pairs of words, and what it asks for."""

    weights: Mapping[str, float]
    pairs: tuple[tuple[str, str], ...]
    numbers: frozenset[str]
    names: frozenset[str]
    asks_number: bool
    asks_name: bool

    def share(self, terms: Iterable[str]) -> float:
        """Return the weight of the query's words that are among ``terms``."""
        return sum(self.weights.get(term, 0.0) for term in set(terms))


@dataclass(frozen=True, slots=True)
class _Line:
    """A sentence in its context."""

    text: str
    terms: tuple[str, ...]
    over: Set[str]


def find_candidates(query: str, contexts: Sequence[Context], terms: Terms, idf: Idf) -> Candidates:
    """Return the sentences of ``contexts`` with their features for ``query``.

    ``terms`` and ``idf`` are those of the index, so that words are compared as they were searched.
    """
    asked = _asked(query, terms, idf)
    best = max((context.score for context in contexts), default=0.0) or 1.0
    sentences: list[Candidate] = []
    blocks = [np.zeros((0, len(FEATURES)))]
    confidence = 0.0
    for number, context in enumerate(contexts, start=1):
        lines = _lines(context, terms)
        sentences += [
            Candidate(line.text, number, position, frozenset(line.terms)) for position, line in enumerate(lines)
        ]
        block, found = _features(asked, lines, context.score / best, number)
        blocks.append(block)
        confidence = max(confidence, found)
    return Candidates(tuple(sentences), _compared(blocks), confidence)


def term_weights(terms: Sequence[str], idf: Idf) -> dict[str, float]:
    """Return how much each word of a query counts; they sum to 1.

    The weight grows with BM25's idf from 0.3 (in every chunk) to 1.3 (in one chunk). A word that no chunk holds weighs 1,
    not most of all, so that a threshold on shares suits small indexes as well as large ones.
    """
    unknown = idf("")
    # That value gives the number of chunks, and with it the idf of a word in one chunk.
    rare = math.log(max(1 + ((math.exp(unknown) - 1) / 2 - 1) / 1.5, 1.001))
    raw = {}
    for term in terms:
        value = idf(term)
        raw[term] = _UNKNOWN_WEIGHT if value >= unknown else _COMMON_WEIGHT + min(value, rare) / rare
    total = sum(raw.values())
    return {term: weight / total for term, weight in raw.items()}


def _asked(query: str, terms: Terms, idf: Idf) -> _Asked:
    words = terms(_ASKING.sub(" ", query))
    return _Asked(
        weights=term_weights(words, idf),
        pairs=tuple(dict.fromkeys(pairwise(words))),
        numbers=frozenset(_NUMBER.findall(query.lower())),
        names=frozenset(word.lower() for word in re.findall(r"\w+", query)),
        asks_number=bool(_ASKS_NUMBER.search(query)),
        asks_name=bool(_ASKS_NAME.search(query)),
    )


def _lines(context: Context, terms: Terms) -> list[_Line]:
    name = set(terms(PurePath(context.document_name).stem))
    headings: dict[str, Set[str]] = {}
    lines = []
    for sentence in split_sentences(context.text, context.heading):
        if sentence.under not in headings:
            headings[sentence.under] = name | set(terms(sentence.under))
        lines.append(_Line(sentence.text, tuple(terms(sentence.text)), headings[sentence.under]))
    return lines


def _features(asked: _Asked, lines: Sequence[_Line], score: float, number: int) -> tuple[np.ndarray, float]:
    """Return the features of a context's sentences, those that compare sentences left 0, and its confidence."""
    shares = [asked.share(line.terms) for line in lines]
    both = [asked.share([*line.terms, *after.terms]) for line, after in pairwise(lines)]
    rows, confidence = [], 0.0
    for at, line in enumerate(lines):
        before = both[at - 1] if at else shares[at]
        after = both[at] if at < len(both) else shares[at]
        heading = asked.share(line.over - set(line.terms))
        over_both = asked.share(line.over - set(line.terms).union(lines[at + 1].terms if at < len(both) else ()))
        confidence = max(confidence, shares[at] + _HEADING_CREDIT * heading, after + _HEADING_CREDIT * over_both)
        known = len(set(line.terms) & asked.weights.keys())
        length = max(len(line.terms), 1)
        rows.append(
            {
                "share": shares[at],
                "neighbours": max(before, after) - shares[at],
                "heading": heading,
                "pairs": _pairs(asked.pairs, line.terms),
                "context": score,
                "rank": 1 / number,
                "opening": 1 / (at + 1),
                "length": min(max(math.log2(length / 12) / 2, -1.0), 1.0),
                "density": known / length,
                "number": _wanted(asked.asks_number, _NUMBER.findall(line.text.lower()), asked.numbers),
                "name": _wanted(asked.asks_name, [name.lower() for name in _NAME.findall(line.text)], asked.names),
            }
        )
    table = [[row.get(name, 0.0) for name in FEATURES] for row in rows]
    return np.array(table).reshape(len(rows), len(FEATURES)), confidence


def _pairs(pairs: Sequence[tuple[str, str]], terms: Sequence[str]) -> float:
    if not pairs:
        return 0.0
    near = set(zip(terms, terms[1:], strict=False)) | set(zip(terms, terms[2:], strict=False))
    return sum(pair in near for pair in pairs) / len(pairs)


def _wanted(asked: bool, found: Iterable[str], in_query: Set[str]) -> float:
    if not asked:
        return 0.0
    return 1.0 if any(item not in in_query for item in found) else -1.0


def _compared(blocks: Sequence[np.ndarray]) -> np.ndarray:
    """Fill in the features that compare a sentence with all others."""
    features = np.vstack(blocks)
    best = features[:, _SHARE].max(initial=0.0)
    if best > 0:
        features[:, _RELATIVE] = features[:, _SHARE] / best
        start = 0
        for block in blocks:
            features[start + 1 : start + len(block), _FOLLOWS] = block[:-1, _SHARE] == best
            start += len(block)
    return features
