"""Rates and intervals, against textbook values, SciPy, a sandwich by matrices, and published scores."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from pipeline.ranking import left_share, wilson, win_rate, win_share
from pipeline.records import Outcome, Vote
from tests.pipeline.test_ranking_counts import read_votes

OUTCOMES = st.sampled_from(Outcome)
SIDES = st.sampled_from([("t", "b"), ("b", "t")])
VOTES = st.lists(
    st.builds(lambda query, pair, outcome: Vote(f"q{query}", *pair, outcome), st.integers(0, 7), SIDES, OUTCOMES),
    max_size=30,
)
FLIPPED = {Outcome.MODEL_A: Outcome.MODEL_B, Outcome.MODEL_B: Outcome.MODEL_A}


def made(*queries: str) -> list[Vote]:
    """One text per query: w, l, t and x (both bad) are votes from the view of model t."""
    kinds = {"w": Outcome.MODEL_A, "l": Outcome.MODEL_B, "t": Outcome.TIE, "x": Outcome.BOTH_BAD}
    return [Vote(f"q{number}", "t", "b", kinds[letter]) for number, query in enumerate(queries) for letter in query]


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # R. G. Newcombe (1998), Statistics in Medicine 17:857-872, table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_newcombes_published_intervals(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes / trials, trials, 1.959964) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 400), st.data(), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_wilson_agrees_with_scipy(trials: int, data: st.DataObject, confidence: float) -> None:
    successes = data.draw(st.integers(0, trials))
    expected = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    ours = wilson(successes / trials, trials, stats.norm.ppf(0.5 + confidence / 2))
    assert ours == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_win_rate_is_wins_and_half_of_ties_and_both_bad() -> None:
    given = win_rate(made(*"wwwwwwwwwwwttttxllll"), "t", "b")
    assert (given.rate, given.votes, given.queries, given.tie_worth) == (0.675, 20, 20, 0.5)
    assert win_share(made(*"wwwwwwwwwwwttttxllll"), "t", "b").rate == 0.55


def roots(rate: float, observations: float, quantile: float) -> tuple[float, float]:
    """Solve Wilson's condition by bisection."""

    def beyond(p: float) -> float:
        return (rate - p) ** 2 - quantile**2 * p * (1 - p) / observations

    return optimize.brentq(beyond, 1e-12, rate), optimize.brentq(beyond, rate, 1 - 1e-12)


def test_one_vote_a_query_gives_wilson_with_queries_less_one_and_student() -> None:
    given = win_rate(made(*("w" * 17 + "l" * 11)), "t", "b")
    assert given.effective_votes == pytest.approx(27)
    assert given.quantile == pytest.approx(stats.t.ppf(0.975, 27))
    assert (given.low, given.high) == pytest.approx(roots(17 / 28, 27, stats.t.ppf(0.975, 27)), abs=1e-9)


def sandwich(votes: list[Vote]) -> tuple[float, float]:
    """Mean score and its cluster-robust variance by ordinary least squares in matrices (CR1, no other factor)."""
    score = {Outcome.MODEL_A: 1.0, Outcome.MODEL_B: 0.0, Outcome.TIE: 0.5, Outcome.BOTH_BAD: 0.5}
    y = np.array([score[vote.outcome] for vote in votes])
    groups = np.array([vote.query_id for vote in votes])
    x = np.ones((len(y), 1))
    bread = np.linalg.inv(x.T @ x)
    residuals = y - x @ (bread @ x.T @ y)
    clusters = np.unique(groups)
    sums = [x[groups == group].T @ residuals[groups == group] for group in clusters]
    meat = sum(np.outer(part, part) for part in sums)
    factor = len(clusters) / (len(clusters) - 1)
    return y.mean(), (factor * bread @ meat @ bread).item()


def test_unequal_queries_give_the_cluster_robust_variance_of_least_squares() -> None:
    votes = made("wwl", "t", "lw", "www", "x", "ll", "wtw", "w", "tl", "wwww")
    rate, variance = sandwich(votes)
    given = win_rate(votes, "t", "b", confidence=0.9)
    effective = rate * (1 - rate) / variance
    assert given.effective_votes == pytest.approx(effective)
    assert (given.low, given.high) == pytest.approx(roots(rate, effective, stats.t.ppf(0.95, 9)), abs=1e-9)


