"""Ratings, against published scores, evalica, the closed form for two models, and simulated truth."""

import json
import math
from itertools import pairwise
from pathlib import Path

import evalica
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ComparisonError
from pipeline.ranking import TieModel, leaderboard, win_rate
from pipeline.ranking.paired import ballots, pair_table
from pipeline.ranking.ratings import MIDDLE, SCALE
from pipeline.ranking.strengths import fit, has_estimate
from pipeline.records import Outcome, Vote
from tests.bench.coverage import League, simulate_ratings
from tests.pipeline.test_ranking_counts import read_votes
from tests.pipeline.test_ranking_intervals import FLIPPED, made

NAMES = ("ant", "bee", "cat", "dog")
PAIRS = st.permutations(NAMES).map(lambda names: names[:2])
VOTES = st.lists(
    st.builds(
        lambda query, pair, outcome: Vote(f"q{query}", *pair, outcome),
        st.integers(0, 9),
        PAIRS,
        st.sampled_from(Outcome),
    ),
    max_size=40,
)
MODELS = pytest.mark.parametrize("tie_model", TieModel)
WINNERS = {
    Outcome.MODEL_A: evalica.Winner.X,
    Outcome.MODEL_B: evalica.Winner.Y,
    Outcome.TIE: evalica.Winner.Draw,
    Outcome.BOTH_BAD: evalica.Winner.Draw,
}
# A small league without a model that won or lost everything.
RING = [
    Vote(f"q{number}", *pair, outcome)
    for number, (pair, outcome) in enumerate(
        [
            (("ant", "bee"), Outcome.MODEL_A),
            (("bee", "cat"), Outcome.MODEL_A),
            (("cat", "ant"), Outcome.MODEL_A),
            (("ant", "cat"), Outcome.MODEL_A),
            (("dog", "ant"), Outcome.TIE),
            (("bee", "dog"), Outcome.BOTH_BAD),
            (("dog", "cat"), Outcome.MODEL_B),
        ]
        * 4
    )
]


def points(votes, tie_model=TieModel.HALF_WINS) -> dict[str, float]:
    return {rating.model: rating.rating for rating in leaderboard(votes, tie_model, rounds=2).ratings}


def up_to_scale(given: dict[str, float], scores: dict[str, float]) -> float:
    """The largest relative error of the strengths, after bringing both to one scale."""
    ratios = [math.exp((given[name] - MIDDLE) / SCALE) / score for name, score in scores.items()]
    assert given.keys() == scores.keys()
    return max(ratios) / min(ratios) - 1


@pytest.mark.shared_data
@pytest.mark.parametrize(("tie_model", "key"), [(TieModel.HALF_WINS, "bradley_terry"), (TieModel.DAVIDSON, "newman")])
@pytest.mark.parametrize("name", ["preferences_small/food", "preferences_small/simple", "preferences_llmfao/"])
def test_published_scores_are_met(shared_data: Path, name: str, tie_model: TieModel, key: str) -> None:
    folder, _, prefix = name.rpartition("/")
    mark = f"{prefix}_" if prefix else ""
    votes = read_votes(shared_data / folder / f"{mark}votes.jsonl")
    published = json.loads((shared_data / folder / f"{mark}published_scores.json").read_text())[key]
    assert up_to_scale(points(votes, tie_model), {row["model"]: row["score"] for row in published}) < 1e-6


@pytest.mark.parametrize(
    ("tie_model", "method"), [(TieModel.HALF_WINS, "bradley_terry"), (TieModel.DAVIDSON, "newman")]
)
@pytest.mark.parametrize(
    "league", [League(3, 60, 200.0), League(20, 2_000, 600.0), League(100, 20_000, 800.0)], ids=str
)
def test_evalica_finds_the_same_strengths(league: League, tie_model: TieModel, method: str) -> None:
    votes = league.draw(np.random.default_rng(1))
    columns = (
        [vote.model_a for vote in votes],
        [vote.model_b for vote in votes],
        [WINNERS[vote.outcome] for vote in votes],
    )
    other = getattr(evalica, method)(*columns, tolerance=1e-13, limit=100_000)
    assert up_to_scale(points(votes, tie_model), other.scores.to_dict()) < 1e-6
    if tie_model is TieModel.DAVIDSON:
        # evalica's v is half of Davidson's nu.
        assert leaderboard(votes, tie_model, rounds=2).groups[0].closeness == pytest.approx(2 * other.v, rel=1e-6)


