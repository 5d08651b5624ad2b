"""What was said about a pair of models: the one place that turns sides into models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipeline.errors import ComparisonError
from pipeline.records import Outcome, Vote


class Result(StrEnum):
    """An outcome seen from the first model of a pair, whichever side it stood on."""

    WIN = "win"
    TIE = "tie"
    BOTH_BAD = "both_bad"
    LOSS = "loss"


@dataclass(frozen=True, slots=True)
class OutcomeCounts:
    """Votes on a pair, seen from ``first``: ``wins + losses + ties + both_bad == votes``.

    ``queries`` and ``annotators`` are how many different ones voted on; an annotator without a name is not counted.
    """

    first: str
    second: str
    wins: int
    losses: int
    ties: int
    both_bad: int
    queries: int
    votes: int
    annotators: int


@dataclass(frozen=True, slots=True)
class Shares:
    """The four counts in per cent of all votes, unrounded; they sum to 100, or are all 0 where there is no vote."""

    wins: float
    ties: float
    both_bad: float
    losses: float


def check_votes(votes: Iterable[Vote]) -> Iterator[Vote]:
    """Yield the votes as they are.

    Raises:
        ComparisonError: an outcome is not an :class:`Outcome` (text that only looks like one included), or a vote
            names the same model on both sides.
    """
    for vote in votes:
        if not isinstance(vote.outcome, Outcome):
            known = ", ".join(Outcome)
            raise ComparisonError(
                f"{vote.outcome!r} on query {vote.query_id!r} is not an outcome. A vote is one of: {known}."
            )
        if vote.model_a == vote.model_b:
            sides = f"names {vote.model_a!r} on both sides"
            raise ComparisonError(f"A vote on query {vote.query_id!r} {sides} and compares nothing. Remove it.")
        yield vote


def pair_results(votes: Iterable[Vote], first: str, second: str) -> Iterator[tuple[Vote, Result]]:
    """Yield each vote on the pair with its result for ``first``, in the order given; skip votes on other pairs.

    Raises:
        ComparisonError: ``first`` and ``second`` are the same, or as :func:`check_votes`.
    """
    if first == second:
        raise ComparisonError(f"{first!r} cannot be compared with itself. Choose two models.")
    for vote in check_votes(votes):
        if (vote.model_a, vote.model_b) == (first, second):
            yield vote, _AS_A[vote.outcome]
        elif (vote.model_a, vote.model_b) == (second, first):
            yield vote, _AS_B[vote.outcome]


_AS_A = {
    Outcome.MODEL_A: Result.WIN,
    Outcome.MODEL_B: Result.LOSS,
    Outcome.TIE: Result.TIE,
    Outcome.BOTH_BAD: Result.BOTH_BAD,
}
_AS_B = {**_AS_A, Outcome.MODEL_A: Result.LOSS, Outcome.MODEL_B: Result.WIN}


def count_outcomes(votes: Sequence[Vote], first: str, second: str) -> OutcomeCounts:
    """Count the votes on a pair.

    Raises:
        ComparisonError: as :func:`pair_results`.
    """
    results: Counter[Result] = Counter()
    queries: set[str] = set()
    annotators: set[str] = set()
    for vote, result in pair_results(votes, first, second):
        results[result] += 1
        queries.add(vote.query_id)
        annotators.add(vote.annotator)
    return OutcomeCounts(
        first=first,
        second=second,
        wins=results[Result.WIN],
        losses=results[Result.LOSS],
        ties=results[Result.TIE],
        both_bad=results[Result.BOTH_BAD],
        queries=len(queries),
        votes=results.total(),
        annotators=len(annotators - {""}),
    )


def shares(counts: OutcomeCounts) -> Shares:
    """Return the counts in per cent of all votes, ties and both bad included."""
    of_all = 100 / counts.votes if counts.votes else 0.0
    return Shares(counts.wins * of_all, counts.ties * of_all, counts.both_bad * of_all, counts.losses * of_all)
