"""Runs with real faults on a socket: what is seen of waits, what a stop leaves, what is asked again, and what it costs."""

import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from pipeline.errors import ModelError
from pipeline.models.causes import Cause, grouped
from pipeline.models.extractive import base
from pipeline.records import Completion, JobState, Model, new_id
from pipeline.run_figures import Spent, figures
from tests.material import Home, add_manual, add_queries, finished
from tests.openai_server import OpenAIServer
from tests.pipeline.test_generation import ROOT, asked, until
from tests.workspace import open_workspace

TEN = [f"Where is pier number {n} of the harbour?" for n in range(10)]


@pytest.fixture
def server():
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def home(tmp_path, server):
    settings = {"openai_base_url": server.base_url, "openai_model": "test-model", "concurrency": 4, "timeout": 20.0}
    home = Home(tmp_path / "home", **settings)
    add_manual(home.services, tmp_path)
    yield home
    home.services.close()


def chat(services):
    return [model.id for model in services.registry.all() if model.provider == "openai"][0]


def priced(services, dollars: float):
    """Register the endpoint's model at a price per million tokens of the answer."""
    first = services.store.models.get(chat(services))
    config = {**first.config, "input_price": 0.0, "output_price": dollars}
    model = Model(new_id(), "priced", "openai", config, first.template, created_at=time.time())
    services.store.models.add(model)
    return model.id


def begin(services, queries=TEN, model_id=None, **options):
    return services.generation.start_run(model_id or chat(services), add_queries(services, queries, ()), **options)


def test_a_wait_that_the_endpoint_asks_for_is_seen_while_it_lasts(home, server):
    services = home.services
    server.fail(times=1, status=429, retry_after="3", when="number 3")
    run_id = begin(services)
    # The look that was waited for, and no second one: on a busy machine the wait may be over by then.
    looks = []
    until(lambda: looks.append(services.generation.status(run_id)) or (looks[-1] and looks[-1].waits))
    status = looks[-1]
    query = next(
        row.query for row in services.generation.rows(services.store.runs.get(run_id)) if "3" in row.query.text
    )
    words = status.waits[query.id].in_words()
    assert re.fullmatch(r"waiting [1-4] s for the endpoint \(429\), attempt 2 of 3", words)
    assert status.planned == 10 and status.asking >= 1
    run = finished(services, run_id)
    assert (run.done, run.failed) == (10, 0)
    completion = next(row.completion for row in services.generation.rows(run) if row.query.id == query.id)
    assert (completion.attempts, completion.cause, completion.error) == (2, None, "")
    assert services.generation.status(run_id) is None


def test_other_requests_wait_for_what_one_was_asked_to(home, server):
    server.fail(times=1, status=429, retry_after="5", when="number 0")
    run_id = begin(home.services, TEN)
    finished(home.services, run_id)
    refused = next(request for request in server.chats if request.status == 429)
    # Those that were on their way when it was refused may come in up to 2 s later on a busy machine.
    within = [request for request in server.chats if refused.ended + 2 < request.started < refused.ended + 4.9]
    assert within == []


def test_an_error_says_how_often_was_tried_and_is_grouped_by_its_cause(home, server):
    services = home.services
    server.fail(times=None, status=503, retry_after="0.05", when="number 1")
    server.fail(times=None, status=429, code="insufficient_quota", when="number 2")
    server.fail(times=None, cut_after=2, when="number 3")
    server.fail(times=None, status=503, retry_after="0.05", when="number 4")
    server.fail(times=None, status=429, retry_after="100", when="number 5")
    run = finished(services, begin(services))
    assert (run.done, run.failed) == (5, 5)
    groups = {group.cause: group for group in services.generation.failures(run)}
    counts = {cause: len(group.query_ids) for cause, group in groups.items()}
    assert counts == {Cause.SERVER: 2, Cause.QUOTA: 1, Cause.CUT_OFF: 1, Cause.RATE_LIMIT: 1}
    assert "Given up after 3 attempts." in groups[Cause.SERVER].example
    assert "asks to wait 100 s, which is longer than is waited (20 s)" in groups[Cause.RATE_LIMIT].example
    assert "no quota left" in groups[Cause.QUOTA].example
    errors = {
        row.completion.cause: row.completion.attempts for row in services.generation.rows(run) if row.completion.error
    }
    assert errors == {"server": 3, "quota": 1, "cut_off": 1, "rate_limit": 1}
    assert list(groups)[0] is Cause.SERVER and all(group.meaning.advice for group in groups.values())