def test_resamples_are_fitted_as_evalica_would() -> None:
    votes = League(4, 30, 200.0).draw(np.random.default_rng(2))
    table = pair_table(ballots(votes))
    counts = next(table.resamples(20, np.random.default_rng(3)))
    fitted = fit(counts, table.pairs, TieModel.HALF_WINS, np.zeros(20, bool))
    for number in np.flatnonzero(has_estimate(counts, table.pairs, 4, TieModel.HALF_WINS)):
        rows = [
            (*pair, kind, many)
            for pair, row in zip(table.pairs, counts[number], strict=True)
            for kind, many in enumerate(row)
        ]
        firsts, seconds, kinds, weights = zip(*rows, strict=True)
        winners = [(evalica.Winner.X, evalica.Winner.Y, evalica.Winner.Draw)[kind] for kind in kinds]
        other = evalica.bradley_terry(
            firsts, seconds, winners, weights=[float(many) for many in weights], tolerance=1e-12, limit=100_000
        ).scores
        ratios = np.exp(fitted.strengths[number]) / other.sort_index().to_numpy()
        assert ratios.max() / ratios.min() - 1 < 1e-6


def test_a_resample_draws_whole_queries() -> None:
    votes = made("wwl", "t", "t", "t", "ll")
    for counts in pair_table(ballots(votes)).resamples(50, np.random.default_rng(4)):
        # b before t: a win of t is a loss there. Each query gives (losses, ties) in one piece.
        for wins, losses, ties in counts[:, 0]:
            found = [(a, c, 5 - a - c) for a in range(6) for c in range(6 - a) if (a + 2 * c, 2 * a) == (wins, losses)]
            assert any(rest == ties for *_, rest in found)


@pytest.mark.parametrize(
    "league", [League(3, 5_000, 100.0, most_votes=1), League(3, 400, 100.0, most_votes=4)], ids=str
)
def test_resamples_of_few_and_of_many_patterns_have_the_mean_and_spread_of_a_resample(league: League) -> None:
    table = pair_table(ballots(league.draw(np.random.default_rng(5))))
    assert table.queries == league.queries
    assert (len(table.times) * 8 < table.queries) == (league.most_votes == 1)
    cells = np.concatenate(list(table.resamples(4_000, np.random.default_rng(6)))).reshape(4_000, -1)
    each = table.entries.toarray()
    mean = each @ table.times
    variance = (each - mean[:, None] / table.queries) ** 2 @ table.times
    assert cells.mean(axis=0) == pytest.approx(mean, rel=0.03)
    assert cells.var(axis=0) == pytest.approx(variance, rel=0.15)


def test_two_models_have_the_rating_of_their_win_rate() -> None:
    votes = made(*("w" * 17 + "l" * 6 + "t" * 5))
    better, worse = leaderboard(votes).ratings
    rate = win_rate(votes, "t", "b").rate
    assert better.rating - worse.rating == pytest.approx(400 * math.log10(rate / (1 - rate)), abs=1e-9)
    assert better.rating + worse.rating == pytest.approx(2 * MIDDLE)
    assert (better.model, better.wins, better.losses, better.ties, better.votes, better.queries) == (
        "t",
        17,
        6,
        5,
        28,
        28,
    )
    assert (better.rank, worse.rank) == (1, 2)


def test_two_models_have_nearly_the_interval_of_their_win_rate() -> None:
    votes = made(*(["wwl", "w", "lt", "wwt", "x", "wl", "ll", "w"] * 12))
    better, worse = leaderboard(votes, rounds=4_000).ratings
    rate = win_rate(votes, "t", "b")
    low, high = (400 * math.log10(share / (1 - share)) for share in (rate.low, rate.high))
    assert better.high - worse.low == pytest.approx(high, rel=0.05)
    assert better.low - worse.high == pytest.approx(low, abs=0.05 * (high - low))


def test_davidson_has_the_closed_form_for_two_models() -> None:
    given = leaderboard(made(*("w" * 16 + "l" * 4 + "t" * 12)), TieModel.DAVIDSON, rounds=2)
    better, worse = given.ratings
    # wins : losses = s_i : s_j, and ties = nu * sqrt(wins * losses).
    assert better.rating - worse.rating == pytest.approx(400 * math.log10(16 / 4), abs=1e-9)
    assert given.groups[0].closeness == pytest.approx(12 / 8)


def test_davidson_keeps_models_apart_where_ties_are_common() -> None:
    votes = made(*("w" * 16 + "l" * 4 + "t" * 80))
    halves, davidson = points(votes), points(votes, TieModel.DAVIDSON)
    assert halves["t"] - halves["b"] < 50 < 200 < davidson["t"] - davidson["b"]


