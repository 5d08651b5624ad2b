"""Tasks of Label Studio, in the form of its guide and the examples of its tags; and flat tables read by pandas."""

import io
import json
import zipfile

import pandas
import pytest
from lxml import etree

from pipeline.errors import RecordError
from pipeline.record_files.mapping import convert, propose
from pipeline.record_files.reading import read_bytes, read_settings, read_text
from pipeline.record_files.writing import Form, write
from pipeline.records import ResponseStatus, Suggestion
from tests.pipeline.record_files.test_argilla_files import DUMP
from tests.pipeline.record_files.whole import SETTINGS

CONFIG = """<View>
  <Style>.htx-ranker-item { background: lightgoldenrodyellow; }</Style>
  <Text name="txt" value="$Text"/>
  <Choices name="Tone of it" toName="txt" choice="single" required="true">
    <Choice value="Warm" alias="warm"/><Choice value="Cold"/>
  </Choices>
  <Choices name="topics" toName="txt" choice="multiple"><Choice value="a"/><Choice value="b"/></Choices>
  <Rating name="rating" toName="txt" maxRating="10" icon="star" size="medium" />
  <TextArea name="why" toName="txt"/>
  <List name="results" value="$items" title="Search Results" />
  <Ranker name="rank" toName="results" />
  <Labels name="ner" toName="txt"><Label value="PER"/></Labels>
</View>"""


def result(name, kind, value, to="txt"):
    return {"id": "x", "from_name": name, "to_name": to, "type": kind, "value": value}


TASK = {
    "id": 7,
    "created_at": "2021-03-09T21:52:49.513742Z",
    "project": 83,
    "data": {
        "Text": "Hello",
        "items": [{"id": "blog", "title": "Tips", "body": "B"}, {"id": "mdn", "title": "Arrow", "body": "A"}],
    },
    "meta": {"shop": "north"},
    "annotations": [
        {
            "id": 1001,
            "result": [
                result("Tone of it", "choices", {"choices": ["warm"]}),
                result("topics", "choices", {"choices": ["a", "b"]}),
                result("rating", "rating", {"rating": 4}),
                result("why", "textarea", {"text": ["one", "two"]}),
                result("rank", "ranker", {"ranker": {"rank": ["mdn", "blog"]}}, "results"),
                result("ner", "labels", {"start": 0, "end": 2, "labels": ["PER"]}),
            ],
            "was_cancelled": False,
            "created_at": "2021-03-09T22:16:08.728353Z",
            "updated_at": "2021-03-09T22:16:09.728378Z",
            "lead_time": 4.288,
            "completed_by": {"id": 10, "email": "ada@example.org", "first_name": "Ada", "last_name": "L"},
        },
        {"id": 1002, "result": [], "was_cancelled": True, "completed_by": 11},
        {"id": 1003, "result": [], "was_cancelled": False, "completed_by": 12},
    ],
    "predictions": [
        {"model_version": "model 1", "score": 0.3, "result": [result("Tone of it", "choices", {"choices": ["Cold"]})]},
        {"model_version": "model 2", "score": 0.8, "result": [result("Tone of it", "choices", {"choices": ["warm"]})]},
    ],
}


def test_a_labelling_configuration_is_read():
    source = read_text(json.dumps([TASK]), "tasks.json")
    settings, notes = read_settings(CONFIG, "label_config.xml", source.rows)
    assert [(f.name, f.kind.value) for f in settings.fields] == [("text", "text")]
    assert [(q.name, q.kind.value, q.values, q.required) for q in settings.questions] == [
        ("tone-of-it", "label", ("warm", "Cold"), True),
        ("topics", "multi_label", ("a", "b"), False),
        ("rating", "rating", tuple(range(1, 11)), False),
        ("why", "text", (), False),
        ("rank", "ranking", ("blog", "mdn"), False),
    ]
    assert settings.question("tone-of-it").options[0].text == "Warm"
    assert any("<Labels> was left out" in note for note in notes)


