"""Jobs of an OpenAI-compatible endpoint through the real client, against a double of the documented protocol."""

import asyncio
import json
import socket
import time

import pytest
from openai import APIConnectionError
from sqlalchemy import update

from pipeline.errors import TrainingError
from pipeline.finetune.files import validate_preference_jsonl
from pipeline.finetune.jobs import JobRunner
from pipeline.finetune.openai_trainer import CLOSING, Connection, OpenAITrainer, _unsent, default_epochs
from pipeline.finetune.rows import Method, Row, TrainingData
from pipeline.finetune.trainers import NotReached
from pipeline.models.clients import client_of, close_clients
from pipeline.records import Context, JobState, Model
from pipeline.store.schema import training_jobs
from tests.material import Home, add_queries
from tests.openai_server import Refusal
from tests.tuning_server import TuningHandler, TuningServer

ASKED = {"model_id": "gpt-test", "temperature": 0.2, "endpoint": "http://127.0.0.1:1/v1"}
BASE = Model("m1", "helper", "openai", ASKED, "answer-review")
PLACE = Context("c1", "d1", "harbour.md", "The pump takes cards.", 0, 21, 1.5)


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


def runner_of(services, server, key="sk-tests", seconds=0.01):
    trainer = OpenAITrainer(
        lambda model: Connection(server.base_url, key), services.store.models.get, poll_seconds=seconds
    )
    return JobRunner(services.store, [trainer], services.generation.background)


def rows_of(home, pairs=False):
    return tuple(
        Row(
            query.id,
            query.text,
            (PLACE,),
            f"Answer {n}.",
            [{"role": "system", "content": "Answer."}, {"role": "user", "content": query.text},
             {"role": "assistant", "content": f"Answer {n}."}],
            rejected=f"Worse {n}." if pairs else None,
        )
        for n, query in enumerate(home.queries)
    )  # fmt: skip


def data_of(home, pairs=False, held=2):
    rows = rows_of(home, pairs)
    return TrainingData(Method.DPO if pairs else Method.SFT, rows[held:], rows[:held])


def ended(runner, job_id, seconds=20):
    deadline = time.monotonic() + seconds
    while (job := runner.job(job_id)).state is JobState.RUNNING:
        assert time.monotonic() < deadline, f"still running: {runner.events(job_id)}"
        time.sleep(0.01)
    return job


def seen(runner, job_id, text, seconds=20):
    deadline = time.monotonic() + seconds
    while not any(text in event.text for event in runner.events(job_id)):
        assert time.monotonic() < deadline, f"{text!r} never came: {runner.events(job_id)}"
        time.sleep(0.01)


def test_a_job_uploads_both_files_follows_the_events_and_registers_the_model_with_its_lineage(home, server):
    runner, data = runner_of(home.services, server), data_of(home)
    job = ended(runner, runner.start("openai", data, BASE, {"epochs": 4, "learning_rate_multiplier": "0.5"}, None))
    assert (job.state, job.error, job.dataset_id) == (JobState.DONE, "", None)
    model = home.services.store.models.get(job.model_id)
    assert model.config["model_id"] == server.jobs[job.external_id]["fine_tuned_model"]
    assert (model.parent_id, model.job_id, model.template) == ("m1", job.id, "answer-review")
    assert model.config["temperature"] == 0.2 and model.name == "helper-tuned-1"
    request = next(r.body for r in server.requests if r.path == "/v1/fine_tuning/jobs" and r.method == "POST")
    hyper = {"n_epochs": 4, "learning_rate_multiplier": 0.5}
    assert request["method"] == {"type": "supervised", "supervised": {"hyperparameters": hyper}}
    assert request["metadata"] == {"pairloop_job": job.id} and request["suffix"].startswith("pairloop-")
    assert server.file("train.jsonl") == [{"messages": row.messages} for row in data.train]
    assert server.file("validation.jsonl") == [{"messages": row.messages} for row in data.validation]
    events = runner.events(job.id)
    curve = [(event.step, event.value) for event in events if event.kind == "loss" and event.text == "train"]
    assert curve == [(step, round(2.0 / step, 4)) for step in range(1, 7)]
    assert len([event for event in events if event.text == "validation"]) == 6
    states = [event.text for event in events if event.kind == "state"]
    assert set(states) == {"queued", "running", "succeeded"} and states[-1] == "succeeded"
    assert [point["step"] for point in job.metrics["checkpoints"]] == [6, 4, 2]
    assert [row.query_id for row in home.services.store.training.rows(job.id)] == [row.query_id for row in data.rows]
    assert "sk-tests" not in json.dumps([str(event) for event in events]) + str(job)


