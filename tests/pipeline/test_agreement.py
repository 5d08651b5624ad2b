"""Krippendorff's alpha against the values that its author published, a real study, and properties."""

import itertools
import json

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.metrics.agreement import AnnotationTask
from nltk.metrics.distance import masi_distance as masi_of_nltk
from scipy.stats import kendalltau

from pipeline import agreement
from pipeline.agreement import Level, kemeny_distance, krippendorff_alpha, masi_distance, votes_agreement
from pipeline.records import Outcome, Vote

# Krippendorff (2011), section C: four observers, twelve units, values 1 to 5, "." is missing.
OBSERVERS = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)


def table():
    return [
        (unit, rater, int(value))
        for rater, row in enumerate(OBSERVERS)
        for unit, value in enumerate(row.split())
        if value != "."
    ]


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_the_published_example_is_met(level, published):
    result = krippendorff_alpha(table(), Level(level))
    assert round(result.alpha, 3) == published
    assert (result.units, result.raters, result.unanimous) == (11, 4, 8)
    assert result.low < result.alpha <= result.high <= 1


def test_two_observers_and_binary_data_as_published():
    # Krippendorff (2011), section A: ten articles, alpha 0.095.
    meg, owen = "0100000010", "1110010000"
    ratings = [(unit, rater, value) for rater, row in enumerate((meg, owen)) for unit, value in enumerate(row)]
    assert round(krippendorff_alpha(ratings, Level.NOMINAL).alpha, 3) == 0.095


@pytest.mark.shared_data
def test_the_alpha_of_a_real_study_is_met(shared_data):
    folder = shared_data / "preferences_llmfao"
    votes = [json.loads(line) for line in (folder / "votes.jsonl").read_text(encoding="utf-8").splitlines()]

    def unit(vote):
        return vote["question"], *sorted((vote["model_a"], vote["model_b"]))

    ratings = [(unit(vote), (vote["annotator"], number), vote["winner"]) for number, vote in enumerate(votes)]
    assert round(krippendorff_alpha(ratings, Level.NOMINAL, rounds=2).alpha, 4) == 0.2906


def test_what_is_undefined_says_why():
    alone = krippendorff_alpha([("u", "a", 1), ("v", "b", 2)], Level.NOMINAL)
    assert (alone.alpha, alone.units) == (None, 0) and "two people" in alone.reason
    same = krippendorff_alpha([("u", "a", 1), ("u", "b", 1), ("v", "a", 1), ("v", "b", 1)], Level.ORDINAL)
    assert (same.alpha, same.unanimous) == (None, 2) and "same value" in same.reason
    assert krippendorff_alpha([], Level.NOMINAL).alpha is None


def test_one_unit_has_an_alpha_and_no_interval():
    result = krippendorff_alpha([("u", "a", 1), ("u", "b", 2)], Level.NOMINAL)
    assert result.alpha is not None and (result.low, result.high) == (None, None)


def test_votes_agree_on_the_model_and_not_on_the_side():
    votes = [
        Vote("q1", "base", "tuned", Outcome.MODEL_B, "ada"),
        Vote("q1", "tuned", "base", Outcome.MODEL_A, "bo"),
        Vote("q2", "base", "tuned", Outcome.TIE, "ada"),
        Vote("q2", "base", "tuned", Outcome.BOTH_BAD, "bo"),
        Vote("q3", "base", "tuned", Outcome.MODEL_A, "ada"),
    ]
    result = votes_agreement(votes)
    assert (result.units, result.raters, result.unanimous) == (2, 2, 1)


RATINGS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(1, 4)), max_size=24, unique_by=lambda r: (r[0], r[1])
)


@settings(deadline=None)
@given(RATINGS, st.sampled_from([Level.NOMINAL, Level.ORDINAL, Level.INTERVAL]))
def test_the_order_and_the_names_of_raters_and_units_do_not_matter(ratings, level):
    first = krippendorff_alpha(ratings, level, rounds=2)
    renamed = [(f"unit {unit}", f"rater {3 - rater}", value) for unit, rater, value in reversed(ratings)]
    again = krippendorff_alpha(renamed, level, rounds=2)
    assert first.alpha == pytest.approx(again.alpha, abs=1e-12) if first.alpha is not None else again.alpha is None


@settings(deadline=None)
@given(RATINGS)
def test_alpha_stays_between_minus_one_and_one(ratings):
    result = krippendorff_alpha(ratings, Level.NOMINAL, rounds=2)
    if result.alpha is not None:
        assert -1.0 <= result.alpha <= 1.0


def test_the_interval_covers_an_alpha_that_is_known():
    # Raters copy a true value with probability q, else draw at random: alpha is q squared for two raters.
    dice, hits, q = np.random.default_rng(7), 0, 0.8
    for _ in range(200):
        truth = dice.integers(0, 4, 80)
        ratings = [
            (unit, rater, int(truth[unit] if dice.random() < q else dice.integers(0, 4)))
            for unit in range(80)
            for rater in range(2)
        ]
        result = krippendorff_alpha(ratings, Level.NOMINAL, rounds=200)
        hits += result.low <= q * q <= result.high
    assert 0.90 <= hits / 200 <= 0.99


# A. F. Hayes and K. Krippendorff, "Answering the Call for a Standard Reliability Measure for Coding Data" (2007), table 1:
# five observers judge the tone of forty articles from 0 to 3. One line for each observer, "." is missing.
NEWS = (
    "112.001122.01311211000201001111223222221",
    "1130000.21102311121000302102111122222221",
    "203000222100221123001.30.1012202.2232.21",
    ".13....0.10022...31.103021122..122...12.",
    "2..0001.2....3112..0.0..2.0..20.2.2222.1",
)


