"""The trainer of this machine: its process, what it tells, and the file that comes out. Training itself: tests/training."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest
from sqlalchemy import update

from components.tune import jobs as tune_jobs
from pipeline.errors import TrainingError
from pipeline.finetune import local
from pipeline.finetune.gguf_deltas import GgufBase
from pipeline.finetune.jobs import SILENT_SECONDS, JobRunner
from pipeline.finetune.local import LocalTrainer
from pipeline.finetune.rows import Method, Row, TrainingData
from pipeline.models.gguf_hub import ModelHub
from pipeline.models.local import LocalModel, LocalModels, LocalSpec
from pipeline.models.openai_chat import close_clients
from pipeline.prompts import ANSWER_REVIEW
from pipeline.records import JobState, Model
from pipeline.store.local_schema import changes
from pipeline.store.schema import training_jobs
from pipeline.store.training import LEFT, TrainingJob
from tests.gguf_files import tiny
from tests.material import Home, add_queries
from tests.pipeline.finetune.test_openai_trainer import data_of, seen

STAND_IN = Path(__file__).parents[1] / "stand_in_training.py"
JOB = TrainingJob("job-1", "local", None, "m1", JobState.RUNNING, {}, "", None, 0.0, None, settings={"epochs": 2})


def row(number: int, rejected: str | None = None) -> Row:
    messages = [
        {"role": "system", "content": "Answer from the passages."},
        {"role": "user", "content": f"What does plan {number} cost?"},
        {"role": "assistant", "content": f"It costs {number} dollars [1]."},
    ]
    return Row(f"q{number}", messages[1]["content"], (), messages[2]["content"], messages, rejected=rejected)


SFT = TrainingData(Method.SFT, tuple(row(number) for number in range(1, 9)), (row(9),))
DPO = TrainingData(Method.DPO, tuple(row(number, "I cannot say.") for number in range(1, 9)))


class Room:
    """A workspace's folder with a base in it, and its trainer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models = LocalModels(folder, ModelHub("http://127.0.0.1:9"))
        config = self.models.configure(str(tiny(folder / "base.gguf")), "", "", 512)
        self.base = Model("m1", "tiny", "local", {**config, "temperature": 0.0}, "answer-review")

    def trainer(self, way: str) -> LocalTrainer:
        return LocalTrainer(self.folder, self.models, (sys.executable, str(STAND_IN), way))


@pytest.fixture
def room(tmp_path):
    made = Room(tmp_path)
    yield made
    made.models.close()


def ended(trainer: LocalTrainer, base: Model, job: TrainingJob = JOB, seconds: float = 20.0):
    end = time.monotonic() + seconds
    while (progress := asyncio.run(trainer.poll(job, base))).state is JobState.RUNNING:
        assert time.monotonic() < end
        time.sleep(0.05)
    return progress


def test_a_job_begins_tells_its_losses_and_gives_a_model_that_answers(room):
    trainer = room.trainer("quick")
    assert asyncio.run(trainer.start(JOB, SFT, room.base)) == JOB.id
    progress = ended(trainer, room.base)
    assert progress.state is JobState.DONE
    assert [(event.step, event.value) for event in progress.events] == [(1, 2.0), (2, 1.0), (3, 2.0 / 3)]
    tuned = progress.tuned
    assert tuned.provider == "local" and tuned.config["temperature"] == 0.0
    # The file is found again wherever the workspace's folder is moved to.
    assert tuned.config["path"] == "training/job-1/tuned.gguf"
    assert tuned.config["sha256"] == room.base.config["sha256"]
    # Asked again it is the same job, and not a second one.
    assert asyncio.run(trainer.start(JOB, SFT, room.base)) == JOB.id
    assert asyncio.run(trainer.find(JOB)) == JOB.id
    assert asyncio.run(trainer.find(replace(JOB, id="other"))) is None


# Writes down which proxy it was given, and is a training that has begun.
TELLS = (
    "import os, pathlib, sys, time; folder = pathlib.Path(sys.argv[1]); "
    "(folder / 'proxy').write_text(os.environ.get('https_proxy', '')); (folder / 'process.json').write_text('{}'); "
    "time.sleep(60)"
)


@pytest.mark.parametrize(("weights", "given"), [("", ""), ("team/weights", "http://me:secret@127.0.0.1:9")])
def test_only_a_training_that_loads_from_the_hub_is_given_the_password_of_a_proxy(room, monkeypatch, weights, given):
    monkeypatch.setenv("https_proxy", "http://me:secret@127.0.0.1:9")
    trainer = LocalTrainer(room.folder, room.models, (sys.executable, "-c", TELLS))
    asyncio.run(trainer.start(replace(JOB, settings={"weights": weights}), SFT, room.base))
    trainer._children[JOB.id].kill()
    assert (room.folder / "training" / JOB.id / "proxy").read_text() == given


