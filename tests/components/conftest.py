"""Workspaces for tests of the screens."""

import pytest

from tests.material import open_copy, prepare
from tests.workspace import open_workspace


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Folder of a workspace with a manual, a finished run and a dataset to review; copied by whoever changes it."""
    return prepare(tmp_path_factory.mktemp("screens"))


@pytest.fixture
def harbour(prepared, tmp_path):
    """A copy of the prepared workspace."""
    services = open_copy(prepared, tmp_path / "harbour")
    yield services
    services.close()


@pytest.fixture
def empty(tmp_path):
    """A workspace with nothing in it."""
    services = open_workspace(tmp_path / "empty")
    yield services
    services.close()
