"""The loopback Hub."""

import pytest
from huggingface_hub import constants

from pipeline.store import open_store
from tests.hub_server import HubServer


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
