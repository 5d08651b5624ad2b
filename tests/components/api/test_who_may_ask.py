"""Who may ask the API what: roles, tokens that are revoked, and how often; over a real socket."""

import json

import pytest

from pipeline.records import Role
from tests.api import JSON, Program, everything, wait_for, wired
from tests.people import add

VIEWER, ANNOTATOR, ADMIN, OWNER = Role


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
    assert 1 <= int(answers[3].headers["retry-after"]) <= 20 and "Try again in" in answers[3].json()["error"]
    # Others go on, and so does what costs nothing.
    assert as_[ADMIN].send("POST", "/ask", json={"query": "Xyzzy?"}).status_code == 200
    assert as_[ANNOTATOR].send("GET", "/datasets").status_code == 200
    services.limits._left.clear()


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


def test_a_person_sends_one_large_request_at_a_time(services, url, as_, lines, monkeypatch):
    monkeypatch.setattr(services.limits, "_size", 0)
    path, rows = f"/datasets/{lines.id}/records", [{"text": "x" * 20_000}] * 60
    # Whoever asks first is told to go on at the moment when the server begins to read, and has the place from then on.
    head = "Content-Type: application/json\r\nExpect: 100-continue\r\n"
    for length in ("Content-Length: 20000000\r\n", "Transfer-Encoding: chunked\r\n"):
        with wired(url, path, as_[ADMIN].token, head + length) as wire:
            assert b" 100 " in wire.recv(1000)
            answer = as_[ADMIN].send("POST", path, json=rows)
            assert answer.status_code == 429 and answer.headers["retry-after"] == "5"
            assert "one after the other" in answer.json()["error"]
            # A small one of theirs, and a large one of somebody else, go through.
            assert as_[ADMIN].send("POST", path, json=[{"text": "small"}]).status_code == 200
            assert as_[OWNER].send("POST", path, json=rows).status_code == 200
        # Who broke off may send again.
        wait_for(lambda: as_[ADMIN].send("POST", path, json=rows).status_code == 200)


def test_only_records_and_documents_may_be_large(as_, kept, record):
    large = json.dumps([{"question": "x" * 20_000}] * 60).encode()
    for path in ("/ask", f"/records/{record}/response", "/comparisons/records/vote", "/comparisons/documents/undo"):
        assert as_[OWNER].refused("POST", path, content=large, headers=JSON)[0] == 413
    assert as_[ADMIN].send("POST", f"/datasets/{kept.id}/records", content=large, headers=JSON).status_code == 200
