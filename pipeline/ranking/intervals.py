"""Rates with intervals. Votes on one query resemble each other, so what counts as one observation is the query."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scipy.special import ndtri, stdtrit

from pipeline.ranking.counts import Result, check_votes, pair_results
from pipeline.ranking.evidence import binomial_p
from pipeline.records import Outcome, Vote

CLUSTERED = "Wilson's form over queries, cluster-robust, Student's t"
PLAIN = "Wilson's form over votes, normal quantile"

# What a vote is worth to the first model, in half points.
HALF_A_WIN_EACH = {Result.WIN: 2, Result.TIE: 1, Result.BOTH_BAD: 1, Result.LOSS: 0}
WINS_ONLY = {Result.WIN: 2, Result.TIE: 0, Result.BOTH_BAD: 0, Result.LOSS: 0}


@dataclass(frozen=True, slots=True)
class WinRate:
    """A rate between 0 and 1 with its interval, seen from ``first``.

    ``rate`` is None without votes; ``low``, ``high``, ``effective_votes`` and ``quantile`` (of Student's t with
    ``queries - 1`` degrees) are None with fewer than two queries. ``tie_worth`` is what a tie or both bad adds:
    0.5 in the win rate, 0 in the share of wins. ``note`` says in plain words what was special.
    """

    first: str
    second: str
    rate: float | None
    low: float | None
    high: float | None
    confidence: float
    queries: int
    votes: int
    effective_votes: float | None
    quantile: float | None
    tie_worth: float
    method: str = CLUSTERED
    note: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """How many of ``total`` were ``count``, with the interval and the exact two-sided p-value against one half.

    ``rate``, ``low`` and ``high`` are None where ``total`` is 0.
    """

    count: int
    total: int
    rate: float | None
    low: float | None
    high: float | None
    p_value: float
    confidence: float
    method: str = PLAIN


def wilson(rate: float, observations: float, quantile: float) -> tuple[float, float]:
    """Return Wilson's score interval: the p with ``|rate - p| <= quantile * sqrt(p (1 - p) / observations)``.

    E. B. Wilson (1927), J. Am. Stat. Assoc. 22:209-212, doi:10.1080/01621459.1927.10502953. ``observations`` need not
    be whole; ``rate`` is within 0 and 1, and so are both bounds.
    """
    squared = quantile * quantile
    middle = rate + squared / (2 * observations)
    reach = quantile * math.sqrt(rate * (1 - rate) / observations + squared / (4 * observations * observations))
    scale = 1 + squared / observations
    # At 0 and 1 the bound is exact; rounding must not leave it a hair inside.
    low = 0.0 if rate == 0 else max(0.0, (middle - reach) / scale)
    high = 1.0 if rate == 1 else min(1.0, (middle + reach) / scale)
    return low, high


def win_rate(votes: Sequence[Vote], first: str, second: str, confidence: float = 0.95) -> WinRate:
    """Return (wins + half of ties and both bad) / votes for ``first``, with an interval over queries.

    With s of k points on a query, r = sum s / sum k, Q queries:

    - v = Q/(Q-1) * sum (s - r k)^2 / (sum k)^2, the variance of a ratio of cluster totals: W. G. Cochran (1977),
      Sampling Techniques, 3rd ed., section 6.3; the same as the cluster-robust variance of a mean, K.-Y. Liang and
      S. L. Zeger (1986), doi:10.1093/biomet/73.1.13, with the small-sample factor Q/(Q-1).
    - n_e = r (1-r) / v votes that are independent would be as informative: E. L. Korn and B. I. Graubard (1998),
      Survey Methodology 24:193-201 (they put it into another interval). It is not capped by the number of votes: many
      ties make a vote worth more than a coin's toss, and a cap makes the interval up to three times too wide.
    - Wilson's interval with n_e and the quantile of Student's t with Q-1 degrees.

    No votes: no rate. One query: no interval, for nothing shows how queries differ. No spread at all (every query gave
    the same rate, as when one model won each vote): v = 0 says nothing, so n_e = Q-1, which is what the formula gives
    just before, for one vote per query and no tie, whatever r.

    ``tests/bench/coverage.py`` measures how often it holds the truth: 94 to 96 % in ordinary sprints. It holds it too
    seldom (70 to 86 %, and the note says so) when one query has most of the votes, and (89 %) when nine in ten votes
    are ties and all others go one way.

    Raises:
        ComparisonError: as :func:`pipeline.ranking.counts.pair_results`.
        ValueError: ``confidence`` is not between 0 and 1.
    """
    return _clustered(votes, (first, second), HALF_A_WIN_EACH, confidence)


def win_share(votes: Sequence[Vote], first: str, second: str, confidence: float = 0.95) -> WinRate:
    """Return wins / votes for ``first`` (a tie is worth nothing), with the interval of :func:`win_rate`.

    This is the per cent of the chart's first part. With ties, 50 % is not the mark of equal models here.
    """
    return _clustered(votes, (first, second), WINS_ONLY, confidence)


def left_share(votes: Sequence[Vote], confidence: float = 0.95) -> Share:
    """Return how many of the decisive votes, on any pair, went to the left side: near one half where people are fair.

    The interval is Wilson's with the normal quantile, the p-value that of the exact two-sided sign test; both take the
    votes as independent, which drawing the sides anew for each vote makes them as far as queries are concerned.

    Raises:
        ComparisonError: as :func:`pipeline.ranking.counts.check_votes`.
        ValueError: ``confidence`` is not between 0 and 1.
    """
    _check_confidence(confidence)
    outcomes = [vote.outcome for vote in check_votes(votes)]
    left, right = outcomes.count(Outcome.MODEL_A), outcomes.count(Outcome.MODEL_B)
    total = left + right
    if not total:
        return Share(0, 0, None, None, None, 1.0, confidence)
    low, high = wilson(left / total, total, float(ndtri(0.5 + confidence / 2)))
    return Share(left, total, left / total, low, high, binomial_p(left, right), confidence)


class ClusterSums:
    """Points and votes by query, as the sums that the interval is made of: a vote is added, and a rate read, in no time.

    All sums are of whole numbers (points are half points), so that no spread is exactly 0.
    """

    def __init__(self, pair: tuple[str, str], worth: Mapping[Result, int]) -> None:
        self._pair = pair
        self._worth = worth
        self._clusters: dict[str, tuple[int, int]] = {}
        self._points = self._votes = 0
        # Over the queries: sums of points², of points times votes, and of votes².
        self._own = self._mixed = self._sizes = 0

    def add(self, query_id: str, result: Result) -> None:
        """Count a vote."""
        points, number = self._clusters.get(query_id, (0, 0))
        given = self._worth[result]
        self._clusters[query_id] = points + given, number + 1
        self._points += given
        self._votes += 1
        self._own += given * (2 * points + given)
        self._mixed += points + given * (number + 1)
        self._sizes += 2 * number + 1

    def rate(self, confidence: float = 0.95) -> WinRate:
        """Return the rate of the votes so far with its interval."""
        points, total, queries = self._points, self._votes, len(self._clusters)
        rate = points / (2 * total) if total else None
        low = high = effective = quantile = None
        note = "" if queries > 1 else ("One query gives no interval." if queries else "There are no votes.")
        if queries > 1:
            effective, note = self._effective_votes(queries)
            quantile = float(stdtrit(queries - 1, 0.5 + confidence / 2))
            low, high = wilson(rate, effective, quantile)
        tie_worth = self._worth[Result.TIE] / 2
        shown = (rate, low, high, confidence, queries, total, effective, quantile, tie_worth)
        return WinRate(*self._pair, *shown, note=note)

    def _effective_votes(self, queries: int) -> tuple[float, str]:
        """Return n_e and a note."""
        points, total = self._points, self._votes
        # (sum k)^2 / sum k^2 equal queries would weigh as these do; far below their number, one or two queries decide.
        uneven = 2 * total * total < queries * self._sizes
        note = "A few queries have most of the votes, which makes the interval too narrow." if uneven else ""
        # The sum over queries of (total own - points number)^2.
        spread = total * total * self._own - 2 * total * points * self._mixed + points * points * self._sizes
        if spread == 0:
            return float(queries - 1), "All queries gave the same rate, so the interval rests on their number alone."
        # r (1-r) = points (2 total - points) / (2 total)^2; v = Q/(Q-1) * 4 spread / (4 total^2)^2.
        return points * (2 * total - points) * total * total * (queries - 1) / (queries * spread), note


def _clustered(votes: Iterable[Vote], pair: tuple[str, str], worth: Mapping[Result, int], confidence: float) -> WinRate:
    _check_confidence(confidence)
    sums = ClusterSums(pair, worth)
    for vote, result in pair_results(votes, *pair):
        sums.add(vote.query_id, result)
    return sums.rate(confidence)


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}: it lies between 0 and 1")
