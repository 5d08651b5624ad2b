"""Hostile requests to the API are refused in words and change nothing."""

import json
import socket
from urllib.parse import urlsplit

import pytest

from pipeline.records import Role
from tests.api import JSON, everything

VIEWER, ANNOTATOR, ADMIN, OWNER = Role


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
