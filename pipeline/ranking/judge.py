"""What the verdicts of a judge that is a model are worth: both orders taken together, held against people, and its leanings.

A judge is asked about each pair twice, in both orders. It prefers an answer only if it does so in both; where the two
verdicts differ, whatever they are, it flipped and the pair is a tie: L. Zheng et al. (2023), Judging LLM-as-a-Judge with
MT-Bench and Chatbot Arena, arXiv:2306.05685, section 3.4. A reply without a verdict leaves its pair without one.

Intervals are over queries, by the form of :mod:`pipeline.ranking.intervals`, or, where a rate is of pairs, Wilson's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from pipeline.ranking.counts import check_votes
from pipeline.ranking.evidence import SignTest, sign_test
from pipeline.ranking.intervals import WinRate, wilson, win_rate
from pipeline.records import Outcome, Vote

ROUNDS = 1_000
FIRST, SECOND = "shown first", "shown second"
LONGER, SHORTER = "the longer", "the shorter"
DECISIVE = (Outcome.MODEL_A, Outcome.MODEL_B)
# A vote with the comparison that it is on.
Placed = tuple[str, Vote]
_TURNED = {Outcome.MODEL_A: Outcome.MODEL_B, Outcome.MODEL_B: Outcome.MODEL_A}


@dataclass(frozen=True, slots=True)
class Single:
    """What a judge said of two answers in one order; ``outcome`` is None where its reply held no verdict.

    ``comparison`` tells which answers these are, where two models answered a query more than once.
    """

    query_id: str
    model_a: str
    model_b: str
    outcome: Outcome | None
    comparison: str = ""

    @property
    def pair(self) -> Hashable:
        """What both orders share."""
        return self.comparison, self.query_id, frozenset((self.model_a, self.model_b))


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """Two answers that were judged in both orders. ``outcome`` takes ``first`` for A; it is None without a verdict.

    ``flip`` says that the two verdicts differ, which makes the outcome a tie.
    """

    query_id: str
    first: str
    second: str
    outcome: Outcome | None
    flip: bool
    comparison: str = ""


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of ``total`` were ``count``, with Wilson's interval; the rate is None where ``total`` is 0."""

    count: int
    total: int
    rate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Kappa:
    """Cohen's kappa; it is None where it is undefined, and its interval where there is none, for ``reason``."""

    kappa: float | None
    low: float | None
    high: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class JudgeAgreement:
    """A judge held against people's majority, pair by pair.

    ``same`` counts pairs with the same verdict, of the pairs that have one of both; ``decisive`` the same among those where
    both prefer a model. ``undecided`` pairs have votes and no majority, ``unvoted`` ones no vote.
    """

    same: Rate
    kappa: Kappa
    decisive: Rate
    undecided: int
    unvoted: int


@dataclass(frozen=True, slots=True)
class PositionBias:
    """Of the decisive verdicts, those for the answer that was shown first; ``sign`` tests them against one half, by query."""

    rate: WinRate
    sign: SignTest


def rate_of(count: int, total: int, confidence: float = 0.95) -> Rate:
    """Return ``count`` of ``total`` as a rate with Wilson's interval."""
    if not total:
        return Rate(0, 0, None, None, None)
    return Rate(count, total, count / total, *wilson(count / total, total, float(ndtri(0.5 + confidence / 2))))


def both_orders(singles: Iterable[Single]) -> tuple[JudgedPair, ...]:
    """Return the pairs that were judged in both orders, in the order given; ``first`` is whichever was shown first there."""
    pairs: dict[Hashable, dict[tuple[str, str], Outcome | None]] = {}
    for single in singles:
        pairs.setdefault(single.pair, {})[single.model_a, single.model_b] = single.outcome
    found = []
    for (comparison, query_id, _), orders in pairs.items():
        if len(orders) == 2:
            (first, second), *_ = orders
            there, back = orders[first, second], orders[second, first]
            if there is None or back is None:
                found.append(JudgedPair(query_id, first, second, None, False, comparison))
            else:
                flip = there != _TURNED.get(back, back)
                found.append(JudgedPair(query_id, first, second, Outcome.TIE if flip else there, flip, comparison))
    return tuple(found)


