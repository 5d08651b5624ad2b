"""What the processes that the app starts are given of its environment: what they work with, and no keys."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import replace

import psutil
import pytest

from pipeline import environment
from pipeline.finetune.local import LocalTrainer
from pipeline.models.gguf_hub import ModelHub
from pipeline.models.gguf_process import ModelProcess
from pipeline.models.local import LocalModels
from pipeline.records import Model
from tests.gguf_files import tiny
from tests.pipeline.test_local_training import JOB, SFT

SECRET = "secret-of-the-app"
KEYS = (
    "OPENAI_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN", "HF_TOKEN_PATH", "TORCH_API_KEY",
    "DATABASE_URL", "OAUTH_CLIENT_SECRET", "PAIRLOOP_METRICS_TOKEN", "PAIRLOOP_DATASET_REPO", "AWS_SECRET_ACCESS_KEY",
)  # fmt: skip
NEEDED = (
    "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE",
    "HF_ENDPOINT", "XDG_CACHE_HOME", "HTTPS_PROXY", "https_proxy", "no_proxy", "SSL_CERT_FILE", "TMPDIR", "LC_ALL",
    "OMP_NUM_THREADS", "TOKENIZERS_PARALLELISM",
)  # fmt: skip
# Writes down what it was given, and is a training that has begun.
TRAINING = (
    "import json, os, pathlib, sys, time; folder = pathlib.Path(sys.argv[1]); "
    "(folder / 'given.json').write_text(json.dumps({**os.environ, 'pid': os.getpid()})); "
    "(folder / 'process.json').write_text('{}'); time.sleep(60)"
)


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    for name in KEYS:
        monkeypatch.setenv(name, SECRET)


def test_keys_stay_and_what_computing_needs_goes_along(monkeypatch):
    for name in NEEDED:
        monkeypatch.setenv(name, "of use")
    given = environment.for_models()
    assert not given.keys() & set(KEYS) and SECRET not in given.values()
    assert [name for name in NEEDED if given.get(name) != "of use"] == []
    # A reader of files needs less.
    assert environment.for_files().items() < given.items() and "HTTPS_PROXY" not in environment.for_files()


def test_the_process_of_a_model_file_is_given_no_keys(tmp_path):
    process = ModelProcess("a.gguf")
    process.start(tiny(tmp_path / "a.gguf"), 512)
    try:
        given = psutil.Process(process._process.pid).environ()
    finally:
        process.end()
    assert SECRET not in given.values() and given["PATH"] == os.environ["PATH"]


@pytest.mark.parametrize(("weights", "token"), [("", None), ("team/private-weights", "hf_of_the_settings")])
def test_a_training_is_given_no_keys_but_that_of_the_hub_where_it_loads_weights_there(tmp_path, weights, token):
    models = LocalModels(tmp_path, ModelHub("http://127.0.0.1:9"))
    base = Model(
        "m1", "tiny", "local", models.configure(str(tiny(tmp_path / "base.gguf")), "", "", 512), "answer-review"
    )
    trainer = LocalTrainer(tmp_path, models, (sys.executable, "-c", TRAINING), token="hf_of_the_settings")
    job = replace(JOB, settings={"weights": weights})
    asyncio.run(trainer.start(job, SFT, base))
    given = json.loads((tmp_path / "training" / JOB.id / "given.json").read_text())
    os.kill(given["pid"], signal.SIGTERM)
    assert SECRET not in given.values() and given["PATH"] == os.environ["PATH"]
    assert given.get("HF_TOKEN") == token
