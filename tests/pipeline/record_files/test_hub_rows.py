"""Rows of a dataset on the Hub: the real ``datasets`` pushes to a loopback Hub, and reads from it in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import RecordError
from pipeline.record_files.hub import read_hub
from tests.hub_server import HubServer

ROOT = Path(__file__).resolve().parents[3]
TOKEN = "hf_write_token"
PUSH = """
from datasets import ClassLabel, Dataset, Features, Value
features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"]), "score": Value("float64")})
rows = {"text": ["One 🙂", "Two", "Three"], "label": [1, 0, 1], "score": [0.5, float("nan"), 2.0]}
Dataset.from_dict(rows, features=features).push_to_hub("team/rows", token="hf_write_token", private=True)
Dataset.from_dict({"text": ["Elsewhere"]}).push_to_hub("team/rows", "other", split="test", token="hf_write_token")
"""
READ = """
import json, sys
from pipeline.errors import RecordError
from pipeline.record_files.hub import read_hub
for asked in json.loads(sys.argv[1]):
    try:
        found = read_hub(**asked)
        said = {"name": found.name, "rows": [dict(row.cells) for row in found.rows], "notes": found.notes}
    except RecordError as error:
        said = {"error": str(error)}
    print("SAID " + json.dumps(said))
"""


def run(script, hub, folder, *arguments):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    environment = {
        **kept,
        "HF_ENDPOINT": hub.url,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HOME": str(folder / "cache"),
    }
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line[5:]) for line in done.stdout.splitlines() if line.startswith("SAID ")]


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    asked = [
        {"name": "team/rows", "token": TOKEN},
        {"name": "https://huggingface.co/datasets/team/rows", "config": "other", "split": "test", "token": TOKEN},
        {"name": "team/rows", "token": TOKEN, "limit": 2},
        {"name": "team/rows", "config": "none", "token": TOKEN},
        {"name": "team/rows", "split": "validation", "token": TOKEN},
        {"name": "team/rows", "revision": "0123456789abcdef", "token": TOKEN},
        {"name": "team/rows"},
        {"name": "team/missing", "token": TOKEN},
        {"name": "not a name"},
    ]
    with HubServer() as hub:
        run(PUSH, hub, folder)
        return run(READ, hub, folder, json.dumps(asked))


def test_rows_come_with_the_names_of_their_classes(said):
    assert said[0]["rows"] == [
        {"text": "One 🙂", "label": "good", "score": 0.5},
        {"text": "Two", "label": "bad", "score": None},
        {"text": "Three", "label": "good", "score": 2.0},
    ]
    assert said[0]["notes"] == [] and said[0]["name"] == "team/rows, default, train"


def test_another_configuration_and_split_can_be_named(said):
    assert said[1]["rows"] == [{"text": "Elsewhere"}]


def test_more_rows_than_the_limit_are_said_to_be_left_out(said):
    assert len(said[2]["rows"]) == 2
    assert said[2]["notes"] == ["Only the first 2 rows were read; the dataset has more."]


def test_what_is_not_there_is_said_in_words(said):
    assert "these configurations" in said[3]["error"] and "other" in said[3]["error"]
    assert "these splits: train" in said[4]["error"]
    for answer in said[5:8]:
        assert "could not be read from the Hub" in answer["error"]
    assert "owner/name" in said[8]["error"]


@pytest.mark.parametrize("name", [".", "..", "kept/rows", "kept"])
def test_a_folder_of_the_server_is_never_read_as_a_dataset_of_the_hub(name, tmp_path, monkeypatch):
    inside = tmp_path / "here"
    (inside / "kept" / "rows").mkdir(parents=True)
    (inside / "kept" / "rows" / "train.csv").write_text("text\nA secret\n")
    monkeypatch.chdir(inside)
    with pytest.raises(RecordError, match="folder of this server"):
        read_hub(name)
