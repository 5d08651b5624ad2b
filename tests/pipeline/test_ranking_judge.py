"""Statistics on judges, against another library, published values and judges whose leanings are known."""

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.metrics.agreement import AnnotationTask
from scipy.stats import binomtest

from pipeline.ranking.judge import (
    JudgedPair,
    Single,
    as_votes,
    both_orders,
    cohens_kappa,
    flips,
    judge_agreement,
    length_preference,
    position_bias,
    rate_of,
)
from pipeline.records import Outcome, Vote

A, B, TIE, BAD = Outcome.MODEL_A, Outcome.MODEL_B, Outcome.TIE, Outcome.BOTH_BAD
TURNED = {A: B, B: A}


def asked(query, there, back, models=("base", "tuned")):
    """What a judge said of a pair in one order, and in the other."""
    return [Single(query, *models, there), Single(query, *models[::-1], back)]


def placed(votes, comparison=""):
    """Return votes with the comparison that they are on."""
    return [(comparison, vote) for vote in votes]


def ratings(table):
    """Return the ratings of a table of counts, each on a query of its own."""
    cells = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    return [(f"q{n}", str(i), str(j)) for n, (i, j) in enumerate(cells)]


class TestBothOrders:
    @pytest.mark.parametrize(
        ("there", "back", "outcome", "flip"),
        [
            (A, B, A, False),
            (B, A, B, False),
            (TIE, TIE, TIE, False),
            (BAD, BAD, BAD, False),
            (A, A, TIE, True),
            (B, B, TIE, True),
            (A, TIE, TIE, True),
            (TIE, BAD, TIE, True),
            (BAD, A, TIE, True),
            (A, None, None, False),
            (None, TIE, None, False),
            (None, None, None, False),
        ],
    )
    def test_two_orders_are_one_verdict_or_none(self, there, back, outcome, flip):
        assert both_orders(asked("q", there, back)) == (JudgedPair("q", "base", "tuned", outcome, flip),)

    def test_a_pair_with_one_order_yet_is_not_there(self):
        assert both_orders(asked("q", A, B)[:1]) == ()

    def test_a_pair_without_a_verdict_is_no_vote_and_no_flip(self):
        pairs = both_orders(asked("one", A, None) + asked("two", A, A) + asked("three", A, B))
        assert [vote.outcome for _, vote in as_votes(pairs)] == [TIE, A]
        assert (flips(pairs).count, flips(pairs).total) == (1, 2)

    def test_pairs_of_three_models_on_one_query_are_kept_apart(self):
        said = asked("q", A, B) + asked("q", B, A, ("base", "other")) + asked("q", TIE, TIE, ("tuned", "other"))
        assert [(pair.first, pair.second, pair.outcome) for pair in both_orders(said)] == [
            ("base", "tuned", A),
            ("base", "other", B),
            ("tuned", "other", TIE),
        ]


