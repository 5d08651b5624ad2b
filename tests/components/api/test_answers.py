"""Answers, documents and responses over the API, and what is said where they cannot be."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.errors import StoreError
from pipeline.records import Role
from tests.annotating import VALUES
from tests.api import ANSWERS, LINES, everything
from tests.material import MANUAL

VIEWER, ANNOTATOR, ADMIN, OWNER = Role


def test_an_answer_comes_with_its_passages_and_citations(services, as_):
    said = as_[ANNOTATOR].post("/ask", {"query": "What does a token for the shower cost?"})
    assert "two euros" in said["answer"] and said["model"] == "extractive-base" and not said["refused"]
    cited = [item for item in said["contexts"] if item["number"] in said["citations"]]
    assert cited and all(item["document"] == "harbour.md" and "two euros" in item["text"] for item in cited)
    assert services.store.runs.by_ids([said["completion"]])[said["completion"]].text == said["answer"]
    assert as_[ANNOTATOR].post("/ask", {"query": "Xyzzy?", "model": "extractive-base"})["refused"]
    assert as_[ANNOTATOR].refused("POST", "/ask", json={"query": "x", "model": "nope"})[0] == 404
    assert "Type a query" in as_[ANNOTATOR].refused("POST", "/ask", json={"query": " \0 "})[1]


def test_documents_come_in_and_can_be_asked_for(services, as_):
    files = [
        ("files", ("../../etc/passwd.md", "# Lighthouse\n\nThe lighthouse has ninety-nine steps.")),
        ("files", ("C:\\temp\\harbour.md", MANUAL)),
        ("files", ("empty.md", b"")),
        ("files", ("x" * 300 + ".pdf", b"%PDF-1.4 and nothing more")),
    ]
    first, twin, empty, wrong = as_[ADMIN].send("POST", "/documents", files=files).json()["documents"]
    assert (first["name"], first["problem"], first["passages"]) == ("passwd.md", "", 1)
    assert "in the workspace already" in twin["problem"] and twin["name"] == "harbour.md"
    assert empty["problem"] and wrong["problem"] and len(wrong["name"]) == 184
    assert "ninety-nine" in as_[ANNOTATOR].post("/ask", {"query": "How many steps has the lighthouse?"})["answer"]
    line = services.activity.latest(group="Documents").lines[0]
    assert (line.who, line.did, line.subject) == ("Adam", "added a document", "passwd.md")
    assert as_[ADMIN].refused("POST", "/documents", files=[("files", ("a.md", b"x"))] * 51)[0] == 422


def test_a_record_is_handed_out_answered_and_done(services, as_, dataset):
    ada, path = as_[ANNOTATOR], f"/datasets/{dataset.id}"
    details = ada.get(path)
    assert details["guidelines"].startswith("# Judge") and details["guidelines_version"] == 1
    assert [item["name"] for item in details["questions"]] == list(VALUES)
    task = ada.get(f"{path}/next")
    record = task["record"]
    assert (
        record["values"]["quality"] == 4 and record["suggestions"][0]["agent"] == "judge" and record["status"] is None
    )
    assert "secret" not in json.dumps(task) and ada.get(f"{path}/next") == task
    sent = {"status": "draft", "values": {"quality": 2}, "seconds": 5}
    drafted = ada.post(f"/records/{record['id']}/response", sent)
    assert (drafted["status"], drafted["progress"]["drafts"]) == ("draft", 1)
    assert ada.get(f"{path}/next")["record"]["values"]["quality"] == 2
    done = ada.post(
        f"/records/{record['id']}/response",
        {**sent, "status": "submitted", "values": ANSWERS, "marks": {"chunks": {"0": True}}},
    )
    assert (done["status"], done["progress"]["submitted"], done["progress"]["pending"]) == ("submitted", 1, 5)
    member = ada.get("/me")["id"]
    stored = services.store.responses.get(record["id"], member)
    assert stored.values == ANSWERS and stored.marks == {"chunks": {"0": True}} and stored.seconds == 5
    following = ada.get(f"{path}/next", after=record["id"])["record"]
    left = ada.post(f"/records/{following['id']}/response", {"status": "discarded", "reason": "Not a query"})
    assert left["status"] == "discarded"
    assert services.store.responses.get(following["id"], member).reason == "Not a query"


def test_where_nothing_waits_it_says_so(services, as_, lines):
    path = f"/datasets/{lines.id}"
    as_[ADMIN].post(f"{path}/records", [{"text": "Only one"}])
    record = as_[ANNOTATOR].get(f"{path}/next")["record"]["id"]
    # It is kept for the one who has it, and comes back to the others if they let go of it.
    held = as_[OWNER].get(f"{path}/next")
    assert held["record"] is None and held["waiting"]
    as_[ANNOTATOR].post(f"/records/{record}/response", {"status": "submitted", "values": {"better": "x"}})
    done = as_[OWNER].get(f"{path}/next")
    assert done["record"] is None and not done["waiting"] and done["progress"]["others"] == 1


def test_a_request_that_is_sent_again_under_its_token_changes_nothing(services, as_, dataset):
    ada = as_[ANNOTATOR]
    record = ada.get(f"/datasets/{dataset.id}/next")["record"]["id"]
    path, first = f"/records/{record}/response", {"status": "submitted", "values": ANSWERS, "token": "request 1"}
    done = ada.post(path, first)
    second = ada.post(path, {**first, "values": {**ANSWERS, "quality": 5}, "token": "request 2"})
    assert not done["repeated"] and not second["repeated"] and second["version"] != done["version"]
    # The answer to the first was lost, and its program sends it once more: what came after it stands.
    again = ada.post(path, first)
    assert again["repeated"] and again["version"] == second["version"]
    assert services.store.responses.get(record, ada.get("/me")["id"]).values["quality"] == 5
    # Without a token it is a wish like any other, and a token of somebody else is another one.
    assert not ada.post(path, {**first, "token": ""})["repeated"]


def test_many_that_are_sent_at_once_under_one_token_are_one(services, as_, dataset):
    ada = as_[ANNOTATOR]
    record = ada.get(f"/datasets/{dataset.id}/next")["record"]["id"]
    sent = [{"status": "submitted", "values": {**ANSWERS, "quality": n % 5 + 1}, "token": "t"} for n in range(12)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda body: ada.post(f"/records/{record}/response", body), sent))
    assert [answer["repeated"] for answer in answers].count(False) == 1
    assert len({answer["version"] for answer in answers}) == 1
    assert len(services.annotation.history(record, ada.get("/me")["id"])) == 0


def test_what_another_window_changed_is_told_and_not_overwritten(services, as_, dataset):
    ada = as_[ANNOTATOR]
    task = ada.get(f"/datasets/{dataset.id}/next")["record"]
    path = f"/records/{task['id']}/response"
    newer = ada.post(path, {"status": "draft", "values": {"quality": 1}, "version": task["version"]})
    answer = ada.send("POST", path, json={"status": "draft", "values": {"quality": 3}, "version": task["version"]})
    assert answer.status_code == 409 and answer.json()["version"] == newer["version"]
    assert services.store.responses.get(task["id"], ada.get("/me")["id"]).values == {"quality": 1}
    ada.post(path, {"status": "draft", "values": {"quality": 3}, "version": newer["version"]})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"status": "submitted", "values": {}}, "before you submit"),
        ({"status": "submitted", "values": {**ANSWERS, "quality": 9}}, "answered by one of"),
        ({"status": "draft", "values": {"nope": 1}}, "no question named nope"),
        ({"status": "draft", "values": {"quality": [1]}}, "answered by one of"),
        ({"status": "draft", "values": {"better": 5}}, "answered by a text"),
        ({"status": "draft", "values": {"topics": {"a": 1}}}, "list of labels"),
        ({"status": "draft", "values": {"better": "x" * 50_001}}, "Shorten it"),
        ({"status": "draft", "values": [1]}, "values:"),
        ({"status": "done"}, "status:"),
        ({}, "status:"),
        ([], "valid dictionary"),
        ("text", "valid dictionary"),
        ({"status": "draft", "seconds": -1}, "seconds:"),
        ({"status": "draft", "seconds": "a lot"}, "seconds:"),
        ({"status": "draft", "vaules": {}}, "vaules:"),
        ({"status": "draft", "token": "t" * 201}, "token:"),
        ({"status": "draft", "token": 5}, "token:"),
        ({"status": "discarded", "reason": "r" * 2_001}, "2,000 characters"),
        ({"status": "draft", "marks": {"chunks": {"99": True}}}, ""),
        ({"status": "draft", "marks": {"nope": 1}}, ""),
        ({"status": "draft", "x" * 5_000: 1}, "xxx"),
    ],
    ids=range(21),
)
def test_a_response_that_cannot_be_is_refused_in_words_and_changes_nothing(services, as_, record, body, words):
    before = everything(services)
    status, said = as_[ANNOTATOR].refused("POST", f"/records/{record}/response", json=body)
    assert (status, everything(services)) == (422, before) and words in said


def test_a_store_that_cannot_be_written_is_told(services, as_, record, monkeypatch):
    def full(*_, **__):
        raise StoreError("The disk is full: nothing was saved.")

    monkeypatch.setattr(services.store.responses, "save_draft", full)
    answer = as_[ANNOTATOR].refused("POST", f"/records/{record}/response", json={"status": "draft"})
    assert answer == (503, "The disk is full: nothing was saved.")


def test_a_dataset_of_a_run_takes_no_records_and_an_unpublished_one_no_answers(services, as_):
    draft = services.datasets.create("Draft", LINES, publish=False)
    as_[ADMIN].post(f"/datasets/{draft.id}/records", [{"text": "One"}])
    assert "not published" in as_[ANNOTATOR].refused("GET", f"/datasets/{draft.id}/next")[1]
    record = services.store.datasets.record_ids(draft.id)[0]
    sent = {"status": "draft", "values": {"better": "x"}}
    assert "not published" in as_[ANNOTATOR].refused("POST", f"/records/{record}/response", json=sent)[1]
