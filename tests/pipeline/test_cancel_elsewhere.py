"""What one replica is at work on is cancelled from another one, and ends: also where both are stores of one dataset repo."""

import threading

import pytest

from pipeline.records import JobState, ResponseStatus
from tests.backing import REPO, TOKEN, restored
from tests.hub_server import HubServer
from tests.material import add_manual, add_queries, finished, reviewable, trained
from tests.openai_server import OpenAIServer, echo_first_context
from tests.postgres import POSTGRES
from tests.waiting import wait_until
from tests.workspace import open_workspace, person, respond

CONCURRENCY = 2


class Asked:
    """Answers so often as is let through."""

    def __init__(self):
        self._left, self._changed = 3, threading.Condition()

    def allow(self, count):
        with self._changed:
            self._left = count
            self._changed.notify_all()

    def __call__(self, messages):
        with self._changed:
            assert self._changed.wait_for(lambda: self._left, 60)
            self._left -= 1
        return echo_first_context(messages)


@pytest.fixture
def asked():
    return Asked()


@pytest.fixture
def server(asked):
    with OpenAIServer(answer=asked) as server:
        yield server
        asked.allow(10**6)


@pytest.fixture
def hub():
    with HubServer() as hub:
        yield hub


@pytest.fixture
def open_here(tmp_path, server, hub):
    """Open a workspace with the dataset repo: a replica of the one on PostgreSQL, or a store of its own."""
    settings = {
        "openai_base_url": server.base_url, "openai_model": "test-model", "concurrency": CONCURRENCY, "timeout": 90.0,
        "dataset_repo": REPO, "hf_token": TOKEN, "hf_endpoint": hub.url, "sync_seconds": 1.0,
    }  # fmt: skip
    opened = []

    def open_it(name, shared=True):
        url = POSTGRES.url_of(tmp_path / "pairloop.db") if shared else ""
        opened.append(open_workspace(tmp_path / name, database_url=url, **settings))
        opened[-1].start_backup()
        return opened[-1]

    yield open_it
    server.answer.allow(10**6)
    for services in opened:
        services.close()


def begun(services, folder):
    """Begin a run of a model that gives three answers and then waits."""
    add_manual(services, folder)
    model = next(model.id for model in services.registry.all() if model.name == "test-model")
    run_id = services.generation.start_run(model, add_queries(services))
    wait_until(lambda: services.store.runs.get(run_id).done >= 3, seconds=60)
    return run_id


def test_a_run_is_cancelled_by_another_replica_and_the_repo_says_so(open_here, asked, hub, tmp_path):
    one, other = open_here("one"), open_here("other")
    run_id = begun(one, tmp_path)
    other.generation.cancel(run_id)
    assert other.store.runs.get(run_id).state is JobState.CANCELLED
    # Who is at work on it sees so with the next answer, which is kept.
    asked.allow(1)
    wait_until(lambda: one.generation.status(run_id) is None, seconds=60)
    run = one.store.runs.get(run_id)
    assert (run.state, run.done) == (JobState.CANCELLED, 4)
    asked.allow(10**6)
    other.backup.sync_now()
    again = restored(hub, tmp_path / "again.db")
    assert (again.runs.get(run_id).state, again.runs.get(run_id).done) == (JobState.CANCELLED, run.done)
    again.close()
    # Whoever cancelled it goes on with what is left.
    assert other.generation.resume(run_id)
    assert (finished(one, run_id).state, one.store.runs.get(run_id).done) == (JobState.DONE, run.total)


def test_a_run_of_another_store_is_cancelled_by_way_of_the_repo(open_here, asked, tmp_path):
    alone, shared = open_here("alone", shared=False), open_here("shared")
    run_id = begun(alone, tmp_path)
    alone.backup.sync_now()
    shared.backup.sync_now()
    assert shared.store.runs.get(run_id).state is JobState.RUNNING
    shared.generation.cancel(run_id)
    shared.backup.sync_now()
    alone.backup.sync_now()
    wait_until(lambda: alone.store.runs.get(run_id).state is JobState.CANCELLED, seconds=60)
    asked.allow(1)
    wait_until(lambda: alone.generation.status(run_id) is None, seconds=60)
    run = alone.store.runs.get(run_id)
    assert (run.state, run.done) == (JobState.CANCELLED, 4)


def test_a_training_in_the_app_that_another_replica_cancels_ends_with_one_model(open_here, tmp_path):
    one, other = open_here("one"), open_here("other")
    dataset = reviewable(one, tmp_path)
    ada = person(one, "Ada")
    for record in one.store.datasets.records(dataset.id):
        respond(one.store, record.id, ada, ResponseStatus.SUBMITTED, {"answer": record.completion})
    # It ends when it may store its model.
    with other.store.database.alone("models"):
        job_id = one.tuner.start(dataset.id, one.registry.all()[0].id)
        other.tuner.runner.cancel(job_id)
    assert trained(other, job_id).state is JobState.DONE
    assert sum(model.job_id == job_id for model in other.store.models.all()) == 1
    other.backup.sync_now()
    # That the training has ended is noted a moment after it is told, and goes with the sending after this one.
    wait_until(lambda: one.store.outbox.waiting("repo").count == 0, seconds=60)
