"""Comparisons over the API: blind byte by byte until the results are opened, votes that count once, and what they come to."""

import re
import time

import pytest

from pipeline.comparison_settings import ComparisonSettings, RevealPolicy, VoteForm
from pipeline.records import Role
from pipeline.settings import Entry, SignIn
from tests.api import Program, programs, served
from tests.leaks import leaks
from tests.material import add_manual
from tests.openai_server import OpenAIServer
from tests.people import add
from tests.recorder import Recorder
from tests.workspace import add_comparison, add_model, open_workspace

NAMES = ("zqx-marlow-fennec", "zqx-ostrava-lemur", "zqx-tirana-okapi")
VIEWER, ANNOTATOR, ADMIN, OWNER = Role


@pytest.fixture(scope="module")
def endpoint():
    with OpenAIServer(models=NAMES[:1]) as server:
        yield server


@pytest.fixture(scope="module")
def services(tmp_path_factory, endpoint):
    folder = tmp_path_factory.mktemp("blind")
    settings = {"openai_base_url": endpoint.base_url, "openai_model": NAMES[0], "openai_api_key": "any", "rate": 1000}
    services = open_workspace(folder / "home", entry=Entry(mode=SignIn.ACCOUNTS), **settings)
    add_manual(services, folder)
    for name in NAMES[1:]:
        add_model(services, name)
    yield services
    services.close()


@pytest.fixture(scope="module")
def recorder(services):
    with served(services) as url, Recorder(int(url.rpartition(":")[2])) as recorder:
        yield recorder


@pytest.fixture(scope="module")
def as_(services, recorder):
    return programs(services, recorder.url)


@pytest.fixture(scope="module")
def kept(services):
    """A comparison that refusals must not change."""
    return pairs_of(services)


@pytest.fixture
def somebody(services, recorder):
    """A program of an annotator who has seen nothing yet."""
    number = len(services.store.memberships.all())
    member = add(services, f"Nia {number}", ANNOTATOR)
    return Program(recorder.url, services.tokens.make(member.id, "tests").value)


def models_of(services):
    return [model for model in services.registry.all() if model.name.startswith("zqx-")]


def pairs_of(services, count=3, **rules):
    texts = [(f"Answer {n} by one.", f"Answer {n} by two.") for n in range(count)]
    return add_comparison(services, models_of(services)[-2:], texts, **rules)


def secrets_of(services, set_id):
    """Return what must not be sent: names, ids that endpoints give, and the ids of models, runs and completions."""
    found = [secret for model in services.registry.all() for secret in (model.name, model.id)]
    found += [run.id for run in services.store.runs.latest()]
    for item in services.store.comparisons.in_set(set_id):
        found += item.completion_ids
    return found


def sent_since(recorder, start):
    return recorder.sent[start:]


def next_of(program, set_id):
    return program.get(f"/comparisons/{set_id}/next")["pair"]


def vote(program, set_id, pair, outcome="tie", **more):
    return program.post(f"/comparisons/{set_id}/vote", {"pair": pair["id"], "outcome": outcome, **more})


def test_nothing_that_is_sent_before_the_results_are_opened_tells_a_model(services, recorder, somebody):
    ranking = add_comparison(
        services,
        models_of(services),
        [(f"One {n}.", f"I am ChatGPT and say {n}.", f"{NAMES[1]} says three {n}.") for n in range(2)],
        form=VoteForm.RANKING,
    )
    pairs, start = pairs_of(services, criteria=("Correct",)), len(recorder.sent)
    listed = somebody.get("/comparisons")["comparisons"]
    assert {pairs, ranking} <= {item["id"] for item in listed}
    for _ in range(3):
        pair = next_of(somebody, pairs)
        assert [answer["side"] for answer in pair["answers"]] == ["A", "B"] and pair["criteria"] == ["Correct"]
        assert set(pair["contexts"][0]) == {"number", "document", "heading", "page", "text"}
        vote(
            somebody,
            pairs,
            pair,
            criteria={"Correct": "model_a"},
            reason="So",
            better_answer="Better",
            token=pair["id"],
        )
        vote(somebody, pairs, pair, token=pair["id"])
    somebody.post(f"/comparisons/{pairs}/undo", {"token": "u"})
    for _ in range(2):
        pair = next_of(somebody, ranking)
        texts = [answer["text"] for answer in pair["answers"]]
        assert len(texts) == 3 and sum("[name hidden]" in text for text in texts) == 2
        somebody.post(f"/comparisons/{ranking}/vote", {"pair": pair["id"], "ranks": [2, 1, 2]})
    for path in ("results", "votes"):
        somebody.refused("GET", f"/comparisons/{pairs}/{path}")
    somebody.refused("POST", f"/comparisons/{pairs}/vote", json={"pair": "nope", "outcome": "tie"})
    somebody.get("/me"), somebody.get(""), somebody.get("/openapi.json"), somebody.get("/datasets")
    sent = sent_since(recorder, start)
    assert len(sent) > 20_000 and leaks(sent, secrets_of(services, pairs) + secrets_of(services, ranking)) == []
    # What has just been looked for can be found: the search does not fail for another reason.
    somebody.post(f"/comparisons/{pairs}/reveal")
    somebody.get(f"/comparisons/{pairs}/results")
    assert leaks(sent_since(recorder, start), NAMES[1:]) != []


