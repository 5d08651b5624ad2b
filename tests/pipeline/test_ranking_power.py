"""How many more queries: against the power added up outcome by outcome, and against what happens when asked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipeline.ranking import Rule, anytime_p, queries_needed, sign_test
from pipeline.ranking.power import Outlook
from tests.pipeline.test_ranking_intervals import made


def binomial_power(total: int, share: float) -> float:
    wins = np.arange(total + 1)
    rejects = 2 * stats.binom.cdf(np.minimum(wins, total - wins), total, 0.5) < 0.05
    return stats.binom.pmf(wins, total, share)[rejects].sum()


@pytest.mark.parametrize(("wins", "losses"), [(3, 1), (9, 4), (11, 5), (5, 1), (13, 7)])
def test_the_sign_test_reaches_80_per_cent_at_the_total_named_and_not_before(wins: int, losses: int) -> None:
    votes = made(*("w" * wins + "l" * losses))
    given = queries_needed(votes, "t", "b", Rule.SIGN)
    have = wins + losses
    powers = {total: binomial_power(total, wins / have) for total in range(have + 1, have + given.more + 1)}
    assert given.outlook is Outlook.ESTIMATE
    assert [total for total, power in powers.items() if power >= 0.8] == [have + given.more]


def test_ties_make_it_take_more_queries() -> None:
    without = queries_needed(made(*"wwwwwwwwwllll"), "t", "b", Rule.SIGN)
    with_ties = queries_needed(made(*("wwwwwwwwwllll" + "t" * 26)), "t", "b", Rule.SIGN)
    assert with_ties.decisive_share == pytest.approx(1 / 3)
    assert with_ties.more == 3 * without.more
    assert with_ties.favourite_share == without.favourite_share == 9 / 13


@pytest.mark.parametrize(("wins", "losses", "ties"), [(11, 4, 0), (17, 6, 5), (3, 0, 1), (9, 5, 2)])
def test_asking_that_many_more_queries_settles_it_four_times_out_of_five(wins: int, losses: int, ties: int) -> None:
    # In an order that gets no evidence on the way, so that all of it is still to come.
    start = "wl" * losses + "w" * (wins - losses) + "t" * ties
    needed = queries_needed(made(*start), "t", "b")
    random = np.random.default_rng(7)
    shares = np.array([wins, losses, ties]) / (wins + losses + ties)
    runs = 400

    def settled(more: int) -> float:
        rows = random.choice(list("wlt"), (runs, more), p=shares)
        return np.mean([anytime_p(made(*start, *row), "t", "b").p_value < 0.05 for row in rows])

    assert needed.favourite == "t"
    # The standard error of 400 runs is 2 points; a whole number of queries may overshoot.
    assert 0.74 <= settled(needed.more) <= 0.92
    assert settled(needed.more // 2) < 0.74


def test_eight_wins_in_a_row_settle_it() -> None:
    # 2^n / (n + 1) reaches 20 at n = 8.
    for have in range(1, 8):
        assert queries_needed(made(*("w" * have)), "t", "b").more == 8 - have
    assert queries_needed(made(*("w" * 8)), "t", "b").outlook is Outlook.ENOUGH


@pytest.mark.parametrize("rule", list(Rule))
@pytest.mark.parametrize(
    ("queries", "outlook"), [("", "no difference"), ("ttx", "no difference"), ("wlwl", "no difference")]
)
def test_without_a_difference_no_number_is_named(rule: Rule, queries: str, outlook: str) -> None:
    given = queries_needed(made(*queries), "t", "b", rule)
    assert (given.outlook, given.more, given.favourite) == (outlook, None, "")


@pytest.mark.parametrize("rule", list(Rule))
def test_a_difference_too_small_for_any_sprint_is_called_so(rule: Rule) -> None:
    given = queries_needed(made(*("wl" * 200 + "w")), "t", "b", rule)
    assert (given.outlook, given.more) == (Outlook.TOO_MANY, None)


@given(st.integers(0, 25), st.integers(0, 25), st.sampled_from(Rule))
@settings(max_examples=60, deadline=None)
def test_enough_means_that_the_test_is_below_5_per_cent_and_models_may_be_swapped(wins, losses, rule) -> None:
    votes = made(*("w" * wins + "l" * losses))
    ours, theirs = queries_needed(votes, "t", "b", rule), queries_needed(votes, "b", "t", rule)
    test = anytime_p if rule is Rule.ANYTIME else sign_test
    assert (ours.outlook is Outlook.ENOUGH) == (test(votes, "t", "b").p_value < 0.05)
    assert (ours.outlook, ours.more, ours.favourite) == (theirs.outlook, theirs.more, theirs.favourite)
    assert (ours.more is None) == (ours.outlook is not Outlook.ESTIMATE)
    assert ours.more is None or ours.more >= 1
