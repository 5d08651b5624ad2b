"""Agreement among annotators: Krippendorff's alpha. Pure: ratings in, a frozen result out.

Source: K. Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), sections C and D: coincidences of values within
units, observed over expected disagreement, and the nominal, ordinal and interval metrics.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from pipeline.records import Outcome, Vote

ROUNDS = 1_000


class Level(StrEnum):
    """What differences between values mean: other, further apart in rank, or further apart in number."""

    NOMINAL = "nominal"
    ORDINAL = "ordinal"
    INTERVAL = "interval"


@dataclass(frozen=True, slots=True)
class Agreement:
    """Alpha with the 95 % interval of a bootstrap over units; ``alpha`` is None where it is undefined, for ``reason``.

    1 is perfect agreement, 0 is what chance gives, below 0 is systematic disagreement. ``units`` were rated by two people
    or more, of ``raters`` people; ``unanimous`` of these units got one value only. The interval is None where a resample
    may be undefined or there is but one unit.
    """

    level: Level
    alpha: float | None
    low: float | None
    high: float | None
    units: int
    raters: int
    unanimous: int
    reason: str = ""


def krippendorff_alpha(
    ratings: Iterable[tuple[Hashable, Hashable, Hashable]], level: Level, rounds: int = ROUNDS, seed: int = 0
) -> Agreement:
    """Return the agreement in ratings given as (unit, rater, value); a rater rates a unit at most once.

    Values of the ordinal and the interval level are numbers. Units with one rating tell nothing and are left out.
    """
    kept = _pairable(ratings)
    units = sorted({unit for unit, _, _ in kept}, key=str)
    raters = len({rater for _, rater, _ in kept})
    if not units:
        reason = "No item was judged by two people or more."
        return Agreement(level, None, None, None, 0, raters, 0, reason)
    values = sorted({value for _, _, value in kept}, key=lambda value: (str(type(value)), value))
    counts = _counts(kept, units, values)
    unanimous = int((counts.max(axis=1) == counts.sum(axis=1)).sum())
    if len(values) == 1:
        reason = "Everybody gave the same value everywhere, so what chance would give cannot be told."
        return Agreement(level, None, None, None, len(units), raters, unanimous, reason)
    numbers = np.array([float(value) for value in values]) if level is Level.INTERVAL else np.zeros(len(values))
    alpha = _alpha(counts, np.ones(len(units)), level, numbers)
    low, high = _interval(counts, level, numbers, rounds, seed)
    return Agreement(level, alpha, low, high, len(units), raters, unanimous)


def votes_agreement(votes: Iterable[Vote]) -> Agreement:
    """Return how far annotators agree on the pairs of one comparison: on the winner, a tie, or both bad."""

    def verdict(vote: Vote) -> str:
        winners = {Outcome.MODEL_A: f"model {vote.model_a}", Outcome.MODEL_B: f"model {vote.model_b}"}
        return winners.get(vote.outcome, vote.outcome.value)

    return krippendorff_alpha(((vote.query_id, vote.annotator, verdict(vote)) for vote in votes), Level.NOMINAL)


def _pairable(ratings: Iterable[tuple[Hashable, Hashable, Hashable]]) -> list[tuple[Hashable, Hashable, Hashable]]:
    everything = list(ratings)
    many: dict[Hashable, int] = {}
    for unit, _, _ in everything:
        many[unit] = many.get(unit, 0) + 1
    return [rating for rating in everything if many[rating[0]] > 1]


def _counts(kept: list, units: list, values: list) -> np.ndarray:
    """Return how often each unit (row) got each value (column)."""
    row = {unit: place for place, unit in enumerate(units)}
    column = {value: place for place, value in enumerate(values)}
    counts = np.zeros((len(units), len(values)))
    for unit, _, value in kept:
        counts[row[unit], column[value]] += 1
    return counts


def _alpha(counts: np.ndarray, weights: np.ndarray, level: Level, numbers: np.ndarray) -> float:
    """Return 1 − observed / expected disagreement; NaN where the (resampled) units hold one value only."""
    within = weights / (counts.sum(axis=1) - 1)
    coincidences = (counts * within[:, None]).T @ counts - np.diag(within @ counts)
    totals = coincidences.sum(axis=0)
    distance = _distances(level, totals, numbers)
    expected = totals @ distance @ totals
    if expected == 0:
        return float("nan")
    return float(1 - (totals.sum() - 1) * (coincidences * distance).sum() / expected)


def _distances(level: Level, totals: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return the squared difference of every two values."""
    if level is Level.NOMINAL:
        return 1.0 - np.eye(len(totals))
    if level is Level.INTERVAL:
        return (numbers[:, None] - numbers[None, :]) ** 2
    # The ranks that lie between two values: half of each end, all in between.
    middle = np.cumsum(totals) - totals / 2
    return (middle[:, None] - middle[None, :]) ** 2


def _interval(
    counts: np.ndarray, level: Level, numbers: np.ndarray, rounds: int, seed: int
) -> tuple[float | None, float | None]:
    units = len(counts)
    if units < 2:
        return None, None
    dice = np.random.default_rng(seed)
    weights = dice.multinomial(units, np.full(units, 1 / units), size=rounds)
    alphas = np.array([_alpha(counts, row.astype(float), level, numbers) for row in weights])
    alphas = alphas[~np.isnan(alphas)]
    # Resamples that hold one value only are undefined; where they are common, so is the interval.
    if len(alphas) < 0.95 * rounds:
        return None, None
    low, high = np.quantile(alphas, [0.025, 0.975])
    return float(low), float(high)