def test_preference_pairs_become_a_dpo_job(home, server):
    runner = runner_of(home.services, server)
    job = ended(runner, runner.start("openai", data_of(home, pairs=True), BASE, {"beta": 0.2}, None))
    assert (job.state, job.error) == (JobState.DONE, "")
    request = next(r.body for r in server.requests if r.path == "/v1/fine_tuning/jobs" and r.method == "POST")
    assert request["method"] == {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.2}}}
    lines = server.file("train.jsonl")
    assert validate_preference_jsonl(map(json.dumps, lines)) == []
    assert lines[0]["non_preferred_output"] == [{"role": "assistant", "content": "Worse 2."}]
    stored = home.services.store.training.rows(job.id)
    assert {row.kind for row in stored} == {"preference"} and stored[0].rejected == "Worse 2."


def test_many_events_come_in_pages_and_none_twice(home, server):
    server.steps, server.page = 50, 7
    runner = runner_of(home.services, server)
    job = ended(runner, runner.start("openai", data_of(home), BASE, {}, None))
    steps = [event.step for event in runner.events(job.id) if event.text == "train"]
    assert sorted(steps) == list(range(1, 51))


def created(server):
    """Return how often a job was asked for."""
    return sum(r.method == "POST" and r.path == "/v1/fine_tuning/jobs" for r in server.requests)


def grow_old(home, job_id):
    """Let a job have been started eleven minutes earlier."""
    with home.services.store.database.write() as connection:
        earlier = {"created_at": training_jobs.c.created_at - 660}
        connection.execute(update(training_jobs).where(training_jobs.c.id == job_id).values(earlier))


def test_a_lost_answer_to_the_creation_makes_one_job_and_not_two(home, server):
    server.loses = "after"
    runner = runner_of(home.services, server)
    job = ended(runner, runner.start("openai", data_of(home), BASE, {}, None))
    assert job.state is JobState.DONE and list(server.jobs) == [job.external_id] and created(server) == 1


@pytest.mark.parametrize("how", ["no answer", "502"])
def test_a_job_that_is_not_listed_is_looked_for_and_never_created_again(home, server, how):
    if how == "502":
        server.refuses = (502, None, "Bad gateway.")
    else:
        server.loses = "before"
    runner = runner_of(home.services, server)
    job_id = runner.start("openai", data_of(home), BASE, {}, None)
    seen(runner, job_id, "Bad gateway. The job is looked for" if how == "502" else "did not answer when the job")
    seen(runner, job_id, "does not list this job yet")
    assert runner.job(job_id).state is JobState.RUNNING and created(server) == 1
    grow_old(home, job_id)
    job = ended(runner, job_id)
    assert job.state is JobState.FAILED and "Look there before you start it again" in job.error
    assert created(server) == 1 and "paid" not in job.error


def test_only_a_connection_that_was_refused_has_sent_nothing(server):
    async def failure(base_url):
        try:
            client = client_of(base_url, "sk-tests", 5.0)
            await client.fine_tuning.jobs.create(model="gpt-test", training_file="file-1")
        except APIConnectionError as error:
            return error
        finally:
            await close_clients()

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert _unsent(asyncio.run(failure(f"http://127.0.0.1:{closed.getsockname()[1]}/v1")))
    server.loses = "before"
    assert not _unsent(asyncio.run(failure(server.base_url)))


class SilentHandler(TuningHandler):
    """Has no events or no checkpoints to tell, as ``owner.silent`` says by their names."""

    def _job(self, owner, job, part):
        if part in owner.silent:
            raise Refusal(owner.silent[part], "There is nothing here.")
        return super()._job(owner, job, part)


@pytest.fixture
def silent():
    made = TuningServer(api_key="sk-tests", models=["gpt-test"])
    made.handler, made.silent = SilentHandler, {}
    with made:
        yield made


