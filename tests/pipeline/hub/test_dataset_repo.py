"""The repo is a good dataset: the real ``datasets`` loads every config of it from the loopback Hub, by the repo's name."""

import json
import os
import subprocess
import sys

import pytest

from pipeline.backup import Backup
from pipeline.hub.tables import TABLES
from pipeline.settings import Settings
from tests.backing import REPO, TOKEN
from tests.workspace import add_comparison, add_model, open_workspace, person

LOAD = """
import json, sys
from datasets import get_dataset_config_names, load_dataset
repo, names = sys.argv[1], sys.argv[2].split(",")
found = {"configs": get_dataset_config_names(repo)}
for name in names:
    rows = load_dataset(repo, name, split="train")
    found[name] = {"rows": rows.num_rows, "columns": rows.column_names, "first": rows[0]}
print("FOUND " + json.dumps(found, default=str))
"""


@pytest.fixture
def published(tmp_path, hub):
    """A workspace with votes whose tables were refreshed in the repo."""
    services = open_workspace(tmp_path / "home")
    set_id = add_comparison(
        services, (add_model(services, "one"), add_model(services, "two")), [("A.", "B."), ("C.", "D.")]
    )
    ada = person(services, "Ada")
    for _ in range(2):
        pair = services.comparisons.next_pair(set_id, ada)
        services.comparisons.vote(pair.comparison_id, ada, "model_a", "clear", "Better.")
    settings = Settings(home=tmp_path, dataset_repo=REPO, hf_token=TOKEN, hf_endpoint=hub.url, license="cc-by-4.0")
    backup = Backup(services.store, settings)
    backup.sync_now()
    yield services, backup
    services.close()


def load(hub, tmp_path, names):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    environment = {
        **kept,
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": TOKEN,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HOME": str(tmp_path / "cache"),
    }
    command = [sys.executable, "-c", LOAD, REPO, ",".join(names)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("FOUND ")), "")
    assert line, done.stderr[-3000:]
    return json.loads(line.removeprefix("FOUND "))


def test_every_config_loads_by_the_name_of_the_repo(published, hub, tmp_path):
    names = ["queries", "completions", "comparisons", "votes", "sft", "preferences"]
    found = load(hub, tmp_path, names)
    assert set(found["configs"]) == {table.name for table in TABLES}
    assert found["votes"]["rows"] == 2 and found["comparisons"]["rows"] == 2
    for name in names:
        declared = next(table for table in TABLES if table.name == name)
        assert found[name]["columns"] == [column.name for column in declared.columns]
    assert found["votes"]["first"]["annotator"].startswith("annotator-")
    text = json.dumps(found)
    assert "Ada" not in text


def test_a_second_refresh_of_the_same_state_changes_nothing(published, hub):
    _, backup = published
    files = hub.files(REPO)
    backup.sync_now()
    assert {path: data for path, data in hub.files(REPO).items() if path.startswith("data/")} == {
        path: data for path, data in files.items() if path.startswith("data/")
    }


def test_the_card_says_what_is_in_it_and_under_which_license(published, hub):
    card = hub.files(REPO)["README.md"].decode()
    assert "license: cc-by-4.0" in card and "blind" in card and "pseudonym" in card
