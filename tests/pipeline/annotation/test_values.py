"""What may be answered: the value rules of Argilla 2 (its server's validators of response values), and our limits."""

import pytest

from pipeline.annotation.settings import DatasetSettings, Field, FieldKind, Option, Question, QuestionKind
from pipeline.annotation.values import MAX_TEXT_CHARACTERS, check_marks, check_value, check_values, is_answered
from pipeline.errors import RecordError

ABC = tuple(map(Option, "abc"))
TEXT = Question("text", QuestionKind.TEXT)
RATING = Question("rating", QuestionKind.RATING, options=tuple(map(Option, (1, 3, 5))))
LABEL = Question("label", QuestionKind.LABEL, options=ABC)
LABELS = Question("labels", QuestionKind.MULTI_LABEL, options=ABC)
RANKING = Question("ranking", QuestionKind.RANKING, "Order", options=ABC)
ALL = DatasetSettings((Field("f"),), (TEXT, RATING, LABEL, LABELS, RANKING))


def ranks(**given):
    return [{"value": value, "rank": rank} for value, rank in given.items()]


# As Argilla's server takes and refuses them.
TAKEN = [
    (TEXT, "words"),
    (RATING, 3),
    (LABEL, "b"),
    (LABELS, ["a"]),
    (LABELS, ["a", "b", "c"]),
    (RANKING, ranks(a=1, b=2, c=3)),
    (RANKING, ranks(a=1, b=1, c=1)),
    (RANKING, ranks(a=1, b=1, c=3)),
    (RANKING, ranks(a=3, b=3, c=3)),
]
REFUSED = [
    (TEXT, 5, "by a text"),
    (TEXT, ["words"], "by a text"),
    (RATING, 2, "one of 1, 3, 5, not 2"),
    (RATING, "3", "one of 1, 3, 5"),
    (RATING, True, "not True"),
    (LABEL, "d", "one of a, b, c, not 'd'"),
    (LABEL, ["a"], "one of a, b, c"),
    (LABELS, "a", "a list of labels"),
    (LABELS, ["a", "d"], "has no label d"),
    (LABELS, ["a", "a"], "a label twice"),
    (LABELS, [1], "a list of labels"),
    (RANKING, "a", "a list of options"),
    (RANKING, ranks(a=1, b=2), "rank c too"),
    (RANKING, ranks(a=1, b=2, d=3), "ranks each of a, b, c once"),
    (RANKING, ranks(a=1, b=2, c=3) + ranks(a=1), "ranks each of a, b, c once"),
    (RANKING, ranks(a=0, b=1, c=2), "whole numbers from 1 to 3"),
    (RANKING, ranks(a=1, b=2, c=4), "whole numbers from 1 to 3"),
    (RANKING, ranks(a=1, b=2, c=True), "whole numbers from 1 to 3"),
    (RANKING, [{"value": "a"}], "options with their ranks"),
]


@pytest.mark.parametrize(("question", "value"), TAKEN, ids=lambda item: getattr(item, "name", ""))
def test_what_argilla_takes_is_taken_as_it_is(question, value):
    assert check_value(question, value) == value


@pytest.mark.parametrize(("question", "value", "why"), REFUSED, ids=lambda item: getattr(item, "name", ""))
def test_what_argilla_refuses_is_refused_with_the_reason(question, value, why):
    with pytest.raises(RecordError, match=why):
        check_value(question, value)


def test_the_same_choice_is_the_same_value_in_whatever_order_it_was_made():
    assert check_value(LABELS, ["c", "a"]) == ["a", "c"]
    assert check_value(RANKING, ranks(c=1, a=2, b=2)) == ranks(a=2, b=2, c=1)


def test_a_text_is_cleaned_and_has_a_limit():
    assert check_value(TEXT, "a\0b") == "ab"
    with pytest.raises(RecordError, match="50,000 are the limit"):
        check_value(TEXT, "x" * (MAX_TEXT_CHARACTERS + 1))


def test_a_submitted_response_has_every_required_answer_and_a_draft_need_not():
    whole = {"text": "t", "rating": 1, "label": "a", "labels": ["a"], "ranking": ranks(a=1, b=2, c=3)}
    assert check_values(ALL, whole, submitted=True) == whole
    for name in whole:
        rest = {key: value for key, value in whole.items() if key != name}
        assert check_values(ALL, rest, submitted=False) == rest
        with pytest.raises(RecordError, match="before you submit"):
            check_values(ALL, rest, submitted=True)


@pytest.mark.parametrize("empty", ["", "  \n", None, []])
def test_nothing_is_no_answer(empty):
    assert not is_answered(empty)


def test_a_multi_label_is_never_empty():
    with pytest.raises(RecordError, match="“labels”"):
        check_values(DatasetSettings((Field("f"),), (LABELS,)), {"labels": []}, submitted=True)


def test_a_ranking_is_made_step_by_step_in_a_draft_only():
    ranking = DatasetSettings((Field("f"),), (RANKING,))
    assert check_values(ranking, {"ranking": ranks(b=1)}, submitted=False) == {"ranking": ranks(b=1)}
    with pytest.raises(RecordError, match="“Order”: rank a, c too"):
        check_values(ranking, {"ranking": ranks(b=1)}, submitted=True)


def test_an_unknown_question_is_refused():
    with pytest.raises(RecordError, match="no question named other"):
        check_values(ALL, {"other": 1}, submitted=False)


MARKED = DatasetSettings((Field("c", FieldKind.CONTEXTS),), (TEXT,), mark_chunks=True, mark_spans="text")


def test_marks_are_numbers_of_passages_and_places_in_the_text():
    marks = {"chunks": {"1": False, "0": True}, "spans": [{"start": 4, "end": 6}, {"start": 0, "end": 2}]}
    assert check_marks(MARKED, marks, 2, "ab cdef") == {
        "chunks": {"0": True, "1": False},
        "spans": [{"start": 0, "end": 2, "text": "ab"}, {"start": 4, "end": 6, "text": "de"}],
    }


@pytest.mark.parametrize(
    "marks",
    [
        {"chunks": {"2": True}},
        {"chunks": {"0": "yes"}},
        {"spans": [{"start": 0, "end": 8}]},
        {"spans": [{"start": 2, "end": 2}]},
        {"spans": [{"start": -1, "end": 2}]},
        {"spans": [{"start": True, "end": 2}]},
        {"spans": ["ab"]},
    ],
)
def test_marks_that_point_at_nothing_are_refused(marks):
    with pytest.raises(RecordError):
        check_marks(MARKED, marks, 2, "ab cdef")


def test_marks_that_nobody_asked_for_are_refused():
    for marks in ({"chunks": {"0": True}}, {"spans": [{"start": 0, "end": 1}]}):
        with pytest.raises(RecordError, match="does not ask"):
            check_marks(ALL, marks, 2, "text")
