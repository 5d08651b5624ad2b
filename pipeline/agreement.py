"""Agreement among annotators: Krippendorff's alpha. Pure: ratings in, a frozen result out.

Source: K. Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011): 1 − observed / expected disagreement, with the
nominal, ordinal and interval differences of its sections C and D. Its form takes other differences as well (section E):

- sets of labels: 1 − MASI, R. Passonneau, "Measuring Agreement on Set-valued Items (MASI) for Semantic and Pragmatic
  Annotation", LREC 2006, section 3: Jaccard's coefficient times 1 for equal sets, 2/3 where one holds the other, 1/3 where
  they overlap, 0 where they have nothing in common. To call two sets that share most labels simply different is too harsh.
- rankings with ties: the distance of J. G. Kemeny and J. L. Snell, "Mathematical Models in the Social Sciences" (1962),
  chapter 2: over all pairs of options, 2 where the two rankings order them against each other and 1 where only one ranking
  ties them, here divided by the most that is possible. Without ties it is (1 − Kendall's τ) / 2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from pipeline.records import Outcome, Vote

ROUNDS = 1_000
# Draws of the bootstrap in all; where units are many and all unlike, there are fewer rounds, but never under the least.
MOST_DRAWS, LEAST_ROUNDS = 2_000_000, 200
# Up to so many different values each resample's expected disagreement is exact; above, it is taken to first order.
EXACT_VALUES = 300
# Above so many, the distances from a value to all others are measured on so many ratings that are drawn.
MOST_VALUES = 3_000
# Numbers that a table of distances may hold at a time.
BLOCK = 4_000_000
NOT_TWICE = "No item was judged by two people or more."
ALL_ALIKE = "Everybody gave the same value everywhere, so what chance would give cannot be told."


class Level(StrEnum):
    """What differences between values mean: other, further apart in rank, or in number; or how sets or rankings differ."""

    NOMINAL = "nominal"
    ORDINAL = "ordinal"
    INTERVAL = "interval"
    SETS = "sets"
    RANKINGS = "rankings"


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

    Values of the ordinal and the interval level are numbers, sets are frozensets, rankings are tuples that hold the rank of
    each option. Units with one rating tell nothing and are left out.
    """
    units, raters = _pairable(ratings)
    if not units:
        return Agreement(level, None, None, None, 0, raters, 0, NOT_TWICE)
    values = sorted({value for given in units for value in given}, key=_sort_key)
    unanimous = sum(len(set(given)) == 1 for given in units)
    if len(values) == 1:
        return Agreement(level, None, None, None, len(units), raters, unanimous, ALL_ALIKE)
    number = {value: n for n, value in enumerate(values)}
    patterns = Counter(tuple(sorted(number[value] for value in given)) for given in units)
    table = _Table(sorted(patterns.items()), values, level)
    alpha = float(table.alphas(table.times[None, :])[0])
    low, high = _interval(table, len(units), rounds, seed)
    return Agreement(level, alpha, low, high, len(units), raters, unanimous)


def votes_agreement(votes: Iterable[Vote]) -> Agreement:
    """Return how far annotators agree on the pairs of one comparison: on the winner, a tie, or both bad."""

    def verdict(vote: Vote) -> str:
        winners = {Outcome.MODEL_A: f"model {vote.model_a}", Outcome.MODEL_B: f"model {vote.model_b}"}
        return winners.get(vote.outcome, vote.outcome.value)

    return krippendorff_alpha(((vote.query_id, vote.annotator, verdict(vote)) for vote in votes), Level.NOMINAL)


def masi_distance(left: frozenset, right: frozenset) -> float:
    """Return how far two sets of labels differ, 0 to 1."""
    shared, union = len(left & right), len(left | right)
    if shared == union:
        return 0.0
    if not shared:
        return 1.0
    return 1 - shared / union * (2 / 3 if shared == min(len(left), len(right)) else 1 / 3)


