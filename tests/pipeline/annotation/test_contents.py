"""What a record may hold."""

import pytest

from pipeline.annotation.contents import MAX_FIELD_CHARACTERS, check_fields, check_metadata, check_suggestion
from pipeline.annotation.settings import (
    DatasetSettings,
    Field,
    FieldKind,
    MetadataKind,
    MetadataProperty,
    Option,
    Question,
    QuestionKind,
)
from pipeline.errors import RecordError

SETTINGS = DatasetSettings(
    fields=(
        Field("text"),
        Field("note", FieldKind.MARKDOWN, required=False),
        Field("chat", FieldKind.CHAT, required=False),
        Field("passages", FieldKind.CONTEXTS, required=False),
    ),
    questions=(Question("label", QuestionKind.LABEL, options=(Option("a"), Option("b"))),),
    metadata=(
        MetadataProperty("topic", terms=("x", "y")),
        MetadataProperty("free"),
        MetadataProperty("pages", MetadataKind.INTEGER, low=1, high=9),
        MetadataProperty("score", MetadataKind.FLOAT),
    ),
)


def test_values_of_every_kind_come_back_in_their_shape():
    given = {
        "text": "a\0b",
        "chat": [{"role": "user", "content": "Hi", "more": 1}],
        "passages": [
            "one",
            {"text": "two", "title": "T", "score": 1, "id": 7},
            {"text": "three", "score": float("inf")},
        ],
        "note": "",
    }
    assert check_fields(SETTINGS, given) == {
        "text": "ab",
        "chat": [{"role": "user", "content": "Hi"}],
        "passages": [{"text": "one"}, {"text": "two", "title": "T", "score": 1.0}, {"text": "three"}],
    }


def test_one_text_stands_for_a_list_of_passages():
    assert check_fields(SETTINGS, {"text": "t", "passages": "one"})["passages"] == [{"text": "one"}]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "'text' is empty, and every record needs it"),
        ({"text": ""}, "is empty"),
        ({"text": 5}, "is a text, not int"),
        ({"text": "t", "other": "o"}, "no field named other"),
        ({"text": "x" * (MAX_FIELD_CHARACTERS + 1)}, "1,000,000 are the limit"),
        ({"text": "t", "chat": [{"role": "user"}]}, "messages with role and content"),
        ({"text": "t", "chat": 5}, "holds a list"),
        ({"text": "t", "passages": [5]}, "list of texts"),
        ({"text": "t", "passages": [{"text": "x", "score": "high"}]}, "a score a number"),
        ({"text": "t", "passages": ["x"] * 1001}, "at most 1,000 entries"),
    ],
)
def test_what_does_not_fit_is_refused(fields, why):
    with pytest.raises(RecordError, match=why):
        check_fields(SETTINGS, fields)


def test_metadata_that_is_described_is_checked_and_the_rest_is_kept():
    given = {"topic": ["x", "y"], "free": 7, "pages": 3.0, "score": 2, "unknown": ["a", 1], "empty": None}
    assert check_metadata(SETTINGS, given) == {
        "topic": ["x", "y"],
        "free": "7",
        "pages": 3,
        "score": 2.0,
        "unknown": ["a", 1],
    }


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({"topic": "z"}, "one of x, y, not 'z'"),
        ({"topic": True}, "are texts"),
        ({"pages": 10}, "lies between 1 and 9"),
        ({"pages": 2.5}, "whole number"),
        ({"pages": "3"}, "is a number"),
        ({"score": float("nan")}, "is a number"),
        ({"unknown": {"a": 1}}, "a text, a number or a list"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(metadata, why):
    with pytest.raises(RecordError, match=why):
        check_metadata(SETTINGS, metadata)


def test_a_suggestion_is_an_answer_that_the_question_allows():
    assert check_suggestion(SETTINGS, "label", "a", "model", 0.5) == "a"
    assert check_suggestion(SETTINGS, "label", "a", "model", [0.5, 0.2]) == "a"
    for question, value, score, why in (
        ("other", "a", None, "no question named other"),
        ("label", "c", None, "one of a, b"),
        ("label", "a", "high", "is a number"),
        ("label", "a", True, "is a number"),
    ):
        with pytest.raises(RecordError, match=why):
            check_suggestion(SETTINGS, question, value, "model", score)


@pytest.mark.parametrize("value", [10**400, 2**63, float("nan"), [1, float("inf")]])
def test_numbers_that_no_file_can_hold_are_refused(value):
    for name in ("pages", "something else"):
        with pytest.raises(RecordError, match="number"):
            check_metadata(SETTINGS, {name: value})
    with pytest.raises(RecordError, match="number"):
        check_suggestion(SETTINGS, "label", "a", "", value)
