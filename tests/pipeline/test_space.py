"""What follows from the environment of a Hugging Face Space where nobody set anything."""

import tempfile
from pathlib import Path

import pytest

from pipeline.backup import Backup
from pipeline.hub.state import BackupKind
from pipeline.settings import from_environment
from tests.workspace import open_workspace

SPACE = {
    "SYSTEM": "spaces",
    "SPACE_ID": "acme/pairloop",
    "SPACE_HOST": "acme-pairloop.hf.space",
    "SPACE_AUTHOR_NAME": "acme",
    "SPACE_REPO_NAME": "pairloop",
}


def test_with_a_token_alone_everything_follows_from_the_name_of_the_space():
    chosen = from_environment({**SPACE, "HF_TOKEN": "hf_x"})
    assert (chosen.space, chosen.dataset_repo) == ("acme/pairloop", "acme/pairloop-data")
    assert (chosen.host, chosen.port) == ("0.0.0.0", 7860)
    assert chosen.home == Path(tempfile.gettempdir()) / "pairloop"


def test_a_duplicate_keeps_its_own_data():
    copy = {**SPACE, "SPACE_ID": "ada/copy", "SPACE_AUTHOR_NAME": "ada", "SPACE_REPO_NAME": "copy", "HF_TOKEN": "hf_y"}
    assert from_environment(copy).dataset_repo == "ada/copy-data"


def test_what_is_set_stands():
    own = {
        "PAIRLOOP_DATASET_REPO": "acme/answers",
        "PAIRLOOP_HOST": "127.0.0.1",
        "PAIRLOOP_HOME": "/work",
        "PAIRLOOP_PORT": "80",
    }
    chosen = from_environment({**SPACE, "HF_TOKEN": "hf_x", **own})
    assert (chosen.dataset_repo, chosen.host, chosen.port, str(chosen.home)) == (
        "acme/answers",
        "127.0.0.1",
        80,
        "/work",
    )


def test_without_a_token_there_is_no_dataset_repo():
    assert from_environment(SPACE).dataset_repo == ""


def test_a_space_says_its_name_in_two_ways():
    only_id = {"SPACE_ID": "acme/pairloop", "SPACE_HOST": "acme-pairloop.hf.space", "HF_TOKEN": "hf_x"}
    assert from_environment(only_id).dataset_repo == "acme/pairloop-data"


@pytest.mark.parametrize("environment", [{}, {"SPACE_ID": "acme/pairloop"}, {"SYSTEM": "spaces"}])
def test_elsewhere_nothing_changes(environment):
    chosen = from_environment({**environment, "HF_TOKEN": "hf_x"})
    assert (chosen.space, chosen.dataset_repo, chosen.host) == ("", "", "127.0.0.1")
    assert chosen.home == Path("~/.pairloop").expanduser()


@pytest.mark.parametrize(
    ("more", "kind"),
    [({"space": "acme/pairloop"}, BackupKind.FAILING), ({}, BackupKind.LOCAL)],
)
def test_a_space_without_a_back_up_says_so_as_a_failure(tmp_path, more, kind):
    services = open_workspace(tmp_path / "home", **more)
    assert services.backup.state().kind is kind
    services.close()


def test_a_space_with_a_volume_is_backed_up(tmp_path):
    services = open_workspace(tmp_path / "home", space="acme/pairloop", data_dir=tmp_path / "data")
    services.backup.sync_now()
    assert isinstance(services.backup, Backup) and services.backup.state().kind is BackupKind.BACKED_UP
    services.close()
