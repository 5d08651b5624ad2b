"""What becomes of the work of a replica that is gone: judges, runs, trainings and proposals, none of which stays "running"."""

import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from unittest.mock import patch

import pytest

from components.ask import run_html
from components.ask.proposals import ProposalHandlers
from components.results.judge import JudgeHandlers, progress
from pipeline.finetune.jobs import JobRunner
from pipeline.finetune.trainers import Progress, Tuned
from pipeline.records import JobState, Model, new_id
from pipeline.store import Server, open_store
from pipeline.store.claims import Claims
from pipeline.store.training import INTERRUPTED, LEFT
from tests.judges import POOR, blocks, opened, prefers_good, texts
from tests.material import add_manual, add_queries, finished
from tests.openai_server import OpenAIServer, echo_first_context
from tests.pipeline.finetune.test_openai_trainer import BASE, data_of, runner_of
from tests.postgres import POSTGRES
from tests.tuning_server import TuningServer
from tests.waiting import wait_until
from tests.workspace import add_comparison, add_model, open_workspace, person

ROOT = Path(__file__).resolve().parents[2]
CONCURRENCY = 2
# What a replica is at work on when it is killed.
WORK = """
import sys
from pathlib import Path
from pipeline.comparison_settings import ComparisonSettings
from pipeline.services import open_services
from pipeline.settings import Settings
home, url, endpoint, list_id, set_id, ada, model = sys.argv[1:]
services = open_services(Settings(
    home=Path(home), example=False, database_url=url, openai_base_url=endpoint, openai_model="test-model", concurrency=2
))
services.start_backup()
jobs = [services.store.training.start(trainer, None, model, []) for trainer in ("embedded", "local", "hf_jobs")]
for job in jobs[1:]:
    services.store.training.began(job, "at work")
others = [found.id for found in services.registry.all() if found.id != model]
half_made = services.store.comparisons.add_set("half made", ComparisonSettings((model, others[0])), list_id)
services.proposals.start([], 4, model)
print(half_made, services.generation.start_run(model, list_id), services.judge.start(set_id, model, ada), *jobs, flush=True)
sys.stdin.read()
"""


class Asked:
    """Judges, proposes a query, or answers: each of these so often as is let through, until it is let answer everything."""

    def __init__(self):
        self._left = dict.fromkeys(("judge", "propose", "answer"), 10**6)
        self._changed = threading.Condition()

    def allow(self, **kinds):
        with self._changed:
            self._left |= kinds
            self._changed.notify_all()

    def __call__(self, messages):
        text = echo_first_context(messages)
        kind = "judge" if blocks(messages[-1]["content"]) else "answer" if "[1]" in text else "propose"
        with self._changed:
            assert self._changed.wait_for(lambda: self._left[kind], 60)
            self._left[kind] -= 1
        if kind == "propose":
            return '{"query": "What is paid for a night at the pier?"}'
        return prefers_good(messages) if kind == "judge" else text


@pytest.fixture
def asked():
    return Asked()


@pytest.fixture
def server(asked):
    with OpenAIServer(answer=asked) as server:
        yield server
        asked.allow(judge=10**6, propose=10**6, answer=10**6)


@pytest.fixture
def open_replica(tmp_path, server, monkeypatch):
    # One that is gone is taken for that a little sooner.
    monkeypatch.setattr("pipeline.store.presence.SILENT_SECONDS", 0.5)
    monkeypatch.setattr("pipeline.turns.PAUSE_SECONDS", 0.05)
    settings = {
        "database_url": POSTGRES.url_of(tmp_path / "pairloop.db"), "openai_base_url": server.base_url,
        "openai_model": "test-model", "concurrency": CONCURRENCY, "timeout": 90.0,
    }  # fmt: skip
    opened_here = []

    def open_it(name):
        opened_here.append(open_workspace(tmp_path / name, **settings))
        opened_here[-1].start_backup()
        return opened_here[-1]

    yield open_it
    for services in opened_here:
        services.close()


def end_without_a_word(services):
    """Let a replica be what it is after a kill: no thread that sees to anything, and no connection that holds anything."""
    services.replicas.stop(10)
    services.replicas._presence.leave()


