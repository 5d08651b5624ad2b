"""The API over a real socket: who may ask what, what is answered, and that hostile requests are refused and change nothing."""

import json
import socket
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from components.api_rows import parsed
from pipeline.annotation.settings import DatasetSettings, Field, Question, QuestionKind
from pipeline.errors import StoreError
from pipeline.record_files.writing import Form
from pipeline.records import Role
from tests.annotating import VALUES, add_every_kind
from tests.api import Program, programs, served
from tests.material import MANUAL, add_manual
from tests.people import add, open_team

VIEWER, ANNOTATOR, ADMIN, OWNER = Role
LINES = DatasetSettings((Field("text"),), (Question("better", QuestionKind.TEXT),))
ANSWERS = {name: VALUES[name] for name in ("quality", "verdict", "order", "better")}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    services = open_team(folder / "home")
    add_manual(services, folder)
    yield services
    services.close()


@pytest.fixture(scope="module")
def url(services):
    with served(services) as url:
        yield url


@pytest.fixture(scope="module")
def as_(services, url):
    return programs(services, url)


@pytest.fixture
def dataset(services):
    return add_every_kind(services)


@pytest.fixture(scope="module")
def kept(services):
    """A dataset that refusals must not change, with one response to its last record."""
    dataset, dora = add_every_kind(services), add(services, "Dora", ANNOTATOR).id
    services.annotation.submit(services.store.datasets.record_ids(dataset.id)[-1], dora, ANSWERS)
    return dataset


@pytest.fixture(scope="module")
def record(services, kept):
    return services.store.datasets.record_ids(kept.id)[0]


@pytest.fixture
def lines(services):
    return services.datasets.create("Lines", LINES)


def everything(services):
    """Return what must not change when a request is refused."""
    store = services.store
    counted = [(item.id, item.name, item.size) for item in services.datasets.all()]
    return store.outbox.newest(), counted, len(store.documents.summaries())


REQUESTS = {
    "me": (VIEWER, "GET", "/me", None),
    "ask": (ANNOTATOR, "POST", "/ask", {"query": "Where are the showers?"}),
    "datasets": (VIEWER, "GET", "/datasets", None),
    "dataset": (VIEWER, "GET", "/datasets/{dataset}", None),
    "next": (ANNOTATOR, "GET", "/datasets/{dataset}/next", None),
    "records": (ADMIN, "POST", "/datasets/{dataset}/records", [{"question": "One more?"}]),
    "export": (ADMIN, "GET", "/datasets/{dataset}/export", None),
    "response": (ANNOTATOR, "POST", "/records/{record}/response", {"status": "draft", "values": {"quality": 1}}),
    "comparisons": (VIEWER, "GET", "/comparisons", None),
}


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("role", [None, *Role], ids=lambda role: role or "nobody")
def test_each_role_may_do_what_it_may_and_nothing_else(services, as_, kept, record, name, role):
    needed, method, path, body = REQUESTS[name]
    path = path.format(dataset=kept.id, record=record)
    sent = {} if body is None else {"json": body}
    if role is not None and role.covers(needed):
        assert as_[role].send(method, path, **sent).status_code == 200
        return
    before = everything(services)
    status, said = as_[role].refused(method, path, **sent)
    assert (status, everything(services)) == (401 if role is None else 403, before)
    assert ("needs a token" in said) if role is None else ("Ask Olga" in said)


@pytest.mark.parametrize("role", [None, VIEWER, ANNOTATOR], ids=lambda role: role or "nobody")
def test_documents_are_an_admins(services, as_, role):
    before = everything(services)
    status, _ = as_[role].refused("POST", "/documents", files=[("files", ("a.md", b"# A\n\nText."))])
    assert (status, everything(services)) == (401 if role is None else 403, before)


def test_the_index_and_the_description_need_no_token_and_tell_nothing_of_the_workspace(services, url, as_, dataset):
    answers = [as_[None].http.get(f"{url}{path}") for path in ("/api/v1", "/api/v1/", "/api/v1/openapi.json")]
    assert [answer.status_code for answer in answers] == [200] * 3 and answers[0].json() == answers[1].json()
    listed = {(item["method"], item["path"].removeprefix("/api/v1")) for item in answers[0].json()["endpoints"]}
    described = answers[2].json()
    told = {(method.upper(), path.rstrip("/")) for path, item in described["paths"].items() for method in item}
    assert told == listed and len(listed) == 18 and described["servers"] == [{"url": "/api/v1"}]
    ids = [operation["operationId"] for item in described["paths"].values() for operation in item.values()]
    assert len(set(ids)) == len(ids)
    assert not any(secret in answer.text for answer in answers for secret in (dataset.id, "Every kind", "Olga"))
    # The rest of the server has no description, and the API no pages of one.
    for path in ("/openapi.json", "/docs", "/api/v1/docs", "/api/v1/redoc"):
        assert as_[OWNER].http.get(f"{url}{path}").status_code in (401, 404)