def as_votes(pairs: Iterable[JudgedPair]) -> list[Placed]:
    """Return the verdicts of a judge as votes, one for each pair that has one."""
    return [
        (pair.comparison, Vote(pair.query_id, pair.first, pair.second, pair.outcome))
        for pair in pairs
        if pair.outcome is not None
    ]


def flips(pairs: Iterable[JudgedPair], confidence: float = 0.95) -> Rate:
    """Return how many of the pairs with two verdicts got two that differ."""
    flipped = [pair.flip for pair in pairs if pair.outcome is not None]
    return rate_of(sum(flipped), len(flipped), confidence)


def judge_agreement(
    pairs: Iterable[JudgedPair], votes: Sequence[Placed], confidence: float = 0.95, rounds: int = ROUNDS, seed: int = 0
) -> JudgeAgreement:
    """Return how far a judge says what most people say.

    People's verdict on a pair is the one that is more frequent than any other; the four outcomes are told apart, and who
    won. Kappa is that of J. Cohen (1960), see :func:`cohens_kappa`.

    Raises:
        ComparisonError: as :func:`pipeline.ranking.counts.check_votes`.
    """
    people: dict[Hashable, Counter[str]] = {}
    for (comparison, _), vote in zip(votes, check_votes(vote for _, vote in votes), strict=True):
        people.setdefault(_unit(comparison, vote), Counter())[_said(vote)] += 1
    both: list[tuple[str, str, str]] = []
    undecided = unvoted = 0
    for comparison, vote in as_votes(pairs):
        given = people.get(_unit(comparison, vote), Counter()).most_common(2)
        if not given:
            unvoted += 1
        elif len(given) == 2 and given[0][1] == given[1][1]:
            undecided += 1
        else:
            both.append((vote.query_id, given[0][0], _said(vote)))
    same = sum(one == other for _, one, other in both)
    won = [(one, other) for _, one, other in both if _names_a_model(one) and _names_a_model(other)]
    return JudgeAgreement(
        same=rate_of(same, len(both), confidence),
        kappa=cohens_kappa(both, confidence, rounds, seed),
        decisive=rate_of(sum(one == other for one, other in won), len(won), confidence),
        undecided=undecided,
        unvoted=unvoted,
    )


def cohens_kappa(
    ratings: Sequence[tuple[str, str, str]], confidence: float = 0.95, rounds: int = ROUNDS, seed: int = 0
) -> Kappa:
    """Return the agreement of two raters beyond chance, of (cluster, value of one, value of the other).

    (observed - expected) / (1 - expected), expected from how often each of the two gives each value: J. Cohen (1960),
    Educ. Psychol. Meas. 20:37-46, doi:10.1177/001316446002000104.

    The interval resamples clusters (B. Efron and R. J. Tibshirani 1993, An Introduction to the Bootstrap) for the variance,
    and puts it into Wilson's form with Student's t, on the scale of the observed agreement, as
    :func:`pipeline.ranking.intervals.win_rate` does. In 1,000 simulations each of 12 to 150 queries, four values and a
    kappa of 0 to 0.9 it covers the truth in 94 to 98 %; the percentiles of the same resamples do in 82 to 94 %, and give no
    interval at all where the two never differ.
    """
    if not ratings:
        return Kappa(None, None, None, "There is nothing to compare.")
    values = {value: n for n, value in enumerate(sorted({value for _, *pair in ratings for value in pair}))}
    clusters: dict[str, np.ndarray] = {}
    for cluster, one, other in ratings:
        table = clusters.setdefault(cluster, np.zeros((len(values), len(values))))
        table[values[one], values[other]] += 1
    whole = sum(clusters.values())
    observed, expected = (float(found[0]) for found in _observed_and_expected(whole[None]))
    if expected == 1:
        return Kappa(None, None, None, "Both gave one value everywhere, so what chance would give cannot be told.")
    kappa = (observed - expected) / (1 - expected)
    if min(np.count_nonzero(whole.sum(axis=axis)) for axis in (0, 1)) == 1:
        return Kappa(
            kappa, None, None, "One of the two gave one value everywhere, which makes κ 0 whatever the other says."
        )
    if len(clusters) < 2:
        return Kappa(kappa, None, None, "One query gives no interval.")
    variance = _variance(list(clusters.values()), rounds, seed) * (1 - expected) ** 2
    spread = observed * (1 - observed)
    # Where nothing differs, there is no variance to go by: each query is one observation then.
    effective = spread / variance if spread and variance else len(clusters) - 1
    low, high = wilson(observed, effective, float(stdtrit(len(clusters) - 1, 0.5 + confidence / 2)))
    return Kappa(kappa, max(-1.0, (low - expected) / (1 - expected)), (high - expected) / (1 - expected))


