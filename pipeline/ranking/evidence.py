"""Are the two models different at all: the sign test for one look, and an anytime-valid test for a watched page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scipy.special import bdtr

from pipeline.ranking.counts import Result, pair_results
from pipeline.records import Vote

FIRST_VOTES = "beta-binomial mixture martingale over the first decisive vote of each query"
MAJORITIES = "beta-binomial mixture at the end, over the majorities of queries"


@dataclass(frozen=True, slots=True)
class SignTest:
    """Queries whose voters preferred ``first`` (wins), ``second`` (losses) or neither (even, left out of the test).

    ``p_value`` is exact and two-sided, and is 1 where no query has a majority. It is right for one look at a number of
    queries that was fixed beforehand.
    """

    first: str
    second: str
    wins: int
    losses: int
    even: int
    p_value: float
    method: str = "exact two-sided sign test on the majorities of queries"


@dataclass(frozen=True, slots=True)
class AnytimeTest:
    """A test that stays right however often one looks. ``wins`` and ``losses`` count decisive queries.

    ``e_value`` is the evidence now, ``e_max`` the most there ever was; ``p_value`` is 1 / ``e_max``, at most 1.
    ``favours`` is the model that was ahead at ``e_max``, empty as long as there is no evidence (``e_max`` 1). Without a
    known order (``in_order`` False) ``e_max`` is ``e_value``, or 1 where that is less, for the past is not known.
    """

    first: str
    second: str
    wins: int
    losses: int
    e_value: float
    e_max: float
    p_value: float
    favours: str
    in_order: bool
    method: str


def binomial_p(wins: int, losses: int) -> float:
    """Return the exact two-sided p-value of wins against losses at even odds: twice the smaller tail, at most 1.

    W. J. Conover (1999), Practical Nonparametric Statistics, 3rd ed., section 3.4.
    """
    return min(1.0, 2 * float(bdtr(min(wins, losses), wins + losses, 0.5)))


def sign_test(votes: Sequence[Vote], first: str, second: str) -> SignTest:
    """Test whether more queries prefer one model: each query counts once, for the majority of its votes.

    A query's majority is the sign of (wins - losses) on it, which is that of (points - half of its votes) as ties and
    both bad give half a point; a query without a majority is dropped, as the sign test always does (Dixon and Mood
    1946, doi:10.1080/01621459.1946.10501898; Conover 1999, section 3.4).

    Raises:
        ComparisonError: as :func:`pipeline.ranking.counts.pair_results`.
    """
    lead: dict[str, int] = {}
    for vote, result in pair_results(votes, first, second):
        lead[vote.query_id] = lead.get(vote.query_id, 0) + _STEP[result]
    wins = sum(value > 0 for value in lead.values())
    losses = sum(value < 0 for value in lead.values())
    return SignTest(first, second, wins, losses, len(lead) - wins - losses, binomial_p(wins, losses))


def e_value(wins: int, losses: int) -> float:
    """Return the evidence against even odds: 2^(w+l) * B(w+1, l+1), 1 where nothing has been seen, inf beyond 1e308.

    The likelihood of the order seen, averaged over all win shares alike, over that under even odds: J. Ville (1939),
    Étude critique de la notion de collectif; H. Robbins (1970), doi:10.1214/aoms/1177696786; A. Ramdas et al. (2023),
    Game-theoretic statistics and safe anytime-valid inference, doi:10.1214/23-STS894.
    """
    return _exp(log_e(wins, losses))


def anytime_p(votes: Sequence[Vote], first: str, second: str, in_order: bool = True) -> AnytimeTest:
    """Test whether one model is preferred, for people who watch the votes come in and may stop whenever they like.

    ``votes`` are in time order. Each query counts once, by its **first decisive vote**, and never changes again. If
    neither model is preferred, that vote is a fair coin whatever came before, so E is a martingale and by Ville's
    inequality reaches 20 with probability at most 5 %, ever: 1 / max E is a p-value at every moment. Counting the
    majority of the moment instead would let a query change sides with later votes; E would be no martingale and the
    5 % no longer proved. Later votes on a query are therefore not used here; the interval and the sign test use them.

    Where the order of the votes is not known, as with votes unrolled from published counts, pass ``in_order=False``:
    a file sorted by outcome would otherwise look like a long unbroken run of wins. Then each query counts by its
    majority and p is 1 / E at the end, which is right for one look (Markov's inequality).

    Raises:
        ComparisonError: as :func:`pipeline.ranking.counts.pair_results`.
    """
    if in_order:
        steps, method = list(_first_decisive(votes, first, second)), FIRST_VOTES
    else:
        majority = sign_test(votes, first, second)
        steps, method = [(majority.wins, majority.losses)], MAJORITIES
    wins, losses = steps[-1] if steps else (0, 0)
    # Before the first vote the evidence is 1; where nothing has beaten that, nobody is favoured.
    best_wins, best_losses = max([(0, 0), *steps], key=lambda step: log_e(*step))
    log_max = log_e(best_wins, best_losses)
    favours = first if best_wins > best_losses else second if best_wins < best_losses else ""
    p_value = min(1.0, math.exp(-log_max))
    e_now, e_max = e_value(wins, losses), _exp(log_max)
    return AnytimeTest(first, second, wins, losses, e_now, e_max, p_value, favours, in_order, method)


def _first_decisive(votes: Sequence[Vote], first: str, second: str) -> Iterator[tuple[int, int]]:
    """Yield (wins, losses) each time that a query gets its first decisive vote."""
    counted: set[str] = set()
    wins = losses = 0
    for vote, result in pair_results(votes, first, second):
        if _STEP[result] and vote.query_id not in counted:
            counted.add(vote.query_id)
            wins += result is Result.WIN
            losses += result is Result.LOSS
            yield wins, losses


def log_e(wins: int, losses: int) -> float:
    """Return the natural logarithm of :func:`e_value`, which is finite for any numbers."""
    total = wins + losses
    if total < 2:
        return 0.0  # Exactly: rounding must not make evidence of a single query.
    return total * math.log(2) + math.lgamma(wins + 1) + math.lgamma(losses + 1) - math.lgamma(total + 2)


def _exp(value: float) -> float:
    return math.exp(value) if value < 709 else math.inf


_STEP = {Result.WIN: 1, Result.TIE: 0, Result.BOTH_BAD: 0, Result.LOSS: -1}
