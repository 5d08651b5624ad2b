"""Jobs of Hugging Face through the real huggingface_hub, against a double of the Hub."""

import ast
import json
import socket
import time
from importlib import resources

import pytest

from pipeline.errors import HubError, TrainingError
from pipeline.finetune.hf_jobs import HARDWARE, LABEL, HubJobsTrainer, _unsent, weights_of
from pipeline.finetune.jobs import JobRunner
from pipeline.finetune.rows import Method, TrainingData
from pipeline.hub.repo import hub_api, hub_errors
from pipeline.records import JobState, Model
from tests.hub_jobs import JobsHub
from tests.hub_server import Token
from tests.material import Home, add_queries
from tests.pipeline.finetune.test_openai_trainer import data_of, ended, grow_old, seen

PLACE = "http://127.0.0.1:1/v1"
BASE = Model("m1", "Qwen small", "openai", {"model_id": "Qwen/Qwen3-0.6B", "endpoint": PLACE}, "answer-review")


@pytest.fixture
def hub():
    with JobsHub() as hub:
        yield hub


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.services.store.models.add(BASE)
    home.queries = home.services.store.queries.in_set(add_queries(home.services))
    yield home
    home.services.close()


def runner_of(services, hub, token="hf_write_token"):
    trainer = HubJobsTrainer(hub.url, token, services.store.models.get, poll_seconds=0.01, patience=5.0)
    return JobRunner(services.store, [trainer], services.generation.background)


def begun(home, hub, settings=None, pairs=False, **changes):
    runner = runner_of(home.services, hub, **changes)
    return runner, runner.start("hf_jobs", data_of(home, pairs), BASE, settings or {}, None)


def test_a_job_gets_its_rows_by_a_private_repo_and_brings_an_adapter_back(home, hub):
    runner, job_id = begun(home, hub, {"hardware": "t4-small", "hours": 1, "epochs": 2})
    job = ended(runner, job_id)
    assert (job.state, job.error) == (JobState.DONE, "")
    assert hub.repo("team/pairloop-training").private
    files = hub.files("team/pairloop-training")
    told = json.loads(files[f"jobs/{job_id}/job.json"])
    assert (told["base"], told["method"], told["epochs"]) == ("Qwen/Qwen3-0.6B", "sft", 2)
    rows = [json.loads(line) for line in files[f"jobs/{job_id}/train.jsonl"].decode().splitlines()]
    assert rows[0].keys() == {"prompt", "completion"} and len(rows) == len(home.queries) - 2
    assert len(files[f"jobs/{job_id}/validation.jsonl"].decode().splitlines()) == 2
    assert "hf_write_token" not in str(files)
    made = hub.jobs[job.external_id.partition("/")[2]]
    assert (made["flavor"], made["timeout"], made["labels"][LABEL]) == ("t4-small", 3600, job_id)
    assert made["command"] == ["uv", "run", "/job/hub_script.py", "/job"] and "HF_TOKEN" in made["secrets"]
    assert made["volumes"][0] == {
        "type": "dataset", "source": "team/pairloop-training", "mountPath": "/job", "readOnly": True,
        "path": f"jobs/{job_id}",
    }  # fmt: skip
    model = home.services.store.models.get(job.model_id)
    assert model.config["model_id"] == told["adapter"] == f"team/pairloop-qwen-small-{job_id[-8:].lower()}"
    assert (model.parent_id, model.config["weights"], model.name) == ("m1", "Qwen/Qwen3-0.6B", "Qwen small-tuned-1")
    events = runner.events(job_id)
    assert sorted(e.step for e in events if e.kind == "loss") == [1, 2, 3, 4]
    log = [event.text for event in events if event.kind == "log"]
    assert log == ["Installed 80 packages", "Training."]
    assert {e.text for e in events if e.kind == "state"} == {"running", "completed"}
    assert "hf_write_token" not in str(events) + str(job)


def test_preference_pairs_are_trained_by_dpo(home, hub):
    runner, job_id = begun(home, hub, {"beta": 0.3}, pairs=True)
    assert ended(runner, job_id).state is JobState.DONE
    files = hub.files("team/pairloop-training")
    told = json.loads(files[f"jobs/{job_id}/job.json"])
    assert (told["method"], told["beta"]) == ("dpo", 0.3)
    row = json.loads(files[f"jobs/{job_id}/train.jsonl"].decode().splitlines()[0])
    assert row.keys() == {"prompt", "chosen", "rejected"} and row["rejected"][0]["content"] == "Worse 2."


