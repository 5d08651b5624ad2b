"""The adjusted win rate, against statsmodels, a fit by SciPy, and simulated truth."""

import numpy as np
import pytest
from hypothesis import given
from scipy import optimize, stats
from scipy.special import expit, logit, ndtr

from pipeline.errors import ComparisonError
from pipeline.ranking import Traits, adjusted_win_rate, win_rate
from pipeline.ranking.adjusted import PRIOR_DEVIATION
from pipeline.records import Outcome, Vote
from tests.pipeline.test_ranking_intervals import FLIPPED, VOTES, made

OUTCOMES = (Outcome.MODEL_B, Outcome.TIE, Outcome.MODEL_A)


def simulated(random, queries=60, rate=0.6, pull=0.7, shift=0.5, most_votes=3):
    """Votes for t against b: t's answers are longer by ``shift`` in the logarithm, and length pulls votes."""
    lengths = np.exp(random.normal([5 + shift, 5], 0.4, (queries, 2)))
    citations = random.poisson(2, (queries, 2))
    traits = {
        (f"q{n}", name): Traits(float(lengths[n, side]), int(citations[n, side]))
        for n in range(queries)
        for side, name in enumerate("tb")
    }
    longer = (lengths[:, 0] - lengths[:, 1]) / lengths.sum(axis=1)
    query = np.repeat(np.arange(queries), random.integers(1, most_votes + 1, queries))
    chance = expit(logit(rate) + pull * longer / 0.27)[query]
    tie = 0.8 * chance * (1 - chance)
    luck = ndtr(0.3**0.5 * random.standard_normal(queries)[query] + 0.7**0.5 * random.standard_normal(len(query)))
    results = np.where(luck < chance - tie / 2, 2, np.where(luck > chance + tie / 2, 0, 1))
    return [Vote(f"q{n}", "t", "b", OUTCOMES[result]) for n, result in zip(query, results, strict=True)], traits