def test_tasks_become_records_responses_and_suggestions():
    source = read_text(json.dumps([TASK]), "tasks.json")
    settings, _ = read_settings(CONFIG, "label_config.xml", source.rows)
    found = convert(settings, source, propose(settings, source))
    (item,) = found.records
    assert (item.record.external_id, item.record.fields, item.record.metadata) == (
        "7",
        {"text": "Hello"},
        {"shop": "north"},
    )
    assert list(item.record.suggestions) == [Suggestion("tone-of-it", "warm", "model 2", 0.8)]
    ada, eleven = item.responses
    assert ada.values == {
        "tone-of-it": "warm",
        "topics": ["a", "b"],
        "rating": 4,
        "why": "one\ntwo",
        "rank": [{"value": "blog", "rank": 2}, {"value": "mdn", "rank": 1}],
    }
    assert (ada.person, ada.seconds, ada.status) == ("Ada L", 4.288, ResponseStatus.SUBMITTED)
    assert ada.updated_at - ada.created_at == pytest.approx(1.000025)
    assert (eleven.person, eleven.status) == ("user 11", ResponseStatus.DISCARDED)
    assert sorted(found.notes) == [
        "1 annotation without any answer was left out.",
        "1 prediction was left out: of several for one question the one with the highest score is taken.",
        "1 result of the type labels was left out: it is about a part, not the whole record.",
    ]


def test_xml_that_would_grow_without_end_is_not_expanded():
    declared = '<!DOCTYPE v [<!ENTITY a "xxxxxxxxxx"><!ENTITY b "&a;&a;&a;&a;">]>'
    bomb = f'<?xml version="1.0"?>{declared}<View><Text name="t" value="$&b;"/></View>'
    with pytest.raises(RecordError):
        read_settings(bomb, "label_config.xml")


def test_a_dataset_comes_back_from_its_form():
    name, content = write(DUMP, Form.LABEL_STUDIO)
    assert name == "Letters-to-Ada-label-studio.zip"
    files = zipfile.ZipFile(io.BytesIO(content))
    root = etree.fromstring(files.read("label_config.xml"))
    names = {element.get("name") for element in root.iter() if element.get("name")}
    for task in json.loads(files.read("tasks.json")):
        for part in [*task["annotations"], *task["predictions"], *task["drafts"]]:
            assert {item["from_name"] for item in part["result"]} | {
                item["to_name"] for item in part["result"]
            } <= names
        used = {element.get("value")[1:] for element in root.iter() if (element.get("value") or "").startswith("$")}
        assert {"text", "order_options"} <= set(task["data"]) & used
    source = read_bytes(content, "x.zip")
    found = convert(SETTINGS, source, propose(SETTINGS, source))
    assert found.problems == ()
    first = found.records[0]
    assert first.record.fields["sources"] == [{"text": "One."}, {"text": "Two.", "title": "T"}]
    assert {s.question for s in first.record.suggestions} == {"tone", "order"}
    known = {(r.person, r.status.value, r.seconds, r.created_at, r.updated_at) for r in first.responses}
    assert known == {
        ("Ada", "submitted", 3.0, 10.5, 11.5),
        ("Bo", "discarded", 0.0, 12.0, 13.0),
        ("Cleo", "draft", 0.0, 14.0, 15.0),
    }
    assert [(q.name, q.kind) for q in source.settings.questions] == [(q.name, q.kind) for q in SETTINGS.questions]


@pytest.mark.parametrize("form", [Form.CSV_RECORDS, Form.PARQUET_RECORDS, Form.CSV_RESPONSES, Form.PARQUET_RESPONSES])
def test_flat_tables_are_read_by_pandas_and_come_back(form):
    name, content = write(DUMP, form)
    read = pandas.read_parquet if name.endswith(".parquet") else pandas.read_csv
    frame = read(io.BytesIO(content))
    of_responses = form in (Form.CSV_RESPONSES, Form.PARQUET_RESPONSES)
    assert len(frame) == (3 if of_responses else 2) and frame["id"][0] == "e-1"
    if of_responses:
        assert list(frame["annotator"]) == ["Ada", "Bo", "Cleo"] and frame["stars"][0] == 4
    source = read_bytes(content, name)
    found = convert(SETTINGS, source, propose(SETTINGS, source))
    assert found.problems == ()
    first = found.records[0]
    # What a spreadsheet would run has an apostrophe in CSV, which is taken off again.
    assert first.record.fields["text"] == "=A 🙂"
    assert first.record.fields["sources"] == DUMP.records[0].fields["sources"]
    given = {response.person: response for response in first.responses}
    assert given["Ada"].values == DUMP.records[0].responses[0].values
    assert given["Cleo"].status is ResponseStatus.DRAFT
    if not of_responses:
        assert {(s.question, s.agent, s.score) for s in first.record.suggestions} == {
            ("tone", "small", 0.5),
            ("order", "", None),
        }