def test_a_second_round_goes_on_with_the_adapter_of_the_first(home, hub):
    runner, job_id = begun(home, hub)
    first = home.services.store.models.get(ended(runner, job_id).model_id)
    again = runner.start("hf_jobs", data_of(home), first, {}, None)
    second = home.services.store.models.get(ended(runner, again).model_id)
    told = json.loads(hub.files("team/pairloop-training")[f"jobs/{again}/job.json"])
    assert (told["base"], told["from_adapter"]) == ("Qwen/Qwen3-0.6B", first.config["adapter"])
    assert (second.parent_id, second.name) == (first.id, "Qwen small-tuned-2")


def created(hub):
    """Return how often a job was asked for."""
    return sum(r.method == "POST" and r.path == "/api/jobs/team" for r in hub.requests)


def test_a_lost_answer_makes_one_job_and_not_two(home, hub):
    hub.fail(method="POST", path="/api/jobs/team$", drop="after")
    runner, job_id = begun(home, hub)
    job = ended(runner, job_id)
    assert job.state is JobState.DONE and [f"team/{name}" for name in hub.jobs] == [job.external_id]


@pytest.mark.parametrize("fault", [{"drop": "before"}, {"status": 504, "message": "Gateway timeout."}], ids=str)
def test_a_job_that_is_not_listed_is_looked_for_and_never_created_again(home, hub, fault):
    hub.fail(method="POST", path="/api/jobs/team$", **fault)
    runner, job_id = begun(home, hub)
    seen(runner, job_id, "Whether the job was created is not known")
    seen(runner, job_id, "does not list this job yet")
    assert runner.job(job_id).state is JobState.RUNNING
    grow_old(home, job_id)
    job = ended(runner, job_id)
    assert job.state is JobState.FAILED and "Look there before you start it again" in job.error
    assert created(hub) == 1 and hub.jobs == {}


def test_rows_that_cannot_be_pushed_begin_no_job(home, hub):
    hub.fail(times=None, method="POST", path="/api/repos/create$", status=403, message="Not for this account.")
    runner, job_id = begun(home, hub)
    job = ended(runner, job_id)
    assert job.state is JobState.FAILED and "began no job: Not for this account" in job.error and created(hub) == 0


def test_only_a_connection_that_was_refused_has_sent_nothing(hub):
    def failure(endpoint):
        with pytest.raises(HubError) as caught, hub_errors(endpoint, "hf_write_token"):
            hub_api(endpoint, "hf_write_token", 5.0).run_job(image="x", command=["x"], namespace="team")
        return caught.value

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert _unsent(failure(f"http://127.0.0.1:{closed.getsockname()[1]}"))
    hub.fail(method="POST", path="/api/jobs/team$", drop="before")
    assert not _unsent(failure(hub.url))


@pytest.mark.parametrize("status", [404, 503])
def test_a_job_whose_log_cannot_be_read_is_finished_all_the_same(home, hub, status):
    hub.fail(times=None, path="/logs$", status=status, message="No log.")
    runner, job_id = begun(home, hub)
    job = ended(runner, job_id)
    assert (job.state, job.error) == (JobState.DONE, "")


def test_an_account_without_jobs_is_told_in_the_words_of_the_hub(home, hub):
    said = "Jobs are available to accounts with a positive credit balance"
    hub.fail(method="POST", path="/api/jobs/team$", status=403, message=said)
    runner, job_id = begun(home, hub)
    job = ended(runner, job_id)
    assert job.state is JobState.FAILED and said in job.error and job.model_id is None
    hub.fail(method="POST", path="/api/jobs/team$", status=402, message="Payment required: add credits.")
    job = ended(runner, runner.start("hf_jobs", data_of(home), BASE, {}, None))
    assert "Payment required: add credits" in job.error


def test_a_token_that_may_not_write_or_is_unknown_begins_nothing(home, hub):
    runner, job_id = begun(home, hub, token="hf_read_token")
    assert "write token" in ended(runner, job_id).error
    runner, job_id = begun(home, hub, token="hf_gone")
    job = ended(runner, job_id)
    assert "HF_TOKEN is not valid (401)" in job.error and "hf_gone" not in job.error and hub.jobs == {}


def test_a_job_that_fails_says_what_the_hub_or_its_last_line_says(home, hub):
    hub.break_job("torch.OutOfMemoryError: CUDA out of memory.")
    runner, job_id = begun(home, hub)
    assert "CUDA out of memory" in ended(runner, job_id).error
    hub.break_job("Killed", message="Job timeout")
    assert "Job timeout" in ended(runner, runner.start("hf_jobs", data_of(home), BASE, {}, None)).error


def test_a_job_that_leaves_no_adapter_has_failed(home, hub):
    hub.pushes = False
    runner, job_id = begun(home, hub)
    job = ended(runner, job_id)
    assert job.state is JobState.FAILED and "its adapter is not in team/pairloop-qwen-small" in job.error


