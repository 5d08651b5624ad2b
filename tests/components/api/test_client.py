"""Gradio's client with a token: the same work, past the sign-in, and to no other listener."""

import json

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from pipeline.records import Role
from tests.annotating import add_every_kind
from tests.api import ANSWERS, served
from tests.leaks import leaks
from tests.people import add
from tests.recorder import Recorder
from tests.workspace import add_comparison, add_model

NAMES = ("zqx-ostrava-lemur", "zqx-tirana-okapi")
PUBLIC = {
    "/ask_documents", "/list_datasets", "/import_records", "/next_task", "/submit_response", "/list_comparisons",
    "/next_comparison", "/ask_comparison", "/vote", "/take_back_vote", "/reveal", "/results",
}  # fmt: skip


@pytest.fixture(scope="module")
def recorder(url):
    with Recorder(int(url.rpartition(":")[2])) as recorder:
        yield recorder


def client(url, token):
    headers = {"Authorization": f"Bearer {token}"} if token else None
    # On a busy machine its own 5 s may go by.
    return Client(url, headers=headers, verbose=False, analytics_enabled=False, httpx_kwargs={"timeout": 60})


@pytest.fixture(scope="module")
def ada(recorder, as_):
    made = client(recorder.url, as_[Role.ANNOTATOR].token)
    yield made
    made.close()


def test_only_these_endpoints_are_public_and_each_has_the_name_it_is_told_by(ada):
    assert set(ada.view_api(return_format="dict", print_info=False)["named_endpoints"]) == PUBLIC


def test_asking_and_annotating(services, ada, as_):
    assert (
        "two euros" in ada.predict(query="What does a token for the shower cost?", api_name="/ask_documents")["answer"]
    )
    dataset = add_every_kind(services, count=2)
    assert dataset.id in str(ada.predict(api_name="/list_datasets"))
    task = ada.predict(dataset=dataset.id, api_name="/next_task")["record"]
    assert task["id"] == as_[Role.ANNOTATOR].get(f"/datasets/{dataset.id}/next")["record"]["id"]
    response = {"status": "submitted", "values": ANSWERS, "token": "t"}
    done = [ada.predict(record=task["id"], response=response, api_name="/submit_response") for _ in range(2)]
    assert [item["repeated"] for item in done] == [False, True] and done[0]["status"] == "submitted"
    for wrong, words in (
        ({"status": "nope"}, "status:"),
        ({}, "status:"),
        ({"status": "submitted"}, "before you submit"),
    ):
        with pytest.raises(AppError, match=words):
            ada.predict(record=task["id"], response=wrong, api_name="/submit_response")
    with pytest.raises(AppError, match="Ask .*Olga"):
        ada.predict(dataset=dataset.id, records=[{"question": "x"}], api_name="/import_records")
    for wrong in (5, ["x"], {"a": 1}, None):
        with pytest.raises(AppError, match="valid string"):
            ada.predict(query=wrong, api_name="/ask_documents")


def test_judging_is_blind(services, recorder, ada):
    models = [add_model(services, name) for name in NAMES]
    set_id, start = add_comparison(services, models, [("One.", "Two."), ("Three.", "Four.")]), len(recorder.sent)
    again = client(recorder.url, ada.headers["Authorization"].removeprefix("Bearer "))
    assert set_id in str(again.predict(api_name="/list_comparisons"))
    pair = again.predict(comparison=set_id, api_name="/next_comparison")["pair"]
    vote = {"pair": pair["id"], "outcome": "model_a", "token": "t"}
    assert again.predict(comparison=set_id, vote=vote, api_name="/vote")["counted"]
    assert again.predict(comparison=set_id, vote=vote, api_name="/vote")["repeated"]
    assert again.predict(comparison=set_id, token="u", api_name="/take_back_vote")["judged"] == 0
    with pytest.raises(AppError, match="Open the results first"):
        again.predict(comparison=set_id, api_name="/results")
    secrets = [*NAMES, *(model.id for model in models)]
    secrets += [answer for item in services.store.comparisons.in_set(set_id) for answer in item.completion_ids]
    sent = recorder.sent[start:]
    # The whole configuration of the app, which a client reads at its start, is part of it.
    assert len(sent) > 50_000 and leaks(sent, secrets) == []
    again.predict(comparison=set_id, api_name="/reveal")
    assert NAMES[0] in str(again.predict(comparison=set_id, api_name="/results"))
    again.close()


def test_without_a_good_token_nobody_comes_past_the_sign_in(services, recorder):
    bo = add(services, "Bo", Role.ANNOTATOR)
    revoked = services.tokens.make(bo.id, "x")
    services.tokens.revoke(bo.id, revoked.id)
    for token in ("", "pl_" + "a" * 43, revoked.value):
        with pytest.raises(Exception, match="credentials were not provided"):
            client(recorder.url, token)


def test_a_token_that_is_revoked_ends_a_client_that_is_at_work(services, recorder):
    cy = add(services, "Cy", Role.ANNOTATOR)
    made = services.tokens.make(cy.id, "x")
    begun = client(recorder.url, made.value)
    begun.predict(api_name="/list_datasets")
    services.tokens.revoke(cy.id, made.id)
    with pytest.raises(Exception, match="401"):
        begun.predict(api_name="/list_datasets")
    begun.close()


def test_a_token_gets_to_no_listener_of_a_screen(services, recorder, as_):
    """So that whoever has one cannot make others, which would outlive it."""
    owner = as_[Role.OWNER]
    config = owner.http.get(f"{recorder.url}/config").json()
    numbers = {entry["api_name"]: entry["id"] for entry in config["dependencies"]}
    before = services.store.outbox.newest()
    for name, data in (("make_token", ["mine", 0]), ("ask", ["x", None]), ("show_tokens", []), ("rename_person", [])):
        body = {"data": data, "fn_index": numbers[name], "session_hash": f"s{name}"}
        for address in (f"{recorder.url}/gradio_api/queue/join", f"{recorder.url}/gradio_api/run/predict"):
            answer = owner.http.post(address, json=body)
            if answer.status_code == 200 and "event_id" in answer.json():
                stream = owner.http.get(f"{recorder.url}/gradio_api/queue/data?session_hash=s{name}").text
                (done,) = [json.loads(line[5:]) for line in stream.splitlines() if "process_completed" in line]
                assert not done["success"] and "not signed in" in done["output"]["error"], name
            else:
                assert answer.status_code != 200
    assert services.store.outbox.newest() == before and len(services.tokens.of(owner.get("/me")["id"])) == 1


def test_in_an_open_workspace_a_token_is_needed_all_the_same(empty):
    # Whoever reaches the app is an owner on its page; a program says whose it is.
    with served(empty) as url:
        nobody = client(url, "")
        with pytest.raises(AppError, match="needs a token"):
            nobody.predict(api_name="/list_datasets")
        nobody.close()
        token = empty.tokens.make(empty.store.members.by_token("a" * 64), "x").value
        somebody = client(url, token)
        assert somebody.predict(api_name="/list_datasets") == {"datasets": []}
        somebody.close()
