"""Where columns go, what comes of the rows, and what is said of those that are wrong."""

import json

import pytest

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
from pipeline.record_files.conversion import field_value, question_value
from pipeline.record_files.mapping import convert, propose
from pipeline.record_files.proposing import propose_settings
from pipeline.record_files.reading import read_text
from pipeline.records import ResponseStatus, Suggestion

SETTINGS = DatasetSettings(
    fields=(Field("user_text", title="User text"), Field("sources", FieldKind.CONTEXTS, required=False)),
    questions=(
        Question("tone", QuestionKind.LABEL, options=(Option("warm", "Very warm"), Option("cold"))),
        Question(
            "topics", QuestionKind.MULTI_LABEL, required=False, options=(Option("a"), Option("b, c"), Option("d"))
        ),
        Question("stars", QuestionKind.RATING, required=False, options=tuple(Option(n) for n in range(1, 6))),
        Question("order", QuestionKind.RANKING, required=False, options=(Option("x"), Option("y"))),
    ),
    metadata=(MetadataProperty("price", MetadataKind.FLOAT), MetadataProperty("shop")),
)
TONE, TOPICS, STARS, ORDER = SETTINGS.questions


def taken(text, settings=SETTINGS):
    source = read_text(text, "x.csv")
    return convert(settings, source, propose(settings, source))


def test_names_are_recognised_whatever_their_case_and_blanks():
    source = read_text("External-ID,USER TEXT,Tone,Price,other\n1,a,warm,2,z\n", "x.csv")
    assert propose(SETTINGS, source) == {
        "External-ID": "id",
        "USER TEXT": "field:user_text",
        "Tone": "suggestion:tone",
        "Price": "metadata:price",
        "other": "",
    }


def test_an_external_id_wins_over_a_counted_one():
    source = read_text("id,external_id,user_text\n1,e-1,a\n", "x.csv")
    assert propose(SETTINGS, source) == {"id": "", "external_id": "id", "user_text": "field:user_text"}


def test_the_only_text_goes_to_the_only_field_that_needs_one():
    source = read_text('[{"prompt": "a", "id": "1"}]', "x.json")
    assert propose(SETTINGS, source)["prompt"] == "field:user_text"


def test_rows_become_records_with_suggestions_and_metadata():
    (item,) = taken(
        'id,user text,tone,stars,price,sources\n7,Hi,very WARM,4.0,"2.5","[""one"", {""content"": ""two""}]"\n'
    ).records
    record = item.record
    assert record.fields == {"user_text": "Hi", "sources": [{"text": "one"}, {"text": "two"}]}
    assert (record.external_id, record.metadata) == ("7", {"price": 2.5})
    assert list(record.suggestions) == [Suggestion("tone", "warm"), Suggestion("stars", 4)]


@pytest.mark.parametrize(
    ("question", "cell", "value"),
    [
        (TOPICS, '["a", "d"]', ["a", "d"]),
        (TOPICS, "a; D", ["a", "d"]),
        (TOPICS, "a|d", ["a", "d"]),
        (TOPICS, "b, c", ["b, c"]),
        (TOPICS, "a, d", ["a", "d"]),
        (STARS, "4", 4),
        (STARS, 4.0, 4),
        (STARS, "4.5", 4.5),
        (ORDER, ["y", "x"], [{"value": "y", "rank": 1}, {"value": "x", "rank": 2}]),
        (ORDER, "y > x", [{"value": "y", "rank": 1}, {"value": "x", "rank": 2}]),
        (
            ORDER,
            [{"value": "x", "rank": 1.0}, {"value": "y", "rank": 1}],
            [{"value": "x", "rank": 1}, {"value": "y", "rank": 1}],
        ),
        (TONE, ["cold"], "cold"),
        (TONE, "", None),
    ],
)
def test_cells_become_values_of_their_kind(question, cell, value):
    assert question_value(question, cell) == value


def test_chats_of_either_form_become_messages():
    chat = Field("chat", FieldKind.CHAT)
    assert field_value(chat, '[{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yes"}]') == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes"},
    ]
    assert field_value(chat, "Hi") == [{"role": "user", "content": "Hi"}]


def test_each_wrong_row_is_named_with_its_reason():
    prepared = taken("user text,tone,price\nok,warm,1\n,warm,1\nx,hot,1\ny,cold,dear\nz,cold,1,2\n")
    assert [item.place for item in prepared.records] == ["row 2"]
    assert [(problem.place, word in problem.reason) for problem, word in zip(
        prepared.problems, ("empty", "hot", "dear", "cells (4)"), strict=True
    )] == [("row 3", True), ("row 4", True), ("row 5", True), ("row 6", True)]  # fmt: skip


def test_a_field_without_a_column_and_a_place_with_two_are_refused():
    source = read_text("a,b\n1,2\n", "x.csv")
    with pytest.raises(RecordError, match="Choose the column for “User text”"):
        convert(SETTINGS, source, {"a": "", "b": ""})
    with pytest.raises(RecordError, match="'a' and 'b' go to the same place"):
        convert(SETTINGS, source, {"a": "field:user_text", "b": "field:user_text"})


def test_of_rows_with_one_id_the_last_counts_with_everybodys_answers():
    text = "id,user text,tone,annotator,status\n1,old,warm,Ada,submitted\n1,new,cold,Bo,\n2,z,warm,Ada,discarded\n"
    prepared = taken(text)
    first, second = prepared.records
    assert first.record.fields == {"user_text": "new"} and "1 row has the id" in prepared.notes[0]
    assert [(r.person, r.values) for r in first.responses] == [("Ada", {"tone": "warm"}), ("Bo", {"tone": "cold"})]
    assert second.responses[0].status is ResponseStatus.DISCARDED


def test_settings_are_proposed_from_what_the_columns_hold():
    chat = [{"role": "user", "content": "Hi"}]
    rows = [
        {"id": str(n), "Body": f"Text number {n}", "mood": ("good", "bad")[n % 2], "weight": n / 2, "chat": chat}
        for n in range(6)
    ]
    settings = propose_settings(read_text(json.dumps(rows), "x.json"))
    assert [(f.name, f.kind.value, f.title) for f in settings.fields] == [
        ("body", "text", "Body"),
        ("chat", "chat", ""),
    ]
    assert [(q.name, q.kind.value, q.values) for q in settings.questions] == [("mood", "label", ("bad", "good"))]
    assert [(m.name, m.kind.value) for m in settings.metadata] == [("weight", "float")]


def test_the_options_that_are_proposed_are_those_that_models_suggest_and_those_that_people_choose():
    def task(number):
        def choice(label):
            return {"type": "choices", "from_name": "mood", "to_name": "text", "value": {"choices": [label]}}

        said = [{"id": number, "completed_by": 1, "result": [choice("good")]}]
        guess = [{"model_version": "m", "score": 0.5, "result": [choice("bad")]}]
        return {"id": number, "data": {"text": f"Text {number}"}, "annotations": said, "predictions": guess}

    source = read_text(json.dumps([task(1), task(2)]), "x.json")
    settings = propose_settings(source)
    assert settings.question("mood").values == ("bad", "good")
    prepared = convert(settings, source, propose(settings, source))
    assert len(prepared.records) == 2 and not prepared.problems
