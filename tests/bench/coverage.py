"""How often the statistics of ``pipeline.ranking`` are right: simulated labelling sprints whose truth is known.

    python -m tests.bench.coverage [sprints]
    python -m tests.bench.coverage [sprints] ratings

Prints for each kind of sprint: how many of the 95 % intervals hold the true win rate and how wide they are; how often
the sign test rejects at 5 % when looked at once, at the end, and when looked at after every vote; how often the
anytime-valid p is ever below 5 %, looked at after every vote. At a true win rate of 50 % every rejection is false.
With ``ratings``: how many of the 95 % intervals of ratings hold the true ones, of all models and of the first and the last.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import expit, ndtr

from pipeline.ranking import anytime_p, leaderboard, sign_test, win_rate
from pipeline.ranking.evidence import binomial_p
from pipeline.records import Outcome, Vote

FIRST, SECOND = "tuned", "base"
ALPHA = 0.05


@dataclass(frozen=True)
class Sprint:
    """What is simulated: each query gets 1 to ``most_votes`` votes; two votes on one query correlate."""

    queries: int
    rate: float
    ties: float = 0.2
    correlation: float = 0.3
    most_votes: int = 3

    def draw(self, random: np.random.Generator) -> list[Vote]:
        """Return the votes in the order in which they come in, sides at random.

        A query has its own probabilities of win, tie and loss, drawn from a Dirichlet distribution around the true
        ones; that makes any two of its votes correlate by ``correlation``.
        """
        truth = np.array([self.rate - self.ties / 2, self.ties, 1 - self.rate - self.ties / 2]).clip(0)
        concentration = (1 - self.correlation) / self.correlation
        # A probability of 0 stays 0: its share of the gamma draws is empty.
        weights = random.standard_gamma(truth * concentration, (self.queries, 3)) + 1e-300 * (truth > 0)
        limits = (weights / weights.sum(axis=1, keepdims=True)).cumsum(axis=1)
        numbers = random.integers(1, self.most_votes + 1, self.queries)
        of_query = random.permutation(np.repeat(np.arange(self.queries), numbers))
        results = (random.random((len(of_query), 1)) > limits[of_query, :2]).sum(axis=1)
        on_left = random.random(len(of_query)) < 0.5
        pairs = zip(of_query.tolist(), results.tolist(), on_left.tolist(), strict=True)
        return [_vote(f"q{query}", result, left) for query, result, left in pairs]


def _vote(query_id: str, result: int, first_on_left: bool) -> Vote:
    if first_on_left:
        return Vote(query_id, FIRST, SECOND, (Outcome.MODEL_A, Outcome.TIE, Outcome.MODEL_B)[result])
    return Vote(query_id, SECOND, FIRST, (Outcome.MODEL_B, Outcome.TIE, Outcome.MODEL_A)[result])


@cache
def _sign_p(wins: int, losses: int) -> float:
    return binomial_p(wins, losses)


def sign_test_ever_rejects(votes: Sequence[Vote]) -> bool:
    """Say whether the sign test on majorities is below 5 % after any of the votes: what looking again and again does."""
    lead: dict[str, int] = {}
    score = {1: 0, -1: 0}
    for vote in votes:
        step = 0
        if vote.outcome is not Outcome.TIE:
            step = 1 if (vote.outcome is Outcome.MODEL_A) == (vote.model_a == FIRST) else -1
        before = lead.get(vote.query_id, 0)
        lead[vote.query_id] = before + step
        for value, change in ((before, -1), (before + step, 1)):
            if value:
                score[1 if value > 0 else -1] += change
        if _sign_p(score[1], score[-1]) < ALPHA:
            return True
    return False


@dataclass(frozen=True)
class Tally:
    """Shares of the simulated sprints, and the mean width of the intervals."""

    covered: float
    width: float
    sign_once: float
    sign_watched: float
    anytime: float


def simulate(sprint: Sprint, sprints: int, seed: int) -> Tally:
    """Draw that many sprints and judge them with the product's own functions."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(sprints):
        votes = sprint.draw(random)
        interval = win_rate(votes, FIRST, SECOND)
        rows.append(
            (
                interval.low - 1e-12 <= sprint.rate <= interval.high + 1e-12,
                interval.high - interval.low,
                sign_test(votes, FIRST, SECOND).p_value < ALPHA,
                sign_test_ever_rejects(votes),
                # The p-value is the smallest of all looks by its definition.
                anytime_p(votes, FIRST, SECOND).p_value < ALPHA,
            )
        )
    return Tally(*np.mean(rows, axis=0).tolist())


