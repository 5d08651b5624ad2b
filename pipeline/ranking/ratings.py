"""Ratings of two or more models on the Elo scale, with intervals over queries and ranks that are shared where they may be."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from pipeline.ranking.paired import LOSS, TIE, WIN, Ballots, PairTable, ballots, distinct, pair_table
from pipeline.ranking.strengths import ROUGH, TieModel, fit, has_estimate, spread_of_one_vote_a_query
from pipeline.records import Vote

ROUNDS = 1_000
# The mean rating of the models of a group.
MIDDLE = 1000.0
# Points for each factor e of strength: ten times as strong is 400 points more.
SCALE = 400 / math.log(10)
METHOD = "maximum likelihood; bootstrap over queries, Student's t"
# Between these two quantiles lie two standard deviations of a normal distribution.
ONE_SIGMA = (0.15865525393145707, 0.8413447460685429)
# Where more of the resamples than this have no maximum, they do not tell how uncertain a rating is.
OFTEN = 0.5
APART = "These models fall into {} groups that never met. Ratings and ranks of different groups cannot be compared."
PRIOR = (
    "Some models won or lost everything against the others here, so each model was given one more tie, against an"
    " imagined model of average strength: ratings stay finite, and how far apart they are is a guess."
)
NO_SPREAD = "All queries said the same, so the intervals rest on their number alone."
ONE_QUERY = "One query gives no interval."


@dataclass(frozen=True, slots=True)
class Rating:
    """A model's rating with its interval, and what it rests on; ``low`` and ``high`` are None with one query.

    ``rank`` is 1 + the number of models of its group whose ``low`` is above this ``high``. ``ties`` count both bad too.
    """

    model: str
    rating: float
    low: float | None
    high: float | None
    rank: int
    queries: int
    votes: int
    wins: int
    losses: int
    ties: int


@dataclass(frozen=True, slots=True)
class RatedGroup:
    """Models that can be compared, the strongest first; their mean rating is 1000.

    ``prior`` says that the votes alone gave no finite ratings. ``closeness`` is Davidson's nu: two equal models tie
    nu / (2 + nu) of their votes; None for half wins, and where all votes are ties. ``note`` says what was special.
    """

    ratings: tuple[Rating, ...]
    queries: int
    votes: int
    prior: bool
    closeness: float | None
    note: str


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """Groups of models that met, the largest first: one group, unless some models never met the others."""

    groups: tuple[RatedGroup, ...]
    tie_model: TieModel
    confidence: float
    rounds: int
    note: str
    method: str = METHOD

    @property
    def ratings(self) -> tuple[Rating, ...]:
        """All ratings, group by group."""
        return tuple(rating for group in self.groups for rating in group.ratings)


def leaderboard(
    votes: Iterable[Vote],
    tie_model: TieModel = TieModel.HALF_WINS,
    confidence: float = 0.95,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> Leaderboard:
    """Rate all models that were voted on: 1000 + 400 log10(s), where log s is 0 on average over the models of a group.

    A tie and both bad are half a win each (:data:`TieModel.HALF_WINS`, Bradley and Terry 1952), or an outcome of its own
    (:data:`TieModel.DAVIDSON`, 1970): half wins press strong and weak models together where ties are common.

    - Models that no chain of votes connects are not comparable: they are rated apart.
    - Where the likelihood has no maximum, as where a model won or lost everything or some always beat the others, each
      model of the group gets one more tie with an imagined model of average strength (the logistic prior of M. E. J.
      Newman 2023, JMLR 24:1-25, at half its weight). The same is done in resamples that need it, and in no other.
    - Interval: rating -+ t * s, t of Student's distribution with Q-1 degrees, Q queries; s is half the distance between
      the 16 % and 84 % quantiles of ``rounds`` resamples of queries, times sqrt(Q/(Q-1)). Quantiles, as a few resamples
      without a maximum would blow up a standard deviation; Student's t, as the plain percentile interval is too narrow
      with few queries (it holds the truth in 88 to 95 % where this one does in 95 to 97 %: B. Efron and R. J. Tibshirani
      1993, An Introduction to the Bootstrap, chapters 12 and 13; T. C. Hesterberg 2015,
      doi:10.1080/00031305.2015.1089789, on narrowness). Where the prior was needed (by the votes, or by half of
      the resamples), or all resamples agree, they do not tell how uncertain a rating is: then s is at least what as many
      independent votes as there are queries would give.
    - Ranks are shared: W.-L. Chiang et al. (2024), Chatbot Arena, arXiv:2403.04132, section 5.

    Raises:
        ComparisonError: as :func:`pipeline.ranking.counts.check_votes`.
        ValueError: ``confidence`` is not between 0 and 1, or ``rounds`` is less than 2.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}: it lies between 0 and 1")
    if rounds < 2:
        raise ValueError(f"rounds is {rounds}: it takes 2 at least")
    given = ballots(votes)
    groups = [_rate(given.of(members), tie_model, confidence, rounds, seed) for members in _connected(given)]
    note = APART.format(len(groups)) if len(groups) > 1 else ("" if groups else "There are no votes.")
    return Leaderboard(tuple(groups), tie_model, confidence, rounds, note)