def test_live_answers_and_their_failures_tell_nothing(services, recorder, endpoint, somebody):
    endpoint.answer = lambda messages: "An answer of its own."
    models = tuple(model.id for model in (services.registry.all()[0], models_of(services)[0]))
    set_id, start = services.live.create(ComparisonSettings(models)), len(recorder.sent)
    assert next_of(somebody, set_id) is None
    for number in range(2):
        assert somebody.post(f"/comparisons/{set_id}/ask", {"query": f"Where are the showers, number {number}?"})[
            "shown"
        ]
        vote(somebody, set_id, next_of(somebody, set_id), "model_a")
    endpoint.fail(times=None, status=400, message=f"The model {NAMES[0]} does not exist.")
    status, said = somebody.refused("POST", f"/comparisons/{set_id}/ask", json={"query": "Where is the harbour?"})
    assert status == 422 and "One of the two models gave no answer" in said
    assert leaks(sent_since(recorder, start), secrets_of(services, set_id)) == []


def test_what_is_withheld_on_ask_is_withheld_here(services, somebody):
    pairs_of(services)
    model = models_of(services)[-1].name
    for query in ("Query number 1?", " query  NUMBER 1"):
        status, said = somebody.refused("POST", "/ask", json={"query": query, "model": model})
        assert status == 403 and "kept for Compare" in said


def test_votes_count_once_and_are_the_sides_that_were_sent(services, somebody):
    set_id, member = pairs_of(services), somebody.get("/me")["id"]
    pair = next_of(somebody, set_id)
    assert next_of(somebody, set_id) == pair
    first = vote(somebody, set_id, pair, "model_a", reason=" Because. ", better_answer="Mine", token="t")
    again = vote(somebody, set_id, pair, "model_b", token="t")
    other = vote(somebody, set_id, pair, "model_b")
    assert (first["counted"], first["repeated"], first["judged"], first["total"]) == (True, False, 1, 3)
    assert (again["counted"], again["repeated"]) == (False, True) and (other["counted"], other["judged"]) == (False, 1)
    (stored,) = [item for item in services.store.votes.log(set_id).votes if item.annotator_id == member]
    written = services.store.runs.by_ids(services.store.votes.drawn(pair["id"], member))
    sides = [written[one].text for one in services.store.votes.drawn(pair["id"], member)]
    assert sides == [answer["text"] for answer in pair["answers"]]
    assert (stored.outcome, stored.reason, stored.correction) == ("model_a", "Because.", "Mine")
    # The time is what went by between here and there, whatever a program says.
    assert 0 <= stored.seconds < 30
    assert somebody.refused("POST", f"/comparisons/{set_id}/vote", json={"pair": pair["id"], "seconds": 9})[0] == 422


