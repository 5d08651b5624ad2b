"""One answer out of many, and what takes precedence."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Response, ResponseStatus
from pipeline.unification import State, unify
from tests.reviewed import AGREED, CLOSE, OTHERS, SETTINGS, ranks


def responses(*answers, status=ResponseStatus.SUBMITTED):
    return [Response(f"r{n}", "record", f"person {n}", status, answer) for n, answer in enumerate(answers)]


def rated(*numbers):
    return unify(SETTINGS, responses(*({"quality": number} for number in numbers)))["quality"]


def toned(*tones):
    return unify(SETTINGS, responses(*({"tone": tone} for tone in tones)))["tone"]


def with_topics(*topics):
    return unify(SETTINGS, responses(*({"topics": some} for some in topics)))["topics"]


def test_ratings_have_a_mean_and_a_median_and_the_median_stands():
    found = rated(1, 4, 4, 5)
    assert (found.state, found.value, found.mean, found.median) == (State.UNIFIED, 4.0, 3.5, 4.0)
    assert rated(4, 5).value == 4.5


def test_the_label_with_most_votes_stands_and_a_tie_stays_unresolved():
    assert toned("warm", "cold", "warm").value == "warm"
    tie = toned("warm", "cold")
    assert (tie.state, tie.value, tie.given) == (State.UNRESOLVED, None, ("warm", "cold"))


def test_labels_stand_that_more_than_half_chose():
    assert with_topics(["fees", "fuel"], ["fees"], ["fuel", "storms"]).value == ["fees", "fuel"]
    # Two of four are half, and not more.
    assert with_topics(["fees"], ["fees"], ["fuel"], ["storms"]).state is State.UNRESOLVED


def test_rankings_go_by_mean_rank_and_equal_means_share_a_rank():
    given = responses(*({"order": some} for some in (ranks(a=1, b=2, c=3), ranks(a=2, b=1, c=3))))
    assert unify(SETTINGS, given)["order"].value == ranks(a=1, b=1, c=3)


def test_all_texts_are_kept_and_one_stands_where_all_wrote_the_same():
    found = unify(SETTINGS, responses({"answer": "Twelve euros."}, {"answer": "Twelve  euros. "}))["answer"]
    assert (found.state, found.value) == (State.UNIFIED, "Twelve euros.")
    found = unify(SETTINGS, responses({"answer": "Twelve euros."}, {"answer": "Ten."}))["answer"]
    assert (found.state, found.given) == (State.UNRESOLVED, ("Twelve euros.", "Ten."))


@pytest.mark.parametrize("status", [ResponseStatus.DRAFT, ResponseStatus.DISCARDED])
def test_drafts_and_discards_never_count(status):
    found = unify(SETTINGS, responses(AGREED) + responses(OTHERS, OTHERS, status=status))
    assert found["quality"].given == (4,) and found["tone"].value == "warm"


def test_edits_that_are_not_submitted_do_not_count():
    edited = [replace(responses(AGREED)[0], edits={"values": OTHERS, "marks": {}})]
    assert unify(SETTINGS, edited)["quality"].value == 4


def test_what_was_decided_comes_first_and_the_answers_stay_beside_it():
    found = unify(SETTINGS, responses(AGREED, CLOSE), {"quality": 1})
    assert (found["quality"].state, found["quality"].value, found["quality"].given) == (State.ADJUDICATED, 1, (4, 5))
    assert found["tone"].state is State.UNIFIED


def test_what_nobody_answered_is_said_so():
    assert {item.state for item in unify(SETTINGS, []).values()} == {State.UNANSWERED}
    assert unify(SETTINGS, responses({"answer": "  "}))["answer"].state is State.UNANSWERED


@given(st.permutations([AGREED, AGREED, CLOSE, OTHERS]))
def test_the_order_of_people_does_not_matter(answers):
    values = {name: item.value for name, item in unify(SETTINGS, responses(*answers)).items()}
    assert values == {
        name: item.value for name, item in unify(SETTINGS, responses(AGREED, AGREED, CLOSE, OTHERS)).items()
    }
