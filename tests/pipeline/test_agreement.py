"""Krippendorff's alpha against the values that its author published, a real study, and properties."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.agreement import Level, krippendorff_alpha, votes_agreement
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
