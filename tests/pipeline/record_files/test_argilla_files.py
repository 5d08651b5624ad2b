"""Files of Argilla: written by its own library and read here, written here and read by its own library."""

import io
import json
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID

import argilla
import pytest
from argilla.records._io import GenericIO

from pipeline.dump import Dump, DumpRecord, DumpResponse
from pipeline.record_files.argilla import UNSAID
from pipeline.record_files.mapping import convert, propose
from pipeline.record_files.reading import read_bytes, read_settings, read_text
from pipeline.record_files.writing import Form, write
from pipeline.records import ResponseStatus, Suggestion
from tests.pipeline.record_files.whole import SETTINGS

ADA, BO = UUID(int=1), UUID(int=2)


class Server(BaseHTTPRequestHandler):
    """Says who is asking, which is all that the library wants to know before it lets anybody make settings."""

    def do_GET(self):
        who = {"id": str(ADA), "username": "ada", "role": "owner", "first_name": "Ada", "version": argilla.__version__}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(who).encode())

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture(scope="module", autouse=True)
def server():
    listening = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    # The one that all settings are made with which name no other.
    argilla.Argilla._default_client = argilla.Argilla(
        api_url=f"http://127.0.0.1:{listening.server_port}", api_key="none"
    )
    yield
    argilla.Argilla._default_client = None
    listening.shutdown()
    listening.server_close()


@pytest.fixture(scope="module")
def theirs():
    """Settings and a record as a user of Argilla makes them."""
    settings = argilla.Settings(
        guidelines="Read.",
        fields=[
            argilla.TextField("text", use_markdown=True),
            argilla.ChatField("chat", required=False),
        ],
        questions=[
            argilla.LabelQuestion("label", labels={"pos": "Positive", "neg": "Negative"}),
            argilla.MultiLabelQuestion("topics", labels=["a", "b"], required=False),
            argilla.RatingQuestion("stars", values=[1, 2, 3], required=False),
            argilla.RankingQuestion("order", values=["x", "y"], required=False),
            argilla.TextQuestion("why", required=False),
        ],
        metadata=[argilla.FloatMetadataProperty("price")],
        distribution=argilla.TaskDistribution(min_submitted=2),
    )
    record = argilla.Record(
        id="e-1",
        fields={"text": "Hello", "chat": [{"role": "user", "content": "Hi"}]},
        metadata={"price": 2.5},
        suggestions=[
            argilla.Suggestion("label", "pos", score=0.9, agent="small"),
            argilla.Suggestion("order", ["y", "x"]),
            argilla.Suggestion("topics", ["a"], score=[0.5], agent="small"),
        ],
        responses=[
            argilla.Response("label", "neg", ADA, status="submitted"),
            argilla.Response("order", ["x", "y"], ADA, status="submitted"),
            argilla.Response("stars", 3, ADA, status="submitted"),
            argilla.Response("label", "pos", BO, status="draft"),
        ],
    )
    return settings, record


def prepared(settings, source):
    found = convert(settings, source, propose(settings, source))
    assert found.problems == ()
    return found.records


def test_settings_that_argilla_writes_are_read(theirs):
    settings, notes = read_settings(json.dumps(theirs[0].serialize(), default=str), "settings.json")
    assert notes == [] and settings.guidelines == "Read." and settings.distribution.min_submitted == 2
    assert [(f.name, f.kind.value, f.required) for f in settings.fields] == [
        ("text", "markdown", True),
        ("chat", "chat", False),
    ]
    assert [(q.name, q.kind.value) for q in settings.questions] == [
        ("label", "label"),
        ("topics", "multi_label"),
        ("stars", "rating"),
        ("order", "ranking"),
        ("why", "text"),
    ]


@pytest.mark.parametrize("flatten", [False, True])
def test_records_that_argilla_writes_come_in_nested_and_flat(theirs, flatten):
    settings, _ = read_settings(json.dumps(theirs[0].serialize(), default=str), "settings.json")
    source = read_text(json.dumps(GenericIO.to_list([theirs[1]], flatten=flatten)), "records.json")
    assert source.notes == (() if flatten else (UNSAID,))
    (item,) = prepared(settings, source)
    assert (item.record.external_id, item.record.metadata) == ("e-1", {"price": 2.5})
    assert item.record.fields == {"text": "Hello", "chat": [{"role": "user", "content": "Hi"}]}
    ranks = [{"value": "x", "rank": 2}, {"value": "y", "rank": 1}]
    assert {(s.question, str(s.value), s.agent, str(s.score)) for s in item.record.suggestions} == {
        ("label", "pos", "small", "0.9"),
        ("order", str(ranks), "", "None"),
        ("topics", "['a']", "small", "[0.5]"),
    }
    given = {response.person: response for response in item.responses}
    assert given[str(ADA)].values["label"] == "neg" and given[str(ADA)].values["stars"] == 3
    assert given[str(ADA)].values["order"] == [{"value": "x", "rank": 1}, {"value": "y", "rank": 2}]
    wanted = ResponseStatus.DRAFT if flatten else ResponseStatus.SUBMITTED
    assert given[str(BO)].status is wanted and given[str(BO)].values == {"label": "pos"}


def test_what_argilla_does_not_call_a_draft_is_one_where_a_required_answer_is_missing(theirs):
    """Argilla's nested form has no status, and drafts stand in it among the rest."""
    settings, _ = read_settings(json.dumps(theirs[0].serialize(), default=str), "settings.json")
    begun = argilla.Record(
        id="e-2",
        fields={"text": "Hello", "chat": [{"role": "user", "content": "Hi"}]},
        responses=[
            argilla.Response("stars", 2, user_id=ADA, status="draft"),
            argilla.Response("label", "pos", user_id=BO, status="submitted"),
        ],
    )
    assert [question.name for question in settings.questions if question.required] == ["label"]
    (item,) = prepared(settings, read_text(json.dumps(GenericIO.to_list([begun], flatten=False)), "records.json"))
    assert {response.person: (response.status.value, response.values) for response in item.responses} == {
        str(ADA): ("draft", {"stars": 2}),
        str(BO): ("submitted", {"label": "pos"}),
    }


