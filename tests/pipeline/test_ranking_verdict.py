"""The sentences on the screen, and the rule behind the word conclusive."""

import random

import pytest
from hypothesis import given

from pipeline.ranking import Level, verdict
from pipeline.ranking.verdict import RULE, about, p_text, percent
from pipeline.records import Outcome, Vote
from tests.pipeline.test_ranking_intervals import VOTES, made


def judged(queries: str | list[str], in_order: bool = True):
    return verdict(made(*queries), "t", "b", in_order)


def mixed(wins: int, losses: int, ties: int = 0) -> list[str]:
    letters = list("w" * wins + "l" * losses + "t" * ties)
    random.Random(1).shuffle(letters)
    return letters


def test_17_to_6_to_5_is_a_lead_and_no_proof() -> None:
    given = judged("w" * 17 + "l" * 6 + "t" * 5, in_order=False)
    assert given.level is Level.NOT_CONCLUSIVE
    assert given.headline == (
        "t is ahead: win rate 70 % [52–83] over 28 queries."
        " Not conclusive yet: about 30 more queries if it goes on like this."
    )
    counted, rule, anytime, sign = given.details
    assert counted == "28 votes; for t: 17 wins, 5 ties, 0 both bad, 6 losses."
    assert rule == RULE
    assert anytime.startswith("Anytime-valid p = 0.29 (majority of each query: 17 to 6)")
    assert sign.startswith("Sign test p = 0.035 (majority of each query: 17 to 6)")


def test_a_clear_result_is_called_conclusive() -> None:
    given = judged(mixed(60, 20, 20))
    assert (given.level, given.leader) == (Level.CONCLUSIVE, "t")
    assert given.headline == "t is preferred: win rate 70 % [62–77] over 100 queries. Conclusive."


def test_the_headline_is_about_the_model_that_leads() -> None:
    given = judged(mixed(20, 60, 20))
    assert given.leader == "b"
    assert given.headline == "b is preferred: win rate 70 % [62–77] over 100 queries. Conclusive."
    assert "for t: 20 wins, 20 ties, 0 both bad, 60 losses." in given.details[0]


@pytest.mark.parametrize(
    ("queries", "headline"),
    [
        ([], "There are no votes on t and b yet."),
        (["t"], "No difference seen: the only vote is a tie. Not conclusive."),
        (["t"] * 12, "No difference seen: all 12 votes are ties. Not conclusive."),
        (["x"], "Neither model is good enough here: the only vote says that both answers are bad."),
        (["xx", "x"], "Neither model is good enough here: all 3 votes say that both answers are bad."),
        (
            ["t", "x", "x"],
            "No difference seen: none of the 3 votes prefers a model (1 tie, 2 both bad). Not conclusive.",
        ),
        (["wl"], "Neither model is ahead: win rate 50 % over 1 query. Not conclusive."),
        (["w", "l"], "Neither model is ahead: win rate 50 % [0.2–99.8] over 2 queries. Not conclusive."),
    ],
)
def test_sparse_votes_are_said_sensibly(queries: list[str], headline: str) -> None:
    given = judged(queries)
    assert given.headline == headline
    assert given.level is (Level.NOT_CONCLUSIVE if queries else Level.NONE)
    assert given.leader == ""
    assert bool(given.details) == bool(queries)


def test_one_query_is_said_in_the_singular_and_has_no_interval() -> None:
    given = verdict([Vote("q", "t", "b", Outcome.MODEL_A, "ann")], "t", "b")
    assert given.headline == (
        "t is ahead: win rate 100 % over 1 query. Not conclusive yet: about 7 more queries if it goes on like this."
    )
    assert given.details[0] == "1 vote by 1 annotator; for t: 1 win, 0 ties, 0 both bad, 0 losses."
    assert given.details[1] == "One query gives no interval."


def test_one_more_query_is_said_in_the_singular() -> None:
    assert judged("wwwwwww").headline.endswith("Not conclusive yet: about 1 more query if it goes on like this.")


def test_an_early_run_of_luck_that_has_faded_is_not_conclusive() -> None:
    given = judged("w" * 9 + "l" * 8 + "w" * 2)
    assert given.anytime.p_value < 0.05
    assert given.level is Level.NOT_CONCLUSIVE
    assert given.headline.endswith("Not conclusive: the evidence was stronger earlier than it is now.")


def test_evidence_for_one_model_never_proves_the_other() -> None:
    # Ten early wins, then losses until the interval is clear of 50 % on the other side.
    given = judged("w" * 10 + "l" * 27)
    assert given.rate.high < 0.5 and given.anytime.p_value < 0.05
    assert (given.leader, given.anytime.favours, given.level) == ("b", "t", Level.NOT_CONCLUSIVE)


def test_no_number_is_named_when_first_votes_and_win_rate_point_apart() -> None:
    given = judged(["wll", "wll", "wll", "l", "w"])
    assert (given.leader, given.needed.favourite) == ("b", "t")
    assert given.headline.endswith("too even to say how many more queries it takes.")


def test_a_tiny_difference_is_called_tiny() -> None:
    given = judged("wl" * 300 + "w")
    assert given.headline.startswith("t is ahead: win rate 50.1 % [46–54] over 601 queries. Not conclusive: ")
    assert "this small takes thousands of queries" in given.headline
    assert "the interval stays within 5 points of 50 %" in given.details[1]


@given(VOTES)
def test_what_is_called_conclusive_meets_the_rule_and_is_the_same_for_either_order(votes: list[Vote]) -> None:
    ours, theirs = verdict(votes, "t", "b"), verdict(votes, "b", "t")
    assert (ours.level, ours.leader) == (theirs.level, theirs.leader)
    if ours.level is Level.CONCLUSIVE:
        assert ours.anytime.p_value < 0.05
        assert ours.rate.low > 0.5 or ours.rate.high < 0.5
    if ours.counts.wins + ours.counts.losses:
        assert ours.headline == theirs.headline
    assert "None" not in ours.headline and "nan" not in ours.headline


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (17 / 28, "61 %"),
        (0.5, "50 %"),
        (0.504, "50.4 %"),
        (0.5004, "50.04 %"),
        (0.496, "49.6 %"),
        (0.0, "0 %"),
        (0.004, "0.4 %"),
        (1.0, "100 %"),
        (0.999, "99.9 %"),
        (0.125, "13 %"),
        (0.505, "51 %"),
        (0.715, "72 %"),
    ],
)
def test_per_cent_are_whole_unless_that_would_say_too_much(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("p_value", "text"),
    [
        (1.0, "= 1"),
        (0.2888, "= 0.29"),
        (0.0347, "= 0.035"),
        (0.0496, "= 0.0496"),
        (0.04999, "= 0.04999"),
        (0.0504, "= 0.05"),
        (0.001, "= 0.001"),
        (0.0009, "< 0.001"),
        (0.0, "< 0.001"),
    ],
)
def test_a_p_value_is_never_rounded_over_the_mark(p_value: float, text: str) -> None:
    assert p_text(p_value) == text


def test_estimates_are_rounded_up_to_what_they_can_bear() -> None:
    assert [about(number) for number in (1, 9, 10, 11, 38, 99, 100, 101, 704, 1234)] == [
        1, 9, 10, 15, 40, 100, 100, 110, 710, 1300,
    ]  # fmt: skip
