"""Strengths of models by maximum likelihood, many resamples side by side.

- ``HALF_WINS``: R. A. Bradley and M. E. Terry (1952), doi:10.2307/2334029: P(i beats j) = s_i / (s_i + s_j), a tie being
  half a win for each.
- ``DAVIDSON``: R. R. Davidson (1970), doi:10.1080/01621459.1970.10481082: wins of i, wins of j and ties are as s_i : s_j :
  nu * sqrt(s_i s_j), nu being the same for all pairs. (M. E. J. Newman (2023), JMLR 24:1-25, has 2v for nu.)

Both are solved for log s by Newton's method with the damping of T. Sun and Q. Tran-Dinh (2019),
doi:10.1007/s10107-018-1282-4: the loss of a logistic model is generalised self-concordant, so a step of length
log(1 + b) / b, where b is the most that it would move any log-odds, never overshoots, from wherever it starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.special import expit

from pipeline.ranking.paired import LOSS, TIE, WIN, PairTable

# A last step below this, in natural log-odds, leaves an error of about its square; the second is for resamples.
TOLERANCE, ROUGH = 1e-7, 1e-4
MOST_STEPS = 200
# Stands for log 0: without a tie nu is 0, and nothing is gained by following it down.
NO_TIES = -40.0
System = tuple[np.ndarray, np.ndarray]


class TieModel(StrEnum):
    """What a tie says: half a win for each, or that the two are close (and how often close ones tie is estimated)."""

    HALF_WINS = "half wins"
    DAVIDSON = "davidson"


@dataclass(frozen=True)
class Fit:
    """Log strengths[round, model] with mean 0, and log nu[round]: minus infinity without ties, NaN where there is no nu."""

    strengths: np.ndarray
    log_nu: np.ndarray

    def closeness(self, number: int) -> float | None:
        """Return nu of a round; None where ties were half wins, or all votes are ties."""
        return None if np.isnan(self.log_nu[number]) else float(np.exp(self.log_nu[number]))


def has_estimate(counts: np.ndarray, pairs: np.ndarray, models: int, tie_model: TieModel) -> np.ndarray:
    """Return for each round whether the likelihood has a maximum.

    From every model a chain of points has to lead to every other: where a model lost everything, or some always beat the
    others, the best strengths are infinitely far apart (L. R. Ford 1957, doi:10.1080/00029890.1957.11989117). With
    Davidson's nu, which may grow along with them, ties do not hold models together by themselves: then there also has to
    be a circle of models with more wins than ties along it, such as two models that beat each other.
    """
    i, j = pairs.T
    won, lost, tied = (counts[..., kind] > 0 for kind in (WIN, LOSS, TIE))
    towards = np.zeros((len(counts), models, models), dtype=np.float32)
    towards[:, i, j] = won | tied
    towards[:, j, i] = lost | tied
    found = _all_reached(towards) & _all_reached(towards.transpose(0, 2, 1))
    if tie_model is TieModel.DAVIDSON:
        free = tied.any(axis=1) & (won | lost).any(axis=1)
        unsure = np.flatnonzero(found & free & ~(won & lost).any(axis=1))
        steps = np.full((len(unsure), models, models), -np.inf)
        steps[:, i, j] = np.where(won[unsure], 1, np.where(tied[unsure], -1, -np.inf))
        steps[:, j, i] = np.where(lost[unsure], 1, np.where(tied[unsure], -1, -np.inf))
        found[unsure] = _has_rising_circle(steps)
    return found


def _has_rising_circle(steps: np.ndarray) -> np.ndarray:
    """Return for each table of steps[to, from] whether some circle of steps ends higher than it began (Bellman, Ford)."""
    height = np.zeros(steps.shape[:2])
    for _ in range(steps.shape[1] + 1):
        before, height = height, np.maximum(height, (steps + height[:, None, :]).max(axis=2, initial=-np.inf))
    return (height > before).any(axis=1)


def _all_reached(towards: np.ndarray) -> np.ndarray:
    reached = np.zeros(towards.shape[:2], dtype=np.float32)
    reached[:, 0] = 1
    while True:
        further = np.minimum(1, reached + (reached[:, None, :] @ towards)[:, 0, :] * 1e3)
        if (further == reached).all():
            return (reached == 1).all(axis=1)
        reached = further


def fit(
    counts: np.ndarray,
    pairs: np.ndarray,
    tie_model: TieModel,
    prior: np.ndarray,
    start: np.ndarray | None = None,
    tolerance: float = TOLERANCE,
) -> Fit:
    """Return the strengths that make ``counts[round, pair, kind]`` likeliest; ``pairs`` number the models from 0.

    Where ``prior`` holds for a round, each model gets one more tie, with an imagined model of average strength: the
    logistic prior of Newman (2023), section 2.2, at half its weight. It keeps strengths finite.
    """
    models = int(pairs.max()) + 1
    problem = _Problem(counts, pairs, models, tie_model, prior)
    values = np.zeros((len(counts), models + 1))
    values[:, -1] = np.where(problem.free, 0.0, NO_TIES)
    if start is not None:
        values[:, :-1] = start
    active = np.arange(len(counts))
    for _ in range(MOST_STEPS):
        step, reach = problem.step(values[active], active)
        values[active] += step * (np.log1p(reach) / np.maximum(reach, 1e-300))[:, None]
        active = active[reach > tolerance]
        if not active.size:
            break
    strengths = values[:, :-1]
    log_nu = np.where(problem.free, values[:, -1], np.where(problem.tieless, -np.inf, np.nan))
    return Fit(strengths - strengths.mean(axis=1, keepdims=True), log_nu)


def spread_of_one_vote_a_query(table: PairTable, strengths: np.ndarray, prior: bool) -> np.ndarray:
    """Return the standard errors of log strengths, mean 0, that as many independent votes as there are queries would give.

    By the curvature of the likelihood of half wins (and of the prior), as for votes that nothing is known to tie together.
    """
    i, j = table.pairs.T
    chance = expit(strengths[i] - strengths[j])
    bend = table.counts.sum(axis=1) * chance * (1 - chance) * table.queries / table.counts.sum()
    own = expit(strengths) * expit(-strengths) if prior else np.zeros(len(strengths))
    matrix = np.diag(np.bincount(i, bend, len(own)) + np.bincount(j, bend, len(own)) + own)
    matrix[i, j] = matrix[j, i] = -bend
    # Strengths are told from their mean; the pseudo-inverse leaves out what moves them all alike.
    middle = np.eye(len(own)) - 1 / len(own)
    return np.sqrt(np.diag(middle @ np.linalg.pinv(matrix, hermitian=True) @ middle))


class _Problem:
    """The likelihood around given values. With d = (log s_i - log s_j) / 2 the three outcomes are as e^d : e^-d : nu."""

    def __init__(
        self, counts: np.ndarray, pairs: np.ndarray, models: int, tie_model: TieModel, prior: np.ndarray
    ) -> None:
        ties = counts[..., TIE]
        self._i, self._j = pairs.T
        self._models = models
        self._prior = prior
        self._total = counts.sum(axis=2)
        self._lead = counts[..., WIN] - counts[..., LOSS]
        self._davidson = tie_model is TieModel.DAVIDSON
        self._ties = ties if self._davidson else np.zeros_like(ties)
        tied = ties.sum(axis=1)
        # Without a tie nu is 0; with nothing but ties it is infinite, and all strengths are equal whatever it is.
        self.tieless = (tied == 0) & self._davidson
        self.free = (tied > 0) & (tied < self._total.sum(axis=1)) & self._davidson

    def step(self, values: np.ndarray, rounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return Newton's step for these rounds, and a bound on what it moves any log-odds."""
        half = (values[:, self._i] - values[:, self._j]) / 2
        gap, tied = _chances(half, values[:, -1:]) if self._davidson else (np.tanh(half), 0.0)
        total = self._total[rounds]
        pull = (self._lead[rounds] - total * gap) / 2
        bend = total * (1 - tied - gap * gap) / 4
        slope, matrix = self._assemble(pull, bend, values, rounds)
        if self._davidson:
            self._add_nu((slope, matrix), total, gap, tied, rounds)
        else:
            matrix, slope = matrix[:, :-1, :-1], slope[:, :-1]
        step = np.zeros_like(values)
        step[:, : slope.shape[1]] = np.linalg.solve(matrix, slope[..., None])[..., 0]
        # What two models are moved apart, and what the prior moves a model alone: no pair is moved by more.
        reach = np.ptp(step[:, :-1], axis=1)
        reach = np.maximum(reach, reach / 2 + np.abs(step[:, -1]))
        return step, np.where(self._prior[rounds], np.maximum(reach, np.abs(step[:, :-1]).max(axis=1)), reach)

    def _assemble(self, pull: np.ndarray, bend: np.ndarray, values: np.ndarray, rounds: np.ndarray) -> System:
        size, spots = self._models + 1, np.arange(self._models)
        matrix = np.zeros((len(rounds), size, size))
        flat = matrix.reshape(len(rounds), -1)
        flat[:, self._i * size + self._j] = pull
        # A sum over pairs is a sum over rows of a table that has each pair twice, with opposite signs.
        slope = matrix.sum(axis=2) - matrix.sum(axis=1)
        flat[:, self._i * size + self._j] = flat[:, self._j * size + self._i] = -bend
        own = -matrix[:, :-1, :-1].sum(axis=2)
        prior = self._prior[rounds][:, None]
        chance = expit(values[:, :-1])
        slope[:, :-1] += np.where(prior, 0.5 - chance, 0.0)
        matrix[:, spots, spots] = own + np.where(prior, chance * (1 - chance), 0.0)
        # Strengths count up to a factor: without a prior their mean is pinned.
        pin = np.where(prior[..., None], 0.0, own.mean(axis=1)[:, None, None] / self._models)
        matrix[:, :-1, :-1] += pin
        matrix[:, -1, -1] = 1.0
        return slope, matrix

    def _add_nu(self, system: System, total: np.ndarray, gap: np.ndarray, tied: np.ndarray, rounds: np.ndarray) -> None:
        slope, matrix = system
        free = self.free[rounds]
        slope[:, -1] = np.where(free, (self._ties[rounds] - total * tied).sum(axis=1), 0.0)
        matrix[:, -1, -1] = np.where(free, (total * tied * (1 - tied)).sum(axis=1), 1.0)
        cross = np.where(free[:, None], -total * tied * gap / 2, 0.0)
        table = np.zeros((len(rounds), self._models, self._models))
        table[:, self._i, self._j] = cross
        matrix[:, :-1, -1] = matrix[:, -1, :-1] = table.sum(axis=2) - table.sum(axis=1)


def _chances(half: np.ndarray, log_nu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return P(win) - P(loss), and P(tie)."""
    most = np.maximum(np.abs(half), log_nu)
    win, loss, tie = np.exp(half - most), np.exp(-half - most), np.exp(log_nu - most)
    every = win + loss + tie
    return (win - loss) / every, tie / every