def test_undo_shows_the_same_pair_again_and_is_done_once(services, somebody):
    set_id = pairs_of(services)
    pairs = [next_of(somebody, set_id)]
    vote(somebody, set_id, pairs[0], token="v")
    pairs.append(next_of(somebody, set_id))
    vote(somebody, set_id, pairs[1])
    undone = somebody.post(f"/comparisons/{set_id}/undo", {"token": "u"})
    assert (undone["pair"], undone["judged"]) == (pairs[1]["id"], 1) and next_of(somebody, set_id) == pairs[1]
    again = somebody.post(f"/comparisons/{set_id}/undo", {"token": "u"})
    assert again["repeated"] and again["judged"] == 1
    assert somebody.post(f"/comparisons/{set_id}/undo")["judged"] == 0
    assert "no vote to take back" in somebody.refused("POST", f"/comparisons/{set_id}/undo")[1]
    # A vote that was taken back is not cast again by a program that never heard of its answer.
    assert vote(somebody, set_id, pairs[0], token="v")["repeated"]
    assert somebody.get(f"/comparisons/{set_id}/next")["judged"] == 0


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "either an outcome or ranks"),
        ({"outcome": "tie", "ranks": [1, 2]}, "either an outcome or ranks"),
        ({"outcome": "a"}, "outcome:"),
        ({"outcome": None, "ranks": [1, 2]}, "judged as a pair"),
        ({"ranks": ["x"]}, "ranks"),
        ({"ranks": [10**30]}, ""),
        ({"outcome": "tie", "criteria": {"Nope": "tie"}}, "no criterion"),
        ({"outcome": "tie", "criteria": {"Nope": "x"}}, "criteria"),
        ({"outcome": "tie", "reason": "x" * 50_001}, "at most 50,000"),
        ({"outcome": "tie", "better_answer": 5}, "better_answer:"),
        ({"outcome": "tie", "model": "x"}, "model:"),
    ],
    ids=range(11),
)
def test_a_vote_that_cannot_be_is_refused_and_counts_nothing(kept, somebody, more, words):
    pair = next_of(somebody, kept)
    status, said = somebody.refused("POST", f"/comparisons/{kept}/vote", json={"pair": pair["id"], **more})
    assert status == 422 and words in said
    assert somebody.get(f"/comparisons/{kept}/next")["judged"] == 0


def test_a_pair_that_was_not_sent_or_is_of_another_comparison_takes_no_vote(services, somebody, as_):
    set_id, other = pairs_of(services), pairs_of(services)
    item = services.store.comparisons.in_set(set_id)[0]
    sent = {"pair": item.id, "outcome": "tie"}
    assert "not shown to you" in as_[ADMIN].refused("POST", f"/comparisons/{set_id}/vote", json=sent)[1]
    pair = next_of(somebody, set_id)
    answer = somebody.refused("POST", f"/comparisons/{other}/vote", json={"pair": pair["id"], "outcome": "tie"})
    assert answer[0] == 404


def test_the_shortest_reading_time_counts_from_when_the_pair_was_sent(services, somebody):
    set_id = pairs_of(services, min_read_seconds=0.4)
    pair = next_of(somebody, set_id)
    assert pair["min_read_seconds"] == 0.4
    sent = {"pair": pair["id"], "outcome": "tie"}
    assert "Read the answers first" in somebody.refused("POST", f"/comparisons/{set_id}/vote", json=sent)[1]
    began = time.monotonic()
    while time.monotonic() - began < 0.45:
        next_of(somebody, set_id)
    assert vote(somebody, set_id, pair)["counted"]


def test_a_ranking_takes_places_and_no_outcome(services, somebody):
    set_id = add_comparison(services, models_of(services), [("One.", "Two.", "One.")], form=VoteForm.RANKING)
    pair = next_of(somebody, set_id)
    # Two that wrote the same share a card.
    assert (pair["form"], len(pair["answers"])) == ("ranking", 2)
    path = f"/comparisons/{set_id}/vote"
    for wrong in ({"outcome": "tie"}, {"ranks": [1]}, {"ranks": [1, 5]}, {"ranks": [0, 1]}, {"ranks": []}):
        assert somebody.refused("POST", path, json={"pair": pair["id"], **wrong})[0] == 422
    assert somebody.post(path, {"pair": pair["id"], "ranks": [2, 1]})["counted"]