class TestKappa:
    def test_textbook_values(self):
        # A 2 x 2 example that many textbooks give: 35 of 50 agree, and kappa is 0.40.
        assert cohens_kappa(ratings([[20, 5], [10, 15]])).kappa == pytest.approx(0.40)
        # Two tables with the same observed agreement, 60 of 100, and other margins: 0.1304 and 0.2593.
        assert cohens_kappa(ratings([[45, 15], [25, 15]])).kappa == pytest.approx(0.1304, abs=5e-5)
        assert cohens_kappa(ratings([[25, 35], [5, 35]])).kappa == pytest.approx(0.2593, abs=5e-5)

    @given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=2, max_size=60))
    def test_it_is_that_of_nltk(self, pairs):
        found = cohens_kappa([(f"q{n}", *pair) for n, pair in enumerate(pairs)], rounds=2)
        if len({value for pair in pairs for value in pair}) == 1:
            assert found.kappa is None and "chance" in found.reason
            return
        triples = [
            (who, n, pair[place]) for n, pair in enumerate(pairs) for place, who in enumerate(("judge", "people"))
        ]
        assert found.kappa == pytest.approx(AnnotationTask(data=triples).kappa(), abs=1e-12)

    def test_nothing_and_one_query_give_no_interval_and_say_why(self):
        assert cohens_kappa([]) == cohens_kappa([], rounds=5) and cohens_kappa([]).kappa is None
        one = cohens_kappa([("q", "a", "a"), ("q", "b", "b"), ("q", "a", "b")])
        assert (one.low, one.high, one.reason) == (None, None, "One query gives no interval.")

    def test_a_rater_who_says_one_thing_only_has_kappa_zero_and_no_interval(self):
        found = cohens_kappa(ratings([[10, 5], [0, 0]]))
        assert (found.kappa, found.low, found.high) == (0.0, None, None) and "one value" in found.reason

    def test_perfect_agreement_is_not_perfect_certainty(self):
        few, many = cohens_kappa(ratings([[4, 0], [0, 4]])), cohens_kappa(ratings([[100, 0], [0, 100]]))
        assert few.kappa == many.kappa == few.high == many.high == 1
        assert few.low < 0.5 < 0.9 < many.low < 1

    def test_the_interval_is_the_same_each_time_and_holds_the_value(self):
        table = ratings([[20, 5], [10, 15]])
        found = cohens_kappa(table)
        assert found == cohens_kappa(list(table)) and found.low < found.kappa < found.high
        # Fleiss, Cohen and Everitt's large-sample standard error of this table is 0.1270.
        assert (found.high - found.low) / 2 == pytest.approx(2.01 * 0.1270, rel=0.06)

    def test_pairs_that_share_a_query_count_for_less_than_pairs_of_their_own(self):
        own = [
            (f"q{n}", one, other)
            for n, (one, other) in enumerate([("a", "a"), ("a", "b"), ("b", "b"), ("b", "a")] * 12)
        ]
        shared = [(f"q{n // 4}", *pair) for n, (_, *pair) in enumerate(sorted(own, key=lambda row: row[1:]))]
        assert cohens_kappa(own).kappa == cohens_kappa(shared).kappa
        wide, narrow = cohens_kappa(shared), cohens_kappa(own)
        assert wide.high - wide.low > 1.3 * (narrow.high - narrow.low)

    def test_it_covers_the_truth(self):
        dice = np.random.default_rng(3)
        base = np.array([0.4, 0.3, 0.2, 0.1])
        for kappa, queries in ((0.5, 28), (0.8, 12)):
            joint = ((1 - kappa) * np.outer(base, base) + kappa * np.diag(base)).ravel()
            held = 0
            for seed in range(400):
                cells = dice.choice(16, size=queries, p=joint)
                rows = [(str(n), str(cell // 4), str(cell % 4)) for n, cell in enumerate(cells)]
                found = cohens_kappa(rows, rounds=200, seed=seed)
                held += found.low is not None and found.low <= kappa <= found.high
            assert held / 400 >= 0.925


class TestAgreement:
    def test_the_majority_of_people_is_what_counts(self):
        votes = [
            Vote("one", "base", "tuned", B, "Ada"),
            Vote("one", "tuned", "base", A, "Bo"),
            Vote("one", "base", "tuned", A, "Cy"),
            Vote("two", "base", "tuned", TIE, "Ada"),
            Vote("three", "base", "tuned", A, "Ada"),
            Vote("three", "base", "tuned", B, "Bo"),
        ]
        said = asked("one", B, A) + asked("two", BAD, BAD) + asked("three", A, B) + asked("four", A, B)
        found = judge_agreement(both_orders(said), placed(votes))
        assert (found.same.count, found.same.total, found.undecided, found.unvoted) == (1, 2, 1, 1)
        assert (found.decisive.count, found.decisive.total) == (1, 1)

    def test_a_pair_without_a_verdict_is_not_a_tie_that_agrees_with_a_tie(self):
        votes = [Vote("one", "base", "tuned", TIE, "Ada")]
        assert judge_agreement(both_orders(asked("one", None, None)), placed(votes)).same.total == 0
        assert judge_agreement(both_orders(asked("one", A, A)), placed(votes)).same.count == 1

    def test_two_comparisons_of_the_same_models_on_one_query_are_two_pairs(self):
        said = [
            Single("q", *single, comparison) for comparison in ("c1", "c2") for single in (("m", "n", A), ("n", "m", B))
        ]
        votes = placed([Vote("q", "m", "n", A, "Ada")], "c1") + placed([Vote("q", "m", "n", B, "Ada")], "c2")
        found = judge_agreement(both_orders(said), votes)
        assert (found.same.count, found.same.total) == (1, 2) and found.kappa.reason
        assert position_bias(said).rate.votes == 4

    def test_a_model_that_is_called_tie_is_no_tie(self):
        votes = [Vote("one", "tie", "tuned", TIE, "Ada")]
        found = judge_agreement(both_orders(asked("one", A, B, ("tie", "tuned"))), placed(votes))
        assert (found.same.count, found.same.total) == (0, 1)

    def test_the_interval_is_wilsons(self):
        for count, total in ((0, 8), (31, 42), (8, 8)):
            found, known = rate_of(count, total), binomtest(count, total).proportion_ci(method="wilson")
            assert (found.low, found.high) == pytest.approx((known.low, known.high))
        assert rate_of(0, 0).rate is None

    def test_swapping_the_sides_of_votes_and_of_questions_changes_nothing(self):
        dice = random.Random(4)
        outcomes = [A, B, TIE, BAD]
        votes = [Vote(f"q{n}", "base", "tuned", dice.choice(outcomes), "Ada") for n in range(40)]
        said = [one for n in range(40) for one in asked(f"q{n}", dice.choice(outcomes), dice.choice(outcomes))]
        turned = [
            Vote(vote.query_id, vote.model_b, vote.model_a, TURNED.get(vote.outcome, vote.outcome), vote.annotator)
            for vote in votes
        ]
        assert judge_agreement(both_orders(said), placed(votes)) == judge_agreement(both_orders(said), placed(turned))
        assert judge_agreement(both_orders(said), placed(votes)) == judge_agreement(
            both_orders(said[::-1]), placed(votes)
        )


class TestLeanings:
    def test_a_judge_without_a_leaning_is_at_one_half_however_good_an_answer_is(self):
        found = position_bias([one for n in range(30) for one in asked(f"q{n}", A, B)])
        assert (found.rate.rate, found.rate.votes, found.sign.p_value) == (0.5, 60, 1.0)

    def test_a_judge_that_always_takes_the_first_is_at_one(self):
        found = position_bias([one for n in range(12) for one in asked(f"q{n}", A, A)])
        assert (found.rate.rate, found.rate.votes) == (1.0, 24)
        assert found.sign.p_value == pytest.approx(binomtest(12, 12).pvalue)

    def test_a_pair_with_one_verdict_says_nothing_about_the_order(self):
        assert position_bias(asked("q", A, None)).rate.rate is None

    def test_the_test_is_that_of_mcnemar_on_pairs_that_flipped(self):
        said = [one for n in range(9) for one in asked(f"first{n}", A, A)]
        said += [one for n in range(2) for one in asked(f"second{n}", B, B)]
        said += [one for n in range(20) for one in asked(f"same{n}", A, B)]
        found = position_bias(said)
        assert (found.sign.wins, found.sign.losses, found.sign.even) == (9, 2, 20)
        assert found.sign.p_value == pytest.approx(binomtest(9, 11).pvalue)
        assert found.rate.rate == pytest.approx((18 + 20) / 62)

    def test_the_interval_of_the_position_covers_the_truth_although_two_verdicts_share_a_pair(self):
        dice = np.random.default_rng(6)
        held = 0
        for _ in range(400):
            said = []
            for n in range(40):
                # Half of the pairs flip; of these three in four go to the answer that is shown first.
                if dice.random() < 0.5:
                    said += asked(f"q{n}", *((A, A) if dice.random() < 0.75 else (B, B)))
                else:
                    said += asked(f"q{n}", *((A, B) if dice.random() < 0.6 else (B, A)))
            rate = position_bias(said).rate
            held += rate.low <= 0.25 + 0.375 <= rate.high
        assert 0.925 <= held / 400 <= 0.985

    def test_the_longer_answer_is_counted_on_whichever_side_it_stands(self):
        lengths = (
            {(f"q{n}", "base"): 10 for n in range(4)}
            | {(f"q{n}", "tuned"): 20 for n in range(3)}
            | {("q3", "tuned"): 10}
        )
        votes = [
            Vote("q0", "base", "tuned", B),
            Vote("q1", "tuned", "base", A),
            Vote("q2", "base", "tuned", A),
            Vote("q3", "base", "tuned", A),
            Vote("q0", "base", "tuned", TIE),
        ]
        found = length_preference([(vote.query_id, vote) for vote in votes], lengths)
        assert (found.rate, found.votes) == (pytest.approx(2 / 3), 3)


def test_counts_of_a_judge_add_up():
    dice = random.Random(8)
    said = [
        one
        for n in range(200)
        for one in asked(f"q{n}", dice.choice([A, B, TIE, BAD, None]), dice.choice([A, B, TIE, BAD, None]))
    ]
    pairs = both_orders(said)
    kinds = Counter((pair.outcome is None, pair.flip) for pair in pairs)
    assert len(pairs) == 200 and kinds[True, True] == 0
    assert flips(pairs).total == 200 - kinds[True, False] == len(as_votes(pairs))