def test_every_answer_is_what_its_description_says(as_):
    described = as_[OWNER].http.get("/openapi.json").json()
    schema = described["components"]["schemas"]["NextRecord"]
    assert schema["required"] == ["record", "waiting", "progress"]
    assert {"http"} == {item["type"] for item in described["components"]["securitySchemes"].values()}


def test_a_cookie_is_nobody_here(services, url, dataset):
    somebody = add(services, "Cora", OWNER)
    nobody = Program(url)
    cookie = {"Cookie": f"pairloop_sign_in={somebody.cookie}; pairloop_person={'a' * 64}"}
    for method, path, body in (("GET", "/me", None), ("POST", "/ask", {"query": "x"})):
        assert nobody.refused(method, path, json=body, headers=cookie)[0] == 401


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


HOSTILE = {
    "no JSON": (b"{", 400),
    "nothing": (b"", 422),
    "not UTF-8": (b'{"query": "\xff\xfe"}', 400),
    "nested": (b"[" * 50_000, 400),
    "nested and whole": (b'{"query": ' + b"[" * 900 + b"]" * 900 + b"}", 422),
    "NaN": (b'{"query": NaN}', 422),
    "infinite": (b'{"status": "draft", "seconds": 1e999}', 422),
    "half a character": (b'{"query": "\\ud800"}', 422),
    "long line": (json.dumps({"query": "x" * 200_001}).encode(), 422),
    "long query": (json.dumps({"query": "x" * 150_000}).encode(), 422),
    "too much": (json.dumps({"query": "x" * 1_100_000}).encode(), 413),
    "number": (b'{"query": 5}', 422),
    "list": (b'{"query": ["x"]}', 422),
    "huge number": (b'{"query": ' + b"9" * 5_000 + b"}", 400),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bodies_are_refused(services, as_, name):
    body, status = HOSTILE[name]
    before = everything(services)
    assert as_[ANNOTATOR].refused("POST", "/ask", content=body, headers=JSON)[0] == status
    assert everything(services) == before


def test_deep_and_strange_values_of_a_response_are_refused(services, as_, record):
    before = everything(services)
    for value in (b"[" * 900 + b"]" * 900, b'{"a":' * 400 + b"1" + b"}" * 400, b"NaN", b"-Infinity", b'"\\ud800"'):
        for question in (b"quality", b"order", b"topics", b"verdict"):
            body = b'{"status": "draft", "values": {"' + question + b'": ' + value + b"}}"
            answer = as_[ANNOTATOR].refused("POST", f"/records/{record}/response", content=body, headers=JSON)
            assert answer[0] in (400, 422), answer
    assert everything(services) == before


def test_nul_and_half_characters_in_a_text_are_made_storable(services, as_, dataset):
    record = as_[ANNOTATOR].get(f"/datasets/{dataset.id}/next")["record"]["id"]
    body = b'{"status": "draft", "values": {"better": "a\\u0000b\\ud800"}}'
    assert as_[ANNOTATOR].send("POST", f"/records/{record}/response", content=body, headers=JSON).status_code == 200
    stored = services.store.responses.get(record, as_[ANNOTATOR].get("/me")["id"])
    assert stored.values == {"better": "ab\ufffd"}


def test_a_body_that_never_says_how_long_it_is_is_cut_off(url, as_):
    def endless():
        for _ in range(200):
            yield b"x" * 100_000

    answer = as_[ANNOTATOR].send("POST", "/ask", content=endless(), headers=JSON)
    assert (answer.status_code, answer.json()["error"]) == (
        413,
        "That is more than the 1 MB that this request may carry.",
    )
    host, port = urlsplit(url).netloc.split(":")
    with socket.create_connection((host, int(port))) as wire:
        head = f"POST /api/v1/ask HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {as_[ANNOTATOR].token}\r\n"
        wire.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n".encode())
        assert b" 413 " in wire.recv(1000)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nope", 404), ("GET", "/datasets/nope", 404), ("GET", "/datasets/nope/next", 404),
        ("POST", "/records/nope/response", 404), ("PUT", "/ask", 405), ("GET", "/ask", 405), ("OPTIONS", "/ask", 405),
        ("GET", "/datasets/%00", 404), ("GET", "/datasets/..%2f..%2fme", 404), ("GET", "/datasets/%ff%fe", 404),
        ("GET", "/datasets/" + "x" * 5000, 404), ("GET", "/comparisons/nope/next", 404),
    ],
)  # fmt: skip
def test_what_is_not_there_is_said_in_words(as_, method, path, status):
    sent = {"json": {"status": "draft"}} if method == "POST" else {}
    assert as_[OWNER].refused(method, path, **sent)[0] == status