@MODELS
def test_both_bad_counts_as_a_tie(tie_model: TieModel) -> None:
    as_ties = [
        Vote(v.query_id, v.model_a, v.model_b, Outcome.TIE if v.outcome == "both_bad" else v.outcome) for v in RING
    ]
    assert leaderboard(RING, tie_model) == leaderboard(as_ties, tie_model)


@MODELS
def test_a_model_that_won_everything_gets_a_finite_rating_and_it_is_said(tie_model: TieModel) -> None:
    votes = [*RING, *(Vote(f"e{n}", "elk", name, Outcome.MODEL_A) for n, name in enumerate(NAMES * 3))]
    given = leaderboard(votes, tie_model)
    (group,) = given.groups
    assert group.prior and "won or lost everything" in group.note
    best = group.ratings[0]
    assert (best.model, best.rank) == ("elk", 1) and MIDDLE < best.rating < 2_000
    assert best.high - best.low > max(rating.high - rating.low for rating in group.ratings[1:])
    assert not leaderboard(RING, tie_model).groups[0].prior


def test_the_prior_is_one_tie_with_a_model_of_average_strength() -> None:
    better, worse = leaderboard(made(*"wwwww")).ratings
    # At the maximum the pull of five wins is that of the prior: both are slopes of the log likelihood.
    half = (better.rating - worse.rating) / 2 / SCALE
    chance = 1 / (1 + math.exp(-half))
    assert 5 * (1 - 1 / (1 + math.exp(-2 * half))) == pytest.approx(chance - 0.5)


def test_davidson_needs_wins_that_no_ties_can_explain() -> None:
    # A win and a tie: the further apart the two and the commoner ties, the likelier. A loss ends that.
    assert leaderboard(made("w", "t", "t"), TieModel.DAVIDSON).groups[0].prior
    assert not leaderboard(made("w", "t", "t", "l"), TieModel.DAVIDSON).groups[0].prior
    circle = [("ant", "bee", "w"), ("bee", "cat", "w"), ("cat", "ant", "t")]
    kinds = {"w": Outcome.MODEL_A, "t": Outcome.TIE}
    votes = [Vote(f"q{n}", first, second, kinds[kind]) for n, (first, second, kind) in enumerate(circle)]
    assert not leaderboard(votes, TieModel.DAVIDSON).groups[0].prior
    assert leaderboard(votes[1:], TieModel.DAVIDSON).groups[0].prior


def test_each_further_win_raises_the_rating_of_a_model_that_won_everything() -> None:
    found = [
        points(made(*("w" * wins + "t" * ties)))["t"] for wins, ties in ((1, 1), (2, 0), (2, 1), (3, 0), (8, 1), (9, 0))
    ]
    assert all(less < more for less, more in pairwise(found[1::2]))
    # A win is worth more than a tie.
    assert found[0] < found[1] and found[2] < found[3] and found[4] < found[5]


def test_models_that_never_met_are_not_compared() -> None:
    others = [Vote(f"p{n}", "yak", "zebra", Outcome.MODEL_A if n % 3 else Outcome.MODEL_B) for n in range(9)]
    given = leaderboard([*others, *RING])
    assert [[rating.model for rating in group.ratings] for group in given.groups][1] == ["yak", "zebra"]
    assert [(group.votes, group.queries) for group in given.groups] == [(28, 28), (9, 9)]
    assert given.note.startswith("These models fall into 2 groups that never met.")
    assert given.groups[0] == leaderboard(RING).groups[0]
    for group in given.groups:
        assert np.mean([rating.rating for rating in group.ratings]) == pytest.approx(MIDDLE)


@MODELS
def test_ties_alone_make_all_equal_with_an_interval_by_the_number_of_queries(tie_model: TieModel) -> None:
    few, many = (leaderboard(made(*("t" * number)), tie_model) for number in (8, 80))
    for board in (few, many):
        assert [rating.rating for rating in board.ratings] == [MIDDLE, MIDDLE]
        assert [rating.rank for rating in board.ratings] == [1, 1]
        assert "their number alone" in board.groups[0].note
    assert few.ratings[0].high > many.ratings[0].high > MIDDLE + 10


def test_one_query_gives_no_interval_and_no_vote_no_group() -> None:
    given = leaderboard(made("wwl"))
    assert [(rating.low, rating.high, rating.rank) for rating in given.ratings] == [(None, None, 1)] * 2
    assert given.groups[0].note == "One query gives no interval."
    assert (leaderboard([]).groups, leaderboard([]).note) == ((), "There are no votes.")


