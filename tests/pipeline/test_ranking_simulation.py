"""Are the statistics right in sprints whose truth is known? A fast cut of ``tests/bench/coverage.py``."""

import numpy as np
import pytest

from pipeline.ranking import anytime_p, wilson, win_rate
from tests.bench.coverage import FIRST, SECOND, Sprint, sign_test_ever_rejects, simulate


# Over 20,000 sprints they cover 95.1, 95.2, 94.9 and 96.2 %; 1,000 sprints have a standard error of 0.7 points.
@pytest.mark.parametrize(
    ("queries", "rate", "most_votes"),
    [(12, 0.5, 5), (12, 0.7, 3), (28, 0.7, 5), (28, 0.5, 1)],
)
def test_the_interval_holds_the_true_win_rate_as_often_as_it_says(queries: int, rate: float, most_votes: int) -> None:
    covered = simulate(Sprint(queries, rate, most_votes=most_votes), 1_000, seed=queries).covered
    assert 0.935 <= covered <= 0.98


def test_an_interval_that_takes_votes_for_independent_fails_the_same_simulation() -> None:
    random = np.random.default_rng(4)
    covered = 0
    for _ in range(1_000):
        given = win_rate(Sprint(28, 0.7, ties=0, most_votes=5).draw(random), FIRST, SECOND)
        low, high = wilson(given.rate, given.votes, 1.959964)
        covered += low <= 0.7 <= high
    assert covered / 1_000 < 0.91


def test_votes_on_a_query_correlate_as_the_simulation_says() -> None:
    random = np.random.default_rng(5)
    votes = Sprint(20_000, 0.6, ties=0, correlation=0.3, most_votes=2).draw(random)
    won: dict[str, list[bool]] = {}
    for vote in votes:
        won.setdefault(vote.query_id, []).append((vote.outcome == "model_a") == (vote.model_a == FIRST))
    pairs = np.array([scores for scores in won.values() if len(scores) == 2], dtype=float)
    assert np.corrcoef(pairs.T)[0, 1] == pytest.approx(0.3, abs=0.04)
    assert pairs.mean() == pytest.approx(0.6, abs=0.01)


def test_a_true_tie_that_is_watched_after_every_vote_is_called_a_difference_in_at_most_5_per_cent() -> None:
    random = np.random.default_rng(6)
    sprints = [Sprint(150, 0.5).draw(random) for _ in range(500)]
    anytime = np.mean([anytime_p(votes, FIRST, SECOND).p_value < 0.05 for votes in sprints])
    sign = np.mean([sign_test_ever_rejects(votes) for votes in sprints])
    assert 0 < anytime <= 0.05
    # What the anytime-valid p is there for: the sign test, watched, is wrong five times as often as it says.
    assert sign > 0.2


def test_the_sign_test_at_one_look_calls_a_true_tie_a_difference_in_at_most_5_per_cent() -> None:
    for queries in (12, 28, 150):
        assert 0 < simulate(Sprint(queries, 0.5), 400, seed=queries).sign_once <= 0.05


def test_a_true_difference_is_found() -> None:
    assert simulate(Sprint(150, 0.7), 100, seed=8).anytime > 0.95