def test_equal_queries_give_the_variance_of_the_mean_of_their_means() -> None:
    votes = made("wwl", "lll", "wtw", "ltx", "www", "wll")
    means = [2 / 3, 0, 5 / 6, 1 / 3, 1, 1 / 3]
    rate, variance = np.mean(means), np.var(means, ddof=1) / 6
    assert win_rate(votes, "t", "b").effective_votes == pytest.approx(rate * (1 - rate) / variance)


def test_more_votes_on_the_same_queries_that_all_agree_do_not_narrow_the_interval() -> None:
    once, often = (
        win_rate(made(*"wwwllwwt"), "t", "b"),
        win_rate(made(*(5 * letter for letter in "wwwllwwt")), "t", "b"),
    )
    assert (once.low, once.high, once.effective_votes) == (often.low, often.high, often.effective_votes)
    assert often.votes == 5 * once.votes


def test_no_vote_gives_no_rate_and_one_query_no_interval() -> None:
    nothing, one = win_rate([], "t", "b"), win_rate(made("wwl"), "t", "b")
    assert (nothing.rate, nothing.low, nothing.high, nothing.note) == (None, None, None, "There are no votes.")
    assert (one.rate, one.low, one.high, one.note) == (2 / 3, None, None, "One query gives no interval.")


@pytest.mark.parametrize(("queries", "rate"), [("wwwwww", 1.0), ("llllll", 0.0), ("tttxxt", 0.5)])
def test_without_any_spread_the_number_of_queries_carries_the_interval(queries: str, rate: float) -> None:
    given = win_rate(made(*queries), "t", "b")
    t_squared = stats.t.ppf(0.975, 5) ** 2
    # Wilson's bound at a rate of 1 is n / (n + t^2); at one half it is 1/2 +- t / (2 sqrt(n + t^2)).
    low = {1.0: 5 / (5 + t_squared), 0.0: 0.0, 0.5: 0.5 - 0.5 * (t_squared / (5 + t_squared)) ** 0.5}[rate]
    high = {1.0: 1.0, 0.0: t_squared / (5 + t_squared), 0.5: 1 - low}[rate]
    assert (given.rate, given.effective_votes) == (rate, 5)
    assert (given.low, given.high) == pytest.approx((low, high), abs=1e-12)
    assert "their number alone" in given.note


def test_a_query_with_most_of_the_votes_is_pointed_out() -> None:
    assert "too narrow" in win_rate(made("wwwwwwwwlwwwwwwwwwww", *"wltwlwwlwtw"), "t", "b").note
    assert win_rate(made("wwl", *"wltwlwwlwtw"), "t", "b").note == ""


@pytest.mark.parametrize("confidence", [0, 1, 95, -0.5])
def test_confidence_is_between_0_and_1(confidence: float) -> None:
    for call in (lambda: win_rate([], "t", "b", confidence), lambda: left_share([], confidence)):
        with pytest.raises(ValueError, match="between 0 and 1"):
            call()


@given(VOTES)
def test_seen_from_the_other_model_the_result_is_mirrored(votes: list[Vote]) -> None:
    ours, theirs = win_rate(votes, "t", "b"), win_rate(votes, "b", "t")
    if ours.rate is None:
        assert theirs.rate is None
        return
    assert ours.rate == pytest.approx(1 - theirs.rate)
    assert (ours.effective_votes, ours.queries, ours.votes) == (theirs.effective_votes, theirs.queries, theirs.votes)
    if ours.low is not None:
        assert (ours.low, ours.high) == pytest.approx((1 - theirs.high, 1 - theirs.low), abs=1e-12)
        assert 0 <= ours.low <= ours.rate <= ours.high <= 1


@given(VOTES)
def test_swapping_the_sides_of_votes_changes_nothing(votes: list[Vote]) -> None:
    swapped = [Vote(v.query_id, v.model_b, v.model_a, FLIPPED.get(v.outcome, v.outcome)) for v in votes]
    assert win_rate(votes, "t", "b") == win_rate(swapped, "t", "b")


