"""Settings that people can work with, and those that lack something."""

from dataclasses import replace

import pytest

from pipeline.annotation.settings import (
    DatasetSettings,
    Field,
    FieldKind,
    Option,
    Question,
    QuestionKind,
    check_settings,
    with_new_guidelines,
)
from pipeline.annotation.templates import templates
from pipeline.errors import RecordError

TEXT = Field("text")
NOTE = Question("note", QuestionKind.TEXT)
PLAIN = DatasetSettings((TEXT,), (NOTE,))


def rating(*values):
    return Question("stars", QuestionKind.RATING, options=tuple(map(Option, values)))


def test_the_smallest_dataset_has_a_field_and_a_question():
    check_settings(PLAIN)


@pytest.mark.parametrize(
    ("settings", "lacks"),
    [
        (DatasetSettings((), (NOTE,)), "Add a field"),
        (DatasetSettings((TEXT,), ()), "Add a question"),
        (DatasetSettings((replace(TEXT, required=False),), (NOTE,)), "Make a field required"),
        (DatasetSettings((TEXT,), (replace(NOTE, required=False),)), "Make a question required"),
        (replace(PLAIN, questions=(NOTE, rating(3))), "has 1 value:"),
        (replace(PLAIN, questions=(NOTE, Question("l", QuestionKind.LABEL, "Which?"))), "'Which.' has 0 options"),
        (replace(PLAIN, questions=(NOTE, Question("r", QuestionKind.RANKING, options=(Option("a"),)))), "at least 2"),
        (replace(PLAIN, mark_chunks=True), "of the kind contexts"),
        (replace(PLAIN, mark_spans="nowhere"), "'nowhere' is neither"),
        (
            replace(PLAIN, fields=(TEXT, Field("c", FieldKind.CONTEXTS)), mark_spans="c"),
            "a text field or a text question",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_missing_is_said(settings, lacks):
    with pytest.raises(RecordError, match=lacks):
        check_settings(settings)


def test_a_rating_has_two_to_eleven_values_as_in_argilla():
    check_settings(replace(PLAIN, questions=(rating(0, 1),)))
    check_settings(replace(PLAIN, questions=(rating(*range(11)),)))


def test_spans_are_marked_in_a_text_field_or_in_the_text_that_is_suggested():
    check_settings(replace(PLAIN, mark_spans="text"))
    check_settings(replace(PLAIN, mark_spans="note"))


def test_other_guidelines_are_the_next_version_and_the_same_ones_are_not():
    second = with_new_guidelines(PLAIN, "Read.")
    assert (second.guidelines, second.guidelines_version) == ("Read.", 2)
    assert with_new_guidelines(second, "Read.") is second


def test_the_places_for_a_run_are_the_first_of_their_kinds():
    review = next(item.settings for item in templates() if item.name == "answer-review")
    assert (review.query_field, review.contexts_field, review.answer_question) == ("query", "contexts", "answer")
    bare = DatasetSettings((Field("c", FieldKind.CHAT),), (rating(1, 2),))
    assert (bare.query_field, bare.contexts_field, bare.answer_question) == ("", "", "")