def example() -> tuple[list[Vote], dict[tuple[str, str], Traits]]:
    """80 votes on 40 queries, without chance."""
    points = np.array([1, 1, 0.5, 1, 0, 0, 1, 0.5, 1, 0])[(np.arange(80) * 7 + np.arange(80) // 9) % 10]
    votes = [Vote(f"q{n // 2}", "t", "b", OUTCOMES[round(2 * point)]) for n, point in enumerate(points)]
    traits = {}
    for n in range(40):
        longer, more = (n * 37 % 19 - 9) / 20, (n * 11 % 7 - 3) / 4
        traits[f"q{n}", "t"] = Traits(100 * (1 + longer), 10 * (1 + more))
        traits[f"q{n}", "b"] = Traits(100 * (1 - longer), 10 * (1 - more))
    return votes, traits


def test_without_a_prior_it_is_the_fit_of_statsmodels() -> None:
    # statsmodels 0.15.0: GLM(y, X, Binomial()).fit(cov_type="cluster", cov_kwds={"groups": q, "use_correction": False})
    # with X scaled as here; GEE with robust covariance gives the same.
    params = [0.43297162477157136, -0.3130887873976032, 0.26630593600217134]
    errors = [0.1947414224644915, 0.1643202409838797, 0.16818977489150996]
    votes, traits = example()
    given = adjusted_win_rate(votes, "t", "b", traits, prior_deviation=1e9)
    assert given.rate == pytest.approx(expit(params[0]), abs=1e-12)
    assert [np.log(effect.odds) for effect in given.effects] == pytest.approx(params[1:], abs=1e-12)
    quantile = stats.t.ppf(0.975, 40 - 3)
    reach = [np.log(effect.high / effect.low) / 2 / quantile for effect in given.effects]
    assert reach == pytest.approx([error * (40 / 39) ** 0.5 for error in errors[1:]], abs=1e-10)
    # Wilson's bounds are where the distance from the rate is the quantile times the error there.
    effective = 1 / (errors[0] ** 2 * 40 / 39 * given.rate * (1 - given.rate))
    for bound in (given.low, given.high):
        assert (given.rate - bound) ** 2 == pytest.approx(quantile**2 * bound * (1 - bound) / effective, abs=1e-10)


def test_with_its_prior_it_is_the_maximum_that_scipy_finds() -> None:
    votes, traits = simulated(np.random.default_rng(1))
    given = adjusted_win_rate(votes, "t", "b", traits)
    points = np.array([OUTCOMES.index(vote.outcome) / 2 for vote in votes])
    both = [(traits[vote.query_id, "t"], traits[vote.query_id, "b"]) for vote in votes]
    length = np.array([(a.length - b.length) / (a.length + b.length) for a, b in both])
    cited = np.array([(a.citations - b.citations) / max(1, a.citations + b.citations) for a, b in both])
    design = np.column_stack([np.ones(len(votes)), length / length.std(), cited / cited.std()])

    def loss(values):
        logits = design @ values
        return np.sum(np.logaddexp(0, logits) - points * logits) + np.sum(values[1:] ** 2) / 2 / PRIOR_DEVIATION**2

    found = optimize.minimize(loss, np.zeros(3), tol=1e-12).x
    ours = [logit(given.rate), *(np.log(effect.odds) for effect in given.effects)]
    assert ours == pytest.approx(found, abs=1e-4)
    assert loss(np.array(ours)) <= loss(found) + 1e-9


@given(VOTES)
def test_without_differences_it_is_the_win_rate_with_its_interval(votes: list[Vote]) -> None:
    traits = {(f"q{n}", name): Traits(10, 1) for n in range(8) for name in "tb"}
    ours, plain = adjusted_win_rate(votes, "t", "b", traits), win_rate(votes, "t", "b")
    assert (ours.plain, ours.queries, ours.votes) == (plain.rate, plain.queries, plain.votes)
    if ours.rate is not None and "their number alone" not in plain.note:
        assert (ours.rate, ours.low, ours.high) == pytest.approx((plain.rate, plain.low, plain.high), abs=1e-9)


def test_it_finds_the_rate_behind_a_liking_for_long_answers() -> None:
    votes, traits = simulated(np.random.default_rng(2), queries=4_000)
    given = adjusted_win_rate(votes, "t", "b", traits)
    length, citations = given.effects
    assert given.rate == pytest.approx(0.6, abs=0.02) and given.plain > 0.68
    assert given.low <= 0.6 <= given.high
    assert length.odds == pytest.approx(np.exp(0.7 * length.deviation / 0.27), rel=0.1)
    assert citations.low < 1 < citations.high
    assert length.mean > 0 and length.for_more / length.decisive > 0.65


def test_its_interval_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(3)
    held = []
    for _ in range(300):
        votes, traits = simulated(random)
        given = adjusted_win_rate(votes, "t", "b", traits)
        held.append(given.low <= 0.6 <= given.high)
    assert 0.92 <= np.mean(held) <= 0.98


@given(VOTES)
def test_either_model_and_either_side_give_the_same(votes: list[Vote]) -> None:
    traits = {(f"q{n}", "t"): Traits(5 + n * 7 % 5, n % 3) for n in range(8)}
    traits |= {(f"q{n}", "b"): Traits(6, 1) for n in range(8)}
    # With these there are points and queries enough for two traits.
    extra = [Vote(f"e{n}", "t", "b", OUTCOMES[n % 3]) for n in range(15)]
    traits |= {(f"e{n}", name): Traits(4 + n * 3 % 7 * (name == "t"), 1) for n in range(15) for name in "tb"}
    votes = [*votes, *made(*["wl"] * 8), *extra]
    swapped = [Vote(v.query_id, v.model_b, v.model_a, FLIPPED.get(v.outcome, v.outcome)) for v in votes]
    ours, theirs = adjusted_win_rate(votes, "t", "b", traits), adjusted_win_rate(votes, "b", "t", traits)
    assert adjusted_win_rate(swapped, "t", "b", traits) == ours
    assert (ours.rate, ours.low, ours.high) == pytest.approx(
        (1 - theirs.rate, 1 - theirs.high, 1 - theirs.low), abs=1e-8
    )
    assert [effect.odds for effect in ours.effects] == pytest.approx(
        [effect.odds for effect in theirs.effects], abs=1e-7
    )


def test_a_trait_that_parts_the_votes_without_exception_stays_finite() -> None:
    votes = made(*("w" * 15 + "l" * 15))
    traits = {(f"q{n}", "t"): Traits(20 if n < 15 else 5) for n in range(30)} | {
        (f"q{n}", "b"): Traits(10) for n in range(30)
    }
    given = adjusted_win_rate(votes, "t", "b", traits)
    (length,) = given.effects
    assert 10 < length.odds < 1_000 and np.isfinite(length.high)
    assert 0 < given.low < given.rate < given.high < 1
    assert (length.for_more, length.decisive) == (30, 30)


def test_few_votes_are_not_adjusted_and_it_is_said_why() -> None:
    votes, traits = example()
    for some, why in (
        (
            made(*("w" * 30 + "l" * 3)),
            "the model with fewer points has 3 (a win is 1, a tie or both bad is a half), and it takes 10",
        ),
        (votes[:30], "they are on 15 queries, and it takes 20 at least"),
        ([], "There are no votes."),
        ([Vote("elsewhere", "t", "b", Outcome.TIE)], "The answers of no vote are known"),
    ):
        given = adjusted_win_rate(some, "t", "b", traits)
        assert (given.rate, given.low, given.high, given.effects) == (None, None, None, ())
        assert why in given.note


def test_votes_on_unknown_answers_are_left_out_and_counted() -> None:
    votes, traits = example()
    del traits["q3", "b"]
    given = adjusted_win_rate(votes, "t", "b", traits)
    assert (given.votes, given.left_out, given.queries) == (78, 2, 39)


def test_a_trait_that_always_differs_alike_cannot_be_told_from_the_model() -> None:
    votes, traits = example()
    traits = {key: Traits(own.length, 3 if key[1] == "t" else 1) for key, own in traits.items()}
    given = adjusted_win_rate(votes, "t", "b", traits)
    assert [effect.trait for effect in given.effects] == ["length"]
    assert "Not adjusted for citations: it differs by the same share" in given.note


def test_equal_answers_that_were_hardly_seen_are_pointed_out() -> None:
    votes, traits = example()
    traits = {key: Traits(own.length + (900 if key[1] == "t" else 0), own.citations) for key, own in traits.items()}
    assert "One model has more length on nearly every query" in adjusted_win_rate(votes, "t", "b", traits).note


def test_errors() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        adjusted_win_rate([], "t", "b", {}, confidence=95)
    with pytest.raises(ComparisonError, match="cannot be compared with itself"):
        adjusted_win_rate([], "t", "t", {})