@given(VOTES, st.integers(2, 4), st.randoms())
def test_repeating_every_vote_on_its_query_in_any_order_keeps_rate_and_interval(votes, times, random) -> None:
    repeated = votes * times
    random.shuffle(repeated)
    ours, theirs = win_rate(votes, "t", "b"), win_rate(repeated, "t", "b")
    assert (ours.rate, ours.low, ours.high, ours.effective_votes, ours.queries) == (
        theirs.rate,
        theirs.low,
        theirs.high,
        theirs.effective_votes,
        theirs.queries,
    )


@given(VOTES, OUTCOMES)
def test_a_new_query_that_is_won_never_lowers_the_rate_and_other_pairs_never_touch_it(votes, outcome) -> None:
    before = win_rate(votes, "t", "b")
    after = win_rate([*votes, Vote("new", "t", "b", Outcome.MODEL_A)], "t", "b")
    assert after.rate >= (before.rate or 0) and after.queries == before.queries + 1
    assert win_rate([*votes, Vote("new", "t", "other", outcome)], "t", "b") == before


def test_the_share_of_the_left_side_counts_decisive_votes_of_every_pair() -> None:
    left, right = ("a", "b", Outcome.MODEL_A), ("c", "a", Outcome.MODEL_B)
    votes = [Vote("q", *row) for row in [left] * 30 + [right] * 18 + [("a", "b", Outcome.TIE)] * 9]
    given = left_share(votes)
    test = stats.binomtest(30, 48)
    expected = test.proportion_ci(0.95, method="wilson")
    assert (given.count, given.total, given.rate) == (30, 48, 0.625)
    assert (given.low, given.high, given.p_value) == pytest.approx((expected.low, expected.high, test.pvalue), abs=1e-9)


def test_without_decisive_votes_there_is_no_share_of_the_left_side() -> None:
    given = left_share([Vote("q", "a", "b", Outcome.TIE)])
    assert (given.total, given.rate, given.low, given.high, given.p_value) == (0, None, None, None, 1.0)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["preferences_small/food", "preferences_small/simple", "preferences_llmfao/"])
def test_the_mean_over_opponents_is_the_published_average_win_rate(shared_data: Path, name: str) -> None:
    folder, _, prefix = name.rpartition("/")
    mark = f"{prefix}_" if prefix else ""
    pairs = defaultdict(list)
    for vote in read_votes(shared_data / folder / f"{mark}votes.jsonl"):
        pairs[vote.model_a].append(vote)
        pairs[vote.model_b].append(vote)
    published = json.loads((shared_data / folder / f"{mark}published_scores.json").read_text())["average_win_rate"]
    for row in published:
        own = pairs[row["model"]]
        others = {name for vote in own for name in (vote.model_a, vote.model_b)} - {row["model"]}
        mean = np.mean([win_rate(own, row["model"], other).rate for other in others])
        assert mean == pytest.approx(row["score"], abs=1e-12), row["model"]


@pytest.mark.shared_data
def test_leaving_out_one_query_at_a_time_gives_nearly_the_same_variance(shared_data: Path) -> None:
    path = shared_data / "preferences_llmfao" / "votes.jsonl"
    votes = [
        Vote(v.query_id, *("GPT 4" if name == "GPT 4" else "the field" for name in (v.model_a, v.model_b)), v.outcome)
        for v in read_votes(path, lambda row: str(row["pair_id"]))
        if "GPT 4" in (v.model_a, v.model_b)
    ]
    given = win_rate(votes, "GPT 4", "the field")
    queries = sorted({vote.query_id for vote in votes})
    left_out = [win_rate([v for v in votes if v.query_id != query], "GPT 4", "the field").rate for query in queries]
    jackknife = (len(queries) - 1) / len(queries) * np.sum((np.array(left_out) - np.mean(left_out)) ** 2)
    assert (len(votes), given.rate) == (158, pytest.approx(0.78481, abs=1e-5))
    assert given.rate * (1 - given.rate) / given.effective_votes == pytest.approx(jackknife, rel=0.05)
