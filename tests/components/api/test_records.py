"""Records over the API: they come in as an import does, however large or odd, and go out in every form."""

import json
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import pytest

from components.api.rows import parsed
from pipeline.record_files.writing import Form
from pipeline.records import Role
from tests.api import JSON, everything

VIEWER, ANNOTATOR, ADMIN, OWNER = Role


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


@pytest.mark.parametrize("form", list(Form))
def test_a_dataset_goes_out_in_each_form(services, as_, kept, form):
    answer = as_[ADMIN].send("GET", f"/datasets/{kept.id}/export", params={"form": form.value})
    written = services.records.export(kept.id, form)
    assert answer.status_code == 200 and answer.headers["content-disposition"].endswith(written[0])
    assert answer.headers["x-content-type-options"] == "nosniff" and len(answer.content) == len(written[1])


def test_a_form_that_is_none_is_refused(as_, kept):
    assert "form:" in as_[ADMIN].refused("GET", f"/datasets/{kept.id}/export", params={"form": "docx"})[1]