def test_json_is_asked_for(as_):
    answer = as_[ANNOTATOR].refused("POST", "/ask", content=b'{"query": "x"}', headers={"Content-Type": "text/plain"})
    assert answer[0] == 415


def test_records_come_in_as_an_import_does(services, as_, lines):
    path = f"/datasets/{lines.id}/records"
    rows = [{"text": "One", "id": "a"}, {"text": "Two", "better": "Zwei", "source": "api"}]
    added = as_[ADMIN].post(path, rows)
    assert (added["new"], added["replaced"], added["columns"]["better"]) == (2, 0, "suggestion:better")
    assert added["columns"]["source"] == ""
    assert as_[ADMIN].post(path, [{"text": "Uno", "id": "a"}])["replaced"] == 1
    records = services.store.datasets.records(lines.id)
    assert [record.fields["text"] for record in records] == ["Uno", "Two"] and records[1].suggestions[
        "better"
    ].value == "Zwei"
    by_name = as_[ADMIN].post("/datasets/Lines/records", [{"text": "Three"}])
    assert by_name["new"] == 1
    line = services.activity.latest(group="Imports and exports").lines[0]
    assert (line.who, line.did, line.detail) == ("Adam", "imported records into", "1 records")


def test_records_that_cannot_be_read_keep_out_the_others_unless_they_are_to_be_left_out(services, as_, lines):
    path = f"/datasets/{lines.id}/records"
    rows = [{"text": "Good"}, {"text": ""}, 5, {"text": None, "id": "x"}]
    answer = as_[ADMIN].send("POST", path, json=rows)
    assert answer.status_code == 422 and "So are 2 more." in answer.json()["error"]
    assert [item["place"] for item in answer.json()["problems"]] == ["entry 2", "entry 3", "entry 4"]
    assert services.datasets.get(lines.id).size == 0
    added = as_[ADMIN].post(f"{path}?leave_out=true", rows)
    assert (added["new"], added["left_out"]) == (1, 3)


HOSTILE_ROWS = {
    "an object": b'{"text": "x"}',
    "nothing": b"[]",
    "no columns": b"[{}]",
    "numbers": b"[1, 2]",
    "nested": b'[{"text": ' + b"[" * 900 + b"]" * 900 + b"}]",
    "NaN": b'[{"text": NaN}]',
    "long": b'[{"text": "' + b"x" * 2_000_001 + b'"}]',
    "lists": b"[[[]]]",
    "half": b'[{"text": "x"}, ',
}


@pytest.mark.parametrize("name", HOSTILE_ROWS)
def test_hostile_records_are_refused(services, as_, lines, name):
    before = everything(services)
    answer = as_[ADMIN].refused("POST", f"/datasets/{lines.id}/records", content=HOSTILE_ROWS[name], headers=JSON)
    assert answer[0] in (400, 422) and everything(services) == before


def wired(url, path, token="", more=""):
    """Send the head of a large request and nothing of its body; return the connection."""
    host, port = urlsplit(url).netloc.split(":")
    wire = socket.create_connection((host, int(port)), timeout=10)
    sign = f"Authorization: Bearer {token}\r\n" if token else ""
    more = more or "Content-Type: application/json\r\nContent-Length: 20000000\r\n"
    wire.sendall(f"POST /api/v1{path} HTTP/1.1\r\nHost: x\r\n{sign}{more}\r\n".encode())
    return wire


@pytest.mark.parametrize("path", ["/documents", "/datasets/{dataset}/records", "/datasets/nope/records", "/ask"])
@pytest.mark.parametrize("role", [None, ANNOTATOR], ids=lambda role: role or "nobody")
def test_who_may_not_send_a_body_is_told_before_any_of_it_is_received(services, url, as_, kept, path, role):
    before = everything(services)
    with wired(url, path.format(dataset=kept.id), as_[role].token) as wire:
        answer = ""
        while not answer.endswith("}"):
            answer += wire.recv(5000).decode()
    status = 401 if role is None else 413 if path == "/ask" else 403
    assert f" {status} " in answer.splitlines()[0] and '{"error":"' in answer and everything(services) == before
    assert ("www-authenticate: bearer" in answer.lower()) is (role is None) and "no-store" in answer


