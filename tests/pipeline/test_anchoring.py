"""What showing a suggestion does to answers."""

import pytest

from pipeline.anchoring import SuggestedAnswer, anchoring_report, difference_interval, suggested_answers
from pipeline.differences import words_apart
from pipeline.records import Record, Response, ResponseStatus, Suggestion
from tests.reviewed import SETTINGS


def answer(number, prefilled, unchanged, who="ada", agent="base", distance=None, seconds=10.0):
    return SuggestedAnswer(f"r{number}", who, agent, "answer", prefilled, unchanged, distance, seconds)


def test_the_interval_of_a_difference_is_newcombes():
    # Newcombe (1998), table II, (a) 56/70 − 48/80 and (d) 5/56 − 0/29, method 10.
    assert difference_interval((56, 70), (48, 80)) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert difference_interval((5, 56), (0, 29)) == pytest.approx((0.0893, -0.0381, 0.1926), abs=5e-5)


def test_both_sides_are_counted_and_held_against_each_other():
    prefilled = [answer(n, True, n < 9, distance=0.0 if n < 9 else 0.5, seconds=5.0) for n in range(10)]
    plain = [answer(n, False, n < 12, who="bo", distance=1.0, seconds=20.0) for n in range(10, 20)]
    unknown = [answer(99, None, True)]
    report = anchoring_report([*prefilled, *plain, *unknown])
    line = report.overall
    assert (line.prefilled.answers, line.prefilled.unchanged, line.prefilled.share) == (10, 9, 0.9)
    assert (line.plain.answers, line.plain.share) == (10, 0.2)
    # Wilson's interval of 9 in 10, as in any table of it.
    assert (line.prefilled.low, line.prefilled.high) == pytest.approx((0.5958, 0.9821), abs=5e-5)
    assert line.difference == pytest.approx(0.7) and line.low < 0.7 < line.high
    assert (line.prefilled.distance, line.plain.distance) == (pytest.approx(0.05), 1.0)
    assert (line.prefilled.seconds, line.plain.seconds) == (5.0, 20.0)
    assert report.unknown == 1 and set(report.annotators) == {"ada", "bo"} and set(report.agents) == {"base"}
    # Ada always saw the suggestion: there is nothing to hold her answers against.
    assert report.annotators["ada"].difference is None and report.annotators["ada"].plain.answers == 0


def test_a_response_with_two_suggestions_has_one_time():
    both = [answer(1, True, True, seconds=40.0), SuggestedAnswer("r1", "ada", "base", "tone", True, True, None, 40.0)]
    side = anchoring_report([*both, answer(2, True, True, seconds=10.0)]).overall.prefilled
    assert (side.answers, side.timed, side.seconds) == (3, 2, 25.0)


def test_answers_are_held_against_their_suggestion_and_drafts_are_not():
    text = "Boats pay twelve euros a night"
    suggestions = {
        "answer": Suggestion("answer", text, "base"),
        "topics": Suggestion("topics", ["fees", "fuel"], "rules"),
    }
    record = Record("one", "d", 0, {"query": "?"}, suggestions=suggestions)
    values = {"answer": "Boats pay ten euros a night", "topics": ["fuel", "fees"], "tone": "warm"}
    given = [
        Response("r1", "one", "ada", ResponseStatus.SUBMITTED, values, 12.0, prefilled=True),
        Response("r2", "one", "bo", ResponseStatus.DRAFT, values, prefilled=True),
        Response("r3", "gone", "cy", ResponseStatus.SUBMITTED, values, prefilled=True),
    ]
    found = {item.question: item for item in suggested_answers(SETTINGS, {"one": record}, given)}
    assert set(found) == {"answer", "topics"} and all(item.response_id == "r1" for item in found.values())
    assert not found["answer"].unchanged and found["answer"].distance == pytest.approx(1 / 6)
    # The order of labels says nothing.
    assert found["topics"].unchanged and found["topics"].distance is None and found["topics"].agent == "rules"


def test_words_apart_is_the_edit_distance_of_the_textbook():
    # Wagner and Fischer's three operations, here on words: "kitten" to "sitting" needs three, over seven.
    assert words_apart(tuple("kitten"), tuple("sitting")) == pytest.approx(3 / 7)
    assert words_apart((), ()) == 0 and words_apart(("a",), ()) == 1


def test_no_answers_make_a_report_that_says_so():
    report = anchoring_report([])
    assert report.overall.prefilled.share is None and report.overall.difference is None and report.annotators == {}