@dataclass(frozen=True)
class League:
    """A sprint of several models: each query gets 1 to ``most_votes`` votes, each on a pair at random.

    ``spread`` is the difference of the true ratings between the first and the last; the others lie evenly between. A tie
    is likeliest between equals, a share of ``ties``.
    """

    models: int
    queries: int
    spread: float
    ties: float = 0.2
    correlation: float = 0.3
    most_votes: int = 3

    @property
    def truth(self) -> dict[str, float]:
        """The true rating of each model."""
        ratings = np.linspace(1000 + self.spread / 2, 1000 - self.spread / 2, self.models)
        return {f"m{number:03d}": float(rating) for number, rating in enumerate(ratings)}

    def draw(self, random: np.random.Generator) -> list[Vote]:
        """Return the votes.

        Each model has its own luck on a query, which moves all votes on it there (a Gaussian copula): two votes on the
        same pair and query correlate, while the chance of a win over all queries is exactly that of the ratings.
        """
        names, ratings = list(self.truth), np.array(list(self.truth.values()))
        numbers = random.integers(1, self.most_votes + 1, self.queries)
        query = np.repeat(np.arange(self.queries), numbers)
        left = random.integers(0, self.models, len(query))
        right = (left + random.integers(1, self.models, len(query))) % self.models
        luck = random.standard_normal((self.queries, self.models))
        shared = (luck[query, left] - luck[query, right]) / np.sqrt(2)
        own = random.standard_normal(len(query))
        drawn = ndtr(np.sqrt(self.correlation) * shared + np.sqrt(1 - self.correlation) * own)
        chance = expit((ratings[left] - ratings[right]) * np.log(10) / 400)
        tie = self.ties * 4 * chance * (1 - chance)
        results = np.where(drawn > 1 - chance + tie / 2, 0, np.where(drawn < 1 - chance - tie / 2, 2, 1))
        outcomes = (Outcome.MODEL_A, Outcome.TIE, Outcome.MODEL_B)
        columns = (query.tolist(), left.tolist(), right.tolist(), results.tolist())
        return [Vote(f"q{q}", names[a], names[b], outcomes[r]) for q, a, b, r in zip(*columns, strict=True)]


@dataclass(frozen=True)
class RatingTally:
    """Shares of intervals that hold the truth, of all models and of the first and last; the median width; priors."""

    covered: float
    ends: float
    width: float
    prior: float


def simulate_ratings(league: League, sprints: int, seed: int, rounds: int = 300) -> RatingTally:
    """Draw that many sprints and rate their models with the product's own function."""
    random = np.random.default_rng(seed)
    truth = league.truth
    covered, ends, widths, priors = [], [], [], []
    for _ in range(sprints):
        groups = leaderboard(league.draw(random), rounds=rounds).groups
        ratings = {rating.model: rating for rating in groups[0].ratings}
        if len(ratings) < league.models:
            continue
        held = [ratings[name].low <= true <= ratings[name].high for name, true in truth.items()]
        covered.append(np.mean(held))
        ends += [held[0], held[-1]]
        widths += [rating.high - rating.low for rating in ratings.values()]
        priors.append(groups[0].prior)
    return RatingTally(float(np.mean(covered)), float(np.mean(ends)), float(np.median(widths)), float(np.mean(priors)))


LEAGUES = [
    League(models, queries, spread)
    for models, queries in ((2, 12), (2, 28), (2, 150), (3, 12), (3, 28), (3, 150), (5, 28), (5, 150), (10, 150))
    for spread in (0.0, 200.0, 500.0)
]


def print_ratings(sprints: int) -> None:
    """Print the table of ratings."""
    print(f"{sprints:,} sprints a line, 1 to 3 votes a query, correlation 0.3, ties 20 % between equals; per cent")
    print("models  queries  spread | covered  first and last  width  with prior")
    for seed, league in enumerate(LEAGUES):
        tally = simulate_ratings(league, sprints, seed)
        print(
            f"{league.models:6d}  {league.queries:7d}  {league.spread:6.0f} | {100 * tally.covered:7.1f}"
            f"  {100 * tally.ends:14.1f}  {tally.width:5.0f}  {100 * tally.prior:10.1f}",
            flush=True,
        )


def main() -> None:
    """Print the table."""
    sprints = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    if "ratings" in sys.argv:
        print_ratings(sprints)
        return
    print(f"{sprints:,} sprints a line, 1 to 3 votes a query, correlation 0.3; per cent")
    print("queries  rate  ties | covered  width | sign once  sign watched  anytime watched")
    kinds = [
        (queries, rate, ties) for queries in (12, 28, 150) for ties in (0.2, 0.6) for rate in (0.5, 0.6, 0.7, 0.8, 0.9)
    ]
    for seed, (queries, rate, ties) in enumerate(kinds):
        if rate + ties / 2 > 1 + 1e-9:
            continue
        tally = simulate(Sprint(queries, rate, ties), sprints, seed)
        rejected = f"{100 * tally.sign_once:9.1f}  {100 * tally.sign_watched:12.1f}  {100 * tally.anytime:15.1f}"
        print(
            f"{queries:7d}  {rate:4.1f}  {ties:4.1f} | {100 * tally.covered:7.1f}  {100 * tally.width:5.1f} | {rejected}"
        )


if __name__ == "__main__":
    main()
