"""The job runner: what it does while the store cannot be written, and when several look after one job at a time."""

import threading
import time

import pytest

from pipeline.errors import StoreError, TrainingError
from pipeline.finetune.jobs import JobRunner
from pipeline.finetune.openai_trainer import Connection, OpenAITrainer
from pipeline.finetune.rows import Method, Row, TrainingData
from pipeline.records import Context, JobState
from tests import stores
from tests.material import Home, add_queries
from tests.pipeline.finetune.test_embedded import FIRST, QUERIES, TEXTS
from tests.pipeline.finetune.test_openai_trainer import BASE, created, data_of, ended, seen
from tests.tuning_server import TuningServer


@pytest.fixture
def server():
    with TuningServer(api_key="sk-tests", models=["gpt-test"]) as server:
        yield server


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.services.store.models.add(BASE)
    home.queries = home.services.store.queries.in_set(add_queries(home.services))
    yield home
    home.services.close()


def runner_of(services, server, background=None, clock=time.monotonic):
    trainer = OpenAITrainer(
        lambda model: Connection(server.base_url, "sk-tests"), services.store.models.get, poll_seconds=0.01
    )
    return JobRunner(services.store, [trainer], background or services.generation.background, clock)


def unsaved(home, when):
    """Let a statement of the store fail the way it does where the disk is full."""
    return stores.refusing(home.services.store.database, when, full=True)


@pytest.mark.parametrize("when", ["UPDATE OF external_id ON training_jobs", "INSERT ON training_events"])
def test_what_cannot_be_saved_for_a_while_does_not_end_a_job(home, server, when):
    runner = runner_of(home.services, server)
    with unsaved(home, when):
        job_id = runner.start("openai", data_of(home), BASE, {}, None)
        deadline = time.monotonic() + 20
        while created(server) == 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.2)
        assert runner.job(job_id).state is JobState.RUNNING
    job = ended(runner, job_id)
    assert (job.state, job.error, created(server)) == (JobState.DONE, "", 1)
    steps = [event.step for event in runner.events(job_id) if event.text == "train"]
    assert sorted(steps) == [1, 2, 3, 4, 5, 6]


def test_a_model_that_could_not_be_saved_is_saved_when_the_job_is_followed_again(home, server):
    hours = [0.0]
    runner = runner_of(home.services, server, clock=lambda: hours[0] * 3600)
    with unsaved(home, "UPDATE OF model_id ON training_jobs"):
        job_id = runner.start("openai", data_of(home), BASE, {}, None)
        seen(runner, job_id, "succeeded")
        with pytest.raises(StoreError):
            runner._tasks[job_id].result(20)
        job = runner.job(job_id)
        assert (job.state, job.error) == (JobState.RUNNING, "")
    hours[0] = 1.0
    runner.follow_left()
    job = ended(runner, job_id)
    assert job.state is JobState.DONE and home.services.store.models.get(job.model_id).job_id == job_id


def test_a_job_that_is_just_being_started_is_not_looked_for(home, server):
    runner, others = runner_of(home.services, server), []

    def look():
        # Called when the job is stored, and before it is begun.
        if not others:
            others.append(threading.Thread(target=runner.follow_left))
            others[0].start()
            others[0].join(0.3)

    home.services.store.database.when_changed(look)
    job = ended(runner, runner.start("openai", data_of(home), BASE, {}, None))
    others[0].join(20)
    looked = [r for r in server.requests if r.method == "GET" and r.path.partition("?")[0] == "/v1/fine_tuning/jobs"]
    assert (job.state, created(server), looked) == (JobState.DONE, 1, [])


def test_sessions_that_look_at_the_same_time_follow_a_job_once(home, server):
    server.held = True
    first = runner_of(home.services, server)
    job_id = first.start("openai", data_of(home), BASE, {}, None)
    seen(first, job_id, "running")
    services, followed, gate = home.restart(), [], threading.Barrier(8)

    def background(work):
        followed.append(work)
        time.sleep(0.05)
        return services.generation.background(work)

    runner = runner_of(services, server, background)

    def look():
        gate.wait()
        runner.follow_left()

    threads = [threading.Thread(target=look) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    server.held = False
    assert ended(runner, job_id).state is JobState.DONE and len(followed) == 1


def embedded_data(home):
    """Return rows that the embedded trainer learns from: of each passage its first sentence was kept."""
    rows = []
    for query, (name, text) in zip(home.queries, TEXTS.items(), strict=False):
        contexts = (Context(name, "d1", "notes.md", text, 0, len(text), 1.0),)
        rows.append(Row(query.id, QUERIES[name], contexts, f"{FIRST[name]} [1]", [{"role": "user", "content": name}]))
    return TrainingData(Method.SFT, tuple(rows))


def test_an_embedded_training_whose_end_cannot_be_stored_is_told_as_ended_and_stored_later(home, caplog):
    services, runner = home.services, home.services.tuner.runner
    base = next(model for model in services.registry.all() if model.provider == "extractive")
    with unsaved(home, "UPDATE OF state ON training_jobs"):
        job_id = runner.start("embedded", embedded_data(home), base, {}, None)
        with pytest.raises(StoreError):
            runner._tasks[job_id].result(20)
        assert services.store.training.job(job_id).state is JobState.RUNNING
        for job in (runner.job(job_id), *runner.jobs()):
            assert job.state is JobState.FAILED and "could not be saved" in job.error
        with pytest.raises(TrainingError, match="failed already"):
            runner.cancel(job_id)
        # However often it is tried, it is said once.
        runner.follow_left()
        said = [record.getMessage() for record in caplog.records if "ended" in record.getMessage()]
        assert said == [f"That job {job_id} ended (failed) could not be stored"]
    runner.follow_left()
    job = services.store.training.job(job_id)
    assert job.state is JobState.FAILED and "could not be saved" in job.error and job.finished_at
    noted = [line for line in services.activity.latest().lines if line.did == "ended the training of"]
    assert [(line.subject, line.detail) for line in noted] == [(base.name, "failed")]
    again = runner.start("embedded", embedded_data(home), base, {}, None)
    assert ended(runner, again).state is JobState.DONE
