"""Pairloop's own file: taken in elsewhere and written again it is the same file."""

import json
import math
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings

from pipeline.errors import RecordError
from pipeline.record_files import pairloop
from pipeline.record_files.reading import read_settings
from pipeline.record_files.writing import Form
from pipeline.records import ResponseStatus
from pipeline.store.datasets import NewRecord
from tests.material import reviewable
from tests.pipeline.record_files.whole import SETTINGS, dumps
from tests.workspace import open_workspace, person, respond

NAMES = count()


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two workspaces. In the second, others of the same names are at work already."""
    folder = tmp_path_factory.mktemp("lossless")
    one, other = open_workspace(folder / "one"), open_workspace(folder / "other")
    for token in ("x", "y"):
        other.store.members.rename(other.store.members.by_token(token), "a")
    yield one, other
    one.close()
    other.close()


def written(services, dataset_id):
    name, content = services.records.export(dataset_id, Form.PAIRLOOP)
    assert name.endswith(".pairloop.jsonl")
    return content.decode()


def moved(services, text):
    return services.records.make_dataset(services.records.read_dump(text, "x.jsonl"))


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(dump=dumps())
def test_export_import_export_gives_equal_bytes(two, dump):
    one, other = two
    dump = replace(dump, name=f"{dump.name} {next(NAMES)}")
    first = written(one, moved(one, pairloop.write(dump)).id)
    second = written(other, moved(other, first).id)
    assert second.encode() == first.encode()
    assert len(first.splitlines()) >= 1 + len(dump.records)


def test_work_that_was_done_in_the_app_moves_with_its_history(two):
    one, other = two
    dataset = one.datasets.create("Letters", SETTINGS)
    one.datasets.add_records(
        dataset.id, [NewRecord({"text": "A letter.", "sources": ["One.", "Two."]}), NewRecord({"text": "B"})]
    )
    first, second = one.store.datasets.record_ids(dataset.id)
    ada, bo, twin = person(one, "Ada"), person(one, "Bo"), person(one, "token of another Ada")
    one.store.members.rename(twin, "Ada")
    marks = {"chunks": {"1": True}, "spans": [{"start": 2, "end": 8}]}
    one.annotation.submit(first, ada, {"tone": "warm"}, 3.0, marks)
    one.annotation.submit(first, ada, {"tone": "cold", "why": "Read again."}, 4.0)
    one.annotation.submit(first, twin, {"tone": "warm"})
    one.annotation.discard(second, bo, {}, reason="Empty.")
    one.annotation.take_back(second, bo)
    one.annotation.save_draft(first, ada, {"tone": "warm"})
    one.store.adjudications.set(first, bo, {"tone": "cold"}, "Two against one")
    text = written(one, dataset.id)
    made = moved(other, text)
    assert written(other, made.id) == text
    (record_id, _) = other.store.datasets.record_ids(made.id)
    names = other.store.members.names()
    responses = {names[r.annotator_id]: r for r in other.store.responses.of_record(record_id)}
    assert set(responses) == {"Ada", "Ada (2)"}
    (version,) = other.store.responses.history(responses["Ada"].id)
    assert (version.values, version.marks["chunks"], version.status) == (
        {"tone": "warm"},
        {"1": True},
        ResponseStatus.SUBMITTED,
    )
    assert responses["Ada"].edits["values"] == {"tone": "warm"} and responses["Ada"].seconds == 7.0
    before = {r.updated_at for r in one.store.responses.of_record(first)}
    assert {r.updated_at for r in responses.values()} == before


def test_a_person_of_the_same_workspace_stays_the_same_and_a_guest_does_not(two):
    one, _ = two
    dataset = one.datasets.create("Same people", SETTINGS)
    one.datasets.add_records(dataset.id, [NewRecord({"text": "A"})])
    (record_id,) = one.store.datasets.record_ids(dataset.id)
    ada = person(one, "Cleo")
    guest = one.store.members.by_token("somebody new")
    for who in (ada, guest):
        respond(one.store, record_id, who, ResponseStatus.SUBMITTED, {"tone": "warm"})
    made = moved(one, written(one, dataset.id))
    people = {r.annotator_id for r in one.store.responses.of_dataset(made.id)}
    assert ada in people and guest not in people and len(people) == 2


def test_a_dataset_of_a_run_moves_too(tmp_path):
    loop, other = open_workspace(tmp_path / "loop"), open_workspace(tmp_path / "other")
    dataset = reviewable(loop, tmp_path)
    record = loop.store.datasets.records(dataset.id)[0]
    loop.annotation.submit(record.id, person(loop, "Ada"), {"answer": "Mine.", "query_rating": 4})
    text = written(loop, dataset.id)
    made = moved(other, text)
    assert written(other, made.id) == text and made.run_id is None
    copy = other.store.datasets.records(made.id)[0]
    assert copy.fields["query"] == record.query and copy.suggestions["answer"].value == record.completion
    assert [part["text"] for part in copy.fields["contexts"]] == [part.text for part in record.contexts]
    loop.close()
    other.close()


def test_its_settings_can_be_read_alone(two):
    dataset = two[0].datasets.create("Settings", SETTINGS)
    assert read_settings(written(two[0], dataset.id), "x.jsonl")[0] == SETTINGS


def damaged(change):
    settings = {"fields": [{"name": "t", "type": "text"}], "questions": [{"name": "q", "type": "text"}]}
    head = {"pairloop_dataset": 1, "name": "X", "published": True, "records": 1, "guidelines": {}, "settings": settings}
    response = {"person": "Ada", "status": "submitted", "values": {"q": "b"}, "created_at": 1, "updated_at": 1}
    record = {"fields": {"t": "a"}, "responses": [response]}
    change(head, record)
    return f"{json.dumps(head)}\n{json.dumps(record)}\n"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda head, record: head.update(pairloop_dataset=9), "another version"),
        (lambda head, record: head.update(records=2), "cut off"),
        (lambda head, record: head.update(name=3), "damaged"),
        (lambda head, record: head["settings"].update(fields=[]), "Add a field"),
        (lambda head, record: record.update(fields={"t": 4}), "Record 1: The field 't' is a text"),
        (lambda head, record: record.update(more=1), "damaged"),
        (lambda head, record: record["responses"][0].update(status="done"), "damaged"),
        (lambda head, record: record["responses"][0].update(values={"q": 5}), "answered by a text"),
        (lambda head, record: record["responses"][0].update(person=""), "no name"),
        (lambda head, record: record["responses"].append(record["responses"][0]), "from one person"),
        (lambda head, record: record["responses"][0].update(seconds="x"), "another type"),
    ],
)
def test_a_damaged_file_is_refused_in_words_and_nothing_is_made(two, change, said):
    before = len(two[1].datasets.all())
    with pytest.raises(RecordError, match=said):
        moved(two[1], damaged(change))
    assert len(two[1].datasets.all()) == before


def dumped(**response):
    """Return a dataset of one record with one response, as a file."""
    head = {"name": "Odd", "published": True, "guidelines": {}, "records": 1, "settings": {
        "fields": [{"name": "text", "type": "text"}],
        "questions": [{"name": "tone", "type": "label", "options": ["warm", "cold"]}],
    }}  # fmt: skip
    given = {"person": "Ada", "status": "submitted", "values": {"tone": "warm"}, "created_at": 1.0, "updated_at": 2.0}
    record = {"fields": {"text": "A"}, "responses": [{**given, **response}]}
    return "\n".join((f'{{"pairloop_dataset": 1, {json.dumps(head)[1:]}', json.dumps(record), ""))


@pytest.mark.parametrize(
    "response",
    [
        {"updated_at": math.nan},
        {"updated_at": 1e15},
        {"created_at": None},
        {"seconds": 10**400},
        {"guidelines_version": 10**30},
        {"history": [{"status": "submitted", "values": {}, "at": math.inf}]},
    ],
)
def test_numbers_that_cannot_be_are_refused_with_the_record_they_stand_in(two, response):
    with pytest.raises(RecordError, match=r"^Record 1 of x\.jsonl is damaged: "):
        moved(two[0], dumped(**response))


def test_names_and_ids_that_are_the_same_when_cleaned_are_the_same(two):
    lines = dumped().splitlines()
    record = json.loads(lines[1])
    twice = {**record, "responses": [*record["responses"], {**record["responses"][0], "person": "Ada\0"}]}
    with pytest.raises(RecordError, match="from one person"):
        moved(two[0], "\n".join((lines[0], json.dumps(twice))))
    ids = [json.dumps({**record, "external_id": name}) for name in ("a", "a\0")]
    with pytest.raises(RecordError, match="same external id"):
        moved(two[0], "\n".join((lines[0].replace('"records": 1', '"records": 2'), *ids)))


def test_a_dataset_moves_whose_past_does_not_fit_its_settings_any_more(two):
    one, other = two
    dataset = one.datasets.create("Changed", SETTINGS)
    record = NewRecord({"text": "A letter.", "sources": ["One.", "Two."]}, external_id="a")
    one.datasets.add_records(dataset.id, [record])
    (record_id,) = one.store.datasets.record_ids(dataset.id)
    ada = person(one, "Ada")
    marks = {"chunks": {"1": True}, "spans": [{"start": 2, "end": 8}]}
    one.annotation.submit(record_id, ada, {"tone": "cold", "why": "So."}, marks=marks)
    one.annotation.submit(record_id, ada, {"tone": "warm"}, marks=marks)
    one.store.adjudications.set(record_id, ada, {"why": "Decided."}, "")
    one.store.adjudications.withdraw(record_id)
    # What nobody's standing answer needs may go; and a record that comes again may be shorter.
    one.datasets.edit(dataset.id, lambda s: replace(s, questions=tuple(q for q in s.questions if q.name != "why")))
    one.datasets.add_records(dataset.id, [NewRecord({"text": "A.", "sources": ["One."]}, external_id="a")])
    text = written(one, dataset.id)
    assert written(other, moved(other, text).id) == text
