"""What the web server says beside the screens, and what it logs."""

import io
import logging
import sys
import threading

import pytest
from starlette.testclient import TestClient

import app
from components.web.logs import LOGGERS, log_to_stderr
from tests.workspace import open_workspace


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backup")
    settings = {"dataset_repo": "team/feedback", "hf_token": "hf_secret_token", "data_dir": folder / "volume"}
    services = open_copy_without_hub(folder, settings)
    with TestClient(app.build_server(services), base_url="http://127.0.0.1") as client:
        yield client
    services.close()


def open_copy_without_hub(folder, settings):
    """Open a workspace that has something, so that nothing is looked for on the Hub."""
    open_workspace(folder / "home").close()
    return open_workspace(folder / "home", **settings)


def test_the_state_of_the_back_up_is_a_line_and_its_sentences(client):
    answer = client.get("/backup")
    said = answer.json()
    assert set(said) == {"kind", "text", "title", "notes"}
    assert said["kind"] == "waiting" and "not yet in the dataset repo" in said["text"]
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers


def test_it_is_told_by_the_readers_clock(client):
    assert " UTC." in client.get("/backup").json()["title"]
    assert " UTC." not in client.get("/backup?zone=-330").json()["title"]
    assert " UTC." in client.get("/backup?zone=99999999999999").json()["title"]
    assert client.get("/backup?zone=noon").status_code == 422


def test_it_tells_no_secret_no_person_and_no_model(client):
    services = client.app.state.services
    services.store.members.rename(services.store.members.by_token("a" * 64), "Ada Lovelace")
    said = client.get("/backup").text
    for secret in ("hf_secret_token", "Ada", "extractive", str(services.settings.home)):
        assert secret not in said


@pytest.fixture
def stderr(monkeypatch):
    said = io.StringIO()
    for name in LOGGERS:
        monkeypatch.setattr(logging.getLogger(name), "handlers", [])
    monkeypatch.setattr(sys, "stderr", said)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    log_to_stderr(("hf_secret_token",))
    return said


def test_warnings_of_the_pipeline_are_logged_without_secrets(stderr):
    log = logging.getLogger("pipeline.hub.sync")
    log.info("nothing of this")
    try:
        raise ValueError("hf_secret_token is wrong")
    except ValueError:
        log.warning("Backup: refused hf_secret_token", exc_info=True)
    said = stderr.getvalue()
    assert "WARNING pipeline.hub.sync: Backup: refused •••" in said and "| ValueError: ••• is wrong" in said
    assert "hf_secret_token" not in said and "nothing of this" not in said