DUMP = Dump(
    "Letters to Ada",
    SETTINGS,
    (
        DumpRecord(
            1,
            {
                "text": "=A 🙂",
                "chat": [{"role": "user", "content": "Hi"}],
                "sources": [{"text": "One."}, {"text": "Two.", "title": "T"}],
            },
            {"price": 1.5, "shop": "north"},
            (
                Suggestion("tone", "warm", "small", 0.5),
                Suggestion("order", [{"value": "x", "rank": 2}, {"value": "y", "rank": 1}]),
            ),
            "e-1",
            1.0,
            (
                DumpResponse(
                    "Ada", ResponseStatus.SUBMITTED, {"tone": "cold", "topics": ["a", "b"], "stars": 4}, 10.5, 11.5, 3.0
                ),
                DumpResponse("Bo", ResponseStatus.DISCARDED, {}, 12.0, 13.0, reason="Unclear."),
                DumpResponse("Cleo", ResponseStatus.DRAFT, {"why": "I begin"}, 14.0, 15.0),
            ),
        ),
        DumpRecord(2, {"text": "B"}, {}, (), None, 2.0),
    ),
)


def test_what_is_written_here_argilla_reads(tmp_path):
    name, content = write(DUMP, Form.ARGILLA)
    assert name == "Letters-to-Ada-argilla.zip"
    zipfile.ZipFile(io.BytesIO(content)).extractall(tmp_path)
    settings = argilla.Settings.from_json(tmp_path / ".argilla" / "settings.json")
    settings.validate()
    assert settings.distribution.min_submitted == 2 and settings.guidelines == SETTINGS.guidelines
    assert [question.name for question in settings.questions] == [question.name for question in SETTINGS.questions]
    records = argilla.records._io.JsonIO._records_from_json(tmp_path / "records.json")
    first = records[0]
    assert (first.id, first.fields["text"], first.metadata["price"]) == ("e-1", "=A 🙂", 1.5)
    assert "2. **T** Two." in first.fields["sources"]
    assert {s.question_name: s.value for s in first.suggestions} == {"tone": "warm", "order": ["y", "x"]}
    assert {(r.question_name, str(r.value)) for r in first.responses} == {
        ("tone", "cold"),
        ("topics", "['a', 'b']"),
        ("stars", "4"),
    }
    people = json.loads((tmp_path / ".argilla" / "people.json").read_text("utf-8"))
    assert people[str(list(first.responses)[0].user_id)] == "Ada"


def test_and_comes_back_from_its_form_with_people_by_name():
    source = read_bytes(write(DUMP, Form.ARGILLA)[1], "x.zip")
    first, second = prepared(source.settings, source)
    assert (first.record.external_id, second.record.external_id) == ("e-1", "record-2")
    (response,) = first.responses
    assert (response.person, response.values) == ("Ada", {"tone": "cold", "topics": ["a", "b"], "stars": 4})
    assert [question.name for question in source.settings.questions] == [
        question.name for question in SETTINGS.questions
    ]


def test_records_of_argilla_1_come_in():
    record = {
        "fields": {"text": "Hello"},
        "metadata": {"price": 2},
        "vectors": {},
        "responses": [
            {"user_id": str(ADA), "status": "submitted", "values": {"tone": {"value": "warm"}, "stars": {"value": 2}}},
            {"user_id": None, "status": "discarded", "values": None},
        ],
        "suggestions": [{"question_name": "tone", "type": "model", "score": 0.4, "value": "cold", "agent": "m"}],
        "external_id": "old-1",
    }
    (item,) = prepared(SETTINGS, read_text(json.dumps([record]), "records.json"))
    assert item.record.external_id == "old-1" and item.record.metadata == {"price": 2.0}
    assert list(item.record.suggestions) == [Suggestion("tone", "cold", "m", 0.4)]
    assert [(r.status.value, r.values) for r in item.responses] == [
        ("submitted", {"tone": "warm", "stars": 2}),
        ("discarded", {}),
    ]


def test_argilla_1_on_the_hub_comes_in():
    row = {
        "text": "Hello",
        "tone": [{"user_id": str(ADA), "value": "warm", "status": "submitted"}],
        "tone-suggestion": "cold",
        "tone-suggestion-metadata": {"type": "model", "score": 0.5, "agent": "m"},
        "external_id": "h-1",
        "metadata": '{"price": 3}',
    }
    (item,) = prepared(SETTINGS, read_text(json.dumps([row]), "x.json"))
    assert list(item.record.suggestions) == [Suggestion("tone", "cold", "m", 0.5)] and item.record.metadata == {
        "price": 3.0
    }
    assert [(r.person, r.values) for r in item.responses] == [(str(ADA), {"tone": "warm"})]


def test_of_tied_ranks_the_order_of_the_options_decides():
    ranks = [{"value": "x", "rank": 1}, {"value": "y", "rank": 1}]
    record = replace(DUMP.records[0], suggestions=(Suggestion("order", ranks),))
    content = write(replace(DUMP, records=(record,)), Form.ARGILLA)[1]
    written = json.loads(zipfile.ZipFile(io.BytesIO(content)).read("records.json"))
    assert written[0]["suggestions"]["order"]["value"] == ["x", "y"]