def _connected(given: Ballots) -> list[list[int]]:
    """Return the models that chains of votes connect, the largest group first, then by name."""
    many = len(given.models)
    met: dict[int, set[int]] = {model: set() for model in range(many)}
    for code in np.flatnonzero(np.bincount(given.first * many + given.second)).tolist():
        met[code // many].add(code % many)
        met[code % many].add(code // many)
    groups: list[list[int]] = []
    while met:
        waiting, group = [next(iter(met))], []
        while waiting:
            model = waiting.pop()
            if model in met:
                group.append(model)
                waiting += met.pop(model)
        groups.append(sorted(group))
    return sorted(groups, key=lambda group: (-len(group), group))


def _rate(given: Ballots, tie_model: TieModel, confidence: float, rounds: int, seed: int) -> RatedGroup:
    table = pair_table(given)
    prior = ~has_estimate(table.counts[None], table.pairs, len(table.models), tie_model)
    best = fit(table.counts[None], table.pairs, tie_model, prior)
    strengths, queries = best.strengths[0], table.queries
    reach, alike = None, False
    if queries > 1:
        spread, needed = _bootstrap_spread(table, tie_model, strengths, rounds, seed)
        alike = bool((spread < 1e-6).all())
        if prior[0] or alike or needed > OFTEN:
            spread = np.maximum(spread, spread_of_one_vote_a_query(table, strengths, bool(prior[0])))
        reach = SCALE * spread * float(stdtrit(queries - 1, 0.5 + confidence / 2))
    notes = (PRIOR if prior[0] else "", NO_SPREAD if alike else "", ONE_QUERY if queries == 1 else "")
    return RatedGroup(
        ratings=_ratings(given, MIDDLE + SCALE * strengths, reach),
        queries=queries,
        votes=len(given.query),
        prior=bool(prior[0]),
        closeness=best.closeness(0),
        note=" ".join(filter(None, notes)),
    )


def _bootstrap_spread(
    table: PairTable, tie_model: TieModel, strengths: np.ndarray, rounds: int, seed: int
) -> tuple[np.ndarray, float]:
    """Return the standard error of each log strength by resampling queries, and the share of resamples with a prior."""
    resampled, needed = [], 0
    for counts in table.resamples(rounds, np.random.default_rng(seed)):
        prior = ~has_estimate(counts, table.pairs, len(table.models), tie_model)
        needed += int(prior.sum())
        resampled.append(fit(counts, table.pairs, tie_model, prior, start=strengths, tolerance=ROUGH).strengths)
    low, high = np.quantile(np.concatenate(resampled), ONE_SIGMA, axis=0)
    return (high - low) / 2 * math.sqrt(table.queries / (table.queries - 1)), needed / rounds


def _ratings(given: Ballots, points: np.ndarray, reach: np.ndarray | None) -> tuple[Rating, ...]:
    many = len(given.models)
    as_first = np.bincount(given.first * 3 + given.kind, minlength=3 * many).reshape(-1, 3)
    as_second = np.bincount(given.second * 3 + given.kind, minlength=3 * many).reshape(-1, 3)
    seen, _ = distinct(np.concatenate([given.query * many + given.first, given.query * many + given.second]))
    queries = np.bincount(seen % many, minlength=many)
    low, high = (None, None) if reach is None else (points - reach, points + reach)
    ranks = np.ones(many, int) if reach is None else 1 + (low[None, :] > high[:, None]).sum(axis=1)
    rated = [
        Rating(
            model=name,
            rating=float(points[n]),
            low=None if low is None else float(low[n]),
            high=None if high is None else float(high[n]),
            rank=int(ranks[n]),
            queries=int(queries[n]),
            votes=int(as_first[n].sum() + as_second[n].sum()),
            wins=int(as_first[n, WIN] + as_second[n, LOSS]),
            losses=int(as_first[n, LOSS] + as_second[n, WIN]),
            ties=int(as_first[n, TIE] + as_second[n, TIE]),
        )
        for n, name in enumerate(given.models)
    ]
    return tuple(sorted(rated, key=lambda rating: (-round(rating.rating, 9), rating.model)))