def test_only_the_queries_of_one_cause_are_asked_again_and_the_run_counts_them_once(home, server):
    services = home.services
    server.fail(times=None, status=400, message="No.", when="number 1")
    server.fail(times=None, cut_after=2, when="number 2")
    server.fail(times=None, cut_after=2, when="number 3")
    run = finished(services, begin(services))
    cut = next(group for group in services.generation.failures(run) if group.cause is Cause.CUT_OFF)
    server.recover()
    server.requests.clear()
    assert services.generation.resume(run.id, only=cut.query_ids)
    again = finished(services, run.id)
    assert sorted(asked(server)) == [TEN[2], TEN[3]]
    assert (again.state, again.done, again.failed, again.total) == (JobState.DONE, 9, 1, 10)
    assert [group.cause for group in services.generation.failures(again)] == [Cause.REFUSED]
    assert services.generation.resume(run.id)
    last = finished(services, run.id)
    assert (last.done, last.failed) == (10, 0) and services.generation.failures(last) == []
    assert not services.generation.resume(run.id)


def test_a_press_on_resume_while_it_is_under_way_changes_nothing(home, server):
    server.latency = 0.3
    run_id = begin(home.services)
    assert not home.services.generation.resume(run_id)
    home.services.generation.cancel(run_id)
    finished(home.services, run_id)
    presses = [threading.Thread(target=home.services.generation.resume, args=(run_id,)) for _ in range(5)]
    for press in presses:
        press.start()
    for press in presses:
        press.join()
    assert finished(home.services, run_id).done == 10
    answered = Counter(request.query for request in server.chats if not request.gone)
    assert set(answered.values()) == {1}