def test_what_is_not_an_outcome_or_not_a_share_is_refused() -> None:
    with pytest.raises(ComparisonError, match="is not an outcome"):
        leaderboard([Vote("q", "a", "b", "tie")])
    with pytest.raises(ValueError, match="between 0 and 1"):
        leaderboard([], confidence=95)
    with pytest.raises(ValueError, match="2 at least"):
        leaderboard([], rounds=1)


@given(VOTES)
@settings(max_examples=60, deadline=None)
def test_ranks_are_one_more_than_the_models_that_are_surely_better(votes: list[Vote]) -> None:
    for group in leaderboard(votes, rounds=50).groups:
        assert [r.rating for r in group.ratings] == sorted((r.rating for r in group.ratings), reverse=True)
        for own in group.ratings:
            assert math.isfinite(own.rating) and own.wins + own.losses + own.ties == own.votes
            if own.low is not None:
                assert own.low <= own.rating <= own.high
                assert own.rank == 1 + sum(other.low > own.high for other in group.ratings)


@given(VOTES, st.permutations(NAMES))
@settings(max_examples=60, deadline=None)
def test_models_may_be_named_otherwise(votes: list[Vote], names: list[str]) -> None:
    new = dict(zip(NAMES, names, strict=True))
    renamed = [Vote(v.query_id, new[v.model_a], new[v.model_b], v.outcome) for v in votes]
    for tie_model in TieModel:
        ours, theirs = points(votes, tie_model), points(renamed, tie_model)
        assert {new[name]: value for name, value in ours.items()} == pytest.approx(theirs, abs=1e-6)


@given(VOTES, st.randoms())
@settings(max_examples=60, deadline=None)
def test_sides_and_the_order_of_votes_leave_no_trace(votes: list[Vote], random) -> None:
    swapped = [Vote(v.query_id, v.model_b, v.model_a, FLIPPED.get(v.outcome, v.outcome)) for v in votes]
    random.shuffle(swapped)
    for tie_model in TieModel:
        assert leaderboard(votes, tie_model, rounds=20) == leaderboard(swapped, tie_model, rounds=20)


@given(VOTES, st.integers(2, 4))
@settings(max_examples=60, deadline=None)
def test_repeating_every_vote_on_its_query_keeps_the_ratings(votes: list[Vote], times: int) -> None:
    # The other votes see to it that no prior is needed, which would not grow along.
    votes = [*votes, *RING]
    once, often = leaderboard(votes, rounds=2).ratings, leaderboard(votes * times, rounds=2).ratings
    after = {rating.model: rating for rating in often}
    for one in once:
        other = after[one.model]
        assert (other.votes, other.queries) == (times * one.votes, one.queries)
        assert other.rating == pytest.approx(one.rating, abs=1e-6)


@MODELS
def test_repeating_every_vote_narrows_no_interval(tie_model: TieModel) -> None:
    votes = League(4, 80, 150.0).draw(np.random.default_rng(3))
    once, often = (leaderboard(votes * times, tie_model, rounds=100).ratings for times in (1, 3))
    assert [(r.low, r.high) for r in once] == [pytest.approx((r.low, r.high), abs=1e-3) for r in often]


# Over 2,000 sprints each kind of league of tests/bench/coverage.py is within 92 and 98 %.
@pytest.mark.parametrize(
    "league", [League(2, 12, 200.0), League(3, 28, 200.0), League(5, 28, 500.0), League(5, 150, 200.0)], ids=str
)
def test_the_intervals_hold_the_true_ratings_as_often_as_they_say(league: League) -> None:
    given = simulate_ratings(league, 300, seed=9, rounds=200)
    assert 0.92 <= given.covered <= 0.98


def test_votes_on_a_query_correlate_in_the_simulation_and_keep_their_chance() -> None:
    votes = League(2, 20_000, 200.0, ties=0, most_votes=2).draw(np.random.default_rng(7))
    won: dict[str, list[bool]] = {}
    for vote in votes:
        won.setdefault(vote.query_id, []).append((vote.outcome == "model_a") == (vote.model_a == "m000"))
    pairs = np.array([scores for scores in won.values() if len(scores) == 2], dtype=float)
    assert pairs.mean() == pytest.approx(1 / (1 + 10**-0.5), abs=0.01)
    assert 0.1 < np.corrcoef(pairs.T)[0, 1] < 0.3