def kemeny_distance(left: Sequence[int], right: Sequence[int]) -> float:
    """Return how far two rankings of the same options differ, 0 to 1; each holds the rank of every option."""
    pairs = [(first, second) for second in range(len(left)) for first in range(second)]
    apart = sum(abs(_order(left[a], left[b]) - _order(right[a], right[b])) for a, b in pairs)
    return apart / (2 * len(pairs)) if pairs else 0.0


def _order(first: int, second: int) -> int:
    return (first > second) - (first < second)


def _pairable(ratings: Iterable[tuple[Hashable, Hashable, Hashable]]) -> tuple[list[list[Hashable]], int]:
    """Return the values of every unit that has two or more, and the number of their raters."""
    given: dict[Hashable, list[tuple[Hashable, Hashable]]] = {}
    for unit, rater, value in ratings:
        given.setdefault(unit, []).append((rater, value))
    kept = [pairs for pairs in given.values() if len(pairs) > 1]
    return [[value for _, value in pairs] for pairs in kept], len({rater for pairs in kept for rater, _ in pairs})


def _sort_key(value: Hashable) -> tuple:
    return str(type(value)), sorted(map(str, value)) if isinstance(value, frozenset) else value


class _Table:
    """Units by pattern: units that got the same values are one row with their number in ``times``.

    A resample of units is then a draw of how often each pattern comes; rounds are computed side by side.
    """

    def __init__(
        self, patterns: Sequence[tuple[tuple[int, ...], int]], values: Sequence[Hashable], level: Level
    ) -> None:
        self.times = np.array([times for _, times in patterns], dtype=float)
        self._ordinal = level is Level.ORDINAL
        self._size = np.array([len(pattern) for pattern, _ in patterns], dtype=float)
        cells = [(row, *cell) for row, (pattern, _) in enumerate(patterns) for cell in Counter(pattern).items()]
        self._row, self._value, self._many = np.array(cells).T
        self._kinds = len(values)
        self._exact = self._ordinal or self._kinds <= EXACT_VALUES
        if self._exact:
            self._counts = np.zeros((len(patterns), self._kinds))
            self._counts[self._row, self._value] = self._many
        if not self._ordinal:
            self._features = _features(values, level)
            self._level = level
            self._within = self._disagreement_within()
            self._prepare_expected()

    def alphas(self, weights: np.ndarray) -> np.ndarray:
        """Return alpha for each row of weights of the patterns; NaN where these units hold one value only."""
        observed, expected = self._ordinal_parts(weights) if self._ordinal else self._parts(weights)
        ratings = weights @ self._size
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(expected > 0, 1 - (ratings - 1) * observed / expected, np.nan)

    def _parts(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        observed = weights @ self._within
        if self._exact:
            totals = weights @ self._counts
            return observed, ((totals @ self._distances) * totals).sum(axis=1)
        # t D t around the totals of all units: a resample's totals are near them.
        return observed, 2 * (weights @ self._pull) - self._pull @ self.times

    def _ordinal_parts(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        totals = weights @ self._counts
        # The ranks that lie between two values: half of each end, all in between.
        middle = np.cumsum(totals, axis=1) - totals / 2
        apart = (middle[:, :, None] - middle[:, None, :]) ** 2
        coincidences = (weights @ self._coincidences()).reshape(apart.shape)
        return (coincidences * apart).sum(axis=(1, 2)), (totals[:, :, None] * totals[:, None, :] * apart).sum(
            axis=(1, 2)
        )

    def _coincidences(self) -> np.ndarray:
        """Return, for each pattern, how often each two values meet in it."""
        pairs = self._counts[:, :, None] * self._counts[:, None, :]
        spots = np.arange(self._kinds)
        pairs[:, spots, spots] -= self._counts
        return (pairs / (self._size - 1)[:, None, None]).reshape(len(self._counts), -1)

    def _disagreement_within(self) -> np.ndarray:
        """Return each pattern's sum of the distances of its pairs, over one less than its ratings."""
        starts = np.flatnonzero(np.diff(self._row, prepend=-1))
        lengths = np.diff(np.append(starts, len(self._row)))
        sums = np.zeros(len(self.times))
        for length in set(lengths.tolist()):
            # Patterns with this many different values, side by side.
            rows = np.flatnonzero(lengths == length)
            cells = starts[rows][:, None] + np.arange(length)
            step = max(1, BLOCK // (length * (length + self._features.shape[1])))
            for first in range(0, len(rows), step):
                some = cells[first : first + step]
                shown, many = self._features[self._value[some]], self._many[some]
                apart = _distances(self._level, shown, shown)
                sums[rows[first : first + step]] = (many[:, :, None] * many[:, None, :] * apart).sum(axis=(1, 2))
        return sums / (self._size - 1)

    def _prepare_expected(self) -> None:
        if self._exact:
            self._distances = _distances(self._level, self._features, self._features)
            return
        totals = np.bincount(self._value, self._many * self.times[self._row], self._kinds)
        others, weights = self._features, totals
        if self._kinds > MOST_VALUES:
            drawn = np.random.default_rng(0).choice(self._kinds, MOST_VALUES, p=totals / totals.sum())
            others, weights = self._features[drawn], np.full(MOST_VALUES, totals.sum() / MOST_VALUES)
        step = max(1, BLOCK // len(others))
        blocks = [self._features[first : first + step] for first in range(0, self._kinds, step)]
        to_all = np.concatenate([_distances(self._level, block, others) @ weights for block in blocks])
        self._pull = np.bincount(self._row, self._many * to_all[self._value], len(self.times))


def _features(values: Sequence, level: Level) -> np.ndarray:
    """Return one row of numbers for each value, which :func:`_distances` compares."""
    if level is Level.SETS:
        labels = sorted({label for value in values for label in value}, key=str)
        return np.array([[label in value for label in labels] for value in values], dtype=np.float32)
    if level is Level.RANKINGS:
        ranks = np.array(values)
        first, second = np.triu_indices(ranks.shape[1], 1)
        order = np.sign(ranks[:, first] - ranks[:, second])
        # Two bits for each pair of options: against each other they differ in two, where one is a tie in one.
        return np.concatenate([order >= 0, order > 0], axis=1).astype(np.float32)
    if level is Level.INTERVAL:
        return np.array([[float(value)] for value in values])
    return np.arange(len(values))[:, None]


def _distances(level: Level, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return a table of distances between rows of features; before these two axes there may be others."""
    if level is Level.NOMINAL:
        return (left != np.swapaxes(right, -1, -2)).astype(float)
    if level is Level.INTERVAL:
        return (left - np.swapaxes(right, -1, -2)) ** 2
    shared = left @ np.swapaxes(right, -1, -2)
    one, other = left.sum(axis=-1)[..., :, None], right.sum(axis=-1)[..., None, :]
    if level is Level.RANKINGS:
        return (one + other - 2 * shared).astype(float) / max(1, left.shape[-1])
    union = one + other - shared
    monotony = np.where(shared == np.minimum(one, other), 2 / 3, np.where(shared > 0, 1 / 3, 0.0))
    # An empty set has nothing in common with others, and everything with another empty one.
    return np.where(shared == union, 0.0, 1 - monotony * shared / np.maximum(union, 1))


def _interval(table: _Table, units: int, rounds: int, seed: int) -> tuple[float | None, float | None]:
    if units < 2:
        return None, None
    rounds = min(rounds, max(LEAST_ROUNDS, MOST_DRAWS // len(table.times)))
    dice = np.random.default_rng(seed)
    alphas = table.alphas(dice.multinomial(units, table.times / units, size=rounds).astype(float))
    alphas = alphas[~np.isnan(alphas)]
    # Resamples that hold one value only are undefined; where they are common, so is the interval.
    if len(alphas) < 0.95 * rounds:
        return None, None
    low, high = np.quantile(alphas, [0.025, 0.975])
    return float(low), float(high)
