"""The loopback Hub, and what is published there."""

import pytest
from huggingface_hub import constants

from pipeline.hub.publish import published_files
from pipeline.store import open_store
from tests.hub_server import HubServer
from tests.published import REPO, SALT, open_published


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch):
    """Xet and the once-a-day look-up would leave the loopback; the package read its environment long ago."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)


@pytest.fixture
def hub():
    """An empty Hub."""
    with HubServer() as server:
        yield server


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    store = open_store(tmp_path / "pairloop.db")
    yield store
    store.close()


@pytest.fixture(scope="session")
def workspace(tmp_path_factory):
    """A workspace with something in every table, which nobody changes."""
    opened = open_published(tmp_path_factory.mktemp("published"))
    yield opened
    opened.services.close()


@pytest.fixture(scope="session")
def files(workspace):
    """The files that are published of it."""
    return published_files(workspace.services.store, REPO, salt=SALT)
