"""Checks, fractions and slices: against counts by hand, SciPy, published data and simulated annotators."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.agreement import votes_agreement
from pipeline.errors import ComparisonError
from pipeline.ranking import dissent, fast_votes, slices, unanimity, verdict, win_fractions, win_rate
from pipeline.records import Outcome, Vote
from tests.pipeline.test_ranking_counts import read_votes
from tests.pipeline.test_ranking_intervals import FLIPPED, made
from tests.pipeline.test_ranking_ratings import RING, VOTES

A, B, TIE, BAD = Outcome.MODEL_A, Outcome.MODEL_B, Outcome.TIE, Outcome.BOTH_BAD


def of(annotator: str, query: str, outcome: Outcome, seconds: float | None = None, swapped: bool = False) -> Vote:
    if swapped:
        return Vote(query, "b", "t", FLIPPED.get(outcome, outcome), annotator, seconds)
    return Vote(query, "t", "b", outcome, annotator, seconds)


def test_unanimity_is_of_pairs_with_two_votes_or_more_whatever_the_sides() -> None:
    votes = [of("ann", "q1", A), of("ben", "q1", A, swapped=True), of("ann", "q2", TIE), of("ben", "q2", BAD)]
    votes += [of("ann", "q3", B), of("ann", "q4", B), of("ben", "q4", B), of("cyd", "q4", B)]
    given = unanimity(votes)
    expected = stats.binomtest(2, 3).proportion_ci(0.95, method="wilson")
    assert (given.unanimous, given.judged, given.rate) == (2, 3, 2 / 3)
    assert (given.low, given.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert (unanimity([]).judged, unanimity([]).rate) == (0, None)
    assert votes_agreement(votes).unanimous == given.unanimous


def test_one_query_on_two_pairs_of_models_is_two_units() -> None:
    votes = [Vote("q", "t", "b", A, "ann"), Vote("q", "t", "c", B, "ben")]
    assert unanimity(votes).judged == 0 and dissent(votes) == ()


@pytest.mark.shared_data
def test_unanimity_of_a_real_study_is_that_of_agreement(shared_data: Path) -> None:
    votes = read_votes(shared_data / "preferences_llmfao" / "votes.jsonl", lambda row: str(row["pair_id"]))
    given, other = unanimity(votes), votes_agreement(votes)
    assert (given.unanimous, given.judged) == (other.unanimous, other.units)
    # Nobody's votes were counted twice or left out: each vote has others on its pair.
    assert 0 < sum(item.judged for item in dissent(votes)) <= len(votes)


def crowd(random, contrary: int = 0, people: int = 12, queries: int = 150) -> list[Vote]:
    """Three people vote on each query and say the same in 8 of 10; the contrary ones say the opposite."""
    votes = []
    for number in range(queries):
        truth = A if random.random() < 0.5 else B
        for person in random.choice(people, 3, replace=False):
            said = truth if random.random() < 0.8 else FLIPPED[truth]
            votes.append(of(f"w{person}", f"q{number}", FLIPPED[said] if person < contrary else said))
    return votes


def test_one_who_says_the_opposite_of_everyone_is_found_and_nobody_else() -> None:
    given = dissent(crowd(np.random.default_rng(1), contrary=1))
    assert [item.annotator for item in given if item.flagged] == ["w0"]
    assert given[0].annotator == "w0" and given[0].rate < 0.4 < given[0].others


def test_the_numbers_are_those_of_leaving_one_out_by_hand() -> None:
    votes = [of(who, "q1", said) for who, said in (("ann", A), ("ben", A), ("cyd", B))]
    votes += [of(who, "q2", said) for who, said in (("ann", A), ("ben", B), ("cyd", B), ("dee", B))]
    votes += [of("", "q2", A), of("", "q2", A)]
    found = {item.annotator: item for item in dissent(votes)}
    # q1: ann's others say A and B, which is no majority; cyd's say A twice. q2: the three who said B have B, A, B or so.
    assert {name: (item.agreed, item.judged) for name, item in found.items()} == {
        "ann": (0, 1),
        "ben": (1, 1),
        "cyd": (1, 2),
        "dee": (1, 1),
    }
    ann = found["ann"]
    assert ann.others == pytest.approx(3 / 4)
    assert ann.p_value == pytest.approx(stats.binomtest(0, 1, 3 / 4, alternative="less").pvalue)
    assert ann.adjusted == pytest.approx(min(1, 4 * ann.p_value)) and not ann.flagged


def test_among_annotators_who_are_alike_one_is_flagged_in_about_5_per_cent_at_most() -> None:
    random = np.random.default_rng(2)
    flagged = [any(item.flagged for item in dissent(crowd(random, queries=80))) for _ in range(200)]
    assert np.mean(flagged) <= 0.08


def test_holm_is_that_of_the_textbook() -> None:
    given = dissent(crowd(np.random.default_rng(3), contrary=2))
    p_values = sorted(item.p_value for item in given)
    expected = np.minimum(1, np.maximum.accumulate([p * (len(p_values) - n) for n, p in enumerate(p_values)]))
    assert [item.adjusted for item in given] == pytest.approx(list(expected))


def test_fast_votes_are_counted_and_never_dropped() -> None:
    votes = [
        of("ann", "q1", A, 1.9),
        of("ann", "q2", A, 2.0),
        of("ben", "q1", B, 0.5),
        of("cyd", "q1", A),
        of("dee", "q1", A, 9),
    ]
    given = fast_votes(votes)
    assert (given.fast, given.timed, given.untimed, given.under) == (2, 4, 1, 2.0)
    assert given.annotators == (("ben", 1, 1), ("ann", 1, 2))
    assert fast_votes([]).timed == 0


def test_win_fractions_are_the_win_rates_of_all_pairs() -> None:
    given = win_fractions(RING)
    for i, row in enumerate(given.models):
        for j, column in enumerate(given.models):
            if i == j:
                assert (given.rates[i][j], given.votes[i][j]) == (None, 0)
                continue
            plain = win_rate(RING, row, column)
            assert (given.rates[i][j], given.votes[i][j], given.queries[i][j]) == (
                plain.rate,
                plain.votes,
                plain.queries,
            )
    assert list(given.mean) == sorted(given.mean, reverse=True)


@given(VOTES)
def test_win_fractions_of_two_models_sum_to_one(votes: list[Vote]) -> None:
    given = win_fractions(votes)
    for i in range(len(given.models)):
        for j in range(len(given.models)):
            if given.rates[i][j] is not None:
                assert given.rates[i][j] + given.rates[j][i] == pytest.approx(1)
                assert 1 <= given.queries[i][j] == given.queries[j][i] <= given.votes[i][j] == given.votes[j][i]
    assert sum(map(sum, given.votes)) == 2 * len(votes)


def test_win_fractions_come_in_the_order_asked_for() -> None:
    given = win_fractions(RING, ["dog", "nobody", "ant"])
    assert given.models == ("dog", "nobody", "ant")
    assert given.rates[0] == (None, None, 0.5) and given.mean[1] is None
    assert win_fractions([]).models == ()
    with pytest.raises(ComparisonError, match="named twice"):
        win_fractions(RING, ["ant", "ant"])


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["preferences_small/food", "preferences_small/simple", "preferences_llmfao/"])
def test_the_means_of_the_rows_are_the_published_average_win_rates(shared_data: Path, name: str) -> None:
    folder, _, prefix = name.rpartition("/")
    mark = f"{prefix}_" if prefix else ""
    given = win_fractions(read_votes(shared_data / folder / f"{mark}votes.jsonl"))
    published = json.loads((shared_data / folder / f"{mark}published_scores.json").read_text())["average_win_rate"]
    means = dict(zip(given.models, given.mean, strict=True))
    assert means == pytest.approx({row["model"]: row["score"] for row in published}, abs=1e-12)


def test_each_part_has_the_verdict_of_its_votes() -> None:
    votes = made(*("w" * 20 + "l" * 12 + "t" * 8))
    given = slices(votes, "t", "b", lambda vote: "low" if int(vote.query_id[1:]) % 4 == 0 else "high")
    assert [(part.name, part.verdict.counts.votes) for part in given.parts] == [("high", 30), ("low", 10)]
    high = [vote for vote in votes if int(vote.query_id[1:]) % 4]
    assert given.parts[0].verdict == verdict(high, "t", "b")
    assert (given.unknown, given.hidden) == (0, 0)
    assert given.warning.startswith("2 parts were looked at.") and "10 % of cases" in given.warning


def test_a_vote_may_be_in_several_parts_or_in_none() -> None:
    votes = [*made("w", "l", "t"), Vote("q0", "t", "other", A)]
    labels = {"q0": ["fees", "hours", "fees"], "q1": "fees", "q2": None}
    given = slices(votes, "t", "b", lambda vote: labels[vote.query_id])
    assert [(part.name, part.verdict.counts.votes) for part in given.parts] == [("fees", 2), ("hours", 1)]
    assert given.unknown == 1


def test_one_part_needs_no_warning_and_no_vote_no_part() -> None:
    assert slices(made("w"), "t", "b", lambda vote: "all").warning == ""
    assert slices([], "t", "b", lambda vote: "all").parts == ()


def test_a_part_stands_out_only_after_correction_for_all_parts() -> None:
    votes = [Vote(f"q{part}-{n}", "t", "b", A if n % 12 else B) for part in range(1) for n in range(12)]
    alone = slices(votes, "t", "b", lambda vote: "p0").parts[0]
    assert alone.stands_out and alone.adjusted == alone.verdict.anytime.p_value
    others = [Vote(f"r{part}-{n}", "t", "b", TIE) for part in range(20) for n in range(2)]
    among = slices([*votes, *others], "t", "b", lambda vote: vote.query_id.partition("-")[0]).parts[0]
    assert among.verdict.anytime == alone.verdict.anytime
    assert among.adjusted == pytest.approx(min(1, 21 * alone.adjusted)) and not among.stands_out


def test_parts_beyond_fifty_are_hidden_but_counted_as_looks() -> None:
    votes = [Vote(f"q{n}", "t", "b", TIE) for n in range(60)]
    given = slices(votes, "t", "b", lambda vote: vote.query_id)
    assert (len(given.parts), given.hidden) == (50, 10) and given.warning.startswith("60 parts")


@given(st.lists(st.sampled_from(Outcome), max_size=30), st.randoms())
def test_checks_do_not_see_sides_or_order(outcomes: list[Outcome], random) -> None:
    votes = [of(f"w{n % 4}", f"q{n % 7}", outcome, n % 5) for n, outcome in enumerate(outcomes)]
    swapped = [of(v.annotator, v.query_id, v.outcome, v.seconds, swapped=True) for v in votes]
    random.shuffle(swapped)
    for check in (unanimity, dissent, fast_votes):
        assert check(votes) == check(swapped)