def news():
    return [
        (unit, rater, int(value)) for rater, row in enumerate(NEWS) for unit, value in enumerate(row) if value != "."
    ]


def test_hayes_and_krippendorffs_news_are_met():
    # Their table 2 gives 0.7598 for the ordinal level; nominal and interval are those of other implementations.
    found = {level: krippendorff_alpha(news(), Level(level)) for level in ("nominal", "ordinal", "interval")}
    assert {level: round(result.alpha, 4) for level, result in found.items()} == {
        "nominal": 0.4765,
        "ordinal": 0.7598,
        "interval": 0.7574,
    }
    assert (found["ordinal"].units, found["ordinal"].raters) == (40, 5)
    # Their bootstrap takes the pairs within an article as independent; over articles the interval is wider.
    assert found["ordinal"].low < 0.7083 and 0.8078 < found["ordinal"].high < 0.9


@settings(deadline=None, max_examples=60)
@given(RATINGS, st.sampled_from([Level.NOMINAL, Level.ORDINAL, Level.INTERVAL]))
def test_another_implementation_gives_the_same(ratings, level):
    found = krippendorff_alpha(ratings, level, rounds=2)
    if found.alpha is not None:
        table = np.full((4, 7), np.nan)
        for unit, rater, value in ratings:
            table[rater, unit] = value
        assert found.alpha == pytest.approx(krippendorff.alpha(table, level_of_measurement=level.value), abs=1e-9)


SETS = [frozenset(some) for size in (1, 2, 3) for some in itertools.combinations("abcd", size)]
RANKINGS = sorted(set(itertools.product((1, 2, 3), repeat=3)))


@pytest.mark.parametrize(
    ("left", "right", "expected"), [("ab", "ab", 0), ("a", "ab", 1 - 1 / 3), ("ab", "bc", 8 / 9), ("a", "b", 1)]
)
def test_masi_is_that_of_passonneau(left, right, expected):
    # Section 3: Jaccard times 1, 2/3 for a subset, 1/3 for an overlap, 0 for nothing in common.
    assert masi_distance(frozenset(left), frozenset(right)) == pytest.approx(expected)


@pytest.mark.parametrize("distance", ["theirs", "ours"])
def test_alpha_over_sets_is_that_of_nltk(distance):
    dice = np.random.default_rng(3)
    ratings = [
        (unit, rater, SETS[dice.integers(len(SETS))]) for unit in range(40) for rater in range(3) if dice.random() < 0.8
    ]
    task = AnnotationTask(
        [(str(rater), str(unit), value) for unit, rater, value in ratings],
        distance=masi_of_nltk if distance == "theirs" else masi_distance,
    )
    # nltk writes 0.67 and 0.33 for two thirds and one third.
    found = krippendorff_alpha(ratings, Level.SETS)
    assert found.alpha == pytest.approx(task.alpha(), abs=0.01 if distance == "theirs" else 1e-9)
    assert found.low < found.alpha < found.high


def test_alpha_over_rankings_is_that_of_nltk_with_the_same_distance():
    dice = np.random.default_rng(4)
    ratings = [(unit, rater, RANKINGS[dice.integers(len(RANKINGS))]) for unit in range(30) for rater in range(3)]
    task = AnnotationTask([(str(rater), str(unit), value) for unit, rater, value in ratings], distance=kemeny_distance)
    assert krippendorff_alpha(ratings, Level.RANKINGS).alpha == pytest.approx(task.alpha(), abs=1e-9)


def test_kemenys_distance_without_ties_is_kendalls_tau():
    for left, right in itertools.product(itertools.permutations((1, 2, 3, 4)), repeat=2):
        assert kemeny_distance(left, right) == pytest.approx((1 - kendalltau(left, right).statistic) / 2, abs=1e-12)
    # A tie lies half-way between the two orders, and only the order of ranks matters.
    assert kemeny_distance((1, 2), (1, 1)) == 0.5
    assert kemeny_distance((1, 1, 3), (2, 2, 3)) == 0


@pytest.mark.parametrize("level", [Level.SETS, Level.RANKINGS, Level.NOMINAL])
def test_many_different_values_come_to_the_same_as_few(level, monkeypatch):
    dice = np.random.default_rng(5)
    pool = {Level.SETS: SETS, Level.RANKINGS: RANKINGS, Level.NOMINAL: list(range(20))}[level]
    truth = dice.integers(0, len(pool), 300)
    ratings = [
        (unit, rater, pool[truth[unit] if dice.random() < 0.7 else dice.integers(len(pool))])
        for unit in range(300)
        for rater in range(3)
    ]
    exact = krippendorff_alpha(ratings, level)
    monkeypatch.setattr(agreement, "EXACT_VALUES", 5)
    first_order = krippendorff_alpha(ratings, level)
    assert first_order.alpha == pytest.approx(exact.alpha, abs=1e-9)
    assert (first_order.low, first_order.high) == pytest.approx((exact.low, exact.high), abs=0.005)
    monkeypatch.setattr(agreement, "MOST_VALUES", 10)
    assert krippendorff_alpha(ratings, level).alpha == pytest.approx(exact.alpha, abs=0.1)


def test_ten_thousand_units_take_no_more_than_a_moment():
    dice = np.random.default_rng(6)
    ratings = [(unit, rater, int(dice.integers(1, 6))) for unit in range(10_000) for rater in range(3)]
    found = krippendorff_alpha(ratings, Level.ORDINAL)
    assert found.units == 10_000 and found.high - found.low < 0.05