def chat_model(services):
    return next(model.id for model in services.registry.all() if model.name == "test-model")


def compared(services, number=4):
    models = [add_model(services, name) for name in ("tuned-9", "base-9")]
    set_id = add_comparison(services, models, texts(number))
    return set_id, opened(services, set_id), chat_model(services)


def said_well(services, set_id):
    """Count how often each question of a comparison was answered."""
    runs = [run.id for run in services.store.judgements.runs(set_id)]
    return Counter(item.order for item in services.store.judgements.of_runs(runs) if not item.error)


def test_the_work_of_a_replica_that_is_killed_goes_on_or_ends_and_is_paid_once(open_replica, server, asked, tmp_path):
    here = open_replica("here")
    add_manual(here, tmp_path)
    list_id = add_queries(here)
    set_id, ada, model = compared(here)
    asked.allow(judge=3, propose=0, answer=4)
    given = [
        tmp_path / "killed",
        POSTGRES.url_of(tmp_path / "pairloop.db"),
        server.base_url,
        list_id,
        set_id,
        ada,
        model,
    ]
    command = [sys.executable, "-c", WORK, *map(str, given)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killed:
        half_made, run_id, judging, embedded, local, at_hub = killed.stdout.readline().split()
        # The same is asked for here too: nothing of it is asked twice.
        second = here.generation.start_run(model, list_id)
        wait_until(lambda: here.store.runs.get(run_id).done >= 3 and len(said_well(here, set_id)) >= 3)
        elsewhere = here.proposals.asked_elsewhere()
        killed.kill()
    asked.allow(judge=10**6, propose=10**6, answer=10**6)
    assert elsewhere
    runs = [finished(here, one) for one in (run_id, second)]
    assert [(run.state, run.done, run.failed) for run in runs] == [(JobState.DONE, run.total, 0) for run in runs]
    wait_until(lambda: here.store.judgements.get(judging).state is not JobState.RUNNING)
    assert here.store.judgements.get(judging).state is JobState.DONE
    assert set(said_well(here, set_id).values()) == {1} and len(said_well(here, set_id)) == 8
    made = here.store.comparisons.set(half_made)
    assert made.state == "interrupted" and made.error
    job_of = here.store.training.job
    assert (job_of(embedded).state, job_of(embedded).error) == (JobState.INTERRUPTED, INTERRUPTED)
    assert (job_of(local).state, job_of(local).error) == (JobState.INTERRUPTED, LEFT)
    # Whoever is left follows what runs at a provider.
    assert [job.id for job in here.store.training.running()] == [at_hub]
    assert not here.proposals.asked_elsewhere()
    # Only what was asked for in the moment of the kill was asked for again.
    assert len(server.chats) <= runs[0].total + 8 + 4 + 3 * CONCURRENCY
    here.proposals.start([], 1, model)
    wait_until(lambda: here.proposals.progress().state is not JobState.RUNNING)
    assert here.proposals.progress().state is JobState.DONE


def test_a_judge_goes_on_here_while_the_other_lives_on_without_knowing(open_replica, server, asked):
    one, other = open_replica("one"), open_replica("other")
    set_id, ada, model = compared(one)
    server.fail(1, when=POOR.format(n=0), status=400)
    asked.allow(judge=3)
    run_id = one.judge.start(set_id, model, ada)
    wait_until(lambda: len(said_well(one, set_id)) >= 3)
    end_without_a_word(one)
    wait_until(lambda: one.store.replica not in other.store.others())
    state = other.judge.progress(set_id, model, ada)
    assert state.here and state.running
    wait_until(lambda: len(server.chats) == 4 + 2 * CONCURRENCY)
    asked.allow(judge=10**6)
    wait_until(lambda: not other.judge.progress(set_id, model, ada).running)
    state = other.judge.progress(set_id, model, ada)
    # What had failed is told, and not asked again before somebody says so.
    assert (state.run.id, state.run.state, state.failed) == (run_id, JobState.DONE, 1)
    assert set(said_well(other, set_id).values()) == {1} and len(said_well(other, set_id)) == 7
    wait_until(lambda: run_id not in one.judge._cancels)
    assert other.store.judgements.get(run_id).state is JobState.DONE
    # What the one that lives on was asking for was asked twice, and what it had begun until it saw that.
    assert len(server.chats) <= 8 + 2 * CONCURRENCY


def test_a_judge_that_was_asked_otherwise_is_interrupted(open_replica):
    here = open_replica("here")
    set_id, _, model = compared(here)
    gone = open_store(None, server=Server(POSTGRES.url_of(here.settings.home.parent / "pairloop.db"), new_id()))
    gone.judgements.start("theirs", set_id, model, "instructions of another version")
    here.judge.take_over(gone.replica)
    assert here.store.judgements.get("theirs").state is JobState.INTERRUPTED
    here.judge.take_over(gone.replica)
    gone.close()


def test_a_judge_can_be_cancelled_from_any_replica(open_replica, server, asked):
    one, other = open_replica("one"), open_replica("other")
    set_id, ada, model = compared(one)
    asked.allow(judge=3)
    run_id = one.judge.start(set_id, model, ada)
    wait_until(lambda: len(said_well(other, set_id)) == 3)
    with patch("components.results.judge.person", return_value=ada):
        shown = JudgeHandlers(other).show_judge(set_id, model, "", "", None)
        assert shown.cancel.visible and "another machine" not in progress(other.judge.progress(set_id, model, ada))
        shown = JudgeHandlers(other).cancel_judge(set_id, model, "", "", None)
    assert not shown.cancel.visible
    # It sees so with its next reply, which is kept.
    asked.allow(judge=10**6)
    wait_until(lambda: run_id not in one.judge._cancels)
    assert one.store.judgements.get(run_id).state is JobState.CANCELLED
    assert len(server.chats) <= 3 + 2 * CONCURRENCY
    other.judge.start(set_id, model, ada)
    wait_until(lambda: not other.judge.progress(set_id, model, ada).running)
    assert len(said_well(one, set_id)) == 8 and len(server.chats) <= 8 + 2 * CONCURRENCY


def test_what_is_held_outlives_a_connection_that_was_cut(tmp_path):
    stores = [open_store(None, server=Server(POSTGRES.url_of(tmp_path / "pairloop.db"), new_id())) for _ in range(2)]
    mine, theirs = (Claims(store.database) for store in stores)
    assert mine.take("one") and mine.take("one") and not theirs.take("one")
    cut = mine._connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    with stores[1].database.at_once.connect() as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend({cut}, 5000)")
    # The next one is held all the same, and what was held is held again as often.
    assert mine.take("two") and not theirs.take("one") and not theirs.take("two")
    mine.give_back(["one", "two"])
    assert not theirs.take("one") and theirs.take("two")
    mine.give_back(["one"])
    assert theirs.take("one")
    mine.rest()
    assert mine._connection is None
    theirs.give_back(["one", "two"])
    theirs.rest()
    for store in stores:
        store.close()


def test_runs_of_one_model_and_list_on_two_replicas_ask_once(open_replica, server, tmp_path):
    one, other = open_replica("one"), open_replica("other")
    add_manual(one, tmp_path)
    wait_until(lambda: other.library.searched() == one.library.searched())
    list_id, model = add_queries(one), chat_model(one)
    server.latency = 0.05
    together, started = threading.Barrier(2), []

    def start(services):
        together.wait()
        started.append((services, services.generation.start_run(model, list_id)))

    threads = [threading.Thread(target=start, args=(services,)) for services in (one, other)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    runs = [finished(services, run_id) for services, run_id in started]
    assert [(run.state, run.done) for run in runs] == [(JobState.DONE, 8)] * 2
    assert len(server.chats) == 8
    paid = sum(item.attempts > 0 for run in runs for item in one.store.runs.spent(run.id))
    assert paid == 8
    # Of two different lists each is asked at once.
    elsewhere = add_queries(other, ["Where are the showers of the harbour?"], ())
    finished(other, other.generation.start_run(model, elsewhere))
    assert len(server.chats) == 9
    # Nothing is held any more.
    assert all(services.generation._turns._claims._connection is None for services in (one, other))


def test_who_was_behind_goes_on_when_the_other_stops(open_replica, server, asked, tmp_path):
    one, other = open_replica("one"), open_replica("other")
    add_manual(one, tmp_path)
    wait_until(lambda: other.library.searched() == one.library.searched())
    list_id, model = add_queries(one), chat_model(one)
    asked.allow(answer=3)
    first = one.generation.start_run(model, list_id)
    second = other.generation.start_run(model, list_id)
    status = wait_until(lambda: (now := other.generation.status(second)) and now.behind and now)
    assert "nothing is paid twice" in run_html.progress(other.store.runs.get(second), "test-model", "Harbour", status)
    one.generation.cancel(first)
    finished(one, first)
    asked.allow(answer=10**6)
    run = finished(other, second)
    assert (run.state, run.done, run.failed) == (JobState.DONE, 8, 0)
    assert one.store.runs.get(first).state is JobState.CANCELLED
    assert len(server.chats) <= 8 + CONCURRENCY


def test_where_a_replica_proposes_queries_the_others_offer_it_no_more(open_replica, asked, tmp_path):
    one, other = open_replica("one"), open_replica("other")
    add_manual(one, tmp_path)
    ada = person(one, "Ada")
    asked.allow(propose=0)
    one.proposals.start([], 4, chat_model(one))
    with patch("components.ask.proposals.person", return_value=ada):
        shown = ProposalHandlers(other).show("", None)
        assert (shown.start.interactive, shown.cancel.visible, shown.timer.active) == (False, False, True)
        assert "Another copy of the app" in shown.progress
        asked.allow(propose=10**6)
        wait_until(lambda: not other.proposals.asked_elsewhere())
        shown = ProposalHandlers(other).show("", None)
        assert shown.start.interactive and not shown.timer.active and "Another copy" not in shown.progress


def test_a_job_of_a_provider_is_followed_by_who_is_left(open_replica):
    one, other = open_replica("one"), open_replica("other")
    one.store.models.add(BASE)
    with TuningServer(api_key="sk-tests", models=["gpt-test"], held=True) as provider:
        begun, left = runner_of(one, provider), runner_of(other, provider)

        class Given:
            queries = one.store.queries.in_set(add_queries(one))

        job_id = begun.start("openai", data_of(Given), BASE, {}, None)
        wait_until(lambda: one.store.training.job(job_id).external_id)
        # As when its process ends: what outlives the app stays as it is.
        begun._tasks[job_id].cancel()
        other.store.interrupt_what_ends(one.store.replica)
        left.follow_left()
        provider.held = False
        wait_until(lambda: other.store.training.job(job_id).state is not JobState.RUNNING)
        assert other.store.training.job(job_id).state is JobState.DONE
        assert len(provider.jobs) == 1 and sum(model.job_id == job_id for model in other.store.models.all()) == 1


def test_of_two_replicas_that_end_one_job_one_does(open_replica):
    one, other = open_replica("one"), open_replica("other")
    base = Model(new_id(), "base", "extractive", {}, "answer-review", created_at=5.0)
    one.store.models.add(base)
    runners = [JobRunner(services.store, [], None, activity=services.activity) for services in (one, other)]
    ends = [
        Progress(JobState.DONE, tuned=Tuned("extractive", {})), Progress(JobState.FAILED, error="out of memory"),
        Progress(JobState.CANCELLED),
    ]  # fmt: skip
    for end in ends:
        job_id = one.store.training.start("openai", None, base.id, [])
        together = threading.Barrier(2)

        def finish(runner, job_id=job_id, together=together, end=end):
            together.wait()
            runner._finish(job_id, base, end)

        threads = [threading.Thread(target=finish, args=(runner,)) for runner in runners]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert one.store.training.job(job_id).state is end.state
    told = [line.detail for line in one.activity.latest(most=200).lines if line.did.startswith("ended the training")]
    assert sorted(told) == ["cancelled", "done", "failed"]
    assert sum(model.job_id is not None for model in one.store.models.all()) == 1
