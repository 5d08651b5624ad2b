"""A workspace with an endpoint that judges, and two models."""

import pytest

from tests.judges import prefers_good
from tests.material import Home
from tests.openai_server import OpenAIServer
from tests.workspace import add_model


@pytest.fixture
def server():
    with OpenAIServer(answer=prefers_good) as server:
        yield server


@pytest.fixture
def home(tmp_path, server):
    settings = {"openai_base_url": server.base_url, "openai_model": "test-model", "concurrency": 2, "timeout": 5.0}
    home = Home(tmp_path / "home", **settings)
    yield home
    home.services.close()


@pytest.fixture
def models(home):
    return [add_model(home.services, name) for name in ("tuned-9", "base-9")]
