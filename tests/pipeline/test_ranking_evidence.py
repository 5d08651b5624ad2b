"""The sign test against SciPy and printed tables; the anytime-valid p against fractions and every possible order."""

import itertools
import math
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.ranking import anytime_p, e_value, sign_test, win_share
from pipeline.records import Vote
from tests.pipeline.test_ranking_counts import read_votes
from tests.pipeline.test_ranking_intervals import FLIPPED, VOTES, made


@given(st.integers(0, 300), st.integers(0, 300))
def test_the_sign_test_is_the_exact_binomial_test(wins: int, losses: int) -> None:
    given = sign_test(made(*("w" * wins + "l" * losses + "ttx")), "t", "b")
    assert (given.wins, given.losses, given.even) == (wins, losses, 3)
    expected = stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert given.p_value == pytest.approx(expected, rel=1e-9)


# Largest number of the rarer sign that is significant at 5 %, two tails, for n = 1 to 25: M. F. Triola, Elementary
# Statistics, table A-7.
CRITICAL = [None] * 5 + [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 7]


@pytest.mark.parametrize(("total", "critical"), list(enumerate(CRITICAL, start=1)))
def test_the_sign_test_rejects_exactly_where_the_printed_table_does(total: int, critical: int | None) -> None:
    for rarer in range(total // 2 + 1):
        p_value = sign_test(made(*("w" * (total - rarer) + "l" * rarer)), "t", "b").p_value
        assert (p_value <= 0.05) == (critical is not None and rarer <= critical)


def test_textbook_examples_of_the_sign_test() -> None:
    # L. J. Stephens, Schaum's Outline of Beginning Statistics, example 14.2: 3 of 10, two-tailed.
    assert sign_test(made(*"wwwlllllll"), "t", "b").p_value == pytest.approx(0.34375)
    # D. M. Lane, HyperStat, sign test: 7 of 8, one-tailed 0.03516.
    assert sign_test(made(*"wwwwwwwl"), "t", "b").p_value == pytest.approx(2 * 0.03515625)


def test_a_query_counts_once_for_the_majority_of_its_votes() -> None:
    given = sign_test(made("wwl", "wtt", "lx", "wl", "ttt", "llw", "w"), "t", "b")
    assert (given.wins, given.losses, given.even) == (3, 2, 2)
    assert given.p_value == 1.0


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_evidence_is_the_beta_integral(wins: int, losses: int) -> None:
    exact = Fraction(2 ** (wins + losses), (wins + losses + 1) * math.comb(wins + losses, wins))
    assert e_value(wins, losses) == pytest.approx(float(exact), rel=1e-10)


def test_huge_counts_do_not_overflow() -> None:
    assert e_value(5000, 0) == math.inf
    given = anytime_p(made(*("w" * 3000)), "t", "b")
    assert (given.e_value, given.p_value) == (math.inf, 0.0)


def test_before_the_first_decisive_vote_there_is_no_evidence() -> None:
    for votes in ([], made("t", "x"), made("twwwww", "x"), made("l")):
        given = anytime_p(votes, "t", "b")
        assert (given.e_value, given.p_value, given.favours) == (1.0, 1.0, "")


def test_a_query_is_counted_at_its_first_decisive_vote_and_stays_so() -> None:
    votes = made("twll", "xlw", "ttt", "w")
    assert [(given.wins, given.losses) for given in _looks(votes)] == [
        (0, 0),
        *[(1, 0)] * 4,
        *[(1, 1)] * 5,
        (2, 1),
    ]


def test_the_most_evidence_there_ever_was_is_kept_with_the_model_it_was_for() -> None:
    given = anytime_p(made(*("w" * 8 + "l" * 8)), "t", "b")
    assert (given.wins, given.losses, given.favours) == (8, 8, "t")
    assert given.e_max == pytest.approx(2**8 / 9)
    assert given.p_value == pytest.approx(9 / 2**8)
    assert given.e_value == pytest.approx(e_value(8, 8)) and given.e_value < 1


def _looks(votes: list[Vote]):
    return [anytime_p(votes[:seen], "t", "b") for seen in range(1, len(votes) + 1)]


@given(VOTES)
def test_looking_after_every_vote_never_takes_evidence_back(votes: list[Vote]) -> None:
    looks = _looks(votes)
    for before, after in itertools.pairwise(looks):
        assert after.p_value <= before.p_value
    if looks:
        smallest = min(1 / look.e_value for look in looks)
        assert looks[-1].p_value == pytest.approx(min(1.0, smallest))


def test_over_all_orders_of_12_fair_queries_p_is_small_no_more_often_than_it_says() -> None:
    p_values = [anytime_p(made(*order), "t", "b").p_value for order in itertools.product("wl", repeat=12)]
    for alpha in (0.5, 0.2, 0.1, 0.05, 0.02):
        assert 0 < sum(p_value <= alpha + 1e-12 for p_value in p_values) / len(p_values) <= alpha


@given(VOTES)
def test_both_tests_are_the_same_for_either_model_and_either_side(votes: list[Vote]) -> None:
    swapped = [Vote(v.query_id, v.model_b, v.model_a, FLIPPED.get(v.outcome, v.outcome)) for v in votes]
    for test in (sign_test, anytime_p):
        ours, theirs = test(votes, "t", "b"), test(votes, "b", "t")
        assert test(swapped, "t", "b") == ours
        assert (ours.wins, ours.losses) == (theirs.losses, theirs.wins)
        assert ours.p_value == theirs.p_value


@given(VOTES, st.integers(2, 4))
def test_repeating_every_vote_on_its_query_proves_nothing_more(votes: list[Vote], times: int) -> None:
    for test in (sign_test, anytime_p):
        assert test(votes * times, "t", "b") == test(votes, "t", "b")


@pytest.mark.shared_data
def test_what_17_to_6_to_5_proves(shared_data: Path) -> None:
    votes = read_votes(shared_data / "argilla_cloud" / "votes_expanded_from_counts.jsonl")
    pair = ("ft_model", "base_model")
    assert sign_test(votes, *pair).p_value == pytest.approx(0.0347, abs=5e-5)
    # 2^23 * B(18, 7) = 2^23 * 17! 6! / 24!
    evidence = 2**23 * math.factorial(17) * math.factorial(6) / math.factorial(24)
    unordered = anytime_p(votes, *pair, in_order=False)
    assert (unordered.e_value, unordered.p_value) == pytest.approx((evidence, 1 / evidence))
    assert unordered.p_value == pytest.approx(0.289, abs=5e-4)
    share = win_share(votes, *pair)
    assert (round(share.rate, 4), round(share.low, 2), round(share.high, 2)) == (0.6071, 0.41, 0.77)


@pytest.mark.shared_data
def test_a_file_sorted_by_outcome_proves_far_too_much_when_its_order_is_believed(shared_data: Path) -> None:
    votes = read_votes(shared_data / "argilla_cloud" / "votes_expanded_from_counts.jsonl")
    assert anytime_p(votes, "ft_model", "base_model").p_value < 0.001
    assert anytime_p(votes, "ft_model", "base_model", in_order=False).p_value > 0.05
