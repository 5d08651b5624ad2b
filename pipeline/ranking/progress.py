"""How the win rate and the evidence came about: after each vote, or after each of a number of steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.ranking.counts import Result, pair_results
from pipeline.ranking.evidence import log_e
from pipeline.ranking.intervals import HALF_A_WIN_EACH, ClusterSums
from pipeline.records import Vote

STEPS = 200


@dataclass(frozen=True, slots=True)
class Step:
    """What was known after ``votes`` votes on ``queries`` queries: the win rate of the first model with its interval, and p."""

    votes: int
    queries: int
    rate: float
    low: float | None
    high: float | None
    p_value: float


@dataclass(frozen=True, slots=True)
class Progress:
    """The steps in time order; the last one is what is known now."""

    first: str
    second: str
    steps: tuple[Step, ...]


def progress(votes: Sequence[Vote], first: str, second: str, steps: int = STEPS) -> Progress:
    """Return what :func:`win_rate` and :func:`anytime_p` say of the votes up to each step; ``votes`` are in time order.

    There is a step after each vote, or ``steps`` ones that are evenly spread over the votes where there are more. Sums are
    carried on from vote to vote, so that the work grows with the votes and not with their square.

    Raises:
        ComparisonError: as :func:`pipeline.ranking.counts.pair_results`.
    """
    counted = list(pair_results(votes, first, second))
    total, shown = len(counted), min(max(1, steps), len(counted))
    ends = {-(-total * place // shown) for place in range(1, shown + 1)}
    sums, evidence = ClusterSums((first, second), HALF_A_WIN_EACH), _Evidence()
    made = []
    for number, (vote, result) in enumerate(counted, 1):
        sums.add(vote.query_id, result)
        evidence.add(vote.query_id, result)
        if number in ends:
            rate = sums.rate()
            made.append(Step(number, rate.queries, rate.rate, rate.low, rate.high, evidence.p_value))
    return Progress(first, second, tuple(made))


class _Evidence:
    """The anytime-valid p, carried on: each query counts by its first decisive vote."""

    def __init__(self) -> None:
        self._counted: set[str] = set()
        self._wins = self._losses = 0
        self._most = 0.0

    def add(self, query_id: str, result: Result) -> None:
        """Take in a vote."""
        if result not in (Result.WIN, Result.LOSS) or query_id in self._counted:
            return
        self._counted.add(query_id)
        self._wins += result is Result.WIN
        self._losses += result is Result.LOSS
        self._most = max(self._most, log_e(self._wins, self._losses))

    @property
    def p_value(self) -> float:
        """1 / the most evidence so far, at most 1."""
        return min(1.0, math.exp(-self._most))