def test_only_records_and_documents_may_be_large(as_, kept, record):
    large = json.dumps([{"question": "x" * 20_000}] * 60).encode()
    for path in ("/ask", f"/records/{record}/response", "/comparisons/records/vote", "/comparisons/documents/undo"):
        assert as_[OWNER].refused("POST", path, content=large, headers=JSON)[0] == 413
    assert as_[ADMIN].send("POST", f"/datasets/{kept.id}/records", content=large, headers=JSON).status_code == 200


def test_a_person_sends_one_large_request_at_a_time(services, url, as_, lines, monkeypatch):
    monkeypatch.setattr(services.limits, "_size", 0)
    path, rows = f"/datasets/{lines.id}/records", [{"text": "x" * 20_000}] * 60
    chunked = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    for more in ("", chunked):
        with wired(url, path, as_[ADMIN].token, more):
            wait_for(lambda: as_[ADMIN].send("POST", path, json=rows).status_code == 429)
            answer = as_[ADMIN].send("POST", path, json=rows)
            assert answer.headers["retry-after"] == "5" and "one after the other" in answer.json()["error"]
            # A small one of theirs, and a large one of somebody else, go through.
            assert as_[ADMIN].send("POST", path, json=[{"text": "small"}]).status_code == 200
            assert as_[OWNER].send("POST", path, json=rows).status_code == 200
        # Who broke off may send again.
        wait_for(lambda: as_[ADMIN].send("POST", path, json=rows).status_code == 200)


def wait_for(done):
    until = time.monotonic() + 60
    while not done():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[[" + b"[]," * 1_500_000 + b"[]]]", "Entry 1 has more than 100,000 lists"),
        (b'["' + b"x" * 4_300_000 + b'"]', "Entry 1 is longer than"),
        (b"[" + (b"[" + b"[]," * 60 + b"[]],") * 20_000 + b"1]", "lists and objects"),
        (b"[" + b"1," * 100_000 + b"1]", "at most 100,000 records"),
    ],
    ids=["nested", "long", "many", "rows"],
)
def test_records_that_would_take_much_memory_are_refused(services, as_, lines, body, words):
    before = everything(services)
    status, said = as_[ADMIN].refused("POST", f"/datasets/{lines.id}/records", content=body, headers=JSON)
    assert status in (400, 422) and words in said and everything(services) == before


def test_others_are_answered_while_many_records_are_read(as_, lines):
    body = json.dumps([{"text": ""}] + [{"text": "x", "id": str(n), "more": [[]] * 8} for n in range(10_000)]).encode()
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(as_[ADMIN].send, "POST", f"/datasets/{lines.id}/records", content=body, headers=JSON)
        slowest = 0.0
        while not sent.done():
            begun = time.monotonic()
            as_[None].http.get("/openapi.json")
            slowest = max(slowest, time.monotonic() - begun)
    assert sent.result().status_code == 422 and slowest < 2


ROWS = [{"text": "ä \u2028 😀" * 40, "id": str(n), "more": [1, {"a": None}]} for n in range(3_000)]


@pytest.mark.parametrize("size", [1_000, 99_991, 10_000_000])
@pytest.mark.parametrize("rows", [[], [1], [12345678] * 90_000, ROWS, ["x[" * 1_500_000, "y"]], ids=range(5))
def test_records_are_read_whatever_the_pieces_in_which_they_come(rows, size):
    bodies = (json.dumps(rows), json.dumps(rows, ensure_ascii=False, indent=1), f"\ufeff \n{json.dumps(rows)} ")
    for body in (body.encode() for body in bodies):
        chunks = deque(body[at : at + size] for at in range(0, len(body), size))
        assert parsed(chunks) == rows and not chunks


@pytest.mark.parametrize(
    "body", [b"[", b"[1,]", b"[,]", b"[1 2]", b"[1]x", b"[1", b"[1]]", b"[\xff]", b"[" + b"9" * 5_000 + b"]", b'["']
)
def test_a_list_that_is_no_json_is_refused(as_, lines, body):
    answer = as_[ADMIN].refused("POST", f"/datasets/{lines.id}/records", content=body, headers=JSON)
    assert answer[0] == 400 and "not JSON" in answer[1]