@pytest.mark.parametrize("status", [404, 503])
def test_an_endpoint_that_tells_no_events_still_finishes_its_jobs(home, silent, status):
    silent.silent = {"events": status, "checkpoints": status}
    runner = runner_of(home.services, silent)
    job = ended(runner, runner.start("openai", data_of(home), BASE, {}, None))
    assert (job.state, job.error, job.metrics["checkpoints"]) == (JobState.DONE, "", [])


def test_events_that_could_not_be_read_are_read_later(home, silent):
    silent.held, silent.silent = True, {"events": 503}
    runner = runner_of(home.services, silent)
    job_id = runner.start("openai", data_of(home), BASE, {}, None)
    seen(runner, job_id, "running")
    silent.silent, silent.held = {}, False
    assert ended(runner, job_id).state is JobState.DONE
    assert sorted(e.step for e in runner.events(job_id) if e.text == "train") == [1, 2, 3, 4, 5, 6]


def test_an_endpoint_that_keeps_no_metadata_is_asked_by_the_suffix(home, server):
    server.loses, server.keeps_metadata = "after", False
    runner = runner_of(home.services, server)
    job = ended(runner, runner.start("openai", data_of(home), BASE, {"suffix": "Team é/1"}, None))
    assert job.state is JobState.DONE and list(server.jobs) == [job.external_id]
    assert server.jobs[job.external_id]["user_provided_suffix"].startswith("teamé1-")


REFUSALS = [
    ({"refuses": (429, "insufficient_quota", "You exceeded your current quota, please check your plan.")}, "exceeded your"),
    ({"refuses": (403, "training_not_available", "Fine-tuning is no longer available.")}, "no longer available"),
    ({"rejects_files": "Line 3 is too long."}, "Line 3 is too long."),
    ({"api_key": "sk-another"}, "Incorrect API key provided: …"),
    ({"models": ("other",)}, "not available for fine-tuning"),
    ({"least_rows": 100}, "must have at least 100 examples (invalid_n_examples)"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), REFUSALS, ids=[words[:12] for _, words in REFUSALS])
def test_a_job_that_does_not_begin_says_why_in_the_words_of_the_endpoint(home, server, changes, words):
    for name, value in changes.items():
        setattr(server, name, value)
    runner = runner_of(home.services, server)
    job = ended(runner, runner.start("openai", data_of(home), BASE, {}, None))
    assert (job.state, job.model_id) == (JobState.FAILED, None)
    assert words in job.error and "sk-tests" not in job.error


def test_a_job_that_fails_later_says_why_in_the_words_of_the_endpoint(home, server):
    server.held = True
    runner = runner_of(home.services, server)
    job_id = runner.start("openai", data_of(home), BASE, {}, None)
    seen(runner, job_id, "running")
    server.break_job("server_error", "The training ran out of memory.")
    job = ended(runner, job_id)
    assert job.state is JobState.FAILED and "The training ran out of memory. (server_error)" in job.error
    assert any(event.text == "error: The training ran out of memory." for event in runner.events(job_id))


def test_a_job_is_cancelled_at_the_endpoint(home, server):
    server.held = True
    runner = runner_of(home.services, server)
    job_id = runner.start("openai", data_of(home), BASE, {}, None)
    seen(runner, job_id, "running")
    runner.cancel(job_id)
    job = ended(runner, job_id)
    assert (job.state, job.error, job.model_id) == (JobState.CANCELLED, "", None)
    assert server.jobs[job.external_id]["status"] == "cancelled"
    with pytest.raises(TrainingError, match="cancelled already"):
        runner.cancel(job_id)


def test_a_job_that_was_cancelled_by_others_is_cancelled_here(home, server):
    server.held = True
    runner = runner_of(home.services, server)
    job_id = runner.start("openai", data_of(home), BASE, {}, None)
    seen(runner, job_id, "running")
    server.jobs[runner.job(job_id).external_id]["status"] = "cancelled"
    assert ended(runner, job_id).state is JobState.CANCELLED