def position_bias(singles: Sequence[Single], confidence: float = 0.95) -> PositionBias:
    """Return how often the answer that was shown first is preferred, among decisive verdicts.

    Only pairs with a verdict in both orders count: there a better answer is shown first once and second once, and a judge
    without a leaning comes out at one half, however good the answers are. The two verdicts on a pair are not independent,
    so interval and test are over queries.
    """
    verdicts = Counter(single.pair for single in singles if single.outcome is not None)
    votes = [
        Vote(single.query_id, FIRST, SECOND, single.outcome)
        for single in singles
        if single.outcome in DECISIVE and verdicts[single.pair] == 2
    ]
    return PositionBias(win_rate(votes, FIRST, SECOND, confidence), sign_test(votes, FIRST, SECOND))


def length_preference(
    votes: Iterable[Placed], lengths: Mapping[tuple[str, str], int], confidence: float = 0.95
) -> WinRate:
    """Return how often the longer answer is preferred, among decisive votes on answers of different length.

    ``lengths`` are by (comparison, model). A longer answer may also be longer because it says more.
    """
    turned = []
    for comparison, vote in votes:
        one, two = (lengths.get((comparison, model), 0) for model in (vote.model_a, vote.model_b))
        if vote.outcome in DECISIVE and one != two:
            sides = (LONGER, SHORTER) if one > two else (SHORTER, LONGER)
            turned.append(Vote(vote.query_id, *sides, vote.outcome, vote.annotator))
    return win_rate(turned, LONGER, SHORTER, confidence)


def _variance(tables: Sequence[np.ndarray], rounds: int, seed: int) -> float:
    """Return the variance of kappa over resamples of the clusters that these tables are of."""
    values = len(tables[0])
    # Clusters that are alike are one row with its number: there are few kinds of them.
    kinds, times = np.unique([table.ravel() for table in tables], axis=0, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(tables), times / len(tables), size=rounds).astype(float)
    observed, expected = _observed_and_expected((drawn @ kinds).reshape(rounds, values, values))
    some = expected < 1
    kappas = (observed[some] - expected[some]) / (1 - expected[some])
    return float(kappas.var(ddof=1)) * len(tables) / (len(tables) - 1) if len(kappas) > 1 else 0.0


def _observed_and_expected(tables: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each table of counts how often the two agree, and how often they would by chance."""
    number = tables.sum(axis=(1, 2))
    observed = np.trace(tables, axis1=1, axis2=2) / number
    return observed, (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1) / number**2


def _unit(comparison: str, vote: Vote) -> Hashable:
    return comparison, vote.query_id, frozenset((vote.model_a, vote.model_b))


def _said(vote: Vote) -> str:
    """Return a verdict without its sides: who won, a tie, or both bad."""
    winners = {Outcome.MODEL_A: f"model {vote.model_a}", Outcome.MODEL_B: f"model {vote.model_b}"}
    return winners.get(vote.outcome, vote.outcome.value)


def _names_a_model(said: str) -> bool:
    return said.startswith("model ")
