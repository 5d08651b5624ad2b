"""Orders of answers: every pair of models equally often one way and the other."""

from collections import Counter
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.orders import any_order, balanced_order


def shown(models, earlier):
    order = balanced_order(models, earlier)
    assert sorted(order) == list(range(len(models)))
    earlier.update(combinations([models[place] for place in order], 2))
    return order


def largest_difference(earlier):
    return max((abs(count - earlier[two, one]) for (one, two), count in earlier.items()), default=0)


@given(st.lists(st.permutations("xyz").map(lambda three: "".join(three[:2])), max_size=60))
def test_pairs_of_three_models_are_in_balance_at_every_moment(asked):
    earlier = Counter()
    for pair in asked:
        shown(pair, earlier)
        assert largest_difference(earlier) <= 1


@given(st.integers(2, 5), st.integers(1, 12))
def test_a_ranking_of_any_number_of_models_is_in_balance_at_every_moment(count, times):
    earlier, models = Counter(), "abcde"[:count]
    for _ in range(times):
        shown(models, earlier)
        assert largest_difference(earlier) <= 1


def test_at_a_draw_chance_decides():
    firsts = {balanced_order("ab", {})[0] for _ in range(100)}
    orders = {balanced_order("abc", {}) for _ in range(300)}
    assert firsts == {0, 1} and len(orders) == 6


def test_chance_alone_is_not_to_be_foreseen():
    after = Counter(any_order("ab", {("a", "b"): 1})[0] for _ in range(400))
    # 12 standard deviations of a fair coin.
    assert min(after.values()) > 80