def test_a_job_is_cancelled_on_the_hub_here_or_there(home, hub):
    hub.held = True
    runner, job_id = begun(home, hub)
    seen(runner, job_id, "running")
    runner.cancel(job_id)
    assert ended(runner, job_id).state is JobState.CANCELLED
    other = runner.start("hf_jobs", data_of(home), BASE, {}, None)
    seen(runner, other, "running")
    hub.jobs[runner.job(other).external_id.partition("/")[2]]["status"]["stage"] = "CANCELED"
    assert ended(runner, other).state is JobState.CANCELLED


def test_a_job_that_finished_while_the_app_was_down_is_found_done(home, hub):
    hub.held = True
    runner, job_id = begun(home, hub)
    seen(runner, job_id, "running")
    services = home.restart()
    hub.held = False
    for _ in range(8):
        hub.advance(next(iter(hub.jobs.values())))
    # The client ends a slow log without a word, as an empty one; there is no later time to read it.
    hub.silent = 2
    again = runner_of(services, hub)
    again.follow_left()
    job = ended(again, job_id)
    assert job.state is JobState.DONE
    assert sorted(e.step for e in again.events(job_id) if e.kind == "loss") == [1, 2, 3, 4]


def test_an_expired_token_keeps_the_job_and_says_so(home, hub):
    hub.held = True
    runner, job_id = begun(home, hub)
    seen(runner, job_id, "running")
    hub.tokens = {"hf_new": "write"}
    seen(runner, job_id, "set HF_TOKEN")
    assert runner.job(job_id).state is JobState.RUNNING
    hub.held = False
    again = runner_of(home.restart(), hub, token="hf_new")
    again.follow_left()
    assert ended(again, job_id).state is JobState.DONE


def test_a_hub_that_is_down_for_a_while_is_asked_again(home, hub):
    hub.held = True
    runner, job_id = begun(home, hub)
    seen(runner, job_id, "running")
    hub.fail(times=2, path="/api/jobs/team/0", status=503, message="Busy.")
    hub.held = False
    assert ended(runner, job_id).state is JobState.DONE


def test_an_organisation_may_own_and_pay(home, hub):
    hub.tokens["hf_write_token"] = Token("team", orgs=("acme",))
    runner, job_id = begun(home, hub, {"namespace": "acme"})
    job = ended(runner, job_id)
    assert (
        job.state is JobState.DONE
        and job.external_id.startswith("acme/")
        and "acme/pairloop-training" in str(hub.repos)
    )


def test_the_plan_tells_price_and_time_and_what_is_missing(home, hub):
    trainer = HubJobsTrainer(hub.url, "hf_write_token", home.services.store.models.get)
    data = data_of(home)
    plan = trainer.plan(data, BASE, {"hardware": "t4-small", "epochs": 1})
    machine = next(item for item in HARDWARE if item.name == "t4-small")
    assert plan.unavailable == "" and plan.price == pytest.approx(plan.seconds / 3600 * machine.price)
    assert plan.seconds == pytest.approx(300 + plan.tokens * 0.6 / machine.speed)
    assert "HF_TOKEN" in HubJobsTrainer(hub.url, "", lambda _: BASE).plan(data, BASE, {}).unavailable
    other = Model("m2", "gpt", "openai", {"model_id": "gpt-4.1", "endpoint": PLACE}, "answer-review")
    assert "Hub id" in trainer.plan(data, other, {}).unavailable
    assert trainer.plan(data, other, {"weights": "Qwen/Qwen3-0.6B"}).unavailable == ""
    assert "between 0.1 and 50" in trainer.plan(data, BASE, {"epochs": 900}).unavailable
    assert "a number" in trainer.plan(data, BASE, {"epochs": "many"}).unavailable
    with pytest.raises(TrainingError, match="HF_TOKEN"):
        begun(home, hub, token="")
    assert trainer.plan(TrainingData(Method.SFT, data.train, ()), BASE, {}).validation_rows == 0


def test_weights_are_named_by_a_hub_id():
    assert weights_of(Model("x", "x", "openai", {"model_id": "org/model-7b:fast"}, "")) == "org/model-7b"
    assert weights_of(Model("x", "x", "openai", {"model_id": "gpt-4.1"}, "")) == weights_of(None) == ""


def test_the_script_stands_alone_and_names_what_it_needs():
    source = resources.files("pipeline.finetune").joinpath("hub_script.py").read_text(encoding="utf-8")
    assert source.startswith("# /// script\n") and all(name in source.split("# ///")[1] for name in ("trl", "peft"))
    imported = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    assert not [node for node in imported if (node.module or "").startswith("pipeline")]


def test_time_is_told_in_the_order_of_events(home, hub):
    runner, job_id = begun(home, hub)
    started = time.time()
    ended(runner, job_id)
    assert all(event.at >= started - 60 for event in runner.events(job_id))