def test_a_job_survives_the_app_and_is_found_again(room):
    trainer = room.trainer("stubborn")
    asyncio.run(trainer.start(JOB, SFT, room.base))
    # Another process of the app: it knows nothing but the job.
    later = LocalTrainer(room.folder, LocalModels(room.folder, ModelHub("")))
    assert asyncio.run(later.find(JOB)) == JOB.id
    progress = asyncio.run(later.poll(JOB, room.base))
    assert progress.state is JobState.RUNNING and len(progress.events) == 3
    assert "Another model is being trained" in room.trainer("quick").plan(SFT, room.base, {}).unavailable
    asyncio.run(later.cancel(JOB))
    assert asyncio.run(later.poll(JOB, room.base)).state is JobState.CANCELLED


def test_a_cancelled_job_ends_within_two_seconds_with_all_that_it_started(room):
    trainer = room.trainer("stubborn")
    asyncio.run(trainer.start(JOB, SFT, room.base))
    told = local._read(room.folder / "training" / JOB.id / "process.json")
    began = time.monotonic()
    asyncio.run(trainer.cancel(JOB))
    assert time.monotonic() - began < 2
    assert ended(trainer, room.base).state is JobState.CANCELLED
    assert not lives(told["pid"]) and not lives(told["child"])


def lives(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
    return bool(state.strip()) and not state.startswith("Z")


def test_a_process_that_was_ended_from_outside_is_told_of(room):
    trainer = room.trainer("stubborn")
    asyncio.run(trainer.start(JOB, SFT, room.base))
    os.killpg(local._read(room.folder / "training" / JOB.id / "process.json")["pid"], 9)
    progress = ended(trainer, room.base)
    assert progress.state is JobState.INTERRUPTED and "ended from outside" in progress.error
    assert len(progress.events) == 3


def test_what_went_wrong_is_told_in_words(room):
    trainer = room.trainer("fails")
    asyncio.run(trainer.start(JOB, SFT, room.base))
    progress = ended(trainer, room.base)
    assert progress.state is JobState.FAILED
    assert progress.error == "Training failed: The weights are those of another model."


def test_a_process_that_does_not_start_says_why(room):
    trainer = LocalTrainer(room.folder, room.models, (sys.executable, "-c", "raise SystemExit('no room left')"))
    with pytest.raises(TrainingError, match="did not start: no room left"):
        asyncio.run(trainer.start(JOB, SFT, room.base))


def test_a_process_that_is_not_ready_in_time_is_ended(room, monkeypatch):
    monkeypatch.setattr(local, "_START_SECONDS", 1.0)
    slow = "import os, sys, time; print(os.getpid(), flush=True); time.sleep(60)"
    trainer = LocalTrainer(room.folder, room.models, (sys.executable, "-c", slow))
    with pytest.raises(TrainingError, match=r"did not start: \d+"):
        asyncio.run(trainer.start(JOB, SFT, room.base))
    assert not lives(int((room.folder / "training" / JOB.id / "log.txt").read_text()))


def test_a_job_that_does_not_run_here_is_not_cancelled_by_a_number(room):
    trainer = room.trainer("quick")
    with pytest.raises(TrainingError, match="on another machine: cancel it there"):
        asyncio.run(trainer.cancel(JOB))
    asyncio.run(trainer.start(JOB, SFT, room.base))
    ended(trainer, room.base)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        (room.folder / "training" / JOB.id / "process.json").write_text(json.dumps({"pid": stranger.pid}))
        asyncio.run(trainer.cancel(JOB))
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.fixture
def home(room, tmp_path):
    home = Home(tmp_path / "home")
    home.services.store.models.add(room.base)
    home.queries = home.services.store.queries.in_set(add_queries(home.services))
    yield home
    home.services.close()


def runner_of(home: Home, trainer: LocalTrainer) -> JobRunner:
    trainer.poll_seconds = 0.05
    return JobRunner(home.services.store, [trainer], home.services.generation.background)


def begun_without_a_folder(home: Home) -> str:
    job_id = home.services.store.training.start("local", None, "m1", [], {}, {})
    home.services.store.training.began(job_id, job_id)
    return job_id


def test_a_job_whose_folder_went_with_its_disk_is_over_when_its_app_is_back(room, home):
    job_id, runner = begun_without_a_folder(home), runner_of(home, room.trainer("quick"))
    runner.follow_left()
    end = time.monotonic() + 20
    while (job := runner.job(job_id)).state is JobState.RUNNING:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert job.state is JobState.INTERRUPTED and "Start it again: its rows are kept" in job.error


def test_a_job_of_another_machine_goes_on_there_and_can_be_given_up_once_nothing_is_heard_of_it(room, home):
    job_id, runner = begun_without_a_folder(home), runner_of(home, room.trainer("quick"))
    with home.services.store.database.write() as connection:
        connection.execute(update(changes).where(changes.c.row_id == job_id).values(replica="of another machine"))
    runner.follow_left()
    time.sleep(0.3)
    assert runner.job(job_id).state is JobState.RUNNING
    with pytest.raises(TrainingError, match="cancel it there"):
        runner.cancel(job_id)
    with home.services.store.database.write() as connection:
        silent = time.time() - SILENT_SECONDS - 60
        connection.execute(update(training_jobs).where(training_jobs.c.id == job_id).values(created_at=silent))
    assert "Nothing was heard" in tune_jobs.card(runner.job(job_id), runner.events(job_id), "On this machine", 0)
    runner.cancel(job_id)
    assert (
        runner.job(job_id).state is JobState.INTERRUPTED and "its model comes all the same" in runner.job(job_id).error
    )


def test_a_job_that_another_machine_called_interrupted_goes_on_and_gives_its_model(room, home):
    runner = runner_of(home, room.trainer("stubborn"))
    job_id = runner.start("local", data_of(home), room.base, {}, None)
    seen(runner, job_id, "train")
    home.services.store.training.finish(job_id, JobState.INTERRUPTED, error="Not here.")
    time.sleep(0.3)
    folder = room.folder / "training" / job_id
    shutil.copy(room.folder / "base.gguf", folder / "tuned.gguf")
    (folder / "result.json").write_text(json.dumps({"state": "done", "metrics": {"loss": 1.0}}))
    os.killpg(local._read(folder / "process.json")["pid"], 9)
    end = time.monotonic() + 20
    while (job := runner.job(job_id)).state is not JobState.DONE:
        assert time.monotonic() < end, job
        time.sleep(0.05)
    assert job.error == "" and home.services.store.models.get(job.model_id).parent_id == "m1"


def test_a_job_that_others_took_for_left_behind_goes_on_when_its_app_is_back(room, home):
    runner, training = runner_of(home, room.trainer("stubborn")), home.services.store.training
    job_id = runner.start("local", data_of(home), room.base, {}, None)
    seen(runner, job_id, "train")
    runner._tasks[job_id].cancel()
    gone = begun_without_a_folder(home)
    with home.services.store.database.write() as connection:
        connection.execute(update(changes).where(changes.c.row_id.in_((job_id, gone))).values(replica="gone"))
    training.interrupt_all("gone")
    assert {(training.job(one).state, training.job(one).error) for one in (job_id, gone)} == {
        (JobState.INTERRUPTED, LEFT)
    }
    # What comes back finds its folder; of the other job nothing is here.
    back = runner_of(home, room.trainer("stubborn"))
    back.follow_left()
    until(lambda: back.job(job_id).state is JobState.RUNNING and back.job(job_id).error == "")
    back.cancel(job_id)
    until(lambda: back.job(job_id).state is JobState.CANCELLED)
    until(lambda: back._tasks[gone].done())
    assert (back.job(gone).state, back.job(gone).error) == (JobState.INTERRUPTED, LEFT)


def until(said, seconds=20.0):
    end = time.monotonic() + seconds
    while not said():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_base_whose_file_is_gone_or_another_cannot_be_trained(room):
    tiny(room.folder / "base.gguf", 1)
    with pytest.raises(TrainingError, match="has changed since"):
        asyncio.run(room.trainer("quick").start(JOB, SFT, room.base))
    (room.folder / "base.gguf").unlink()
    assert "There is no file" in room.trainer("quick").plan(SFT, room.base, {}).unavailable


def test_the_plan_counts_rows_tokens_time_and_memory(room):
    trainer = room.trainer("quick")
    plan = trainer.plan(SFT, room.base, {"epochs": 3})
    assert (plan.rows, plan.validation_rows, plan.epochs, plan.price) == (8, 1, 3, 0.0)
    assert plan.unavailable == "" and 100 < plan.tokens < 500 and plan.seconds >= 60
    assert "0.8 GB of memory" in plan.needs and plan.notes == ()
    long = TrainingData(
        Method.SFT,
        (
            replace(
                row(1),
                answer="word " * 200,
                messages=[*row(1).messages[:2], {"role": "assistant", "content": "word " * 200}],
            ),
            row(2),
        ),
    )
    assert "1 rows are longer than 64 tokens" in " ".join(trainer.plan(long, room.base, {"max_length": 64}).notes)
    # What the last job on this machine took is what the next one is said to take.
    asyncio.run(trainer.start(JOB, SFT, room.base))
    ended(trainer, room.base)
    per_token = trainer.plan(SFT, room.base, {"epochs": 1000 / plan.tokens}).seconds - 60
    assert per_token == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize(("name", "value"), [("epochs", "many"), ("epochs", 0), ("rank", 1000), ("learning_rate", -1)])
def test_settings_that_cannot_be_are_refused(room, name, value):
    with pytest.raises(TrainingError, match=r"must be"):
        asyncio.run(room.trainer("quick").start(replace(JOB, settings={name: value}), SFT, room.base))


def test_without_the_packages_it_is_said_how_to_get_them(room, monkeypatch):
    monkeypatch.setattr(local, "find_spec", lambda name: None)
    unavailable = LocalTrainer(room.folder, room.models).plan(SFT, room.base, {}).unavailable
    assert "pip install -c constraints.txt -e '.[local,train]'" in unavailable


def test_a_model_that_is_larger_than_the_machine_is_refused(room, monkeypatch):
    monkeypatch.setattr(local, "_machine_memory", lambda: 0.5e9)
    assert "this machine has 0.5: choose a smaller model" in room.trainer("quick").plan(SFT, room.base, {}).unavailable


QUERY, KEY, UP = "model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.k_proj", "model.layers.1.mlp.up_proj"


def as_transformers_has_it(path: Path, module: str) -> np.ndarray:
    """Return a weight in the order that transformers gives it when it reads the file (its LlamaTensorProcessor)."""
    tensor = next(t for t in gguf.GGUFReader(path).tensors if t.name == GgufBase(path).tensor_of(module))
    weight = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
    heads = {QUERY: 4, KEY: 2}.get(module)
    if heads is None:
        return weight
    half = weight.shape[0] // heads // 2
    return weight.reshape(heads, half, 2, *weight.shape[1:]).swapaxes(2, 1).reshape(weight.shape)


def test_changes_are_added_where_they_belong_and_nothing_else_is_changed(tmp_path):
    path, base = tiny(tmp_path / "base.gguf"), GgufBase(tiny(tmp_path / "base.gguf"))
    random = np.random.default_rng(1)
    changes = {}
    for module in (QUERY, KEY, UP):
        weight = as_transformers_has_it(path, module)
        base.check(module, weight)
        changes[module] = random.normal(0, 0.02, weight.shape).astype(np.float32)
    base.write(tmp_path / "tuned.gguf", changes)
    before, after = gguf.GGUFReader(path), gguf.GGUFReader(tmp_path / "tuned.gguf")
    changed = {base.tensor_of(module) for module in changes}
    for old, new in zip(before.tensors, after.tensors, strict=True):
        assert old.name == new.name and list(old.shape) == list(new.shape)
        assert (old.data.tobytes() == new.data.tobytes()) is (old.name not in changed)
    for module, change in changes.items():
        wanted = as_transformers_has_it(path, module) + change
        assert np.abs(as_transformers_has_it(tmp_path / "tuned.gguf", module) - wanted).max() < 0.002
    told = {name: field.contents() for name, field in before.fields.items() if not name.startswith("GGUF.")}
    assert {n: f.contents() for n, f in after.fields.items() if not n.startswith("GGUF.")} == told


def test_weights_of_another_model_or_in_another_order_are_noticed_before_any_training(tmp_path):
    path = tiny(tmp_path / "base.gguf")
    base = GgufBase(path)
    with pytest.raises(ValueError, match="of another model"):
        base.check(QUERY, as_transformers_has_it(tiny(tmp_path / "other.gguf", 1), QUERY))
    in_file_order = next(t for t in gguf.GGUFReader(path).tensors if t.name == "blk.0.attn_q.weight").data
    with pytest.raises(ValueError, match="of another model"):
        base.check(QUERY, in_file_order)
    with pytest.raises(ValueError, match="cannot be tuned here"):
        base.tensor_of("model.layers.0.self_attn.strange_proj")


def test_a_file_with_changes_is_served(tmp_path):
    base = GgufBase(tiny(tmp_path / "base.gguf", 2))
    base.write(tmp_path / "tuned.gguf", {UP: np.full((128, 64), 0.01, np.float32)})
    models = LocalModels(tmp_path, ModelHub(""))
    spec = LocalSpec.from_config(models.configure("tuned.gguf", "", "", 512))

    async def said() -> str:
        try:
            chat = LocalModel(models, spec, "tuned", ANSWER_REVIEW, 0.0, max_tokens=4)
            return (await chat.chat([{"role": "user", "content": "What?"}])).text
        finally:
            await close_clients()

    assert asyncio.run(said()) == "cccc"
    models.close()
