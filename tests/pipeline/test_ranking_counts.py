"""Counting: models by name, never by side; every kind of vote; nothing unknown passes for a tie."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ComparisonError
from pipeline.ranking import OutcomeCounts, count_outcomes, shares
from pipeline.records import Outcome, Vote, outcome_from_ranks

WINNERS = {"a": Outcome.MODEL_A, "b": Outcome.MODEL_B, "tie": Outcome.TIE, "both_bad": Outcome.BOTH_BAD}


def test_models_are_matched_by_name_on_either_side() -> None:
    votes = [
        Vote("q1", "tuned", "base", Outcome.MODEL_A, "ann"),
        Vote("q2", "base", "tuned", Outcome.MODEL_B, "ben"),
        Vote("q3", "base", "tuned", Outcome.MODEL_A, "ann"),
        Vote("q3", "tuned", "base", Outcome.TIE, ""),
        Vote("q4", "base", "tuned", Outcome.BOTH_BAD, "ben"),
    ]
    assert count_outcomes(votes, "tuned", "base") == OutcomeCounts("tuned", "base", 2, 1, 1, 1, 4, 5, 2)
    assert count_outcomes(votes, "base", "tuned") == OutcomeCounts("base", "tuned", 1, 2, 1, 1, 4, 5, 2)


def test_votes_on_other_pairs_count_for_nothing() -> None:
    votes = [Vote("q1", "tuned", "other", Outcome.MODEL_A, "ann"), Vote("q1", "other", "base", Outcome.MODEL_A, "ann")]
    assert count_outcomes(votes, "tuned", "base") == OutcomeCounts("tuned", "base", 0, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("outcome", ["model_a", "tie", "", None, "bothbad", 1])
def test_what_is_not_an_outcome_raises_even_on_another_pair(outcome: object) -> None:
    for pair in (("tuned", "base"), ("base", "tuned"), ("other", "base")):
        with pytest.raises(ComparisonError, match="is not an outcome"):
            count_outcomes([Vote("q1", *pair, outcome)], "tuned", "base")


def test_a_model_is_not_compared_with_itself() -> None:
    with pytest.raises(ComparisonError, match="cannot be compared with itself"):
        count_outcomes([], "tuned", "tuned")
    with pytest.raises(ComparisonError, match="on both sides"):
        count_outcomes([Vote("q1", "tuned", "tuned", Outcome.TIE)], "tuned", "base")


def test_shares_are_of_all_votes() -> None:
    counts = OutcomeCounts("tuned", "base", wins=11, losses=4, ties=4, both_bad=1, queries=20, votes=20, annotators=1)
    given = shares(counts)
    assert (given.wins, given.ties, given.both_bad, given.losses) == (55, 20, 5, 20)


def test_shares_of_no_votes_are_nothing() -> None:
    given = shares(count_outcomes([], "tuned", "base"))
    assert (given.wins, given.ties, given.both_bad, given.losses) == (0, 0, 0, 0)


@given(st.lists(st.sampled_from(Outcome), min_size=1))
def test_the_four_counts_make_up_all_votes(outcomes: list[Outcome]) -> None:
    counts = count_outcomes([Vote(f"q{n}", "a", "b", outcome) for n, outcome in enumerate(outcomes)], "a", "b")
    assert counts.wins + counts.losses + counts.ties + counts.both_bad == counts.votes == len(outcomes)
    given = shares(counts)
    assert given.wins + given.ties + given.both_bad + given.losses == pytest.approx(100)


def test_the_smaller_rank_is_the_better_one() -> None:
    assert outcome_from_ranks(1, 2) is Outcome.MODEL_A
    assert outcome_from_ranks(3, 2) is Outcome.MODEL_B
    assert outcome_from_ranks(2, 2) is Outcome.TIE


@pytest.mark.parametrize("rank", [0, -1, 1.0, "1", True, None])
def test_a_rank_is_a_whole_number_from_one_up(rank: object) -> None:
    with pytest.raises(ComparisonError, match="1 is the best"):
        outcome_from_ranks(rank, 1)
    with pytest.raises(ComparisonError, match="1 is the best"):
        outcome_from_ranks(1, rank)


def read_votes(path: Path, query: Callable[[dict], str] = lambda row: row["id"]) -> list[Vote]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Vote(query(row), row["model_a"], row["model_b"], WINNERS[row["winner"]], row["annotator"] or "") for row in rows
    ]


@pytest.mark.shared_data
def test_the_published_votes_give_the_published_per_cent(shared_data: Path) -> None:
    folder = shared_data / "argilla_cloud"
    published = json.loads((folder / "published_preference_counts.json").read_text())["newer_notebook_version"]
    counts = count_outcomes(read_votes(folder / "votes_expanded_from_counts.jsonl"), "ft_model", "base_model")
    assert (counts.wins, counts.losses, counts.ties) == tuple(published["counts"].values()) == (17, 6, 5)
    assert (counts.votes, counts.queries, counts.annotators, counts.both_bad) == (28, 28, 1, 0)
    given = shares(counts)
    assert [f"{value:.2f}" for value in (given.wins, given.losses, given.ties)] == ["60.71", "21.43", "17.86"]
    assert published["percent"] == {"ft_model": 60.71, "base_model": 21.43, "tie": 17.86}


@pytest.mark.shared_data
def test_counts_of_8931_crowd_votes_agree_for_every_model(shared_data: Path) -> None:
    folder = shared_data / "preferences_llmfao"
    votes = read_votes(folder / "votes.jsonl")
    expected = json.loads((folder / "computed_here.json").read_text())["model_counts"]
    for model, numbers in expected.items():
        # All opponents are one here: what is counted is the model against the field.
        field = [
            Vote(v.query_id, *(name if name == model else "the field" for name in (v.model_a, v.model_b)), v.outcome)
            for v in votes
            if model in (v.model_a, v.model_b)
        ]
        counts = count_outcomes(field, model, "the field")
        assert (counts.wins, counts.losses, counts.ties) == (numbers["win"], numbers["loss"], numbers["tie"]), model
    assert len(expected) == 59