def test_a_job_that_finished_while_the_app_was_down_is_found_done(home, server):
    server.held = True
    runner = runner_of(home.services, server)
    job_id = runner.start("openai", data_of(home), BASE, {}, None)
    seen(runner, job_id, "running")
    services = home.restart()
    server.held = False
    for _ in range(5):
        server.advance(next(iter(server.jobs.values())))
    again = runner_of(services, server)
    again.follow_left()
    job = ended(again, job_id)
    assert job.state is JobState.DONE and services.store.models.get(job.model_id).parent_id == "m1"
    assert sorted(e.step for e in again.events(job_id) if e.text == "train") == [1, 2, 3, 4, 5, 6]


def test_a_job_whose_id_had_not_come_when_the_app_stopped_is_found_or_ends(home, server):
    store, rows = home.services.store, data_of(home)
    known = store.training.start("openai", None, "m1", [], {}, {})
    never = store.training.start("openai", None, "m1", [], {}, {})
    server.files["file-1"] = {"id": "file-1", "content": b'{"messages": [{"role": "assistant", "content": "x"}]}\n' * 3}
    server.jobs["ftjob-9"] = {
        "object": "fine_tuning.job", "id": "ftjob-9", "model": "gpt-test", "created_at": int(time.time()),
        "status": "validating_files", "training_file": "file-1", "validation_file": None, "method": {"type": "supervised"},
        "metadata": {"pairloop_job": known}, "user_provided_suffix": None, "hyperparameters": {}, "organization_id": "o",
        "result_files": [], "seed": 1, "fine_tuned_model": None,
    }  # fmt: skip
    server.events["ftjob-9"] = []
    grow_old(home, never)
    runner = runner_of(home.restart(), server)
    runner.follow_left()
    assert ended(runner, known).external_id == "ftjob-9" and runner.job(known).state is JobState.DONE
    job = ended(runner, never)
    assert job.state is JobState.FAILED and "its trainer does not list it" in job.error and rows.train


def test_an_expired_key_keeps_the_job_and_says_so_until_the_key_is_good_again(home, server):
    server.held = True
    runner = runner_of(home.services, server)
    job_id = runner.start("openai", data_of(home), BASE, {}, None)
    seen(runner, job_id, "running")
    server.api_key = "sk-new"
    seen(runner, job_id, "Incorrect API key")
    notes = [event.text for event in runner.events(job_id) if "Incorrect" in event.text]
    assert len(notes) == 1 and "set OPENAI_API_KEY" in notes[0] and "sk-tests" not in notes[0]
    assert runner.job(job_id).state is JobState.RUNNING
    server.held = False
    again = runner_of(home.restart(), server, key="sk-new")
    again.follow_left()
    assert ended(again, job_id).state is JobState.DONE


def test_the_plan_counts_tokens_and_price_and_says_what_closes(home, server):
    trainer = OpenAITrainer(lambda model: Connection("https://api.openai.com/v1", "k"), home.services.store.models.get)
    rows = rows_of(home) * 2
    data = TrainingData(Method.SFT, rows[:12], rows[12:])
    plan = trainer.plan(data, BASE, {"price_per_million": 5, "epochs": 2})
    assert plan.price == pytest.approx(plan.tokens * 2 * 5 / 1e6) and plan.unavailable == ""
    assert (plan.rows, plan.validation_rows, plan.epochs) == (12, 4, 2) and CLOSING in plan.notes
    assert trainer.plan(data, BASE, {}).epochs == default_epochs(12) == 9
    few = trainer.plan(data_of(home), BASE, {})
    assert "at least 10 rows" in few.unavailable
    late = OpenAITrainer(
        lambda model: Connection("https://api.openai.com/v1", "k"), lambda _: BASE, clock=lambda: 1.8e9
    )
    assert late.plan(data, BASE, {}).unavailable == CLOSING
    elsewhere = OpenAITrainer(lambda model: Connection(server.base_url), lambda _: BASE, clock=lambda: 1.8e9)
    assert elsewhere.plan(data_of(home), BASE, {}).unavailable == ""


def test_a_model_without_its_endpoint_cannot_be_planned(home):
    def nowhere(model):
        raise NotReached("helper needs an endpoint.")

    trainer = OpenAITrainer(nowhere, lambda _: BASE)
    assert trainer.plan(data_of(home), BASE, {}).unavailable == "helper needs an endpoint."
