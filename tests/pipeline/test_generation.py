"""Answers: one at a time and over lists, against a real endpoint on a socket, with all that can go wrong there."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.errors import ModelError, NotFoundError, QueryFileError
from pipeline.prompts import REFUSAL
from pipeline.query_files import MAX_QUERY_CHARACTERS
from pipeline.records import JobState, Split
from tests.material import TEST, TRAIN, Home, add_manual, add_queries, finished
from tests.openai_server import OpenAIServer, echo_first_context
from tests.servers import free_port
from tests.workspace import open_workspace

ROOT = Path(__file__).resolve().parents[2]
FIVE = [f"Where is pier number {n} of the harbour?" for n in range(5)]


@pytest.fixture
def server():
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def home(tmp_path, server):
    settings = {"openai_base_url": server.base_url, "openai_model": "test-model", "concurrency": 2, "timeout": 20.0}
    home = Home(tmp_path / "home", **settings)
    add_manual(home.services, tmp_path)
    yield home
    home.services.close()


def chat(services):
    return [model.id for model in services.registry.all() if model.provider == "openai"][-1]


def run(services, list_id, model_id=None, split=None):
    return finished(services, services.generation.start_run(model_id or chat(services), list_id, split))


def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.01)


def asked(server):
    """The queries that reached the endpoint, in their order."""
    return [request.query.rpartition("Query: ")[2] for request in server.chats]


def test_an_answer_comes_after_its_contexts_and_grows_until_it_is_complete(home, server):
    server.pace = 0.01
    steps = home.services.generation.ask("Where is diesel sold?", chat(home.services))
    first = next(steps)
    assert first.retrieval.contexts and first.text == "" and first.completion is None
    assert server.chats == []
    *growing, last = steps
    texts = [step.text for step in growing]
    assert len(texts) > 3 and all(after.startswith(before) for before, after in zip(texts, texts[1:], strict=False))
    assert last.completion.text == last.text == texts[-1] and last.text.endswith("[1]")
    assert last.completion.citations == (1,) and last.completion.error == ""
    stored = home.services.store.runs.answered(chat(home.services), [first.retrieval.id])
    assert stored[first.retrieval.id].text == last.text
    assert home.services.store.queries.retrievals_by_id([first.retrieval.id])[first.retrieval.id] == first.retrieval


def test_the_endpoint_is_given_the_contexts_that_are_shown(home, server):
    steps = list(home.services.generation.ask("Where is diesel sold?", chat(home.services)))
    (request,) = server.chats
    assert all(context.text.strip() in request.query for context in steps[0].retrieval.contexts)


def test_a_reader_who_leaves_ends_the_request_and_nothing_is_stored(home, server):
    server.fail(stall=60, stall_after=1)
    steps = home.services.generation.ask("Where is diesel sold?", chat(home.services))
    retrieval = next(steps).retrieval
    assert any(step.text for step in steps)
    steps.close()
    until(lambda: server.chats[0].gone)
    assert home.services.store.runs.answered(chat(home.services), [retrieval.id]) == {}


@pytest.mark.parametrize(("text", "said"), [(" \n", "Type a query"), ("x" * (MAX_QUERY_CHARACTERS + 1), "limit")])
def test_a_query_that_is_none_is_refused_before_anything_is_stored(home, text, said):
    with pytest.raises(QueryFileError, match=said):
        next(home.services.generation.ask(text, chat(home.services)))
    assert home.services.store.queries.add_asked("first").position == 0


def test_asking_a_model_that_is_not_there_stores_no_query(home):
    with pytest.raises(NotFoundError, match="model"):
        next(home.services.generation.ask("Where is diesel sold?", "nobody"))
    assert home.services.store.queries.add_asked("first").position == 0


def test_a_failed_answer_is_an_error_for_the_reader_and_the_next_one_works(home, server):
    server.fail(status=401, code="invalid_api_key")
    with pytest.raises(ModelError, match="OPENAI_API_KEY"):
        list(home.services.generation.ask("Where is diesel sold?", chat(home.services)))
    assert list(home.services.generation.ask("Where is diesel sold?", chat(home.services)))[-1].completion


def test_many_can_ask_at_the_same_time(home, server):
    together = threading.Barrier(len(TRAIN))

    def answer(messages):
        # None is answered until all have been asked: were they asked one after another, none ever would be.
        together.wait(15)
        return echo_first_context(messages)

    server.answer = answer
    generation, model = home.services.generation, chat(home.services)
    with ThreadPoolExecutor(len(TRAIN)) as readers:
        answers = list(readers.map(lambda text: list(generation.ask(text, model))[-1], TRAIN))
    assert [answer.query.text for answer in answers] == list(TRAIN)
    assert all(answer.text.endswith("[1]") for answer in answers)


def test_a_run_has_a_row_per_query_in_the_order_of_the_list(home, server):
    result = run(home.services, add_queries(home.services))
    rows = home.services.generation.rows(result)
    assert (result.state, result.total, result.done, result.failed) == (JobState.DONE, 8, 8, 0)
    assert [row.query.text for row in rows] == [*TRAIN, *TEST]
    assert all(row.completion.text.endswith("[1]") and row.completion.run_id == result.id for row in rows)
    assert sorted(asked(server)) == sorted([*TRAIN, *TEST])
    assert all(row.completion.prompt_tokens and row.completion.completion_tokens for row in rows)


def test_a_run_over_one_split_leaves_the_other_alone(home, server):
    result = run(home.services, add_queries(home.services), split=Split.TEST)
    assert [row.query.text for row in home.services.generation.rows(result)] == list(TEST)
    assert sorted(asked(server)) == sorted(TEST)


def test_the_same_run_again_asks_for_nothing(home, server):
    list_id = add_queries(home.services)
    first = run(home.services, list_id)
    server.requests.clear()
    again = run(home.services, list_id)
    assert server.chats == []
    assert (again.state, again.done, again.total) == (JobState.DONE, 8, 8)
    assert home.services.generation.rows(again) == home.services.generation.rows(first)


def test_the_same_run_after_a_restart_asks_for_nothing(home, server):
    list_id = add_queries(home.services)
    run(home.services, list_id)
    server.requests.clear()
    services = home.restart()
    assert run(services, list_id).done == 8
    assert server.chats == []


def test_a_list_that_grew_by_its_other_split_is_asked_only_for_that(home, server):
    list_id = add_queries(home.services)
    run(home.services, list_id, split=Split.TRAIN)
    server.requests.clear()
    assert run(home.services, list_id).done == 8
    assert sorted(asked(server)) == sorted(TEST)


def test_two_models_get_the_same_stored_contexts(home, server):
    list_id = add_queries(home.services)
    rows = [
        home.services.generation.rows(run(home.services, list_id, model.id)) for model in home.services.registry.all()
    ]
    assert len(rows) == 2
    assert [row.retrieval for row in rows[0]] == [row.retrieval for row in rows[1]]
    assert {row.completion.model_id for row in rows[0]}.isdisjoint(row.completion.model_id for row in rows[1])


def test_contexts_of_a_finished_run_stay_when_documents_change(home, server, tmp_path):
    list_id = add_queries(home.services)
    first = run(home.services, list_id)
    before = home.services.generation.rows(first)
    add_manual(home.services, tmp_path, "Diesel is sold at the south pier from now on.", "news.txt")
    assert home.services.generation.rows(home.services.store.runs.get(first.id)) == before
    second = home.services.generation.rows(run(home.services, list_id))
    at = TRAIN.index("Where is diesel sold?")
    assert "south pier" in " ".join(context.text for context in second[at].retrieval.contexts)


def test_cancel_keeps_what_is_answered_and_the_next_run_asks_for_the_rest(home, server):
    list_id = add_queries(home.services, FIVE, ())
    server.fail(times=None, stall=60, when="number 3")
    server.fail(times=None, stall=60, when="number 4")
    run_id = home.services.generation.start_run(chat(home.services), list_id)
    until(lambda: home.services.store.runs.get(run_id).done == 3)
    home.services.generation.cancel(run_id)
    cancelled = finished(home.services, run_id, seconds=10)
    assert (cancelled.state, cancelled.done, cancelled.failed) == (JobState.CANCELLED, 3, 0)
    until(lambda: sum(request.gone for request in server.chats) == 2)
    rows = home.services.generation.rows(cancelled)
    assert [row.completion is not None for row in rows] == [True, True, True, False, False]
    server.recover()
    server.requests.clear()
    rest = run(home.services, list_id)
    assert sorted(asked(server)) == FIVE[3:]
    assert (rest.state, rest.done, rest.total) == (JobState.DONE, 5, 5)


def test_cancel_after_the_end_changes_nothing(home):
    result = run(home.services, add_queries(home.services))
    home.services.generation.cancel(result.id)
    home.services.generation.cancel("no such run")
    assert home.services.store.runs.get(result.id) == result


def test_a_run_whose_end_could_not_be_stored_ends_when_it_is_cancelled(home, server):
    generation, store = home.services.generation, home.services.store
    server.fail(times=None, stall=60)
    run_id = generation.start_run(chat(home.services), add_queries(home.services, FIVE, ()))
    until(lambda: len(server.chats) == 2)
    with store.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE runs RENAME COLUMN finished_at TO gone")
    generation.cancel(run_id)
    until(lambda: generation.status(run_id) is None)
    with store.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE runs RENAME COLUMN gone TO finished_at")
    assert store.runs.get(run_id).state is JobState.RUNNING
    generation.cancel(run_id)
    assert store.runs.get(run_id).state is JobState.CANCELLED
    server.recover()
    assert generation.resume(run_id)
    assert finished(home.services, run_id).done == 5


def errors(services, result):
    return [row.completion.error for row in services.generation.rows(result)]


def test_an_endpoint_that_is_down_gives_an_error_per_query_and_the_run_ends(home):
    services = home.restart(openai_base_url=f"http://127.0.0.1:{free_port()}/v1", concurrency=8)
    result = run(services, add_queries(services))
    assert (result.state, result.done, result.failed) == (JobState.DONE, 0, 8)
    assert all("Cannot reach" in error and "OPENAI_BASE_URL" in error for error in errors(services, result))


def test_a_wrong_key_gives_an_error_per_query_and_is_shown_in_none(home, server):
    server.api_key = "the-right-one"
    services = home.restart(openai_api_key="the-wrong-one")
    result = run(services, add_queries(services))
    assert (result.state, result.failed) == (JobState.DONE, 8)
    assert all("OPENAI_API_KEY" in error and "wrong-one" not in error for error in errors(services, result))


def test_an_endpoint_that_says_nothing_gives_an_error_per_query_and_the_run_ends(home, server):
    server.fail(times=None, stall=60)
    services = home.restart(timeout=0.3, concurrency=8)
    result = run(services, add_queries(services))
    assert (result.state, result.failed) == (JobState.DONE, 8)
    assert all("sent nothing for 0.3 s" in error for error in errors(services, result))


def test_one_query_that_fails_holds_up_no_other_and_only_it_is_asked_again(home, server):
    list_id = add_queries(home.services, FIVE, ())
    server.fail(times=1, status=400, message="No.", when="number 2")
    first = run(home.services, list_id)
    assert (first.state, first.done, first.failed) == (JobState.DONE, 4, 1)
    assert [bool(error) for error in errors(home.services, first)] == [False, False, True, False, False]
    server.requests.clear()
    second = run(home.services, list_id)
    assert asked(server) == [FIVE[2]] and (second.done, second.failed) == (5, 0)


def test_one_stream_without_an_end_fails_its_own_query_and_not_the_run(home, server):
    server.fail(events=["data: ", "x" * 4_100_000], when="number 2")
    result = run(home.services, add_queries(home.services, FIVE, ()))
    assert (result.state, result.done, result.failed, result.error) == (JobState.DONE, 4, 1, "")
    assert "not as an OpenAI-compatible endpoint does" in errors(home.services, result)[2]


def test_without_an_endpoint_a_chat_model_gives_an_error_per_query(home):
    services = home.restart(openai_base_url="", openai_model="")
    result = run(services, add_queries(services))
    assert (result.state, result.failed) == (JobState.DONE, 8)
    assert all("set OPENAI_BASE_URL" in error for error in errors(services, result))


def test_without_contexts_the_answer_is_the_refusal_and_no_model_is_asked(home, server):
    unrelated = "Quantum chromodynamics?"
    last = list(home.services.generation.ask(unrelated, chat(home.services)))[-1]
    assert (last.completion.text, last.completion.refused, last.retrieval.contexts) == (REFUSAL, True, ())
    result = run(home.services, add_queries(home.services, [unrelated], ()))
    (row,) = home.services.generation.rows(result)
    assert row.completion.refused and row.completion.text == REFUSAL
    assert server.chats == []


def test_an_empty_list_and_an_unknown_model_start_no_run(home):
    only_train = add_queries(home.services, TRAIN, ())
    with pytest.raises(QueryFileError, match="no queries"):
        home.services.generation.start_run(chat(home.services), only_train, Split.TEST)
    with pytest.raises(NotFoundError, match="model"):
        home.services.generation.start_run("nobody", only_train)
    assert home.services.store.runs.latest() == []


def test_closing_in_the_middle_of_a_run_leaves_it_interrupted_with_its_answers(home, server):
    list_id = add_queries(home.services, FIVE, ())
    server.fail(times=None, stall=60, when="number 4")
    run_id = home.services.generation.start_run(chat(home.services), list_id)
    until(lambda: home.services.store.runs.get(run_id).done == 4)
    services = home.restart()
    assert (services.store.runs.get(run_id).state, services.store.runs.get(run_id).done) == (JobState.INTERRUPTED, 4)


@pytest.mark.sqlite
def test_a_process_that_died_leaves_its_run_interrupted_and_the_next_run_asks_for_the_rest(tmp_path, server):
    folder = tmp_path / "home"
    settings = {"openai_base_url": server.base_url, "openai_model": "test-model", "concurrency": 1}
    services = open_workspace(folder, **settings)
    add_manual(services, tmp_path)
    list_id = add_queries(services, FIVE, ())
    model = chat(services)
    services.close()
    server.fail(times=None, stall=60, when="number 3")
    program = (
        "import sys, time; from pathlib import Path; from tests.workspace import open_workspace\n"
        f"services = open_workspace(Path({str(folder)!r}), **{settings!r})\n"
        f"services.generation.start_run({model!r}, {list_id!r}); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    until(lambda: len(server.chats) == 4, seconds=60)
    process.kill()
    process.wait(10)
    services = open_workspace(folder, **settings)
    (died,) = services.store.runs.latest()
    assert (died.state, died.done, died.total) == (JobState.INTERRUPTED, 3, 5)
    server.recover()
    server.requests.clear()
    assert run(services, list_id).done == 5
    assert asked(server) == FIVE[3:]
    services.close()