@pytest.mark.sqlite
def test_a_kill_in_the_middle_costs_no_answer_that_was_stored_and_one_press_gets_the_rest(tmp_path, server):
    folder, many = tmp_path / "home", [f"Where is pier number {n} of the harbour?" for n in range(60)]
    settings = {"openai_base_url": server.base_url, "openai_model": "test-model", "concurrency": 8}
    services = open_workspace(folder, **settings)
    add_manual(services, tmp_path)
    list_id, model = add_queries(services, many, ()), chat(services)
    services.close()
    server.latency = 0.1
    program = (
        "import time; from pathlib import Path; from tests.workspace import open_workspace\n"
        f"services = open_workspace(Path({str(folder)!r}), **{settings!r})\n"
        f"services.generation.start_run({model!r}, {list_id!r}); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    until(lambda: sum(request.ended is not None for request in server.chats) >= 25, seconds=60)
    process.kill()
    process.wait(10)
    until(lambda: all(request.ended for request in server.chats))
    services = open_workspace(folder, **settings)
    (died,) = services.store.runs.latest()
    before = Counter(asked(server))
    assert died.state is JobState.INTERRUPTED and 25 - 8 <= died.done < 60
    # A place takes its next query only when its answer is stored: what is lost was under way at the kill.
    assert len(before) - died.done <= 8
    stored = {row.query.text for row in services.generation.rows(died) if row.completion}
    assert services.generation.resume(died.id)
    run = finished(services, died.id)
    assert (run.state, run.done, run.failed) == (JobState.DONE, 60, 0)
    counts = Counter(asked(server))
    assert set(counts) == set(many) and all(counts[text] == 1 for text in stored)
    twice = {text for text, count in counts.items() if count > 1}
    assert len(twice) <= 8 and max(counts.values()) <= 2 and twice.isdisjoint(stored)
    services.close()


def test_what_was_answered_elsewhere_meanwhile_counts_and_is_not_paid_again(home, server):
    services = home.services
    server.fail(times=None, stall=60, when="number 9")
    list_id = add_queries(services, TEN, ())
    first = services.generation.start_run(chat(services), list_id)
    until(lambda: services.store.runs.get(first).done == 9)
    services.generation.cancel(first)
    finished(services, first, seconds=10)
    server.recover()
    finished(services, services.generation.start_run(chat(services), list_id))
    server.requests.clear()
    assert services.generation.resume(first)
    run = finished(services, first)
    assert (run.state, run.done, run.total) == (JobState.DONE, 10, 10) and server.chats == []


@pytest.mark.parametrize(
    "fault", [{"stall": 60}, {"status": 503, "retry_after": "15"}, {"stall": 60, "stall_after": 2}]
)
def test_a_cancel_takes_effect_soon_whatever_is_under_way(home, server, fault):
    server.fail(times=None, **fault)
    run_id = begin(home.services)
    until(lambda: len(server.chats) >= 4)
    if "status" in fault:
        until(lambda: (status := home.services.generation.status(run_id)) and status.waits)
    start = time.monotonic()
    home.services.generation.cancel(run_id)
    run = finished(home.services, run_id, seconds=10)
    # Each of these faults would last for 15 s or longer.
    assert time.monotonic() - start < 5
    assert (run.state, run.done) == (JobState.CANCELLED, 0)
    if "status" not in fault:
        until(lambda: all(request.gone for request in server.chats), seconds=10)


def test_a_run_stops_before_it_spends_more_than_it_may_and_goes_on_with_more(home, server):
    services = home.services
    # Every answer has two tokens: 20 cents.
    server.answer = lambda messages: "Over there."
    model = priced(services, 100_000.0)
    run_id = begin(services, model_id=model, limit=1.1)
    run = finished(services, run_id)
    assert (run.state, run.done) == (JobState.CANCELLED, 5)
    assert run.error.startswith("Stopped at the spending limit of $1.10.") and "resume" in run.error
    assert services.generation.figures(run).cost == pytest.approx(1.0)
    assert services.generation.resume(run_id, limit=1.5)
    assert finished(services, run_id).done == 7
    assert services.generation.resume(run_id)
    run = finished(services, run_id)
    assert (run.state, run.done, run.error) == (JobState.DONE, 10, "") and len(server.chats) == 10
    assert services.generation.figures(run).cost == pytest.approx(2.0)


def test_a_limit_that_cannot_be_kept_stops_the_run_and_clearing_it_lets_it_go_on(home, server):
    services = home.services
    server.rejects = {"stream_options": "Unrecognized request argument supplied: stream_options"}
    run_id = begin(services, model_id=priced(services, 1.0), limit=1.1)
    run = finished(services, run_id)
    assert (run.state, run.done, run.failed) == (JobState.CANCELLED, 1, 0)
    assert "did not count the tokens" in run.error and "$1.10" in run.error and "Clear the limit" in run.error
    asked_before = len(server.chats)
    assert services.generation.resume(run_id, limit=1.1)
    again = finished(services, run_id)
    assert (again.done, again.error, len(server.chats)) == (1, run.error, asked_before)
    assert services.generation.resume(run_id)
    run = finished(services, run_id)
    assert (run.state, run.done, run.error) == (JobState.DONE, 10, "")


def test_what_costs_nothing_does_not_end_a_run_with_a_limit(home, server):
    services = home.services
    unrelated = ["Quantum chromodynamics?", "Xylophone zeitgeist?"]
    model = priced(services, 1.0)
    run = finished(services, begin(services, [*unrelated, *TEN], model_id=model, limit=1.1))
    assert (run.state, run.done, run.error, len(server.chats)) == (JobState.DONE, 12, "", 10)
    # Two runs over one list at once: what one takes over from the other has no cost of its own.
    server.latency = 0.05
    model, list_id = priced(services, 2.0), add_queries(services, TEN, ())
    both = [services.generation.start_run(model, list_id, limit=1.1) for _ in range(2)]
    assert [finished(services, run_id).error for run_id in both] == ["", ""]
    assert len(server.chats) == 20


def test_answers_that_are_charged_for_and_lost_count_as_the_mean_of_the_others(home, server):
    services = home.services
    # Every answer has two tokens: 20 cents.
    server.answer = lambda messages: "Over there."
    server.fail(times=None, cut_after=1, when="number 1")
    server.fail(times=None, events=[], when="number 2")
    run = finished(services, begin(services, model_id=priced(services, 100_000.0), limit=1.1))
    assert (run.state, run.done, run.failed, len(server.chats)) == (JobState.CANCELLED, 3, 2, 5)
    assert services.generation.resume(run.id, limit=1.1)
    again = finished(services, run.id)
    assert (again.done, again.failed, len(server.chats)) == (3, 2, 5)
    assert again.error.startswith("Stopped at the spending limit of $1.10.")


def test_a_model_that_only_ever_fails_at_a_charge_is_not_asked_for_ever(home, server):
    server.fail(times=None, events=[])
    run = finished(home.services, begin(home.services, model_id=priced(home.services, 1.0), limit=1.1))
    assert (run.state, run.done, run.failed, len(server.chats)) == (JobState.CANCELLED, 0, 3, 3)
    assert run.error.startswith("3 requests failed that the endpoint may charge for")


def test_a_limit_needs_a_price_and_an_amount(home):
    with pytest.raises(ModelError, match="has no price"):
        begin(home.services, limit=1.0)
    with pytest.raises(ModelError, match="above 0"):
        begin(home.services, model_id=priced(home.services, 1.0), limit=-1.0)
    assert home.services.store.runs.latest() == []


def test_what_answers_took_is_summed_up(home, server):
    server.pace = 0.02
    services, model = home.services, priced(home.services, 2.0)
    server.answer = lambda messages: "It is over there."
    run = finished(services, begin(services, model_id=model))
    made = services.generation.figures(run)
    prompt = [sum(len(message["content"].split()) for message in request.body["messages"]) for request in server.chats]
    assert (made.answers, made.counted, made.priced) == (10, 10, 10)
    assert (made.prompt_tokens, made.completion_tokens) == (sum(prompt), 40)
    assert made.cost == pytest.approx(40 * 2.0 / 1_000_000)
    assert 0.02 <= made.first_text < made.half <= made.most
    rows = services.generation.rows(run)
    assert all(row.completion.cost == pytest.approx(8e-6) and row.completion.attempts == 1 for row in rows)
    assert all(0 < row.completion.first_text_seconds < row.completion.seconds for row in rows)
    left_out = services.generation.figures(run, {rows[0].query.id})
    assert (left_out.answers, left_out.completion_tokens) == (9, 36)


def test_sums_leave_out_what_was_there_before():
    spent = [
        Spent(str(n), n / 10, None, 100, 10, None, attempts) for n, attempts in ((1, 1), (2, None), (3, 0), (20, 3))
    ]
    made = figures(spent)
    assert (made.answers, made.priced, made.half, made.most, made.first_text, made.retried) == (3, 0, 0.2, 2.0, None, 1)
    assert made.tokens_per_second == pytest.approx(30 / 2.3)
    assert figures([]).half is None and figures([]).answers == 0


def test_an_error_of_a_version_without_causes_is_grouped_too():
    old = Completion("c", "r", "m", "q", "t", "", error="No answer came.")
    (group,) = grouped([old])
    assert (group.cause, group.query_ids, group.example) == (Cause.OTHER, ("q",), "No answer came.")


def test_all_endpoints_share_one_pool_of_connections(home, server):
    from pipeline.models.clients import _POOLS

    with OpenAIServer() as other:
        services = home.restart(openai_base_url=server.base_url)
        first = services.store.models.get(chat(services))
        config = {**first.config, "endpoint": other.base_url, "key": ""}
        services.store.models.add(
            Model(new_id(), "elsewhere", "openai", config, first.template, created_at=time.time())
        )
        for model in services.registry.all():
            if model.config != base().to_config():
                list(services.generation.ask(TEN[0], model.id))
        assert len(server.chats) == len(other.chats) == 1
        pools = services.background.submit(_running_pools(_POOLS)).result(30)
    assert len(pools) == 1 and len(pools[0].clients) == 2
    assert len({client._client for client in pools[0].clients.values()}) == 1


async def _running_pools(pools):
    return [pool for loop, pool in pools.items() if loop.is_running()]


def test_a_host_without_an_answer_is_told_from_one_that_hangs_up(home):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    services = home.restart(openai_base_url=f"http://127.0.0.1:{port}/v1", openai_model="test-model")
    model = services.registry.all()[-1].id
    run = finished(services, begin(services, TEN[:2], model_id=model))
    assert [group.cause for group in services.generation.failures(run)] == [Cause.UNREACHABLE]