def test_records_are_described_as_a_list_and_come_as_json_alone(as_, lines):
    described = as_[None].http.get("/openapi.json").json()["paths"]["/datasets/{dataset}/records"]["post"]
    schema = described["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"type": "array", "items": {}, "maxItems": 100_000, "title": "Rows"}
    assert described["requestBody"]["required"] and "rows" not in str(described["parameters"]).lower()
    plain = {"Content-Type": "text/plain"}
    assert as_[ADMIN].refused("POST", f"/datasets/{lines.id}/records", content=b"[]", headers=plain)[0] == 415


def test_a_dataset_of_a_run_takes_no_records_and_an_unpublished_one_no_answers(services, as_):
    draft = services.datasets.create("Draft", LINES, publish=False)
    as_[ADMIN].post(f"/datasets/{draft.id}/records", [{"text": "One"}])
    assert "not published" in as_[ANNOTATOR].refused("GET", f"/datasets/{draft.id}/next")[1]
    record = services.store.datasets.record_ids(draft.id)[0]
    sent = {"status": "draft", "values": {"better": "x"}}
    assert "not published" in as_[ANNOTATOR].refused("POST", f"/records/{record}/response", json=sent)[1]


@pytest.mark.parametrize("form", list(Form))
def test_a_dataset_goes_out_in_each_form(services, as_, kept, form):
    answer = as_[ADMIN].send("GET", f"/datasets/{kept.id}/export", params={"form": form.value})
    written = services.records.export(kept.id, form)
    assert answer.status_code == 200 and answer.headers["content-disposition"].endswith(written[0])
    assert answer.headers["x-content-type-options"] == "nosniff" and len(answer.content) == len(written[1])


def test_a_form_that_is_none_is_refused(as_, kept):
    assert "form:" in as_[ADMIN].refused("GET", f"/datasets/{kept.id}/export", params={"form": "docx"})[1]


def test_a_token_that_is_revoked_opens_nothing_from_that_moment_on(services, url, dataset):
    bo = add(services, f"Bo {dataset.id}", ANNOTATOR)
    made = services.tokens.make(bo.id, "to be revoked")
    program = Program(url, made.value)
    record = program.get(f"/datasets/{dataset.id}/next")["record"]["id"]
    services.tokens.revoke(bo.id, made.id)
    before = everything(services)
    status, said = program.refused("POST", f"/records/{record}/response", json={"status": "draft"})
    assert status == 401 and "was revoked" in said and everything(services) == before
    assert program.send("GET", "/me").headers["www-authenticate"] == "Bearer"


def test_who_is_removed_or_gets_another_role_is_that_at_once(services, url, as_, dataset):
    olga = as_[OWNER].get("/me")["id"]
    cy = add(services, f"Cy {dataset.id}", ADMIN)
    program = Program(url, services.tokens.make(cy.id, "x").value)
    program.post(f"/datasets/{dataset.id}/records", [{"question": "As an admin?"}])
    services.people.set_role(olga, cy.id, ANNOTATOR)
    assert program.refused("POST", f"/datasets/{dataset.id}/records", json=[{"question": "x"}])[0] == 403
    services.people.remove(olga, cy.id)
    assert program.refused("GET", "/me")[0] == 401


def test_more_than_the_rate_is_refused_with_the_time_to_wait(services, url, as_, monkeypatch):
    # Of a frozen value: the limit that all parts share.
    monkeypatch.setattr(services.limits, "_size", 3)
    services.limits._left.clear()
    answers = [as_[ANNOTATOR].send("POST", "/ask", json={"query": "Xyzzy?"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 1 <= int(answers[3].headers["retry-after"]) <= 20 and "Wait a moment" in answers[3].json()["error"]
    # Others go on, and so does what costs nothing.
    assert as_[ADMIN].send("POST", "/ask", json={"query": "Xyzzy?"}).status_code == 200
    assert as_[ANNOTATOR].send("GET", "/datasets").status_code == 200
    services.limits._left.clear()


def test_a_store_that_cannot_be_written_is_told(services, as_, record, monkeypatch):
    def full(*_, **__):
        raise StoreError("The disk is full: nothing was saved.")

    monkeypatch.setattr(services.store.responses, "save_draft", full)
    answer = as_[ANNOTATOR].refused("POST", f"/records/{record}/response", json={"status": "draft"})
    assert answer == (503, "The disk is full: nothing was saved.")
