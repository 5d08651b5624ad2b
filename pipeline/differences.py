"""How far two answers to one question differ, from 0 (the same) to 1 (as far as they can)."""

from __future__ import annotations

from collections.abc import Hashable

from rapidfuzz.distance import Levenshtein

from pipeline.agreement import Level, kemeny_distance, masi_distance
from pipeline.annotation.settings import Question, QuestionKind

# What alpha takes the differences of answers for. Texts have none: two people never write the same, so that what chance would
# give cannot be told; how alike they are is measured instead.
LEVELS = {
    QuestionKind.RATING: Level.ORDINAL,
    QuestionKind.LABEL: Level.NOMINAL,
    QuestionKind.MULTI_LABEL: Level.SETS,
    QuestionKind.RANKING: Level.RANKINGS,
}


def comparable(question: Question, value: object) -> Hashable:
    """Return a value in the form in which equal answers are equal: a set of labels, ranks in the order of the options."""
    if question.kind is QuestionKind.MULTI_LABEL:
        return frozenset(value)
    if question.kind is QuestionKind.RANKING:
        ranks = {row["value"]: row["rank"] for row in value}
        return tuple(ranks.get(option, 0) for option in question.values)
    if question.kind is QuestionKind.TEXT:
        return tuple(str(value).split())
    return value


def difference(question: Question, left: Hashable, right: Hashable) -> float:
    """Return how far two values differ that :func:`comparable` returned.

    Ratings: the distance over the length of the scale. Labels: 0 or 1. Multi-label: 1 − MASI. Rankings: Kemeny's distance.
    Texts: the word edit distance. The sources of both middle ones are named in :mod:`pipeline.agreement`.
    """
    if left == right:
        return 0.0
    if question.kind is QuestionKind.RATING:
        scale = [int(value) for value in question.values]
        return min(1.0, abs(left - right) / max(1, max(scale) - min(scale)))
    if question.kind is QuestionKind.MULTI_LABEL:
        return masi_distance(left, right)
    if question.kind is QuestionKind.RANKING:
        return kemeny_distance(left, right)
    return words_apart(left, right) if question.kind is QuestionKind.TEXT else 1.0


def words_apart(left: tuple[str, ...], right: tuple[str, ...]) -> float:
    """Return the edit distance of two texts in words (insert, delete, replace), over the words of the longer one."""
    return float(Levenshtein.normalized_distance(left, right))