def test_results_are_closed_until_they_are_opened_which_ends_the_voting(services, somebody, as_):
    set_id = pairs_of(services, 4)
    for outcome in ("model_a", "model_b", "both_bad"):
        vote(somebody, set_id, next_of(somebody, set_id), outcome)
    path = f"/comparisons/{set_id}"
    for program, part in ((somebody, "results"), (as_[OWNER], "results"), (as_[ADMIN], "votes")):
        status, said = program.refused("GET", f"{path}/{part}")
        assert status == 403 and "Open the results first" in said
    assert somebody.post(f"{path}/reveal")["opened"]
    found = somebody.get(f"{path}/results")
    (pair,) = found["pairs"]
    assert {pair["first"], pair["second"]} == set(NAMES[1:]) == set(found["models"])
    assert (pair["votes"], pair["both_bad"], pair["annotators"]) == (3, 1, 1) and pair["headline"]
    wins = pair["wins"] + 0.5 * (pair["ties"] + pair["both_bad"])
    assert pair["win_rate"] == pytest.approx(wins / 3) and pair["low"] <= pair["win_rate"] <= pair["high"]
    assert next_of(somebody, set_id) is None
    for what, body in (("undo", {}), ("vote", {"pair": "x", "outcome": "tie"})):
        assert somebody.refused("POST", f"{path}/{what}", json=body)[0] in (404, 422)
    # Opened to one, it is closed to the others.
    assert as_[OWNER].refused("GET", f"{path}/results")[0] == 403
    mine = next(item for item in somebody.get("/comparisons")["comparisons"] if item["id"] == set_id)
    theirs = next(item for item in as_[OWNER].get("/comparisons")["comparisons"] if item["id"] == set_id)
    assert mine["opened"] and not theirs["opened"] and re.fullmatch(r"Comparison \d+ · .+", theirs["name"])


def test_names_are_told_after_the_vote_where_that_is_set_and_never_where_that_is(services, recorder, somebody):
    set_id = pairs_of(services, reveal=RevealPolicy.VOTE)
    start = len(recorder.sent)
    pair = next_of(somebody, set_id)
    assert leaks(sent_since(recorder, start), secrets_of(services, set_id)) == []
    told = vote(somebody, set_id, pair)["models"]
    assert sorted(told) == sorted(NAMES[1:])
    assert "made it final" in somebody.refused("POST", f"/comparisons/{set_id}/undo")[1]
    never, start = pairs_of(services, reveal=RevealPolicy.NEVER), len(recorder.sent)
    assert vote(somebody, never, next_of(somebody, never))["models"] == []
    somebody.post(f"/comparisons/{never}/reveal")
    found = somebody.get(f"/comparisons/{never}/results")
    assert found["models"] == ["Model 1", "Model 2"]
    assert leaks(sent_since(recorder, start), NAMES) == []


@pytest.mark.parametrize("form", ["csv", "jsonl", "arena"])
def test_votes_go_out_as_files_to_an_admin_who_has_opened_them(services, as_, somebody, form):
    set_id = pairs_of(services, 1)
    vote(somebody, set_id, next_of(somebody, set_id), "model_a")
    as_[ADMIN].post(f"/comparisons/{set_id}/reveal")
    somebody.post(f"/comparisons/{set_id}/reveal")
    assert somebody.refused("GET", f"/comparisons/{set_id}/votes")[0] == 403
    answer = as_[ADMIN].send("GET", f"/comparisons/{set_id}/votes", params={"form": form})
    assert answer.status_code == 200 and answer.text.count("Query number 0?") == 1
    assert as_[ADMIN].refused("GET", f"/comparisons/{set_id}/votes", params={"form": "xls"})[0] == 422


@pytest.mark.parametrize("role", [None, VIEWER], ids=lambda role: role or "nobody")
def test_who_may_not_vote_changes_nothing(services, as_, kept, role):
    pair = services.store.comparisons.in_set(kept)[0].id
    before, path = services.store.outbox.newest(), f"/comparisons/{kept}"
    asked = (("GET", "next", None), ("POST", "vote", {"pair": pair, "outcome": "tie"}), ("POST", "undo", {}))
    for method, what, body in (*asked, ("POST", "ask", {"query": "x"}), ("GET", "votes", None)):
        assert as_[role].refused(method, f"{path}/{what}", json=body)[0] == (401 if role is None else 403)
    assert services.store.outbox.newest() == before
    if role is None:
        for method, what in (("POST", "reveal"), ("GET", "results")):
            assert as_[role].refused(method, f"{path}/{what}")[0] == 401


def test_a_viewer_reads_the_results(services, as_):
    set_id = pairs_of(services, 1)
    as_[VIEWER].post(f"/comparisons/{set_id}/reveal")
    assert as_[VIEWER].get(f"/comparisons/{set_id}/results")["pairs"][0]["votes"] == 0
